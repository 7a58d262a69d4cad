//! An issuer as the gate holds it: its rules, ready to be applied, and its keys. The rules of RFC 7519 section 4.1 and RFC 9068 section 4.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::audience::Audience;
use crate::claims::{Claims, Names, Text};
use crate::jose::header::TokenType;
use crate::jose::{Algorithm, Algorithms};
use crate::keys::Keys;
use crate::{Error, ErrorKind, Timestamp};

/// One trusted issuer.
#[derive(Debug)]
pub(crate) struct TrustedIssuer {
    pub(crate) identifier: Box<str>,
    pub(crate) audience: Audience,
    pub(crate) algorithms: Algorithms,
    pub(crate) leeway: Duration,
    /// RFC 9068: only `at+jwt`, and the claims that section 2.2 requires.
    pub(crate) strict: bool,
    pub(crate) expiry_required: bool,
    pub(crate) keys: Keys,
}

/// The closed registry: chosen at start-up, never taken from a token. Issuers are compared byte by byte.
#[derive(Debug)]
pub(crate) struct Registry(HashMap<Box<str>, Arc<TrustedIssuer>>);

impl Registry {
    pub(crate) fn new(issuers: impl IntoIterator<Item = Arc<TrustedIssuer>>) -> Self {
        Self(issuers.into_iter().map(|issuer| (issuer.identifier.clone(), issuer)).collect())
    }

    pub(crate) fn find(&self, identifier: &str) -> Option<&Arc<TrustedIssuer>> {
        self.0.get(identifier)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<TrustedIssuer>> {
        self.0.values()
    }
}

impl TrustedIssuer {
    /// Whether a header may be believed: the algorithm is agreed (RFC 8725 section 3.1), the type is an access token's (section 3.11).
    pub(crate) fn check_header(&self, algorithm: Algorithm, token_type: TokenType) -> Result<(), Error> {
        if !self.algorithms.contains(algorithm) {
            let detail = format!("{algorithm} is not agreed with this issuer, expected one of {:?}", self.algorithms);
            return Err(Error::new(ErrorKind::AlgorithmNotAllowed, detail));
        }
        match token_type {
            TokenType::AccessToken => Ok(()),
            TokenType::Jwt | TokenType::Absent if !self.strict => Ok(()),
            TokenType::Jwt | TokenType::Absent => {
                Err(Error::new(ErrorKind::WrongType, "expected the header to say at+jwt (RFC 9068), it does not"))
            }
            TokenType::Other(_) => {
                let detail = format!("the header says {}, expected at+jwt or JWT", token_type.name());
                Err(Error::new(ErrorKind::WrongType, detail))
            }
        }
    }

    /// Whether a claims set may be used here and now. Asked before a key is fetched, and again on each use of a cached verdict.
    pub(crate) fn check_claims(&self, text: &Text, claims: &Claims, now: Timestamp) -> Result<(), Error> {
        // The kind first: of an ID token it says more than that its audience is a client.
        check_kind(text, claims)?;
        self.check_audience(text, claims)?;
        self.check_times(claims, now)?;
        if claims.confirmation {
            return Err(Error::new(
                ErrorKind::SenderConstrained,
                "the token is bound to its sender (cnf) and no proof of possession is checked here",
            ));
        }
        if self.strict {
            require_rfc9068(claims)?;
        }
        Ok(())
    }

    /// RFC 7519 section 4.1.3.
    pub(crate) fn check_audience(&self, text: &Text, claims: &Claims) -> Result<(), Error> {
        if self.audience.accepts(Names::new(text, &claims.audience)) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::WrongAudience, format!("expected aud to name {}", self.audience.describe())))
    }

    /// RFC 7519 sections 4.1.4 and 4.1.5, with the leeway on both sides.
    pub(crate) fn check_times(&self, claims: &Claims, now: Timestamp) -> Result<(), Error> {
        match claims.expires {
            Some(expires) if now >= expires.saturating_add(self.leeway) => {
                let ago = now.since(expires);
                return Err(Error::new(ErrorKind::Expired, format!("exp passed {} ago", rounded(ago))));
            }
            None if self.expiry_required => {
                return Err(Error::new(ErrorKind::ClaimsMismatch, "the token has no exp, and one is required"));
            }
            _ => {}
        }
        match claims.not_before {
            Some(start) if now.saturating_add(self.leeway) < start => {
                let ahead = start.since(now);
                Err(Error::new(ErrorKind::NotYetValid, format!("nbf is {} ahead", rounded(ahead))))
            }
            _ => Ok(()),
        }
    }
}

/// The payload's own marks of a token that is not an access token, whatever its header says.
fn check_kind(text: &Text, claims: &Claims) -> Result<(), Error> {
    let wrong = |what| Err(Error::new(ErrorKind::WrongType, what));
    if claims.events {
        return wrong("the claims are those of a logout token or security event, expected an access token");
    }
    if claims.id_token_marks {
        return wrong("the claims are those of an ID token (nonce, at_hash or c_hash), expected an access token");
    }
    match claims.token_use.map(|span| text.get(span)) {
        None | Some("access") => {}
        Some(_) => return wrong("token_use is not access"),
    }
    match claims.payload_typ.map(|span| text.get(span)) {
        Some("ID" | "Refresh" | "Offline" | "Logout") => wrong("the claim typ is that of another type of token"),
        _ => Ok(()),
    }
}

/// RFC 9068 section 2.2: iss, exp, aud, sub, client_id, iat and jti are required.
fn require_rfc9068(claims: &Claims) -> Result<(), Error> {
    let missing = [
        ("sub", claims.subject.is_none()),
        ("client_id", claims.client_id.is_none()),
        ("exp", claims.expires.is_none()),
        ("iat", claims.issued.is_none()),
        ("jti", claims.token_id.is_none()),
    ];
    match missing.iter().find(|(_, missing)| *missing) {
        Some((claim, _)) => {
            Err(Error::new(ErrorKind::ClaimsMismatch, format!("RFC 9068 requires the claim {claim}, it is missing")))
        }
        None => Ok(()),
    }
}

/// Coarse on purpose: enough to tell a skewed clock from a stale token, too little to rebuild the claim.
fn rounded(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}
