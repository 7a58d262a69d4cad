//! Requests with bound tokens through both senders: which proof goes with which attempt, and how many attempts there are.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use token_client::{
    BearerLayer, BoxError, FixedSource, Origins, Token, TokenClient, TokenErrorKind as Kind, TokenSource,
};
use token_core::http::{HttpClient, Limits};
use tower::{Layer, Service, ServiceExt};

use super::server::{Rules, Server};
use super::{builder, client, http, key, machine};

/// The HTTP client of token-core as a tower service.
#[derive(Clone)]
struct Transport;

type Answer = http::Response<Bytes>;

impl<B> Service<Request<B>> for Transport
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: std::fmt::Debug,
{
    type Response = Answer;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
            Ok(http().send(Request::from_parts(parts, body), Limits::default()).await?)
        })
    }
}

/// One request by the tower layer, with stale credentials of the caller's own in it.
async fn by_tower(source: impl TokenSource, server: &Server) -> u16 {
    let layer = BearerLayer::new(source, Origins::of([server.url.as_str()]).unwrap());
    let request = Request::put(format!("{}/orders?page=2", server.url))
        .header("dpop", "stale")
        .header("authorization", "Basic stale")
        .body(Full::new(Bytes::from_static(b"body")))
        .unwrap();
    let answer = layer.layer(Transport).oneshot(request).await.unwrap();
    if answer.status() == 200 {
        assert_eq!(answer.body(), &r#"{"seen":"body"}"#);
    }
    answer.status().as_u16()
}

/// The same by the client of reqwest-middleware.
#[cfg(feature = "reqwest-middleware")]
async fn by_reqwest(source: impl TokenSource, server: &Server) -> u16 {
    let origins = Origins::of([server.url.as_str()]).unwrap();
    let client = token_client::BearerClient::new(source, origins).client(reqwest::Client::builder()).unwrap().build();
    let request = client.put(format!("{}/orders?page=2", server.url)).header("dpop", "stale").body("body");
    request.send().await.unwrap().status().as_u16()
}

/// One request by each sender there is; the server, made anew for each, has to have seen this.
async fn each(rules: &Rules, before: impl AsyncFn(&TokenClient, &Server), status: u16, expected: &[&str]) {
    let server = Server::start(rules.clone());
    let client = client(&server);
    before(&client, &server).await;
    assert_eq!(by_tower(client.source(machine()), &server).await, status, "tower {rules:?}");
    assert_eq!(server.log(), expected, "tower {rules:?}");
    #[cfg(feature = "reqwest-middleware")]
    {
        let server = Server::start(rules.clone());
        let client = super::client(&server);
        before(&client, &server).await;
        assert_eq!(by_reqwest(client.source(machine()), &server).await, status, "reqwest {rules:?}");
        assert_eq!(server.log(), expected, "reqwest {rules:?}");
    }
}

async fn nothing(_: &TokenClient, _: &Server) {}

const GOT: &str = "POST /token Basic - 200";

#[tokio::test]
async fn a_request_carries_token_and_proof_without_a_line_from_the_user() {
    each(&Rules::default(), nothing, 200, &[GOT, "PUT /orders DPoP - 200"]).await;
}

#[tokio::test]
async fn the_nonce_of_a_resource_is_met_with_one_more_attempt() {
    let rules = Rules { nonce: [None, Some("n1")], ..Rules::default() };
    each(&rules, nothing, 200, &[GOT, "PUT /orders DPoP - 401", "PUT /orders DPoP n1 200"]).await;
}

#[tokio::test]
async fn every_refusal_of_a_resource_ends_after_a_bounded_number_of_attempts() {
    let nonce = Rules { nonce: [None, Some("n1")], ..Rules::default() };
    let challenge = |text| Rules { challenge: Some(text), ..Rules::default() };
    for (rules, attempts) in [
        (Rules { given: Some(&[]), ..nonce.clone() }, &["PUT /orders DPoP - 401"][..]),
        (Rules { given: Some(&["n1", "n2"]), ..nonce.clone() }, &["PUT /orders DPoP - 401"]),
        (Rules { given: Some(&["n\\1"]), ..nonce.clone() }, &["PUT /orders DPoP - 401"]),
        (Rules { given: Some(&["n2"]), ..nonce.clone() }, &["PUT /orders DPoP - 401", "PUT /orders DPoP n2 401"]),
        (challenge("error=\"use_dpop_nonce\""), &["PUT /orders DPoP - 401"]),
        (challenge("error=\"invalid_dpop_proof\""), &["PUT /orders DPoP - 401"]),
        // A token that was issued a moment ago is not renewed for a receiver that refuses everything.
        (challenge("error=\"invalid_token\""), &["PUT /orders DPoP - 401"]),
    ] {
        each(&rules, nothing, 401, &[&[GOT][..], attempts].concat()).await;
    }
    let server = Server::start(Rules::default());
    let source = client(&server).source(machine());
    source.token().await.unwrap();
    server.log();
    server.rules(|rules| rules.never_content = true);
    assert_eq!(by_tower(source, &server).await, 401);
    assert_eq!(server.log().len(), 2, "another nonce each time");
}

/// Two tokens of one key: the first, and after a renewal the second.
#[derive(Debug)]
struct Two(Token, Token);

impl TokenSource for Two {
    fn token(&self) -> token_client::Acquire<'_> {
        token_client::Acquire::ready(Ok(self.0.clone()))
    }

    fn renew(&self, _: &Token) -> token_client::Acquire<'_> {
        token_client::Acquire::ready(Ok(self.1.clone()))
    }
}

#[tokio::test]
async fn nonce_and_renewal_are_one_attempt_each_in_either_order() {
    let server = Server::start(Rules::default());
    let client = client(&server);
    let two = async || {
        let token = async || client.token(client.obtain(&machine()).await.unwrap()).unwrap();
        Two(token().await, token().await)
    };
    let source = two().await;
    server.rules(|rules| (rules.revoked, rules.nonce) = (&[1], [None, Some("n1")]));
    server.log();
    assert_eq!(by_tower(source, &server).await, 200);
    let expected = ["PUT /orders DPoP - 401", "PUT /orders DPoP - 401", "PUT /orders DPoP n1 200"];
    assert_eq!(server.log(), expected, "the token is refused first, then the proof");

    let source = two().await;
    server.rules(|rules| (rules.revoked, rules.nonce) = (&[1, 3, 4], [None, Some("n2")]));
    server.log();
    assert_eq!(by_tower(source, &server).await, 401);
    assert_eq!(server.log(), ["PUT /orders DPoP n1 401", "PUT /orders DPoP n1 401"], "and never more");
}

#[tokio::test]
async fn nonces_are_kept_apart_by_origin_and_renewed_by_answers_of_any_kind() {
    let one = Server::start(Rules { nonce: [None, Some("n1")], next: Some("n2"), ..Rules::default() });
    let two = Server::start(Rules { challenge: Some("error=\"insufficient_scope\""), ..Rules::default() });
    // One token for two resources: the second one does not know it, and sees no nonce of the first.
    let token = client(&one).source(machine());
    assert_eq!(by_tower(token.clone(), &one).await, 200);
    one.log();
    assert_eq!(by_tower(token.clone(), &one).await, 200);
    assert_eq!(one.log(), ["PUT /orders DPoP n2 200"]);
    assert_eq!(by_tower(token, &two).await, 401);
    assert_eq!(two.log(), ["PUT /orders DPoP - 401"]);
}

#[tokio::test]
async fn a_bearer_token_goes_out_without_a_proof_even_if_the_caller_left_one() {
    let server = Server::start(Rules { token_type: Some("Bearer"), ..Rules::default() });
    let client = builder(&server).dpop_or_bearer(key()).build().unwrap();
    assert_eq!(by_tower(client.source(machine()), &server).await, 200);
    assert_eq!(server.log(), [GOT, "PUT /orders Bearer no-proof 200"]);
}

#[tokio::test]
async fn a_body_that_cannot_be_had_twice_is_sent_once_and_the_nonce_is_there_the_next_time() {
    let server = Server::start(Rules { nonce: [None, Some("n1")], ..Rules::default() });
    let source = client(&server).source(machine());
    let layer = BearerLayer::new(source, Origins::of([server.url.as_str()]).unwrap());
    let send = async || {
        // `UnsyncBoxBody` says nothing of what is in it.
        let body = Full::new(Bytes::from_static(b"body")).boxed_unsync();
        let request = Request::put(format!("{}/orders", server.url)).body(Once(body)).unwrap();
        layer.layer(Transport).oneshot(request).await.unwrap().status().as_u16()
    };
    assert_eq!((send().await, send().await), (401, 200));
    assert_eq!(server.log(), [GOT, "PUT /orders DPoP - 401", "PUT /orders DPoP n1 200"]);
}

/// A body that nobody can copy.
struct Once(http_body_util::combinators::UnsyncBoxBody<Bytes, std::convert::Infallible>);

impl Default for Once {
    fn default() -> Self {
        Self(Full::default().boxed_unsync())
    }
}

impl http_body::Body for Once {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.0).poll_frame(context)
    }
}

#[tokio::test]
async fn a_request_sent_by_hand_can_be_proved_and_learns_the_nonce() {
    let server = Server::start(Rules { nonce: [None, Some("n1")], ..Rules::default() });
    let client = client(&server);
    let token = client.source(machine()).token().await.unwrap();
    server.log();
    let uri: http::Uri = format!("{}/orders", server.url).parse().unwrap();
    for (status, news) in [(401, true), (200, false)] {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = uri.clone();
        request.headers_mut().insert("authorization", token.header());
        request.headers_mut().insert("dpop", token.proof(&Method::GET, &uri).unwrap().unwrap());
        let answer = http().send(request, Limits::default()).await.unwrap();
        assert_eq!((answer.status().as_u16(), token.learn_nonce(&uri, answer.headers())), (status, news));
    }
    let relative = token.proof(&Method::GET, &"/orders".parse().unwrap()).unwrap_err();
    assert_eq!(relative.kind(), Kind::Misconfigured);
    let bearer = Token::bearer("canary", None).unwrap();
    assert!(bearer.proof(&Method::GET, &uri).unwrap().is_none() && !bearer.learn_nonce(&uri, &http::HeaderMap::new()));
}

#[tokio::test]
async fn an_api_that_is_known_by_its_url_alone_gets_bound_tokens_too() {
    let server = Server::start(Rules { nonce: [Some("n1"), Some("n2")], ..Rules::default() });
    let orders = format!("{}/orders", server.url);
    let secret = token_client::ClientAuthentication::Basic("secret".into());
    let api = token_client::ProtectedApi::builder(&orders)
        .registered(&server.url, "orders", secret)
        .dpop(key())
        .http(http())
        .build()
        .unwrap();
    let send = async || {
        let request = Request::post(&orders).header("dpop", "stale").body(Bytes::from_static(b"body")).unwrap();
        api.send(request).await.unwrap().status().as_u16()
    };
    assert_eq!(send().await, 200);
    let first = server.log();
    // One origin, and two servers behind it with nonces of their own: that costs an attempt, and nothing else.
    let expected =
        ["POST /token Basic - 400", "POST /token Basic n1 200", "POST /orders DPoP n1 401", "POST /orders DPoP n2 200"];
    assert_eq!(first[first.len() - 4..], expected);
    assert_eq!(send().await, 200);
    assert_eq!(server.log(), ["POST /orders DPoP n2 200"]);
    server.rules(|rules| rules.challenge = Some("error=\"invalid_dpop_proof\""));
    assert_eq!(send().await, 401);
    assert_eq!(server.log().len(), 1, "another token would help nobody");
}

#[tokio::test]
async fn a_token_from_elsewhere_is_sent_with_its_key() {
    let server = Server::start(Rules::default());
    let ours = key();
    let issued = builder(&server).dpop(ours.clone()).build().unwrap().obtain(&machine()).await.unwrap();
    server.log();
    for (key, status) in [(ours, 200), (key(), 401)] {
        let token = Token::dpop(issued.access_token.clone(), None, &key).unwrap();
        assert_eq!(by_tower(FixedSource::new(token), &server).await, status);
    }
}
