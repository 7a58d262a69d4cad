//! A session's identifier and its owner go in, an identifier that only this owner can use comes out, and back (MCP security best practices, "session hijacking").
//! Nothing is remembered: the identifier carries a tag (HMAC-SHA256, RFC 2104) over itself and its owner.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use token_core::jose::signing::SigningKey;
use token_core::{Algorithm, ConfigError, Verified};

/// Bytes of the tag that are kept: 128 bits.
const TAG: usize = 16;

/// Ties sessions to who opened them.
pub(crate) struct Seal {
    key: SigningKey,
}

/// Whom a session belongs to: of what a token says, that which its successors say, too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    issuer: &'a str,
    subject: Option<&'a str>,
    client_id: Option<&'a str>,
}

impl<'a> Owner<'a> {
    /// `None` where the token names neither a subject nor a client: it could be anybody's.
    pub(crate) fn of(token: &'a Verified) -> Option<Self> {
        let (subject, client_id) = (token.subject(), token.client_id());
        (subject.is_some() || client_id.is_some()).then(|| Self { issuer: token.issuer(), subject, client_id })
    }
}

impl Seal {
    /// With this key, or with one that only this process has.
    pub(crate) fn new(key: Option<&[u8]>) -> Result<Self, ConfigError> {
        let mut random = [0; 32];
        let key = match key {
            Some(key) if key.len() < 32 => {
                return Err(ConfigError::new(
                    "the session key is too short; expected 32 random bytes, the same in every instance",
                ));
            }
            Some(key) => key,
            None => {
                getrandom::fill(&mut random)
                    .map_err(|_| ConfigError::new("the operating system gives no random bytes for a session key"))?;
                &random
            }
        };
        let key = SigningKey::from_secret(Algorithm::HS256, None, key)
            .map_err(|error| ConfigError::new(error.to_string()))?;
        Ok(Self { key })
    }

    /// The identifier for this owner: the session's own, a dot, the tag.
    pub(crate) fn close(&self, session: &str, owner: Owner<'_>) -> String {
        format!("{session}.{}", URL_SAFE_NO_PAD.encode(self.tag(session, owner)))
    }

    /// The session's own identifier, if it was sealed for this owner.
    pub(crate) fn open<'a>(&self, sealed: &'a str, owner: Owner<'_>) -> Option<&'a str> {
        let (session, tag) = sealed.rsplit_once('.')?;
        // Room for what may be decoded at once, which is more than a tag is.
        let mut given = [0; TAG + 2];
        let length = URL_SAFE_NO_PAD.decode_slice(tag, &mut given).ok()?;
        let right = self.tag(session, owner);
        // As long as it takes, wherever the first difference is.
        let differs = right.iter().zip(given).fold(0, |sum, (a, b)| sum | (a ^ b));
        (length == TAG && differs == 0).then_some(session)
    }

    fn tag(&self, session: &str, owner: Owner<'_>) -> [u8; TAG] {
        let mut message = Vec::with_capacity(session.len() + owner.issuer.len() + 128);
        for part in [Some(session), Some(owner.issuer), owner.subject, owner.client_id] {
            // Lengths in front: no two lists of parts make one text; an absent part is none of length zero.
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            message.extend(length.to_be_bytes());
            message.extend(part.unwrap_or_default().as_bytes());
        }
        let tag = self.key.sign(&message).expect("HMAC takes any message");
        *tag.first_chunk().expect("a tag of SHA-256 is longer than what is kept of it")
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: Owner<'_> = Owner { issuer: "https://id.example", subject: Some("ada"), client_id: Some("app") };

    #[test]
    fn a_session_opens_for_its_owner_and_for_nobody_else() {
        let seal = Seal::new(Some(&[7; 32])).unwrap();
        let sealed = seal.close("3f2a.x", ADA);
        assert_eq!(seal.open(&sealed, ADA), Some("3f2a.x"));
        for other in [
            Owner { subject: Some("bob"), ..ADA },
            Owner { subject: None, ..ADA },
            Owner { subject: Some(""), ..ADA },
            Owner { client_id: None, ..ADA },
            Owner { client_id: Some("other"), ..ADA },
            Owner { issuer: "https://other.example", ..ADA },
            Owner { issuer: "https://id.examplea", subject: Some("da"), ..ADA },
            Owner { subject: Some("adaapp"), client_id: Some(""), ..ADA },
        ] {
            assert_eq!(seal.open(&sealed, other), None, "{other:?}");
        }
    }

    #[test]
    fn an_identifier_that_was_not_sealed_here_opens_for_nobody() {
        let seal = Seal::new(None).unwrap();
        let sealed = seal.close("s", ADA);
        let tag = sealed.strip_prefix("s.").unwrap();
        for text in ["", "s", "s.", ".", &format!("t.{tag}"), &format!("s.{}", &tag[1..]), &format!("s.{tag}A")] {
            assert_eq!(seal.open(text, ADA), None, "{text}");
        }
        assert_eq!(Seal::new(None).unwrap().open(&sealed, ADA), None, "another process");
        assert_eq!(seal.open(&sealed, ADA), Some("s"));
    }

    #[test]
    fn a_key_that_could_be_guessed_is_refused() {
        assert!(Seal::new(Some(b"short")).is_err());
    }
}
