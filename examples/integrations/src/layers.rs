//! Routes and the server that verifies tokens in, the service that stands on the internet out: the layers of `tower-http` around the token layer, from the outside in.

use std::time::Duration;

use axum::Router;
use axum_token::{ResourceServer, TokenLayer};
use http::header::{AUTHORIZATION, COOKIE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use tracing::{Span, field::Empty, info_span};

/// What a request brings that no log should keep: the token, where it is a cookie, and its proof.
pub const SECRETS: [HeaderName; 3] = [AUTHORIZATION, COOKIE, HeaderName::from_static("dpop")];

/// `routes` behind everything that a service on the internet wants around it. Pages of `origin` may call them.
pub fn layers(routes: Router, api: ResourceServer, origin: HeaderValue) -> Router {
    let cors = CorsLayer::new()
        .allow_origin(origin)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([AUTHORIZATION])
        .expose_headers([WWW_AUTHENTICATE, RETRY_AFTER, HeaderName::from_static("x-request-id")]);
    routes.layer(
        ServiceBuilder::new()
            .layer(SetSensitiveRequestHeadersLayer::new(SECRETS)) // before anything that writes headers down
            .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid)) // before the span that names it
            .layer(TraceLayer::new_for_http().make_span_with(span)) // all below is logged in it, refusals too
            .layer(PropagateRequestIdLayer::x_request_id()) // on every answer of those below
            .layer(CompressionLayer::new()) // of the bodies that those below write
            .layer(cors) // preflight requests bring no token; pages read refusals and failures, too
            .layer(CatchPanicLayer::new()) // inside of CORS, so that the page sees the 500
            .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(10)))
            .layer(RequestBodyLimitLayer::new(64 * 1024)) // before work is done for strangers
            .layer(TokenLayer::new(api).record_caller()), // below here the caller is known
    )
}

/// The path and not the whole URI: queries carry tickets, codes and personal data.
fn span<B>(request: &Request<B>) -> Span {
    let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok());
    let (method, path) = (request.method().as_str(), request.uri().path());
    info_span!("request", method, path, id, token.subject = Empty, token.client_id = Empty)
}
