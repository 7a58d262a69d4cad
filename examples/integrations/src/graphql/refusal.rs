//! An `Error` of the gate in, message and `extensions` of a GraphQL error out: what a client may read (RFC 6750 section 3.1).

use token_core::Error;

/// What the client is told: one fixed sentence a kind. The error's own `Display` is for the operator, who finds it in the log.
pub fn message(error: &Error) -> &'static str {
    error.log();
    error.kind().public_text()
}

/// `code`, as clients of GraphQL know it; `error` and `scope` of RFC 6750; and the challenge whole, for clients that can have their user sign in anew (RFC 9470).
pub fn extensions(error: &Error) -> impl Iterator<Item = (&'static str, String)> {
    let kind = error.kind();
    let code = match kind.status() {
        400 => "BAD_REQUEST",
        401 => "UNAUTHENTICATED",
        403 => "FORBIDDEN",
        503 => "SERVICE_UNAVAILABLE",
        _ => "INTERNAL_SERVER_ERROR",
    };
    [
        ("code", Some(code.to_owned())),
        ("error", kind.code().map(str::to_owned)),
        ("scope", error.scope().map(str::to_owned)),
        ("challenge", error.challenge()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
}
