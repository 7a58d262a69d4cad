//! Why there is no token: one table of kinds, who is at fault, and what a caller is told (RFC 6749 section 5.2, RFC
//! 8693 section 2.2.2).
//!
//! Nothing here contains a token, a secret, or text from an authorization server, whose descriptions may quote either.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use token_core::Timestamp;

/// Who must act before a token can be obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The operator of this client: the configuration, the credentials or the request is wrong. Retrying does not help.
    Ours,
    /// The authorization server: it is unreachable or overloaded, or its response violates the protocol. Retrying later
    /// may help.
    Outage,
    /// The user, who must connect an account, consent, or sign in with a stronger method.
    User,
    /// Nobody: the grant is used, revoked or expired. Only a new sign-in helps.
    Terminal,
}

macro_rules! table {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $fault:ident, $status:literal, $text:literal;)*) => {
        /// The reason why no token was obtained. New kinds may be added.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum TokenErrorKind { $($(#[$doc])* $kind,)* }

        impl TokenErrorKind {
            /// All kinds, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The kind's stable name in snake case, for logs and metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// Who must act.
            #[must_use]
            pub const fn fault(self) -> Fault {
                match self { $(Self::$kind => Fault::$fault,)* }
            }

            /// The HTTP status for the caller of a handler that needed the token.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$kind => $status,)* }
            }

            /// A sentence for that caller. It contains no details.
            #[must_use]
            pub const fn public_text(self) -> &'static str {
                match self { $(Self::$kind => $text,)* }
            }
        }
    };
}

table! {
    /// The configuration cannot work: a URL, a key, a missing token or layer.
    Misconfigured = "misconfigured", Ours, 500, "the server is misconfigured";
    /// `invalid_request`: the server rejects the form of the request.
    InvalidRequest = "invalid_request", Ours, 500, "the server is misconfigured";
    /// `invalid_client`: the client's credentials are wrong.
    InvalidClient = "invalid_client", Ours, 500, "the server is misconfigured";
    /// `unauthorized_client`: this client may not use this grant.
    UnauthorizedClient = "unauthorized_client", Ours, 500, "the server is misconfigured";
    /// `unsupported_grant_type`: the server does not support this grant.
    UnsupportedGrant = "unsupported_grant_type", Ours, 500, "the server is misconfigured";
    /// `invalid_scope`: a scope is unknown, or not allowed for this client.
    InvalidScope = "invalid_scope", Ours, 500, "the server is misconfigured";
    /// `invalid_target`: the audience or resource is unknown, or not allowed for this client.
    InvalidTarget = "invalid_target", Ours, 500, "the server is misconfigured";
    /// `invalid_dpop_proof`: the server rejects the proof (RFC 9449 section 5), for example because of the key's
    /// algorithm or a wrong clock.
    InvalidDpopProof = "invalid_dpop_proof", Ours, 500, "the server is misconfigured";
    /// An unknown error code, or a refusal without one.
    Refused = "refused", Ours, 500, "the server is misconfigured";
    /// The HTTP client does not allow the address of the endpoint.
    Forbidden = "forbidden", Ours, 500, "the server is misconfigured";
    /// A token was about to be sent to a host that it is not meant for.
    WrongHost = "wrong_host", Ours, 500, "the server is misconfigured";
    /// The connection could not be made, or was lost.
    Unreachable = "unreachable", Outage, 503, "a token cannot be had right now";
    /// There was no complete response in time.
    Timeout = "timeout", Outage, 503, "a token cannot be had right now";
    /// A status of 500 or more, `server_error` or `temporarily_unavailable`.
    ServerError = "server_error", Outage, 503, "a token cannot be had right now";
    /// 429, or `slow_down`.
    RateLimited = "rate_limited", Outage, 503, "a token cannot be had right now";
    /// `use_dpop_nonce`, but the server provided no nonce or did not accept its own (RFC 9449 section 8).
    UseDpopNonce = "use_dpop_nonce", Outage, 503, "a token cannot be had right now";
    /// A redirect. It is never followed, since it would send credentials to another host.
    Redirected = "redirected", Outage, 503, "a token cannot be had right now";
    /// Not the expected JSON: HTML, invalid JSON, or a member that is missing or of the wrong type.
    Malformed = "malformed", Outage, 503, "a token cannot be had right now";
    /// The response is larger than the limit.
    TooLarge = "too_large", Outage, 503, "a token cannot be had right now";
    /// The API or its authorization server publishes no metadata from which a token could be obtained.
    NoMetadata = "no_metadata", Outage, 503, "a token cannot be had right now";
    /// Metadata, or an authorization response, belongs to another party than was asked, or names a URL that is not
    /// allowed.
    UntrustedMetadata = "untrusted_metadata", Ours, 500, "the server is misconfigured";
    /// `token_type` is not the requested one.
    WrongTokenType = "wrong_token_type", Ours, 500, "the server is misconfigured";
    /// `issued_token_type` is not the requested one.
    WrongIssuedType = "wrong_issued_type", Ours, 500, "the server is misconfigured";
    /// The store of refresh tokens is unreachable, or its content cannot be read.
    Store = "store", Outage, 503, "a token cannot be had right now";
    /// The user has not connected an account at this identity provider, or has removed the connection.
    NeedsConnection = "needs_connection", User, 403, "an account has to be connected first";
    /// `interaction_required`, `login_required`, `consent_required`: the user must be asked.
    InteractionRequired = "interaction_required", User, 403, "the user has to sign in again or to consent";
    /// `access_denied`: the user or a policy has refused.
    AccessDenied = "access_denied", User, 403, "access was denied";
    /// `invalid_grant`: the code, refresh token, subject token or assertion is used, revoked, expired, or meant for
    /// another client.
    InvalidGrant = "invalid_grant", Terminal, 401, "the grant is no longer valid";
    /// `invalid_grant`, where the server says that a refresh token was used twice and has revoked all tokens of the
    /// grant.
    Reused = "refresh_token_reused", Terminal, 401, "the grant is no longer valid";
}

impl fmt::Display for TokenErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The error when no token can be obtained. Cheap to clone: one `Arc`.
///
/// `Display` is for the operator's log. To answer a caller, use [`kind`](Self::kind) with its
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
    /// Creates an error. `detail` is for the operator: lower case, with expected values and without secrets.
    #[must_use]
    pub fn new(kind: TokenErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner { kind, detail: detail.into(), retry_after: None, connection: None, http_status: None }))
    }

    /// Creates a [`NeedsConnection`](TokenErrorKind::NeedsConnection) error. `connection` is the name by which the
    /// authorization server knows the account's provider.
    #[must_use]
    pub fn needs_connection(connection: impl Into<Box<str>>) -> Self {
        let mut error = Self::new(TokenErrorKind::NeedsConnection, "the user has no such account connected");
        error.edit().connection = Some(connection.into());
        error
    }

    /// Adds the time after which to retry.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.edit().retry_after = Some(after);
        self
    }

    pub(crate) fn answered(mut self, status: http::StatusCode) -> Self {
        self.edit().http_status = Some(status.as_u16());
        self
    }

    /// Adds a hint on how to solve the problem.
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

    /// Who must act.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.0.kind.fault()
    }

    /// Details for the operator.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// How long to wait before retrying, if known.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The HTTP status of the server's response, if the error was made from one.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// The required connection, for [`TokenErrorKind::NeedsConnection`].
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

/// The delay in `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date compared with `now`. At most one hour.
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
