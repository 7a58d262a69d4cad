//! The floor: the bare signature check of aws-lc-rs with a prepared key, message and signature at hand.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
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
    Secret(hmac::Key),
}

impl Floor {
    /// The check of this good token's signature, and nothing else.
    pub fn of(fixture: &Fixture, alg: Alg, token: &str) -> Self {
        let (message, signature) = token.rsplit_once('.').expect("a JWS has dots");
        let public = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            Prepared::Public(ParsedPublicKey::new(algorithm, key).expect("the fixture's key is good"))
        };
        let key = match alg {
            Alg::RS256 => public(&RSA_PKCS1_2048_8192_SHA256, fixture.rsa.public_key().as_ref()),
            Alg::PS256 => public(&RSA_PSS_2048_8192_SHA256, fixture.pss.public_key().as_ref()),
            Alg::ES256 => public(&ECDSA_P256_SHA256_FIXED, fixture.p256.public_key().as_ref()),
            Alg::ES384 => public(&ECDSA_P384_SHA384_FIXED, fixture.p384.public_key().as_ref()),
            Alg::EdDSA => public(&ED25519, fixture.ed25519.public_key().as_ref()),
            Alg::HS256 => Prepared::Secret(hmac::Key::new(hmac::HMAC_SHA256, SECRET)),
        };
        Self { key, message: message.into(), signature: B64.decode(signature).expect("a JWS is base64url") }
    }

    pub fn verify(&self) -> bool {
        match &self.key {
            Prepared::Public(key) => key.verify_sig(&self.message, &self.signature).is_ok(),
            Prepared::Secret(key) => hmac::verify(key, &self.message, &self.signature).is_ok(),
        }
    }
}
