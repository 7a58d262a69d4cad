//! Attaching tokens to requests on their way out (RFC 6750 section 2.1, RFC 9449 section 7.1): where they may go, when they are sent again.

pub(crate) mod bearer;
pub(crate) mod origins;
#[cfg(feature = "reqwest-middleware")]
pub(crate) mod reqwest_middleware;
pub(crate) mod turn;

use http::{HeaderMap, StatusCode};

/// Whether the receiver did not take the token: a 401, or gRPC's `UNAUTHENTICATED` in an answer without a body.
pub(crate) fn is_refusal(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::UNAUTHORIZED || headers.get("grpc-status").is_some_and(|code| code == "16")
}
