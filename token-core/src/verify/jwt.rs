//! From the text of a JWT to the facts its issuer signed (RFC 7519 section 7.2, RFC 8725, RFC 9068 section 4).
//!
//! Everything that can be refused on unverified data is refused before a key is looked for; nothing is accepted before the
//! signature is.

use std::sync::Arc;

use crate::answer::check::Check;
use crate::answer::error::{Error, ErrorKind};
use crate::base::time::Timestamp;
use crate::claims::{self, Claims, ClaimsError, Text};
use crate::jose::base64url::{self, HeaderBuffer, SignatureBuffer};
use crate::jose::header::{self, Header, HeaderError, TokenType};
use crate::jose::jwk_set::{KeySet, NoKey};
use crate::jose::{Algorithm, VerificationKey};
use crate::keys::Looked;
use crate::token::kind::{self, TokenKind};
use crate::token::naming::Naming;
use crate::trust::registry::Registry;
use crate::trust::trusted::TrustedIssuer;
use crate::verify::typed::Typed;
use crate::verify::verified::Facts;

mod straight;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

/// What stands between a JWT and its acceptance.
pub(crate) enum Hurdle {
    /// Refused, for good.
    Refused(Error),
    /// Of an issuer without keys: its endpoint decides.
    Ask { issuer: Arc<TrustedIssuer> },
    /// All that can be checked without a key passed; the key is not at hand.
    Key { issuer: Arc<TrustedIssuer>, lacking: Lacking, looked: Looked },
    /// Nobody in the registry has this name, and nothing else is wrong so far.
    Stranger(Box<str>),
}

/// The key that is not at hand.
pub(crate) enum Lacking {
    /// There are no keys of this issuer at all.
    Set,
    /// No key of this name.
    Kid(Box<str>),
    /// The token names no key and no single one fits.
    NoKid,
    /// The key of this name does not fit the signature: a new key may stand under an old name.
    SameKid(Box<str>),
}

impl From<Error> for Hurdle {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// The three parts of a compact JWS, and what the signature covers.
struct Parts<'a> {
    header: &'a [u8],
    claims: &'a [u8],
    signature: &'a [u8],
    signed: &'a [u8],
}

/// Verifies `token`, whose length the caller has capped. `kept` goes into the text beside the claims: the token, or nothing.
pub(crate) fn verify(token: &[u8], kept: &[u8], registry: &Registry, now: Timestamp) -> Result<Arc<Facts>, Hurdle> {
    // RFC 7519 7.2, steps 1 to 6: three parts, strict base64url, one JSON object each.
    let parts = split(token)?;
    let straight::Left { asked, claims: decoded } = match straight::verify(&parts, kept, registry, now) {
        Ok(facts) => return Ok(facts),
        Err(left) => left,
    };
    let (untrusted_json, padded) =
        decode_claims(&parts, decoded, registry, kept.len()).map_err(|error| match kind::untrusted_prefix(token) {
            Some(_) => foreign(token),
            None => error,
        })?;
    let parts = if padded { parts.without_padding() } else { parts };
    let kept = std::str::from_utf8(kept).map_err(|_| malformed(Check::Form, "the token is not text"))?;
    let (text, untrusted, numeric_subject) = claims::read(untrusted_json, kept, registry.reading())
        .map_err(|error| malformed(Check::Claims, error.to_string()))?;

    // RFC 8725 3.8: the issuer picks its own rules and keys out of the closed registry.
    let issuer = match registry.candidates(&text, &untrusted) {
        [one] => one,
        [] => return Err(stranger(registry, &text, &untrusted)),
        several => choose(several, &parts, &text, &untrusted)?,
    };
    if padded && !issuer.padded {
        let error = malformed(Check::Claims, "a part of the token is padded: base64url in a JWT is not");
        return Err(error.about(&issuer.identifier).into());
    }
    if numeric_subject && !issuer.numeric_subjects {
        let error = malformed(Check::Claims, ClaimsError::WrongType("sub", "a string").to_string());
        return Err(error.about(&issuer.identifier).into());
    }
    match verify_by(issuer, &parts, asked, text, untrusted, now) {
        // The operator is told whose token it was: by the registry's text, not by the token's.
        Err(Hurdle::Refused(error)) => Err(Hurdle::Refused(error.about(&issuer.identifier))),
        outcome => outcome,
    }
}

/// The rest of the way, by the rules and with the keys of one issuer.
#[inline]
fn verify_by(
    issuer: &Arc<TrustedIssuer>,
    parts: &Parts<'_>,
    asked: Option<Asked>,
    text: Text,
    untrusted: Claims,
    now: Timestamp,
) -> Result<Arc<Facts>, Hurdle> {
    if issuer.keyless {
        return Err(Hurdle::Ask { issuer: Arc::clone(issuer) });
    }
    let Some(keys) = issuer.keys.current(now) else {
        // Still read the header: a token that no key could save must not start a fetch.
        decode_signature(parts, &mut SignatureBuffer::new())?;
        let mut buffer = HeaderBuffer::new();
        let header = read_header(parts.header, &mut buffer)?;
        let kind = issuer.check_header(header.alg, header.typ, &text, &untrusted)?;
        issuer.check_claims(kind, &text, &untrusted, now)?;
        if let Some(kid) = &header.kid {
            issuer.keys.wanted(kid);
        }
        return Err(Hurdle::Key { issuer: Arc::clone(issuer), lacking: Lacking::Set, looked: Looked::default() });
    };

    let mut kind = TokenKind::Access;
    let key = signed_by(parts, &keys, asked, |algorithm, token_type| {
        kind = issuer.check_header(algorithm, token_type, &text, &untrusted)?;
        issuer.check_claims(kind, &text, &untrusted, now)
    });
    let key = match key {
        Ok(key) => key,
        Err(Unsigned::Refused(error)) => return Err(Hurdle::Refused(error)),
        Err(Unsigned::Lacking(lacking)) => {
            if let Lacking::Kid(kid) = &lacking {
                issuer.keys.wanted(kid);
            }
            return Err(Hurdle::Key { issuer: Arc::clone(issuer), lacking, looked: Looked::into(Some(&keys)) });
        }
    };

    Ok(accept(parts, issuer, key, kind, text, untrusted)?)
}

/// Only now, on signed data, what an issuer's own rules ask for.
fn accept(
    parts: &Parts<'_>,
    issuer: &Arc<TrustedIssuer>,
    key: Arc<VerificationKey>,
    kind: TokenKind,
    text: Text,
    claims: Claims,
) -> Result<Arc<Facts>, Error> {
    let header_json = || {
        let mut buffer = HeaderBuffer::new();
        buffer.decode(parts.header).and_then(|json| serde_json::from_slice(json).ok()).unwrap_or_default()
    };
    let extra = issuer.examine(Some(&key), header_json, &text, &claims).map_err(|error| error.at(Check::Demands))?;
    let kind = match (kind, &extra) {
        (TokenKind::Access, Some(extra)) if extra.delegation.actor.is_some() => TokenKind::Delegation,
        (TokenKind::Access, _) if issuer.naming == Naming::Nameless => TokenKind::Management,
        (kind, _) => kind,
    };
    let (issuer, key) = (Arc::clone(issuer), Some(key));
    Ok(Arc::new(Facts { claims, text, key, issuer, kind, extra, typed: Typed::default() }))
}

/// The claims as JSON text, and whether they had to be read with padding: only where some issuer is known to send it.
fn decode_claims(
    parts: &Parts<'_>,
    decoded: Option<Vec<u8>>,
    registry: &Registry,
    room: usize,
) -> Result<(String, bool), Error> {
    let text = |bytes: Option<Vec<u8>>| bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some(json) = text(decoded.or_else(|| base64url::decode_with_room(parts.claims, room))) {
        // The claims may have come out even where the header did not.
        return Ok((json, parts.has_padding() && registry.allows_padding()));
    }
    if parts.has_padding()
        && registry.allows_padding()
        && let Some(json) = text(base64url::decode_with_room(trim(parts.claims), room))
    {
        return Ok((json, true));
    }
    Err(malformed(Check::Claims, "the claims are not UTF-8 in strict base64url"))
}

fn stranger(registry: &Registry, text: &Text, claims: &Claims) -> Hurdle {
    match claims.issuer.map(|span| text.get(span)) {
        Some(issuer) => Hurdle::Stranger(issuer.into()),
        None if registry.knows_nameless() => Hurdle::Refused(
            Error::new(
                ErrorKind::UnknownIssuer,
                "the token has no iss, and none of those who write none is trusted for its aud or sub",
            )
            .at(Check::Issuer),
        ),
        None => Hurdle::Refused(
            Error::new(ErrorKind::ClaimsMismatch, "the token has no iss, and one is required").at(Check::Issuer),
        ),
    }
}

/// One of several entries of the same name: by audience, and among those of the same audience by algorithm. A key is
/// bound to its own algorithms, so the header cannot turn one entry's key into another's.
fn choose<'r>(
    several: &'r [Arc<TrustedIssuer>],
    parts: &Parts<'_>,
    text: &Text,
    claims: &Claims,
) -> Result<&'r Arc<TrustedIssuer>, Error> {
    let mut buffer = HeaderBuffer::new();
    let algorithm = read_header(parts.header, &mut buffer)?.alg;
    let fitting = several.iter().max_by_key(|issuer| {
        let (audience, able) = issuer.fits(algorithm, text, claims);
        u8::from(audience) * 2 + u8::from(able)
    });
    Ok(fitting.expect("called with several entries"))
}

impl<'a> Parts<'a> {
    fn has_padding(&self) -> bool {
        [self.header, self.claims, self.signature].iter().any(|part| part.last() == Some(&b'='))
    }

    /// The same to decode; what is signed stays as it was sent.
    fn without_padding(self) -> Self {
        Self { header: trim(self.header), claims: trim(self.claims), signature: trim(self.signature), ..self }
    }
}

/// Without the padding that base64 (RFC 4648 section 4) asks for and JWS forbids.
fn trim(part: &[u8]) -> &[u8] {
    let end = part.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    if part.len().is_multiple_of(4) && part.len() - end <= 2 { &part[..end] } else { part }
}

/// Verifies a JWT of this issuer that is a statement of another kind than an access token: an answer of one of its endpoints.
/// Checks signature, algorithm and `type_fits`, and nothing of what it says.
pub(crate) fn verify_statement(
    token: &str,
    issuer: &Arc<TrustedIssuer>,
    now: Timestamp,
    type_fits: impl FnOnce(TokenType) -> bool,
) -> Result<(Text, Claims), Hurdle> {
    let parts = split(token.as_bytes())?;
    let untrusted_json = base64url::decode(parts.claims)
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| malformed(Check::Claims, "the claims are not UTF-8 in strict base64url"))?;
    let (text, untrusted) =
        claims::parse(untrusted_json, "").map_err(|error| malformed(Check::Claims, error.to_string()))?;
    let lacking = |lacking, looked| Hurdle::Key { issuer: Arc::clone(issuer), lacking, looked };
    let Some(keys) = issuer.keys.current(now) else { return Err(lacking(Lacking::Set, Looked::default())) };
    let key = signed_by(&parts, &keys, None, |algorithm, token_type| {
        if !issuer.algorithms.contains(algorithm) {
            return Err(Error::new(ErrorKind::AlgorithmNotAllowed, "the algorithm is not agreed with this issuer"));
        }
        if !type_fits(token_type) {
            return Err(Error::new(ErrorKind::WrongType, "the type is not that of such an answer"));
        }
        Ok(())
    });
    match key {
        Ok(_) => Ok((text, untrusted)),
        Err(Unsigned::Refused(error)) => Err(Hurdle::Refused(error)),
        Err(Unsigned::Lacking(what)) => Err(lacking(what, Looked::into(Some(&keys)))),
    }
}

enum Unsigned {
    Refused(Error),
    Lacking(Lacking),
}

impl From<Error> for Unsigned {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// What a key has said of the token's signature.
struct Asked {
    key: Arc<VerificationKey>,
    algorithm: Algorithm,
    good: bool,
}

/// RFC 7515 5.2: the header names algorithm and key, the key checks the signature over the token's own bytes. `precheck` is asked
/// between the header and the key. A key that was `asked` about this token is not asked again.
fn signed_by(
    parts: &Parts<'_>,
    keys: &KeySet,
    asked: Option<Asked>,
    precheck: impl FnOnce(Algorithm, TokenType) -> Result<(), Error>,
) -> Result<Arc<VerificationKey>, Unsigned> {
    let mut buffer = SignatureBuffer::new();
    let signature = decode_signature(parts, &mut buffer)?;

    // The very header of a token that was well signed: everything judged from it holds.
    if let Some(remembered) = keys.remembered(parts.header) {
        precheck(remembered.alg, remembered.typ)?;
        let good = match asked {
            Some(asked) if Arc::ptr_eq(&asked.key, remembered.key) && asked.algorithm == remembered.alg => asked.good,
            _ => remembered.key.verify(remembered.alg, parts.signed, signature),
        };
        if good {
            return Ok(Arc::clone(remembered.key));
        }
        return Err(unsigned(remembered.key.kid()));
    }

    let mut buffer = HeaderBuffer::new();
    let header = read_header(parts.header, &mut buffer)?;
    precheck(header.alg, header.typ)?;
    let key = match keys.choose(header.alg, header.kid.as_deref()) {
        Ok(key) => key,
        Err(NoKey::WrongAlgorithm) => {
            let detail = format!("the key that the token names is not one for {}", header.alg);
            return Err(Error::new(ErrorKind::AlgorithmNotAllowed, detail).at(Check::Key).into());
        }
        Err(no_key @ (NoKey::Unknown | NoKey::Ambiguous)) => {
            if no_key == NoKey::Ambiguous {
                let kid = header.kid.as_deref();
                let mut several = keys.tried_in_turn(header.alg, kid).peekable();
                if let Some(first) = several.peek() {
                    let named = first.kid().is_some();
                    // Not remembered for this header: the next token of it may be the other key's.
                    let signed = several.find(|key| key.verify(header.alg, parts.signed, signature));
                    return signed.map(Arc::clone).ok_or_else(|| unsigned(kid.filter(|_| named)));
                }
            }
            return Err(Unsigned::Lacking(match header.kid {
                Some(kid) => Lacking::Kid(kid.into()),
                None => Lacking::NoKid,
            }));
        }
    };
    if !key.verify(header.alg, parts.signed, signature) {
        return Err(unsigned(key.kid()));
    }
    keys.remember(key, parts.header, &header);
    Ok(Arc::clone(key))
}

fn unsigned(kid: Option<&str>) -> Unsigned {
    match kid {
        Some(kid) => Unsigned::Lacking(Lacking::SameKid(kid.into())),
        None => Unsigned::Refused(bad_signature()),
    }
}

pub(crate) fn bad_signature() -> Error {
    Error::new(ErrorKind::BadSignature, "the signature does not verify with the issuer's key").at(Check::Signature)
}

fn decode_signature<'b>(parts: &Parts<'_>, buffer: &'b mut SignatureBuffer) -> Result<&'b [u8], Error> {
    buffer.decode(parts.signature).ok_or_else(|| malformed(Check::Header, "the signature is not strict base64url"))
}

fn read_header<'b>(encoded: &[u8], buffer: &'b mut HeaderBuffer) -> Result<Header<'b>, Error> {
    header::parse(encoded, buffer).map_err(|error| match error {
        HeaderError::Malformed(why) => malformed(Check::Header, why),
        HeaderError::AlgorithmNotAllowed(why) => Error::new(ErrorKind::AlgorithmNotAllowed, why).at(Check::Algorithm),
        HeaderError::Encrypted => {
            Error::new(ErrorKind::WrongType, "encrypted tokens (JWE) are not accepted").at(Check::Header)
        }
        HeaderError::Critical => {
            malformed(Check::Header, "the header demands an extension (crit), and none is implemented")
        }
    })
}

/// The algorithm of a token that was verified: for the hashes in its claims.
pub(crate) fn algorithm(token: &str) -> Option<Algorithm> {
    let mut buffer = HeaderBuffer::new();
    read_header(token.split('.').next()?.as_bytes(), &mut buffer).ok().map(|header| header.alg)
}

fn split(token: &[u8]) -> Result<Parts<'_>, Error> {
    let mut dots = memchr::memchr_iter(b'.', token);
    // Where there is no first one, nobody looks for a second.
    let Some((first, second)) = dots.next().and_then(|first| Some((first, dots.next()?))) else {
        return Err(foreign(token));
    };
    match dots.count() {
        0 => Ok(Parts {
            header: &token[..first],
            claims: &token[first + 1..second],
            signature: &token[second + 1..],
            signed: &token[..second],
        }),
        2 => Err(Error::new(ErrorKind::WrongType, "encrypted tokens (JWE) are not accepted").at(Check::Form)),
        _ => Err(foreign(token)),
    }
}

/// What is no JWT may still be known by its beginning; the operator is told what was sent here by mistake.
fn foreign(token: &[u8]) -> Error {
    match kind::untrusted_prefix(token) {
        Some((kind, whose)) => {
            let detail = format!("it begins like {kind} of {whose}, expected an access token for this server");
            Error::new(ErrorKind::WrongType, detail).at(Check::Form)
        }
        None => malformed(Check::Form, "not a JWT: expected three parts"),
    }
}

fn malformed(check: Check, why: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Malformed, why).at(check)
}
