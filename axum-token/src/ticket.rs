//! A page's request for a ticket in, the ticket out: a handler for `post`.

use std::future::Future;
use std::pin::Pin;

use axum_core::body::Body;
use axum_core::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use token_core::{Presented, ResourceServer};
use tower_token::View;

use crate::Rejection;

/// Sells a ticket for the token of the request: good once, for 30 s, for the path in the body (`{"path": "/events"}`) and the page's origin. The answer is
/// `{"ticket": "…", "expires_in": 30}`. The page opens `/events?ticket=…`, whose route stands behind the [`TokenLayer`](crate::TokenLayer) as ever: extractors
/// find the caller that the ticket was sold to.
///
/// It judges the request itself, so it may stand outside of the layer or inside.
///
/// ```
/// use axum::{Router, routing::{get, post}};
/// use axum_token::token_core::streams::Tickets;
/// use axum_token::{Authenticated, Issuer, ResourceServer, TokenLayer, ticket};
///
/// async fn events(Authenticated(_caller): Authenticated) -> &'static str {
///     "…"
/// }
///
/// # fn main() -> Result<(), axum_token::ConfigError> {
/// # if cfg!(not(feature = "aws-lc-rs")) { return Ok(()) }
/// let api = ResourceServer::builder("https://api.example.com")
///     .trust(Issuer::discover("https://login.example.com/")?)
///     .tickets(Tickets::in_memory())
///     .build()?;
/// let app: Router = Router::new()
///     .route("/events", get(events))
///     .route("/tickets", post(ticket(api.clone())))
///     .layer(TokenLayer::new(api));
/// # Ok(()) }
/// ```
pub fn ticket(
    server: ResourceServer,
) -> impl Fn(Parts, Bytes) -> Pin<Box<dyn Future<Output = Response> + Send>> + Clone + Send + Sync + 'static {
    move |parts, body| {
        let answer = server.ticket_answer(Presented::request(&View::from(&parts)), &body);
        Box::pin(async move {
            let answer = match answer.await {
                Ok(answer) => answer,
                Err(error) => {
                    error.log();
                    return Rejection::from(error).into_response();
                }
            };
            let mut response = Response::new(Body::from(answer.body));
            *response.status_mut() = StatusCode::from_u16(answer.status).expect("200 and 400 are statuses");
            let headers = response.headers_mut();
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        })
    }
}
