//! The policy for sender-constrained tokens as data (RFC 9449, RFC 8705).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::answer::challenge::DpopPolicy;
use crate::base::time::text;
use crate::jose::algorithm::Algorithms;
#[cfg(feature = "schema")]
use crate::policy::schema;
use crate::policy::secret::KeptSecret;
use crate::request::forwarded::ForwardedField;
use crate::request::network::Network;
use crate::stores::WhenUnreachable;

/// How DPoP proofs are requested and checked (RFC 9449). A replay memory that instances share cannot be written in a
/// policy; add it in code with `adjust_dpop`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ProofPolicy {
    /// The accepted authentication schemes, for layers that do not choose their own: `bearer`, `bearer_or_dpop` or
    /// `required`. Default: `bearer_or_dpop`.
    pub schemes: DpopPolicy,
    /// The URL at which clients reach this server: `https://api.example.com`, with a path if a proxy strips one. It is
    /// compared with the `htu` of proofs. Default: the host that the request names, which the client controls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_url: Option<String>,
    /// The proxy headers that tell which address the client has called, for servers with many names. Use it instead of
    /// `external_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarded: Option<ForwardedPolicy>,
    /// The accepted signature algorithms of proofs. Default: ES256, ES384, ES512, EdDSA, PS256 and RS256.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<schema::AlgorithmName>>"))]
    pub algorithms: Option<Algorithms>,
    /// The greatest age of a proof, by its `iat`. Default: 60 s, at most 10 min.
    #[serde(
        serialize_with = "text::optional::serialize",
        deserialize_with = "text::optional::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::base::time::schema::Span>"))]
    pub max_age: Option<Duration>,
    /// How far the `iat` of a proof may lie in the future. Default: 10 s, at most 10 min.
    #[serde(
        serialize_with = "text::optional::serialize",
        deserialize_with = "text::optional::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::base::time::schema::Span>"))]
    pub max_ahead: Option<Duration>,
    /// Requires a nonce of this server in every proof (RFC 9449 section 9). Nonces are made with a secret that only
    /// this process knows; use `nonce_secrets` for several instances.
    #[serde(skip_serializing_if = "super::is_false")]
    pub require_nonces: bool,
    /// Requires nonces that are made with the first of these secrets, and accepts those made with the others. Each is
    /// at least 32 random bytes. All instances of a service must have the same secrets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nonce_secrets: Vec<KeptSecret>,
    /// Where used proofs are remembered. Default: `own`.
    #[serde(skip_serializing_if = "super::is_default")]
    pub replay_memory: ReplayMemoryPolicy,
    /// What happens to requests while the replay memory is unreachable. Default: `refuse`.
    #[serde(skip_serializing_if = "super::is_default")]
    pub when_replay_memory_is_unreachable: WhenUnreachable,
    /// How many proofs this process remembers in its own memory. Default: 100,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_proofs: Option<usize>,
    /// How many proofs of a single key are remembered. Default: 1,000, enough for a steady 14 requests a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_proofs_per_key: Option<usize>,
}

/// Where used proofs are remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReplayMemoryPolicy {
    /// In the memory of this process. A proof can be used once at each instance.
    #[default]
    Own,
    /// In a memory that instances share. Code passes it with `adjust_dpop`; `token-gate --redis` does so by itself.
    /// Without one, the server fails to build.
    Shared,
}

/// The proxy headers that tell which address the client has called; see
/// [`Dpop::behind`](crate::possession::Dpop::behind).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ForwardedPolicy {
    /// Which header: `forwarded` (RFC 7239) or `x_forwarded`.
    pub field: ForwardedField,
    /// The trusted proxies, as addresses or networks: `10.1.0.0/16`.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub proxies: Vec<Network>,
}

/// Where the client certificate that tokens are bound to is found (RFC 8705); see
/// [`MutualTls`](crate::possession::MutualTls).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MutualTlsPolicy {
    /// The source: `connection`, `client_cert`, `xfcc`, `x_forwarded_tls_client_cert` or `escaped_pem`.
    pub from: CertificatePlace,
    /// The name of the header, in lower case. For `escaped_pem` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The proxies that may set the header, as addresses or networks: `10.1.0.0/16`. From anyone else the header is
    /// removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub proxies: Vec<Network>,
}

impl MutualTlsPolicy {
    pub(crate) fn new(from: CertificatePlace) -> Self {
        Self { from, field: None, proxies: Vec::new() }
    }
}

/// Where a client certificate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CertificatePlace {
    /// The TLS connection, which this server terminates itself.
    Connection,
    /// The header `Client-Cert` (RFC 9440).
    ClientCert,
    /// The header `X-Forwarded-Client-Cert`, as Envoy writes it.
    Xfcc,
    /// The header `X-Forwarded-Tls-Client-Cert`, as Traefik writes it.
    XForwardedTlsClientCert,
    /// A header that contains the certificate as percent-encoded PEM, as nginx writes `$ssl_client_escaped_cert`.
    EscapedPem,
}
