//! Tokens that say nothing by themselves: what an operator says of them, and the endpoint that is asked (RFC 7662, OpenID Connect Core 5.3).
//!
//! [`OpaqueTokens`] configures an introspection or userinfo endpoint for an issuer; [`OpaqueVerifier`] is the trait behind it, for other protocols.
//! [`api_keys`] are tokens that this API hands out itself. [`client_authentication`] says how this API identifies itself there.

pub mod api_keys;
pub(crate) mod breaker;
pub mod client_authentication;
mod endpoint;
pub(crate) mod evictions;
pub(crate) mod flight;
pub(crate) mod introspection;
pub(crate) mod settings;
mod state;
pub(crate) mod status_list;
pub(crate) mod status_lists;
pub(crate) mod token_review;
pub(crate) mod userinfo;

use std::fmt;
use std::time::Duration;

use crate::base::http::{BoxFuture, HttpError};
use crate::base::time::Timestamp;

pub(crate) use endpoint::{Exchange, media_type};
pub(crate) use settings::Kind;
pub use settings::OpaqueTokens;
pub use state::OpaqueState;
pub(crate) use state::{Found, Opaque};

/// Asks somebody whether a token is good. [`OpaqueTokens`] makes the usual ones; another protocol is another implementation.
///
/// It only asks: what the answer says is checked, cached and shared by the gate.
pub trait OpaqueVerifier: fmt::Debug + Send + Sync + 'static {
    /// What tells this endpoint and this client from others. It goes into the key under which answers are cached, so every input
    /// that can change an answer belongs in it.
    fn identity(&self) -> &str;

    /// Asks once. The gate bounds how long it waits, and asks again when it has to.
    ///
    /// # Errors
    /// [`OpaqueError`] for everything that is no honest answer about this token: our trouble, 503, never cached.
    fn ask<'a>(&'a self, token: &'a str, now: Timestamp) -> BoxFuture<'a, Result<OpaqueAnswer, OpaqueError>>;
}

/// What an endpoint said about a token.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpaqueAnswer {
    /// Not good: expired, revoked, unknown, or not for us to know.
    Inactive,
    /// Good, with these claims: one JSON object.
    Claims(String),
    /// An introspection answer as a JWT (RFC 9701), not yet verified. The gate does that with the issuer's keys.
    SignedIntrospection(String),
    /// Userinfo claims as a JWT (OpenID Connect Core section 5.3.2), not yet verified. The gate does that with the issuer's keys.
    SignedUserInfo(String),
}

impl fmt::Debug for OpaqueAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inactive => "Inactive",
            Self::Claims(_) => "Claims(…)",
            Self::SignedIntrospection(_) => "SignedIntrospection(…)",
            Self::SignedUserInfo(_) => "SignedUserInfo(…)",
        })
    }
}

/// Why an endpoint gave no answer that could be used. The texts hold no token, no claim and nothing of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpaqueError {
    /// No complete response.
    Http(HttpError),
    /// A status that is no answer. 401 and 403 from an introspection endpoint mean this client, not the token.
    Status {
        /// The status.
        status: u16,
        /// When the endpoint wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The endpoint does not accept this client, and the form in which its credentials were sent may be why.
    ClientRefused {
        /// The status.
        status: u16,
        /// What may be why, and the way out.
        hint: &'static str,
    },
    /// An answer that is not what the protocol says.
    Unusable(&'static str),
    /// No request could be made, or no answer verified, for a reason on this side.
    Misconfigured(&'static str),
    /// No answer in time.
    Timeout,
}

impl OpaqueError {
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { status: 429 | 503, retry_after } => *retry_after,
            _ => None,
        }
    }

    /// Whether it says something about the endpoint, and not about this one token: no connection, no answer in time, a server error, a
    /// request to slow down, a client that is not accepted. What a token can bring about by its size, its letters or its owner's claims
    /// (431, a firewall's 403, an answer above the size limit, an answer that is not the protocol's) is never held against the endpoint.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::Http(error) => !matches!(error, HttpError::TooLarge { .. }),
            Self::Status { status, .. } | Self::ClientRefused { status, .. } => {
                matches!(status, 401 | 408 | 425 | 429 | 500..=599)
            }
            Self::Timeout | Self::Misconfigured(_) => true,
            Self::Unusable(_) => false,
        }
    }

    /// Whether the endpoint has not seen the token at all.
    pub(crate) fn is_of_the_connection(&self) -> bool {
        matches!(self, Self::Http(HttpError::Connect(_) | HttpError::Forbidden(_)))
    }

    /// The word for events and metrics.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Http(HttpError::Timeout) | Self::Timeout => "timeout",
            Self::Http(_) => "http",
            Self::Status { status: 401 | 403, .. } | Self::ClientRefused { .. } => "client_refused",
            Self::Status { .. } => "status",
            Self::Unusable(_) => "unusable",
            Self::Misconfigured(_) => "misconfigured",
        }
    }
}

impl fmt::Display for OpaqueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(error) => error.fmt(f),
            Self::Status { status: status @ (401 | 403), .. } => {
                write!(f, "status {status}: the endpoint does not accept this client")
            }
            Self::ClientRefused { status, hint } => {
                write!(f, "status {status}: the endpoint does not accept this client; {hint}")
            }
            Self::Status { status, .. } => write!(f, "status {status}"),
            Self::Unusable(why) => write!(f, "not an answer: {why}"),
            Self::Misconfigured(why) => f.write_str(why),
            Self::Timeout => f.write_str("no answer in time"),
        }
    }
}

impl std::error::Error for OpaqueError {}
