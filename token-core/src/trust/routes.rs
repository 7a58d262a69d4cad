//! Which endpoint a token may be shown to: its text in, at most one issuer out. A JWT is shown to nobody but its own issuer.

use std::sync::Arc;

use serde::de::IgnoredAny;

use crate::base::config_error::ConfigError;
use crate::jose::base64url;
use crate::token::kind;
use crate::trust::trusted::TrustedIssuer;

/// Where tokens go that cannot be verified here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    prefixes: Vec<(Box<str>, Arc<TrustedIssuer>)>,
    rest: Option<Arc<TrustedIssuer>>,
}

impl Routes {
    /// # Errors
    /// When it is not certain for every token where it goes, or a prefix would catch JWTs.
    pub(crate) fn new<'i>(issuers: impl IntoIterator<Item = &'i Arc<TrustedIssuer>>) -> Result<Self, ConfigError> {
        let mut routes = Self::default();
        issuers.into_iter().try_for_each(|issuer| routes.add(issuer))?;
        Ok(routes)
    }

    /// Adds the ways to one more issuer, or none of them.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn add(&mut self, issuer: &Arc<TrustedIssuer>) -> Result<(), ConfigError> {
        let Some(opaque) = &issuer.opaque else { return Ok(()) };
        for (at, prefix) in opaque.prefixes.iter().enumerate() {
            let among = |others: &[Box<str>]| others.iter().any(|other| **other == **prefix);
            let taken = self.prefixes.iter().any(|(other, _)| **other == **prefix) || among(&opaque.prefixes[..at]);
            if prefix.is_empty() || taken || prefix.starts_with("ey") || "ey".starts_with(&**prefix) {
                let why = "a prefix must be one issuer's, not empty, and not how a JWT starts";
                return Err(ConfigError::new(format!("issuer {}: {why}", issuer.identifier)));
            }
        }
        // The longest prefix wins, and this server's own keys are shown to nobody.
        let shown = |own: &TrustedIssuer, prefix: &str, other: &TrustedIssuer| {
            own.opaque.as_ref().is_some_and(|opaque| {
                opaque.are_own_keys && opaque.prefixes.iter().any(|one| prefix.starts_with(&**one))
            }) && other.opaque.as_ref().is_some_and(|opaque| !opaque.are_own_keys)
        };
        let clash = |(prefix, other): &(Box<str>, Arc<TrustedIssuer>)| {
            shown(issuer, prefix, other) || opaque.prefixes.iter().any(|own| shown(other, own, issuer))
        };
        if let Some((prefix, other)) = self.prefixes.iter().find(|known| clash(known)) {
            return Err(ConfigError::new(format!(
                "issuers {} and {}: keys of this server's own would be shown to an endpoint, since a longer prefix than theirs begins alike ({prefix})",
                issuer.identifier, other.identifier
            )));
        }
        if opaque.prefixes.is_empty() && opaque.takes_opaque {
            if let Some(other) = &self.rest {
                return Err(ConfigError::new(format!(
                    "opaque tokens could go to {} or to {}: give all but one of them a prefix",
                    other.identifier, issuer.identifier
                )));
            }
            self.rest = Some(Arc::clone(issuer));
        }
        self.prefixes.extend(opaque.prefixes.iter().map(|prefix| (prefix.clone(), Arc::clone(issuer))));
        // The longest first: `ory_at_eu_` before `ory_at_`.
        self.prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Ok(())
    }

    /// The issuer whose endpoint is shown the token; `None` for a JWT, and for whatever nobody is configured for.
    pub(crate) fn find(&self, token: &[u8]) -> Option<&Arc<TrustedIssuer>> {
        if self.prefixes.is_empty() && self.rest.is_none() {
            return None;
        }
        let prefixed = self.prefixes.iter().find(|(prefix, _)| token.starts_with(prefix.as_bytes()));
        if let Some((_, issuer)) = prefixed {
            return Some(issuer);
        }
        match Shape::of(token) {
            // What another service marked as its own is none of this issuer's business.
            Shape::Opaque => self.rest.as_ref().filter(|_| !kind::is_marked_foreign(token)),
            Shape::Jwt => None,
            // Encrypted for its issuer, and opaque to everybody else: only an issuer that it names itself may see it.
            Shape::Encrypted(issuer) => {
                let issuer = issuer?;
                let prefixed = self.prefixes.iter().map(|(_, issuer)| issuer);
                prefixed.chain(&self.rest).find(|candidate| *candidate.identifier == *issuer)
            }
        }
    }
}

enum Shape {
    /// No JOSE header in front.
    Opaque,
    /// A JOSE header: whatever comes behind, it may be somebody's JWT.
    Jwt,
    /// Five parts behind a JOSE header, and the `iss` in it (RFC 7519 section 5.3).
    Encrypted(Option<String>),
}

impl Shape {
    fn of(token: &[u8]) -> Self {
        let Some(dot) = memchr::memchr(b'.', token) else { return Self::Opaque };
        let (first, rest) = (&token[..dot], &token[dot + 1..]);
        // Padding and the other alphabet make it no JWT here, but it may be one elsewhere.
        let plain: Vec<u8> = first
            .iter()
            .filter(|byte| **byte != b'=')
            .map(|byte| match byte {
                b'+' => b'-',
                b'/' => b'_',
                byte => *byte,
            })
            .collect();
        let header = base64url::decode(&plain).unwrap_or_default();
        let is_object = header.trim_ascii_start().first() == Some(&b'{');
        if !is_object || serde_json::from_slice::<IgnoredAny>(&header).is_err() {
            return Self::Opaque;
        }
        if memchr::memchr_iter(b'.', rest).count() != 3 {
            return Self::Jwt;
        }
        let header: serde_json::Value = serde_json::from_slice(&header).unwrap_or_default();
        Self::Encrypted(header.get("iss").and_then(|issuer| issuer.as_str()).map(str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_carries_a_jose_header_is_not_taken_for_opaque() {
        let header = base64url::encode(br#"{"alg":"RS256"}"#);
        let spaced = base64url::encode(b" {\"alg\" : \"RS256\"}");
        let encrypted = base64url::encode(br#"{"alg":"dir","enc":"A256GCM","iss":"https://a"}"#);
        for (token, jwt) in [
            ("abc".to_owned(), false),
            ("ya29.abc".to_owned(), false),
            ("a.b.c".to_owned(), false),
            ("eyXX.b.c".to_owned(), false),
            (header.clone(), false),
            (format!("{header}.b.c"), true),
            (format!("{header}=.b.c"), true),
            (format!("{header}.b"), true),
            (format!("{spaced}.b.c"), true),
            (format!("{header}.b.c.d"), true),
        ] {
            assert_eq!(matches!(Shape::of(token.as_bytes()), Shape::Jwt), jwt, "{token}");
        }
        let five = format!("{encrypted}....");
        assert!(matches!(Shape::of(five.as_bytes()), Shape::Encrypted(Some(issuer)) if issuer == "https://a"));
    }
}
