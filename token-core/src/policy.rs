//! The configuration of a resource server as data: one structure that people read, review and test (TOML, JSON,
//! environment).
//!
//! ```
//! use token_core::policy::Policy;
//!
//! let policy = Policy::from_json(
//!     r#"{"audience": "https://api.example.com", "issuers": [{"issuer": "https://login.example.com/", "leeway": "5s"}]}"#,
//! )?;
//! assert!(policy.lint().is_empty());
//! let api = policy.server()?;
//! # Ok::<(), token_core::policy::PolicyError>(())
//! ```

mod api_keys;
mod describe;
mod diff;
mod encryption;
mod environment;
pub mod gate;
mod introspection;
mod lint;
mod metadata;
mod possession;
mod read;
#[cfg(feature = "schema")]
pub(crate) mod schema;
mod secret;
#[cfg(test)]
mod tests;
mod tickets;
mod token_review;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::answer::challenge::ScopeChallenge;
use crate::answer::implications::Implications;
use crate::base::time::text;
use crate::jose::Algorithms;
use crate::keys::JwksSettings;
use crate::opaque::status_lists::StatusLists;
use crate::request::source::TokenLocation;
use crate::stores::TokenCacheSettings;
use crate::token::mapping::ClaimMapping;
use crate::token::rule::Rule;
use crate::trust::claim_rule::ClaimRule;

#[doc(inline)]
pub use crate::request::choice::SeveralTokens;
pub use api_keys::{ApiKeyPolicy, ApiKeySecretPolicy, ApiKeysPolicy, Date};
pub use diff::Change;
pub use encryption::{DecryptionKeyPolicy, EncryptedTokensPolicy};
pub use introspection::{AuthenticationMethod, IntrospectionPolicy};
pub use lint::{Finding, Severity};
pub(crate) use metadata::is_authorization_server;
pub use metadata::{Localized, Metadata};
pub use possession::{CertificatePlace, ForwardedPolicy, MutualTlsPolicy, ProofPolicy, ReplayMemoryPolicy};
pub use read::PolicyError;
pub use secret::{KeptSecret, Secret, SharedSecret};
pub use tickets::{TicketStorePolicy, TicketsPolicy};
pub use token_review::TokenReviewPolicy;

pub(crate) const SEVERAL_KEYS: &str = "expected at most one of jwks_uri, jwks_file, secret, api_keys and without_keys";
pub(crate) const NOBODY_KNOWS: &str =
    "without_keys needs introspection or token_review: nobody else could say whether a token is good";
pub(crate) const RESOURCE_AND_AUDIENCE: &str = "resource is the audience: remove audience and dangerously_unchecked_audience; for an issuer that writes another name into \
     aud, say so in the audience of that issuer";
pub(crate) const RESOURCE_AND_METADATA: &str = "the document of a resource lies where its identifier says: remove resource_metadata, which is for documents that another server serves";
pub(crate) const METADATA_WITHOUT_RESOURCE: &str = "metadata describes a resource: set resource";
pub(crate) const CONTRADICTION: &str = "audience and dangerously_unchecked_audience contradict each other";

/// The configuration of a resource server. A member that is left out has the same safe default as in the builder. An
/// unknown member is an error.
///
/// Durations are numbers of seconds, or texts such as `"30s"`, `"10m"` or `"1h"`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Policy {
    /// The identifier of this resource, an https URL (RFC 9728). It is the audience that tokens must name, and it
    /// determines the URL of the metadata document that challenges point to. Use it instead of `audience` and
    /// `resource_metadata`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Additional members of the metadata document of `resource`. The members that the server can fill in by itself are
    /// already there.
    #[serde(skip_serializing_if = "is_default")]
    pub metadata: Metadata,
    /// The audience of this server: the value that issuers write into `aud`. With a list, a token must name at least
    /// one of the values.
    #[serde(with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "schema::OneOrMore"))]
    pub audience: Vec<String>,
    /// Accepts tokens issued for any audience, including those meant for other services. There is almost never a good
    /// reason for it.
    #[serde(skip_serializing_if = "is_false")]
    pub dangerously_unchecked_audience: bool,
    /// A rule that every token must satisfy on every route: scopes, roles, `acr_values`, `max_age`,
    /// `authorization_details`, combined with `any`, `all` and `not`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require: Option<Rule>,
    /// Which scopes the challenge of a 403 response names. Default: `required`.
    #[serde(skip_serializing_if = "is_default")]
    pub scope_challenge: ScopeChallenge,
    /// The `realm` parameter of challenges. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// The URL of the metadata document of this resource (RFC 9728), if another server serves it. See `resource`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_metadata: Option<String>,
    /// Where a request may carry its token. Default: the `Authorization` header only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_locations: Option<Vec<TokenLocation>>,
    /// What happens if a request carries different tokens in several places. `refuse` answers 400; with
    /// `first_location`, the first entry of `token_locations` that holds a token decides. Default: `refuse`.
    #[serde(skip_serializing_if = "is_default")]
    pub several_tokens: SeveralTokens,
    /// Accepts encrypted tokens (RFC 7516) as well as signed ones, and names the keys that decrypt them. Without it,
    /// encrypted tokens are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted_tokens: Option<EncryptedTokensPolicy>,
    /// The longest token that is accepted, in bytes. Default: 16,384.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_token_bytes: Option<usize>,
    /// How many refused requests are logged at level `info` each minute; the others are logged at `debug`. Default: 0.
    #[serde(skip_serializing_if = "is_default")]
    pub log_refusals: u32,
    /// Records who the caller is in the application's own `tracing` span of each request: `token.subject`,
    /// `token.client_id` and `token.issuer`, provided the span declares these fields. A subject is personal data.
    /// Default: false.
    #[serde(skip_serializing_if = "is_false")]
    pub record_caller: bool,
    /// Limits of the cache of verified tokens.
    #[serde(skip_serializing_if = "is_default")]
    pub token_cache: TokenCachePolicy,
    /// Accepts tokens that are bound to a key of the sender (DPoP, RFC 9449); each request then needs a proof. Without
    /// it, such tokens are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpop: Option<ProofPolicy>,
    /// Accepts tokens that are bound to a client certificate (RFC 8705), and says where the certificate is found.
    /// Without it, such tokens are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutual_tls: Option<MutualTlsPolicy>,
    /// Issues one-time tickets in exchange for tokens, and accepts them in the query string, for `EventSource` and
    /// `WebSocket`. `{}` is enough. Without it, no tickets are issued or accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tickets: Option<TicketsPolicy>,
    /// Scopes that include other scopes: `{"write:users": ["read:users"]}`. Followed transitively.
    #[serde(skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "std::collections::BTreeMap<String, Vec<String>>"))]
    pub implies: Implications,
    /// The issuers whose tokens are accepted. The server contacts no others.
    pub issuers: Vec<IssuerPolicy>,
    /// What `token-gate` requires of requests behind a proxy, and what it passes on. Servers written in Rust ignore it.
    #[serde(skip_serializing_if = "is_default")]
    pub gate: gate::GatePolicy,
}

/// Limits of the cache of verified tokens; see [`TokenCacheSettings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TokenCachePolicy {
    /// The maximum number of tokens. Default: 4,096, or as many as fit into `bytes` at 2 KiB each (1 KiB with
    /// `digests`). 0 turns the cache off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entries: Option<usize>,
    /// The maximum size in bytes. Default: 2 KiB for each entry (1 KiB with `digests`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<usize>,
    /// How long a token is kept at most. Default: 5 min.
    #[serde(with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub life: Duration,
    /// Stores SHA-256 digests instead of the tokens. Default: false.
    pub digests: bool,
}

impl Default for TokenCachePolicy {
    fn default() -> Self {
        TokenCacheSettings::default().into()
    }
}

/// One trusted issuer. Its keys are discovered through its metadata, unless `jwks_uri`, `jwks_file`, `secret` or
/// `api_keys` names another source, or `without_keys` says that there are none. An identifier that contains
/// `{tenantid}` is a template for one issuer per tenant, and needs `jwks_uri` or `jwks_file`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct IssuerPolicy {
    /// The issuer identifier. It is compared with `iss` byte by byte.
    pub issuer: String,
    /// The URL of the JWK Set, for issuers that publish no metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// A file that contains the JWK Set as the issuer publishes it. It is read once, and its keys must meet the same
    /// rules as fetched ones. Relative to the policy file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub jwks_file: Option<PathBuf>,
    /// A secret shared with the issuer, for HS256, HS384 or HS512.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SharedSecret>,
    /// API keys that this server issues itself, instead of tokens of an issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_keys: Option<ApiKeysPolicy>,
    /// The issuer has no public keys: JWTs are sent to `introspection`, too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub without_keys: bool,
    /// The introspection endpoint for the issuer's opaque tokens (RFC 7662).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection: Option<IntrospectionPolicy>,
    /// Sends each token, JWTs included, to the API server of a Kubernetes cluster for review. `{}` is enough inside the
    /// cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_review: Option<TokenReviewPolicy>,
    /// Looks up the issuer's JWTs in the status lists that it publishes. `{}` is enough. Without it, the claim `status`
    /// is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_lists: Option<StatusLists>,
    /// Set if the keys, or the endpoint that verifies opaque tokens, were passed in code. Such a policy can be read and
    /// compared, but no server can be built from its text.
    #[serde(default, skip_serializing_if = "is_false")]
    pub keys_from_code: bool,
    /// The audience of this issuer's tokens, if it differs from the server's own.
    #[serde(default, with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "schema::OneOrMore"))]
    pub audience: Vec<String>,
    /// Accepts this issuer's tokens for any audience. Only for issuers that write no `aud`; use `require_claims` to
    /// check what they write instead.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dangerously_unchecked_audience: bool,
    /// The accepted signature algorithms. Default: RS256, PS256, ES256, ES384 and EdDSA, or those of the given keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<schema::AlgorithmName>>"))]
    pub algorithms: Option<Algorithms>,
    /// The tolerated difference between clocks. Default: 30 s, at most 5 min.
    #[serde(default = "leeway", with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub leeway: Duration,
    /// Accepts only tokens as RFC 9068 defines them: with the type `at+jwt` and every claim that it requires. Default:
    /// false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub rfc9068: bool,
    /// Accepts only tokens that state that they are access tokens: by `at+jwt` in the header, or by a claim for the
    /// kind (`token_use`, `token_class`, `typ`, `type`, `token_type`). For issuers that sign other tokens, such as
    /// refresh tokens, with the same keys and do not mark those. Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub strict: bool,
    /// Accepts tokens without `exp`, which never expire.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dangerously_accept_tokens_without_expiry: bool,
    /// Allows keys to be fetched over plain http from this machine.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_loopback_http: bool,
    /// Allows the issuer's servers to have private addresses. Link-local addresses and the metadata services of clouds
    /// stay refused.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_private_addresses: bool,
    /// Allows plain http to the issuer's servers, at private addresses and on this machine. Anyone on that network can
    /// then substitute a key and forge any token. Public addresses stay refused.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dangerously_allow_plain_http: bool,
    /// The URL of the metadata document, for an issuer that is reached at another address than its identifier. The
    /// identifier is then only compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata_url: Option<String>,
    /// The only origin from which metadata and keys are fetched, such as `https://keycloak.internal:8443`. It replaces
    /// scheme, host and port of the issuer identifier and of the `jwks_uri` in its metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached_at: Option<String>,
    /// A file with a bearer token that is sent when metadata and keys are fetched, as the API server of a cluster
    /// requires. It is read again for every request. Relative to the policy file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub bearer_token_file: Option<PathBuf>,
    /// A PEM file with root certificates that are trusted for the issuer's servers in addition to the system's.
    /// Relative to the policy file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub ca_file: Option<PathBuf>,
    /// The URL of the proxy through which the issuer's servers are reached: `http://proxy.example:3128`, without
    /// credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// The accepted tenants of a template, as GUIDs. Default: every tenant. An empty list is an error.
    #[serde(default, with = "some_or_all", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "schema::SomeOrAll"))]
    pub tenants: Vec<String>,
    /// Also accepts ID tokens that were issued to one of these clients.
    #[serde(default, with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "schema::OneOrMore"))]
    pub accept_id_tokens_for: Vec<String>,
    /// Which claims hold scopes and roles.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mapping: ClaimMapping,
    /// Additional requirements on claims.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub require_claims: Vec<ClaimRule>,
    /// Refuses a key that the JWK Set publishes for another issuer (member `issuer` of the JWK).
    #[serde(default, skip_serializing_if = "is_false")]
    pub match_key_issuer: bool,
    /// Accepts tokens whose parts are padded with `=`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub accept_padding: bool,
    /// Accepts access tokens with a `nonce` if another mark says that they are access tokens: `at+jwt` in the header,
    /// or a claim such as `typ` or `token_use`. For Keycloak before version 25.
    #[serde(default, skip_serializing_if = "is_false")]
    pub accept_nonce_in_access_tokens: bool,
    /// Accepts tokens whose `sub` is a whole number. The subject is then the number as text.
    #[serde(default, skip_serializing_if = "is_false")]
    pub accept_numeric_subjects: bool,
    /// Tries up to four keys of one `kid` in turn, for issuers that publish several keys under one `kid`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub accept_several_keys_of_one_kid: bool,
    /// Accepts keys whose numbers are encoded in base64 instead of base64url, or padded.
    #[serde(default, skip_serializing_if = "is_false")]
    pub accept_keys_in_base64: bool,
    /// Durations and limits of the JWK Set cache.
    #[serde(default, skip_serializing_if = "is_default")]
    pub jwks: JwksSettings,
}

impl Policy {
    /// A policy with this audience and no trusted issuer yet.
    #[must_use]
    pub fn new(audience: impl Into<String>) -> Self {
        Self { audience: vec![audience.into()], ..Self::default() }
    }

    /// Adds a trusted issuer.
    #[must_use]
    pub fn trust(mut self, issuer: IssuerPolicy) -> Self {
        self.issuers.push(issuer);
        self
    }
}

impl IssuerPolicy {
    /// An issuer with default settings, whose keys are discovered.
    #[must_use]
    pub fn discover(issuer: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            jwks_uri: None,
            jwks_file: None,
            secret: None,
            api_keys: None,
            without_keys: false,
            introspection: None,
            token_review: None,
            bearer_token_file: None,
            status_lists: None,
            keys_from_code: false,
            audience: Vec::new(),
            dangerously_unchecked_audience: false,
            algorithms: None,
            leeway: leeway(),
            rfc9068: false,
            strict: false,
            dangerously_accept_tokens_without_expiry: false,
            allow_loopback_http: false,
            allow_private_addresses: false,
            dangerously_allow_plain_http: false,
            metadata_url: None,
            reached_at: None,
            ca_file: None,
            proxy: None,
            tenants: Vec::new(),
            accept_id_tokens_for: Vec::new(),
            mapping: ClaimMapping::default(),
            require_claims: Vec::new(),
            match_key_issuer: false,
            accept_padding: false,
            accept_nonce_in_access_tokens: false,
            accept_numeric_subjects: false,
            accept_several_keys_of_one_kid: false,
            accept_keys_in_base64: false,
            jwks: JwksSettings::default(),
        }
    }
}

fn leeway() -> Duration {
    Duration::from_secs(30)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl IssuerPolicy {
    /// The number of key sources that are named. More than one is an error.
    pub(crate) fn key_sources(&self) -> usize {
        let sources = [
            self.jwks_uri.is_some(),
            self.jwks_file.is_some(),
            self.secret.is_some(),
            self.api_keys.is_some(),
            self.without_keys,
        ];
        sources.iter().filter(|given| **given).count()
    }
}

impl From<TokenCachePolicy> for TokenCacheSettings {
    fn from(policy: TokenCachePolicy) -> Self {
        let TokenCachePolicy { entries, bytes, life, digests } = policy;
        Self { entries, bytes, life, digests }
    }
}

/// One text or a list of texts. A list of one is written as a text.
mod one_or_more {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a text or a list of texts")]
    enum OneOrMore {
        One(String),
        More(Vec<String>),
    }

    pub(super) fn serialize<S: Serializer>(names: &[String], serializer: S) -> Result<S::Ok, S::Error> {
        match names {
            [one] => serializer.serialize_str(one),
            more => more.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
        Ok(match OneOrMore::deserialize(deserializer)? {
            OneOrMore::One(one) => vec![one],
            OneOrMore::More(more) => more,
        })
    }
}

/// Like `one_or_more`, for a list that means "all" if it is left out: an empty list, as a template may produce it, is
/// an error.
mod some_or_all {
    use serde::{Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(names: &[String], serializer: S) -> Result<S::Ok, S::Error> {
        super::one_or_more::serialize(names, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
        let names = super::one_or_more::deserialize(deserializer)?;
        if names.is_empty() {
            return Err(D::Error::custom("expected at least one, the list is empty: leave it out where all are meant"));
        }
        Ok(names)
    }
}
