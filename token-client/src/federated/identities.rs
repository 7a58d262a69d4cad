//! Auth0's Management API: a user identifier in, the access token in `identities[]` out (`read:user_idp_tokens`).

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use token_core::http::BoxFuture;

use super::provider::auth0_connection;
use super::{FederatedTokens, FederatedUser};
use crate::auth0::Auth0Tenant;
use crate::error::misconfigured;
use crate::error::{TokenError, TokenErrorKind};
use crate::fetch::join_id;
use crate::response::{lifetime, malformed, parse};
use crate::source::TokenSource;
use crate::token::Token;

/// Reads users' identity-provider tokens from `GET /api/v2/users/{id}`.
///
/// It needs a Management API token with the scopes `read:users` and `read:user_idp_tokens`. Auth0 does not renew the
/// stored tokens between sign-ins, so they may have expired. Linked accounts have several entries; the first one of the
/// connection that has a token is used.
#[derive(Debug)]
pub struct Auth0Identities<S> {
    tenant: Auth0Tenant,
    management: S,
}

impl<S: TokenSource> Auth0Identities<S> {
    /// For this tenant, with tokens from this source.
    #[must_use]
    pub fn new(tenant: Auth0Tenant, management: S) -> Self {
        Self { tenant, management }
    }

    async fn read(&self, user: FederatedUser<'_>, provider: &str) -> Result<Token, TokenError> {
        let subject = user.subject.ok_or_else(|| misconfigured("the Management API wants the user's subject"))?;
        let url = join_id(self.tenant.management_url(), &["users"], subject)?;
        let mut token = self.management.token().await?;
        let mut answer = self.tenant.api().send(Method::GET, &url, Some(&token), None).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            token = self.management.renew(&token).await?;
            answer = self.tenant.api().send(Method::GET, &url, Some(&token), None).await?;
        }
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => {
                return Err(TokenError::new(TokenErrorKind::InvalidGrant, "the tenant has no such user"));
            }
            _ => return Err(self.tenant.api().refuse(&answer, "read:users read:user_idp_tokens")),
        }
        let user: User = parse(answer.body())?;
        let connection = auth0_connection(provider);
        let mut known = false;
        for identity in user.identities {
            if identity.connection.as_deref() != Some(connection) && identity.provider.as_deref() != Some(connection) {
                continue;
            }
            known = true;
            if let Some(text) = identity.access_token {
                if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(malformed("the provider's token is empty or holds characters that no token has"));
                }
                // When it was issued is not said, and so its life is an upper bound.
                let expires_at = lifetime(identity.expires_in.as_ref())?
                    .map(|life| self.tenant.api().clock.now().saturating_add(life));
                return Token::bearer(text, expires_at);
            }
        }
        if known {
            let detail = "the account is there without its token: our own token needs read:user_idp_tokens";
            return Err(TokenError::new(TokenErrorKind::InvalidScope, detail));
        }
        Err(TokenError::needs_connection(connection))
    }
}

impl<S: TokenSource> FederatedTokens for Auth0Identities<S> {
    fn obtain<'a>(&'a self, user: FederatedUser<'a>, provider: &'a str) -> BoxFuture<'a, Result<Token, TokenError>> {
        Box::pin(self.read(user, provider))
    }
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    identities: Vec<Identity>,
}

#[derive(Deserialize)]
struct Identity {
    connection: Option<String>,
    provider: Option<String>,
    access_token: Option<String>,
    expires_in: Option<Value>,
}
