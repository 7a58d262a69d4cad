//! From a request to the one bearer token in it, or why there is none (RFC 6750 section 2.1, RFC 9110 section 11.4).

use crate::answer::check::Check;
use crate::answer::error::{Error, ErrorKind};
use crate::request::choice::Agreed;
use crate::request::grammar::{Scheme, credentials, dpop_credentials, is_b64token, is_padded_b64token, no_token};
use crate::request::presented::{Presented, RequestView, Source};

/// What stands in a token's place.
#[derive(Clone, Copy)]
pub(crate) enum Candidate<'a> {
    /// Out of an authorization header; nobody has looked at its characters yet.
    Field(&'a [u8]),
    /// Handed over without a header around it; nobody has looked at its characters yet.
    Bare(&'a str),
    /// Of good grammar.
    Checked(&'a str),
}

impl<'a> Candidate<'a> {
    /// The bytes as they came. Good for nothing but to be compared with a token that is known.
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Field(bytes) => bytes,
            Self::Bare(token) | Self::Checked(token) => token.as_bytes(),
        }
    }

    /// Whether a padded token may stand here: the grammar of the header knows no padding inside.
    pub(crate) fn may_be_padded(self) -> bool {
        !matches!(self, Self::Field(_))
    }

    /// The text, whatever its characters. What reads it must refuse all that no token has, or ask [`check`](Self::check) before it says yes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] when it is not text.
    pub(crate) fn text(self) -> Result<&'a str, Error> {
        match self {
            Self::Field(bytes) => std::str::from_utf8(bytes).map_err(|_| no_token().at(Check::Credentials)),
            Self::Bare(token) | Self::Checked(token) => Ok(token),
        }
    }

    /// Whether it is made of the characters that a token has.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] when the bytes are not a `b64token`; of a bare token, each part between dots may be padded.
    pub(crate) fn check(self) -> Result<(), Error> {
        let well_formed = match self {
            Self::Field(bytes) => is_b64token(bytes),
            Self::Bare(token) => is_padded_b64token(token.as_bytes()),
            Self::Checked(_) => true,
        };
        if well_formed { Ok(()) } else { Err(no_token().at(Check::Credentials)) }
    }

    /// The token.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub(crate) fn token(self) -> Result<&'a str, Error> {
        self.check().and_then(|()| self.text())
    }
}

/// Finds the token's place: in those `agreed`, where the operator has named some, else in the header. Exactly one `Authorization` field
/// may be there; its scheme is compared without regard to case.
///
/// # Errors
/// [`ErrorKind::MissingToken`] when there is no field, or one of another scheme; [`ErrorKind::InvalidRequest`] when there are two
/// fields, or nothing after the scheme.
pub(crate) fn find<'a>(presented: Presented<'a>, agreed: Option<&Agreed>) -> Result<Candidate<'a>, Error> {
    candidate(presented, agreed).map_err(|error| error.at(Check::Credentials))
}

/// The same where the scheme `DPoP` is taken, too.
///
/// # Errors
/// As [`find`].
pub(crate) fn find_any<'a>(
    presented: Presented<'a>,
    agreed: Option<&Agreed>,
) -> Result<(Scheme, Candidate<'a>), Error> {
    match (presented.0, agreed) {
        (Source::Request(request), Some(agreed)) => {
            let found = agreed.token(request, true);
            found
                .map(|(scheme, token)| (scheme, Candidate::Checked(token)))
                .map_err(|error| error.at(Check::Credentials))
        }
        (Source::Request(request), None) => {
            let found = one_field(request).and_then(|field| match dpop_credentials(field) {
                Some(token) => Ok((Scheme::Dpop, token)),
                None => Ok((Scheme::Bearer, credentials(field)?)),
            });
            found.map(|(scheme, token)| (scheme, Candidate::Field(token))).map_err(|error| error.at(Check::Credentials))
        }
        (Source::Token(_), _) => Ok((Scheme::Bearer, find(presented, agreed)?)),
    }
}

fn candidate<'a>(presented: Presented<'a>, agreed: Option<&Agreed>) -> Result<Candidate<'a>, Error> {
    let request = match presented.0 {
        Source::Token(token) => return Ok(Candidate::Bare(token)),
        Source::Request(request) => request,
    };
    if let Some(agreed) = agreed {
        return agreed.token(request, false).map(|(_, token)| Candidate::Checked(token));
    }
    one_field(request).and_then(credentials).map(Candidate::Field)
}

/// The one `Authorization` field.
#[inline]
fn one_field(request: &dyn RequestView) -> Result<&[u8], Error> {
    let mut found: Option<&[u8]> = None;
    let mut fields = 0_usize;
    request.header("authorization", &mut |value| {
        fields += 1;
        found = Some(value);
    });
    match (fields, found) {
        (1, Some(field)) => Ok(field),
        (0, _) | (_, None) => Err(Error::new(ErrorKind::MissingToken, "the request has no authorization header")),
        _ => Err(Error::new(ErrorKind::InvalidRequest, "expected one authorization header, the request has several")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::grammar::b64token;
    use crate::request::sent::Sent;

    fn verdict(fields: &[&[u8]]) -> Result<String, ErrorKind> {
        let request = Sent::each("authorization", fields);
        find(Presented::request(&request), None)
            .and_then(Candidate::token)
            .map(str::to_owned)
            .map_err(|error| error.kind())
    }

    #[test]
    fn exactly_one_well_formed_bearer_field_is_taken() {
        type Row = (&'static [&'static [u8]], Result<&'static str, ErrorKind>);
        let table: &[Row] = &[
            (&[b"Bearer abc.def.ghi"], Ok("abc.def.ghi")),
            (&[b"bearer abc"], Ok("abc")),
            (&[b"BEARER   abc=="], Ok("abc==")),
            (&[], Err(ErrorKind::MissingToken)),
            (&[b""], Err(ErrorKind::MissingToken)),
            (&[b"Basic dXNlcjpwYXNz"], Err(ErrorKind::MissingToken)),
            (&[b"Bear"], Err(ErrorKind::MissingToken)),
            (&[b"Bearerabc"], Err(ErrorKind::MissingToken)),
            (&[b"Bearer"], Err(ErrorKind::InvalidRequest)),
            (&[b"Bearer "], Err(ErrorKind::InvalidRequest)),
            (&[b"Bearer =="], Err(ErrorKind::InvalidRequest)),
            (&[b"Bearer a b"], Err(ErrorKind::InvalidRequest)),
            (&[b"Bearer a, Bearer b"], Err(ErrorKind::InvalidRequest)),
            (&[b"Bearer a=b"], Err(ErrorKind::InvalidRequest)),
            (&[b"Bearer a\0b"], Err(ErrorKind::InvalidRequest)),
            (&[b"Bearer \xff\xfe"], Err(ErrorKind::InvalidRequest)),
            (&[b"Bearer \"abc\""], Err(ErrorKind::InvalidRequest)),
            (&[b"Bearer a", b"Bearer a"], Err(ErrorKind::InvalidRequest)),
            (&[b"Bearer a", b"Basic b"], Err(ErrorKind::InvalidRequest)),
        ];
        for (fields, expected) in table {
            assert_eq!(verdict(fields).as_deref(), expected.as_ref().map(|token| *token), "{fields:?}");
        }
    }

    #[test]
    fn the_characters_of_a_token_are_those_of_the_grammar_wherever_they_stand() {
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        for length in [1, 63, 64, 65, 200] {
            for byte in 0..=u8::MAX {
                let mut text = vec![b'a'; length];
                text[length / 2] = byte;
                assert_eq!(b64token(&text).is_ok(), named(byte), "{byte} in {length}");
            }
        }
    }
}
