//! A resource server as data: what it accepts, as one structure that people read, review and test (TOML, JSON, environment).
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

/// What a resource server accepts. Members that are left out have the same safe defaults as the builder's; unknown members are refused.
///
/// Spans of time are numbers of seconds or texts such as `"30s"`, `"10m"`, `"1h"`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Policy {
    /// The identifier of this resource, an https URL (RFC 9728): it is the audience of tokens, and says where the metadata document lies that challenges
    /// point to. In place of `audience` and `resource_metadata`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// What the metadata document of `resource` says beside what the server knows of itself.
    #[serde(skip_serializing_if = "is_default")]
    pub metadata: Metadata,
    /// The names that issuers write into `aud` of tokens for this server: one, or a list of which one must be there.
    #[serde(with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "schema::OneOrMore"))]
    pub audience: Vec<String>,
    /// Takes a token whoever it was issued for. There is hardly ever a reason for it.
    #[serde(skip_serializing_if = "is_false")]
    pub dangerously_unchecked_audience: bool,
    /// What every token must carry, whatever it is for: scopes, roles, `acr_values`, `max_age`, `authorization_details`, joined by `any`, `all` and `not`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require: Option<Rule>,
    /// Which scopes the challenge of a 403 names. Default: `required`.
    #[serde(skip_serializing_if = "is_default")]
    pub scope_challenge: ScopeChallenge,
    /// The `realm` that challenges name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// Where the metadata document of this resource lies (RFC 9728), if another server serves it. See `resource`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_metadata: Option<String>,
    /// Where tokens are looked for. Default: the `Authorization` header alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_locations: Option<Vec<TokenLocation>>,
    /// What becomes of a request that brings different tokens in different places: `refuse` answers 400, with `first_location` the first of
    /// `token_locations` that holds one decides. Default: `refuse`.
    #[serde(skip_serializing_if = "is_default")]
    pub several_tokens: SeveralTokens,
    /// Takes encrypted tokens, too (RFC 7516), and says what they are opened with. Without it they are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted_tokens: Option<EncryptedTokensPolicy>,
    /// The longest token that is looked at, in bytes. Default 16,384.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_token_bytes: Option<usize>,
    /// How many refused requests a minute are logged at `info`. Default 0: all of them are `debug`.
    #[serde(skip_serializing_if = "is_default")]
    pub log_refusals: u32,
    /// Writes who the caller is into the application's own span around each request: `token.subject`, `token.client_id` and `token.issuer`, as far as the
    /// span declares them. A subject is personal data. Default: false.
    #[serde(skip_serializing_if = "is_false")]
    pub record_caller: bool,
    /// Bounds of the verified-token cache.
    #[serde(skip_serializing_if = "is_default")]
    pub token_cache: TokenCachePolicy,
    /// Takes tokens that are bound to a key of their sender, with a proof on each request (RFC 9449). Without it they are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpop: Option<ProofPolicy>,
    /// Takes tokens that are bound to a certificate of their sender (RFC 8705), and says where that is found. Without it they are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutual_tls: Option<MutualTlsPolicy>,
    /// Sells one-time tickets for tokens, and takes them in the query: for `EventSource` and `WebSocket`. `{}` is enough. Without it none are sold or taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tickets: Option<TicketsPolicy>,
    /// What scopes imply: `{"write:users": ["read:users"]}`. Holds through several steps.
    #[serde(skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "std::collections::BTreeMap<String, Vec<String>>"))]
    pub implies: Implications,
    /// Whom the server believes. Nobody else is asked for anything.
    pub issuers: Vec<IssuerPolicy>,
    /// What `token-gate` asks of the requests behind a proxy. Servers written in Rust do not read it.
    #[serde(skip_serializing_if = "is_default")]
    pub gate: gate::GatePolicy,
}

/// Bounds of the verified-token cache; see [`TokenCacheSettings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TokenCachePolicy {
    /// How many tokens at most. Default 4,096, or what `bytes` has room for at 2 KiB each (1 KiB with digests); 0 turns the cache off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entries: Option<usize>,
    /// How many bytes at most. Default 2 KiB for each of the entries (1 KiB with digests).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<usize>,
    /// How long at most. Default 5 min.
    #[serde(with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub life: Duration,
    /// Keeps SHA-256 digests in place of tokens.
    pub digests: bool,
}

impl Default for TokenCachePolicy {
    fn default() -> Self {
        TokenCacheSettings::default().into()
    }
}

/// One trusted issuer. An identifier with `{tenantid}` in it is a template for one issuer a tenant, and needs `jwks_uri` or `jwks_file`. Keys are discovered, unless one of `jwks_uri`, `jwks_file` and `secret` says where they are, or `without_keys` that there are none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct IssuerPolicy {
    /// The identifier: what `iss` says, byte by byte.
    pub issuer: String,
    /// Where the JWK Set lies, for issuers that publish no metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// A file with the JWK Set as the issuer publishes it, read once and judged like one that is fetched; relative to the policy's own file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub jwks_file: Option<PathBuf>,
    /// A secret shared with the issuer, for HS256, HS384 or HS512.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SharedSecret>,
    /// API keys that this server hands out itself: not an issuer's tokens, but its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_keys: Option<ApiKeysPolicy>,
    /// The issuer has no keys: `introspection` is asked about its JWTs, too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub without_keys: bool,
    /// Whom to ask about the issuer's opaque tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection: Option<IntrospectionPolicy>,
    /// Asks a Kubernetes cluster's API server about each token, JWTs too; `{}` is enough inside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_review: Option<TokenReviewPolicy>,
    /// Looks the issuer's JWTs up in the status lists that it publishes; `{}` is enough. Without it the claim `status` is not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_lists: Option<StatusLists>,
    /// Set when the keys, or the endpoint that verifies opaque tokens, were handed over in code: such a policy can be read and compared, and not be built again from its text.
    #[serde(default, skip_serializing_if = "is_false")]
    pub keys_from_code: bool,
    /// Another audience for this issuer than the server's own.
    #[serde(default, with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "schema::OneOrMore"))]
    pub audience: Vec<String>,
    /// Takes this issuer's tokens whoever they were issued for: for issuers that write no `aud`, with `require_claims` in its place.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dangerously_unchecked_audience: bool,
    /// The signature algorithms agreed with the issuer. Default: RS256, PS256, ES256, ES384, EdDSA, or those of given keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<schema::AlgorithmName>>"))]
    pub algorithms: Option<Algorithms>,
    /// How far clocks may differ. Default 30 s, at most 5 min.
    #[serde(default = "leeway", with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub leeway: Duration,
    /// RFC 9068 only: type `at+jwt`, and the claims it requires.
    #[serde(default, skip_serializing_if = "is_false")]
    pub rfc9068: bool,
    /// Only access tokens that say what they are, by `at+jwt` in the header or by a word for the kind among the claims (`token_use`, `token_class`,
    /// `typ`, `type`, `token_type`): for issuers that mark nothing else that they sign with the same keys, refresh tokens for one.
    #[serde(default, skip_serializing_if = "is_false")]
    pub strict: bool,
    /// Takes tokens that never end.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dangerously_accept_tokens_without_expiry: bool,
    /// Lets the keys be fetched over plain http from this very machine.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_loopback_http: bool,
    /// Lets the issuer's servers stand at private addresses. Link-local ones and the metadata services of clouds stay refused.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_private_addresses: bool,
    /// Lets the issuer's servers be asked over plain http, at private addresses and at this machine. Whoever sits on that network can put in a key
    /// of their own, and with it make any token. Public addresses stay refused.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dangerously_allow_plain_http: bool,
    /// Where the metadata document lies, for an issuer that is asked at another address than its name says. The name is then only compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata_url: Option<String>,
    /// The origin where metadata and keys are asked for, and nowhere else: `https://keycloak.internal:8443`. It takes the place of scheme, host and
    /// port in the issuer's name and in its document's `jwks_uri`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached_at: Option<String>,
    /// A file with a token that is shown where metadata and keys are asked for, as a cluster's API server wants it; read anew each time. Relative to the
    /// policy's own file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub bearer_token_file: Option<PathBuf>,
    /// A PEM file with certificates that are trusted as roots for the issuer's servers, beside the system's; relative to the policy's own file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub ca_file: Option<PathBuf>,
    /// The proxy through which the issuer's servers are reached: `http://proxy.example:3128`, without credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// The tenants of a template that are let in: their GUIDs. Default: every one; an empty list is a mistake.
    #[serde(default, with = "some_or_all", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "schema::SomeOrAll"))]
    pub tenants: Vec<String>,
    /// Takes ID tokens that were issued to one of these clients, too.
    #[serde(default, with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "schema::OneOrMore"))]
    pub accept_id_tokens_for: Vec<String>,
    /// Where the issuer writes scopes and roles.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mapping: ClaimMapping,
    /// What claims must hold beyond what every token's must.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub require_claims: Vec<ClaimRule>,
    /// Refuses a key of the set that is published in the name of another issuer.
    #[serde(default, skip_serializing_if = "is_false")]
    pub match_key_issuer: bool,
    /// Takes tokens whose parts are padded with `=`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub accept_padding: bool,
    /// Takes access tokens with a `nonce`, if another mark says what they are: `at+jwt` in the header, or a claim `typ`, `token_use` and its like. For
    /// Keycloak before 25.
    #[serde(default, skip_serializing_if = "is_false")]
    pub accept_nonce_in_access_tokens: bool,
    /// Takes tokens whose `sub` is a whole number. The subject is then its text.
    #[serde(default, skip_serializing_if = "is_false")]
    pub accept_numeric_subjects: bool,
    /// Tries up to four keys of one name in turn, where the issuer publishes several.
    #[serde(default, skip_serializing_if = "is_false")]
    pub accept_several_keys_of_one_kid: bool,
    /// Takes keys whose numbers are in base64, or padded.
    #[serde(default, skip_serializing_if = "is_false")]
    pub accept_keys_in_base64: bool,
    /// Times and bounds of the JWK Set cache.
    #[serde(default, skip_serializing_if = "is_default")]
    pub jwks: JwksSettings,
}

impl Policy {
    /// A policy with this audience and nobody trusted yet.
    #[must_use]
    pub fn new(audience: impl Into<String>) -> Self {
        Self { audience: vec![audience.into()], ..Self::default() }
    }

    /// The same with one more trusted issuer.
    #[must_use]
    pub fn trust(mut self, issuer: IssuerPolicy) -> Self {
        self.issuers.push(issuer);
        self
    }
}

impl IssuerPolicy {
    /// An issuer with every default: its keys are discovered.
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
    /// How many places are named that keys could come from.
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

/// One text or a list of texts; written as it is shortest.
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

/// The same of a list that stands for all where it is left out: there an empty one, as a template may make it, is a mistake.
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
