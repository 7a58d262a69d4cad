//! Signatures through aws-lc-rs, with every key prepared once (RFC 7518 section 3, RFC 8037 section 3.1, RFC 9964).

use aws_lc_rs::digest::{self, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm, Ed25519KeyPair, KeyPair as _,
    ParsedPublicKey, PqdsaKeyPair, PqdsaSigningAlgorithm, PqdsaVerificationAlgorithm, RsaEncoding, RsaKeyPair,
    RsaParameters, RsaPublicKeyComponents,
};

use crate::jose::algorithm::{Algorithm, Curve, Hash, Level, Scheme};
use crate::jose::der;
use crate::jose::material::Material;
use crate::jose::unusable::UnusableKey;

/// The longest ECDSA signature in DER: a sequence of two numbers of 66 bytes and a zero byte each.
const LONGEST_DER: usize = 3 + 2 * (2 + 1 + 66);

const REFUSED: UnusableKey = UnusableKey::because("the crypto backend refuses the key");

/// A key made ready for one algorithm.
pub(crate) enum Verifier {
    /// The digest is computed here: one allocation less in the library than letting it do so.
    Rsa {
        key: ParsedPublicKey,
        hash: &'static digest::Algorithm,
    },
    /// The key takes signatures in DER: writing that on our stack is cheaper than the library's own conversion.
    Ec {
        key: ParsedPublicKey,
        hash: &'static digest::Algorithm,
        curve: Curve,
    },
    Ed25519(ParsedPublicKey),
    MlDsa(ParsedPublicKey),
    Hmac(Box<hmac::Key>),
}

impl Verifier {
    pub(crate) fn new(algorithm: Algorithm, material: &Material) -> Result<Self, UnusableKey> {
        match (algorithm.scheme(), material) {
            (Scheme::RsaPkcs1(hash) | Scheme::RsaPss(hash), Material::Rsa { n, e }) => {
                let key = RsaPublicKeyComponents { n, e }.to_parsed_public_key(rsa(algorithm.scheme()).ok_or(REFUSED)?);
                Ok(Self::Rsa { key: key.map_err(|_| REFUSED)?, hash: hasher(hash) })
            }
            (Scheme::Ecdsa(curve), Material::Ec { curve: of_key, point }) if curve == *of_key => {
                let (verification, _, hash) = ecdsa(curve);
                let key = ParsedPublicKey::new(verification, point)
                    .map_err(|_| UnusableKey::because("the point does not lie on its curve"))?;
                Ok(Self::Ec { key, hash: hasher(hash), curve })
            }
            (Scheme::Ed25519, Material::Ed25519(point)) => {
                ParsedPublicKey::new(&signature::ED25519, point).map(Self::Ed25519).map_err(|_| REFUSED)
            }
            (Scheme::MlDsa(level), Material::MlDsa { level: of_key, public }) if level == *of_key => {
                ParsedPublicKey::new(ml_dsa(level).0, public).map(Self::MlDsa).map_err(|_| REFUSED)
            }
            (Scheme::Hmac(hash), Material::Secret(secret)) => {
                Ok(Self::Hmac(Box::new(hmac::Key::new(mac(hash), secret))))
            }
            _ => Err(UnusableKey::because("the key does not fit the algorithm")),
        }
    }

    #[inline]
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa { key, hash } => key.verify_digest_sig(&digest(hash, message), signature).is_ok(),
            Self::Ec { key, hash, curve } => {
                let mut room = [0; LONGEST_DER];
                fixed_to_der(*curve, signature, &mut room)
                    .is_some_and(|der| key.verify_digest_sig(&digest(hash, message), der).is_ok())
            }
            Self::Ed25519(key) | Self::MlDsa(key) => key.verify_sig(message, signature).is_ok(),
            Self::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }
}

/// Writes `r || s` as a DER sequence into `room`; `None` when the length is not that of the curve or a number is zero.
/// That both are below the order of the curve is checked by the library.
fn fixed_to_der<'room>(curve: Curve, fixed: &[u8], room: &'room mut [u8; LONGEST_DER]) -> Option<&'room [u8]> {
    if fixed.len() != 2 * curve.len() {
        return None;
    }
    let (r, s) = fixed.split_at(curve.len());
    // the three bytes in front are the sequence's own, of which short curves use two
    let middle = write_number(r, room, 3)?;
    let end = write_number(s, room, middle)?;
    let start = match u8::try_from(end - 3).expect("two numbers of 66 bytes are at most 138 bytes") {
        length @ 0..=0x7f => {
            room[1..3].copy_from_slice(&[0x30, length]);
            1
        }
        length => {
            room[..3].copy_from_slice(&[0x30, 0x81, length]);
            0
        }
    };
    room.get(start..end)
}

fn write_number(number: &[u8], room: &mut [u8; LONGEST_DER], at: usize) -> Option<usize> {
    let number = &number[number.iter().position(|byte| *byte != 0)?..];
    let sign = usize::from(number[0] >= 0x80);
    let length = number.len() + sign;
    room[at] = 0x02;
    room[at + 1] = u8::try_from(length).ok()?;
    let end = at + 2 + length;
    room[at + 2 + sign..end].copy_from_slice(number);
    Some(end)
}

/// A private key or secret, ready to sign with one algorithm.
pub(crate) enum Signer {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    MlDsa(PqdsaKeyPair),
    Hmac(Box<hmac::Key>),
}

impl Signer {
    /// `pkcs8` holds a key of the kind that `algorithm` needs.
    pub(crate) fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, UnusableKey> {
        match algorithm.scheme() {
            scheme @ (Scheme::RsaPkcs1(_) | Scheme::RsaPss(_)) => {
                let encoding = rsa_signing(scheme).ok_or(REFUSED)?;
                RsaKeyPair::from_pkcs8(pkcs8).map(|pair| Self::Rsa(pair, encoding)).map_err(|_| REFUSED)
            }
            Scheme::Ecdsa(curve) => EcdsaKeyPair::from_pkcs8(ecdsa(curve).1, pkcs8).map(Self::Ec).map_err(|_| REFUSED),
            Scheme::Ed25519 => Ed25519KeyPair::from_pkcs8(pkcs8).map(Self::Ed25519).map_err(|_| REFUSED),
            Scheme::MlDsa(level) => {
                PqdsaKeyPair::from_pkcs8(ml_dsa(level).1, pkcs8).map(Self::MlDsa).map_err(|_| REFUSED)
            }
            Scheme::Hmac(_) => Err(UnusableKey::because("the algorithm uses a shared secret")),
        }
    }

    pub(crate) fn from_secret(algorithm: Algorithm, secret: &[u8]) -> Result<Self, UnusableKey> {
        match algorithm.scheme() {
            Scheme::Hmac(hash) => Ok(Self::Hmac(Box::new(hmac::Key::new(mac(hash), secret)))),
            _ => Err(UnusableKey::because("the algorithm does not use a shared secret")),
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature).ok()?;
                Some(signature)
            }
            Self::Ec(pair) => Some(pair.sign(&random, message).ok()?.as_ref().to_vec()),
            Self::Ed25519(pair) => Some(pair.try_sign(message).ok()?.as_ref().to_vec()),
            Self::MlDsa(pair) => {
                let mut signature = vec![0; pair.algorithm().signature_len()];
                let length = pair.sign(message, &mut signature).ok()?;
                signature.truncate(length);
                Some(signature)
            }
            Self::Hmac(key) => Some(hmac::sign(key, message).as_ref().to_vec()),
        }
    }

    /// The public half; a secret has none.
    pub(crate) fn public(&self) -> Option<Material> {
        match self {
            Self::Rsa(pair, _) => der::rsa_public_key(pair.public_key().as_ref()).ok(),
            Self::Ec(pair) => {
                let point = pair.public_key().as_ref();
                let curve = Curve::ALL.into_iter().find(|curve| 1 + 2 * curve.len() == point.len())?;
                Material::ec(curve, point).ok()
            }
            Self::Ed25519(pair) => Material::ed25519(pair.public_key().as_ref()).ok(),
            Self::MlDsa(pair) => {
                let public = pair.public_key().as_ref();
                let mut levels = [Level::L44, Level::L65, Level::L87].into_iter();
                let level = levels.find(|level| level.public_len() == public.len())?;
                Material::ml_dsa(level, public).ok()
            }
            Self::Hmac(_) => None,
        }
    }
}

/// A new private key of the algorithm's kind, as PKCS#8.
pub(crate) fn generate_pkcs8(algorithm: Algorithm) -> Result<Vec<u8>, UnusableKey> {
    let random = SystemRandom::new();
    let document = match algorithm.scheme() {
        Scheme::Ecdsa(Curve::P256) => EcdsaKeyPair::generate_pkcs8(ecdsa(Curve::P256).1, &random),
        Scheme::Ed25519 => Ed25519KeyPair::generate_pkcs8(&random),
        _ => return Err(UnusableKey::because("keys are generated for ES256 and EdDSA alone")),
    };
    document.map(|document| document.as_ref().to_vec()).map_err(|_| UnusableKey::because("no key could be generated"))
}

/// The SHA-256 digest of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&digest::SHA256, bytes).as_ref());
    out
}

/// 32 bytes that nobody can guess; `None` where the system has none.
pub(crate) fn random() -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).is_ok().then_some(bytes)
}

/// The digest of `bytes`.
pub(crate) fn digest_of(hash: Hash, bytes: &[u8]) -> Vec<u8> {
    digest(hasher(hash), bytes).as_ref().to_vec()
}

fn hasher(hash: Hash) -> &'static digest::Algorithm {
    match hash {
        Hash::Sha256 => &digest::SHA256,
        Hash::Sha384 => &digest::SHA384,
        Hash::Sha512 => &digest::SHA512,
    }
}

fn mac(hash: Hash) -> hmac::Algorithm {
    match hash {
        Hash::Sha256 => hmac::HMAC_SHA256,
        Hash::Sha384 => hmac::HMAC_SHA384,
        Hash::Sha512 => hmac::HMAC_SHA512,
    }
}

/// PSS parameters take a salt as long as the hash, and no other.
fn rsa(scheme: Scheme) -> Option<&'static RsaParameters> {
    Some(match scheme {
        Scheme::RsaPkcs1(Hash::Sha256) => &signature::RSA_PKCS1_2048_8192_SHA256,
        Scheme::RsaPkcs1(Hash::Sha384) => &signature::RSA_PKCS1_2048_8192_SHA384,
        Scheme::RsaPkcs1(Hash::Sha512) => &signature::RSA_PKCS1_2048_8192_SHA512,
        Scheme::RsaPss(Hash::Sha256) => &signature::RSA_PSS_2048_8192_SHA256,
        Scheme::RsaPss(Hash::Sha384) => &signature::RSA_PSS_2048_8192_SHA384,
        Scheme::RsaPss(Hash::Sha512) => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn rsa_signing(scheme: Scheme) -> Option<&'static dyn RsaEncoding> {
    Some(match scheme {
        Scheme::RsaPkcs1(Hash::Sha256) => &signature::RSA_PKCS1_SHA256,
        Scheme::RsaPkcs1(Hash::Sha384) => &signature::RSA_PKCS1_SHA384,
        Scheme::RsaPkcs1(Hash::Sha512) => &signature::RSA_PKCS1_SHA512,
        Scheme::RsaPss(Hash::Sha256) => &signature::RSA_PSS_SHA256,
        Scheme::RsaPss(Hash::Sha384) => &signature::RSA_PSS_SHA384,
        Scheme::RsaPss(Hash::Sha512) => &signature::RSA_PSS_SHA512,
        _ => return None,
    })
}

fn ml_dsa(level: Level) -> (&'static PqdsaVerificationAlgorithm, &'static PqdsaSigningAlgorithm) {
    use signature::{ML_DSA_44, ML_DSA_44_SIGNING, ML_DSA_65, ML_DSA_65_SIGNING, ML_DSA_87, ML_DSA_87_SIGNING};
    match level {
        Level::L44 => (&ML_DSA_44, &ML_DSA_44_SIGNING),
        Level::L65 => (&ML_DSA_65, &ML_DSA_65_SIGNING),
        Level::L87 => (&ML_DSA_87, &ML_DSA_87_SIGNING),
    }
}

/// Each curve with the one hash RFC 7518 section 3.4 gives it.
fn ecdsa(curve: Curve) -> (&'static EcdsaVerificationAlgorithm, &'static EcdsaSigningAlgorithm, Hash) {
    use signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_ASN1,
        ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_ASN1, ECDSA_P521_SHA512_FIXED_SIGNING,
    };
    match curve {
        Curve::P256 => (&ECDSA_P256_SHA256_ASN1, &ECDSA_P256_SHA256_FIXED_SIGNING, Hash::Sha256),
        Curve::P384 => (&ECDSA_P384_SHA384_ASN1, &ECDSA_P384_SHA384_FIXED_SIGNING, Hash::Sha384),
        Curve::P521 => (&ECDSA_P521_SHA512_ASN1, &ECDSA_P521_SHA512_FIXED_SIGNING, Hash::Sha512),
    }
}
