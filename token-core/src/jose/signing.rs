//! A private key or secret in, signatures and signed tokens out (RFC 7515 section 5.1): client assertions, test issuers.

use std::fmt;

use super::algorithm::{Algorithm, Scheme};
use super::base64url;
use super::der::{self, PrivateKind};
use super::material::Material;
use super::pem;
use super::signature::{Signer, generate_pkcs8};
use super::thumbprint::Thumbprint;
use super::unusable::UnusableKey;

/// A key to sign with.
///
/// A server that only verifies tokens needs none. The key's bytes never appear in `Debug`.
///
/// ```
/// use token_core::Algorithm;
/// use token_core::jose::signing::SigningKey;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let key = SigningKey::from_secret(Algorithm::HS256, Some("1"), &[7; 32])?;
/// let token = key.sign_jwt(r#"{"alg":"HS256","kid":"1"}"#, r#"{"sub":"ada"}"#)?;
/// assert_eq!(token.split('.').count(), 3);
/// # Ok(())
/// # }
/// ```
pub struct SigningKey {
    algorithm: Algorithm,
    kid: Option<Box<str>>,
    signer: Signer,
}

impl SigningKey {
    /// A private key from a PEM document with one PKCS#8 block (`PRIVATE KEY`), not encrypted.
    ///
    /// # Errors
    ///
    /// [`UnusableKey`] when the document holds something else, when the key does not fit `algorithm` (an RSA key of
    /// 2048 to 8192 bits, the curve of the ES algorithm, Ed25519, the parameter set of ML-DSA), or when the crypto backend does not offer it.
    pub fn from_pem(algorithm: Algorithm, kid: Option<&str>, pem: &[u8]) -> Result<Self, UnusableKey> {
        let (label, der) = pem::parse(pem)?;
        if label != "PRIVATE KEY" {
            return Err(UnusableKey::because("not an unencrypted PKCS#8 block labelled PRIVATE KEY"));
        }
        Self::from_pkcs8(algorithm, kid, &der)
    }

    /// A private key from PKCS#8 in DER, not encrypted.
    ///
    /// # Errors
    ///
    /// As [`SigningKey::from_pem`].
    pub fn from_pkcs8(algorithm: Algorithm, kid: Option<&str>, der: &[u8]) -> Result<Self, UnusableKey> {
        let fits = match (algorithm.scheme(), der::private_key_info(der)?) {
            (Scheme::RsaPkcs1(_) | Scheme::RsaPss(_), PrivateKind::Rsa(key)) => {
                der::rsa_private_key(key).map(|_| true)?
            }
            (Scheme::Ecdsa(curve), PrivateKind::Ec(other)) => curve == other,
            (Scheme::Ed25519, PrivateKind::Ed25519) => true,
            (Scheme::MlDsa(level), PrivateKind::MlDsa(other)) => level == other,
            _ => false,
        };
        if !fits {
            return Err(UnusableKey::because("the key does not fit the algorithm"));
        }
        Ok(Self { algorithm, kid: kid.map(Into::into), signer: Signer::from_pkcs8(algorithm, der)? })
    }

    /// A new key that exists nowhere else: for [`Algorithm::ES256`] on P-256, or for [`Algorithm::EdDSA`] on Ed25519. It cannot be read
    /// back out, and is gone with this value.
    ///
    /// # Errors
    ///
    /// [`UnusableKey`] for any other algorithm, and when the operating system gives no random bytes.
    pub fn generate(algorithm: Algorithm, kid: Option<&str>) -> Result<Self, UnusableKey> {
        Self::from_pkcs8(algorithm, kid, &generate_pkcs8(algorithm)?)
    }

    /// A shared secret for an HS algorithm, at least as long as its hash: 32, 48 or 64 bytes.
    ///
    /// # Errors
    ///
    /// [`UnusableKey`] when the secret is shorter, is a PEM document, or `algorithm` uses no secret.
    pub fn from_secret(algorithm: Algorithm, kid: Option<&str>, secret: &[u8]) -> Result<Self, UnusableKey> {
        Material::secret(algorithm, secret)?;
        Ok(Self { algorithm, kid: kid.map(Into::into), signer: Signer::from_secret(algorithm, secret)? })
    }

    /// The one algorithm this key signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key's name, as it was given.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The signature of `message`, in the bytes JWS uses: `r || s` for ECDSA.
    ///
    /// # Errors
    ///
    /// [`SigningError`] when the crypto backend fails, for want of memory or of randomness.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        self.signer.sign(message).ok_or(SigningError(()))
    }

    /// A token in the compact serialization (RFC 7515 section 7.1) of exactly these two texts.
    ///
    /// Neither text is looked at. The header has to name the algorithm and the key itself; a test can name others.
    ///
    /// # Errors
    ///
    /// As [`SigningKey::sign`].
    pub fn sign_jwt(&self, header_json: &str, claims_json: &str) -> Result<String, SigningError> {
        let mut token = base64url::encode(header_json.as_bytes());
        token.push('.');
        token.push_str(&base64url::encode(claims_json.as_bytes()));
        let signature = self.sign(token.as_bytes())?;
        token.push('.');
        token.push_str(&base64url::encode(&signature));
        Ok(token)
    }

    /// The public half as a JWK (RFC 7517 section 4) with `use`, `alg` and `kid`; `None` for a shared secret.
    #[must_use]
    pub fn public_jwk(&self) -> Option<serde_json::Value> {
        let mut jwk = serde_json::Map::new();
        for (member, value) in self.signer.public()?.jwk_members()? {
            jwk.insert(member.to_owned(), value.into());
        }
        jwk.insert("use".to_owned(), "sig".into());
        jwk.insert("alg".to_owned(), self.algorithm.name().into());
        if let Some(kid) = self.kid() {
            jwk.insert("kid".to_owned(), kid.into());
        }
        Some(jwk.into())
    }

    /// The thumbprint of the public half (RFC 7638), which tokens bound to this key hold; `None` for a shared secret.
    #[must_use]
    pub fn thumbprint(&self) -> Option<Thumbprint> {
        Thumbprint::of_members(self.public_jwk()?.as_object()?).ok()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("algorithm", &self.algorithm).field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// The crypto backend could not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningError(());

impl fmt::Display for SigningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the crypto backend could not sign")
    }
}

impl std::error::Error for SigningError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::jwk_set::Origin;
    use crate::jose::verification_key::VerificationKey;

    #[test]
    fn a_generated_key_signs_what_its_public_half_verifies_and_is_never_the_same() {
        for algorithm in [Algorithm::ES256, Algorithm::EdDSA] {
            let (key, other) =
                (SigningKey::generate(algorithm, None).unwrap(), SigningKey::generate(algorithm, None).unwrap());
            let jwk = key.public_jwk().unwrap();
            assert_ne!(Some(&jwk), other.public_jwk().as_ref(), "{algorithm}");
            let public = VerificationKey::from_jwk(&jwk, Origin::Fetched, None).unwrap();
            assert!(public.verify(algorithm, b"text", &key.sign(b"text").unwrap()), "{algorithm}");
            assert!(!public.verify(algorithm, b"text", &other.sign(b"text").unwrap()), "{algorithm}");
        }
    }

    #[test]
    fn no_key_is_generated_for_other_algorithms() {
        for algorithm in [Algorithm::HS256, Algorithm::RS256, Algorithm::ES384] {
            assert!(SigningKey::generate(algorithm, None).is_err(), "{algorithm}");
        }
    }
}
