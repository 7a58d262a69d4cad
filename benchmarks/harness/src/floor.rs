//! The floor: the bare signature check of aws-lc-rs by the fastest way to the same verdict: a prepared key, the digest made outside of it,
//! ECDSA signatures in DER; message and signature at hand.

use aws_lc_rs::digest::{self, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, KeyPair, ML_DSA_65, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;

use crate::fixture::{Alg, Fixture, SECRET};

pub struct Floor {
    key: Prepared,
    message: Vec<u8>,
    signature: Vec<u8>,
}

enum Prepared {
    Public(ParsedPublicKey),
    Digested(ParsedPublicKey, &'static digest::Algorithm),
    Secret(hmac::Key),
}

impl Floor {
    /// The check of this good token's signature, and nothing else.
    pub fn of(fixture: &Fixture, alg: Alg, token: &str) -> Self {
        let (message, signature) = token.rsplit_once('.').expect("a JWS has dots");
        let public = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            Prepared::Public(ParsedPublicKey::new(algorithm, key).expect("the fixture's key is good"))
        };
        let digested = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8], hash| {
            Prepared::Digested(ParsedPublicKey::new(algorithm, key).expect("the fixture's key is good"), hash)
        };
        let signature = B64.decode(signature).expect("a JWS is base64url");
        let signature = if matches!(alg, Alg::ES256 | Alg::ES384) { der(&signature) } else { signature };
        let key = match alg {
            Alg::RS256 => digested(&RSA_PKCS1_2048_8192_SHA256, fixture.rsa.public_key().as_ref(), &digest::SHA256),
            Alg::PS256 => digested(&RSA_PSS_2048_8192_SHA256, fixture.pss.public_key().as_ref(), &digest::SHA256),
            Alg::ES256 => digested(&ECDSA_P256_SHA256_ASN1, fixture.p256.public_key().as_ref(), &digest::SHA256),
            Alg::ES384 => digested(&ECDSA_P384_SHA384_ASN1, fixture.p384.public_key().as_ref(), &digest::SHA384),
            Alg::EdDSA => public(&ED25519, fixture.ed25519.public_key().as_ref()),
            Alg::HS256 => Prepared::Secret(hmac::Key::new(hmac::HMAC_SHA256, SECRET)),
        };
        Self { key, message: message.into(), signature }
    }

    /// The same for a token signed with ML-DSA-65 and the key of this JWK (`AKP`).
    pub fn ml_dsa_65(jwk: &str, token: &str) -> Self {
        let jwk: serde_json::Value = serde_json::from_str(jwk).expect("a JWK");
        let bytes = B64.decode(jwk["pub"].as_str().expect("the public key")).expect("base64url");
        let (message, signature) = token.rsplit_once('.').expect("a JWS has dots");
        let key = ParsedPublicKey::new(&ML_DSA_65, bytes).expect("the key is good");
        Self {
            key: Prepared::Public(key),
            message: message.into(),
            signature: B64.decode(signature).expect("a JWS is base64url"),
        }
    }

    pub fn verify(&self) -> bool {
        match &self.key {
            Prepared::Public(key) => key.verify_sig(&self.message, &self.signature).is_ok(),
            Prepared::Digested(key, hash) => {
                key.verify_digest_sig(&digest(hash, &self.message), &self.signature).is_ok()
            }
            Prepared::Secret(key) => hmac::verify(key, &self.message, &self.signature).is_ok(),
        }
    }
}

/// A public point on P-256, prepared.
pub fn p256(point: &[u8]) -> ParsedPublicKey {
    ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).expect("the client's key is good")
}

/// What was signed, and the ECDSA signature in DER.
pub fn message_and_der(jws: &str) -> (Vec<u8>, Vec<u8>) {
    let (message, signature) = jws.rsplit_once('.').expect("a JWS has dots");
    (message.into(), der(&B64.decode(signature).expect("a JWS is base64url")))
}

/// `r || s` as a DER sequence of two numbers.
fn der(fixed: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| {
        let bytes = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap_or(0)..];
        let sign = usize::from(bytes[0] >= 0x80);
        [&[2, (bytes.len() + sign) as u8], &[0][..sign], bytes].concat()
    };
    let (r, s) = fixed.split_at(fixed.len() / 2);
    let body = [number(r), number(s)].concat();
    [vec![0x30, body.len() as u8], body].concat()
}
