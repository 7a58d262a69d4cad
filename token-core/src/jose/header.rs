//! The first part of a token in, what it says about itself out (RFC 7515 section 4). Nothing here is trusted: the header
//! names a key and an algorithm, and neither is believed until the key is ours and the signature good.

pub(crate) mod members;
#[cfg(test)]
mod tests;
mod token_type;

use std::borrow::Cow;

pub(crate) use token_type::{OtherType, TokenType};

use super::algorithm::Algorithm;
use super::base64url::Buffer;
use members::Members;

/// The longest `kid` in bytes. Issuers use up to about 100; the cap keeps lookups and records of unknown names small.
pub(crate) const LONGEST_KID: usize = 512;
/// The most members a header may have. Those in use have two to six.
const MOST_MEMBERS: usize = 32;

/// A header that names a signature algorithm we know and asks for nothing we do not implement.
///
/// `jku`, `x5u`, `jwk` and `x5c` are not among the members: a key never comes from a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header<'a> {
    /// What the token says it is signed with. Whether that is allowed is not decided here.
    pub(crate) alg: Algorithm,
    /// At most [`LONGEST_KID`] bytes.
    pub(crate) kid: Option<Cow<'a, str>>,
    /// What the token says it is.
    pub(crate) typ: TokenType,
}

/// Why a header is refused. No variant holds text of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// Not a header, or one whose members are of the wrong type; with what is wrong.
    Malformed(&'static str),
    /// `none`, or a name that is in no table of ours; with which of the two.
    AlgorithmNotAllowed(&'static str),
    /// The header of a JWE (RFC 7516): it has `enc`.
    Encrypted,
    /// `crit` asks for an extension (RFC 7515 section 4.1.11), and we implement none.
    Critical,
}

/// Reads the header of a JWS in the compact serialization. The caller caps the length of `encoded`.
#[inline]
pub(crate) fn parse<'buffer, const N: usize>(
    encoded: &[u8],
    buffer: &'buffer mut Buffer<N>,
) -> Result<Header<'buffer>, HeaderError> {
    let json = buffer.decode(encoded).ok_or(HeaderError::Malformed("the header is not base64url without padding"))?;
    let text = std::str::from_utf8(json).map_err(|_| HeaderError::Malformed("the header is not UTF-8"))?;
    judge(members::read(text).map_err(HeaderError::Malformed)?)
}

fn judge(members: Members<'_>) -> Result<Header<'_>, HeaderError> {
    // first, because the `alg` of a JWE says how a key is wrapped and would read as an unknown signature
    if members.enc {
        return Err(HeaderError::Encrypted);
    }
    if members.crit {
        return Err(HeaderError::Critical);
    }
    if members.zip {
        return Err(HeaderError::Malformed("zip: a signed token is not compressed"));
    }
    // RFC 7797 section 6 obliges whoever sends `b64: false` to list it in `crit`. Without that, a reader that knows
    // `b64` and one that ignores it would verify different bytes: nobody honest sends it, so it is refused. `true` says
    // what holds anyway and changes nothing.
    if members.b64 == Some(false) {
        return Err(HeaderError::Malformed("b64 is false and not listed in crit"));
    }
    let name = members.alg.ok_or(HeaderError::Malformed("alg is missing"))?;
    let alg = Algorithm::from_name(&name).ok_or(if name.eq_ignore_ascii_case("none") {
        HeaderError::AlgorithmNotAllowed("none: the token is not signed")
    } else {
        HeaderError::AlgorithmNotAllowed("alg is not the name of a signature algorithm we know")
    })?;
    if members.kid.as_ref().is_some_and(|kid| kid.len() > LONGEST_KID) {
        return Err(HeaderError::Malformed("kid is longer than 512 bytes"));
    }
    Ok(Header { alg, kid: members.kid, typ: TokenType::parse(members.typ.as_deref()) })
}
