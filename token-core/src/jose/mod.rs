//! JOSE as tokens need it: algorithms, headers, keys, signatures (RFC 7515, 7517, 7518, 8037, 9864, 9964).
//!
//! [`Algorithms`] is a closed list of signature algorithms, [`UnusableKey`] says why a published key was skipped, and [`signing`] makes signatures for
//! tests and client assertions. [`encryption`] opens encrypted tokens.
//!
//! # Post-quantum signatures
//!
//! ML-DSA-44, ML-DSA-65 and ML-DSA-87 (RFC 9964) are verified with keys of type `AKP`, through `aws-lc-rs`. No issuer's tokens may be signed with them
//! unless you name them: `issuer.algorithms([Algorithm::MlDsa65])`. Their signatures alone have 3,227, 4,412 and 6,170 characters, so a token has 4 to 7 KB.
//! What a request's header may hold, as measured with one long `Authorization` field:
//!
//! | server | HTTP/1.1 | HTTP/2 | beyond that |
//! | --- | --- | --- | --- |
//! | this library | 16 KiB, [`max_token_bytes`](crate::ResourceServerBuilder::max_token_bytes) | the same | 401 |
//! | hyper 1.12 (axum 0.8) | 400,000 bytes and more | a token of 16,000 bytes, not of 16,100: all fields together have 16 KiB | 431 |
//! | actix-web 4 | a token of 130,000 bytes, not of 132,000 | not measured | 431 |
//! | nginx 1.22, as installed | a token of 8,168 bytes: `large_client_header_buffers` has 8 KiB a field | 9,000 bytes, not 16,000 | 400 |
//!
//! A cookie of 4 KiB, the most that browsers keep, holds none of these tokens. Envoy was not measured.

pub(crate) mod algorithm;
pub(crate) mod base64url;
mod der;
pub mod encryption;
pub(crate) mod header;
mod jwk;
pub(crate) mod jwk_set;
mod material;
pub(crate) mod pem;
pub(crate) mod signature;
pub mod signing;
#[cfg(test)]
mod tests;
pub(crate) mod thumbprint;
mod unusable;
mod verification_key;

pub(crate) use algorithm::Algorithm;
pub use algorithm::{Algorithms, UnknownAlgorithm};
pub use jwk_set::SkippedKey;
pub use unusable::UnusableKey;
pub(crate) use verification_key::{VerificationKey, public_jwk};
