//! Random bytes from the operating system: identifiers of assertions, code verifiers, jitter.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::{TokenError, TokenErrorKind};

/// `N` random bytes as base64url text.
pub(crate) fn text<const N: usize>() -> Result<String, TokenError> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes)
        .map_err(|_| TokenError::new(TokenErrorKind::Misconfigured, "the operating system gives no random bytes"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// A fraction of one, in [0, 1); a half when there is no randomness, since jitter is not worth an error.
pub(crate) fn fraction() -> f64 {
    let mut bytes = [0_u8; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / 4_294_967_296.0,
        Err(_) => 0.5,
    }
}
