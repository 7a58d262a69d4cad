//! Signatures through the pure-Rust crates, by way of jsonwebtoken's named provider (RFC 7518 section 3).
//!
//! The provider is named here; the process-wide one, which another crate may have set or left unset, is never asked.

use jsonwebtoken::crypto::CryptoProvider;
use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
use jsonwebtoken::jwk::{EllipticCurve, ThumbprintHash};
use jsonwebtoken::{Algorithm as Name, DecodingKey, EncodingKey};

use crate::jose::algorithm::{Algorithm, Curve, Hash, Scheme};
use crate::jose::der::{self, PrivateKind};
use crate::jose::material::Material;
use crate::jose::unusable::UnusableKey;

static PROVIDER: &CryptoProvider = &DEFAULT_PROVIDER;

const NOT_OFFERED: UnusableKey = UnusableKey::because("the rust-crypto backend does not offer the algorithm");
const REFUSED: UnusableKey = UnusableKey::because("the crypto backend refuses the key");
/// The `rsa` crate's own limit.
const LONGEST_MODULUS: usize = 4096 / 8;

/// A key for one algorithm. The library prepares it anew for every signature.
pub(crate) struct Verifier {
    name: Name,
    key: DecodingKey,
}

impl Verifier {
    pub(crate) fn new(algorithm: Algorithm, material: &Material) -> Result<Self, UnusableKey> {
        let name = name(algorithm)?;
        if !material.fits(algorithm) {
            return Err(UnusableKey::because("the key does not fit the algorithm"));
        }
        let key = match material {
            Material::Rsa { n, .. } if n.len() > LONGEST_MODULUS => {
                return Err(UnusableKey::because("the rust-crypto backend takes RSA keys up to 4096 bits only"));
            }
            Material::Rsa { n, e } => DecodingKey::from_rsa_raw_components(n, e),
            Material::Ec { point, .. } => DecodingKey::from_ec_der(point),
            Material::Ed25519(point) => DecodingKey::from_ed_der(point),
            Material::MlDsa { .. } => return Err(NOT_OFFERED),
            Material::Secret(secret) => DecodingKey::from_secret(secret),
        };
        // a point that is not on its curve is found out here
        (PROVIDER.verifier_factory)(&name, &key).map_err(|_| REFUSED)?;
        Ok(Self { name, key })
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        (PROVIDER.verifier_factory)(&self.name, &self.key)
            .is_ok_and(|verifier| verifier.verify(message, &signature.to_vec()).is_ok())
    }
}

/// A private key or secret for one algorithm.
pub(crate) struct Signer {
    name: Name,
    key: EncodingKey,
    public: Option<Material>,
}

impl Signer {
    /// `pkcs8` holds a key of the kind that `algorithm` needs.
    pub(crate) fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, UnusableKey> {
        let name = name(algorithm)?;
        let utils = &PROVIDER.key_utils;
        let (key, public) = match der::private_key_info(pkcs8)? {
            PrivateKind::Rsa(pkcs1) => {
                let public = der::rsa_private_key(pkcs1)?;
                (EncodingKey::from_rsa_der(pkcs1), public)
            }
            PrivateKind::Ec(curve) => {
                let (_, x, y) = (utils.ec_pub_components_from_private_key)(pkcs8, name).map_err(|_| REFUSED)?;
                (EncodingKey::from_ec_der(pkcs8), Material::ec_coordinates(curve, &x, &y)?)
            }
            PrivateKind::MlDsa(_) => return Err(NOT_OFFERED),
            PrivateKind::Ed25519 => {
                let x = (utils.ed_pub_components_from_private_key)(pkcs8, &EllipticCurve::Ed25519);
                (EncodingKey::from_ed_der(pkcs8), Material::ed25519(&x.map_err(|_| REFUSED)?)?)
            }
        };
        Self { name, key, public: Some(public) }.tried()
    }

    pub(crate) fn from_secret(algorithm: Algorithm, secret: &[u8]) -> Result<Self, UnusableKey> {
        Self { name: name(algorithm)?, key: EncodingKey::from_secret(secret), public: None }.tried()
    }

    /// Signs once, so that a key that cannot sign is refused when it is configured and not when it is needed.
    fn tried(self) -> Result<Self, UnusableKey> {
        self.sign(b"").map(|_| ()).ok_or(REFUSED)?;
        Ok(self)
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        (PROVIDER.signer_factory)(&self.name, &self.key).ok()?.try_sign(message).ok()
    }

    /// The public half; a secret has none.
    pub(crate) fn public(&self) -> Option<Material> {
        self.public.clone()
    }
}

/// PKCS#8 (RFC 5208) of a P-256 key (RFC 5915) and of an Ed25519 key (RFC 8410), up to the 32 bytes of the key itself.
const P256: &[u8] = &[
    0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x27, 0x30, 0x25, 0x02, 0x01, 0x01, 0x04, 0x20,
];
const ED25519: &[u8] =
    &[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A new private key of the algorithm's kind, as PKCS#8: 32 bytes of the operating system's randomness. For P-256 they are a number that
/// has to be below the order of the group, and all but one in four billion are (FIPS 186-5 A.2.2, testing candidates).
pub(crate) fn generate_pkcs8(algorithm: Algorithm) -> Result<Vec<u8>, UnusableKey> {
    let frame = match algorithm.scheme() {
        Scheme::Ecdsa(Curve::P256) => P256,
        Scheme::Ed25519 => ED25519,
        _ => return Err(UnusableKey::because("keys are generated for ES256 and EdDSA alone")),
    };
    let mut last = REFUSED;
    for _candidate in 0..8 {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|_| UnusableKey::because("no key could be generated"))?;
        let document = [frame, &key].concat();
        match Signer::from_pkcs8(algorithm, &document) {
            Ok(_) => return Ok(document),
            Err(refused) => last = refused,
        }
    }
    Err(last)
}

/// The SHA-256 digest of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = (PROVIDER.key_utils.compute_digest)(bytes, ThumbprintHash::SHA256)
        .expect("hashing bytes in memory has no way to fail");
    digest.try_into().expect("a SHA-256 digest has 32 bytes")
}

/// 32 bytes that nobody can guess; `None` where the system has none.
pub(crate) fn random() -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).is_ok().then_some(bytes)
}

/// The digest of `bytes`.
pub(crate) fn digest_of(hash: Hash, bytes: &[u8]) -> Vec<u8> {
    let hash = match hash {
        Hash::Sha256 => ThumbprintHash::SHA256,
        Hash::Sha384 => ThumbprintHash::SHA384,
        Hash::Sha512 => ThumbprintHash::SHA512,
    };
    (PROVIDER.key_utils.compute_digest)(bytes, hash).expect("hashing bytes in memory has no way to fail")
}

/// The library's word for the algorithm: the names are those of RFC 7518 on both sides.
fn name(algorithm: Algorithm) -> Result<Name, UnusableKey> {
    if algorithm.scheme() == Scheme::Ecdsa(Curve::P521) {
        return Err(NOT_OFFERED);
    }
    algorithm.name().parse().map_err(|_| NOT_OFFERED)
}
