//! The signature algorithms of JWS (RFC 7518 section 3, RFC 8037, RFC 9864, RFC 9964): one table, and sets over it.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes the enum and its table from one list, so that the two cannot disagree.
macro_rules! algorithms {
    ($($(#[$doc:meta])* $algorithm:ident, $($name:literal)|+, $scheme:expr;)+) => {
        /// How a token may be signed.
        ///
        /// There is no `none`: an unsigned token cannot be expressed, and so it cannot be allowed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Algorithm {
            $($(#[$doc])* $algorithm,)+
        }

        const TABLE: &[Row] =
            &[$(Row { algorithm: Algorithm::$algorithm, names: &[$($name),+], scheme: $scheme },)+];
    };
}

algorithms! {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256, "RS256", Scheme::RsaPkcs1(Hash::Sha256);
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384, "RS384", Scheme::RsaPkcs1(Hash::Sha384);
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512, "RS512", Scheme::RsaPkcs1(Hash::Sha512);
    /// RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes.
    PS256, "PS256", Scheme::RsaPss(Hash::Sha256);
    /// RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes.
    PS384, "PS384", Scheme::RsaPss(Hash::Sha384);
    /// RSASSA-PSS with SHA-512, MGF1 with SHA-512 and a salt of 64 bytes.
    PS512, "PS512", Scheme::RsaPss(Hash::Sha512);
    /// ECDSA on P-256 with SHA-256.
    ES256, "ES256", Scheme::Ecdsa(Curve::P256);
    /// ECDSA on P-384 with SHA-384.
    ES384, "ES384", Scheme::Ecdsa(Curve::P384);
    /// ECDSA on P-521 with SHA-512. The `rust-crypto` backend does not offer it.
    ES512, "ES512", Scheme::Ecdsa(Curve::P521);
    /// EdDSA on Ed25519. RFC 9864 calls it `Ed25519`; both names are read, `EdDSA` is written.
    EdDSA, "EdDSA" | "Ed25519", Scheme::Ed25519;
    /// HMAC with SHA-256. Whoever can verify can also sign.
    HS256, "HS256", Scheme::Hmac(Hash::Sha256);
    /// HMAC with SHA-384. Whoever can verify can also sign.
    HS384, "HS384", Scheme::Hmac(Hash::Sha384);
    /// HMAC with SHA-512. Whoever can verify can also sign.
    HS512, "HS512", Scheme::Hmac(Hash::Sha512);
    /// ML-DSA-44 (FIPS 204, RFC 9964): post-quantum. Allowed only where it is named. A token is about 4 KB long. Needs the `aws-lc-rs` backend.
    MlDsa44, "ML-DSA-44", Scheme::MlDsa(Level::L44);
    /// ML-DSA-65 (FIPS 204, RFC 9964): post-quantum. Allowed only where it is named. A token is about 5 KB long. Needs the `aws-lc-rs` backend.
    MlDsa65, "ML-DSA-65", Scheme::MlDsa(Level::L65);
    /// ML-DSA-87 (FIPS 204, RFC 9964): post-quantum. Allowed only where it is named. A token is about 7 KB long. Needs the `aws-lc-rs` backend.
    MlDsa87, "ML-DSA-87", Scheme::MlDsa(Level::L87);
}

struct Row {
    algorithm: Algorithm,
    /// The first is the one we write.
    names: &'static [&'static str],
    scheme: Scheme,
}

/// The mathematics behind a name, and with it the kind of key it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    RsaPkcs1(Hash),
    RsaPss(Hash),
    Ecdsa(Curve),
    Ed25519,
    Hmac(Hash),
    MlDsa(Level),
}

/// The parameter sets of ML-DSA (FIPS 204 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    L44,
    L65,
    L87,
}

impl Level {
    /// Length of a public key in bytes.
    pub(crate) const fn public_len(self) -> usize {
        match self {
            Self::L44 => 1312,
            Self::L65 => 1952,
            Self::L87 => 2592,
        }
    }

    /// Length of a signature in bytes.
    pub(crate) const fn signature_len(self) -> usize {
        match self {
            Self::L44 => 2420,
            Self::L65 => 3309,
            Self::L87 => 4627,
        }
    }

    /// The one algorithm of the set.
    pub(crate) const fn algorithm(self) -> Algorithm {
        match self {
            Self::L44 => Algorithm::MlDsa44,
            Self::L65 => Algorithm::MlDsa65,
            Self::L87 => Algorithm::MlDsa87,
        }
    }
}

/// The hash functions of JWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// Length of the digest in bytes.
    pub(crate) const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// The curves of the ECDSA algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    pub(crate) const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// The name a JWK gives it in `crv` (RFC 7518 section 6.2.1.1).
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// Length in bytes of a coordinate, and of `r` and of `s`.
    pub(crate) const fn len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

impl Algorithm {
    /// The name in a token's header and in a JWK, `alg`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().names[0]
    }

    /// The algorithm of this name, compared exactly (RFC 7515 section 4.1.1 makes names case-sensitive).
    /// `none` is no algorithm.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.names.contains(&name)).map(|row| row.algorithm)
    }

    /// Whether one secret both signs and verifies (HMAC).
    #[must_use]
    pub fn is_symmetric(self) -> bool {
        matches!(self.scheme(), Scheme::Hmac(_))
    }

    /// The hash that goes with the algorithm: where a claim holds a hash of something, it is made with this one (OpenID Connect
    /// Core section 3.1.3.6). Ed25519 hashes with SHA-512; no document says what goes with ML-DSA, which gets the strongest.
    pub(crate) fn hash(self) -> Hash {
        match self.scheme() {
            Scheme::RsaPkcs1(hash) | Scheme::RsaPss(hash) | Scheme::Hmac(hash) => hash,
            Scheme::Ecdsa(Curve::P256) => Hash::Sha256,
            Scheme::Ecdsa(Curve::P384) => Hash::Sha384,
            Scheme::Ecdsa(Curve::P521) | Scheme::Ed25519 | Scheme::MlDsa(_) => Hash::Sha512,
        }
    }

    pub(crate) fn scheme(self) -> Scheme {
        self.row().scheme
    }

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name is not one of [`Algorithm`]'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownAlgorithm(());

impl fmt::Display for UnknownAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown signature algorithm")
    }
}

impl std::error::Error for UnknownAlgorithm {}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        Self::from_name(name).ok_or(UnknownAlgorithm(()))
    }
}

impl Serialize for Algorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Algorithm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        name.parse().map_err(D::Error::custom)
    }
}

/// A set of algorithms: what a verifier allows.
///
/// ```
/// use token_core::{jose::Algorithms, Algorithm};
///
/// assert!(Algorithms::DEFAULT.contains(Algorithm::ES256));
/// assert!(!Algorithms::DEFAULT.contains(Algorithm::HS256));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Algorithms(u16);

impl Algorithms {
    /// What a verifier allows unless it is told otherwise: RS256, PS256, ES256, ES384 and EdDSA.
    pub const DEFAULT: Self =
        Self::of(&[Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA]);
    /// Everything that is verified with a public key.
    pub const ASYMMETRIC: Self = Self::all(false);
    /// Everything that is verified with a shared secret.
    pub const HMAC: Self = Self::all(true);

    /// No algorithm at all.
    #[must_use]
    pub const fn empty() -> Self {
        Self(0)
    }

    /// These algorithms.
    #[must_use]
    pub const fn of(algorithms: &[Algorithm]) -> Self {
        let mut set = Self::empty();
        let mut at = 0;
        while at < algorithms.len() {
            set = set.insert(algorithms[at]);
            at += 1;
        }
        set
    }

    const fn all(symmetric: bool) -> Self {
        let mut set = Self::empty();
        let mut at = 0;
        while at < TABLE.len() {
            if matches!(TABLE[at].scheme, Scheme::Hmac(_)) == symmetric {
                set = set.insert(TABLE[at].algorithm);
            }
            at += 1;
        }
        set
    }

    /// This set and `algorithm`.
    #[must_use]
    pub const fn insert(self, algorithm: Algorithm) -> Self {
        Self(self.0 | 1 << algorithm as u16)
    }

    /// This set without `algorithm`.
    #[must_use]
    pub const fn remove(self, algorithm: Algorithm) -> Self {
        Self(self.0 & !(1 << algorithm as u16))
    }

    /// Whether `algorithm` is in the set.
    #[must_use]
    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & 1 << algorithm as u16 != 0
    }

    /// What is in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in one of the sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The algorithms of the set, in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        TABLE.iter().map(|row| row.algorithm).filter(move |algorithm| self.contains(*algorithm))
    }
}

impl fmt::Debug for Algorithms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl From<Algorithm> for Algorithms {
    fn from(algorithm: Algorithm) -> Self {
        Self::empty().insert(algorithm)
    }
}

impl FromIterator<Algorithm> for Algorithms {
    fn from_iter<I: IntoIterator<Item = Algorithm>>(algorithms: I) -> Self {
        algorithms.into_iter().fold(Self::empty(), Self::insert)
    }
}

impl Extend<Algorithm> for Algorithms {
    fn extend<I: IntoIterator<Item = Algorithm>>(&mut self, algorithms: I) {
        *self = algorithms.into_iter().fold(*self, Self::insert);
    }
}

impl Serialize for Algorithms {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Algorithms {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Algorithm>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_enum() {
        for (at, row) in TABLE.iter().enumerate() {
            assert_eq!(row.algorithm as usize, at);
            assert_eq!(row.algorithm.name().replace("ML-DSA-", "MlDsa"), format!("{:?}", row.algorithm));
        }
        assert!(TABLE.len() <= 16, "a set is sixteen bits wide");
    }

    #[test]
    fn names_are_read_exactly() {
        for row in TABLE {
            for name in row.names {
                assert_eq!(Algorithm::from_name(name), Some(row.algorithm));
                assert_eq!(Algorithm::from_name(&name.to_lowercase()), None);
                assert_eq!(Algorithm::from_name(&name.replace('-', "")).is_none(), name.contains('-'));
                assert_eq!(Algorithm::from_name(&format!("{name} ")), None);
            }
        }
        for name in ["", "none", "None", "NONE", "nOnE", "RSA-OAEP", "ES256K", "Ed448", "HS1", "dir"] {
            assert_eq!(Algorithm::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn ed25519_is_another_name_of_eddsa_and_is_written_as_eddsa() {
        assert_eq!(Algorithm::from_name("Ed25519"), Some(Algorithm::EdDSA));
        assert_eq!(serde_json::to_string(&Algorithm::EdDSA).unwrap(), "\"EdDSA\"");
    }

    #[test]
    fn a_set_is_written_as_a_list_of_names() {
        let text = serde_json::to_string(&Algorithms::DEFAULT).unwrap();
        assert_eq!(text, r#"["RS256","PS256","ES256","ES384","EdDSA"]"#);
        assert_eq!(serde_json::from_str::<Algorithms>(&text).unwrap(), Algorithms::DEFAULT);
        assert!(serde_json::from_str::<Algorithms>(r#"["RS256","none"]"#).is_err());
        assert_eq!(format!("{:?}", Algorithms::from(Algorithm::PS384)), "{PS384}");
    }

    #[test]
    fn symmetric_and_asymmetric_share_nothing_and_leave_nothing_out() {
        assert!(Algorithms::HMAC.intersection(Algorithms::ASYMMETRIC).is_empty());
        assert_eq!(Algorithms::HMAC.union(Algorithms::ASYMMETRIC).iter().count(), TABLE.len());
        assert!(Algorithms::HMAC.iter().all(Algorithm::is_symmetric));
        assert!(!Algorithms::ASYMMETRIC.iter().any(Algorithm::is_symmetric));
        assert!(
            !Algorithms::DEFAULT.iter().any(|one| matches!(one.scheme(), Scheme::MlDsa(_))),
            "only where it is named"
        );
        assert!(Algorithms::DEFAULT.remove(Algorithm::ES256).iter().all(|one| one != Algorithm::ES256));
    }
}
