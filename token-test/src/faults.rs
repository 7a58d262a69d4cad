//! What is wrong with each endpoint goes in, the answers a client sees from it come out; every request is counted.

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

/// Switches faults on, at every endpoint or [at](Self::at) one. Got from [`TestIssuer::faults`](crate::TestIssuer::faults).
///
/// Faults hold until [`heal`](Self::heal). Of two answers that exclude each other the later wins; a delay or header is
/// kept beside any answer. Requests are counted whatever the fault.
#[derive(Debug)]
pub struct Faults {
    tenant: Arc<Tenant>,
    at: Option<Endpoint>,
}

impl Faults {
    pub(crate) fn everywhere(tenant: Arc<Tenant>) -> Self {
        Self { tenant, at: None }
    }

    /// Only the faults of `endpoint`.
    #[must_use]
    pub fn at(mut self, endpoint: Endpoint) -> Self {
        self.at = Some(endpoint);
        self
    }

    /// Closes the connection without an answer, as a server that died would. Other endpoints stay as they are;
    /// to close the port see [`TestIssuer::stop_listening`](crate::TestIssuer::stop_listening).
    pub fn down(self) -> Self {
        self.answer(Answer::Close)
    }

    /// Waits for `delay` before each answer.
    pub fn slow(self, delay: Duration) -> Self {
        self.change(|fault| fault.delay = delay)
    }

    /// Lets requests wait, without an answer, until the fault is healed: for tests of what happens *during* a fetch.
    /// See [`TestIssuer::wait_for_hits`](crate::TestIssuer::wait_for_hits) to know when a request has arrived.
    pub fn hold(self) -> Self {
        self.change(|fault| fault.hold = true)
    }

    /// Answers with this status and an error body.
    ///
    /// # Panics
    /// If `status` is not between 100 and 999.
    pub fn status(self, status: u16) -> Self {
        let status = StatusCode::from_u16(status).expect("a status between 100 and 999");
        self.answer(Answer::Status(status))
    }

    /// Answers with this status and OAuth error code (RFC 6749 section 5.2), and with `Retry-After` where seconds are given.
    ///
    /// # Panics
    /// If `status` is not between 100 and 999.
    pub fn refuse(self, status: u16, error: &'static str, retry_after: Option<u32>) -> Self {
        let status = StatusCode::from_u16(status).expect("a status between 100 and 999");
        self.answer(Answer::Refuse(status, error, retry_after))
    }

    /// Answers 200 with an HTML page, as captive portals and misconfigured proxies do.
    pub fn junk(self) -> Self {
        self.answer(Answer::Body("text/html", Bytes::from_static(b"<!doctype html><title>Sign in</title>")))
    }

    /// Answers 200 and `application/json` with this text, whatever it is.
    pub fn body(self, text: impl Into<String>) -> Self {
        self.answer(Answer::Body("application/json", Bytes::from(text.into())))
    }

    /// Answers with a key set that has no keys: valid, and useless. Meant for [`Endpoint::Jwks`].
    pub fn empty_set(self) -> Self {
        self.body(r#"{"keys":[]}"#)
    }

    /// Answers 307 with this `Location`; 307 because it asks the client to send method, body and credentials again.
    ///
    /// # Panics
    /// If `to` cannot be the value of a header.
    pub fn redirect(self, to: &str) -> Self {
        self.answer(Answer::Redirect(HeaderValue::from_str(to).expect("a location without control characters")))
    }

    /// Answers with 8 MiB of well-formed JSON, in chunks and without a `Content-Length` that would warn.
    pub fn oversized(self) -> Self {
        self.answer(Answer::Oversized)
    }

    /// Answers as it should, but gzip-encoded, asked for or not.
    pub fn gzip(self) -> Self {
        self.answer(Answer::Gzip)
    }

    /// Sends the keys of the JWK Set without their `kid`. Has no meaning at other endpoints.
    pub fn without_kid(self) -> Self {
        self.change(|fault| fault.without_kid = true)
    }

    /// Sends this `Cache-Control`, for example `no-store` or `max-age=5`.
    ///
    /// # Panics
    /// If `value` cannot be the value of a header.
    pub fn cache_control(self, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a header value without control characters");
        self.change(|fault| fault.cache_control = Some(value.clone()))
    }

    /// Ends every fault here, and lets waiting requests go on.
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

/// The middleware around every endpoint: counts, waits, and answers in the endpoint's place where a fault says so.
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
