//! Auth0's Token Vault: a user's refresh or access token in, the provider's token out (federated connection exchange).

use token_core::http::BoxFuture;

use super::provider::auth0_connection;
use super::{FederatedTokens, FederatedUser};
use crate::client::TokenClient;
use crate::error::misconfigured;
use crate::error::{TokenError, TokenErrorKind};
use crate::grant::TokenRequest;
use crate::response::{Expected, Issued};
use crate::token::Token;
use crate::token_type::TokenType;

const GRANT: &str = "urn:auth0:params:oauth:grant-type:token-exchange:federated-connection-access-token";
const REQUESTED: &str = "http://auth0.com/oauth/token-type/federated-connection-access-token";

/// Obtains identity providers' tokens from Auth0's Token Vault, which also renews them.
///
/// The subject token is the user's refresh token if there is one, otherwise the access token of the current request.
/// The client must be allowed to use the grant, and its refresh token rotation must be off.
#[derive(Clone, Debug)]
pub struct Auth0TokenVault(TokenClient);

impl Auth0TokenVault {
    /// Uses the token endpoint of this client.
    #[must_use]
    pub fn new(client: TokenClient) -> Self {
        Self(client)
    }

    async fn exchange(&self, user: FederatedUser<'_>, provider: &str) -> Result<Token, TokenError> {
        let connection = auth0_connection(provider);
        let (text, kind) = match (user.refresh_token, user.access_token) {
            (Some(token), _) => (token.expose(), TokenType::REFRESH_TOKEN),
            (None, Some(token)) => (token.0, TokenType::ACCESS_TOKEN),
            (None, None) => return Err(misconfigured("the vault wants the user's refresh token or access token")),
        };
        let request = TokenRequest::other(GRANT)
            .parameter("connection", connection)
            .parameter("subject_token", text)
            .parameter("subject_token_type", kind.as_str())
            .parameter("requested_token_type", REQUESTED);
        let issued = Issued::ExactlyIfSaid(TokenType::new(REQUESTED));
        let expected = Expected { issued, ..Expected::access_token() };
        match self.0.obtain_expecting(&request, &expected).await {
            Ok(response) => Token::issued(response, None, self.0.prover()),
            // A 401 that is not about our own credentials says that no identity of the user fits the connection.
            Err(error) if error.http_status() == Some(401) && error.kind() != TokenErrorKind::InvalidClient => {
                Err(TokenError::needs_connection(connection))
            }
            Err(error) => Err(error),
        }
    }
}

impl FederatedTokens for Auth0TokenVault {
    fn obtain<'a>(&'a self, user: FederatedUser<'a>, provider: &'a str) -> BoxFuture<'a, Result<Token, TokenError>> {
        Box::pin(self.exchange(user, provider))
    }
}
