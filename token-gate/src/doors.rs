//! One request of a proxy in, its answer out: which door it came through is the address that the proxy's configuration names.

mod body;
mod grpc;
mod messages;
mod plain;

use std::net::IpAddr;

use http::{HeaderName, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;

pub(crate) use body::Body;

use crate::decision::InForce;

/// For the client's next proof, beside a refusal and beside the service's answer alike.
const DPOP_NONCE: HeaderName = HeaderName::from_static(token_core::Answer::DPOP_NONCE);

/// Answers one question.
pub(crate) async fn answer(rules: &InForce, peer: Option<IpAddr>, request: Request<Incoming>) -> Response<Body> {
    // A gRPC answer is HTTP 200 whatever it says: it goes to gRPC calls alone.
    let is_call = request.method() == Method::POST
        && request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    match request.uri().path() {
        grpc::CHECK if is_call => grpc::check(rules, peer, request).await,
        grpc::HEALTH if is_call => grpc::health(rules),
        _ => match plain::Door::of(request.uri()) {
            Some(door) => plain::answer(door, rules, peer, &request).await,
            None => nowhere(),
        },
    }
}

/// No door: whatever proxy asks this way takes it for a refusal.
fn nowhere() -> Response<Body> {
    const TEXT: &str =
        "expected /auth-request, /forward-auth, /ext-authz/ or envoy.service.auth.v3.Authorization/Check\n";
    let mut response = Response::new(Body::text(TEXT));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}
