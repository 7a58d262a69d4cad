//! Users sign in over real HTTP: clients that register themselves or have a document, the consent page, codes, PKCE, resources.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::{Value, json};
use token_core::jose::encryption::{DecryptionKey, EncryptedTokens, KeyManagement};
use token_core::login::{IdTokenVerifier, Login};
use token_core::{ErrorKind, Issuer};
use token_test::{Endpoint, ManualClock, TestIssuer};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "http://127.0.0.1/callback";
const RESOURCE: &str = "https://mcp.example.com/mcp";

fn http() -> Client {
    Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

async fn register(issuer: &TestIssuer, metadata: Value) -> (StatusCode, Value) {
    let answer = http().post(issuer.registration_endpoint()).json(&metadata).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

/// The identifier of a public client that has registered itself.
async fn public_client(issuer: &TestIssuer) -> String {
    let metadata =
        json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none", "client_name": "Ada's <agent>" });
    let (status, answer) = register(issuer, metadata).await;
    assert_eq!(status, StatusCode::CREATED);
    assert!(answer.get("client_secret").is_none(), "a public client has no secret");
    answer["client_id"].as_str().unwrap().to_owned()
}

fn good(client_id: &str) -> Vec<(&str, &str)> {
    vec![
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", "http://127.0.0.1:51004/callback"),
        ("state", "s1"),
        ("scope", "read write"),
        ("resource", RESOURCE),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]
}

async fn ask(issuer: &TestIssuer, parameters: &[(&str, &str)]) -> Response {
    let url = Url::parse_with_params(&issuer.authorization_endpoint(), parameters).unwrap();
    http().get(url).send().await.unwrap()
}

/// What the client is told by way of the user's browser.
fn told(answer: &Response) -> HashMap<String, String> {
    assert_eq!(answer.status(), StatusCode::FOUND);
    let location = Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
    assert_eq!(location.port(), Some(51004), "{location}");
    location.query_pairs().into_owned().collect()
}

async fn redeem(issuer: &TestIssuer, client_id: &str, code: &str, also: &[(&str, &str)]) -> (StatusCode, Value) {
    let mut form = HashMap::from([
        ("grant_type", "authorization_code"),
        ("client_id", client_id),
        ("code", code),
        ("code_verifier", VERIFIER),
        ("redirect_uri", "http://127.0.0.1:51004/callback"),
        ("resource", RESOURCE),
    ]);
    form.extend(also.iter().copied());
    let answer = http().post(issuer.token_endpoint()).form(&form).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

fn claims(token: &Value) -> Value {
    let part = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn a_client_that_nobody_knew_signs_a_user_in() {
    let issuer = TestIssuer::start().await;
    let client = public_client(&issuer).await;

    let page = ask(&issuer, &good(&client)).await;
    assert_eq!(page.status(), StatusCode::OK);
    let page = page.text().await.unwrap();
    // What the client calls itself is text and nothing else.
    assert!(
        page.contains("Ada&#39;s &lt;agent&gt;") && page.contains(RESOURCE) && page.contains("127.0.0.1"),
        "{page}"
    );
    let ticket = page.split("name=ticket value=\"").nth(1).unwrap().split('"').next().unwrap();

    // The user takes one of the two scopes away.
    let answer = [("ticket", ticket), ("decision", "allow"), ("scope", "read"), ("subject", "ada")];
    let decided = http().post(issuer.authorization_endpoint()).form(&answer).send().await.unwrap();
    let told = told(&decided);
    assert_eq!((told["state"].as_str(), told["iss"].as_str()), ("s1", issuer.url()));
    let again = http().post(issuer.authorization_endpoint()).form(&answer).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::BAD_REQUEST, "a page is answered once");

    let (status, tokens) = redeem(&issuer, &client, &told["code"], &[]).await;
    assert_eq!((status, &tokens["scope"]), (StatusCode::OK, &json!("read")));
    let claims = claims(&tokens["access_token"]);
    assert_eq!(
        (&claims["sub"], &claims["aud"], &claims["client_id"]),
        (&json!("ada"), &json!(RESOURCE), &json!(client))
    );
    assert!(tokens.get("refresh_token").is_none(), "nobody asked for one");
    assert_eq!(issuer.hits(Endpoint::Authorization), 3);
}

#[tokio::test]
async fn a_user_who_says_no_sends_the_client_away() {
    let issuer = TestIssuer::start().await;
    let client = public_client(&issuer).await;
    let page = ask(&issuer, &good(&client)).await.text().await.unwrap();
    let ticket = page.split("name=ticket value=\"").nth(1).unwrap().split('"').next().unwrap();
    let answer = [("ticket", ticket), ("decision", "deny")];
    let told = told(&http().post(issuer.authorization_endpoint()).form(&answer).send().await.unwrap());
    assert_eq!((told["error"].as_str(), told["iss"].as_str()), ("access_denied", issuer.url()));
    assert!(!told.contains_key("code"));
}

#[tokio::test]
async fn a_bad_request_is_told_to_the_client_only_where_the_address_is_its_own() {
    let issuer = TestIssuer::start().await;
    issuer.consent_at_once("ada");
    let client = public_client(&issuer).await;
    // Each row changes one parameter; an empty value takes it away. The error is what the client is told, none: the user is.
    for (name, value, error) in [
        ("client_id", "nobody", None),
        ("client_id", "", None),
        ("redirect_uri", "https://evil.example/cb", None),
        ("redirect_uri", "http://127.0.0.1:51004/callback/x", None),
        ("response_type", "token", Some("unsupported_response_type")),
        ("response_type", "", Some("invalid_request")),
        ("code_challenge", "", Some("invalid_request")),
        ("code_challenge_method", "plain", Some("invalid_request")),
        ("code_challenge_method", "", Some("invalid_request")),
        ("resource", "mcp.example.com", Some("invalid_target")),
        ("resource", "https://mcp.example.com/#x", Some("invalid_target")),
        ("scope", "re\"ad", Some("invalid_scope")),
    ] {
        let mut parameters = good(&client);
        parameters.retain(|(known, _)| *known != name);
        parameters.push((name, value));
        let answer = ask(&issuer, &parameters).await;
        match error {
            None => {
                assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{name}={value}");
                assert!(!answer.headers().contains_key("location"), "{name}={value}");
            }
            Some(error) => {
                let told = told(&answer);
                assert_eq!((told["error"].as_str(), told["state"].as_str()), (error, "s1"), "{name}={value}");
            }
        }
    }
}

#[tokio::test]
async fn a_code_is_good_once_for_a_minute_and_for_whoever_asked_for_it() {
    let clock = ManualClock::default();
    let issuer = TestIssuer::builder().clock(clock.clone()).start().await;
    issuer.consent_at_once("ada");
    let asking = public_client(&issuer).await;
    let other = public_client(&issuer).await;
    let wrong_verifier = VERIFIER.replace('d', "e");
    for (client, also, expected) in [
        (&asking, vec![], Ok(())),
        (&other, vec![], Err("invalid_grant")),
        (&asking, vec![("code_verifier", wrong_verifier.as_str())], Err("invalid_grant")),
        (&asking, vec![("redirect_uri", "http://127.0.0.1:51005/callback")], Err("invalid_grant")),
        (&asking, vec![("resource", "https://other.example.com/")], Err("invalid_target")),
        (&asking, vec![("code", "code-made-up")], Err("invalid_grant")),
    ] {
        let code = told(&ask(&issuer, &good(&asking)).await)["code"].clone();
        let (status, answer) = redeem(&issuer, client, &code, &also).await;
        match expected {
            Ok(()) => {
                assert_eq!(status, StatusCode::OK);
                let (_, again) = redeem(&issuer, client, &code, &[]).await;
                assert_eq!(again["error"], "invalid_grant", "a code that comes twice");
            }
            Err(error) => assert_eq!(answer["error"], error, "{also:?}"),
        }
    }
    let code = told(&ask(&issuer, &good(&asking)).await)["code"].clone();
    clock.advance(Duration::from_secs(61));
    assert_eq!(redeem(&issuer, &asking, &code, &[]).await.1["error"], "invalid_grant", "a minute later");
}

#[tokio::test]
async fn a_code_that_comes_twice_ends_what_it_yielded() {
    let issuer = TestIssuer::start().await;
    issuer.consent_at_once("ada");
    issuer.client("app", "x").redirect_uri(CALLBACK).public().refreshes();
    let code = told(&ask(&issuer, &good("app")).await)["code"].clone();
    let (_, tokens) = redeem(&issuer, "app", &code, &[]).await;
    let refresh = tokens["refresh_token"].as_str().unwrap();
    redeem(&issuer, "app", &code, &[]).await;
    let form = [("grant_type", "refresh_token"), ("client_id", "app"), ("refresh_token", refresh)];
    let answer = http().post(issuer.token_endpoint()).form(&form).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_nobody_can_be_sent_back_to_is_not_registered() {
    let issuer = TestIssuer::start().await;
    for (uri, taken) in [
        ("https://app.example/cb", true),
        ("http://localhost:3000/cb", true),
        ("cursor://anysphere.cursor/cb", true),
        ("http://app.example/cb", false),
        ("https://app.example/cb#x", false),
        ("javascript:alert(1)", false),
        ("/cb", false),
    ] {
        let (status, answer) = register(&issuer, json!({ "redirect_uris": [uri] })).await;
        let expected = if taken { StatusCode::CREATED } else { StatusCode::BAD_REQUEST };
        assert_eq!(status, expected, "{uri} {answer}");
        assert_eq!(answer["error"].as_str(), (!taken).then_some("invalid_redirect_uri"), "{uri}");
    }
    let (_, answer) = register(&issuer, json!({ "grant_types": ["client_credentials"] })).await;
    assert!(answer["client_secret"].is_string() && answer["client_secret_expires_at"] == 0, "{answer}");
    for metadata in [json!({}), json!([]), json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "tls" })]
    {
        assert_eq!(register(&issuer, metadata.clone()).await.0, StatusCode::BAD_REQUEST, "{metadata}");
    }
}

#[tokio::test]
async fn a_client_may_be_known_by_its_document_alone() {
    let issuer = TestIssuer::start().await;
    issuer.consent_at_once("ada");
    for (change, taken) in [
        (json!({}), true),
        (json!({ "client_id": "https://somebody-else.example/client.json" }), false),
        (json!({ "client_secret": "for all to see" }), false),
        (json!({ "token_endpoint_auth_method": "client_secret_post" }), false),
        (json!({ "redirect_uris": ["https://app.example/cb"] }), false),
        (json!({ "client_uri": "x".repeat(6000) }), false),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let id = format!("http://{}/client.json", listener.local_addr().unwrap());
        let mut document = json!({ "client_id": id, "client_name": "An agent", "redirect_uris": [CALLBACK] });
        document.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let routes = axum::Router::new().route("/client.json", axum::routing::get(async move || axum::Json(document)));
        let server = tokio::spawn(async move { axum::serve(listener, routes).await });
        let answer = ask(&issuer, &good(&id)).await;
        if taken {
            let code = told(&answer)["code"].clone();
            assert_eq!(redeem(&issuer, &id, &code, &[]).await.0, StatusCode::OK);
        } else {
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{change}");
        }
        server.abort();
    }
    let gone = ask(&issuer, &good("http://127.0.0.1:9/client.json")).await;
    assert_eq!(gone.status(), StatusCode::BAD_REQUEST, "a document that is not there");
}

#[tokio::test]
async fn a_public_client_gets_nothing_for_itself() {
    let issuer = TestIssuer::start().await;
    issuer.client("app", "x").public();
    let form = [("grant_type", "client_credentials"), ("client_id", "app")];
    let answer = http().post(issuer.token_endpoint()).form(&form).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let with_secret =
        http().post(issuer.token_endpoint()).basic_auth("app", Some("x")).form(&form).send().await.unwrap();
    assert_eq!(with_secret.status(), StatusCode::UNAUTHORIZED, "a secret that it gave up");
}

#[tokio::test]
async fn the_id_tokens_of_a_client_that_has_registered_for_it_are_encrypted() {
    let issuer = TestIssuer::start().await;
    let key = DecryptionKey::generate(KeyManagement::EcdhEs, Some("1")).unwrap();
    let to = key.encryption_key().unwrap();
    issuer.client("web", "unused").public().refreshes().redirect_uri(CALLBACK).encrypted_id_tokens(&to);
    let trusted = || Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let opening = IdTokenVerifier::encrypted("web", trusted(), EncryptedTokens::with([key])).unwrap();
    let shut = IdTokenVerifier::new("web", trusted()).unwrap();

    let mut asked: Vec<_> = good("web").into_iter().filter(|(name, _)| *name != "scope").collect();
    asked.extend([("scope", "openid"), ("nonce", "n1")]);
    let page = ask(&issuer, &asked).await.text().await.unwrap();
    let ticket = page.split("name=ticket value=\"").nth(1).unwrap().split('"').next().unwrap();
    let answer = [("ticket", ticket), ("decision", "allow"), ("scope", "openid"), ("subject", "ada")];
    let decided = http().post(issuer.authorization_endpoint()).form(&answer).send().await.unwrap();
    let (status, tokens) = redeem(&issuer, "web", &told(&decided)["code"], &[]).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", "web"),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
    ];
    let refreshed = http().post(issuer.token_endpoint()).form(&form).send().await.unwrap();
    let refreshed: Value = refreshed.json().await.unwrap();

    for (answer, login) in [(&tokens, Login::with_nonce("n1")), (&refreshed, Login::without_nonce())] {
        let id_token = answer["id_token"].as_str().unwrap();
        assert_eq!(id_token.split('.').count(), 5);
        assert_eq!(answer["access_token"].as_str().unwrap().split('.').count(), 3, "which is the API's");
        assert_eq!(opening.verify(id_token, login.clone()).await.unwrap().subject(), Some("ada"));
        assert_eq!(shut.verify(id_token, login).await.unwrap_err().kind(), ErrorKind::WrongType);
    }
}
