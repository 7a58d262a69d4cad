//! One GET, POST or DELETE of a JSON API with a token in, status and body out. Refusals become typed errors.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, Uri};
use token_core::http::{HttpClient, Limits};
use token_core::{Clock, SystemClock};
use url::Url;

use crate::error::misconfigured;
use crate::error::{TokenError, TokenErrorKind, retry_after};
use crate::send::turn::{self, Next, Turns};
use crate::token::Token;

/// What all requests to an API have in common.
#[derive(Clone)]
pub(crate) struct Api {
    http: Arc<dyn HttpClient>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Api {
    pub(crate) fn new(http: Arc<dyn HttpClient>) -> Self {
        Self { http, clock: Arc::new(SystemClock) }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        url: &Url,
        token: Option<&Token>,
        json: Option<String>,
    ) -> Result<Response<Bytes>, TokenError> {
        let uri: Uri = url.as_str().parse().map_err(|_| misconfigured("an address of the API is not a URL"))?;
        let body = Bytes::from(json.unwrap_or_default());
        let mut turns = Turns::new();
        loop {
            let mut request = Request::new(body.clone());
            *request.uri_mut() = uri.clone();
            *request.method_mut() = method.clone();
            let headers = request.headers_mut();
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
            if method == Method::POST {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
            let Some(token) = token else { return Ok(self.http.send(request, Limits::default()).await?) };
            let sent = turn::attach(headers, token, &method, &uri)?;
            let answer = self.http.send(request, Limits::default()).await?;
            if turns.after(token, &sent, answer.status(), answer.headers()) != Next::SendAgain {
                return Ok(answer);
            }
        }
    }

    /// The error for a status that the caller does not handle: 429 and 5xx are temporary, 401 and 403 concern the
    /// client's credentials, the rest the request.
    pub(crate) fn refuse(&self, answer: &Response<Bytes>, scope: &'static str) -> TokenError {
        let status = answer.status();
        let error = match status.as_u16() {
            300..=399 => {
                TokenError::new(TokenErrorKind::Redirected, format!("status {status}, and redirects are not followed"))
            }
            401 => TokenError::new(TokenErrorKind::InvalidClient, "the API does not take our token"),
            403 => {
                TokenError::new(TokenErrorKind::InvalidScope, format!("our token does not suffice; it needs {scope}"))
            }
            429 => TokenError::new(TokenErrorKind::RateLimited, "status 429"),
            500..=599 => TokenError::new(TokenErrorKind::ServerError, format!("status {status}")),
            400..=499 => TokenError::new(TokenErrorKind::Refused, format!("status {status}")),
            _ => TokenError::new(TokenErrorKind::Malformed, format!("status {status} was not to be expected")),
        };
        let wait = retry_after(answer.headers(), self.clock.now()).or_else(|| self.rate_limit_reset(answer));
        match wait {
            Some(wait) if matches!(error.kind(), TokenErrorKind::RateLimited | TokenErrorKind::ServerError) => {
                error.retry_after(wait)
            }
            _ => error,
        }
    }

    /// Auth0's `X-RateLimit-Reset`: seconds since the epoch.
    fn rate_limit_reset(&self, answer: &Response<Bytes>) -> Option<std::time::Duration> {
        let seconds = answer.headers().get("x-ratelimit-reset")?.to_str().ok()?.parse().ok()?;
        let wait = token_core::Timestamp::from_secs(seconds).since(self.clock.now());
        Some(wait.min(std::time::Duration::from_secs(3600)))
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("http", &self.http).finish_non_exhaustive()
    }
}

/// `base` with these path segments after its own. For constants: see [`join_id`] for what comes from elsewhere.
pub(crate) fn join(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// The same with an identifier as the last segment, percent-encoded whole: it may hold a slash or a bar.
pub(crate) fn join_id(base: &Url, segments: &[&str], id: &str) -> Result<Url, TokenError> {
    // URLs drop dot segments, encoded or not.
    if matches!(id, "" | "." | "..") {
        return Err(misconfigured("an identifier is empty or made of dots"));
    }
    let mut url = join(base, segments);
    let mut path = url.path().to_owned();
    path.push('/');
    for byte in id.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => path.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => path.push(byte.into()),
            byte => path.push_str(&format!("%{byte:02X}")),
        }
    }
    url.set_path(&path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_cannot_leave_its_place() {
        let base = Url::parse("https://t.example/api/v2/").unwrap();
        for (id, expected) in [
            ("auth0|1", Some("auth0%7C1")),
            ("a/b", Some("a%2Fb")),
            ("a?b#c", Some("a%3Fb%23c")),
            ("a b%", Some("a%20b%25")),
            ("ä", Some("%C3%A4")),
            ("...", Some("...")),
            ("../x", Some("..%2Fx")),
            ("..", None),
            (".", None),
            ("", None),
        ] {
            let url = join_id(&base, &["users"], id).ok();
            let expected = expected.map(|segment| format!("https://t.example/api/v2/users/{segment}"));
            assert_eq!(url.map(String::from), expected, "{id}");
        }
    }
}
