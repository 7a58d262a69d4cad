//! One pass over the members of a claims set: names checked for duplicates, registered claims for their types (RFC 7519 section 4).

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::members::{IdTokenMark, KindClaim, Member, Seen};
use super::number::NumericDate;
use super::spans::{List, Names, Span, Spans, Text};
use crate::base::time::Timestamp;

/// The registered claims of one claims set, as spans of its text.
// In this order: see `Facts`, in which they come first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Claims {
    pub(crate) token_id: Option<Span>,
    /// `client_id` (RFC 9068, RFC 8693).
    pub(crate) client_id: Option<Span>,
    /// `azp` (OpenID Connect Core section 2).
    pub(crate) authorized_party: Option<Span>,
    /// `sid` (OpenID Connect front- and back-channel logout).
    pub(crate) session_id: Option<Span>,
    pub(crate) groups: List,
    /// `scp`: what some issuers write in place of `scope`.
    pub(crate) scp: List,
    pub(crate) issued: Option<Timestamp>,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) audience: List,
    pub(crate) issuer: Option<Span>,
    pub(crate) subject: Option<Span>,
    pub(crate) scope: List,
    pub(crate) permissions: List,
    pub(crate) roles: List,
    /// The issuer's own word for the kind of token, and the claim that it stands in.
    pub(crate) kind_word: Option<Span>,
    pub(crate) kind_claim: KindClaim,
    /// `typ` among the claims: Keycloak's word for the kind.
    pub(crate) payload_typ: Option<Span>,
    /// Whether `cnf` (RFC 7800) is there, whatever it says.
    pub(crate) confirmation: bool,
    /// Whether `events` (RFC 8417) is there: a security event or logout token, not an access token.
    pub(crate) events: bool,
    /// Whether `act` or `may_act` (RFC 8693) is there, whatever they say.
    pub(crate) delegation: bool,
    /// Which of the claims that only ID tokens have is there (OpenID Connect Core section 2).
    pub(crate) id_token_mark: IdTokenMark,
}

/// What is read beside what specifications say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// A `sub` that is a whole number is the text of it.
    pub(crate) numeric_subject: bool,
    /// A member that has to be of some type is absent where it is null: in an issuer's answers, and never in a token. Marks that count by being
    /// there (`cnf`, `events`, `act`, `nonce`) count all the same.
    pub(crate) null_is_absent: bool,
}

/// Why a claims set is refused. Names claims, never their values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaimsError {
    /// Not one JSON object, or something after it.
    NotAnObject,
    /// A member occurs twice.
    Duplicate,
    /// A registered claim is of the wrong type.
    WrongType(&'static str, &'static str),
}

impl fmt::Display for ClaimsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject => f.write_str("the claims are not one JSON object"),
            Self::Duplicate => f.write_str("a claim occurs twice"),
            Self::WrongType(claim, expected) => write!(f, "claim {claim} is not {expected}"),
        }
    }
}

/// Reads the registered claims of `json` and keeps the text, and with it `token` unless that is empty.
pub(crate) fn parse(json: String, token: &str) -> Result<(Text, Claims), ClaimsError> {
    parse_as(json, token, Reading::default()).map(|(text, claims, _)| (text, claims))
}

/// The same, with what an operator said of the issuer; and whether `sub` is a number, which is a subject for some issuers only.
pub(crate) fn parse_as(json: String, token: &str, reading: Reading) -> Result<(Text, Claims, bool), ClaimsError> {
    let (claims, unescaped, numeric_subject) = look(&json, reading)?;
    Ok((Text::new(json, &unescaped, token), claims, numeric_subject))
}

/// The one pass: the claims, what had to be unescaped for them, and whether `sub` is a number.
pub(super) fn look(json: &str, reading: Reading) -> Result<(Claims, String, bool), ClaimsError> {
    let mut pass = Pass { spans: Spans::of(json), failure: None, reading, numeric_subject: false };
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let claims = (&mut pass).deserialize(&mut deserializer).and_then(|claims| deserializer.end().map(|()| claims));
    match claims {
        Ok(claims) => Ok((claims, pass.spans.unescaped, pass.numeric_subject)),
        Err(_) => Err(pass.failure.unwrap_or(ClaimsError::NotAnObject)),
    }
}

struct Pass<'a> {
    spans: Spans<'a>,
    failure: Option<ClaimsError>,
    reading: Reading,
    numeric_subject: bool,
}

impl<'a> DeserializeSeed<'a> for &mut Pass<'a> {
    type Value = Claims;
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Claims, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl Claims {
    /// Notes the issuer's own word for the kind. Of two the one counts that is not that of an access token.
    pub(super) fn say_kind(&mut self, claim: KindClaim, value: &[u8], word: Span) {
        if claim.says_kind(value) && (self.kind_word.is_none() || !value.starts_with(b"access")) {
            (self.kind_word, self.kind_claim) = (Some(word), claim);
        }
    }
}

impl<'a> Visitor<'a> for &mut Pass<'a> {
    type Value = Claims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Claims, A::Error> {
        let mut claims = Claims::default();
        let mut seen = Seen::default();
        while let Some(Name(name)) = map.next_key()? {
            let member = Member::of(name.as_bytes());
            if !seen.insert(member, name) {
                self.failure = Some(ClaimsError::Duplicate);
                return Err(A::Error::custom(""));
            }
            match member {
                Member::Iss => claims.issuer = self.string(&mut map, "iss")?,
                Member::Sub => claims.subject = self.subject(&mut map)?,
                Member::Aud => claims.audience = self.list(&mut map, "aud", false)?,
                Member::Exp => claims.expires = self.date(&mut map, "exp")?,
                Member::Nbf => claims.not_before = self.date(&mut map, "nbf")?,
                Member::Iat => claims.issued = self.date(&mut map, "iat")?,
                Member::Jti => claims.token_id = self.string(&mut map, "jti")?,
                Member::ClientId => claims.client_id = self.string(&mut map, "client_id")?,
                Member::Azp => claims.authorized_party = self.string(&mut map, "azp")?,
                Member::Sid => claims.session_id = self.string(&mut map, "sid")?,
                Member::Scope => claims.scope = self.list(&mut map, "scope", true)?,
                Member::Scp => claims.scp = self.list(&mut map, "scp", true)?,
                Member::Permissions => claims.permissions = self.lenient(&mut map)?,
                Member::Roles => claims.roles = self.lenient(&mut map)?,
                Member::Groups => claims.groups = self.lenient(&mut map)?,
                Member::TokenUse | Member::TokenClass | Member::TokenType | Member::Type => {
                    let Lenient(text) = map.next_value()?;
                    if let Some(text) = text {
                        claims.say_kind(member.kind_claim(), text.as_bytes(), self.spans.span(&text));
                    }
                }
                Member::Typ => claims.payload_typ = self.lenient_string(&mut map)?,
                Member::Cnf => claims.confirmation = there(&mut map)?,
                Member::Events => claims.events = there(&mut map)?,
                Member::Act | Member::MayAct => claims.delegation = there(&mut map)?,
                Member::Nonce | Member::AtHash | Member::CHash => {
                    there(&mut map)?;
                    claims.id_token_mark = claims.id_token_mark.max(member.id_token_mark());
                }
                Member::Other => _ = there(&mut map)?,
            }
        }
        Ok(claims)
    }
}

/// Passes over a value: that it is there is all that counts.
fn there<'a, A: MapAccess<'a>>(map: &mut A) -> Result<bool, A::Error> {
    map.next_value::<IgnoredAny>().map(|_| true)
}

impl<'a> Pass<'a> {
    /// A value of one type; null is absent where that is said.
    fn value<A: MapAccess<'a>, S: DeserializeSeed<'a>>(
        map: &mut A,
        null: bool,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        if null { map.next_value_seed(Nullable(seed)) } else { map.next_value_seed(seed).map(Some) }
    }

    fn string<A: MapAccess<'a>>(&mut self, map: &mut A, claim: &'static str) -> Result<Option<Span>, A::Error> {
        match Self::value(map, self.reading.null_is_absent, PhantomData::<Name<'a>>) {
            Ok(value) => Ok(value.map(|Name(value)| self.spans.span(&value))),
            Err(error) => Err(self.wrong(error, claim, "a string")),
        }
    }

    fn subject<A: MapAccess<'a>>(&mut self, map: &mut A) -> Result<Option<Span>, A::Error> {
        if !self.reading.numeric_subject {
            return self.string(map, "sub");
        }
        match Self::value(map, self.reading.null_is_absent, SubjectSeed) {
            Ok(subject) => Ok(subject.map(|(text, numeric)| {
                self.numeric_subject = numeric;
                self.spans.span(&text)
            })),
            Err(error) => Err(self.wrong(error, "sub", "a string or a whole number")),
        }
    }

    fn date<A: MapAccess<'a>>(&mut self, map: &mut A, claim: &'static str) -> Result<Option<Timestamp>, A::Error> {
        Self::value(map, self.reading.null_is_absent, DateSeed)
            .map_err(|error| self.wrong(error, claim, "a number of seconds between 1970 and 9999"))
    }

    fn list<A: MapAccess<'a>>(&mut self, map: &mut A, claim: &'static str, split: bool) -> Result<List, A::Error> {
        let null = self.reading.null_is_absent;
        match Self::value(map, null, ListSeed { spans: &mut self.spans, split, strict: true }) {
            Ok(list) => Ok(list.unwrap_or_default()),
            Err(error) => Err(self.wrong(error, claim, "a string or an array of strings")),
        }
    }

    /// For claims that no RFC registers in this shape: anything but names grants nothing, and is no reason to refuse.
    fn lenient<A: MapAccess<'a>>(&mut self, map: &mut A) -> Result<List, A::Error> {
        map.next_value_seed(ListSeed { spans: &mut self.spans, split: true, strict: false })
    }

    fn lenient_string<A: MapAccess<'a>>(&mut self, map: &mut A) -> Result<Option<Span>, A::Error> {
        let Lenient(text) = map.next_value()?;
        Ok(text.map(|text| self.spans.span(&text)))
    }

    fn wrong<E>(&mut self, error: E, claim: &'static str, expected: &'static str) -> E {
        self.failure.get_or_insert(ClaimsError::WrongType(claim, expected));
        error
    }
}

/// A string, borrowed where it was written without escapes. (`Cow` alone would always copy.)
struct Name<'a>(Cow<'a, str>);

impl<'a> serde::Deserialize<'a> for Name<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'a> Visitor<'a> for Text {
            type Value = Name<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Name<'a>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Name<'a>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// A string, or something else that is skipped.
struct Lenient<'a>(Option<Cow<'a, str>>);

impl<'a> serde::Deserialize<'a> for Lenient<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'a> Visitor<'a> for Any {
            type Value = Lenient<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON value")
            }
            fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Lenient<'a>, E> {
                Ok(Lenient(Some(Cow::Borrowed(text))))
            }
            fn visit_str<E>(self, text: &str) -> Result<Lenient<'a>, E> {
                Ok(Lenient(Some(Cow::Owned(text.to_owned()))))
            }
            fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<Lenient<'a>, A::Error> {
                IgnoredAny.visit_map(map).map(|_| Lenient(None))
            }
            fn visit_seq<A: SeqAccess<'a>>(self, sequence: A) -> Result<Lenient<'a>, A::Error> {
                IgnoredAny.visit_seq(sequence).map(|_| Lenient(None))
            }
            fn visit_unit<E>(self) -> Result<Lenient<'a>, E> {
                Ok(Lenient(None))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Lenient<'a>, E> {
                Ok(Lenient(None))
            }
            fn visit_u64<E>(self, _: u64) -> Result<Lenient<'a>, E> {
                Ok(Lenient(None))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Lenient<'a>, E> {
                Ok(Lenient(None))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Lenient<'a>, E> {
                Ok(Lenient(None))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A value, or null.
struct Nullable<S>(S);
impl<'a, S: DeserializeSeed<'a>> DeserializeSeed<'a> for Nullable<S> {
    type Value = Option<S::Value>;
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}
impl<'a, S: DeserializeSeed<'a>> Visitor<'a> for Nullable<S> {
    type Value = Option<S::Value>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }
    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_some<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.0.deserialize(deserializer).map(Some)
    }
}

/// A string, or a whole number of at most 64 bits as its text, and whether it is one.
struct SubjectSeed;
impl<'a> DeserializeSeed<'a> for SubjectSeed {
    type Value = (Cow<'a, str>, bool);
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}
impl<'a> Visitor<'a> for SubjectSeed {
    type Value = (Cow<'a, str>, bool);
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a whole number")
    }
    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Self::Value, E> {
        Ok((Cow::Borrowed(text), false))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok((Cow::Owned(text.to_owned()), false))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok((Cow::Owned(number.to_string()), true))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok((Cow::Owned(number.to_string()), true))
    }
}

struct DateSeed;
impl<'a> DeserializeSeed<'a> for DateSeed {
    type Value = Timestamp;
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Timestamp, D::Error> {
        deserializer.deserialize_any(NumericDate)
    }
}

struct ListSeed<'s, 'a> {
    spans: &'s mut Spans<'a>,
    /// Whether a lone string is a list separated by blanks (`scope`) or one name (`aud`).
    split: bool,
    strict: bool,
}

impl<'a> DeserializeSeed<'a> for ListSeed<'_, 'a> {
    type Value = List;
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<List, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for ListSeed<'_, 'a> {
    type Value = List;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of strings")
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<List, E> {
        let span = self.spans.span(text);
        Ok(if self.split { List::Spaced(span) } else { List::Quoted(span) })
    }

    fn visit_str<E>(self, text: &str) -> Result<List, E> {
        if self.split {
            return Ok(List::Spaced(self.spans.span(text)));
        }
        // Unescaped text may hold a quote.
        let mut names = Names::None;
        names.add(text, self.spans);
        Ok(names.list(self.spans))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut sequence: A) -> Result<List, A::Error> {
        let mut names = Names::None;
        if self.strict {
            while let Some(Name(name)) = sequence.next_element()? {
                names.add(&name, self.spans);
            }
            return Ok(names.list(self.spans));
        }
        let mut names_only = true;
        while let Some(Lenient(name)) = sequence.next_element()? {
            match name {
                Some(name) => names.add(&name, self.spans),
                None => names_only = false,
            }
        }
        Ok(if names_only { names.list(self.spans) } else { List::Absent })
    }

    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<List, A::Error> {
        IgnoredAny.visit_map(map)?;
        self.no_names()
    }
    fn visit_unit<E: serde::de::Error>(self) -> Result<List, E> {
        self.no_names()
    }
    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<List, E> {
        self.no_names()
    }
    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<List, E> {
        self.no_names()
    }
    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<List, E> {
        self.no_names()
    }
    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<List, E> {
        self.no_names()
    }
}

impl ListSeed<'_, '_> {
    fn no_names<E: serde::de::Error>(self) -> Result<List, E> {
        if self.strict { Err(E::custom("")) } else { Ok(List::Absent) }
    }
}

#[cfg(test)]
mod tests;
