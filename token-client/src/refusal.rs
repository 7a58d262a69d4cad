//! Why a handler has no token in, the response to its own caller out: the gate's error, or a problem document (RFC
//! 9457).

use std::time::Duration;

use serde_json::json;
use token_core::{Error, ErrorKind};

use crate::error::{Fault, TokenError};

/// The response to a caller whose request needed a token that could not be obtained. Adapters convert it to their own
/// response type.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// 500, 503 with `Retry-After`, or 401 with a challenge, like the gate's own errors.
    Gate(Error),
    /// The user can solve it: a problem document with this status. It names a missing connection, so that a page can
    /// say "connect your Google account".
    User {
        /// HTTP status: 403.
        status: u16,
        /// Body of media type [`Answer::CONTENT_TYPE`](token_core::Answer::CONTENT_TYPE).
        body: String,
    },
}

impl TokenError {
    /// The response for the caller of a handler that needed the token.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        let detail = || self.to_string();
        match self.fault() {
            Fault::Ours => Refusal::Gate(Error::new(ErrorKind::Misconfigured, detail())),
            Fault::Outage => {
                let wait = self.wait().unwrap_or(Duration::from_secs(1));
                Refusal::Gate(Error::downstream_unavailable(detail(), wait))
            }
            // What the caller presented is good for nothing at the authorization server any more.
            Fault::Terminal => Refusal::Gate(Error::new(ErrorKind::Inactive, detail())),
            Fault::User => {
                let kind = self.kind();
                let mut problem = json!({
                    "title": "Forbidden",
                    "status": kind.status(),
                    "detail": kind.public_text(),
                    "error": kind.name(),
                });
                if let Some(connection) = self.connection() {
                    problem["connection"] = json!(connection);
                }
                Refusal::User { status: kind.status(), body: problem.to_string() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::TokenErrorKind;

    #[test]
    fn every_kind_is_answered_with_the_status_of_its_row() {
        for kind in TokenErrorKind::ALL {
            let status = match TokenError::new(*kind, "canary").refusal() {
                Refusal::Gate(error) => {
                    assert!(!error.answer().body.contains("canary"));
                    error.answer().status
                }
                Refusal::User { status, body } => {
                    assert!(!body.contains("canary"));
                    status
                }
            };
            assert_eq!(status, kind.status(), "{kind}");
        }
    }

    #[test]
    fn a_missing_connection_is_named_and_an_outage_says_when_to_come_back() {
        let Refusal::User { body, .. } = TokenError::needs_connection("google-oauth2").refusal() else {
            panic!("the user has to act")
        };
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&body["connection"], &body["error"]), (&json!("google-oauth2"), &json!("needs_connection")));

        let outage = TokenError::new(TokenErrorKind::RateLimited, "x").retry_after(Duration::from_secs(7));
        let Refusal::Gate(error) = outage.refusal() else { panic!("the gate answers outages") };
        assert_eq!(error.answer().retry_after, Some(7));
        // The caller's own token was verified, and is not blamed.
        assert_eq!(error.kind(), ErrorKind::DownstreamUnavailable);
        assert!(!error.answer().body.contains("verified"), "{}", error.answer().body);
    }
}
