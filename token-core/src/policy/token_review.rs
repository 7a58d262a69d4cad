//! The policy for reviews by the API server of a cluster in, the builder's settings out, and the reverse
//! (`authentication.k8s.io/v1`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::config_error::ConfigError;
use crate::base::time::text;
use crate::opaque::{Kind, OpaqueTokens};

/// Sends the issuer's tokens, JWTs included, to the API server of a Kubernetes cluster for review; see
/// [`OpaqueTokens::token_review`]. The issuer's `bearer_token_file` authenticates this server there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TokenReviewPolicy {
    /// Scheme, host and port of the API server. Default: `https://kubernetes.default.svc`.
    #[serde(default = "api_server")]
    pub api_server: String,
    /// How long a positive review is reused, never past `exp`. The token of a deleted pod may still be accepted for
    /// this long. Default: 60 s, at most 1 h.
    #[serde(default = "active_life", with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub active_life: Duration,
    /// How long the API server may take to answer. Default: 3 s.
    #[serde(default = "timeout", with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub timeout: Duration,
}

fn api_server() -> String {
    "https://kubernetes.default.svc".to_owned()
}

fn active_life() -> Duration {
    Duration::from_secs(60)
}

fn timeout() -> Duration {
    Duration::from_secs(3)
}

impl TokenReviewPolicy {
    pub(crate) fn tokens(&self) -> Result<OpaqueTokens, ConfigError> {
        let tokens = OpaqueTokens::token_review(&self.api_server)?.active_life(self.active_life).timeout(self.timeout);
        Ok(tokens.introspect_jwts())
    }

    /// The settings as data; `None` if they are not a review, or contain what only code can provide.
    pub(super) fn of(tokens: &OpaqueTokens) -> Option<Self> {
        let Kind::TokenReview { api_server } = &tokens.kind else { return None };
        let plain = tokens.jwts_too && tokens.audience.is_none() && tokens.prefixes.is_empty();
        (plain && tokens.client.is_none() && !tokens.compiled.store.is_shared()).then(|| Self {
            api_server: api_server.clone(),
            active_life: tokens.compiled.active_life,
            timeout: tokens.compiled.timeout,
        })
    }
}
