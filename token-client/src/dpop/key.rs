//! A private key, given or generated, in; the header and the thumbprint of its proofs out (RFC 9449 section 4.2, RFC
//! 7638).

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use token_core::Algorithm;
use token_core::jose::signing::SigningKey;
use token_core::possession::Thumbprint;

use crate::error::{TokenError, misconfigured};

/// The members of a public key, in the order in which a proof contains them. Other members of a JWK do not belong in a
/// proof.
const REQUIRED: [&str; 6] = ["kty", "crv", "x", "y", "n", "e"];

/// A key that tokens are bound to (DPoP, RFC 9449). Cheap to clone; clones are the same key.
///
/// The key is held in memory only. A public client's refresh token is useless without its key (section 5). To keep such
/// tokens across restarts, generate the key elsewhere, store it as PEM, and load it with [`from_pem`](Self::from_pem).
///
/// ```
/// use token_client::DpopKey;
/// use token_core::Algorithm;
///
/// let key = DpopKey::generate(Algorithm::ES256)?;
/// // What an authorization request sends as `dpop_jkt` (section 10), and what a bound token holds as `cnf.jkt`:
/// assert_eq!(key.thumbprint().to_string().len(), 43);
/// # Ok::<(), token_client::TokenError>(())
/// ```
#[derive(Clone)]
pub struct DpopKey(Arc<Inner>);

struct Inner {
    key: SigningKey,
    thumbprint: Thumbprint,
    /// The header of all proofs, in base64url.
    header: Box<str>,
}

impl DpopKey {
    /// Generates a key: for [`Algorithm::ES256`] on P-256, which every server supports, or for [`Algorithm::EdDSA`] on
    /// Ed25519.
    ///
    /// # Errors
    /// [`Misconfigured`](crate::TokenErrorKind::Misconfigured) for another algorithm, or if the operating system
    /// provides no random bytes.
    pub fn generate(algorithm: Algorithm) -> Result<Self, TokenError> {
        match algorithm {
            Algorithm::ES256 | Algorithm::EdDSA => {}
            _ => {
                return Err(misconfigured(
                    "a proof key is generated for ES256 or EdDSA; a key of another algorithm is handed in",
                ));
            }
        }
        Self::new(SigningKey::generate(algorithm, None).map_err(|why| misconfigured(format!("no proof key: {why}")))?)
    }

    /// Uses an existing key, of any asymmetric algorithm. Its `kid` is not sent, since a proof contains the public key
    /// itself.
    ///
    /// # Errors
    /// [`Misconfigured`](crate::TokenErrorKind::Misconfigured) for a shared secret, which cannot prove possession.
    pub fn new(key: SigningKey) -> Result<Self, TokenError> {
        let (Some(jwk), Some(thumbprint)) = (key.public_jwk(), key.thumbprint()) else {
            return Err(misconfigured("a proof key is a private key (ES256, EdDSA, …), not a shared secret"));
        };
        let public: serde_json::Map<_, _> =
            REQUIRED.iter().filter_map(|name| Some(((*name).to_owned(), jwk.get(name)?.clone()))).collect();
        let header = json!({ "typ": "dpop+jwt", "alg": key.algorithm().name(), "jwk": public });
        let header = URL_SAFE_NO_PAD.encode(header.to_string()).into();
        Ok(Self(Arc::new(Inner { key, thumbprint, header })))
    }

    /// Reads a key from a PEM document with one PKCS#8 block (`PRIVATE KEY`), not encrypted.
    ///
    /// # Errors
    /// [`Misconfigured`](crate::TokenErrorKind::Misconfigured) if the document contains something else, or a key that
    /// does not fit `algorithm`.
    pub fn from_pem(algorithm: Algorithm, pem: &[u8]) -> Result<Self, TokenError> {
        let key = SigningKey::from_pem(algorithm, None, pem);
        Self::new(key.map_err(|why| misconfigured(format!("the proof key cannot be used: {why}")))?)
    }

    /// The thumbprint of the public key (RFC 7638), by which servers know the key.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        self.0.thumbprint
    }

    /// The compact JWS of these claims, under the header of a proof.
    pub(crate) fn sign(&self, claims: &str) -> Result<String, TokenError> {
        let mut proof = String::with_capacity(self.0.header.len() + 512);
        proof.push_str(&self.0.header);
        proof.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut proof);
        let signature = self.0.key.sign(proof.as_bytes()).map_err(|_| misconfigured("a proof could not be signed"))?;
        proof.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut proof);
        Ok(proof)
    }
}

impl fmt::Debug for DpopKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DpopKey")
            .field("algorithm", &self.0.key.algorithm())
            .field("thumbprint", &self.0.thumbprint)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_for_two_algorithms_and_never_the_same_twice() {
        for algorithm in [Algorithm::ES256, Algorithm::EdDSA] {
            let (one, two) = (DpopKey::generate(algorithm).unwrap(), DpopKey::generate(algorithm).unwrap());
            assert_ne!(one.thumbprint(), two.thumbprint(), "{algorithm}");
            assert_eq!(one.clone().thumbprint(), one.thumbprint());
        }
        assert!(DpopKey::generate(Algorithm::RS256).is_err() && DpopKey::generate(Algorithm::HS256).is_err());
    }

    #[test]
    fn a_shared_secret_proves_nothing() {
        let secret = SigningKey::from_secret(Algorithm::HS256, None, &[7; 32]).unwrap();
        assert!(DpopKey::new(secret).unwrap_err().detail().contains("shared secret"));
        assert!(DpopKey::from_pem(Algorithm::ES256, b"canary").unwrap_err().detail().starts_with("the proof key"));
    }

    #[test]
    fn the_header_holds_the_public_key_and_nothing_else_of_it() {
        let key = SigningKey::generate(Algorithm::ES256, Some("canary")).unwrap();
        let key = DpopKey::new(key).unwrap();
        let header = URL_SAFE_NO_PAD.decode(key.sign("{}").unwrap().split('.').next().unwrap()).unwrap();
        let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
        assert_eq!((&header["typ"], &header["alg"]), (&json!("dpop+jwt"), &json!("ES256")));
        let mut members: Vec<_> = header["jwk"].as_object().unwrap().keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(members, ["crv", "kty", "x", "y"]);
        assert_eq!(Thumbprint::of(&header["jwk"]).unwrap(), key.thumbprint());
        assert!(!format!("{key:?}").contains("canary"));
    }
}
