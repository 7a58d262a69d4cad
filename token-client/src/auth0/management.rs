//! Auth0's Management API v2: its former self-signed tokens (JWT, HS256), refresh tokens as device credentials, and its
//! deny-list.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use token_core::jose::signing::SigningKey;
use token_core::{Algorithm, Clock, SystemClock};

use super::Auth0Tenant;
use crate::error::TokenError;
use crate::error::misconfigured;
use crate::fetch::{join, join_id};
use crate::random;
use crate::response::parse;
use crate::source::TokenSource;
use crate::token::Token;

/// A tenant's API key (its global client id) and secret. Anyone who holds them can mint Management API tokens.
#[derive(Debug)]
pub struct ManagementKey {
    key: String,
    signer: SigningKey,
}

impl ManagementKey {
    /// The key and its secret. The secret is base64url text; its decoded bytes sign the tokens.
    ///
    /// # Errors
    /// [`Misconfigured`](crate::TokenErrorKind::Misconfigured) if the secret is not base64url, or shorter than 32
    /// bytes.
    pub fn new(api_key: impl Into<String>, api_secret: &str) -> Result<Self, TokenError> {
        let bytes = URL_SAFE_NO_PAD
            .decode(api_secret.trim_end_matches('='))
            .map_err(|_| misconfigured("the API secret is not base64url text"))?;
        let signer = SigningKey::from_secret(Algorithm::HS256, None, &bytes)
            .map_err(|_| misconfigured("the API secret is shorter than HS256 asks for"))?;
        Ok(Self { key: api_key.into(), signer })
    }

    /// Mints a token. Its `aud` is the API key, `scopes` lists entities with their actions, and there is no `iss` and
    /// no `sub`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let secret = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE";
    /// let key = token_client::auth0::ManagementKey::new("the API key", secret)?;
    /// let token = key.mint(&[("users", &["read"]), ("user_idp_tokens", &["read"])], Duration::from_secs(3600))?;
    /// assert_eq!(token.expose().split('.').count(), 3);
    /// # Ok::<(), token_client::TokenError>(())
    /// ```
    ///
    /// # Errors
    /// [`Misconfigured`](crate::TokenErrorKind::Misconfigured) if there are no random bytes, or the key cannot sign.
    pub fn mint(&self, scopes: &[(&str, &[&str])], life: Duration) -> Result<Token, TokenError> {
        self.mint_at(scopes, life, &SystemClock)
    }

    pub(crate) fn mint_at(
        &self,
        scopes: &[(&str, &[&str])],
        life: Duration,
        clock: &dyn Clock,
    ) -> Result<Token, TokenError> {
        let mut entities: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (entity, actions) in scopes {
            entities.entry(entity).or_default().extend(*actions);
        }
        let scopes: serde_json::Map<_, _> =
            entities.into_iter().map(|(entity, actions)| (entity.to_owned(), json!({ "actions": actions }))).collect();
        let now = clock.now();
        let expires = now.saturating_add(life);
        let claims = json!({
            "aud": self.key,
            "scopes": scopes,
            "iat": now.as_secs(),
            "exp": expires.as_secs(),
            "jti": random::text::<16>()?,
        });
        let text = self
            .signer
            .sign_jwt(r#"{"alg":"HS256","typ":"JWT"}"#, &claims.to_string())
            .map_err(|_| misconfigured("the management token could not be signed"))?;
        Token::bearer(text, Some(expires))
    }
}

/// A refresh token as the Management API lists it, without the token itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct DeviceCredential {
    /// The identifier for [`Management::delete_refresh_token`].
    pub id: String,
    /// The name of the device.
    pub device_name: Option<String>,
    /// The client that the token was issued to.
    pub client_id: Option<String>,
    /// The user that the token belongs to.
    pub user_id: Option<String>,
}

/// A client of the Management API, with tokens from the source.
#[derive(Debug)]
pub struct Management<S> {
    tenant: Auth0Tenant,
    source: S,
}

impl<S: TokenSource> Management<S> {
    /// The API of this tenant.
    #[must_use]
    pub fn new(tenant: Auth0Tenant, source: S) -> Self {
        Self { tenant, source }
    }

    /// Lists the refresh tokens of a user, for one client or all (`read:device_credentials`).
    ///
    /// # Errors
    /// By [`Fault`](crate::Fault).
    pub async fn refresh_tokens(
        &self,
        user_id: &str,
        client_id: Option<&str>,
    ) -> Result<Vec<DeviceCredential>, TokenError> {
        let mut url = join(self.tenant.management_url(), &["device-credentials"]);
        url.query_pairs_mut().append_pair("type", "refresh_token").append_pair("user_id", user_id);
        if let Some(client_id) = client_id {
            url.query_pairs_mut().append_pair("client_id", client_id);
        }
        let token = self.source.token().await?;
        let answer = self.tenant.api().send(Method::GET, &url, Some(&token), None).await?;
        match answer.status() {
            StatusCode::OK => parse(answer.body()),
            _ => Err(self.tenant.api().refuse(&answer, "read:device_credentials")),
        }
    }

    /// Revokes a refresh token (`delete:device_credentials`). If it does not exist any more, that is a success.
    ///
    /// # Errors
    /// By [`Fault`](crate::Fault).
    pub async fn delete_refresh_token(&self, id: &str) -> Result<(), TokenError> {
        let url = join_id(self.tenant.management_url(), &["device-credentials"], id)?;
        let token = self.source.token().await?;
        let answer = self.tenant.api().send(Method::DELETE, &url, Some(&token), None).await?;
        match answer.status() {
            StatusCode::OK | StatusCode::NO_CONTENT | StatusCode::NOT_FOUND => Ok(()),
            _ => Err(self.tenant.api().refuse(&answer, "delete:device_credentials")),
        }
    }

    /// Adds a Management API token to the deny-list, by its `aud` and `jti` (`blacklist:tokens`).
    ///
    /// # Errors
    /// By [`Fault`](crate::Fault).
    pub async fn deny(&self, audience: &str, token_id: &str) -> Result<(), TokenError> {
        let url = join(self.tenant.management_url(), &["blacklists", "tokens"]);
        let body = json!({ "aud": audience, "jti": token_id }).to_string();
        let token = self.source.token().await?;
        let answer = self.tenant.api().send(Method::POST, &url, Some(&token), Some(body)).await?;
        match answer.status() {
            StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(()),
            _ => Err(self.tenant.api().refuse(&answer, "blacklist:tokens")),
        }
    }
}
