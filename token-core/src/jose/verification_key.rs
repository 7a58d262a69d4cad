//! Key material in, a key that verifies out: prepared once, asked often (RFC 7515 section 5.2).

use std::fmt;
use std::sync::OnceLock;

use super::algorithm::{Algorithm, Algorithms};
use super::header::LONGEST_KID;
use super::material::Material;
use super::signature::{Verifier, sha256};
use super::unusable::UnusableKey;
use super::{der, pem};
use crate::base::sync::atomic::{AtomicBool, Ordering};

/// A key that signatures are verified with, bound to the algorithms it may be used for.
pub(crate) struct VerificationKey {
    kid: Option<Box<str>>,
    issuer: Option<Box<str>>,
    algorithms: Algorithms,
    prepared: Box<[Prepared]>,
    material: Material,
    identity: [u8; 32],
    retired: AtomicBool,
}

/// The key made ready for one of its algorithms. The first is ready from the start, which also proves that the backend
/// takes the key; an RSA key that is bound to none of its six gets the others ready when a token first asks.
struct Prepared {
    algorithm: Algorithm,
    signature_len: usize,
    verifier: OnceLock<Option<Verifier>>,
}

/// The public key of a PEM document, as the members of a JWK.
pub(crate) fn public_jwk(pem: &[u8]) -> Result<serde_json::Map<String, serde_json::Value>, UnusableKey> {
    let members = material(pem)?.jwk_members().ok_or(UnusableKey::because("a secret is never published"))?;
    Ok(members.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
}

fn material(pem: &[u8]) -> Result<Material, UnusableKey> {
    let (label, der) = pem::parse(pem)?;
    match label {
        "PUBLIC KEY" => der::subject_public_key_info(&der),
        "RSA PUBLIC KEY" => der::rsa_public_key(&der),
        "CERTIFICATE" => der::certificate(&der),
        _ if label.ends_with("PRIVATE KEY") => {
            Err(UnusableKey::because("a private key is no way to verify; configure its public key"))
        }
        _ => Err(UnusableKey::because("the PEM block is neither a public key nor a certificate")),
    }
}

impl VerificationKey {
    /// A shared secret for one HS algorithm, at least as long as its hash.
    pub(crate) fn from_secret(algorithm: Algorithm, kid: Option<&str>, secret: &[u8]) -> Result<Self, UnusableKey> {
        Self::new(Material::secret(algorithm, secret)?, algorithm.into(), kid, None)
    }

    /// The public key of a PEM document with one block: `PUBLIC KEY` (SPKI), `RSA PUBLIC KEY` (PKCS#1) or `CERTIFICATE`,
    /// whose signature and validity are not looked at.
    pub(crate) fn from_pem(algorithm: Algorithm, kid: Option<&str>, pem: &[u8]) -> Result<Self, UnusableKey> {
        Self::new(material(pem)?, algorithm.into(), kid, None)
    }

    /// A key for those of `algorithms` that its kind fits.
    pub(super) fn new(
        material: Material,
        algorithms: Algorithms,
        kid: Option<&str>,
        issuer: Option<&str>,
    ) -> Result<Self, UnusableKey> {
        let algorithms: Algorithms = algorithms.iter().filter(|algorithm| material.fits(*algorithm)).collect();
        let prepared: Box<[Prepared]> = algorithms
            .iter()
            .map(|algorithm| Prepared {
                algorithm,
                signature_len: material.signature_len(algorithm),
                verifier: OnceLock::new(),
            })
            .collect();
        let first = prepared.first().ok_or(UnusableKey::because("the key does not fit the algorithm"))?;
        let verifier = Verifier::new(first.algorithm, &material)?;
        first.verifier.get_or_init(|| Some(verifier));
        let identity = identity(&material, algorithms, kid, issuer);
        Ok(Self {
            kid: kid.map(Into::into),
            issuer: issuer.map(Into::into),
            algorithms,
            prepared,
            material,
            identity,
            retired: AtomicBool::new(false),
        })
    }

    /// The same key by this name.
    pub(crate) fn called(&self, kid: &str) -> Result<Self, UnusableKey> {
        if kid.is_empty() || kid.len() > LONGEST_KID {
            return Err(UnusableKey::because("expected a kid of 1 to 512 bytes"));
        }
        Self::new(self.material.clone(), self.algorithms, Some(kid), self.issuer())
    }

    /// The same key for these algorithms and no others.
    pub(crate) fn only_for(&self, algorithms: Algorithms) -> Result<Self, UnusableKey> {
        Self::new(self.material.clone(), self.algorithms.intersection(algorithms), self.kid(), self.issuer())
    }

    /// Whether `signature`, in the raw bytes of JWS, is one of `message` by this key. An algorithm that the key is not for
    /// never verifies.
    #[inline]
    pub(crate) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let Some(prepared) = self.prepared.iter().find(|prepared| prepared.algorithm == algorithm) else {
            return false;
        };
        if signature.len() != prepared.signature_len {
            return false;
        }
        let verifier = prepared.verifier.get_or_init(|| Verifier::new(algorithm, &self.material).ok());
        verifier.as_ref().is_some_and(|verifier| verifier.verify(message, signature))
    }

    /// Whether the key may be used with the algorithm.
    #[inline]
    pub(crate) fn can(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(algorithm)
    }

    pub(crate) fn algorithms(&self) -> Algorithms {
        self.algorithms
    }

    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The issuer that the JWK itself names: Entra signs for many tenants from one set, and a token must be of the issuer
    /// its key is for. The caller compares.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Equal for two keys exactly when material, name, algorithms and issuer are.
    pub(crate) fn identity(&self) -> &[u8; 32] {
        &self.identity
    }

    /// Whether the issuer has withdrawn the key since it was loaded. A token verified by it earlier must not pass again.
    #[inline]
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey")
            .field("kid", &self.kid)
            .field("material", &self.material)
            .field("algorithms", &self.algorithms)
            .field("retired", &self.is_retired())
            .finish_non_exhaustive()
    }
}

/// A digest of everything that makes the key this key. Every part is preceded by its length.
fn identity(material: &Material, algorithms: Algorithms, kid: Option<&str>, issuer: Option<&str>) -> [u8; 32] {
    let (kind, first, second): (&str, &[u8], &[u8]) = match material {
        Material::Rsa { n, e } => ("RSA", n, e),
        Material::Ec { curve, point } => (curve.name(), point, &[]),
        Material::Ed25519(point) => ("Ed25519", point, &[]),
        Material::MlDsa { level, public } => (level.algorithm().name(), public, &[]),
        Material::Secret(secret) => ("oct", secret, &[]),
    };
    let names: String = algorithms.iter().map(Algorithm::name).collect();
    let mut text = vec![u8::from(kid.is_some()), u8::from(issuer.is_some())];
    let (kid, issuer) = (kid.unwrap_or_default().as_bytes(), issuer.unwrap_or_default().as_bytes());
    for part in [kind.as_bytes(), first, second, names.as_bytes(), kid, issuer] {
        text.extend_from_slice(&(part.len() as u64).to_be_bytes());
        text.extend_from_slice(part);
    }
    sha256(&text)
}
