//! What a policy says of proofs of possession (RFC 9449).

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::answer::challenge::DpopPolicy;
use crate::base::time::text;
use crate::jose::algorithm::Algorithms;
#[cfg(feature = "schema")]
use crate::policy::schema;

/// How DPoP proofs are asked for and checked (RFC 9449). What no text can say, a shared replay memory and shared secrets for nonces, is added in code with `adjust_dpop`.
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
    /// Asks for a nonce of this server in every proof (RFC 9449 section 9).
    #[serde(skip_serializing_if = "super::is_false")]
    pub require_nonces: bool,
    /// How many proofs this process's own memory has room for. Default 100,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_proofs: Option<usize>,
    /// How many of them may be of one key. Default 1,000: 14 requests a second, on and on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_proofs_per_key: Option<usize>,
}

/// A span that is there; one that is left out is the default.
fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    text::deserialize(deserializer).map(Some)
}
