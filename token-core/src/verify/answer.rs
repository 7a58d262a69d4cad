//! Whether what an endpoint said of a token may be used here and now: the rules of a JWT, asked of an answer (RFC 7662 section 4).

use crate::answer::error::{Error, ErrorKind};
use crate::base::time::Timestamp;
use crate::claims::{Claims, Names, Text};
use crate::token::kind::{self, TokenKind};
use crate::trust::trusted::{TrustedIssuer, check_subject};

use crate::opaque::Opaque;

impl TrustedIssuer {
    /// Asked of every answer and again on each use of a cached one. `exp`, `nbf` and `iss` may be absent from an answer; where they are
    /// there they are believed, and so is `cnf`.
    pub(crate) fn check_answer(
        &self,
        opaque: &Opaque,
        text: &Text,
        claims: &Claims,
        now: Timestamp,
    ) -> Result<(), Error> {
        if !opaque.audience.accepts(Names::new(text, &claims.audience)) {
            let detail = format!(
                "expected aud to name {}; where the endpoint answers without aud, set the audience of the opaque tokens",
                opaque.audience.describe()
            );
            return Err(Error::new(ErrorKind::WrongAudience, detail));
        }
        if claims.issuer.is_some_and(|issuer| text.get(issuer) != &*self.identifier) {
            return Err(Error::new(ErrorKind::UnknownIssuer, "the endpoint speaks of a token of another issuer"));
        }
        if claims.expires.is_some() {
            self.check_times(claims, now)?;
        } else {
            self.check_start(claims, now)?;
        }
        check_kind(opaque.kind, text, claims)?;
        check_subject(claims)?;
        if claims.confirmation {
            self.check_provable(opaque.kind)?;
        }
        Ok(())
    }
}

/// Endpoints know refresh tokens too, and some say of them that they are active.
fn check_kind(expected: TokenKind, text: &Text, claims: &Claims) -> Result<(), Error> {
    let (first, second) = kind::untrusted_marks(None, text, claims, false);
    match [first, second].into_iter().flatten().find(|mark| mark.kind != expected) {
        None => Ok(()),
        Some(mark) => {
            let detail =
                format!("in the endpoint's answer {} marks it as {}, expected {expected}", mark.place, mark.kind);
            Err(Error::new(ErrorKind::WrongType, detail))
        }
    }
}
