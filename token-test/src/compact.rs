//! Header, claims and a signer go in, the compact form comes out (RFC 7515 section 7.1). Nothing is looked at.

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};

/// The two texts as they stand, and the signature of both.
pub(crate) fn compact(header: &str, claims: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// Base64url without padding.
pub(crate) fn base64_url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The same with padded parts, as some load balancers write it and no JWT should be.
pub(crate) fn padded(header: &str, claims: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", URL_SAFE.encode(header), URL_SAFE.encode(claims));
    let signature = URL_SAFE.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// The token with other claims under the same signature.
pub(crate) fn with_claims(token: &str, claims: &str) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    match parts.as_slice() {
        [header, _, signature] => format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims)),
        _ => token.to_owned(),
    }
}
