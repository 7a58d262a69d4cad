//! Raw key numbers in, key material whose sizes and shapes are sound out (RFC 7518 section 6, RFC 8037 section 2, RFC 9964 section 3).

use std::fmt;

use super::algorithm::{Algorithm, Curve, Hash, Level, Scheme};
use super::unusable::UnusableKey;

/// What a signature is verified with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Material {
    /// Modulus and exponent, big-endian without leading zeros.
    Rsa { n: Box<[u8]>, e: Box<[u8]> },
    /// An uncompressed point, `04 || x || y`.
    Ec { curve: Curve, point: Box<[u8]> },
    /// An encoded point (RFC 8032 section 5.1.2).
    Ed25519([u8; 32]),
    /// An encoded public key (FIPS 204 section 7.2).
    MlDsa { level: Level, public: Box<[u8]> },
    /// A shared secret.
    Secret(Box<[u8]>),
}

impl Material {
    /// 2048 to 8192 bits: below is breakable, above is a way to make us work. The exponent is odd, at least 3 and at most
    /// 33 bits wide, for the same two reasons; every issuer uses 65537.
    pub(crate) fn rsa(n: &[u8], e: &[u8]) -> Result<Self, UnusableKey> {
        let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
        match bits(n) {
            0..2048 => return Err(UnusableKey::because("the RSA modulus is shorter than 2048 bits")),
            2048..=8192 => {}
            _ => return Err(UnusableKey::because("the RSA modulus is longer than 8192 bits")),
        }
        if !is_odd(n) {
            return Err(UnusableKey::because("the RSA modulus is even"));
        }
        if !is_odd(e) || bits(e) < 2 || bits(e) > 33 {
            return Err(UnusableKey::because("the RSA exponent is not an odd number from 3 up to 33 bits"));
        }
        Ok(Self::Rsa { n: n.into(), e: e.into() })
    }

    /// An uncompressed point of the right length. Whether it lies on the curve is found out by the backend, which
    /// refuses to prepare it otherwise.
    pub(crate) fn ec(curve: Curve, point: &[u8]) -> Result<Self, UnusableKey> {
        if point.len() != 1 + 2 * curve.len() || point[0] != 4 {
            return Err(UnusableKey::because("the point is not an uncompressed point of its curve"));
        }
        Ok(Self::Ec { curve, point: point.into() })
    }

    /// Both coordinates in full length (RFC 7518 section 6.2.1.2).
    pub(crate) fn ec_coordinates(curve: Curve, x: &[u8], y: &[u8]) -> Result<Self, UnusableKey> {
        if x.len() != curve.len() || y.len() != curve.len() {
            return Err(UnusableKey::because("a coordinate has another length than its curve"));
        }
        Self::ec(curve, &[&[4], x, y].concat())
    }

    /// 32 bytes that are not one of the points of small order, for which anyone can sign.
    pub(crate) fn ed25519(point: &[u8]) -> Result<Self, UnusableKey> {
        let point: [u8; 32] =
            point.try_into().map_err(|_| UnusableKey::because("an Ed25519 key has 32 bytes, this has not"))?;
        let mut without_sign = point;
        without_sign[31] &= 0x7f;
        if SMALL_ORDER.contains(&without_sign) {
            return Err(UnusableKey::because("the Ed25519 point is of small order"));
        }
        Ok(Self::Ed25519(point))
    }

    /// A secret at least as long as the hash (RFC 7518 section 3.2) that is not the text of a key document.
    pub(crate) fn secret(algorithm: Algorithm, secret: &[u8]) -> Result<Self, UnusableKey> {
        let Scheme::Hmac(hash) = algorithm.scheme() else {
            return Err(UnusableKey::because("the algorithm does not use a shared secret"));
        };
        if super::pem::looks_like_pem(secret) {
            return Err(UnusableKey::because("a PEM document is no shared secret"));
        }
        if secret.len() < hash.len() {
            return Err(UnusableKey::because("the secret is shorter than the hash of its algorithm"));
        }
        Ok(Self::Secret(secret.into()))
    }

    /// A public key of the length of its parameter set.
    pub(crate) fn ml_dsa(level: Level, public: &[u8]) -> Result<Self, UnusableKey> {
        if public.len() != level.public_len() {
            return Err(UnusableKey::because(
                "an ML-DSA key has 1312, 1952 or 2592 bytes as its algorithm says, this has not",
            ));
        }
        Ok(Self::MlDsa { level, public: public.into() })
    }

    /// Whether the algorithm works on this kind of key.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        match (self, algorithm.scheme()) {
            (Self::Rsa { .. }, Scheme::RsaPkcs1(_)) | (Self::Ed25519(_), Scheme::Ed25519) => true,
            // RFC 8017 section 9.1.1: hash and salt must fit into the modulus; from 2048 bits on they always do
            (Self::Rsa { .. }, Scheme::RsaPss(_)) => true,
            (Self::Ec { curve, .. }, Scheme::Ecdsa(other)) => *curve == other,
            (Self::MlDsa { level, .. }, Scheme::MlDsa(other)) => *level == other,
            (Self::Secret(secret), Scheme::Hmac(hash)) => secret.len() >= hash.len(),
            _ => false,
        }
    }

    /// How many bytes a signature of `algorithm` by this key has, always.
    pub(crate) fn signature_len(&self, algorithm: Algorithm) -> usize {
        match (self, algorithm.scheme()) {
            (Self::Rsa { n, .. }, _) => n.len(),
            (Self::Ec { curve, .. }, _) => 2 * curve.len(),
            (Self::Ed25519(_), _) => 64,
            (Self::MlDsa { level, .. }, _) => level.signature_len(),
            (Self::Secret(_), Scheme::Hmac(Hash::Sha256)) => 32,
            (Self::Secret(_), Scheme::Hmac(Hash::Sha384)) => 48,
            (Self::Secret(_), _) => 64,
        }
    }

    /// The members of a public JWK (RFC 7518 section 6); a secret has none.
    pub(crate) fn jwk_members(&self) -> Option<Vec<(&'static str, String)>> {
        use super::base64url::encode;
        Some(match self {
            Self::Rsa { n, e } => vec![("kty", "RSA".into()), ("n", encode(n)), ("e", encode(e))],
            Self::Ec { curve, point } => {
                let (x, y) = point[1..].split_at(curve.len());
                vec![("kty", "EC".into()), ("crv", curve.name().into()), ("x", encode(x)), ("y", encode(y))]
            }
            Self::Ed25519(x) => vec![("kty", "OKP".into()), ("crv", "Ed25519".into()), ("x", encode(x))],
            Self::MlDsa { level, public } => {
                vec![("kty", "AKP".into()), ("alg", level.algorithm().name().into()), ("pub", encode(public))]
            }
            Self::Secret(_) => return None,
        })
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { n, .. } => write!(f, "Rsa({} bits)", bits(n)),
            Self::Ec { curve, .. } => write!(f, "Ec({})", curve.name()),
            Self::Ed25519(_) => f.write_str("Ed25519"),
            Self::MlDsa { level, .. } => f.write_str(level.algorithm().name()),
            Self::Secret(_) => f.write_str("Secret(redacted)"),
        }
    }
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

fn is_odd(number: &[u8]) -> bool {
    number.last().is_some_and(|last| last % 2 == 1)
}

/// The points of Ed25519 whose order divides 8, in every encoding that a lenient decoder would read, sign bit cleared.
const SMALL_ORDER: [[u8; 32]; 7] = [
    low(0x00, 0x00),
    low(0x01, 0x00),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    low(0xec, 0xff),
    low(0xed, 0xff),
    low(0xee, 0xff),
];

/// A number whose first byte is `first` and whose others are `rest`, but for the sign bit.
const fn low(first: u8, rest: u8) -> [u8; 32] {
    let mut bytes = [rest; 32];
    bytes[0] = first;
    bytes[31] &= 0x7f;
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(bits: usize, last: u8) -> Vec<u8> {
        let mut bytes = vec![0xff; bits.div_ceil(8)];
        bytes[0] = 0xff_u8 >> (bytes.len() * 8 - bits);
        *bytes.last_mut().unwrap() = last;
        bytes
    }

    #[test]
    fn rsa_keys_have_sound_sizes() {
        let good = number(2048, 1);
        for (n, e, usable, why) in [
            (&good, &[1, 0, 1][..], true, "65537"),
            (&good, &[3], true, "3 is allowed"),
            (&good, &[0, 0, 1, 0, 1], true, "leading zeros are no bits"),
            (&good, &[1, 0xff, 0xff, 0xff, 0xff], true, "33 bits"),
            (&good, &[2, 0, 0, 0, 1], false, "34 bits"),
            (&good, &[1], false, "1 signs everything"),
            (&good, &[2], false, "even"),
            (&good, &[], false, "nothing"),
            (&good, &[0], false, "zero"),
            (&number(2048, 2), &[1, 0, 1], false, "an even modulus"),
            (&number(2047, 1), &[1, 0, 1], false, "2047 bits"),
            (&number(1024, 1), &[1, 0, 1], false, "1024 bits"),
            (&number(8192, 1), &[1, 0, 1], true, "8192 bits"),
            (&number(8193, 1), &[1, 0, 1], false, "8193 bits"),
            (&vec![], &[1, 0, 1], false, "no modulus"),
        ] {
            assert_eq!(Material::rsa(n, e).is_ok(), usable, "{why}");
        }
    }

    #[test]
    fn a_secret_is_as_long_as_the_hash_and_no_document() {
        for (algorithm, length, usable) in [
            (Algorithm::HS256, 31, false),
            (Algorithm::HS256, 32, true),
            (Algorithm::HS384, 47, false),
            (Algorithm::HS384, 48, true),
            (Algorithm::HS512, 63, false),
            (Algorithm::HS512, 64, true),
            (Algorithm::RS256, 64, false),
        ] {
            assert_eq!(Material::secret(algorithm, &vec![7; length]).is_ok(), usable, "{algorithm} {length}");
        }
        let pem = [b" ", &include_bytes!("testdata/rsa2048.pub.pem")[..]].concat();
        assert!(Material::secret(Algorithm::HS256, &pem).is_err(), "public material as a secret");
    }

    #[test]
    fn points_of_small_order_are_refused_with_either_sign() {
        for point in SMALL_ORDER {
            let mut other = point;
            other[31] |= 0x80;
            assert!(Material::ed25519(&point).is_err() && Material::ed25519(&other).is_err(), "{point:?}");
        }
        assert!(Material::ed25519(&[9; 32]).is_ok());
        assert!(Material::ed25519(&[9; 31]).is_err() && Material::ed25519(&[9; 33]).is_err());
    }

    #[test]
    fn debug_shows_no_secret() {
        let secret = Material::secret(Algorithm::HS256, b"canary-canary-canary-canary-canary").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(redacted)");
    }
}
