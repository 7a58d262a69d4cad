//! The straight road of a token like the last one: signature first, then its claims in one quick look; accepted, or left to the long road.
//!
//! It is taken where one issuer is trusted and the very header has been seen on a well-signed token of it: there is a key, and no fetch
//! to be spared by looking at the claims first. It accepts, or says nothing: every refusal is found, and explained, by the long road.

use std::sync::{Arc, LazyLock};

use memchr::memmem::Finder;

use super::{Asked, Parts, accept};
use crate::base::time::Timestamp;
use crate::claims::{self, Text};
use crate::jose::base64url::{self, SignatureBuffer};
use crate::trust::registry::Registry;
use crate::trust::trusted::TrustedIssuer;
use crate::verify::verified::Facts;

/// # Errors
/// What the key has said, where it was asked, for the long road to go by.
pub(super) fn verify(
    parts: &Parts<'_>,
    kept: &str,
    registry: &Registry,
    now: Timestamp,
) -> Result<Arc<Facts>, Option<Asked>> {
    let issuer = registry.only().filter(|issuer| !issuer.padded && !issuer.keyless).ok_or(None)?;
    let keys = issuer.keys.current(now).ok_or(None)?;
    let remembered = keys.remembered(parts.header).ok_or(None)?;
    let mut buffer = SignatureBuffer::new();
    let signature = buffer.decode(parts.signature).ok_or(None)?;
    let json = base64url::decode_with_room(parts.claims, kept.len()).ok_or(None)?;
    // Clients that hold on to a token after its time are common, and not worth a signature.
    if seems_expired(&json, issuer, now) {
        return Err(None);
    }

    let good = remembered.key.verify(remembered.alg, parts.signed, signature);
    let asked = || Some(Asked { key: Arc::clone(remembered.key), algorithm: remembered.alg, good });
    if !good {
        return Err(asked());
    }

    let json = String::from_utf8(json).map_err(|_| asked())?;
    let claims = claims::scan(&json).ok_or_else(asked)?;
    let text = Text::new(json, "", kept);
    if claims.issuer.map(|span| text.get(span)) != Some(&*issuer.identifier) {
        return Err(asked());
    }
    let kind = issuer.check_header(remembered.alg, remembered.typ, &text, &claims).map_err(|_| asked())?;
    issuer.check_claims(kind, &text, &claims, now).map_err(|_| asked())?;
    accept(parts, issuer, Arc::clone(remembered.key), kind, text, claims).map_err(|_| asked())
}

/// A guess, which decides nothing but the road.
fn seems_expired(untrusted_json: &[u8], issuer: &TrustedIssuer, now: Timestamp) -> bool {
    static EXP: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new("\"exp\":"));
    let Some(at) = EXP.find(untrusted_json) else { return false };
    let digits = &untrusted_json[at + EXP.needle().len()..];
    let seconds = digits.iter().take(15).take_while(|byte| byte.is_ascii_digit());
    let expires = seconds.fold(0_i64, |seconds, digit| seconds * 10 + i64::from(digit - b'0'));
    now >= Timestamp::from_secs(expires).saturating_add(issuer.leeway)
}
