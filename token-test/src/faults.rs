//! The faults of each endpoint in, the responses that clients get out; every request is counted.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use crate::gzip;
use crate::serve::CloseWithoutAnswer;
use crate::tenant::Tenant;
use crate::traffic::{Answer, Endpoint, Fault};

/// Turns faults on, at every endpoint or [at](Self::at) one. Returned by
/// [`TestIssuer::faults`](crate::TestIssuer::faults).
///
/// Faults last until [`heal`](Self::heal). Of two responses that exclude each other, the later one is used; a delay or
/// header combines with any response. Requests are counted whatever the fault.
#[derive(Debug)]
pub struct Faults {
    tenant: Arc<Tenant>,
    at: Option<Endpoint>,
}

impl Faults {
    pub(crate) fn everywhere(tenant: Arc<Tenant>) -> Self {
        Self { tenant, at: None }
    }

    /// Limits the following faults to `endpoint`.
    #[must_use]
    pub fn at(mut self, endpoint: Endpoint) -> Self {
        self.at = Some(endpoint);
        self
    }

    /// Closes the connection without a response, like a server that has crashed. Other endpoints are not affected; to
    /// close the port, see [`TestIssuer::stop_listening`](crate::TestIssuer::stop_listening).
    pub fn down(self) -> Self {
        self.answer(Answer::Close)
    }

    /// Delays each response.
    pub fn slow(self, delay: Duration) -> Self {
        self.change(|fault| fault.delay = delay)
    }

    /// Keeps requests waiting until the fault is healed, for tests of what happens *during* a fetch.
    /// [`TestIssuer::wait_for_hits`](crate::TestIssuer::wait_for_hits) tells when a request has arrived.
    pub fn hold(self) -> Self {
        self.change(|fault| fault.hold = true)
    }

    /// Responds with this status and an error body.
    ///
    /// # Panics
    /// If `status` is not between 100 and 999.
    pub fn status(self, status: u16) -> Self {
        let status = StatusCode::from_u16(status).expect("a status between 100 and 999");
        self.answer(Answer::Status(status))
    }

    /// Responds with this status and OAuth error code (RFC 6749 section 5.2), and with `Retry-After` if seconds are
    /// given.
    ///
    /// # Panics
    /// If `status` is not between 100 and 999.
    pub fn refuse(self, status: u16, error: &'static str, retry_after: Option<u32>) -> Self {
        let status = StatusCode::from_u16(status).expect("a status between 100 and 999");
        self.answer(Answer::Refuse(status, error, retry_after))
    }

    /// Responds with 200 and an HTML page, as captive portals and misconfigured proxies do.
    pub fn junk(self) -> Self {
        self.answer(Answer::Body("text/html", Bytes::from_static(b"<!doctype html><title>Sign in</title>")))
    }

    /// Responds with 200, `application/json` and this text, whatever it is.
    pub fn body(self, text: impl Into<String>) -> Self {
        self.answer(Answer::Body("application/json", Bytes::from(text.into())))
    }

    /// Responds with a key set without keys: valid, but useless. For [`Endpoint::Jwks`].
    pub fn empty_set(self) -> Self {
        self.body(r#"{"keys":[]}"#)
    }

    /// Responds with 307 and this `Location`. A 307 asks the client to send method, body and credentials again.
    ///
    /// # Panics
    /// If `to` is not a valid header value.
    pub fn redirect(self, to: &str) -> Self {
        self.answer(Answer::Redirect(HeaderValue::from_str(to).expect("a location without control characters")))
    }

    /// Responds with 8 MiB of valid JSON, in chunks and without `Content-Length`.
    pub fn oversized(self) -> Self {
        self.answer(Answer::Oversized)
    }

    /// Responds normally, but gzip-encoded, even if the client did not ask for it.
    pub fn gzip(self) -> Self {
        self.answer(Answer::Gzip)
    }

    /// Sends the keys of the JWK Set without their `kid`. Has no effect at other endpoints.
    pub fn without_kid(self) -> Self {
        self.change(|fault| fault.without_kid = true)
    }

    /// Sends this `Cache-Control`, for example `no-store` or `max-age=5`.
    ///
    /// # Panics
    /// If `value` is not a valid header value.
    pub fn cache_control(self, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a header value without control characters");
        self.change(|fault| fault.cache_control = Some(value.clone()))
    }

    /// Ends all these faults, and lets waiting requests continue.
    pub fn heal(self) -> Self {
        self.change(|fault| *fault = Fault::default())
    }

    fn answer(self, answer: Answer) -> Self {
        self.change(|fault| fault.answer = Some(answer.clone()))
    }

    fn change(self, change: impl Fn(&mut Fault)) -> Self {
        let endpoints = self.at.as_ref().map_or(Endpoint::ALL, std::slice::from_ref);
        self.tenant.traffic.change(endpoints, change);
        self
    }
}

/// The middleware around every endpoint: counts requests, delays them, and responds instead of the endpoint if there is
/// a fault.
pub(crate) async fn apply(
    State((tenant, endpoint)): State<(Arc<Tenant>, Endpoint)>,
    request: Request,
    next: Next,
) -> Response {
    tenant.traffic.count(endpoint);
    let fault = tenant.traffic.released(endpoint).await;
    if !fault.delay.is_zero() {
        tokio::time::sleep(fault.delay).await;
    }
    let mut response = match fault.answer {
        None => next.run(request).await,
        Some(Answer::Close) => (axum::Extension(CloseWithoutAnswer), ()).into_response(),
        Some(Answer::Status(status)) => {
            (status, [(header::CONTENT_TYPE, "application/json")], r#"{"error":"server_error"}"#).into_response()
        }
        Some(Answer::Refuse(status, error, retry_after)) => {
            let body = format!(r#"{{"error":"{error}"}}"#);
            let mut refusal = (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
            if let Some(seconds) = retry_after {
                refusal.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            refusal
        }
        Some(Answer::Body(media_type, body)) => ([(header::CONTENT_TYPE, media_type)], body).into_response(),
        Some(Answer::Redirect(to)) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response(),
        Some(Answer::Oversized) => oversized(),
        Some(Answer::Gzip) => gzip::encode(next.run(request).await).await,
    };
    if let Some(value) = fault.cache_control {
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    response
}

fn oversized() -> Response {
    const CHUNK: usize = 64 * 1024;
    let chunks = std::iter::once(Bytes::from_static(br#"{"keys":[],"padding":""#))
        .chain(std::iter::repeat_n(Bytes::from(vec![b'x'; CHUNK]), 8 * 1024 * 1024 / CHUNK))
        .chain(std::iter::once(Bytes::from_static(br#""}"#)));
    let body = axum::body::Body::from_stream(futures_util::stream::iter(chunks.map(Ok::<_, std::convert::Infallible>)));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
