//! JOSE as tokens need it: algorithms, headers, keys, signatures (RFC 7515, 7517, 7518, 8037, 9864).

mod algorithm;
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

pub use algorithm::{Algorithm, Algorithms, UnknownAlgorithm};
pub use jwk_set::SkippedKey;
pub use unusable::UnusableKey;
pub(crate) use verification_key::{VerificationKey, public_jwk};
