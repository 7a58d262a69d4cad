//! One rule in its three forms, a type, a guard and data, over every shape of grants: the same verdict and the same 403 in axum and actix-web.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use serde_json::{Value, json};
use token_core::{
    Issuer, Required, ResourceServer, Rule,
    mapping::{ClaimMapping, GrantSource},
};
use token_test::TestIssuer;
use tower::ServiceExt;

axum_token::scopes! {
    /// May edit: by scope or by role, and is not suspended.
    MayEdit = all(any("write:users", role("editor")), not(role("suspended"))),
}

const DATA: &str = r#"{"all":[{"any":["write:users",{"role":"editor"}]},{"not":[{"role":"suspended"}]}]}"#;

async fn axum_answer(app: &Router, path: &str, token: &str) -> (u16, String) {
    let request = http::Request::get(path).header("authorization", format!("Bearer {token}"));
    let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let challenge = response.headers().get("www-authenticate").map_or("", |value| value.to_str().unwrap());
    (response.status().as_u16(), challenge.to_owned())
}

#[actix_web::test]
async fn a_rule_is_the_same_as_a_type_as_a_guard_and_as_data() {
    let issuer = TestIssuer::start().await;
    let mapping = ClaimMapping::default()
        .scopes([GrantSource::names("scope"), GrantSource::names("scp"), GrantSource::names("permissions")])
        .roles([
            GrantSource::names("roles"),
            GrantSource::names("groups"),
            GrantSource::names(["realm_access", "roles"]),
            GrantSource::keys("urn:zitadel:iam:org:project:roles"),
        ]);
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http().mapping(mapping);
    let api = ResourceServer::builder(issuer.audience())
        .trust(trusted)
        .implies("admin:users", ["write:users"])
        .build()
        .unwrap();
    let data: Rule = serde_json::from_str(DATA).unwrap();
    assert_eq!(data, MayEdit::RULE);

    let axum = Router::new()
        .route("/type", get(async |_: axum_token::Scoped<MayEdit>| "edited"))
        .route("/guard", get(async || "edited").layer(axum_token::require(MayEdit::RULE)))
        .route("/data", get(async || "edited").layer(axum_token::require(data.clone())))
        .layer(axum_token::TokenLayer::new(api.clone()));
    let actix = actix_web::test::init_service(
        actix_web::App::new()
            .wrap(actix_token::TokenMiddleware::new(api))
            .route("/type", actix_web::web::get().to(async |_: actix_token::Scoped<MayEdit>| "edited"))
            .service(actix_web::web::resource("/guard").wrap(actix_token::require(MayEdit::RULE)).to(async || "edited"))
            .service(actix_web::web::resource("/data").wrap(actix_token::require(data)).to(async || "edited")),
    )
    .await;

    for (claims, good) in [
        (json!({"scope": "read:users write:users"}), true),
        (json!({"scp": "write:users"}), true),
        (json!({"scp": ["write:users"]}), true),
        (json!({"permissions": ["write:users"]}), true),
        (json!({"scope": "admin:users"}), true),
        (json!({"roles": ["editor"]}), true),
        (json!({"groups": ["editor", "staff"]}), true),
        (json!({"realm_access": {"roles": ["editor"]}}), true),
        (json!({"urn:zitadel:iam:org:project:roles": {"editor": {"1": "org.example"}}}), true),
        (json!({}), false),
        (json!({"scope": "read:users"}), false),
        (json!({"scope": "write:users2 xwrite:users write:user WRITE:USERS"}), false),
        (json!({"scp": ["read:users write:users"]}), false),
        (json!({"scope": "editor"}), false),
        (json!({"roles": ["write:users", "editors"]}), false),
        (json!({"urn:zitadel:iam:org:project:roles": {"staff": {"1": "editor"}}}), false),
        (json!({"scope": "write:users", "groups": ["suspended"]}), false),
        (json!({"roles": ["editor"], "realm_access": {"roles": ["suspended"]}}), false),
    ] {
        let members = claims.as_object().into_iter().flatten();
        let token = members.fold(issuer.token().without("scope"), |token, (name, value): (&String, &Value)| {
            token.claim(name, value.clone())
        });
        let token = token.mint();
        for path in ["/type", "/guard", "/data"] {
            let (status, challenge) = axum_answer(&axum, path, &token).await;
            assert_eq!(status, if good { 200 } else { 403 }, "axum {path} {claims}");
            assert_eq!(challenge.contains(r#"scope="write:users""#), !good, "axum {path} {claims}: {challenge}");
            let request = actix_web::test::TestRequest::get().uri(path);
            let request = request.insert_header(("authorization", format!("Bearer {token}"))).to_request();
            let response = actix_web::test::call_service(&actix, request).await;
            assert_eq!(response.status().as_u16(), status, "actix {path} {claims}");
            let field = response.headers().get("www-authenticate").map_or("", |value| value.to_str().unwrap());
            assert_eq!(field, challenge, "{path} {claims}");
        }
    }
}
