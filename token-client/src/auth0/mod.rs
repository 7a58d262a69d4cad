//! Auth0's own endpoints beside OAuth: delegation, userinfo, device credentials, the deny list, and the Management API's tokens.

mod delegation;
mod management;

use std::fmt;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Map, Value};
use token_core::http::HttpClient;
use url::Url;

use crate::builder::{TokenClientBuilder, default_http, endpoint};
use crate::client::TokenClient;
use crate::error::{TokenError, TokenErrorKind};
use crate::fetch::{Api, join};
use crate::grant::TokenRequest;
use crate::response::parse;
use crate::source::CachedSource;
use crate::token::Token;

pub use delegation::{AddOn, DelegationProof, DelegationRequest};
pub use management::{DeviceCredential, Management, ManagementKey};

/// One tenant of Auth0, or of a compatible server. Cheap to clone.
#[derive(Clone)]
pub struct Auth0Tenant(Arc<Inner>);

struct Inner {
    base: Url,
    management: Url,
    http: Arc<dyn HttpClient>,
    api: Api,
}

impl Auth0Tenant {
    /// The tenant at this base URL, such as `https://tenant.eu.auth0.com/`, reached through `http`.
    ///
    /// # Errors
    /// [`TokenErrorKind::Misconfigured`] if that is not a URL.
    pub fn new(base: &str, http: impl HttpClient) -> Result<Self, TokenError> {
        Self::over(base, Arc::new(http))
    }

    /// Like [`new`](Self::new), with the default HTTP client.
    ///
    /// # Errors
    /// As for [`new`](Self::new); also if there is no default client.
    pub fn at(base: &str) -> Result<Self, TokenError> {
        Self::over(base, default_http()?)
    }

    fn over(base: &str, http: Arc<dyn HttpClient>) -> Result<Self, TokenError> {
        let base = endpoint(base, "the tenant")?;
        let management = join(&base, &["api", "v2"]);
        let api = Api::new(Arc::clone(&http));
        Ok(Self(Arc::new(Inner { base, management, http, api })))
    }

    /// Settings for a client of this tenant, with its token and revocation endpoints.
    pub fn client(&self, client_id: impl Into<String>) -> TokenClientBuilder {
        TokenClient::builder(join(&self.0.base, &["oauth", "token"]), client_id)
            .revocation_endpoint(join(&self.0.base, &["oauth", "revoke"]))
            .shared_http(Arc::clone(&self.0.http))
    }

    /// A source of Management API tokens by client credentials, the current way.
    #[must_use]
    pub fn management_source(&self, client: &TokenClient) -> CachedSource {
        client.source(TokenRequest::client_credentials().audience(format!("{}/", self.0.management)))
    }

    /// Fetches the profile of the user with this access token (`/userinfo`). The claims are returned as received and
    /// not checked.
    ///
    /// # Errors
    /// [`TokenErrorKind::InvalidGrant`] if the tenant refuses the token; otherwise by [`Fault`](crate::Fault).
    pub async fn userinfo(&self, token: &Token) -> Result<Map<String, Value>, TokenError> {
        let answer = self.api().send(Method::GET, &join(&self.0.base, &["userinfo"]), Some(token), None).await?;
        match answer.status() {
            StatusCode::OK => parse(answer.body()),
            StatusCode::UNAUTHORIZED => {
                Err(TokenError::new(TokenErrorKind::InvalidGrant, "userinfo does not take the access token"))
            }
            _ => Err(self.api().refuse(&answer, "openid")),
        }
    }

    pub(crate) fn api(&self) -> &Api {
        &self.0.api
    }

    pub(crate) fn management_url(&self) -> &Url {
        &self.0.management
    }

    fn url(&self, segments: &[&str]) -> Url {
        join(&self.0.base, segments)
    }
}

impl fmt::Debug for Auth0Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Auth0Tenant({})", self.0.base)
    }
}

#[cfg(test)]
mod tests;
