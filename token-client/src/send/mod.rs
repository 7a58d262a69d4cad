//! Adding tokens to outgoing requests (RFC 6750 section 2.1, RFC 9449 section 7.1): to which origins, and when a
//! request is repeated.

pub(crate) mod bearer;
pub(crate) mod origins;
#[cfg(feature = "reqwest-middleware")]
pub(crate) mod reqwest_middleware;
pub(crate) mod turn;

use http::{HeaderMap, StatusCode};

/// Whether the server refused the token: a 401, or gRPC's `UNAUTHENTICATED` in a response without a body.
pub(crate) fn is_refusal(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::UNAUTHORIZED || headers.get("grpc-status").is_some_and(|code| code == "16")
}
