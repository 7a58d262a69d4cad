//! The JSON text of a header in, the members we look at out (RFC 7515 section 4): one object, no name twice.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::MOST_MEMBERS;

/// What a header said of the members that matter. Values of all others are skipped.
#[derive(Debug, Default)]
pub(super) struct Members<'a> {
    pub(super) alg: Option<Cow<'a, str>>,
    pub(super) kid: Option<Cow<'a, str>>,
    pub(super) typ: Option<Cow<'a, str>>,
    pub(super) b64: Option<bool>,
    pub(super) crit: bool,
    pub(super) zip: bool,
    pub(super) enc: bool,
}

/// Names in use. Those behind the first seven are only looked at for being there twice, without memory.
const NAMES: [&str; 14] =
    ["alg", "kid", "typ", "b64", "crit", "zip", "enc", "cty", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256"];

/// Reads `text`; the error says what is wrong without repeating any of it.
pub(super) fn read(text: &str) -> Result<Members<'_>, &'static str> {
    let mut fault = "the header is not one JSON object";
    let mut json = serde_json::Deserializer::from_str(text);
    let members = Object { fault: &mut fault }.deserialize(&mut json);
    match members.and_then(|members| json.end().map(|()| members)) {
        Ok(members) => Ok(members),
        Err(_) => Err(fault),
    }
}

struct Object<'f> {
    fault: &'f mut &'static str,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = Members<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Members<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a header")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Members::default();
        let mut seen = 0_u16;
        let mut others: Vec<Cow<'de, str>> = Vec::new();
        let syntax = *self.fault;
        while let Some(Text(name)) = map.next_key()? {
            let known = NAMES.iter().position(|known| *known == name);
            let twice = match known {
                Some(at) => seen & 1 << at != 0,
                None => others.contains(&name),
            };
            if twice {
                *self.fault = "a member of the header is there twice";
                return Err(A::Error::custom(""));
            }
            *self.fault = "a member of the header has the wrong JSON type";
            match known.map(|at| NAMES[at]) {
                Some("alg") => members.alg = Some(map.next_value::<Text<'de>>()?.0),
                Some("kid") => members.kid = Some(map.next_value::<Text<'de>>()?.0),
                Some("typ") => members.typ = Some(map.next_value::<Text<'de>>()?.0),
                Some("b64") => members.b64 = Some(map.next_value()?),
                Some("crit") => {
                    map.next_value::<Names>()?;
                    members.crit = true;
                }
                other => {
                    *self.fault = "a member of the header is not sound JSON or nested too deeply";
                    map.next_value::<Skipped>()?;
                    members.zip |= other == Some("zip");
                    members.enc |= other == Some("enc");
                }
            }
            *self.fault = syntax;
            match known {
                Some(at) => seen |= 1 << at,
                None => others.push(name),
            }
            if others.len() + seen.count_ones() as usize > MOST_MEMBERS {
                *self.fault = "the header has more than 32 members";
                return Err(A::Error::custom(""));
            }
        }
        Ok(members)
    }
}

/// A string, borrowed where the text allows. `Option<Cow<str>>` would copy it.
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Read)
    }
}

/// The value of `crit`: a list of names that is not empty.
struct Names;

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of names")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Names, A::Error> {
                list.next_element::<Text<'de>>()?.ok_or(A::Error::custom(""))?;
                while list.next_element::<Text<'de>>()?.is_some() {}
                Ok(Names)
            }
        }
        deserializer.deserialize_seq(Read)
    }
}

/// A value nobody looks at. Unlike [`IgnoredAny`] it is walked through with the parser's limit on depth.
struct Skipped;

impl<'de> Deserialize<'de> for Skipped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Skipped;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_bool<E>(self, _: bool) -> Result<Skipped, E> {
                Ok(Skipped)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Skipped, E> {
                Ok(Skipped)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Skipped, E> {
                Ok(Skipped)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Skipped, E> {
                Ok(Skipped)
            }

            fn visit_str<E>(self, _: &str) -> Result<Skipped, E> {
                Ok(Skipped)
            }

            fn visit_unit<E>(self) -> Result<Skipped, E> {
                Ok(Skipped)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Skipped, A::Error> {
                while list.next_element::<Skipped>()?.is_some() {}
                Ok(Skipped)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Skipped, A::Error> {
                while map.next_entry::<IgnoredAny, Skipped>()?.is_some() {}
                Ok(Skipped)
            }
        }
        deserializer.deserialize_any(Read)
    }
}
