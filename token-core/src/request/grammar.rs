//! How a bearer token is written: bytes in, the token in them out (RFC 6750 section 2.1, RFC 9110 section 11.4).

use crate::answer::error::{Error, ErrorKind};

/// The scheme that credentials came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Bearer,
    Dpop,
}

/// The token in the value of an authorization header.
pub(crate) fn from_field(field: &[u8]) -> Result<&str, Error> {
    credentials(field).and_then(b64token)
}

/// What stands behind the scheme.
pub(crate) fn credentials(field: &[u8]) -> Result<&[u8], Error> {
    const SCHEME: &[u8] = b"bearer";
    // As nearly all write it, and in any other case.
    let is_bearer = |scheme: &[u8]| scheme == b"Bearer" || scheme.eq_ignore_ascii_case(SCHEME);
    let scheme = field.get(..SCHEME.len()).is_some_and(is_bearer);
    match field.get(SCHEME.len()) {
        None if scheme => Err(Error::new(ErrorKind::InvalidRequest, "the bearer scheme is there, the token is not")),
        Some(b' ') if scheme => {
            // 1*SP between scheme and token.
            let rest = &field[SCHEME.len()..];
            let start = rest.iter().position(|byte| *byte != b' ').unwrap_or(rest.len());
            Ok(&rest[start..])
        }
        _ => Err(Error::new(ErrorKind::MissingToken, "the authorization header is of another scheme than bearer")),
    }
}

/// What stands behind the scheme `DPoP`, if it is that (RFC 9449 section 7.1); empty where nothing does.
pub(crate) fn dpop_credentials(field: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"dpop";
    let rest = field
        .get(..SCHEME.len())
        .filter(|scheme| scheme.eq_ignore_ascii_case(SCHEME))
        .map(|_| &field[SCHEME.len()..])?;
    let start = rest.iter().position(|byte| *byte != b' ').unwrap_or(rest.len());
    (start > 0 || rest.is_empty()).then(|| &rest[start..])
}

/// `b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`
pub(crate) fn b64token(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).ok().filter(|_| is_b64token(bytes)).ok_or_else(no_token)
}

pub(super) fn is_b64token(bytes: &[u8]) -> bool {
    let body = bytes.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    // In blocks and without branches, which compilers turn into a handful of wide instructions.
    let (blocks, rest) = bytes[..body].as_chunks::<64>();
    body > 0 && blocks.iter().all(|block| are_of_tokens(block)) && are_of_tokens(rest)
}

pub(super) fn no_token() -> Error {
    Error::new(ErrorKind::InvalidRequest, "the bearer token holds characters that no token has, or none")
}

/// The same, where each part between dots may be padded, as some load balancers write JWTs. Whether that is taken is for
/// the rules of the token's issuer to say.
pub(crate) fn padded_b64token(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).ok().filter(|_| is_padded_b64token(bytes)).ok_or_else(no_token)
}

pub(super) fn is_padded_b64token(bytes: &[u8]) -> bool {
    let plain = is_b64token(bytes);
    if plain && !bytes.ends_with(b"=") || !bytes.contains(&b'=') {
        return plain;
    }
    bytes.split(|byte| *byte == b'.').filter(|part| !part.is_empty()).all(is_b64token)
}

#[inline(always)]
fn are_of_tokens(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |all, byte| all & is_of_tokens(*byte))
}

#[inline(always)]
fn is_of_tokens(byte: u8) -> bool {
    let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    // From `+` to `9` all but the comma.
    let sign_or_digit = (byte.wrapping_sub(b'+') <= b'9' - b'+') & (byte != b',');
    letter | sign_or_digit | (byte == b'_') | (byte == b'~')
}
