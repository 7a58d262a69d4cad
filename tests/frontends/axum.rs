//! The API in axum.

use ::axum::Router;
use ::axum::body::Body;
use ::axum::routing::get;
use axum_token::{Authenticated, Claims, IdTokenClaims, ResourceServer, Scoped, TokenLayer};
use tower::ServiceExt;

use super::{Ask, ReadUsers, Reply};

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

async fn maybe(caller: Option<Authenticated>) -> &'static str {
    if caller.is_some() { "somebody" } else { "nobody" }
}

async fn id(IdTokenClaims(_): IdTokenClaims<serde_json::Value>) -> &'static str {
    "somebody"
}

async fn users(_: Scoped<ReadUsers>) -> &'static str {
    "everybody"
}

pub(super) async fn ask(api: &ResourceServer, anonymous: bool, request: &Ask) -> Reply {
    let mut layer = TokenLayer::new(api.clone());
    if anonymous {
        layer = layer.allow_anonymous();
    }
    let app = Router::new()
        .route("/me", get(me))
        .route("/any", get(any))
        .route("/maybe", get(maybe))
        .route("/id", get(id))
        .route("/users", get(users))
        .layer(layer);
    let response = app.oneshot(super::tower::request(request).map(|()| Body::empty())).await.expect("axum answers");
    super::tower::reply(response).await
}
