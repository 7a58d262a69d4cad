//! From a request to the one bearer token in it, or why there is none (RFC 6750 section 2.1, RFC 9110 section 11.4).

use crate::check::Check;
use crate::presented::{Presented, Source};
use crate::source::{self, TokenSource};
use crate::{Error, ErrorKind};

/// Finds the token: in `sources`, where the operator has named some, else in the header. Exactly one `Authorization` field may be there; its scheme is compared without regard to case.
///
/// # Errors
/// [`ErrorKind::MissingToken`] when there is no field, or one of another scheme; [`ErrorKind::InvalidRequest`] when there are two
/// fields, or the text after the scheme is not a `b64token`.
pub(crate) fn token<'a>(presented: Presented<'a>, sources: Option<&[TokenSource]>) -> Result<&'a str, Error> {
    find(presented, sources).map_err(|error| error.at(Check::Credentials))
}

fn find<'a>(presented: Presented<'a>, sources: Option<&[TokenSource]>) -> Result<&'a str, Error> {
    let request = match presented.0 {
        Source::Token(token) => return padded_b64token(token.as_bytes()),
        Source::Request(request) => request,
    };
    if let Some(sources) = sources {
        return source::token(sources, request);
    }
    let mut found: Option<&'a [u8]> = None;
    let mut fields = 0_usize;
    request.header("authorization", &mut |value| {
        fields += 1;
        found = Some(value);
    });
    match (fields, found) {
        (1, Some(field)) => from_field(field),
        (0, _) | (_, None) => Err(Error::new(ErrorKind::MissingToken, "the request has no authorization header")),
        _ => Err(Error::new(ErrorKind::InvalidRequest, "expected one authorization header, the request has several")),
    }
}

pub(crate) fn from_field(field: &[u8]) -> Result<&str, Error> {
    const SCHEME: &[u8] = b"bearer";
    let scheme = field.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME));
    match field.get(SCHEME.len()) {
        None if scheme => Err(Error::new(ErrorKind::InvalidRequest, "the bearer scheme is there, the token is not")),
        Some(b' ') if scheme => {
            // 1*SP between scheme and token.
            let rest = &field[SCHEME.len()..];
            let start = rest.iter().position(|byte| *byte != b' ').unwrap_or(rest.len());
            b64token(&rest[start..])
        }
        _ => Err(Error::new(ErrorKind::MissingToken, "the authorization header is of another scheme than bearer")),
    }
}

/// `b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`
pub(crate) fn b64token(bytes: &[u8]) -> Result<&str, Error> {
    let body = bytes.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    let well_formed = body > 0 && bytes[..body].iter().all(|byte| B64TOKEN[usize::from(*byte)]);
    match std::str::from_utf8(bytes) {
        Ok(token) if well_formed => Ok(token),
        _ => Err(Error::new(ErrorKind::InvalidRequest, "the bearer token holds characters that no token has, or none")),
    }
}

/// The same, where each part between dots may be padded, as some load balancers write JWTs. Whether that is taken is for
/// the rules of the token's issuer to say.
pub(crate) fn padded_b64token(bytes: &[u8]) -> Result<&str, Error> {
    if bytes.contains(&b'=') {
        for part in bytes.split(|byte| *byte == b'.').filter(|part| !part.is_empty()) {
            b64token(part)?;
        }
        if let Ok(token) = std::str::from_utf8(bytes) {
            return Ok(token);
        }
    }
    b64token(bytes)
}

const B64TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_usize;
    while byte < 256 {
        let character = byte as u8;
        table[byte] = character.is_ascii_alphanumeric() || matches!(character, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presented::RequestView;

    struct Fields(Vec<Vec<u8>>);
    impl RequestView for Fields {
        fn method(&self) -> &str {
            "GET"
        }
        fn path_and_query(&self) -> &str {
            "/"
        }
        fn header<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8])) {
            assert_eq!(name, "authorization");
            self.0.iter().for_each(|value| each(value));
        }
    }

    fn verdict(fields: &[&[u8]]) -> Result<String, ErrorKind> {
        let view = Fields(fields.iter().map(|field| field.to_vec()).collect());
        token(Presented::request(&view), None).map(str::to_owned).map_err(|error| error.kind())
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
}
