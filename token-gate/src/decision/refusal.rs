//! Why a request does not pass, and the answer to it: the core's table for credentials, and a few rows of the gate's own for requests.

use std::borrow::Cow;

use token_core::Error;

use crate::decision::path::Unclear;

/// Why a request does not pass.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// What the core found in the credentials.
    Credentials(Error),
    /// The path has more than one reading.
    Path(Unclear),
    /// Routes differ by host, and the request names none, several, or one with more than one reading.
    Host,
    /// The method is not in capitals: to the routes it is another one than to servers that raise its letters.
    Method,
    /// A header field that some servers take for one of those that the gate writes.
    Lookalike,
    /// The question does not say what was asked: the proxy's configuration lacks something.
    Question(&'static str),
    /// A claim does not fit into its header field.
    TooLong { name: http::HeaderName, max: usize },
    /// The user has to act before a token for the service can be had: the name of the reason, and the answer.
    User { kind: &'static str, status: u16, body: String },
    /// There is no token for the service.
    Unsigned(&'static str),
    /// Who asks is none of the named proxies.
    Stranger,
    /// The gate has not read its policy yet.
    NotReady,
    /// As many questions are under way as there is room for.
    Busy,
}

/// An answer as plain values, for each door to put into its own words.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Challenge, time to come back, nonce, that nothing of it is kept: names in lower case.
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) content_type: &'static str,
    pub(crate) body: Cow<'static, str>,
}

impl Refusal {
    /// A stable name, for logs and metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Credentials(error) => error.kind().name(),
            Self::Path(_) => "unclear_path",
            Self::Host => "unclear_host",
            Self::Method => "unclear_method",
            Self::Lookalike => "lookalike_field",
            Self::Question(_) => "incomplete_question",
            Self::TooLong { .. } => "claim_too_long",
            Self::User { kind, .. } => kind,
            Self::Unsigned(_) => "unsigned",
            Self::Stranger => "unknown_peer",
            Self::NotReady => "not_ready",
            Self::Busy => "busy",
        }
    }

    pub(crate) fn answer(&self) -> Answer {
        let (status, body) = match self {
            Self::Credentials(error) => {
                let answer = error.answer();
                return Answer {
                    status: answer.status,
                    fields: answer.fields().collect(),
                    content_type: answer.content_type,
                    body: answer.body.into(),
                };
            }
            Self::User { status, body, .. } => {
                let content_type = token_core::Answer::CONTENT_TYPE;
                return Answer { status: *status, fields: vec![unkept()], content_type, body: body.clone().into() };
            }
            Self::Path(_) => (
                400,
                r#"{"title":"Bad Request","status":400,"detail":"the path of the request can be read in more than one way"}"#,
            ),
            Self::Host => {
                (400, r#"{"title":"Bad Request","status":400,"detail":"the request does not name one host"}"#)
            }
            Self::Method => (
                400,
                r#"{"title":"Bad Request","status":400,"detail":"the method of the request is not written in capitals"}"#,
            ),
            Self::Lookalike => (
                400,
                r#"{"title":"Bad Request","status":400,"detail":"the request holds a header field with an underscore that is not accepted"}"#,
            ),
            Self::Stranger => {
                (403, r#"{"title":"Forbidden","status":403,"detail":"only proxies that are named may ask"}"#)
            }
            Self::Question(_) | Self::TooLong { .. } | Self::Unsigned(_) => {
                (500, r#"{"title":"Internal Server Error","status":500,"detail":"the server is misconfigured"}"#)
            }
            Self::NotReady | Self::Busy => (
                503,
                r#"{"title":"Service Unavailable","status":503,"detail":"the token cannot be verified right now"}"#,
            ),
        };
        let mut fields = vec![unkept()];
        if status == 503 {
            fields.push(("retry-after", "1".to_owned()));
        }
        let content_type = token_core::Answer::CONTENT_TYPE;
        Answer { status, fields, content_type, body: body.into() }
    }

    /// Tells the operator, at the level of the one who has to act.
    pub(crate) fn log(&self, route: &str) {
        let kind = self.name();
        match self {
            Self::Credentials(error) => error.log(),
            Self::Path(why) => tracing::debug!(name: "gate.refused", kind, route, detail = %why, "request refused"),
            Self::Host => {
                tracing::debug!(name: "gate.refused", kind, route, detail = "expected exactly one host, since routes differ by host", "request refused")
            }
            Self::Method => {
                tracing::debug!(name: "gate.refused", kind, route, detail = "expected a method of capital letters, - and _", "request refused")
            }
            Self::Lookalike => {
                tracing::debug!(name: "gate.refused", kind, route, detail = "a header field reads like one of gate.upstream.headers to servers that take _ for -", "request refused")
            }
            Self::Question(detail) => tracing::error!(name: "gate.refused", kind, route, detail, "request refused"),
            Self::TooLong { name, max } => {
                tracing::error!(name: "gate.refused", kind, route, header = name.as_str(), max, detail = "a claim does not fit into its header field: raise max_bytes, or send less", "request refused")
            }
            Self::User { .. } => {
                tracing::debug!(name: "gate.refused", kind, route, detail = "the authorization server wants the user to act before it exchanges the token", "request refused")
            }
            Self::Unsigned(detail) => tracing::error!(name: "gate.refused", kind, route, detail, "request refused"),
            Self::Stranger => {
                tracing::warn!(name: "gate.refused", kind, detail = "whoever asks is not in gate.peers", "question refused")
            }
            Self::NotReady => {
                tracing::warn!(name: "gate.refused", kind, detail = "no policy is in force yet", "request refused")
            }
            Self::Busy => {
                tracing::debug!(name: "gate.refused", kind, detail = "as many questions are under way as --max-questions allows", "request refused")
            }
        }
    }
}

fn unkept() -> (&'static str, String) {
    ("cache-control", token_core::Answer::CACHE_CONTROL.to_owned())
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Credentials(error)
    }
}
