//! Status, headers and body of a response in, tokens or a typed error out (RFC 6749 sections 5.1 and 5.2, RFC 8693
//! section 2.2). Pure.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use token_core::Timestamp;

use crate::dpop::Binding;
use crate::error::{TokenError, TokenErrorKind as Kind, retry_after};
use crate::secret::{AccessToken, IdToken, RefreshToken};
use crate::token_type::TokenType;

/// What a response must contain to be accepted as the answer to our request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub(crate) wanted: Wanted,
    pub(crate) issued: Issued,
    /// Whether the request contained a refresh token.
    pub(crate) refreshes: bool,
    /// Whether the request contained a proof, and what follows from that.
    pub(crate) binding: Binding,
}

/// The member that must be present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    AccessToken,
    /// A legacy delegation endpoint answers with an ID token alone.
    IdToken,
}

/// What `issued_token_type` must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Issued {
    /// Not an exchange: the member is ignored.
    Unsaid,
    /// An exchange that requested no type: a token that can be sent as a bearer token.
    AccessTokenOrJwt,
    /// The requested type.
    Exactly(TokenType),
    /// The requested type, from a server that may leave the member out.
    ExactlyIfSaid(TokenType),
}

impl Expected {
    /// The response to a grant of RFC 6749: an access token that is used as a bearer token.
    #[must_use]
    pub fn access_token() -> Self {
        Self { wanted: Wanted::AccessToken, issued: Issued::Unsaid, refreshes: false, binding: Binding::Bearer }
    }

    /// For a request with a DPoP proof: `token_type` must be `DPoP` (RFC 9449 section 5).
    #[must_use]
    pub fn dpop_bound(self) -> Self {
        self.bound_by(Binding::Dpop)
    }

    pub(crate) fn bound_by(self, binding: Binding) -> Self {
        Self { binding, ..self }
    }
}

/// The response of a token endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenResponse {
    /// The access token. From a legacy delegation endpoint it is the text of the ID token.
    pub access_token: AccessToken,
    /// When the token expires. `None`: the server did not say (`expires_in` is only recommended).
    pub expires_at: Option<Timestamp>,
    /// The granted scopes, if the server lists them. They may be fewer than were requested.
    pub scope: Option<String>,
    /// A refresh token. After a refresh, it is the one to use from then on; `None` means that the previous one stays
    /// valid (RFC 6749 section 6).
    pub refresh_token: Option<RefreshToken>,
    /// An ID token. It has not been verified.
    pub id_token: Option<IdToken>,
    /// The type of token that an exchange issued.
    pub issued_token_type: Option<TokenType>,
    /// Whether `token_type` is `DPoP`: the token is bound to the key of the proof (RFC 9449).
    pub dpop_bound: bool,
}

#[derive(Deserialize)]
struct Success {
    access_token: Option<String>,
    token_type: Option<String>,
    expires_in: Option<Value>,
    scope: Option<String>,
    refresh_token: Option<String>,
    id_token: Option<String>,
    issued_token_type: Option<String>,
    // GitHub, for one, refuses with a 200.
    error: Option<String>,
    error_description: Option<String>,
}

#[derive(Default, Deserialize)]
struct Refusal {
    error: Option<Value>,
    error_description: Option<Value>,
    suberror: Option<Value>,
}

/// Interprets the response of a token endpoint, without I/O. `now` is when the response arrived.
///
/// Not checked: anything inside the tokens, and whether the granted scopes are those that were requested.
///
/// # Errors
/// Every [`Fault`](crate::Fault). A redirect, HTML, a body that is not JSON, a missing member or one of the wrong type,
/// and an unexpected `token_type` or `issued_token_type` are errors of the server.
pub fn process_token_response(
    expected: &Expected,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<TokenResponse, TokenError> {
    check_status(status, headers, body, now).map_err(|error| match error.kind() {
        // Some servers say of a spent refresh token no more than 400 or 401. Whose credentials are wrong gets `invalid_client`.
        Kind::Refused if expected.refreshes && matches!(status.as_u16(), 400 | 401) => TokenError::new(
            Kind::InvalidGrant,
            format!("status {status} without an error code that is known, in answer to a refresh token"),
        )
        .answered(status),
        _ => error,
    })?;
    // A derived struct reads the array of its members, too, and no token endpoint answers with that.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(malformed("expected a JSON object as promised, found something else"));
    }
    let answer: Success = parse(body)?;
    // Whatever else stands beside an error: the server says that it did not do what was asked.
    if let Some(code) = &answer.error {
        return Err(refusal(status, code, answer.error_description.as_deref(), None));
    }
    check_issued_type(&expected.issued, answer.issued_token_type.as_deref())?;
    let dpop_bound = check_token_type(expected, answer.token_type.as_deref())?;
    let wanted = match expected.wanted {
        Wanted::AccessToken => answer.access_token,
        Wanted::IdToken => answer.id_token.clone(),
    };
    let access_token = wanted.ok_or_else(|| malformed("the answer holds no token"))?;
    // It has to fit into a header field, whatever it is.
    if access_token.is_empty() || !access_token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(malformed("the token is empty or holds characters that no token has"));
    }
    Ok(TokenResponse {
        access_token: AccessToken::new(access_token),
        expires_at: lifetime(answer.expires_in.as_ref())?.map(|life| now.saturating_add(life)),
        scope: answer.scope,
        refresh_token: answer.refresh_token.filter(|token| !token.is_empty()).map(RefreshToken::new),
        id_token: answer.id_token.map(IdToken::new),
        issued_token_type: answer.issued_token_type.map(TokenType::new),
        dpop_bound,
    })
}

/// Every status but 200 is an error. The kind follows from the status, and below 500 from the OAuth error code.
pub(crate) fn check_status(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<(), TokenError> {
    let error = match status.as_u16() {
        200 => return Ok(()),
        300..=399 => TokenError::new(Kind::Redirected, format!("status {status}, and redirects are not followed")),
        408 | 425 => TokenError::new(Kind::Timeout, format!("status {status}")),
        429 => TokenError::new(Kind::RateLimited, "status 429"),
        400..=499 => {
            let refused: Refusal = serde_json::from_slice(body).unwrap_or_default();
            let text = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).map(str::to_owned);
            match text(&refused.error) {
                Some(code) => refusal(
                    status,
                    &code,
                    text(&refused.error_description).as_deref(),
                    text(&refused.suberror).as_deref(),
                ),
                None => TokenError::new(Kind::Refused, format!("status {status} without an OAuth error code")),
            }
        }
        500..=599 => TokenError::new(Kind::ServerError, format!("status {status}")),
        _ => malformed(format!("expected status 200, not {status}")),
    };
    let error = error.answered(status);
    Err(match retry_after(headers, now) {
        Some(wait) if matches!(error.kind(), Kind::RateLimited | Kind::ServerError) => error.retry_after(wait),
        _ => error,
    })
}

/// The error codes of RFC 6749 section 5.2, RFC 8693 section 2.2.2, RFC 8707 section 2, OpenID Connect Core section
/// 3.1.2.6, RFC 9449 sections 5 and 8, and others that servers use.
const CODES: &[(&str, Kind)] = &[
    ("invalid_request", Kind::InvalidRequest),
    ("invalid_client", Kind::InvalidClient),
    ("invalid_grant", Kind::InvalidGrant),
    ("unauthorized_client", Kind::UnauthorizedClient),
    ("unsupported_grant_type", Kind::UnsupportedGrant),
    ("invalid_scope", Kind::InvalidScope),
    ("invalid_target", Kind::InvalidTarget),
    ("invalid_dpop_proof", Kind::InvalidDpopProof),
    ("use_dpop_nonce", Kind::UseDpopNonce),
    ("access_denied", Kind::AccessDenied),
    ("interaction_required", Kind::InteractionRequired),
    ("login_required", Kind::InteractionRequired),
    ("consent_required", Kind::InteractionRequired),
    ("account_selection_required", Kind::InteractionRequired),
    ("mfa_required", Kind::InteractionRequired),
    ("server_error", Kind::ServerError),
    ("temporarily_unavailable", Kind::ServerError),
    ("slow_down", Kind::RateLimited),
    ("too_many_requests", Kind::RateLimited),
];

/// Whether the server asks for its nonce (RFC 9449 section 8).
pub(crate) fn asks_for_nonce(status: StatusCode, body: &[u8]) -> bool {
    let code = |body| serde_json::from_slice::<Refusal>(body).ok()?.error?.as_str().map(str::to_owned);
    status.is_client_error() && code(body).is_some_and(|code| code == "use_dpop_nonce")
}

/// The server's own words are only read here, never passed on: its description may quote what we sent.
fn refusal(status: StatusCode, code: &str, description: Option<&str>, suberror: Option<&str>) -> TokenError {
    let Some((code, kind)) = CODES.iter().find(|(known, _)| *known == code) else {
        return TokenError::new(Kind::Refused, format!("status {status} with an error code that is not known"));
    };
    let kind = match kind {
        // Entra says in `suberror` that the user has to be asked, and leaves the code of a dead grant.
        Kind::InvalidGrant
            if matches!(suberror, Some("consent_required" | "basic_action" | "additional_action" | "message_only")) =>
        {
            Kind::InteractionRequired
        }
        Kind::InvalidGrant if description.is_some_and(|text| text.to_ascii_lowercase().contains("reuse")) => {
            Kind::Reused
        }
        kind => *kind,
    };
    TokenError::new(kind, format!("status {status} with the error code {code}"))
}

pub(crate) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, TokenError> {
    serde_json::from_slice(body).map_err(|error| {
        // serde_json's own text may quote a value; place and category do not.
        malformed(format!(
            "expected JSON as promised, found a {:?} error at column {}",
            error.classify(),
            error.column()
        ))
    })
}

pub(crate) fn malformed(detail: impl Into<std::borrow::Cow<'static, str>>) -> TokenError {
    TokenError::new(Kind::Malformed, detail)
}

fn check_issued_type(expected: &Issued, issued: Option<&str>) -> Result<(), TokenError> {
    let wrong = |expected: &str| {
        Err(TokenError::new(
            Kind::WrongIssuedType,
            format!("expected the issued token type {expected}, it is another one"),
        ))
    };
    match (expected, issued) {
        (Issued::Unsaid, _) | (Issued::ExactlyIfSaid(_), None) => Ok(()),
        (_, None) => Err(malformed("an exchange has to say issued_token_type, it is missing")),
        (Issued::AccessTokenOrJwt, Some(issued)) => {
            if [TokenType::ACCESS_TOKEN, TokenType::JWT].iter().any(|kind| kind.as_str() == issued) {
                return Ok(());
            }
            wrong("access_token or jwt")
        }
        (Issued::Exactly(kind) | Issued::ExactlyIfSaid(kind), Some(issued)) => {
            if kind.as_str() == issued {
                return Ok(());
            }
            wrong(kind.as_str())
        }
    }
}

/// Whether the token is bound to the key of the proof that was sent (RFC 9449 section 5).
fn check_token_type(expected: &Expected, token_type: Option<&str>) -> Result<bool, TokenError> {
    // RFC 8693 section 2.2.1: N_A where what was issued is not an access token.
    let no_access_token = match &expected.issued {
        Issued::Exactly(kind) => *kind != TokenType::ACCESS_TOKEN && *kind != TokenType::JWT,
        _ => false,
    };
    // Somebody else's token, which our server only keeps: it cannot be bound to a key of ours.
    let foreign =
        no_access_token || matches!(expected.issued, Issued::ExactlyIfSaid(_)) || expected.wanted == Wanted::IdToken;
    let wrong = |detail| TokenError::new(Kind::WrongTokenType, detail);
    match token_type {
        Some(kind) if kind.eq_ignore_ascii_case("dpop") && expected.binding != Binding::Bearer => Ok(true),
        Some(kind) if kind.eq_ignore_ascii_case("dpop") => Err(wrong(
            "expected the token type Bearer, it is DPoP: the client needs a proof key, see `dpop` of its builder",
        )),
        Some(kind) if kind.eq_ignore_ascii_case("bearer") && expected.binding == Binding::Dpop && !foreign => {
            Err(wrong(
                "expected the token type DPoP, it is Bearer: the server does not bind this client's tokens; switch it on there, or take \
             what it gives with `dpop_or_bearer`",
            ))
        }
        Some(kind) if kind.eq_ignore_ascii_case("bearer") => Ok(false),
        Some(kind) if no_access_token && kind.eq_ignore_ascii_case("n_a") => Ok(false),
        None if matches!(expected.issued, Issued::ExactlyIfSaid(_)) => Ok(false),
        None => Err(malformed("the answer has no token_type, and one is required")),
        Some(_) => Err(wrong(match expected.binding {
            Binding::Bearer => "expected the token type Bearer, it is another one",
            Binding::Dpop | Binding::DpopOrBearer => "expected the token type DPoP, it is another one",
        })),
    }
}

/// `expires_in`, in seconds. Some servers write a string. Anything but a non-negative whole number is an error.
pub(crate) fn lifetime(value: Option<&Value>) -> Result<Option<Duration>, TokenError> {
    let seconds = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_f64().filter(|seconds| *seconds >= 0.0),
        Some(Value::String(text)) => text.parse::<u32>().ok().map(f64::from),
        Some(_) => None,
    };
    // A hundred years are as good as any larger number.
    match seconds {
        Some(seconds) => Ok(Some(Duration::from_secs_f64(seconds.min(3_155_760_000.0)))),
        None => Err(malformed("expires_in is not a number of seconds")),
    }
}

#[cfg(test)]
mod tests;
