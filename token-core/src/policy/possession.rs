//! What a policy says of proofs of possession (RFC 9449).

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::answer::challenge::DpopPolicy;
use crate::base::time::text;
use crate::jose::algorithm::Algorithms;
#[cfg(feature = "schema")]
use crate::policy::schema;
use crate::policy::secret::KeptSecret;
use crate::request::forwarded::ForwardedField;
use crate::request::network::Network;
use crate::stores::WhenUnreachable;

/// How DPoP proofs are asked for and checked (RFC 9449). What no text can say, a replay memory that instances share, is added in code with `adjust_dpop`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ProofPolicy {
    /// Which schemes are taken where a layer says nothing else: `bearer`, `bearer_or_dpop` or `required`. Default `bearer_or_dpop`.
    pub schemes: DpopPolicy,
    /// Where clients reach this server: `https://api.example.com`, with a path where a proxy takes that away. Default: the host that the request
    /// names, which is the client's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_url: Option<String>,
    /// Where a proxy says which address the client has asked for, for servers with many names. In place of `external_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarded: Option<ForwardedPolicy>,
    /// What proofs may be signed with. Default ES256, ES384, ES512, EdDSA, PS256 and RS256.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<schema::AlgorithmName>>"))]
    pub algorithms: Option<Algorithms>,
    /// How old the `iat` of a proof may be. Default 60 s, at most 10 min.
    #[serde(
        serialize_with = "text::optional::serialize",
        deserialize_with = "some",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::base::time::schema::Span>"))]
    pub max_age: Option<Duration>,
    /// How far ahead the `iat` of a proof may be. Default 10 s, at most 10 min.
    #[serde(
        serialize_with = "text::optional::serialize",
        deserialize_with = "some",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::base::time::schema::Span>"))]
    pub max_ahead: Option<Duration>,
    /// Asks for a nonce of this server in every proof (RFC 9449 section 9), made with a secret of this process alone: `nonce_secrets` is for several instances.
    #[serde(skip_serializing_if = "super::is_false")]
    pub require_nonces: bool,
    /// Asks for nonces, made with the first of these secrets, at least 32 random bytes; those made with the others are taken, too. Instances behind one name share them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nonce_secrets: Vec<KeptSecret>,
    /// Where proofs are remembered that came. Default `own`.
    #[serde(skip_serializing_if = "super::is_default")]
    pub replay_memory: ReplayMemoryPolicy,
    /// What becomes of requests while that memory is out of reach. Default `refuse`.
    #[serde(skip_serializing_if = "super::is_default")]
    pub when_replay_memory_is_unreachable: WhenUnreachable,
    /// How many proofs this process's own memory has room for. Default 100,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_proofs: Option<usize>,
    /// How many of them may be of one key. Default 1,000: 14 requests a second, on and on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_proofs_per_key: Option<usize>,
}

/// Where proofs are remembered that came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReplayMemoryPolicy {
    /// In this process: a proof is good once at each instance.
    #[default]
    Own,
    /// In one that instances share, which code hands over with `adjust_dpop`, and `token-gate --redis` by itself. A server that was given none is not built.
    Shared,
}

/// Where a proxy says which address the client has asked for; see [`Dpop::behind`](crate::possession::Dpop::behind).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ForwardedPolicy {
    /// Which field: `forwarded` (RFC 7239) or `x_forwarded`.
    pub field: ForwardedField,
    /// The addresses or networks of the proxies that are believed: `10.1.0.0/16`.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub proxies: Vec<Network>,
}

/// Where the client's certificate is found that tokens are bound to (RFC 8705); see [`MutualTls`](crate::possession::MutualTls).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MutualTlsPolicy {
    /// Where: `connection`, `client_cert`, `xfcc`, `x_forwarded_tls_client_cert` or `escaped_pem`.
    pub from: CertificatePlace,
    /// The name of the header field, in lower case: for `escaped_pem` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The addresses or networks of the proxies that may write the field: `10.1.0.0/16`. The same field from anybody else is removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub proxies: Vec<Network>,
}

impl MutualTlsPolicy {
    pub(crate) fn new(from: CertificatePlace) -> Self {
        Self { from, field: None, proxies: Vec::new() }
    }
}

/// Where a certificate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CertificatePlace {
    /// From the connection: this server ends TLS itself.
    Connection,
    /// From the field `Client-Cert` (RFC 9440).
    ClientCert,
    /// From the field `X-Forwarded-Client-Cert` of Envoy.
    Xfcc,
    /// From the field `X-Forwarded-Tls-Client-Cert` of Traefik.
    XForwardedTlsClientCert,
    /// From a field with the PEM document percent-encoded, as nginx writes `$ssl_client_escaped_cert`.
    EscapedPem,
}

/// A span that is there; one that is left out is the default.
fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    text::deserialize(deserializer).map(Some)
}
