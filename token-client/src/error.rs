//! Why there is no token: one table from kind to who is at fault and what a caller is told (RFC 6749 section 5.2, RFC 8693 2.2.2).
//!
//! Nothing here holds a token, a secret, or text that an authorization server wrote: its descriptions may quote either.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use token_core::Timestamp;

/// Who has to act before a token can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The operator of this client: the configuration, the credentials or the form of the request is wrong. Trying again does not help.
    Ours,
    /// The authorization server: it is unreachable or overloaded, or its answer breaks the protocol. Trying again later may help.
    Outage,
    /// The user: has to connect an account, consent, or sign in by a stronger method.
    User,
    /// Nobody: what was presented is used, revoked or expired. Only a new sign-in helps.
    Terminal,
}

macro_rules! table {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $fault:ident, $status:literal, $text:literal;)*) => {
        /// Why no token was obtained. New kinds may be added.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum TokenErrorKind { $($(#[$doc])* $kind,)* }

        impl TokenErrorKind {
            /// Every kind there is, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The kind's stable name in snake case, for logs and metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// Who has to act.
            #[must_use]
            pub const fn fault(self) -> Fault {
                match self { $(Self::$kind => Fault::$fault,)* }
            }

            /// The HTTP status with which a handler that needed the token answers its own caller.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$kind => $status,)* }
            }

            /// The one sentence for that caller.
            #[must_use]
            pub const fn public_text(self) -> &'static str {
                match self { $(Self::$kind => $text,)* }
            }
        }
    };
}

table! {
    /// The setup cannot work: a URL, a key, a missing token, a layer.
    Misconfigured = "misconfigured", Ours, 500, "the server is misconfigured";
    /// `invalid_request`: the server does not like the form of what we sent.
    InvalidRequest = "invalid_request", Ours, 500, "the server is misconfigured";
    /// `invalid_client`: our credentials are wrong.
    InvalidClient = "invalid_client", Ours, 500, "the server is misconfigured";
    /// `unauthorized_client`: this client may not use this grant.
    UnauthorizedClient = "unauthorized_client", Ours, 500, "the server is misconfigured";
    /// `unsupported_grant_type`: the server does not offer this grant.
    UnsupportedGrant = "unsupported_grant_type", Ours, 500, "the server is misconfigured";
    /// `invalid_scope`: a scope is unknown, or more than may be asked for.
    InvalidScope = "invalid_scope", Ours, 500, "the server is misconfigured";
    /// `invalid_target`: the audience or resource is unknown, or not for this client.
    InvalidTarget = "invalid_target", Ours, 500, "the server is misconfigured";
    /// `invalid_dpop_proof`: the server does not take our proof (RFC 9449 section 5). The algorithm of the key, or a clock that is wrong.
    InvalidDpopProof = "invalid_dpop_proof", Ours, 500, "the server is misconfigured";
    /// An error code that this crate does not know, or a refusal without one.
    Refused = "refused", Ours, 500, "the server is misconfigured";
    /// The endpoint's address is one that the HTTP client may not talk to.
    Forbidden = "forbidden", Ours, 500, "the server is misconfigured";
    /// A token was about to be sent to a host that it is not for.
    WrongHost = "wrong_host", Ours, 500, "the server is misconfigured";
    /// No connection, or it broke off.
    Unreachable = "unreachable", Outage, 503, "a token cannot be had right now";
    /// No complete answer in time.
    Timeout = "timeout", Outage, 503, "a token cannot be had right now";
    /// A status of 500 or more, `server_error` or `temporarily_unavailable`.
    ServerError = "server_error", Outage, 503, "a token cannot be had right now";
    /// 429, or `slow_down`.
    RateLimited = "rate_limited", Outage, 503, "a token cannot be had right now";
    /// `use_dpop_nonce`, and the server gave no nonce or did not take its own (RFC 9449 section 8).
    UseDpopNonce = "use_dpop_nonce", Outage, 503, "a token cannot be had right now";
    /// A redirect, which is never followed: it would carry credentials to another host.
    Redirected = "redirected", Outage, 503, "a token cannot be had right now";
    /// Not the JSON that was promised: HTML, broken JSON, a member that is missing or of the wrong type.
    Malformed = "malformed", Outage, 503, "a token cannot be had right now";
    /// The answer is larger than the limit.
    TooLarge = "too_large", Outage, 503, "a token cannot be had right now";
    /// An API or its authorization server publishes no metadata that leads to a token.
    NoMetadata = "no_metadata", Outage, 503, "a token cannot be had right now";
    /// Metadata, or an answer to an authorization request, is of somebody else than was asked, or leads where nothing may go.
    UntrustedMetadata = "untrusted_metadata", Ours, 500, "the server is misconfigured";
    /// `token_type` is not one that was asked for.
    WrongTokenType = "wrong_token_type", Ours, 500, "the server is misconfigured";
    /// `issued_token_type` is not the type that was asked for.
    WrongIssuedType = "wrong_issued_type", Ours, 500, "the server is misconfigured";
    /// The store of refresh tokens is out of reach, or what it holds cannot be read.
    Store = "store", Outage, 503, "a token cannot be had right now";
    /// The user has not connected an account at this identity provider, or took the connection back.
    NeedsConnection = "needs_connection", User, 403, "an account has to be connected first";
    /// `interaction_required`, `login_required`, `consent_required`: the user has to be asked.
    InteractionRequired = "interaction_required", User, 403, "the user has to sign in again or to consent";
    /// `access_denied`: the user or a policy said no.
    AccessDenied = "access_denied", User, 403, "access was denied";
    /// `invalid_grant`: the code, refresh token, subject token or assertion is spent, revoked, expired or for somebody else.
    InvalidGrant = "invalid_grant", Terminal, 401, "the grant is no longer valid";
    /// `invalid_grant`, and the server says that a refresh token was used twice: it has revoked the whole family.
    Reused = "refresh_token_reused", Terminal, 401, "the grant is no longer valid";
}

impl fmt::Display for TokenErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why there is no token. Cheap to clone: one `Arc`.
///
/// `Display` is for the operator's log. A caller that has to answer somebody uses [`kind`](Self::kind): its
/// [`status`](TokenErrorKind::status) and [`public_text`](TokenErrorKind::public_text).
///
/// ```
/// use token_client::{Fault, TokenError, TokenErrorKind};
///
/// let error = TokenError::new(TokenErrorKind::InvalidGrant, "the refresh token was refused");
/// assert_eq!(error.fault(), Fault::Terminal);
/// assert_eq!(error.to_string(), "invalid_grant: the refresh token was refused");
/// ```
#[derive(Clone)]
pub struct TokenError(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: TokenErrorKind,
    detail: Cow<'static, str>,
    retry_after: Option<Duration>,
    connection: Option<Box<str>>,
    http_status: Option<u16>,
}

impl TokenError {
    /// An error of this kind; `detail` is for the operator: lower case, expected values, nothing secret.
    #[must_use]
    pub fn new(kind: TokenErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner { kind, detail: detail.into(), retry_after: None, connection: None, http_status: None }))
    }

    /// The user has to connect an account; `connection` is its name as the authorization server knows it.
    #[must_use]
    pub fn needs_connection(connection: impl Into<Box<str>>) -> Self {
        let mut error = Self::new(TokenErrorKind::NeedsConnection, "the user has no such account connected");
        error.edit().connection = Some(connection.into());
        error
    }

    /// The same error with a time to come back.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.edit().retry_after = Some(after);
        self
    }

    pub(crate) fn answered(mut self, status: http::StatusCode) -> Self {
        self.edit().http_status = Some(status.as_u16());
        self
    }

    /// The same error with a way out behind its detail.
    pub(crate) fn hinted(mut self, hint: &'static str) -> Self {
        let inner = self.edit();
        inner.detail = format!("{}; {hint}", inner.detail).into();
        self
    }

    fn edit(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }

    /// The kind of error.
    #[must_use]
    pub fn kind(&self) -> TokenErrorKind {
        self.0.kind
    }

    /// Who has to act.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.0.kind.fault()
    }

    /// What the operator should know beside the kind.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// How long to stay away, where that is known.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The HTTP status that the error was made from, where there was an answer that was not a success.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// The connection that is wanted, for [`TokenErrorKind::NeedsConnection`].
    #[must_use]
    pub fn connection(&self) -> Option<&str> {
        self.0.connection.as_deref()
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind, self.0.detail)
    }
}

impl fmt::Debug for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenError").field("kind", &self.0.kind).field("detail", &self.0.detail).finish_non_exhaustive()
    }
}

impl std::error::Error for TokenError {}

impl From<token_core::http::HttpError> for TokenError {
    fn from(error: token_core::http::HttpError) -> Self {
        use token_core::http::HttpError;
        let kind = match &error {
            HttpError::Timeout => TokenErrorKind::Timeout,
            HttpError::TooLarge { .. } => TokenErrorKind::TooLarge,
            HttpError::Forbidden(_) => TokenErrorKind::Forbidden,
            HttpError::NoRuntime(_) => TokenErrorKind::Misconfigured,
            _ => TokenErrorKind::Unreachable,
        };
        Self::new(kind, error.to_string())
    }
}

pub(crate) fn misconfigured(detail: impl Into<std::borrow::Cow<'static, str>>) -> TokenError {
    TokenError::new(TokenErrorKind::Misconfigured, detail)
}

/// The time a server asks to be left alone (RFC 9110 section 10.2.3): seconds, or a date held against `now`. At most an hour.
pub(crate) fn retry_after(headers: &http::HeaderMap, now: Timestamp) -> Option<Duration> {
    const CEILING: Duration = Duration::from_secs(3600);
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u32>() {
        Ok(seconds) => Duration::from_secs(seconds.into()),
        Err(_) => Timestamp::from(httpdate::parse_http_date(text).ok()?).since(now),
    };
    Some(wait.min(CEILING))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_follows_from_who_is_at_fault() {
        for kind in TokenErrorKind::ALL {
            let expected = match kind.fault() {
                Fault::Ours => 500,
                Fault::Outage => 503,
                Fault::User => 403,
                Fault::Terminal => 401,
            };
            assert_eq!(kind.status(), expected, "{kind}");
        }
    }

    #[test]
    fn retry_after_is_read_in_both_its_forms_and_capped() {
        let now = Timestamp::from_secs(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT
        for (text, expected) in [
            ("7", Some(7)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:27 GMT", Some(0)),
            ("999999", Some(3600)),
            ("-1", None),
            ("soon", None),
        ] {
            let headers = [(http::header::RETRY_AFTER, text.parse().unwrap())].into_iter().collect();
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{text}");
        }
    }
}
