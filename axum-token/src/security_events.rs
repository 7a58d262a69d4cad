//! A pushed security event in, its answer out: a handler for `post` (RFC 8935 section 2).

use std::future::Future;
use std::pin::Pin;

use axum_core::body::Body;
use axum_core::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use token_core::security_events::{PushRequest, SecurityEventEndpoint};

/// The handler of the URL that a transmitter pushes events to. It belongs outside the [`TokenLayer`](crate::TokenLayer): the body is a token that
/// speaks for itself, and what stands in `Authorization` is what the endpoint
/// [was told](SecurityEventEndpoint::authorization).
///
/// ```
/// use axum::{Router, routing::post};
/// use axum_token::{Issuer, ResourceServer, security_events};
/// use token_core::security_events::{SecurityEventEndpoint, SecurityEventVerifier};
///
/// # fn main() -> Result<(), axum_token::ConfigError> {
/// let issuer = || Issuer::discover("https://login.example.com/");
/// let api = ResourceServer::builder("https://api.example.com").trust(issuer()?).build()?;
/// let verifier = SecurityEventVerifier::new("https://api.example.com/events", issuer()?)?;
/// let endpoint = SecurityEventEndpoint::new(verifier, api);
/// let app: Router = Router::new().route("/events", post(security_events(endpoint)));
/// # Ok(()) }
/// ```
pub fn security_events(
    endpoint: SecurityEventEndpoint,
) -> impl Fn(HeaderMap, Bytes) -> Pin<Box<dyn Future<Output = Response> + Send>> + Clone + Send + Sync + 'static {
    move |headers, body| {
        let endpoint = endpoint.clone();
        Box::pin(async move {
            let field = |name| headers.get(name).map(HeaderValue::as_bytes);
            let request = PushRequest {
                content_type: field(header::CONTENT_TYPE),
                authorization: field(header::AUTHORIZATION),
                body: &body,
            };
            let answer = endpoint.answer(request).await;
            let mut response = Response::new(Body::from(answer.body));
            *response.status_mut() = StatusCode::from_u16(answer.status).expect("202, 400, 500 and 503 are statuses");
            let headers = response.headers_mut();
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            if let Some(seconds) = answer.retry_after {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            if !answer.body.is_empty() {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static("en"));
            }
            response
        })
    }
}
