//! A proof and what it has to be for in, its name for the replay memory or a refusal out (RFC 9449 section 4.3).
//!
//! Pure: no clock, no store, no network. What costs nothing is looked at first, the signature last; whoever shows a proof has shown a
//! verified token before, which says by which key the proof has to be signed. So a stranger's key is never prepared.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::keys::{Known, PreparedKeys};
use super::members::{self, Claims, Header};
use super::nonce::Nonces;
use crate::answer::check::Check;
use crate::answer::error::{Error, ErrorKind};
use crate::base::time::Timestamp;
use crate::jose::VerificationKey;
use crate::jose::algorithm::{Algorithm, Algorithms};
use crate::jose::base64url::{Buffer, SignatureBuffer};
use crate::jose::header::{OtherType, TokenType};
use crate::jose::jwk_set::Origin;
use crate::jose::signature::sha256;
use crate::jose::thumbprint::{Thumbprint, digest_of_text, same};
use crate::request::address::Address;

/// The longest proof in bytes. One on P-256 has about 500, one with RSA of 4096 bits 2,000.
pub(crate) const LONGEST: usize = 8 * 1024;
/// The longest `jti`, in bytes. UUIDs have 36.
const LONGEST_JTI: usize = 512;
/// What a proof is remembered by, before it is a digest: that of the client's key, and `jti`.
const LONGEST_NAME: usize = 32 + LONGEST_JTI;
/// The longest RSA modulus in a proof: larger ones are a way to make us work.
const LONGEST_RSA: usize = 4096 / 8;

/// What an operator asks of every proof.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) algorithms: Algorithms,
    /// How old `iat` may be.
    pub(crate) max_age: Duration,
    /// How far ahead `iat` may be.
    pub(crate) max_ahead: Duration,
}

/// What the proof has to be for.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    /// `cnf.jkt` of the token.
    pub(crate) key: &'a Thumbprint,
    /// The request's method, as sent.
    pub(crate) method: &'a str,
    pub(crate) address: &'a Address<'a>,
    /// SHA-256 of the token, as sent.
    pub(crate) token: &'a [u8; 32],
    pub(crate) now: Timestamp,
}

/// A good proof, by what it is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Proved {
    /// Digest of key and `jti`.
    pub(crate) digest: [u8; 32],
    /// From then on it is refused for its age, wherever the clock is as far behind as may be.
    pub(crate) until: Timestamp,
}

/// Judges a proof.
///
/// # Errors
/// [`ErrorKind::InvalidDpopProof`] with the part that is wrong; [`ErrorKind::DpopNonceRequired`] where nothing is wrong but the nonce.
pub(crate) fn judge(
    proof: &str,
    wanted: &Wanted<'_>,
    rules: &Rules,
    keys: &PreparedKeys,
    nonces: Option<&Nonces>,
) -> Result<Proved, Error> {
    if proof.len() > LONGEST {
        return Err(refused(format!("expected at most {LONGEST} bytes")));
    }
    // Step 2: one JWT.
    let [header, claims, signature, signed] = parts(proof).ok_or_else(|| refused("expected a JWT of three parts"))?;

    // Steps 4 to 6: type, algorithm and a public key; the key is the token's (step 12).
    let known = keys.find(wanted.key);
    let fresh;
    let (key, algorithm) = match &known {
        Some(known) if known.has_judged(header) => (&known.key, known.algorithm),
        known => {
            fresh = read_header(header, wanted.key, rules, known.as_deref())?;
            (&fresh.key, fresh.algorithm)
        }
    };
    if !rules.algorithms.contains(algorithm) {
        return Err(not_allowed(rules));
    }

    // Step 3: the claims that are required, each of its type.
    let mut buffer = Buffer::<1024>::new();
    let json = buffer.decode(claims).ok_or_else(|| refused("the claims are not base64url without padding"))?;
    let claims: Claims<'_> = members::read(json).ok_or_else(|| {
        refused("the claims: expected one JSON object, none of its members twice, with the texts jti, htm, htu and ath and the number iat")
    })?;
    let missing = |claim: &'static str| refused(format!("the claim {claim} is missing"));
    let jti = claims.jti.ok_or_else(|| missing("jti"))?.0;
    if jti.is_empty() || jti.len() > LONGEST_JTI {
        return Err(refused(format!("jti: expected 1 to {LONGEST_JTI} bytes")));
    }

    // Step 8: methods are compared as they are (RFC 9110 section 9.1).
    let method = claims.htm.ok_or_else(|| missing("htm"))?.0;
    if method != wanted.method {
        let case = if method.eq_ignore_ascii_case(wanted.method) { ", which is case-sensitive" } else { "" };
        return Err(refused(format!("htm: expected the method of the request, {}{case}", printable(wanted.method))));
    }
    // Step 9.
    let address = claims.htu.ok_or_else(|| missing("htu"))?.0;
    wanted.address.is(&address).map_err(|mismatch| refused(mismatch.to_string()))?;
    // Step 11.
    let issued = claims.iat.ok_or_else(|| missing("iat"))?.0;
    check_time(issued, wanted.now, rules)?;
    // Step 12: the proof is for this very token.
    let hash = claims.ath.ok_or_else(|| missing("ath"))?.0;
    if !digest_of_text(&hash).is_some_and(|hash| same(&hash, wanted.token)) {
        return Err(refused("ath is not the hash of the access token that came with the proof"));
    }
    // Step 10.
    if let Some(nonces) = nonces {
        let nonce = claims.nonce.map(|nonce| nonce.0);
        if !nonce.as_deref().is_some_and(|nonce| nonces.knows(nonce, wanted.now)) {
            let what = if nonce.is_some() { "not one of this server's, or too old" } else { "missing" };
            let detail = format!("the nonce is {what}; a fresh one goes with the answer");
            return Err(Error::new(ErrorKind::DpopNonceRequired, detail).at(Check::Proof));
        }
    }

    // Step 7.
    let mut buffer = SignatureBuffer::new();
    let signature =
        buffer.decode(signature).ok_or_else(|| refused("the signature is not base64url without padding"))?;
    if !key.verify(algorithm, signed, signature) {
        return Err(refused("the signature does not verify with the key in the header"));
    }
    if known.as_ref().is_none_or(|known| known.is_behind(header)) {
        keys.keep(Known::new(*wanted.key, Arc::clone(key), algorithm, header));
    }
    let mut name = [0; LONGEST_NAME];
    name[..32].copy_from_slice(wanted.key.as_bytes());
    name[32..32 + jti.len()].copy_from_slice(jti.as_bytes());
    Ok(Proved {
        digest: sha256(&name[..32 + jti.len()]),
        until: issued
            .saturating_add(rules.max_age)
            .saturating_add(rules.max_ahead)
            .saturating_add(Duration::from_secs(1)),
    })
}

/// Header, claims and signature, and what is signed.
fn parts(proof: &str) -> Option<[&[u8]; 4]> {
    let bytes = proof.as_bytes();
    let mut dots = memchr::memchr_iter(b'.', bytes);
    let (first, second) = (dots.next()?, dots.next()?);
    dots.next().is_none().then(|| [&bytes[..first], &bytes[first + 1..second], &bytes[second + 1..], &bytes[..second]])
}

struct Read {
    key: Arc<VerificationKey>,
    algorithm: Algorithm,
}

/// A header that was not seen before.
fn read_header(encoded: &[u8], bound_to: &Thumbprint, rules: &Rules, known: Option<&Known>) -> Result<Read, Error> {
    let mut buffer = Buffer::<1024>::new();
    let json = buffer.decode(encoded).ok_or_else(|| refused("the header is not base64url without padding"))?;
    let header: Header<'_> = members::read(json).ok_or_else(|| {
        refused("the header: expected one JSON object, none of its members twice, with the texts typ and alg and the object jwk")
    })?;
    if header.crit.is_some()
        || header.zip.is_some()
        || header.enc.is_some()
        || matches!(header.b64, Some(serde_json::Value::Bool(false)))
    {
        return Err(refused("the header demands an extension (crit, b64, zip, enc), and none is implemented"));
    }
    let typ = header.typ.map(|typ| typ.0);
    if TokenType::parse(typ.as_deref()) != TokenType::Other(OtherType::DpopProof) {
        return Err(refused("typ: expected dpop+jwt"));
    }
    let alg = header.alg.ok_or_else(|| refused("alg is missing"))?.0;
    let algorithm = Algorithm::from_name(&alg).filter(|algorithm| rules.algorithms.contains(*algorithm));
    let algorithm = algorithm.ok_or_else(|| not_allowed(rules))?;

    let jwk = header.jwk.ok_or_else(|| refused("jwk is missing"))?.0;
    if jwk.get("n").and_then(serde_json::Value::as_str).is_some_and(|n| n.len() > LONGEST_RSA.div_ceil(3) * 4 + 4) {
        return Err(refused("jwk: expected an RSA key of at most 4096 bits"));
    }
    let unusable = |error: crate::jose::UnusableKey| refused(format!("jwk: {error}"));
    if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|member| jwk.contains_key(*member)) {
        return Err(refused("jwk: expected a public key and nothing of a private or secret one"));
    }
    let thumbprint = Thumbprint::of_members(&jwk).map_err(unusable)?;
    if thumbprint != *bound_to {
        return Err(refused("the proof is signed by another key than the one that the token is bound to (cnf.jkt)"));
    }
    let jwk = serde_json::Value::Object(jwk);
    let key = match known.filter(|known| known.key.can(algorithm)) {
        // The same key under another header: it is prepared already.
        Some(known) => Arc::clone(&known.key),
        None => Arc::new(VerificationKey::from_jwk(&jwk, Origin::Fetched, None).map_err(unusable)?),
    };
    if !key.can(algorithm) {
        return Err(refused("alg is not one that the key in jwk is for"));
    }
    Ok(Read { key, algorithm })
}

/// RFC 9449 section 11.1.
fn check_time(issued: Timestamp, now: Timestamp, rules: &Rules) -> Result<(), Error> {
    let window = || format!("{} s back and {} s ahead", rules.max_age.as_secs(), rules.max_ahead.as_secs());
    if now > issued.saturating_add(rules.max_age) {
        let age = now.since(issued).as_secs();
        return Err(refused(format!(
            "iat is {age} s old, taken are {}: each request needs a proof of its own",
            window()
        )));
    }
    if issued > now.saturating_add(rules.max_ahead) {
        let ahead = issued.since(now).as_secs();
        return Err(refused(format!("iat is {ahead} s ahead, taken are {}: one of the clocks is wrong", window())));
    }
    Ok(())
}

fn not_allowed(rules: &Rules) -> Error {
    refused(format!("alg: expected one of {:?}", rules.algorithms))
}

/// What the operator reads of a request's own words.
fn printable(text: &str) -> Cow<'_, str> {
    if text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_graphic()) { text.into() } else { "as sent".into() }
}

pub(crate) fn refused(why: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidDpopProof, why).at(Check::Proof)
}

#[cfg(test)]
mod tests;
