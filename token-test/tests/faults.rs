//! Each fault as a client sees it, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use reqwest::{Client, Response, redirect};
use serde_json::{Value, json};
use token_test::{Endpoint, TestIssuer};

/// A client that shows answers as they are: no redirects followed, nothing decoded.
fn client() -> Client {
    Client::builder().redirect(redirect::Policy::none()).no_gzip().build().unwrap()
}

async fn jwks(issuer: &TestIssuer) -> Result<Response, reqwest::Error> {
    client().get(issuer.jwks_uri()).send().await
}

#[tokio::test]
async fn an_endpoint_that_is_down_closes_the_connection_and_the_others_answer() {
    let issuer = TestIssuer::start().await;
    issuer.faults().at(Endpoint::Jwks).down();
    let error = jwks(&issuer).await.unwrap_err();
    assert!(!error.is_timeout() && !error.is_connect() && error.status().is_none(), "{error:?}");
    assert_eq!(issuer.hits(Endpoint::Jwks), 1, "counted although nothing was answered");
    let document = format!("{}/.well-known/openid-configuration", issuer.url());
    assert_eq!(client().get(document).send().await.unwrap().status(), 200);
    issuer.heal();
    assert_eq!(jwks(&issuer).await.unwrap().status(), 200);
}

#[tokio::test]
async fn without_a_place_a_fault_is_everywhere() {
    let issuer = TestIssuer::start().await;
    issuer.faults().status(500);
    let document = format!("{}/.well-known/oauth-authorization-server", issuer.url());
    let list = issuer.status_list().uri();
    for url in [issuer.jwks_uri(), document, list, format!("{}/api/v2/users/ada", issuer.url())] {
        assert_eq!(client().get(url).send().await.unwrap().status(), 500);
    }
    let posts = [issuer.token_endpoint(), issuer.revocation_endpoint(), format!("{}/delegation", issuer.url())];
    let asked = [issuer.introspection_endpoint(), issuer.userinfo_endpoint(), issuer.tokeninfo_endpoint()];
    let signing_in = [issuer.authorization_endpoint(), issuer.registration_endpoint()];
    for url in posts.into_iter().chain(asked).chain(signing_in) {
        assert_eq!(client().post(url).send().await.unwrap().status(), 500);
    }
    for endpoint in Endpoint::ALL {
        assert_eq!(issuer.hits(*endpoint), 1);
    }
    issuer.faults().at(Endpoint::Jwks).heal();
    assert_eq!(jwks(&issuer).await.unwrap().status(), 200);
    assert_eq!(client().post(issuer.token_endpoint()).send().await.unwrap().status(), 500);
}

#[tokio::test]
async fn bodies_are_replaced() {
    let issuer = TestIssuer::start().await;
    let at_jwks = || issuer.faults().at(Endpoint::Jwks);

    at_jwks().junk();
    let answer = jwks(&issuer).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["content-type"].as_bytes()), (200, &b"text/html"[..]));
    assert!(answer.json::<Value>().await.is_err());

    at_jwks().empty_set();
    assert_eq!(jwks(&issuer).await.unwrap().json::<Value>().await.unwrap(), json!({ "keys": [] }));

    at_jwks().body("[1, 2");
    assert_eq!(jwks(&issuer).await.unwrap().text().await.unwrap(), "[1, 2");

    at_jwks().oversized();
    let answer = jwks(&issuer).await.unwrap();
    assert_eq!(answer.content_length(), None, "no header warns of the size");
    let body = answer.text().await.unwrap();
    assert!(body.len() > 8 * 1024 * 1024);
    assert!(serde_json::from_str::<Value>(&body).is_ok(), "well-formed, only large");
}

#[tokio::test]
async fn gzip_is_sent_unasked_and_decodes_to_the_true_answer() {
    let issuer = TestIssuer::start().await;
    let plain = jwks(&issuer).await.unwrap().text().await.unwrap();
    issuer.faults().at(Endpoint::Jwks).gzip();
    let answer = jwks(&issuer).await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    assert_eq!(answer.bytes().await.unwrap()[..2], [0x1f, 0x8b]);
    assert_eq!(reqwest::get(issuer.jwks_uri()).await.unwrap().text().await.unwrap(), plain);
}

#[tokio::test]
async fn redirects_ask_for_the_same_request_again() {
    let issuer = TestIssuer::start().await;
    issuer.faults().at(Endpoint::Jwks).redirect("https://elsewhere.example/keys");
    let answer = jwks(&issuer).await.unwrap();
    assert_eq!(answer.status(), 307);
    assert_eq!(answer.headers()["location"], "https://elsewhere.example/keys");
}

#[tokio::test]
async fn headers_and_kids_change_beside_any_answer() {
    let issuer = TestIssuer::start().await;
    issuer.faults().at(Endpoint::Jwks).without_kid().cache_control("no-store");
    let answer = jwks(&issuer).await.unwrap();
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let set: Value = answer.json().await.unwrap();
    assert_eq!(set["keys"][0]["kty"], "RSA");
    assert_eq!(set["keys"][0].get("kid"), None);
}

#[tokio::test]
async fn held_requests_wait_until_the_fault_is_healed() {
    let issuer = TestIssuer::start().await;
    issuer.faults().at(Endpoint::Jwks).hold();
    let waiting = tokio::spawn(client().get(issuer.jwks_uri()).send());
    issuer.wait_for_hits(Endpoint::Jwks, 1).await;
    issuer.rotate();
    issuer.heal();
    let set: Value = waiting.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(set["keys"].as_array().unwrap().len(), 2, "the answer was made after the request was let go");
}

#[tokio::test]
async fn a_slow_endpoint_outlasts_a_client_without_patience() {
    let issuer = TestIssuer::start().await;
    issuer.faults().at(Endpoint::Jwks).slow(Duration::from_secs(600));
    let error = client().get(issuer.jwks_uri()).timeout(Duration::from_millis(50)).send().await.unwrap_err();
    assert!(error.is_timeout());
    issuer.faults().at(Endpoint::Jwks).slow(Duration::from_millis(1));
    assert_eq!(jwks(&issuer).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_closed_port_refuses_and_opens_again_with_everything_in_place() {
    let issuer = TestIssuer::start().await;
    let kept_alive = client();
    kept_alive.get(issuer.jwks_uri()).send().await.unwrap().bytes().await.unwrap();
    issuer.rotate();
    issuer.stop_listening().await;
    issuer.stop_listening().await;
    assert!(kept_alive.get(issuer.jwks_uri()).send().await.unwrap_err().is_connect());
    issuer.resume().await.unwrap();
    issuer.resume().await.unwrap();
    let set: Value = kept_alive.get(issuer.jwks_uri()).send().await.unwrap().json().await.unwrap();
    assert_eq!(set["keys"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_server_ends_with_the_issuer() {
    let issuer = TestIssuer::start().await;
    let url = issuer.jwks_uri();
    let kept_alive = client();
    kept_alive.get(&url).send().await.unwrap().bytes().await.unwrap();
    drop(issuer);
    // The runtime drops the task at its own time, and with it the listener.
    while let Ok(answer) = kept_alive.get(&url).send().await {
        answer.bytes().await.unwrap();
    }
}
