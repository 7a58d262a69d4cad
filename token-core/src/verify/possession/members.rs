//! The JSON of a proof in, the members that are looked at out (RFC 9449 section 4.2): one object, none of them twice.

use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::base::time::Timestamp;
use crate::claims::number::NumericDate;
use crate::jose::header::members::Text;

/// The header of a proof. Unknown members are skipped (RFC 7515 section 4).
#[derive(Deserialize)]
pub(super) struct Header<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) typ: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) alg: Option<Text<'a>>,
    #[serde(default, deserialize_with = "present")]
    pub(super) jwk: Option<Jwk>,
    #[serde(default, deserialize_with = "present")]
    pub(super) crit: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    pub(super) b64: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    pub(super) zip: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    pub(super) enc: Option<Value>,
}

/// The claims of a proof.
#[derive(Deserialize)]
pub(super) struct Claims<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) jti: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) htm: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) htu: Option<Text<'a>>,
    #[serde(default, deserialize_with = "present")]
    pub(super) iat: Option<Date>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) ath: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) nonce: Option<Text<'a>>,
}

/// Reads one JSON object. A derived struct would take an array of its members, too.
pub(super) fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    let text = std::str::from_utf8(json).ok()?;
    if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{') {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// A member that is there is of its type; null is none.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Seconds since 1970, with or without a fraction.
pub(super) struct Date(pub(super) Timestamp);

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumericDate).map(Self)
    }
}

/// The members of a JWK, none of them twice.
pub(super) struct Jwk(pub(super) Map<String, Value>);

impl<'de> Deserialize<'de> for Jwk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Jwk;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JWK")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Jwk, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom(""));
                    }
                }
                Ok(Jwk(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}
