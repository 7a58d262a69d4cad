//! The policy for opaque tokens in, the builder's settings out, and the reverse (RFC 7662).

use std::time::Duration;

use serde::{Deserialize, Serialize};

#[cfg(feature = "schema")]
use super::schema;
use super::secret::KeptSecret;
use super::{is_false, one_or_more};
use crate::base::config_error::ConfigError;
use crate::base::time::text;
use crate::opaque::Kind;
use crate::opaque::OpaqueTokens;
use crate::opaque::client_authentication::ClientAuthentication;
use crate::opaque::settings::LARGEST_TOKEN;
use crate::token::audience::Audience;

/// The introspection endpoint for tokens that are not JWTs; see [`OpaqueTokens`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct IntrospectionPolicy {
    /// The URL of the introspection endpoint (RFC 7662).
    pub endpoint: String,
    /// The `client_id` of this server.
    pub client_id: String,
    /// The secret of that client.
    pub client_secret: KeptSecret,
    /// How the client authenticates. Default: `client_secret_basic`.
    #[serde(default, skip_serializing_if = "AuthenticationMethod::is_basic")]
    pub authentication: AuthenticationMethod,
    /// The audience of these tokens, if it differs from that of the issuer's JWTs.
    #[serde(default, with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "schema::OneOrMore"))]
    pub audience: Vec<String>,
    /// Accepts these tokens for any audience. Only for endpoints whose answers name no audience, and that answer this
    /// client about its own tokens only.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dangerously_unchecked_audience: bool,
    /// Asks only about tokens that begin with one of these prefixes. Default: every token that is not a JWT.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<String>,
    /// Also asks about the issuer's JWTs, after they have been verified.
    #[serde(default, skip_serializing_if = "is_false")]
    pub introspect_jwts: bool,
    /// Accepts only answers that the issuer has signed (RFC 9701).
    #[serde(default, skip_serializing_if = "is_false")]
    pub require_signed_answers: bool,
    /// How long an active answer is reused, never past `exp`. A revoked token may still be accepted for this long.
    /// Default: 60 s, at most 1 h.
    #[serde(default = "active_life", with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub active_life: Duration,
    /// How long an inactive answer is reused. Default: 10 s, at most 1 h.
    #[serde(default = "inactive_life", with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub inactive_life: Duration,
    /// How long the endpoint may take to answer. Default: 3 s.
    #[serde(default = "timeout", with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub timeout: Duration,
    /// The longest token, in bytes, that is sent to the endpoint. A longer one is refused without asking. Default:
    /// 8,192.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_token_bytes: Option<usize>,
}

/// How a client with a secret authenticates (RFC 6749 section 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuthenticationMethod {
    /// In the `Authorization` header, form-encoded as RFC 6749 requires.
    #[default]
    ClientSecretBasic,
    /// In the `Authorization` header, without form encoding: for servers that do not decode it.
    ClientSecretBasicUnencoded,
    /// In the form body.
    ClientSecretPost,
}

impl AuthenticationMethod {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    fn is_basic(&self) -> bool {
        *self == Self::ClientSecretBasic
    }

    /// The client authentication with this secret.
    pub(super) fn with(self, secret: &KeptSecret) -> Result<ClientAuthentication, ConfigError> {
        let secret =
            String::from_utf8(secret.read()?).map_err(|_| ConfigError::new("the client's secret is not text"))?;
        Ok(match self {
            Self::ClientSecretBasic => ClientAuthentication::Basic(secret.into()),
            Self::ClientSecretBasicUnencoded => ClientAuthentication::BasicUnencoded(secret.into()),
            Self::ClientSecretPost => ClientAuthentication::Post(secret.into()),
        })
    }
}

fn active_life() -> Duration {
    Duration::from_secs(60)
}

fn inactive_life() -> Duration {
    Duration::from_secs(10)
}

fn timeout() -> Duration {
    Duration::from_secs(3)
}

impl IntrospectionPolicy {
    /// An endpoint, and a client whose secret is in the named environment variable.
    #[must_use]
    pub fn new(endpoint: impl Into<String>, client_id: impl Into<String>, secret_variable: impl Into<String>) -> Self {
        let client_secret = KeptSecret { env: Some(secret_variable.into()), ..KeptSecret::default() };
        Self {
            endpoint: endpoint.into(),
            client_id: client_id.into(),
            client_secret,
            authentication: AuthenticationMethod::default(),
            audience: Vec::new(),
            dangerously_unchecked_audience: false,
            prefixes: Vec::new(),
            introspect_jwts: false,
            require_signed_answers: false,
            active_life: active_life(),
            inactive_life: inactive_life(),
            timeout: timeout(),
            max_token_bytes: None,
        }
    }

    /// The builder's settings.
    pub(crate) fn tokens(&self) -> Result<OpaqueTokens, ConfigError> {
        let wrong = |why: &dyn std::fmt::Display| ConfigError::new(format!("introspection: {why}"));
        if self.dangerously_unchecked_audience && !self.audience.is_empty() {
            return Err(wrong(&super::CONTRADICTION));
        }
        let authentication = self.authentication.with(&self.client_secret).map_err(|error| wrong(&error))?;
        let mut tokens = OpaqueTokens::introspection(&self.endpoint, &self.client_id, authentication)?
            .active_life(self.active_life)
            .inactive_life(self.inactive_life)
            .timeout(self.timeout)
            .max_token_bytes(self.max_token_bytes.unwrap_or(LARGEST_TOKEN));
        if self.dangerously_unchecked_audience {
            tokens = tokens.audience(Audience::dangerously_unchecked());
        } else if !self.audience.is_empty() {
            tokens = tokens.audience(Audience::any_of(self.audience.iter().cloned()));
        }
        if self.introspect_jwts {
            tokens = tokens.introspect_jwts();
        }
        if self.require_signed_answers {
            tokens = tokens.require_signed_answers();
        }
        Ok(self.prefixes.iter().fold(tokens, OpaqueTokens::prefix))
    }

    /// The settings as data; `None` if they contain what only code can provide: another endpoint, key or store.
    pub(super) fn of(tokens: &OpaqueTokens) -> Option<Self> {
        let Kind::Introspection { endpoint, client_id, authentication } = &tokens.kind else { return None };
        let (method, secret) = match authentication {
            ClientAuthentication::Basic(secret) => (AuthenticationMethod::ClientSecretBasic, secret),
            ClientAuthentication::BasicUnencoded(secret) => (AuthenticationMethod::ClientSecretBasicUnencoded, secret),
            ClientAuthentication::Post(secret) => (AuthenticationMethod::ClientSecretPost, secret),
            _ => return None,
        };
        if tokens.client.is_some() || tokens.compiled.store.is_shared() {
            return None;
        }
        let audience = tokens.audience.as_ref();
        Some(Self {
            client_secret: KeptSecret::here(secret.expose()),
            authentication: method,
            audience: audience
                .and_then(Audience::ours)
                .map(|names| names.iter().cloned().collect())
                .unwrap_or_default(),
            dangerously_unchecked_audience: audience.is_some_and(Audience::is_unchecked),
            prefixes: tokens.prefixes.clone(),
            introspect_jwts: tokens.jwts_too,
            require_signed_answers: tokens.signed_only,
            active_life: tokens.compiled.active_life,
            inactive_life: tokens.compiled.inactive_life,
            timeout: tokens.compiled.timeout,
            max_token_bytes: Some(tokens.compiled.max_token).filter(|bytes| *bytes != LARGEST_TOKEN),
            ..Self::new(endpoint, client_id, "")
        })
    }
}
