//! The PKCE code verifier and its challenge (RFC 7636 sections 4.1 and 4.2, S256 only).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::error::{TokenError, TokenErrorKind};
use crate::random;
use crate::secret::Secret;

/// A PKCE code verifier. Keep it with the user's session between the redirect and the redemption.
///
/// ```
/// use token_client::PkceVerifier;
///
/// let verifier = PkceVerifier::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")?;
/// assert_eq!(verifier.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
/// # Ok::<(), token_client::TokenError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PkceVerifier(Secret);

impl PkceVerifier {
    /// Generates a verifier from 32 random bytes; it has 43 characters.
    ///
    /// # Errors
    /// [`TokenErrorKind::Misconfigured`] if the operating system provides no random bytes.
    pub fn generate() -> Result<Self, TokenError> {
        random::text::<32>().map(|text| Self(Secret::new(text)))
    }

    /// Reads a verifier that was stored.
    ///
    /// # Errors
    /// [`TokenErrorKind::Misconfigured`] unless it is 43 to 128 letters, digits, `-`, `.`, `_` and `~`.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if (43..=128).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(Secret::new(text)))
        } else {
            let detail = "expected a code verifier of 43 to 128 unreserved characters (RFC 7636)";
            Err(TokenError::new(TokenErrorKind::Misconfigured, detail))
        }
    }

    /// The `code_challenge` for the authorization request, with `code_challenge_method=S256`.
    #[must_use]
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.expose()))
    }

    /// The verifier as text.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for PkceVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PkceVerifier(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_verifier_is_well_formed_and_never_the_same() {
        let (one, two) = (PkceVerifier::generate().unwrap(), PkceVerifier::generate().unwrap());
        assert_ne!(one, two);
        assert_eq!(PkceVerifier::parse(one.expose()).unwrap(), one);
    }

    #[test]
    fn a_verifier_of_another_grammar_is_refused() {
        let long = "a".repeat(129);
        for text in ["", "short", &long, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjX="] {
            assert_eq!(PkceVerifier::parse(text).unwrap_err().kind(), TokenErrorKind::Misconfigured, "{text}");
        }
    }
}
