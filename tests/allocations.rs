//! How often the hot paths ask the allocator for memory, counted. One allocation more fails a test; so does one fewer, so that a gain is kept.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "this file is tests and nothing else")]

use std::convert::Infallible;
use std::future::Ready;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use mcp_token::McpLayer;
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

/// Calls of a tool as an MCP client sends them, to a service that answers at once: what is counted is the guard.
fn guarded_call(session: Option<&str>, answer: &'static str) -> u64 {
    const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list","arguments":{"n":7}}}"#;
    let keys = StaticKeys::secret(Algorithm::HS256, &SECRET).unwrap();
    let issuer = Issuer::with_keys("https://login.example.com/", keys).unwrap();
    let api = ResourceServer::resource("https://api.example.com").trust(issuer).build().unwrap();
    let layer = McpLayer::builder(api).scope("openid").tool("list", "read:orders").build().unwrap();
    let mut opened = false;
    let mut service = layer.layer(service_fn(move |request: Request<Full<Bytes>>| {
        let mut response = Response::new(());
        if !std::mem::replace(&mut opened, true)
            && let Some(session) = request.headers().get("x-opens")
        {
            response.headers_mut().insert("mcp-session-id", session.clone());
        }
        response.headers_mut().insert("content-type", http::HeaderValue::from_static(answer));
        std::future::ready(Ok::<_, Infallible>(response))
    }));
    let field = format!("Bearer {}", token());
    let post = |name: &str, value: &str| {
        let request = Request::post("/mcp").header("authorization", &field).header(name, value);
        request.body(Full::<Bytes>::from(CALL)).unwrap()
    };
    let mut call = |request| {
        let response = pin!(service.call(request)).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Ok(response)) = response else { panic!("nothing to wait for") };
        assert_eq!(response.status(), 200);
        response
    };
    let sealed = session.map(|session| call(post("x-opens", session)).headers()["mcp-session-id"].clone());
    let (name, value) = match &sealed {
        Some(sealed) => ("mcp-session-id", sealed.to_str().unwrap()),
        None => ("accept", "application/json"),
    };
    let mut requests: Vec<_> = (0..4).map(|_| post(name, value)).collect();
    allocations(|| drop(call(requests.pop().unwrap())))
}

#[test]
fn the_guard_of_an_mcp_server_allocates_for_sessions_alone() {
    // Three of the layer for its extension, and two for the answer's fields, which the service below adds: none for the look into the message.
    assert_eq!(guarded_call(None, "application/json"), 3 + 2);
    // Nor for the end of a stream.
    assert_eq!(guarded_call(None, "text/event-stream"), 3 + 2);
    // Who a session belongs to is a tag over a message, compared, and then the session's own name in the place of the sealed one.
    assert_eq!(guarded_call(Some("3f2a"), "application/json"), 3 + 2 + 3);
    assert_eq!(guarded_call(Some("3f2a"), "text/event-stream"), 3 + 2 + 3);
}

fn hello(request: Request<()>) -> Ready<Result<Response<()>, Infallible>> {
    drop(request);
    std::future::ready(Ok(Response::new(())))
}
