//! A verified token in, one of its claims out: as text for a header field, or as JSON for another token.

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use token_core::Verified;
use token_core::mapping::ClaimPath;
use token_core::policy::gate::{Grants, HeaderPolicy, HeaderSource};

/// Where a value comes from.
#[derive(Debug)]
pub(crate) enum Source {
    Subject,
    Grants(Grants),
    Claim(String),
    Nested(Vec<String>),
}

/// The claims of a token, each as the issuer wrote it: a number keeps every digit. Parsed once a token and kept with it.
type Claims = HashMap<String, Box<RawValue>>;

impl Source {
    /// The source that is written, and the bound that goes with it.
    ///
    /// # Errors
    /// When it is none, or several.
    pub(crate) fn of(policy: &HeaderPolicy) -> Result<(Self, Option<usize>), String> {
        let table = match policy {
            HeaderPolicy::Claim(claim) => &{
                let mut table = HeaderSource::default();
                table.claim = Some(claim.clone());
                table
            },
            HeaderPolicy::Table(table) => table,
        };
        let source = match (&table.claim, table.grants) {
            (Some(ClaimPath::Name(name)), None) if name == "sub" => Self::Subject,
            (Some(ClaimPath::Name(name)), None) => Self::Claim(name.clone()),
            (Some(ClaimPath::Nested(names)), None) if !names.is_empty() => Self::Nested(names.clone()),
            (None, Some(grants)) => Self::Grants(grants),
            _ => return Err("expected exactly one of claim and grants".to_owned()),
        };
        Ok((source, table.max_bytes))
    }

    /// The value as JSON; scopes are one text with blanks between (RFC 8693 section 4.2), roles a list. `None` where the token says nothing.
    pub(crate) fn json(&self, token: &Verified) -> Option<Box<RawValue>> {
        match self {
            Self::Subject => to_raw_value(token.subject()?).ok(),
            Self::Grants(Grants::Roles) => to_raw_value(&token.roles().iter().collect::<Vec<_>>()).ok(),
            Self::Grants(_) => to_raw_value(&token.scopes().iter().collect::<Vec<_>>().join(" ")).ok(),
            Self::Claim(name) => token.claims::<Claims>().ok()?.get(name).cloned(),
            Self::Nested(names) => nested(&*token.claims::<Claims>().ok()?, names),
        }
    }

    /// The value as text of a header field.
    pub(crate) fn text(&self, token: &Verified) -> String {
        let mut text = String::new();
        match self {
            Self::Subject => encode(token.subject().unwrap_or_default(), &mut text),
            Self::Grants(Grants::Roles) => join(token.roles().iter(), ' ', &mut text),
            Self::Grants(_) => join(token.scopes().iter(), ' ', &mut text),
            Self::Claim(name) => {
                if let Some(value) = token.claims::<Claims>().ok().as_deref().and_then(|claims| claims.get(name)) {
                    write(value, &mut text);
                }
            }
            Self::Nested(names) => {
                let found = token.claims::<Claims>().ok().and_then(|claims| nested(&claims, names));
                if let Some(value) = found {
                    write(&value, &mut text);
                }
            }
        }
        text
    }
}

fn nested(claims: &Claims, names: &[String]) -> Option<Box<RawValue>> {
    let (first, rest) = names.split_first()?;
    let value = claims.get(first)?;
    match rest {
        [] => Some(value.clone()),
        rest => nested(&serde_json::from_str(value.get()).ok()?, rest),
    }
}

/// Text as it is, a number with the issuer's digits, `true` and `false`, a list of those with commas between, anything else as JSON; all
/// of it encoded. `null` is nothing.
fn write(value: &RawValue, into: &mut String) {
    match serde_json::from_str(value.get()) {
        Ok(Value::Null) | Err(_) => {}
        Ok(Value::String(text)) => encode(&text, into),
        Ok(Value::Array(list)) if list.iter().all(|one| !one.is_array() && !one.is_object()) => {
            let list: Vec<Box<RawValue>> = serde_json::from_str(value.get()).unwrap_or_default();
            for (at, one) in list.iter().enumerate() {
                if at > 0 {
                    into.push(',');
                }
                write(one, into);
            }
        }
        Ok(_) => encode(value.get(), into),
    }
}

fn join<'a>(names: impl Iterator<Item = &'a str>, between: char, into: &mut String) {
    for (at, name) in names.enumerate() {
        if at > 0 {
            into.push(between);
        }
        encode(name, into);
    }
}

/// Percent-encodes everything but visible ASCII, and what separates or escapes: blank, comma, percent sign. So what a person wrote into
/// a claim never ends a line, never splits a list, and decodes to what it was.
fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'%' | b',' => drop(write!(into, "%{byte:02X}")),
            0x21..=0x7e => into.push(char::from(byte)),
            _ => drop(write!(into, "%{byte:02X}")),
        }
    }
}
