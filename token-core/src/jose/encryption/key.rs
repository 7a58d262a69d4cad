//! Keys that open encrypted tokens, from what operators have: PEM, JWK, a secret (RFC 7517, RFC 7518 section 6).

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use zeroize::Zeroizing;

use super::backend::{self, AgreementPrivate, RsaPrivate};
use super::header::{Agreement, PublicPoint};
use super::open::derive;
use super::recipient::{EncryptionKey, Jwk, NO_KEY, Purpose, Recipient, members, named};
use super::{ContentEncryption, KeyManagement};
use crate::jose::algorithm::Hash;
use crate::jose::material::Material;
use crate::jose::signature::digest_of;
use crate::jose::unusable::UnusableKey;
use crate::jose::{der, pem};

/// A private key or secret that encrypted tokens are opened with, bound to one `alg`; a secret to one `enc`, too.
///
/// Clones share one key. `Debug` shows algorithm and name, and nothing else; the key is wiped from memory when the last clone is dropped.
#[derive(Clone)]
pub struct DecryptionKey(Arc<Private>);

struct Private {
    algorithm: KeyManagement,
    kid: Option<Box<str>>,
    secret: Secret,
}

enum Secret {
    Direct(ContentEncryption, Zeroizing<Vec<u8>>),
    Rsa(RsaPrivate),
    Agreement(AgreementPrivate),
}

impl DecryptionKey {
    /// A private key from a PEM document with one PKCS#8 block (`PRIVATE KEY`), not encrypted: RSA for the OAEP algorithms, P-256 or X25519 for
    /// `ECDH-ES`.
    ///
    /// # Errors
    /// [`UnusableKey`] when the document holds something else, the key does not fit `algorithm`, `kid` has more than 512 bytes, or the backend
    /// `aws-lc-rs` is not built in.
    pub fn from_pem(algorithm: KeyManagement, kid: Option<&str>, pem: &[u8]) -> Result<Self, UnusableKey> {
        let (label, der) = pem::parse(pem)?;
        let der = Zeroizing::new(der);
        if label != "PRIVATE KEY" {
            return Err(UnusableKey::because("not an unencrypted PKCS#8 block labelled PRIVATE KEY"));
        }
        Self::from_pkcs8(algorithm, kid, &der)
    }

    fn from_pkcs8(algorithm: KeyManagement, kid: Option<&str>, document: &[u8]) -> Result<Self, UnusableKey> {
        backend::offered()?;
        let secret = match algorithm {
            KeyManagement::Direct => {
                return Err(UnusableKey::because("dir uses a secret, not a private key"));
            }
            KeyManagement::RsaOaep | KeyManagement::RsaOaep256 => match der::private_key_info(document)? {
                der::PrivateKind::Rsa(key) => {
                    der::rsa_private_key(key)?;
                    Secret::Rsa(RsaPrivate::from_pkcs8(document)?)
                }
                _ => return Err(NO_KEY),
            },
            KeyManagement::EcdhEs => match der::x25519_private_key(document) {
                Some(seed) => Secret::Agreement(AgreementPrivate::x25519(seed)?),
                None => match der::private_key_info(document)? {
                    der::PrivateKind::Ec(crate::jose::algorithm::Curve::P256) => {
                        Secret::Agreement(AgreementPrivate::p256_from_pkcs8(document)?)
                    }
                    _ => return Err(UnusableKey::because("ECDH-ES is taken with keys on P-256 and X25519")),
                },
            },
        };
        Self::new(algorithm, kid, secret)
    }

    /// A private JWK as text, or one of type `oct` for `dir`. It names its `alg` (RFC 7517 section 4.4); of `oct` that is the `enc` it is for, as
    /// `A256GCM`. `kid` is taken over. An RSA key needs all its numbers (`p`, `q`, `dp`, `dq`, `qi`).
    ///
    /// # Errors
    /// [`UnusableKey`] as [`from_pem`](Self::from_pem), and when a number is missing or its `use` is not `enc`.
    pub fn from_jwk(jwk: &str) -> Result<Self, UnusableKey> {
        let jwk = members(jwk)?;
        let jwk = Jwk(&jwk);
        let kid = jwk.text("kid");
        let algorithm = match jwk.algorithm()? {
            Purpose::Secret(enc) => return Self::direct(enc, kid, &jwk.bytes("k")?),
            Purpose::Key(algorithm) => algorithm,
        };
        backend::offered()?;
        let secret = match (jwk.text("kty"), jwk.text("crv"), algorithm) {
            (Some("RSA"), _, KeyManagement::RsaOaep | KeyManagement::RsaOaep256) => {
                let names = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];
                let numbers = names.iter().map(|name| jwk.bytes(name)).collect::<Result<Vec<_>, _>>()?;
                Material::rsa(&numbers[0], &numbers[1])?;
                let document = Zeroizing::new(der::rsa_pkcs8(numbers.iter().map(|number| &***number)));
                Secret::Rsa(RsaPrivate::from_pkcs8(&document)?)
            }
            (Some("EC"), Some("P-256"), KeyManagement::EcdhEs) => {
                Secret::Agreement(AgreementPrivate::p256(&jwk.bytes("d")?)?)
            }
            (Some("OKP"), Some("X25519"), KeyManagement::EcdhEs) => {
                Secret::Agreement(AgreementPrivate::x25519(&jwk.bytes("d")?)?)
            }
            _ => return Err(NO_KEY),
        };
        Self::new(algorithm, kid, secret)
    }

    /// A secret that is the key of the content itself: `dir`. It has the length that `enc` asks for, 16, 32, 32 or 64 bytes, and is for that `enc` alone.
    ///
    /// # Errors
    /// [`UnusableKey`] when it has another length, `kid` has more than 512 bytes, or the backend `aws-lc-rs` is not built in.
    pub fn direct(enc: ContentEncryption, kid: Option<&str>, secret: &[u8]) -> Result<Self, UnusableKey> {
        backend::offered()?;
        let Recipient::Direct(enc, secret) = Recipient::secret(enc, secret)? else { return Err(NO_KEY) };
        Self::new(KeyManagement::Direct, kid, Secret::Direct(enc, secret))
    }

    /// The secret for `dir` that OpenID Connect Core section 10.2 makes of a client's secret: the left part of its SHA-256, or of its SHA-512 where `enc` asks
    /// for 64 bytes. Providers encrypt ID tokens with it to clients that have registered `dir`, and name no key.
    ///
    /// # Errors
    /// [`UnusableKey`] when the client's secret is empty, or the backend `aws-lc-rs` is not built in.
    pub fn from_client_secret(enc: ContentEncryption, client_secret: &[u8]) -> Result<Self, UnusableKey> {
        if client_secret.is_empty() {
            return Err(UnusableKey::because("the client's secret is empty"));
        }
        let hash = if enc.key_len() <= 32 { Hash::Sha256 } else { Hash::Sha512 };
        let digest = Zeroizing::new(digest_of(hash, client_secret));
        Self::direct(enc, None, &digest[..enc.key_len()])
    }

    /// A new key that exists nowhere else: RSA with 2048 bits, or P-256 for `ECDH-ES`. For tests, above all.
    ///
    /// # Errors
    /// [`UnusableKey`] for `dir`, whose secret is the caller's to make, and where the backend `aws-lc-rs` is not built in.
    pub fn generate(algorithm: KeyManagement, kid: Option<&str>) -> Result<Self, UnusableKey> {
        let secret = match algorithm {
            KeyManagement::Direct => return Err(UnusableKey::because("dir uses a secret, not a private key")),
            KeyManagement::RsaOaep | KeyManagement::RsaOaep256 => Secret::Rsa(RsaPrivate::generate()?),
            KeyManagement::EcdhEs => Secret::Agreement(AgreementPrivate::generate(&PublicPoint::P256([4; 65]))?),
        };
        Self::new(algorithm, kid, secret)
    }

    /// A new key on X25519 for `ECDH-ES`.
    ///
    /// # Errors
    /// [`UnusableKey`] where the backend `aws-lc-rs` is not built in.
    pub fn generate_x25519(kid: Option<&str>) -> Result<Self, UnusableKey> {
        let key = AgreementPrivate::generate(&PublicPoint::X25519([9; 32]))?;
        Self::new(KeyManagement::EcdhEs, kid, Secret::Agreement(key))
    }

    fn new(algorithm: KeyManagement, kid: Option<&str>, secret: Secret) -> Result<Self, UnusableKey> {
        Ok(Self(Arc::new(Private { algorithm, kid: named(kid)?, secret })))
    }

    /// The one `alg` it is for.
    #[must_use]
    pub fn algorithm(&self) -> KeyManagement {
        self.0.algorithm
    }

    /// Its name, as it was given.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.0.kid.as_deref()
    }

    /// The one `enc` that a secret is for.
    pub(crate) fn bound_to(&self) -> Option<ContentEncryption> {
        match &self.0.secret {
            Secret::Direct(enc, _) => Some(*enc),
            Secret::Rsa(_) | Secret::Agreement(_) => None,
        }
    }

    /// What issuers encrypt with: the public half, or the secret itself.
    ///
    /// # Errors
    /// [`UnusableKey`] when the crypto backend cannot say it.
    pub fn encryption_key(&self) -> Result<EncryptionKey, UnusableKey> {
        let recipient = match &self.0.secret {
            Secret::Direct(enc, secret) => Recipient::Direct(*enc, secret.clone()),
            Secret::Rsa(key) => Recipient::Rsa(key.public().ok_or(NO_KEY)?),
            Secret::Agreement(key) => Recipient::Agreement(key.public().ok_or(NO_KEY)?),
        };
        Ok(EncryptionKey::new(self.0.algorithm, self.0.kid.clone(), recipient))
    }

    /// The public half as a JWK with `use`, `alg` and `kid`: what an issuer is given. `None` for a secret.
    #[must_use]
    pub fn public_jwk(&self) -> Option<Value> {
        self.encryption_key().ok()?.public_jwk()
    }

    /// The key of the content (RFC 7516 section 5.2, steps 7 to 12), if it comes out.
    pub(super) fn content_key(
        &self,
        wrapped: &[u8],
        agreement: Option<&Agreement>,
        enc: ContentEncryption,
    ) -> Option<Zeroizing<Vec<u8>>> {
        match (&self.0.secret, agreement) {
            (Secret::Direct(_, secret), None) => Some(secret.clone()),
            (Secret::Rsa(key), None) => key.decrypt(self.0.algorithm == KeyManagement::RsaOaep, wrapped),
            (Secret::Agreement(key), Some(agreement)) => {
                key.agree(&agreement.epk, |secret| derive(secret, enc, &agreement.apu, &agreement.apv))
            }
            _ => None,
        }
    }
}

impl fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("DecryptionKey");
        shown.field("algorithm", &self.algorithm()).field("kid", &self.kid()).finish_non_exhaustive()
    }
}
