//! The API in actix-web.

use actix_token::{Authenticated, Claims, IdTokenClaims, MaybeAuthenticated, ResourceServer, Scoped, TokenMiddleware};
use actix_web::{App, test, web};

use super::{Answer, Ask, ReadUsers, Reply};

#[derive(serde::Deserialize)]
struct User {
    sub: String,
}

async fn me(Claims(user): Claims<User>) -> String {
    user.sub.clone()
}

async fn any(_: Authenticated) -> &'static str {
    "somebody"
}

async fn maybe(MaybeAuthenticated(caller): MaybeAuthenticated) -> &'static str {
    if caller.is_some() { "somebody" } else { "nobody" }
}

async fn id(IdTokenClaims(_): IdTokenClaims<serde_json::Value>) -> &'static str {
    "somebody"
}

async fn users(_: Scoped<ReadUsers>) -> &'static str {
    "everybody"
}

pub(super) async fn ask(api: &ResourceServer, anonymous: bool, ask: &Ask) -> Reply {
    let mut layer = TokenMiddleware::new(api.clone());
    if anonymous {
        layer = layer.allow_anonymous();
    }
    let app = App::new()
        .wrap(layer)
        .route("/me", web::get().to(me))
        .route("/any", web::get().to(any))
        .route("/maybe", web::get().to(maybe))
        .route("/id", web::get().to(id))
        .route("/users", web::get().to(users));
    let app = test::init_service(app).await;
    let method = actix_web::http::Method::from_bytes(ask.method.as_str().as_bytes()).expect("a method of HTTP");
    let mut request = test::TestRequest::with_uri(&ask.path).method(method);
    for (name, value) in &ask.headers {
        let value = actix_web::http::header::HeaderValue::from_bytes(value).expect("a value that HTTP can carry");
        request = request.append_header((name.as_str(), value));
    }
    let response = test::call_service(&app, request.to_request()).await;
    let header =
        |name: &str| response.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Reply {
        status: response.status().as_u16(),
        challenge: header("www-authenticate"),
        retry_after: header("retry-after"),
        explanation: header(Answer::EXPLANATION),
        dpop_nonce: header(Answer::DPOP_NONCE),
        exposed: header("access-control-expose-headers"),
        cache_control: header("cache-control"),
        // actix-web names the character set of a plain String, axum does too; only refusals are compared.
        content_type: header("content-type"),
        body: String::from_utf8_lossy(&test::read_body(response).await).into_owned(),
    }
}
