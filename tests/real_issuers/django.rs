//! Against `django-oauth-toolkit`: an issuer with a path, in another language, with key sets that carry caching headers.

use serde_json::Value;
use token_core::{Issuer, ResourceServer};
use token_tests::evidence::note;

use super::login::{CALLBACK, authorize};
use super::process::{Server, text};
use super::served::{Api, Framework};

pub(super) fn shown(framework: Framework, capability: &str) {
    note(
        "issuers",
        &format!("django {} {capability}", framework.name()),
        &["django-oauth-toolkit 3.4", framework.name(), capability],
    );
}

/// What a scripted login of Ada's brings.
pub(super) async fn log_in(server: &Server, client: &str) -> Value {
    let query = [
        ("client_id", client),
        ("response_type", "code"),
        ("scope", "openid read:users"),
        ("redirect_uri", CALLBACK),
        ("nonce", "n-0S6_WzA2Mj"),
        ("state", "af0ifjsldkj"),
    ];
    let next = reqwest::Url::parse_with_params("http://loopback/o/authorize/", query).unwrap();
    let next = format!("{}?{}", next.path(), next.query().unwrap());
    let start = reqwest::Url::parse_with_params("http://loopback/test/login/", [("next", next)]).unwrap();
    let back = authorize(server, &format!("{}?{}", start.path(), start.query().unwrap())).await;
    let form = [("grant_type", "authorization_code"), ("code", back["code"].as_str()), ("redirect_uri", CALLBACK)];
    server.post("/token/", client, &form).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finds_the_keys_of_an_issuer_with_a_path_and_refuses_its_id_tokens() {
    let server = Server::django();
    let login = log_in(&server, "app").await;
    for framework in Framework::ALL {
        let issuer = Issuer::discover(&server.url).unwrap().allow_loopback_http();
        // The client itself as the audience: even then, an ID token is no access token.
        let gate = ResourceServer::builder("app").trust(issuer).build().unwrap();
        gate.ready().await.expect("discovery and keys");
        assert!(gate.health().iter().all(|(_, state)| state.keys == 1), "{:?}", gate.health());
        let api = Api::serve(framework, gate).await;
        let answer = api.get("/me", &text(&login, "id_token")).await;
        assert_eq!(answer.status, 401, "{framework:?}: {answer:?}");
        shown(framework, "discovery under a path, keys with caching headers");
        shown(framework, "scripted login: ID token refused as access token");
    }
}
