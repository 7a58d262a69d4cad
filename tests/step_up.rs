//! Step-up (RFC 9470) and authorization details (RFC 9396): a rule as a type, a guard and data, over JWTs and introspected tokens, the same answer in axum and
//! actix-web, and through the case table's tower service for what a whole server asks.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use serde_json::{Value, json};
use token_core::opaque::OpaqueTokens;
use token_core::opaque::client_authentication::ClientAuthentication;
use token_core::{Issuer, Required, ResourceServer, Rule};
use token_test::TestIssuer;
use token_tests::{Ask, Via, ask};
use tower::ServiceExt;

axum_token::scopes! {
    /// May move money: with a scope, an authentication that phishing does not survive and is fresh, and a detail that permits it.
    MayPay = all("payments", acr("phr", "phrh"), max_age(300), details("payment", actions("initiate"))),
}

const DATA: &str = r#"{"all":["payments",{"acr_values":["phr","phrh"]},{"max_age":"5m"},
    {"authorization_details":{"type":"payment","actions":["initiate"]}}]}"#;

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// The claims of a token, what answers it, and the end of its challenge.
fn rows() -> Vec<(Value, u16, &'static str)> {
    let good = json!({
        "scope": "payments", "acr": "phr", "auth_time": now(),
        "authorization_details": [{"type": "payment", "actions": ["initiate", "cancel"], "creditor": "m"}],
    });
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let stale = now() - 3600;
    vec![
        (good.clone(), 200, ""),
        (with("acr", json!("phrh")), 200, ""),
        (with("acr", json!("pwd")), 401, r#"error="insufficient_user_authentication""#),
        (with("acr", json!("PHR")), 401, r#"acr_values="phr phrh""#),
        (with("auth_time", json!(stale)), 401, r#"max_age="300""#),
        (with("auth_time", json!(now() + 3600)), 401, r#"max_age="300""#),
        (with("scope", json!("other")), 403, r#"scope="payments""#),
        (with("authorization_details", json!([])), 403, r#"error="insufficient_scope""#),
        (with("authorization_details", json!([{"type": "payment", "actions": ["status"]}])), 403, "do not permit this"),
        (
            with("authorization_details", json!([{"type": "Payment", "actions": ["initiate"]}])),
            403,
            "do not permit this",
        ),
        (with("authorization_details", json!("canary")), 401, r#"error="invalid_token""#),
        (with("acr", json!(["phr"])), 401, r#"error="invalid_token""#),
    ]
}

#[actix_web::test]
async fn how_a_user_signed_in_and_what_was_authorized_in_detail_are_asked_for_alike_everywhere() {
    let issuer = TestIssuer::start().await;
    let secret = ClientAuthentication::Basic("test-secret".into());
    let opaque = OpaqueTokens::introspection(issuer.introspection_endpoint(), "test-client", secret).unwrap();
    let trusted = || Issuer::discover(issuer.url()).unwrap().allow_loopback_http().opaque_tokens(opaque.clone());
    let api = ResourceServer::builder(issuer.audience()).trust(trusted()).build().unwrap();
    let strict = ResourceServer::builder(issuer.audience()).trust(trusted()).require(MayPay::RULE).build().unwrap();
    let data: Rule = serde_json::from_str(DATA).unwrap();
    assert_eq!(data, MayPay::RULE);

    let axum = Router::new()
        .route("/type", get(async |_: axum_token::Scoped<MayPay>| "paid"))
        .route("/guard", get(async || "paid").layer(axum_token::require(MayPay::RULE)))
        .route("/data", get(async || "paid").layer(axum_token::require(data.clone())))
        .layer(axum_token::TokenLayer::new(api.clone()));
    let actix = actix_web::test::init_service(
        actix_web::App::new()
            .wrap(actix_token::TokenMiddleware::new(api))
            .route("/type", actix_web::web::get().to(async |_: actix_token::Scoped<MayPay>| "paid"))
            .service(actix_web::web::resource("/guard").wrap(actix_token::require(MayPay::RULE)).to(async || "paid"))
            .service(actix_web::web::resource("/data").wrap(actix_token::require(data)).to(async || "paid")),
    )
    .await;

    for (claims, status, end) in rows() {
        let members = claims.as_object().into_iter().flatten();
        let token = members.fold(issuer.token(), |token, (name, value)| token.claim(name, value.clone()));
        for (form, token) in [("JWT", token.mint()), ("opaque", token.mint_opaque())] {
            let mut challenges = Vec::new();
            for path in ["/type", "/guard", "/data"] {
                let place = format!("{form} {path} {claims}");
                let request = http::Request::get(path).header("authorization", format!("Bearer {token}"));
                let response = axum.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
                assert_eq!(response.status().as_u16(), status, "axum {place}");
                let field = response.headers().get("www-authenticate");
                challenges.push(field.map_or(String::new(), |value| value.to_str().unwrap().to_owned()));

                let request = actix_web::test::TestRequest::get().uri(path);
                let request = request.insert_header(("authorization", format!("Bearer {token}"))).to_request();
                let response = actix_web::test::call_service(&actix, request).await;
                assert_eq!(response.status().as_u16(), status, "actix {place}");
                let field = response.headers().get("www-authenticate");
                challenges.push(field.map_or(String::new(), |value| value.to_str().unwrap().to_owned()));
            }
            // The server that asks it of every token answers alike, before any route.
            for via in Via::ALL {
                let reply = ask(via, &strict, false, &Ask::of("/any").bearer(&token)).await;
                assert_eq!(reply.status, status, "{via:?} {form} {claims}: {reply:?}");
                assert!(!reply.body.contains("canary"), "{reply:?}");
                challenges.push(reply.challenge.unwrap_or_default());
            }
            for challenge in &challenges {
                assert_eq!(challenge, &challenges[0], "{form} {claims}");
                assert!(challenge.contains(end) && !challenge.contains("canary"), "{form} {claims}: {challenge}");
            }
        }
    }
}
