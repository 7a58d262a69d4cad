//! Keycloak's broker endpoint: the user's own access token in, the identity provider's stored token out.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use token_core::http::{BoxFuture, HttpClient};
use url::{Url, form_urlencoded};

use super::{FederatedTokens, FederatedUser};
use crate::builder::endpoint;
use crate::error::misconfigured;
use crate::error::{TokenError, TokenErrorKind};
use crate::fetch::{Api, join, join_id};
use crate::response::{lifetime, malformed};
use crate::token::Token;

/// Reads `{realm}/broker/{alias}/token` with the user's access token.
///
/// The identity provider must be configured to store tokens, and the user's token needs the role `read-token` of the
/// client `broker`. The [`Provider::NAME`](crate::Provider::NAME) is the alias. Keycloak passes on the provider's own
/// response, which is JSON or a form.
#[derive(Debug)]
pub struct KeycloakBroker {
    realm: Url,
    api: Api,
}

#[derive(Deserialize)]
struct Stored {
    access_token: Option<String>,
    expires_in: Option<Value>,
}

impl KeycloakBroker {
    /// For the realm of this issuer: `https://keycloak.example.com/realms/x`.
    ///
    /// # Errors
    /// [`TokenErrorKind::Misconfigured`] if that is not a URL.
    pub fn new(issuer: &str, http: impl HttpClient) -> Result<Self, TokenError> {
        Ok(Self { realm: endpoint(issuer, "the issuer")?, api: Api::new(Arc::new(http)) })
    }

    async fn read(&self, user: FederatedUser<'_>, alias: &str) -> Result<Token, TokenError> {
        let text = user.access_token.ok_or_else(|| misconfigured("the broker wants the user's access token"))?;
        let token = Token::bearer(text.0, None)?;
        let url = join(&join_id(&self.realm, &["broker"], alias)?, &["token"]);
        let answer = self.api.send(Method::GET, &url, Some(&token), None).await?;
        match answer.status() {
            StatusCode::OK => {}
            // The one 400 that the user can mend is told apart by its text alone.
            StatusCode::BAD_REQUEST if contains(answer.body(), b"not associated") => {
                return Err(TokenError::needs_connection(alias));
            }
            StatusCode::NOT_FOUND => return Err(misconfigured("the realm has no identity provider of this alias")),
            StatusCode::UNAUTHORIZED => {
                return Err(TokenError::new(TokenErrorKind::InvalidGrant, "the broker does not take the user's token"));
            }
            _ => return Err(self.api.refuse(&answer, "the role read-token of the client broker")),
        }
        let stored = parse(answer.body())?;
        let text =
            stored.access_token.filter(|text| !text.is_empty()).ok_or_else(|| TokenError::needs_connection(alias))?;
        let expires_at = lifetime(stored.expires_in.as_ref())?.map(|life| self.api.clock.now().saturating_add(life));
        Token::bearer(text, expires_at)
    }
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    body.windows(text.len()).any(|window| window == text)
}

/// Reads JSON, or the form that GitHub and others respond with.
fn parse(body: &[u8]) -> Result<Stored, TokenError> {
    if body.first() == Some(&b'{') {
        return crate::response::parse(body);
    }
    let mut stored = Stored { access_token: None, expires_in: None };
    for (name, value) in form_urlencoded::parse(body) {
        match &*name {
            "access_token" => stored.access_token = Some(value.into_owned()),
            "expires_in" => stored.expires_in = Some(Value::String(value.into_owned())),
            _ => {}
        }
    }
    if stored.access_token.is_none() {
        return Err(malformed("expected the provider's answer as JSON or a form, it is neither"));
    }
    Ok(stored)
}

impl FederatedTokens for KeycloakBroker {
    fn obtain<'a>(&'a self, user: FederatedUser<'a>, provider: &'a str) -> BoxFuture<'a, Result<Token, TokenError>> {
        Box::pin(self.read(user, provider))
    }
}
