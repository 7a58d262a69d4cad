//! What the OpenAPI document says of scopes and what requests are held to: one and the same, in axum and in actix-web.

use actix_token::{Authenticated, Scoped, TokenMiddleware};
use actix_web::{App, get, post};
use axum::body::Body;
use serde_json::{Value, json};
use token_core::openapi::{self, rule};
use token_integrations::documented::{ReadUsers, WriteUsers, app, document};
use token_test::TestIssuer;
use tower::ServiceExt as _;
use utoipa::OpenApi;

use crate::trusted;

// ANCHOR: walk
/// For each requirement of each operation: a token with its scopes is let in, and one that lacks any of them is not. How many were tried, or which is untrue.
async fn walk(
    document: &utoipa::openapi::OpenApi,
    issuer: &TestIssuer,
    ask: impl AsyncFn(&str, &str, Option<String>) -> u16,
) -> Result<usize, String> {
    let document = serde_json::to_value(document).unwrap();
    let mut tried = 0;
    let mut expect = async |method: &str, path: &str, scopes: Option<&[&str]>, expected: u16| {
        let token = scopes.map(|scopes| issuer.token().scope(&scopes.join(" ")).mint());
        tried += 1;
        match ask(method, path, token).await {
            status if status == expected => Ok(()),
            status => Err(format!("{method} {path} with {scopes:?}: {status} in place of {expected}")),
        }
    };
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            expect(method, path, None, 401).await?;
            for requirement in operation["security"].as_array().unwrap() {
                let scopes = requirement["token"].as_array().unwrap();
                let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str().unwrap()).collect();
                expect(method, path, Some(&scopes), 200).await?;
                for left_out in 0..scopes.len() {
                    let mut others = scopes.clone();
                    others.remove(left_out);
                    expect(method, path, Some(&others), 403).await?;
                }
            }
        }
    }
    Ok(tried)
}
// ANCHOR_END: walk

async fn ask(app: axum::Router, method: &str, path: &str, token: Option<String>) -> u16 {
    let mut request = http::Request::builder().method(method.to_uppercase().as_str()).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16()
}

/// What both documents say of their operations.
fn expected() -> Value {
    json!([
        ["/me", "get", [{"token": []}]],
        ["/users", "get", [{"token": ["read:users"]}]],
        ["/users", "post", [{"token": ["admin"]}, {"token": ["read:users", "write:users"]}]],
    ])
}

fn said(document: &utoipa::openapi::OpenApi) -> Value {
    let json = serde_json::to_value(document).unwrap();
    assert_eq!(json["components"]["securitySchemes"]["token"]["type"], "openIdConnect");
    let mut rows = Vec::new();
    for (path, item) in json["paths"].as_object().unwrap() {
        rows.extend(
            item.as_object().unwrap().iter().map(|(method, operation)| json!([path, method, operation["security"]])),
        );
    }
    rows.sort_by_key(ToString::to_string);
    rows.into()
}

#[actix_web::test]
async fn in_axum_the_document_says_what_is_enforced() {
    let (issuer, api) = trusted().await;
    let (document, app) = (document(&api), app(api));
    assert_eq!(said(&document), expected());
    let tried = walk(&document, &issuer, async |method, path, token| ask(app.clone(), method, path, token).await).await;
    // Without a token 3, with what is asked for 4, with less 4.
    assert_eq!(tried, Ok(11));
}

#[actix_web::test]
async fn a_document_that_says_something_else_is_found_out() {
    let (issuer, api) = trusted().await;
    let (honest, app) = (serde_json::to_string(&document(&api)).unwrap(), app(api));
    for (true_text, untrue, found) in [
        (r#"["read:users"]"#, r#"["read:books"]"#, "get /users with Some([\"read:books\"]): 403 in place of 200"),
        (r#"["read:users"]"#, "[]", "get /users with Some([]): 403 in place of 200"),
        (r#"["admin"]"#, r#"["admin","audit"]"#, "post /users with Some([\"admin\"]): 200 in place of 403"),
    ] {
        let text = honest.replacen(true_text, untrue, 1);
        assert_ne!(text, honest, "{true_text}");
        let document = serde_json::from_str(&text).unwrap();
        let walked = walk(&document, &issuer, async |method, path, token| ask(app.clone(), method, path, token).await);
        assert_eq!(walked.await, Err(found.to_owned()));
    }
}

#[utoipa::path(get, path = "/users", responses((status = 200)), security(("token" = [rule::<ReadUsers>()])))]
#[get("/users")]
async fn list(_: Scoped<ReadUsers>) -> &'static str {
    "ada"
}

#[utoipa::path(post, path = "/users", responses((status = 200)), security(("token" = [rule::<WriteUsers>()])))]
#[post("/users")]
async fn create(_: Scoped<WriteUsers>) -> &'static str {
    "created"
}

#[utoipa::path(get, path = "/me", responses((status = 200)), security(("token" = [])))]
#[get("/me")]
async fn me(Authenticated(token): Authenticated) -> String {
    token.subject().unwrap_or("a client").to_owned()
}

#[actix_web::test]
async fn in_actix_web_the_document_says_what_is_enforced() {
    #[derive(OpenApi)]
    #[openapi(paths(list, create, me))]
    struct Operations;

    let (issuer, api) = trusted().await;
    let mut document = Operations::openapi();
    openapi::describe(&api, &mut document);
    assert_eq!(said(&document), expected());
    let app = App::new().service(list).service(create).service(me).wrap(TokenMiddleware::new(api));
    let app = actix_web::test::init_service(app).await;
    let ask = async |method: &str, path: &str, token: Option<String>| {
        let method = method.to_uppercase().parse().unwrap();
        let mut request = actix_web::test::TestRequest::with_uri(path).method(method);
        if let Some(token) = token {
            request = request.insert_header(("authorization", format!("Bearer {token}")));
        }
        actix_web::test::call_service(&app, request.to_request()).await.status().as_u16()
    };
    assert_eq!(walk(&document, &issuer, ask).await, Ok(11));
}
