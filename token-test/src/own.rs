//! A JWT that came back and the keys of its issuer go in, whether one of them signed it comes out (RFC 7515 section 5.2).

use aws_lc_rs::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use token_core::Algorithm;

use crate::keys::TestKey;

/// Whether the token was signed by one of these keys with the algorithm that its header names.
pub(crate) fn signed_by(token: &str, keys: &[TestKey]) -> bool {
    let Some((message, signature)) = token.rsplit_once('.') else { return false };
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let header = message.split('.').next().and_then(decode);
    let header: Value = header.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
    let (Some(name), Some(signature)) = (header["alg"].as_str(), decode(signature)) else { return false };
    keys.iter().any(|key| key.algorithm().name() == name && fits(key, message.as_bytes(), &signature))
}

fn fits(key: &TestKey, message: &[u8], signature: &[u8]) -> bool {
    // A secret signs the same message in the same way.
    let Some(jwk) = key.public_jwk() else { return key.sign(message) == signature };
    let part = |name: &str| jwk[name].as_str().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).unwrap_or_default();
    if let Some(parameters) = rsa(key.algorithm()) {
        return RsaPublicKeyComponents { n: part("n"), e: part("e") }.verify(parameters, message, signature).is_ok();
    }
    let (algorithm, public): (&'static dyn VerificationAlgorithm, _) = match jwk["crv"].as_str() {
        None => match key.algorithm() {
            Algorithm::MlDsa44 => (&signature::ML_DSA_44, part("pub")),
            Algorithm::MlDsa65 => (&signature::ML_DSA_65, part("pub")),
            Algorithm::MlDsa87 => (&signature::ML_DSA_87, part("pub")),
            _ => return false,
        },
        Some("P-256") => (&signature::ECDSA_P256_SHA256_FIXED, [vec![4], part("x"), part("y")].concat()),
        Some("P-384") => (&signature::ECDSA_P384_SHA384_FIXED, [vec![4], part("x"), part("y")].concat()),
        Some("P-521") => (&signature::ECDSA_P521_SHA512_FIXED, [vec![4], part("x"), part("y")].concat()),
        Some("Ed25519") => (&signature::ED25519, part("x")),
        _ => return false,
    };
    UnparsedPublicKey::new(algorithm, public).verify(message, signature).is_ok()
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}
