//! How often the hot paths ask the allocator for memory, counted. One allocation more fails a test; so does one fewer, so that a gain is kept.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "this file is tests and nothing else")]

use std::convert::Infallible;
use std::future::Ready;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use http::{Request, Response};
use token_core::jose::signing::SigningKey;
use token_core::{
    Algorithm, Issuer, Presented, ResourceServer, StaticKeys, Verified, adapter::RequestView,
    stores::TokenCacheSettings,
};
use tower::{Layer, Service, service_fn};
use tower_token::TokenLayer;

const SECRET: [u8; 32] = [7; 32];
const CLAIMS: &str = r#"{"iss":"https://login.example.com/","sub":"auth0|65f1c0ffee","aud":["https://api.example.com","https://login.example.com/userinfo"],"iat":1700000000,"exp":4102444800,"azp":"mZ8qTj0rYVb4","scope":"openid profile email read:orders write:orders read:users","permissions":["read:orders","write:orders","read:users","read:items","write:items","admin:none"]}"#;

fn server(cache: TokenCacheSettings) -> ResourceServer {
    let keys = StaticKeys::secret(Algorithm::HS256, &SECRET).unwrap();
    let issuer = Issuer::with_keys("https://login.example.com/", keys).unwrap();
    ResourceServer::builder("https://api.example.com").trust(issuer).token_cache(cache).build().unwrap()
}

fn token() -> String {
    let key = SigningKey::from_secret(Algorithm::HS256, None, &SECRET).unwrap();
    key.sign_jwt(r#"{"alg":"HS256","typ":"at+jwt"}"#, CLAIMS).unwrap()
}

struct Asking(String);

impl RequestView for Asking {
    fn method(&self) -> &str {
        "GET"
    }
    fn path_and_query(&self) -> &str {
        "/"
    }
    fn header<'a>(&'a self, _: &str, each: &mut dyn FnMut(&'a [u8])) {
        each(self.0.as_bytes());
    }
}

fn ask(server: &ResourceServer, request: &Asking) -> Verified {
    server.authenticate(Presented::request(request)).now().unwrap().unwrap()
}

/// Allocations of one run, once everything that happens only once has happened.
fn allocations(mut run: impl FnMut()) -> u64 {
    (0..3).for_each(|_| run());
    measure(run).count_total
}

#[test]
fn a_cold_verification_allocates_as_often_as_it_did() {
    let (server, request) = (server(TokenCacheSettings::default().entries(0)), Asking(format!("Bearer {}", token())));
    let count = allocations(|| drop(ask(&server, &request)));
    assert_eq!(count, 2);
}

#[test]
fn a_token_that_is_remembered_costs_no_allocation() {
    let (server, request) = (server(TokenCacheSettings::default()), Asking(format!("Bearer {}", token())));
    assert_eq!(allocations(|| drop(ask(&server, &request))), 0);
}

#[test]
fn the_users_own_claims_are_not_parsed_again() {
    let (server, request) = (server(TokenCacheSettings::default()), Asking(format!("Bearer {}", token())));
    assert_eq!(allocations(|| drop(ask(&server, &request).claims::<serde_json::Value>().unwrap())), 0);
}

#[test]
fn the_whole_layer_allocates_three_times_for_the_extension_and_no_more() {
    let layer = TokenLayer::new(server(TokenCacheSettings::default()));
    let mut service = layer.layer(service_fn(hello));
    let field = format!("Bearer {}", token());
    let mut requests: Vec<_> =
        (0..4).map(|_| Request::builder().header("authorization", &field).body(()).unwrap()).collect();
    let count = allocations(|| {
        let request = requests.pop().unwrap();
        let response = pin!(service.call(request)).poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(response, Poll::Ready(Ok(response)) if response.status() == 200));
    });
    assert_eq!(count, 3);
}

fn hello(request: Request<()>) -> Ready<Result<Response<()>, Infallible>> {
    drop(request);
    std::future::ready(Ok(Response::new(())))
}
