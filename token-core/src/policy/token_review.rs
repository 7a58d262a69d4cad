//! What a policy says of reviews by a cluster's API server in, what the builder is told out; and the other way round (`authentication.k8s.io/v1`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::config_error::ConfigError;
use crate::base::time::text;
use crate::opaque::{Kind, OpaqueTokens};

/// Asks a cluster's API server about the issuer's tokens, JWTs too; see [`OpaqueTokens::token_review`]. The issuer's `bearer_token_file` says who asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TokenReviewPolicy {
    /// Scheme, host and port of the API server. Default: `https://kubernetes.default.svc`.
    #[serde(default = "api_server")]
    pub api_server: String,
    /// How long a good review is believed, never past `exp`. Default 60 s, at most 1 h: so long the token of a deleted pod may still work.
    #[serde(default = "active_life", with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub active_life: Duration,
    /// How long an answer may take. Default 3 s.
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

    /// The same as data; `None` for what is no review, or only code can say.
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
