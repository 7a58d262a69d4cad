//! The files of this crate as users paste them: a server with each, and requests to it.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test that cannot go on has failed")]

mod documented;
mod graphql;
mod layers;
mod rate_limit;
mod typed_header;

use axum::body::{Body, to_bytes};
use token_core::{Issuer, ResourceServer};
use token_test::TestIssuer;

/// An issuer, and an API that trusts it.
async fn trusted() -> (TestIssuer, ResourceServer) {
    let issuer = TestIssuer::start().await;
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).build().unwrap();
    (issuer, api)
}

async fn text(body: Body) -> String {
    String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap()
}
