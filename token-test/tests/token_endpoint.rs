//! The token endpoint over real HTTP: who gets a token, what it is, and what the others hear (RFC 6749).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use token_test::{Endpoint, ManualClock, TestIssuer};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");
const ID: (&str, &str) = ("client_id", "test-client");
const SECRET: (&str, &str) = ("client_secret", "test-secret");

fn ask(issuer: &TestIssuer, form: &[(&str, &str)]) -> RequestBuilder {
    Client::new().post(issuer.token_endpoint()).form(form)
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["content-type"], "application/json");
    let challenged = response.headers().contains_key("www-authenticate");
    assert_eq!(challenged, response.status() == 401, "RFC 6749 section 5.2");
    (response.status().as_u16(), response.json().await.unwrap())
}

fn claims(answer: &Value) -> Value {
    let token = answer["access_token"].as_str().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn client_credentials_yield_an_access_token() {
    let issuer = TestIssuer::builder().clock(ManualClock::default()).start().await;
    let basic = ask(&issuer, &[GRANT, ("scope", "read write")]).basic_auth("test-client", Some("test-secret"));
    let post = ask(&issuer, &[GRANT, ID, SECRET, ("scope", "read write")]);
    for request in [basic, post] {
        let (status, body) = answer(request).await;
        assert_eq!(status, 200);
        assert_eq!(
            (&body["token_type"], &body["expires_in"], &body["scope"]),
            (&json!("Bearer"), &json!(3600), &json!("read write"))
        );
        let mut claims = claims(&body);
        assert!(claims.as_object_mut().unwrap().remove("jti").unwrap().is_string());
        assert_eq!(
            claims,
            json!({
                "iss": issuer.url(), "aud": "https://api.example.com", "sub": "test-client", "client_id": "test-client",
                "iat": 1_800_000_000, "exp": 1_800_003_600, "scope": "read write",
            })
        );
    }
    assert_eq!(issuer.hits(Endpoint::Token), 2);
}

#[tokio::test]
async fn the_request_names_the_audience() {
    let issuer = TestIssuer::start().await;
    let cases: [(&[(&str, &str)], Value); 3] = [
        (&[("audience", "https://b.example")], json!("https://b.example")),
        (&[("resource", "https://b.example")], json!("https://b.example")),
        (&[("audience", "a"), ("resource", "urn:b"), ("resource", "urn:c")], json!(["a", "urn:b", "urn:c"])),
    ];
    for (asked, audience) in cases {
        let form = [&[GRANT, ID, SECRET], asked].concat();
        assert_eq!(claims(&answer(ask(&issuer, &form)).await.1)["aud"], audience);
    }
}

#[tokio::test]
async fn a_narrowed_client_gets_its_scopes_and_no_others() {
    let issuer = TestIssuer::start().await;
    // Every character that form encoding and Basic treat specially.
    issuer.client("re porter:1", "s%e+c&r=et ü").scopes("read list");
    let ask = |form: &[(&str, &str)]| {
        let id = "re+porter%3A1";
        ask(&issuer, form).basic_auth(id, Some("s%25e%2Bc%26r%3Det+%C3%BC"))
    };
    assert_eq!(answer(ask(&[GRANT, ("scope", "list")])).await.1["scope"], "list");
    assert_eq!(answer(ask(&[GRANT])).await.1["scope"], "read list", "all of them when it names none");
    let (status, body) = answer(ask(&[GRANT, ("scope", "list write")])).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_scope")));
}

#[tokio::test]
async fn refusals_are_those_of_the_specification() {
    let issuer = TestIssuer::start().await;
    let good = [GRANT, ID, SECRET];
    let cases = [
        ("wrong secret", vec![GRANT, ID, ("client_secret", "guess")], 401, "invalid_client"),
        ("unknown client", vec![GRANT, ("client_id", "nobody"), SECRET], 401, "invalid_client"),
        ("no credentials", vec![GRANT], 401, "invalid_client"),
        ("no secret", vec![GRANT, ID], 401, "invalid_client"),
        ("no grant", vec![ID, SECRET], 400, "invalid_request"),
        ("an empty grant", vec![("grant_type", ""), ID, SECRET], 400, "invalid_request"),
        ("another grant", vec![("grant_type", "password"), ID, SECRET], 400, "unsupported_grant_type"),
        ("a parameter twice", [&good[..], &[GRANT]].concat(), 400, "invalid_request"),
        ("a malformed scope", [&good[..], &[("scope", "a  \"b\"")]].concat(), 400, "invalid_scope"),
    ];
    for (what, form, status, error) in cases {
        let (seen, body) = answer(ask(&issuer, &form)).await;
        assert_eq!((seen, body["error"].as_str()), (status, Some(error)), "{what}");
        assert_eq!(body.get("access_token"), None);
    }
}

#[tokio::test]
async fn refuses_two_ways_to_authenticate_and_broken_ones() {
    let issuer = TestIssuer::start().await;
    let both = ask(&issuer, &[GRANT, ID, SECRET]).basic_auth("test-client", Some("test-secret"));
    assert_eq!(answer(both).await.1["error"], "invalid_request");
    for header in ["Basic", "Basic %%%", "Basic bm9jb2xvbg==", "Bearer dGVzdC1jbGllbnQ6dGVzdC1zZWNyZXQ="] {
        let (status, body) = answer(ask(&issuer, &[GRANT]).header("authorization", header)).await;
        assert_eq!((status, body["error"].as_str()), (401, Some("invalid_client")), "{header}");
    }
}

#[tokio::test]
async fn reads_json_as_auth0_does() {
    let issuer = TestIssuer::start().await;
    let body =
        json!({ "grant_type": "client_credentials", "client_id": "test-client", "client_secret": "test-secret" });
    let (status, body) = answer(Client::new().post(issuer.token_endpoint()).json(&body)).await;
    assert_eq!((status, body["token_type"].as_str()), (200, Some("Bearer")));
    for text in ["[]", "1", "{", ""] {
        let request = Client::new().post(issuer.token_endpoint()).header("content-type", "application/json");
        assert_eq!(answer(request.body(text)).await.1["error"], "invalid_request", "{text}");
    }
}

#[tokio::test]
async fn reads_forms_and_takes_posts_only() {
    let issuer = TestIssuer::start().await;
    let request = Client::new().post(issuer.token_endpoint()).header("content-type", "text/plain");
    assert_eq!(answer(request.body("grant_type=client_credentials")).await.1["error"], "invalid_request");
    assert_eq!(Client::new().get(issuer.token_endpoint()).send().await.unwrap().status(), 405);
}
