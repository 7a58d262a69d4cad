//! A text and the key of its recipient in, a JWE in the compact serialization out (RFC 7516 section 5.1): for issuers in tests.

use std::fmt;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::backend::{self, AgreementPrivate};
use super::open::derive;
use super::recipient::Recipient;
use super::{ContentEncryption, EncryptionKey, KeyManagement};
use crate::jose::base64url;

impl EncryptionKey {
    /// A nested JWT (RFC 7519 section 5.2): the signed token, encrypted.
    ///
    /// ```
    /// use token_core::jose::encryption::{ContentEncryption, DecryptionKey, KeyManagement};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # if cfg!(not(feature = "aws-lc-rs")) { return Ok(()) }
    /// let key = DecryptionKey::generate(KeyManagement::EcdhEs, Some("1"))?;
    /// let token = key.encryption_key()?.encrypt_jwt(ContentEncryption::A256Gcm, "a.signed.token")?;
    /// assert_eq!(token.split('.').count(), 5);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`EncryptionError`] when a secret is for another `enc`, or the crypto backend fails.
    pub fn encrypt_jwt(&self, enc: ContentEncryption, token: &str) -> Result<String, EncryptionError> {
        self.encrypt(enc, &Map::new(), token.as_bytes())
    }

    /// The same for any content. The members of `header` are added to those that belong there (`alg`, `enc`, `cty`, `kid`, `epk`), or stand in their
    /// place; null takes one away. Nothing of it is looked at: a test can write what no honest issuer would.
    ///
    /// # Errors
    /// As [`encrypt_jwt`](Self::encrypt_jwt).
    pub fn encrypt(
        &self,
        enc: ContentEncryption,
        header: &Map<String, Value>,
        content: &[u8],
    ) -> Result<String, EncryptionError> {
        self.seal(enc, header, content).ok_or(EncryptionError(()))
    }

    fn seal(&self, enc: ContentEncryption, more: &Map<String, Value>, content: &[u8]) -> Option<String> {
        let mut header = Map::new();
        header.insert("alg".to_owned(), self.algorithm().name().into());
        header.insert("enc".to_owned(), enc.name().into());
        header.insert("cty".to_owned(), "JWT".into());
        if let Some(kid) = self.kid() {
            header.insert("kid".to_owned(), kid.into());
        }
        let mut fresh = Zeroizing::new(vec![0; enc.key_len()]);
        backend::fill(&mut fresh).then_some(())?;
        // RFC 7516 5.1, steps 1 to 8: the key of the content, and how it reaches the recipient.
        let (content_key, wrapped) = match self.recipient() {
            Recipient::Direct(bound, secret) => (secret.clone(), (*bound == enc).then(Vec::new)?),
            Recipient::Rsa(spki) => {
                let wrapped = backend::rsa_encrypt(spki, self.algorithm() == KeyManagement::RsaOaep, &fresh)?;
                (fresh, wrapped)
            }
            Recipient::Agreement(point) => {
                let ephemeral = AgreementPrivate::generate(point).ok()?;
                header.insert("epk".to_owned(), ephemeral.public()?.jwk().into());
                let party = |name: &str| {
                    let text = more.get(name).and_then(Value::as_str).unwrap_or_default();
                    base64url::decode(text.as_bytes()).unwrap_or_default()
                };
                let (apu, apv) = (party("apu"), party("apv"));
                (ephemeral.agree(point, |secret| derive(secret, enc, &apu, &apv))?, Vec::new())
            }
        };
        header.extend(more.clone());
        header.retain(|_, value| !value.is_null());
        // 9 to 15.
        let mut iv = vec![0; enc.iv_len()];
        backend::fill(&mut iv).then_some(())?;
        let protected = base64url::encode(Value::Object(header).to_string().as_bytes());
        let (ciphertext, tag) = enc.seal(&content_key, &iv, protected.as_bytes(), content)?;
        let encode = base64url::encode;
        Some([protected, encode(&wrapped), encode(&iv), encode(&ciphertext), encode(&tag)].join("."))
    }
}

/// A secret is for another `enc`, or the crypto backend could not encrypt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncryptionError(());

impl fmt::Display for EncryptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the token could not be encrypted: a secret is for one enc alone, or the crypto backend failed")
    }
}

impl std::error::Error for EncryptionError {}
