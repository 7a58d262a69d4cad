//! JOSE as tokens need it: algorithms, headers, keys, signatures (RFC 7515, 7517, 7518, 8037, 9864).
//!
//! [`Algorithms`] is a closed list of signature algorithms, [`UnusableKey`] says why a published key was skipped, and [`signing`] makes signatures for
//! tests and client assertions.

pub(crate) mod algorithm;
pub(crate) mod base64url;
mod der;
pub(crate) mod header;
mod jwk;
pub(crate) mod jwk_set;
mod material;
mod pem;
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
