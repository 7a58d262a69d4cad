//! The claim `cnf` in, what the token is bound to out (RFC 7800 section 3.1, RFC 9449 section 6, RFC 8705 section 3.1).

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answer::check::Check;
use crate::answer::error::{Error, ErrorKind};
use crate::jose::thumbprint::{Thumbprint, digest_of_text};

/// What a token is bound to: a key, a certificate, or both. The gate lets such a token pass only with the proof of all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    pub(crate) key: Option<Thumbprint>,
    pub(crate) certificate: Option<[u8; 32]>,
}

impl Binding {
    /// `cnf.jkt`: the key that proofs are signed with (RFC 9449 section 6.1).
    #[must_use]
    pub fn key(&self) -> Option<&Thumbprint> {
        self.key.as_ref()
    }

    /// `cnf["x5t#S256"]`: SHA-256 of the client's certificate in DER (RFC 8705 section 3.1).
    #[must_use]
    pub fn certificate(&self) -> Option<&[u8; 32]> {
        self.certificate.as_ref()
    }
}

#[derive(Deserialize)]
struct Claims<'a> {
    #[serde(borrow)]
    cnf: &'a RawValue,
}

/// A member that is not here is a way of proof that nobody here can check: it is refused, never skipped.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    jkt: Option<String>,
    #[serde(rename = "x5t#S256")]
    certificate: Option<String>,
}

impl Binding {
    /// Reads it out of a claims set.
    ///
    /// # Errors
    /// [`ErrorKind::SenderConstrained`] for whatever is not understood whole.
    pub(crate) fn read(claims_json: &str) -> Result<Self, Error> {
        let unknown = || {
            let why = "expected cnf to hold jkt (RFC 9449) or x5t#S256 (RFC 8705), both as base64url of a SHA-256, and nothing else";
            Error::new(ErrorKind::SenderConstrained, why).at(Check::Binding)
        };
        let claims: Claims<'_> = serde_json::from_str(claims_json).map_err(|_| unknown())?;
        // A derived struct would take an array of its members, too.
        let json = Some(claims.cnf.get()).filter(|json| json.starts_with('{')).ok_or_else(unknown)?;
        let members: Members = serde_json::from_str(json).map_err(|_| unknown())?;
        let key = members.jkt.map(|jkt| jkt.parse().map_err(|_| unknown())).transpose()?;
        let certificate = members.certificate.map(|text| digest_of_text(&text).ok_or_else(unknown)).transpose()?;
        if key.is_none() && certificate.is_none() {
            return Err(unknown());
        }
        Ok(Self { key, certificate })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

    #[test]
    fn what_is_not_understood_whole_is_refused() {
        for (cnf, expected) in [
            (format!(r#"{{"jkt":"{JKT}"}}"#), Some((true, false))),
            (format!(r#"{{"x5t#S256":"{JKT}"}}"#), Some((false, true))),
            (format!(r#"{{"jkt":"{JKT}","x5t#S256":"{JKT}"}}"#), Some((true, true))),
            (format!(r#"{{"jkt":"{JKT}","jkt":"{JKT}"}}"#), None),
            (format!(r#"{{"jkt":"{JKT}","kid":"1"}}"#), None),
            (format!(r#"["{JKT}",null]"#), None),
            (format!(r#""{JKT}""#), None),
            (format!(r#"{{"jkt":"{JKT}="}}"#), None),
            (r#"{"jkt":"x"}"#.into(), None),
            (r#"{"jkt":7}"#.into(), None),
            (r#"{"jkt":null}"#.into(), None),
            (r#"{"x5t#S256":""}"#.into(), None),
            (r#"{"jwk":{"kty":"EC"}}"#.into(), None),
            (r#"{"kid":"1"}"#.into(), None),
            ("{}".into(), None),
            ("null".into(), None),
        ] {
            let read = Binding::read(&format!(r#"{{"sub":"ada","cnf":{cnf}}}"#));
            let seen = read.map(|cnf| (cnf.key.is_some(), cnf.certificate.is_some()));
            assert_eq!(seen.as_ref().ok(), expected.as_ref(), "{cnf}");
            assert!(seen.is_ok() || seen.is_err_and(|error| error.kind() == ErrorKind::SenderConstrained), "{cnf}");
        }
    }
}
