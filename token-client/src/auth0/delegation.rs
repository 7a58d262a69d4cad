//! The legacy `/delegation` endpoint: an ID token or a refresh token in, a token for another client or an add-on out.

use http::Method;
use serde_json::{Map, Value, json};

use super::Auth0Tenant;
use crate::error::TokenError;
use crate::response::{self, Expected, Wanted, process_token_response};
use crate::secret::{IdToken, RefreshToken};
use crate::token::Token;

/// The token that authorizes the request: exactly one of these.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DelegationProof {
    /// An ID token of the user that was issued to this client.
    IdToken(IdToken),
    /// A refresh token of the user. It stays valid.
    RefreshToken(RefreshToken),
}

/// A request for a delegation token.
#[derive(Clone, Debug)]
#[must_use]
pub struct DelegationRequest {
    client_id: String,
    proof: DelegationProof,
    target: Option<String>,
    scope: String,
}

/// The response of an add-on, in its own format: a Firebase JWT, AWS session credentials, an Azure signature.
#[derive(Clone)]
pub struct AddOn(Map<String, Value>);

impl AddOn {
    /// The members of the response. They are credentials.
    #[must_use]
    pub fn members(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl std::fmt::Debug for AddOn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AddOn(…)")
    }
}

impl DelegationRequest {
    /// A request by the client `client_id`, with this proof. Without a target, it obtains a new ID token for the same
    /// client.
    pub fn new(client_id: impl Into<String>, proof: DelegationProof) -> Self {
        Self { client_id: client_id.into(), proof, target: None, scope: "openid".to_owned() }
    }

    /// Sets the client that the token is for. It is signed like that client's tokens; with HS256, with its secret.
    pub fn target(mut self, client_id: impl Into<String>) -> Self {
        self.target = Some(client_id.into());
        self
    }

    /// Sets the requested scopes, separated by spaces. Default: `openid`.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = scope.into();
        self
    }

    fn body(&self, api_type: &str) -> String {
        let mut body = json!({
            "client_id": self.client_id,
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "scope": self.scope,
            "api_type": api_type,
        });
        match &self.proof {
            DelegationProof::IdToken(token) => body["id_token"] = json!(token.expose()),
            DelegationProof::RefreshToken(token) => body["refresh_token"] = json!(token.expose()),
        }
        if let Some(target) = &self.target {
            body["target"] = json!(target);
        }
        body.to_string()
    }
}

impl Auth0Tenant {
    /// Asks `/delegation` for a token for another client of the tenant. Auth0 allows ten requests a minute for each
    /// user.
    ///
    /// # Errors
    /// By [`Fault`](crate::Fault), as for every token endpoint.
    pub async fn delegate(&self, request: &DelegationRequest) -> Result<Token, TokenError> {
        let answer = self.api().send(Method::POST, &self.url(&["delegation"]), None, Some(request.body("app"))).await?;
        let expected = Expected { wanted: Wanted::IdToken, ..Expected::access_token() };
        let now = self.api().clock.now();
        let response = process_token_response(&expected, answer.status(), answer.headers(), answer.body(), now)?;
        Token::issued(response, None, None)
    }

    /// Asks `/delegation` for an add-on's credentials: `firebase`, `aws`, `azure_sb` and so on.
    ///
    /// # Errors
    /// By [`Fault`](crate::Fault), as for every token endpoint.
    pub async fn delegate_to_add_on(&self, request: &DelegationRequest, api_type: &str) -> Result<AddOn, TokenError> {
        let body = Some(request.body(api_type));
        let answer = self.api().send(Method::POST, &self.url(&["delegation"]), None, body).await?;
        response::check_status(answer.status(), answer.headers(), answer.body(), self.api().clock.now())?;
        response::parse(answer.body()).map(AddOn)
    }
}
