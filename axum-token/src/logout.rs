//! A back-channel logout request in, its answer out: a handler for `post` (OpenID Connect Back-Channel Logout sections 2.5 and 2.8).

use std::future::Future;
use std::pin::Pin;

use axum_core::body::Body;
use axum_core::response::Response;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use token_core::revocation::LogoutEndpoint;

/// The handler of a client's back-channel logout URI. It belongs outside the [`TokenLayer`](crate::TokenLayer): the request carries no
/// bearer, the form's `logout_token` speaks for itself.
///
/// ```
/// use axum::{Router, routing::post};
/// use axum_token::{Issuer, LogoutEndpoint, LogoutVerifier, ResourceServer, logout};
///
/// # fn main() -> Result<(), axum_token::ConfigError> {
/// let issuer = || Issuer::discover("https://login.example.com/");
/// let api = ResourceServer::builder("https://api.example.com").trust(issuer()?).build()?;
/// let endpoint = LogoutEndpoint::new(LogoutVerifier::new("my-client-id", issuer()?)?, api);
/// let app: Router = Router::new().route("/backchannel-logout", post(logout(endpoint)));
/// # Ok(()) }
/// ```
pub fn logout(
    endpoint: LogoutEndpoint,
) -> impl Fn(Bytes) -> Pin<Box<dyn Future<Output = Response> + Send>> + Clone + Send + Sync + 'static {
    move |form| {
        let endpoint = endpoint.clone();
        Box::pin(async move {
            let answer = endpoint.answer(&form).await;
            let mut response = Response::new(Body::from(answer.body));
            *response.status_mut() = StatusCode::from_u16(answer.status).expect("204, 400, 500 and 503 are statuses");
            let headers = response.headers_mut();
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            if let Some(seconds) = answer.retry_after {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            if !answer.body.is_empty() {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
            response
        })
    }
}
