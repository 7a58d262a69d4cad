//! The HTTP client as the core sees it: one request in, one bounded response out. Limits travel with the request.

#[cfg_attr(not(feature = "reqwest"), allow(dead_code, reason = "the guard is for the client of ours"))]
pub(crate) mod address;
pub(crate) mod bearer;
pub(crate) mod freshness;
#[cfg(feature = "reqwest")]
mod reqwest;

#[cfg(feature = "reqwest")]
pub use self::reqwest::{ReqwestClient, ReqwestClientBuilder, ReqwestClientError};

pub use super::runtime::NoRuntime;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

/// A boxed future, as object-safe traits need it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Sends one request and reads its whole answer.
///
/// An implementation must keep to [`Limits`], must not follow redirects (they would carry credentials and trust to another
/// host) and must not retry: what to do after a failure is decided by the caller. `Content-Encoding` other than
/// identity must not be decoded past [`Limits::max_body`] bytes of decoded size.
pub trait HttpClient: fmt::Debug + Send + Sync + 'static {
    /// Sends `request`; the future ends within `limits.timeout`.
    ///
    /// # Errors
    /// [`HttpError`] for everything that is not a complete response: refused, timed out, too large, forbidden address.
    /// A response of any status, a redirect too, is `Ok`.
    fn send(
        &self,
        request: http::Request<Bytes>,
        limits: Limits,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, HttpError>>;
}

/// What one exchange may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// From the first byte sent to the last byte read. Default 5 s.
    pub timeout: Duration,
    /// Largest body in bytes that is read. Default 512 KiB.
    pub max_body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5), max_body: 512 * 1024 }
    }
}

impl Limits {
    /// The same limits with another total time.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same limits with another size of body, in bytes.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }
}

/// Why no complete response came back. The texts name hosts and limits, never credentials or bodies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpError {
    /// No connection: refused, reset, name not found, TLS failure.
    Connect(String),
    /// The total time ran out.
    Timeout,
    /// The body is larger than [`Limits::max_body`].
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The address is one that this client may not talk to: plain http, or a private, loopback or link-local address.
    Forbidden(String),
    /// The exchange broke off or was not HTTP.
    Broken(String),
    /// There is no tokio runtime to wait on, or not a whole one: no fault of the other side.
    NoRuntime(NoRuntime),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(why) => write!(f, "no connection: {why}"),
            Self::Timeout => f.write_str("no complete answer in time"),
            Self::TooLarge { limit } => write!(f, "answer larger than {limit} bytes"),
            Self::Forbidden(why) => write!(f, "address not allowed: {why}"),
            Self::Broken(why) => write!(f, "exchange broke off: {why}"),
            Self::NoRuntime(missing) => missing.fmt(f),
        }
    }
}

impl std::error::Error for HttpError {}
