//! The public half of a key, or the secret, in what operators publish in; what tokens are encrypted to out (RFC 7517, RFC 7518 section 6).

use std::fmt;

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::header::PublicPoint;
use super::{ContentEncryption, KeyManagement};
use crate::jose::algorithm::Curve;
use crate::jose::header::LONGEST_KID;
use crate::jose::material::Material;
use crate::jose::unusable::UnusableKey;
use crate::jose::{base64url, der, pem};

pub(super) const NO_KEY: UnusableKey = UnusableKey::because("the key does not fit the algorithm");

/// What tokens are encrypted to: for issuers in tests. A server that only verifies needs none.
#[derive(Clone)]
pub struct EncryptionKey {
    algorithm: KeyManagement,
    kid: Option<Box<str>>,
    recipient: Recipient,
}

#[derive(Clone)]
pub(super) enum Recipient {
    Direct(ContentEncryption, Zeroizing<Vec<u8>>),
    /// `SubjectPublicKeyInfo`.
    Rsa(Vec<u8>),
    Agreement(PublicPoint),
}

impl EncryptionKey {
    pub(super) fn new(algorithm: KeyManagement, kid: Option<Box<str>>, recipient: Recipient) -> Self {
        Self { algorithm, kid, recipient }
    }

    /// From a public JWK as text, as the recipient publishes it, or one of type `oct` for `dir`. It names its `alg` (RFC 7517 section 4.4), as
    /// [`DecryptionKey::from_jwk`](super::DecryptionKey::from_jwk) wants it; private members of it are not looked at.
    ///
    /// # Errors
    /// [`UnusableKey`] when it is no such key, its `use` is not `enc`, or `kid` has more than 512 bytes.
    pub fn from_jwk(jwk: &str) -> Result<Self, UnusableKey> {
        let jwk = members(jwk)?;
        let jwk = Jwk(&jwk);
        let (alg, kid) = (jwk.algorithm()?, jwk.kid()?);
        let (algorithm, recipient) = match (alg, jwk.text("kty"), jwk.text("crv")) {
            (Purpose::Secret(enc), ..) => (KeyManagement::Direct, Recipient::secret(enc, &jwk.bytes("k")?)?),
            (Purpose::Key(algorithm @ (KeyManagement::RsaOaep | KeyManagement::RsaOaep256)), Some("RSA"), _) => {
                let (n, e) = (jwk.bytes("n")?, jwk.bytes("e")?);
                Material::rsa(&n, &e)?;
                (algorithm, Recipient::Rsa(der::rsa_spki(&n, &e)))
            }
            (Purpose::Key(algorithm @ KeyManagement::EcdhEs), Some("EC"), Some("P-256")) => {
                let point = PublicPoint::p256(&jwk.bytes("x")?, &jwk.bytes("y")?).ok_or(NO_KEY)?;
                (algorithm, Recipient::Agreement(point))
            }
            (Purpose::Key(algorithm @ KeyManagement::EcdhEs), Some("OKP"), Some("X25519")) => {
                let x = <[u8; 32]>::try_from(&**jwk.bytes("x")?).map_err(|_| NO_KEY)?;
                (algorithm, Recipient::Agreement(PublicPoint::X25519(x)))
            }
            _ => return Err(NO_KEY),
        };
        Ok(Self::new(algorithm, kid, recipient))
    }

    /// From a PEM document with one `PUBLIC KEY` (`SubjectPublicKeyInfo`): RSA for the OAEP algorithms, P-256 for `ECDH-ES`. A key on X25519 comes as a JWK.
    ///
    /// # Errors
    /// [`UnusableKey`] when the document holds something else, the key does not fit `algorithm`, or `kid` has more than 512 bytes.
    pub fn from_pem(algorithm: KeyManagement, kid: Option<&str>, pem: &[u8]) -> Result<Self, UnusableKey> {
        let (label, document) = pem::parse(pem)?;
        if label != "PUBLIC KEY" {
            return Err(UnusableKey::because("not a block labelled PUBLIC KEY"));
        }
        let recipient = match (algorithm, der::subject_public_key_info(&document)?) {
            (KeyManagement::RsaOaep | KeyManagement::RsaOaep256, Material::Rsa { .. }) => Recipient::Rsa(document),
            (KeyManagement::EcdhEs, Material::Ec { curve: Curve::P256, point }) => {
                let point = <[u8; 65]>::try_from(&*point).map_err(|_| NO_KEY)?;
                Recipient::Agreement(PublicPoint::P256(point))
            }
            _ => return Err(NO_KEY),
        };
        Ok(Self::new(algorithm, named(kid)?, recipient))
    }

    /// The one `alg` it is for.
    #[must_use]
    pub fn algorithm(&self) -> KeyManagement {
        self.algorithm
    }

    /// Its name, as it was given.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The one `enc` that a secret is for; `None` for a public key, which goes with all of them.
    #[must_use]
    pub fn bound_to(&self) -> Option<ContentEncryption> {
        match &self.recipient {
            Recipient::Direct(enc, _) => Some(*enc),
            Recipient::Rsa(_) | Recipient::Agreement(_) => None,
        }
    }

    pub(super) fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// The key as a public JWK with `use`, `alg` and `kid`. `None` for a secret.
    #[must_use]
    pub fn public_jwk(&self) -> Option<Value> {
        let mut jwk = match &self.recipient {
            Recipient::Direct(..) => return None,
            Recipient::Rsa(spki) => {
                let members = der::subject_public_key_info(spki).ok()?.jwk_members()?;
                members.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
            }
            Recipient::Agreement(point) => point.jwk(),
        };
        jwk.insert("use".to_owned(), "enc".into());
        jwk.insert("alg".to_owned(), self.algorithm.name().into());
        if let Some(kid) = self.kid() {
            jwk.insert("kid".to_owned(), kid.into());
        }
        Some(jwk.into())
    }
}

impl PublicPoint {
    /// The members of a JWK, or of `epk`.
    pub(super) fn jwk(&self) -> Map<String, Value> {
        let encode = base64url::encode;
        let jwk = match self {
            Self::P256(point) => {
                json!({"kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..])})
            }
            Self::X25519(x) => json!({"kty": "OKP", "crv": "X25519", "x": encode(x)}),
        };
        match jwk {
            Value::Object(members) => members,
            _ => Map::new(),
        }
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("EncryptionKey");
        shown.field("algorithm", &self.algorithm).field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// The members of a JWK.
pub(super) struct Jwk<'a>(pub(super) &'a Map<String, Value>);

impl<'a> Jwk<'a> {
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).and_then(Value::as_str)
    }

    pub(super) fn bytes(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, UnusableKey> {
        self.text(name)
            .and_then(|text| base64url::decode(text.as_bytes()))
            .map(Zeroizing::new)
            .ok_or(UnusableKey::because("a number of the key is missing or not base64url"))
    }

    /// RFC 7517 section 4.2. `key_ops` is left to `use`: what writes it names `decrypt`, `unwrapKey` or `deriveBits` as it likes.
    fn check_use(&self) -> Result<(), UnusableKey> {
        match self.0.get("use") {
            None => Ok(()),
            Some(purpose) if purpose == "enc" => Ok(()),
            Some(_) => Err(UnusableKey::because("the key is not for encryption: use")),
        }
    }

    /// What it is for: `use` and `alg`.
    pub(super) fn algorithm(&self) -> Result<Purpose, UnusableKey> {
        let alg = self.text("alg").ok_or(UnusableKey::because("alg is missing"))?;
        self.check_use()?;
        if self.text("kty") == Some("oct") {
            let enc = ContentEncryption::from_name(alg);
            let none = "alg of a secret is none of the content encryptions, A256GCM for one";
            return enc.map(Purpose::Secret).ok_or(UnusableKey::because(none));
        }
        let none = "alg is none of RSA-OAEP-256, RSA-OAEP and ECDH-ES";
        KeyManagement::from_name(alg).map(Purpose::Key).ok_or(UnusableKey::because(none))
    }

    /// Its name, if it is not too long for one.
    pub(super) fn kid(&self) -> Result<Option<Box<str>>, UnusableKey> {
        named(self.text("kid"))
    }
}

/// What a JWK is for.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Key(KeyManagement),
    Secret(ContentEncryption),
}

/// The members of a JWK as text.
pub(super) fn members(jwk: &str) -> Result<Map<String, Value>, UnusableKey> {
    serde_json::from_str(jwk).map_err(|_| UnusableKey::because("the key is not a JSON object"))
}

/// The name of a key, if it is not too long for one.
pub(super) fn named(kid: Option<&str>) -> Result<Option<Box<str>>, UnusableKey> {
    match kid {
        Some(kid) if kid.len() > LONGEST_KID => Err(UnusableKey::because("kid is longer than 512 bytes")),
        kid => Ok(kid.map(Into::into)),
    }
}

impl Recipient {
    /// A secret of the length that `enc` asks for.
    pub(super) fn secret(enc: ContentEncryption, secret: &[u8]) -> Result<Self, UnusableKey> {
        if secret.len() != enc.key_len() {
            return Err(UnusableKey::because(match enc.key_len() {
                16 => "the secret has not the 16 bytes that its enc asks for",
                32 => "the secret has not the 32 bytes that its enc asks for",
                _ => "the secret has not the 64 bytes that its enc asks for",
            }));
        }
        Ok(Self::Direct(enc, Zeroizing::new(secret.to_vec())))
    }
}
