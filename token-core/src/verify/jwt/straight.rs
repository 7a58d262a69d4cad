//! The straight road of a token like the last one: signature first, then its claims in one quick look; accepted, or left to the long road.
//!
//! It is taken where the very header has been seen on a well-signed token of the issuer: there is a key, and no fetch to be spared by looking at
//! the claims first. Where several issuers are trusted, a look at the claims guesses whose token it is; whose it really is they say once they are
//! signed. It accepts, or says nothing: every refusal is found, and explained, by the long road. Tokens that are refused start no refresh here.

use std::sync::{Arc, LazyLock};

use memchr::memmem::Finder;

use super::{Asked, Parts, accept};
use crate::base::time::Timestamp;
use crate::claims::{self, Claims, Text};
use crate::jose::base64url::{self, SignatureBuffer};
use crate::token::naming::Naming;
use crate::trust::registry::Registry;
use crate::trust::trusted::TrustedIssuer;
use crate::verify::verified::Facts;

/// What was found on the way, for the long road to go by.
#[derive(Default)]
pub(super) struct Left {
    /// What the key has said, where it was asked.
    pub(super) asked: Option<Asked>,
    /// The claims, decoded.
    pub(super) claims: Option<Vec<u8>>,
}

impl From<Asked> for Left {
    fn from(asked: Asked) -> Self {
        Self { asked: Some(asked), claims: None }
    }
}

pub(super) fn verify(parts: &Parts<'_>, kept: &[u8], registry: &Registry, now: Timestamp) -> Result<Arc<Facts>, Left> {
    let decode = || base64url::decode_with_room(parts.claims, kept.len()).ok_or_else(Left::default);
    let left = |json| Left { asked: None, claims: Some(json) };
    let (issuer, json) = match registry.only() {
        Some(only) => (only, None),
        None => {
            let json = decode()?;
            match seems_of(&json, registry) {
                Some(issuer) => (issuer, Some(json)),
                None => return Err(left(json)),
            }
        }
    };
    let nothing = |json: Option<Vec<u8>>| Left { asked: None, claims: json };
    if issuer.padded || issuer.keyless {
        return Err(nothing(json));
    }
    let Some(keys) = issuer.keys.held(now) else { return Err(nothing(json)) };
    let Some(remembered) = keys.remembered(parts.header) else { return Err(nothing(json)) };
    let mut buffer = SignatureBuffer::new();
    let Some(signature) = buffer.decode(parts.signature) else { return Err(nothing(json)) };
    let json = json.map_or_else(decode, Ok)?;
    // Clients that hold on to a token after its time are common, and not worth a signature.
    if seems_expired(&json, issuer, now) {
        return Err(left(json));
    }

    let good = remembered.key.verify(remembered.alg, parts.signed, signature);
    let asked = || Asked { key: Arc::clone(remembered.key), algorithm: remembered.alg, good };
    if !good {
        return Err(Left { asked: Some(asked()), claims: Some(json) });
    }

    let json = String::from_utf8(json).map_err(|_| asked())?;
    let claims = claims::scan(&json).ok_or_else(asked)?;
    let kept = std::str::from_utf8(kept).map_err(|_| asked())?;
    let text = Text::new(json, "", kept);
    if !is_of(issuer, registry, &text, &claims) {
        return Err(asked().into());
    }
    let kind = issuer.check_header(remembered.alg, remembered.typ, &text, &claims).map_err(|_| asked())?;
    issuer.check_claims(kind, &text, &claims, now).map_err(|_| asked())?;
    let facts = accept(parts, issuer, Arc::clone(remembered.key), kind, text, claims).map_err(|_| asked())?;
    // Only now the keys are in use, and looked after when that is due.
    issuer.keys.alive(now);
    Ok(facts)
}

/// Whose token it seems to be. A guess, which decides nothing but which key is asked: the first `iss` there is, wherever it stands.
fn seems_of<'r>(untrusted_json: &[u8], registry: &'r Registry) -> Option<&'r Arc<TrustedIssuer>> {
    static ISS: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new("\"iss\""));
    let rest = &untrusted_json[ISS.find(untrusted_json)? + ISS.needle().len()..];
    let rest = rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    let name = std::str::from_utf8(&rest[..memchr::memchr(b'"', rest)?]).ok()?;
    match registry.named(name) {
        [one] => Some(one),
        _ => None,
    }
}

/// Whether signed claims are those of this issuer, and of no other entry of the registry.
fn is_of(issuer: &Arc<TrustedIssuer>, registry: &Registry, text: &Text, claims: &Claims) -> bool {
    let Some(name) = claims.issuer.map(|span| text.get(span)) else { return false };
    match issuer.naming {
        Naming::Exact => name == &*issuer.identifier,
        _ => matches!(registry.named(name), [one] if Arc::ptr_eq(one, issuer)),
    }
}

/// A guess, which decides nothing but the road.
fn seems_expired(untrusted_json: &[u8], issuer: &TrustedIssuer, now: Timestamp) -> bool {
    static EXP: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new("\"exp\":"));
    let Some(at) = EXP.find(untrusted_json) else { return false };
    let digits = untrusted_json[at + EXP.needle().len()..].trim_ascii_start();
    let seconds = digits.iter().take(15).take_while(|byte| byte.is_ascii_digit());
    let expires = seconds.fold(0_i64, |seconds, digit| seconds * 10 + i64::from(digit - b'0'));
    now >= Timestamp::from_secs(expires).saturating_add(issuer.leeway)
}

#[cfg(test)]
mod tests;
