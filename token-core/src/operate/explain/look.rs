//! What a token says of itself, read leniently and believed by nobody: only for the text of a report.

use std::time::Duration;

use serde_json::Value;

use crate::answer::check::Check;
use crate::base::time::Timestamp;
use crate::jose::base64url;
use crate::jose::encryption::is_sealed;
use crate::trust::trusted::rounded;

/// The longest value that is repeated.
const LONGEST_SHOWN: usize = 200;
/// A token longer than this is not taken apart.
const LONGEST_READ: usize = 64 * 1024;

/// The parts of a token as far as they can be read.
pub(super) struct Look<'a> {
    pub(super) token: &'a str,
    pub(super) header: Value,
    pub(super) claims: Value,
    /// What it was encrypted in, where it was; or the token itself, where that is encrypted and was not opened.
    cover: Option<&'a str>,
    /// The proof of possession that came with it, if one did.
    proof: Option<&'a str>,
}

impl<'a> Look<'a> {
    pub(super) fn new(token: &'a str) -> Self {
        let mut parts = token.split('.').map(|part| if token.len() > LONGEST_READ { "" } else { part });
        let (header, claims) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let cover = Some(token).filter(|token| is_sealed(token.as_bytes()));
        Self { token, header: read(header), claims: read(claims), cover, proof: None }
    }

    /// At a signed token that came in an encrypted one.
    pub(super) fn within(cover: &'a str, signed: &'a str) -> Self {
        Self { cover: Some(cover), ..Self::new(signed) }
    }

    pub(super) fn with_proof(self, proof: Option<&'a str>) -> Self {
        Self { proof, ..self }
    }

    /// How it is encrypted.
    pub(super) fn cover(&self) -> Option<Value> {
        self.cover.map(|cover| read(cover.split('.').next().unwrap_or_default()))
    }

    /// Whether it is nothing that keys could verify.
    pub(super) fn is_opaque(&self) -> bool {
        self.parts() != 3 || !self.header.is_object()
    }

    pub(super) fn is_padded(&self) -> bool {
        self.token.split('.').any(|part| part.ends_with('='))
    }

    pub(super) fn parts(&self) -> usize {
        self.token.bytes().filter(|byte| *byte == b'.').count() + 1
    }

    pub(super) fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }

    pub(super) fn has(&self, claim: &str) -> bool {
        self.claims.get(claim).is_some()
    }

    /// Whether one of the claims that servers write the kind into says that it is a refresh token.
    pub(super) fn has_refresh_word(&self) -> bool {
        let words = ["token_use", "token_class", "token_type", "type"];
        words.iter().any(|claim| matches!(self.text(claim), Some("refresh" | "refresh_token")))
    }

    pub(super) fn header_text(&self, member: &str) -> Option<&str> {
        self.header.get(member).and_then(Value::as_str)
    }

    /// The names in a claim that is a text or a list of texts.
    pub(super) fn names(&self, claim: &str) -> Vec<&str> {
        match self.claims.get(claim) {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn date(&self, claim: &str) -> Option<Timestamp> {
        let seconds = self.claims.get(claim).and_then(Value::as_f64)?;
        #[expect(clippy::cast_possible_truncation, reason = "saturates, and is only shown")]
        Some(Timestamp::from_secs(seconds as i64))
    }

    /// The value that a check looks at, for people.
    pub(super) fn seen(&self, check: Check, now: Timestamp) -> Option<String> {
        match check {
            Check::Size => Some(format!("{} bytes", self.cover.unwrap_or(self.token).len())),
            Check::Form if self.cover.is_some() => {
                let header = self.cover().unwrap_or_default();
                let member = |name: &str| header.get(name).map_or_else(|| "nothing".to_owned(), shown);
                let to = header.get("kid").map_or_else(String::new, |kid| format!(" to kid {}", shown(kid)));
                Some(format!("encrypted by {} and {}{to}", member("alg"), member("enc")))
            }
            Check::Form => Some(format!("{} part{}", self.parts(), if self.parts() == 1 { "" } else { "s" })),
            Check::Issuer => self.shown("iss"),
            Check::Algorithm => self.header.get("alg").map(shown),
            Check::Type => Some(match self.header.get("typ") {
                Some(typ) => shown(typ),
                None => "no typ".to_owned(),
            }),
            Check::Audience => Some(self.shown("aud").unwrap_or_else(|| "no aud".to_owned())),
            Check::Expiry => Some(self.time("exp", now)),
            Check::NotBefore => self.has("nbf").then(|| self.time("nbf", now)),
            Check::Key => Some(match self.header.get("kid") {
                Some(kid) => format!("kid {}", shown(kid)),
                None => "no kid".to_owned(),
            }),
            Check::Binding => self.claims.get("cnf").map(|cnf| match cnf.as_object() {
                Some(members) => format!("cnf with {}", shown(&members.keys().cloned().collect::<Vec<_>>().into())),
                None => "cnf that is no object".to_owned(),
            }),
            Check::Proof => self.proof.map(|proof| Self::new(proof).as_proof(now)),
            Check::Credentials | Check::Claims | Check::Header => None,
            Check::Profile | Check::Signature | Check::Demands => None,
        }
    }

    /// What a proof says of itself, part by part (RFC 9449 section 4.2).
    fn as_proof(&self, now: Timestamp) -> String {
        let header = ["typ", "alg"].map(|member| (member, self.header.get(member)));
        let claims = ["htm", "htu"].map(|claim| (claim, self.claims.get(claim)));
        let named = |(name, value): (&str, Option<&Value>)| {
            value.map_or_else(|| format!("no {name}"), |value| format!("{name} {}", shown(value)))
        };
        let mut parts: Vec<String> = header.into_iter().chain(claims).map(named).collect();
        parts.push(self.time("iat", now));
        let there = |what: &str, is: bool| if is { what.to_owned() } else { format!("no {what}") };
        parts.push(there("jwk", self.header.get("jwk").is_some()));
        parts.extend(["jti", "ath", "nonce"].map(|claim| there(claim, self.has(claim))));
        parts.join(", ")
    }

    fn shown(&self, claim: &str) -> Option<String> {
        self.claims.get(claim).map(shown)
    }

    fn time(&self, claim: &str, now: Timestamp) -> String {
        match (self.date(claim), self.claims.get(claim)) {
            (Some(time), _) if time > now => format!("{claim} in {}", rounded(time.since(now))),
            (Some(time), _) => format!("{claim} {} ago", rounded(now.since(time))),
            (None, Some(other)) => format!("{claim} {}", shown(other)),
            (None, None) => format!("no {claim}"),
        }
    }

    /// `exp` less `iat`.
    pub(super) fn life(&self) -> Option<Duration> {
        Some(self.date("exp")?.since(self.date("iat")?))
    }
}

fn read(part: &str) -> Value {
    base64url::decode(part.trim_end_matches('=').as_bytes())
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or(Value::Null)
}

/// A value on one line, without anything that could play tricks with a terminal.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(list) if !list.is_empty() && list.iter().all(Value::is_string) => {
            list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" and ")
        }
        other => other.to_string(),
    };
    let mut line = String::new();
    for character in text.chars() {
        if line.len() >= LONGEST_SHOWN {
            line.push_str("...");
            break;
        }
        // Bidirectional and other invisible characters are not ASCII: what is, and letters, are shown as they are.
        if character.is_alphanumeric() || (' '..='~').contains(&character) {
            line.push(character);
        } else {
            line.extend(character.escape_unicode());
        }
    }
    line
}
