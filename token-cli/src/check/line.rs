//! The bytes of one line in, what it asks out (RFC 8259).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use token_core::{ErrorKind, adapter::RequestView};

use crate::at::At;

/// One line.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line<'a> {
    pub(super) id: Option<Value>,
    #[serde(borrow)]
    pub(super) token: Option<Cow<'a, str>>,
    pub(super) policy: Option<String>,
    pub(super) keys: Option<String>,
    at: Option<Value>,
    method: Option<String>,
    uri: Option<String>,
    headers: Option<BTreeMap<String, OneOrMore>>,
    expect: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// What a line expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    Accept,
    Reject,
    Kind(ErrorKind),
    Status(u16),
}

impl<'a> Line<'a> {
    /// What a request says by which a token came with its proof of possession.
    pub(crate) fn bound(token: &'a str, proof: &str, method: &str, uri: &str) -> Self {
        let headers = BTreeMap::from([("dpop".to_owned(), OneOrMore::One(proof.to_owned()))]);
        Self {
            token: Some(token.into()),
            method: Some(method.to_owned()),
            uri: Some(uri.to_owned()),
            headers: Some(headers),
            ..Self::default()
        }
    }

    /// Reads a line. The text of an error never repeats a value: it may be a token.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let line: Self = serde_json::from_slice(bytes).map_err(|error| {
            let text = error.to_string();
            let why = match error.classify() {
                serde_json::error::Category::Data
                    if text.starts_with("unknown field") || text.starts_with("duplicate field") =>
                {
                    crate::terminal::plain(text.rsplit_once(" at line ").map_or(&*text, |(text, _)| text))
                }
                serde_json::error::Category::Data => "not an object, or a member of the wrong type".to_owned(),
                _ => "not JSON".to_owned(),
            };
            format!("column {}: {why}", error.column())
        })?;
        if line.token.is_none() && line.headers.is_none() {
            return Err("neither token nor headers".to_owned());
        }
        Ok(line)
    }

    pub(super) fn at(&self) -> Result<Option<At>, String> {
        match &self.at {
            None => Ok(None),
            Some(Value::String(text)) => text.parse().map(Some),
            Some(Value::Number(number)) => number.to_string().parse().map(Some),
            Some(_) => Err("at is no time".to_owned()),
        }
    }

    pub(super) fn expect(&self) -> Result<Option<Expect>, String> {
        let Some(expect) = &self.expect else { return Ok(None) };
        let kind = |name: &str| ErrorKind::ALL.iter().find(|kind| kind.name() == name).copied();
        let read = match expect {
            Value::String(name) if name == "accept" => Some(Expect::Accept),
            Value::String(name) if name == "reject" => Some(Expect::Reject),
            Value::String(name) => kind(name).map(Expect::Kind),
            Value::Number(number) => number.as_u64().and_then(|status| u16::try_from(status).ok()).map(Expect::Status),
            _ => None,
        };
        read.map(Some).ok_or_else(|| "expect is neither accept, reject, the name of a kind, nor a status".to_owned())
    }

    /// What is expected, as it was written.
    pub(super) fn expected(&self) -> Option<&Value> {
        self.expect.as_ref()
    }

    /// Whether the line describes a request, not a mere token.
    pub(super) fn is_request(&self) -> bool {
        self.headers.is_some() || self.method.is_some() || self.uri.is_some()
    }
}

impl Expect {
    pub(super) fn fits(self, kind: Option<ErrorKind>) -> bool {
        match self {
            Self::Accept => kind.is_none(),
            Self::Reject => kind.is_some(),
            Self::Kind(expected) => kind == Some(expected),
            Self::Status(status) => kind.map_or(200, ErrorKind::status) == status,
        }
    }
}

/// A line as a request: its headers, and its token as bearer token, or as bound token where a proof is among the headers.
pub(crate) struct Request<'a> {
    line: &'a Line<'a>,
    bearer: Option<String>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(line: &'a Line<'a>) -> Self {
        let mut fields = line.headers.iter().flatten();
        let scheme = if fields.any(|(field, _)| field.eq_ignore_ascii_case("dpop")) { "DPoP" } else { "Bearer" };
        Self { line, bearer: line.token.as_ref().map(|token| format!("{scheme} {token}")) }
    }
}

impl Request<'_> {
    /// Scheme and rest of a `uri` that names its host.
    fn whole(&self) -> Option<(&str, &str)> {
        let (scheme, rest) = self.line.uri.as_deref()?.split_once("://")?;
        matches!(scheme, "http" | "https").then_some((scheme, rest))
    }
}

impl RequestView for Request<'_> {
    fn method(&self) -> &str {
        self.line.method.as_deref().unwrap_or("GET")
    }

    fn path_and_query(&self) -> &str {
        match (self.whole(), self.line.uri.as_deref()) {
            (Some((_, rest)), _) => rest.find(['/', '?']).map_or("/", |at| &rest[at..]),
            (None, uri) => uri.unwrap_or("/"),
        }
    }

    fn scheme(&self) -> Option<&str> {
        self.whole().map(|(scheme, _)| scheme)
    }

    fn authority(&self) -> Option<&str> {
        self.whole().map(|(_, rest)| &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())])
    }

    fn header<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8])) {
        if let Some(bearer) = self.bearer.as_ref().filter(|_| name == "authorization") {
            each(bearer.as_bytes());
        }
        let fields = self.line.headers.iter().flatten().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        for (_, values) in fields {
            match values {
                OneOrMore::One(value) => each(value.as_bytes()),
                OneOrMore::More(values) => values.iter().for_each(|value| each(value.as_bytes())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_name_the_host_and_bring_a_proof() {
        let read = |json: &'static str| Line::read(json.as_bytes()).unwrap();
        for (json, scheme, host, target, credentials) in [
            (r#"{"token": "a", "uri": "/x?y"}"#, None, None, "/x?y", "Bearer a"),
            (
                r#"{"token": "a", "uri": "https://api.example.com/x?y"}"#,
                Some("https"),
                Some("api.example.com"),
                "/x?y",
                "Bearer a",
            ),
            (
                r#"{"token": "a", "uri": "http://[::1]:8080", "headers": {"DPoP": "p"}}"#,
                Some("http"),
                Some("[::1]:8080"),
                "/",
                "DPoP a",
            ),
            (r#"{"token": "a", "headers": {"host": "b.example"}}"#, None, Some("b.example"), "/", "Bearer a"),
        ] {
            let line = read(json);
            let request = Request::new(&line);
            let mut sent = Vec::new();
            request.header("authorization", &mut |value| sent.push(String::from_utf8_lossy(value).into_owned()));
            assert_eq!((request.scheme(), request.host(), request.path_and_query()), (scheme, host, target), "{json}");
            assert_eq!(sent, [credentials], "{json}");
        }
    }

    #[test]
    fn a_bad_line_is_described_without_its_values() {
        for (line, why) in [
            ("", "not JSON"),
            ("{", "not JSON"),
            ("\u{0}", "not JSON"),
            ("5", "not an object"),
            (r#"{"token": 5}"#, "wrong type"),
            (r#"{"headers": "canary"}"#, "wrong type"),
            (r#"{"tokn": "canary"}"#, "unknown field `tokn`"),
            (r#"{"id": 1}"#, "neither token nor headers"),
            (r#"{"token": "canary"} {"#, "not JSON"),
        ] {
            let error = Line::read(line.as_bytes()).unwrap_err();
            assert!(error.contains(why) && !error.contains("canary"), "{line}: {error}");
        }
        assert!(Line::read(b"{\"token\": \"\xff\"}").is_err());
        let line = |json: &'static str| Line::read(json.as_bytes()).unwrap();
        assert!(line(r#"{"token": "a", "expect": "expird"}"#).expect().is_err());
        assert!(line(r#"{"token": "a", "at": "soon"}"#).at().is_err());
        assert_eq!(line(r#"{"token": "a", "expect": 401}"#).expect(), Ok(Some(Expect::Status(401))));
    }
}
