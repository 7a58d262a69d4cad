//! Tokens that are bound to a key, at a token endpoint and at a resource that verify every proof by themselves (RFC 9449).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod sending;
mod server;

use std::sync::Arc;

use server::{Rules, Server};
use token_client::{
    ClientAuthentication, DpopKey, Fault, MemoryStore, RefreshSource, TokenClient, TokenClientBuilder,
    TokenErrorKind as Kind, TokenRequest, TokenSource,
};
use token_core::Algorithm;
use token_core::http::ReqwestClient;
use token_core::jose::signing::SigningKey;

fn http() -> ReqwestClient {
    ReqwestClient::builder().allow_loopback_http().build().unwrap()
}

fn key() -> DpopKey {
    DpopKey::generate(Algorithm::ES256).unwrap()
}

fn builder(server: &Server) -> TokenClientBuilder {
    TokenClient::builder(server.token_endpoint(), "orders").secret("canary secret").http(http())
}

fn client(server: &Server) -> TokenClient {
    builder(server).dpop(key()).build().unwrap()
}

fn machine() -> TokenRequest {
    TokenRequest::client_credentials()
}

#[tokio::test]
async fn a_token_is_bound_to_the_key_of_the_client_with_either_algorithm() {
    for algorithm in [Algorithm::ES256, Algorithm::EdDSA] {
        let server = Server::start(Rules::default());
        let key = DpopKey::generate(algorithm).unwrap();
        let client = builder(&server).dpop(key.clone()).build().unwrap();
        assert_eq!(client.dpop_key().unwrap().thumbprint(), key.thumbprint());
        let response = client.obtain(&machine()).await.unwrap();
        assert!(response.dpop_bound, "{algorithm}");
        let token = client.token(response).unwrap();
        assert!(token.is_dpop_bound() && token.header().to_str().unwrap().starts_with("DPoP "), "{algorithm}");
        assert_eq!(server.log(), ["POST /token Basic - 200"], "{algorithm}");
    }
}

#[tokio::test]
async fn the_nonce_of_the_token_endpoint_is_asked_for_once_and_then_remembered() {
    let server = Server::start(Rules { nonce: [Some("n1"), None], ..Rules::default() });
    let client = client(&server);
    client.obtain(&machine()).await.unwrap();
    assert_eq!(server.log(), ["POST /token Basic - 400", "POST /token Basic n1 200"]);
    server.rules(|rules| rules.next = Some("n2"));
    client.obtain(&machine()).await.unwrap();
    client.obtain(&machine()).await.unwrap();
    assert_eq!(server.log(), ["POST /token Basic n1 200", "POST /token Basic n2 200"], "a success renews it");
    server.rules(|rules| (rules.next, rules.nonce) = (None, [Some("n3"), None]));
    client.obtain(&machine()).await.unwrap();
    assert_eq!(server.log(), ["POST /token Basic n2 400", "POST /token Basic n3 200"], "and so does a refusal");
}

#[tokio::test]
async fn a_client_assertion_is_not_used_twice_when_a_nonce_is_asked_for() {
    let server = Server::start(Rules { nonce: [Some("n1"), None], ..Rules::default() });
    let signer = Arc::new(SigningKey::generate(Algorithm::ES256, Some("k")).unwrap());
    let authentication = ClientAuthentication::PrivateKeyJwt { key: signer, audience: None };
    let client = builder(&server).authentication(authentication).dpop(key()).build().unwrap();
    client.obtain(&machine()).await.unwrap();
    assert_eq!(server.log().len(), 2);
}

#[tokio::test]
async fn every_bad_answer_of_a_token_endpoint_is_typed_and_none_is_asked_for_for_ever() {
    const DEMANDING: Rules = Rules {
        nonce: [Some("n1"), None],
        given: None,
        next: None,
        never_content: false,
        token_type: Some("DPoP"),
        token_error: None,
        challenge: None,
        revoked: &[],
    };
    for (rules, kind, requests, why) in [
        (Rules { given: Some(&[]), ..DEMANDING }, Kind::UseDpopNonce, 1, "no nonce"),
        (Rules { given: Some(&["n1", "n2"]), ..DEMANDING }, Kind::UseDpopNonce, 1, "two nonces"),
        (Rules { given: Some(&["n\"1"]), ..DEMANDING }, Kind::UseDpopNonce, 1, "no nonce at all"),
        (Rules { given: Some(&["n2"]), ..DEMANDING }, Kind::UseDpopNonce, 2, "a nonce that it does not take"),
        (Rules { never_content: true, ..DEMANDING }, Kind::UseDpopNonce, 2, "another nonce each time"),
        (Rules { token_error: Some("use_dpop_nonce"), ..DEMANDING }, Kind::UseDpopNonce, 1, "without a reason"),
        (Rules { token_error: Some("invalid_dpop_proof"), ..DEMANDING }, Kind::InvalidDpopProof, 1, "the proof"),
        (Rules { nonce: [None; 2], token_type: Some("Bearer"), ..DEMANDING }, Kind::WrongTokenType, 1, "not bound"),
        (Rules { nonce: [None; 2], token_type: Some("bearer"), ..DEMANDING }, Kind::WrongTokenType, 1, "not bound"),
        (Rules { nonce: [None; 2], token_type: Some("mac"), ..DEMANDING }, Kind::WrongTokenType, 1, "something else"),
        (Rules { nonce: [None; 2], token_type: None, ..DEMANDING }, Kind::Malformed, 1, "no type"),
    ] {
        let server = Server::start(rules);
        let client = client(&server);
        let error = client.source(machine()).token().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{why}: {error}");
        assert_eq!(server.log().len(), requests, "{why}");
        let printed = format!("{error} {error:?} {client:?}");
        assert!(!printed.contains("canary") && !printed.contains("at-"), "{why}: {printed}");
    }
}

#[tokio::test]
async fn a_bearer_token_from_a_server_that_was_asked_for_a_bound_one_is_taken_only_where_that_is_allowed() {
    let server = Server::start(Rules { token_type: Some("Bearer"), ..Rules::default() });
    let error = client(&server).obtain(&machine()).await.unwrap_err();
    assert_eq!((error.kind(), error.fault()), (Kind::WrongTokenType, Fault::Ours));
    assert!(error.detail().contains("dpop_or_bearer"), "{error}");
    let lenient = builder(&server).dpop_or_bearer(key()).build().unwrap();
    let token = lenient.source(machine()).token().await.unwrap();
    assert!(!token.is_dpop_bound() && token.header().to_str().unwrap().starts_with("Bearer "));
    server.rules(|rules| rules.token_type = Some("dPoP"));
    assert!(lenient.obtain(&machine()).await.unwrap().dpop_bound, "one that binds is taken at its word");
}

#[tokio::test]
async fn a_bound_token_for_a_client_without_a_key_is_an_error_that_says_so() {
    let server = Server::start(Rules::default());
    let error = builder(&server).build().unwrap().obtain(&machine()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidDpopProof);
    let elsewhere = client(&server).obtain(&machine()).await.unwrap();
    let error = builder(&server).build().unwrap().token(elsewhere).unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
}

#[tokio::test]
async fn each_source_can_have_a_key_of_its_own() {
    let server = Server::start(Rules::default());
    let client = builder(&server).build().unwrap();
    let (one, two) = (client.with_dpop(key()), client.with_dpop(key()));
    assert_ne!(one.dpop_key().unwrap().thumbprint(), two.dpop_key().unwrap().thumbprint());
    let (first, second) = (one.source(machine()).token().await.unwrap(), two.source(machine()).token().await.unwrap());
    assert!(first != second && first.is_dpop_bound() && second.is_dpop_bound());
}

#[tokio::test]
async fn the_refresh_token_of_a_public_client_goes_with_its_key_and_is_never_sent_with_another() {
    let server = Server::start(Rules::default());
    let store = Arc::new(MemoryStore::new());
    let public =
        || TokenClient::builder(server.token_endpoint(), "app").authentication(ClientAuthentication::None).http(http());
    let source = |client: TokenClient| RefreshSource::builder(client, Arc::clone(&store) as _, "ada").build();
    let ours = key();
    let client = public().dpop(ours.clone()).build().unwrap();
    let one = source(client.clone());
    one.sign_in(&client.obtain(&machine()).await.unwrap()).await.unwrap();
    let token = one.token().await.unwrap();
    assert!(token.is_dpop_bound());
    server.log();

    let replica = source(public().dpop(ours).build().unwrap());
    assert_eq!(replica.token().await.unwrap(), token, "from the record, by the same key");
    assert!(replica.token().await.unwrap().is_dpop_bound());
    for other in [public().dpop(key()).build().unwrap(), public().build().unwrap()] {
        let error = source(other).token().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured, "{error}");
    }
    assert_eq!(server.log(), [] as [&str; 0], "nothing was sent, so nothing was spent");
    assert!(one.token().await.is_ok());
}

#[tokio::test]
async fn the_refresh_token_of_a_confidential_client_is_not_bound_to_the_key() {
    let server = Server::start(Rules::default());
    let store = Arc::new(MemoryStore::new());
    let source = |client: TokenClient| RefreshSource::builder(client, Arc::clone(&store) as _, "ada").build();
    let first = client(&server);
    source(first.clone()).sign_in(&first.obtain(&machine()).await.unwrap()).await.unwrap();
    let (one, two) = (source(first).token().await.unwrap(), source(client(&server)).token().await.unwrap());
    assert!(one != two && one.is_dpop_bound() && two.is_dpop_bound(), "each with a token of its own key");
}
