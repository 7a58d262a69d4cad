//! An algorithm goes in, the key material made for it beforehand comes out; see `keys/README.md`.

use token_core::Algorithm;

/// A key pair as PEM: PKCS #8 and SubjectPublicKeyInfo.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) name: &'static str,
    pub(crate) private: &'static str,
    pub(crate) public: &'static str,
}

/// Pairs to publish, and one that never is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    pub(crate) pairs: &'static [Pair],
    pub(crate) forger: Pair,
}

macro_rules! pair {
    ($name:literal) => {
        Pair {
            name: $name,
            private: include_str!(concat!("../keys/", $name, ".pem")),
            public: include_str!(concat!("../keys/", $name, ".pub.pem")),
        }
    };
}

const RSA: Family = Family {
    pairs: &[pair!("rsa-1"), pair!("rsa-2"), pair!("rsa-3"), pair!("rsa-4"), pair!("rsa-5")],
    forger: pair!("rsa-forger"),
};
const P256: Family =
    Family { pairs: &[pair!("p256-1"), pair!("p256-2"), pair!("p256-3")], forger: pair!("p256-forger") };
const P384: Family =
    Family { pairs: &[pair!("p384-1"), pair!("p384-2"), pair!("p384-3")], forger: pair!("p384-forger") };
const P521: Family =
    Family { pairs: &[pair!("p521-1"), pair!("p521-2"), pair!("p521-3")], forger: pair!("p521-forger") };
const ED25519: Family =
    Family { pairs: &[pair!("ed25519-1"), pair!("ed25519-2"), pair!("ed25519-3")], forger: pair!("ed25519-forger") };

const ML_DSA_44: Family =
    Family { pairs: &[pair!("ml-dsa-44-1"), pair!("ml-dsa-44-2")], forger: pair!("ml-dsa-44-forger") };
const ML_DSA_65: Family =
    Family { pairs: &[pair!("ml-dsa-65-1"), pair!("ml-dsa-65-2")], forger: pair!("ml-dsa-65-forger") };
const ML_DSA_87: Family =
    Family { pairs: &[pair!("ml-dsa-87-1"), pair!("ml-dsa-87-2")], forger: pair!("ml-dsa-87-forger") };

/// What a shared secret starts with: 64 bytes, enough for HS512.
pub(crate) const SECRET: &str = "this secret is printed in the sources of a test kit: never trust";

/// The pairs for an asymmetric algorithm.
///
/// # Panics
/// For an algorithm that nobody made keys for.
pub(crate) fn family(algorithm: Algorithm) -> Family {
    match algorithm {
        Algorithm::RS256
        | Algorithm::RS384
        | Algorithm::RS512
        | Algorithm::PS256
        | Algorithm::PS384
        | Algorithm::PS512 => RSA,
        Algorithm::ES256 => P256,
        Algorithm::ES384 => P384,
        Algorithm::ES512 => P521,
        Algorithm::EdDSA => ED25519,
        Algorithm::MlDsa44 => ML_DSA_44,
        Algorithm::MlDsa65 => ML_DSA_65,
        Algorithm::MlDsa87 => ML_DSA_87,
        other => unreachable!("no key pair was made for {other}"),
    }
}
