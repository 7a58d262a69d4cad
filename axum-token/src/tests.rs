//! Requests through a router with the layer, extractors and guards: what each combination answers.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, header};
use axum::routing::{MethodRouter, get};
use token_core::jose::signing::SigningKey;
use tower::ServiceExt;

use crate::{
    Algorithm, Authenticated, Claims, Error, Issuer, Rejection, ResourceServer, Scoped, StaticKeys, TokenLayer,
    require, scopes,
};

const SECRET: [u8; 32] = [7; 32];

scopes! {
    ReadUsers = "read:users",
    Editor = any("admin", all("read", "write")),
}

#[derive(serde::Deserialize)]
struct User {
    sub: String,
}

#[derive(serde::Deserialize)]
struct Employee {
    #[allow(dead_code)]
    number: u64,
}

fn layer() -> TokenLayer {
    let issuer = Issuer::with_keys("https://issuer.example", StaticKeys::secret(Algorithm::HS256, &SECRET).unwrap());
    TokenLayer::new(ResourceServer::builder("https://api.example").trust(issuer.unwrap()).build().unwrap())
}

fn token(scope: &str) -> String {
    let claims = format!(
        r#"{{"iss":"https://issuer.example","aud":"https://api.example","sub":"ada","exp":4102444800,"scope":"{scope}"}}"#
    );
    let key = SigningKey::from_secret(Algorithm::HS256, None, &SECRET).unwrap();
    key.sign_jwt(r#"{"alg":"HS256"}"#, &claims).unwrap()
}

async fn ask(app: Router, token: Option<&str>) -> Response<Body> {
    let mut request = Request::get("/");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(to_bytes(response.into_body(), 10_000).await.unwrap().to_vec()).unwrap()
}

fn challenge(response: &Response<Body>) -> Option<&str> {
    response.headers().get(header::WWW_AUTHENTICATE).map(|value| value.to_str().unwrap())
}

/// One handler for each extractor, by its name.
fn handlers() -> Vec<(&'static str, MethodRouter)> {
    async fn by_hand(Authenticated(token): Authenticated) -> Result<String, Rejection> {
        token.require(&"read:users".into())?;
        Ok(token.claims::<User>()?.sub.clone())
    }
    async fn optional(caller: Option<Authenticated>) -> String {
        caller.map_or("nobody".into(), |Authenticated(token)| token.subject().unwrap().into())
    }
    async fn optional_claims(caller: Option<Claims<User>>) -> String {
        caller.map_or("nobody".into(), |Claims(user)| user.sub.clone())
    }
    vec![
        ("authenticated", get(async |Authenticated(token): Authenticated| token.subject().unwrap().to_owned())),
        ("optional", get(optional)),
        ("claims", get(async |Claims(user): Claims<User>| user.sub.clone())),
        ("optional claims", get(optional_claims)),
        ("scoped", get(async |caller: Scoped<ReadUsers>| caller.subject().unwrap().to_owned())),
        ("editor", get(async |_: Scoped<Editor>| "ada")),
        ("employee", get(async |_: Claims<Employee>| "ada")),
        ("by hand", get(by_hand)),
        ("guarded", get(async || "ada").layer(require("read:users"))),
    ]
}

#[tokio::test]
async fn each_extractor_answers_what_its_callers_deserve() {
    // anonymous where that is allowed, a token without scopes, a reader
    let table = [
        ("authenticated", 401, 200, 200),
        ("optional", 200, 200, 200),
        ("claims", 401, 200, 200),
        ("optional claims", 200, 200, 200),
        ("scoped", 401, 403, 200),
        ("editor", 401, 403, 403),
        ("employee", 401, 401, 401),
        ("by hand", 401, 403, 200),
        ("guarded", 401, 403, 200),
    ];
    for ((name, handler), (row, anonymous, plain, reader)) in handlers().into_iter().zip(table) {
        assert_eq!(name, row);
        let app = Router::new().route("/", handler).layer(layer().allow_anonymous());
        for (token, status, who) in
            [(None, anonymous, "nobody"), (Some(token("")), plain, "ada"), (Some(token("read:users")), reader, "ada")]
        {
            let response = ask(app.clone(), token.as_deref()).await;
            assert_eq!(response.status(), status, "{name}, {who}");
            assert_eq!(challenge(&response).is_some(), status != 200, "{name}, {who}");
            if status == 200 {
                assert_eq!(text(response).await, who, "{name}");
            } else {
                let body: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
                assert_eq!(body["status"], status, "{name}, {who}");
            }
        }
        assert_eq!(ask(app, Some("junk")).await.status(), 401, "{name}");
    }
}

#[tokio::test]
async fn the_challenge_names_what_would_satisfy_the_rule() {
    for (handler, scope) in [
        (get(async |_: Scoped<ReadUsers>| ""), "read:users"),
        (get(async |_: Scoped<Editor>| ""), "admin"),
        (get(async || "").layer(require("a")), "a"),
    ] {
        let response = ask(Router::new().route("/", handler).layer(layer()), Some(&token("b"))).await;
        let expected = format!(
            r#"Bearer error="insufficient_scope", error_description="the access token lacks a scope that is needed here", scope="{scope}""#
        );
        assert_eq!(challenge(&response), Some(&*expected));
    }
}

#[tokio::test]
async fn without_the_layer_nobody_gets_in_and_nobody_is_anonymous() {
    for (name, handler) in handlers() {
        let app = Router::new().layer(layer().allow_anonymous()).route("/", handler);
        for token in [None, Some(token("read:users"))] {
            let response = ask(app.clone(), token.as_deref()).await;
            assert_eq!((response.status().as_u16(), challenge(&response)), (500, None), "{name}");
            let error = response.extensions().get::<Error>().unwrap();
            assert!(error.detail().contains("TokenLayer"), "{name}: {error}");
        }
    }
}

#[tokio::test]
async fn the_operators_body_is_written_for_extractors_and_handlers_too() {
    let layer = layer().rejection(|error| ("text/plain", error.kind().name()));
    for (name, handler) in handlers().into_iter().filter(|(name, _)| !name.contains("optional")) {
        let response = ask(Router::new().route("/", handler).layer(layer.clone()), None).await;
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/plain", "{name}");
        assert_eq!(response.headers()[header::CONTENT_LENGTH], "13", "{name}");
        assert_eq!(text(response).await, "missing_token", "{name}");
    }
    let app = Router::new().route("/", get(async |_: Scoped<ReadUsers>| "")).layer(layer);
    let response = ask(app, Some(&token("other"))).await;
    assert_eq!(response.headers()[header::CONTENT_LENGTH], "18");
    assert_eq!(text(response).await, "insufficient_scope");
}

#[tokio::test]
async fn a_path_that_does_not_exist_is_a_404_under_route_layer_and_under_guards() {
    let routes = Router::new().route("/elsewhere", get(async || ""));
    let app = routes.route_layer(require("read:users")).route_layer(layer());
    assert_eq!(ask(app, None).await.status(), 404);
}

#[test]
fn debug_shows_no_claim() {
    let claims = Claims(std::sync::Arc::new(User { sub: "canary".into() }));
    assert!(!format!("{claims:?} {:?}", claims.clone()).contains("canary"));
    assert_eq!(claims.0.sub, "canary");
}
