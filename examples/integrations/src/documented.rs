//! Rules as types in, handlers that are held to them and the OpenAPI document that says so out: scopes written once, with `utoipa`.

use axum::Router;
use axum::routing::get;
use axum_token::{Authenticated, ResourceServer, Scoped, TokenLayer, scopes};
use token_core::openapi::{self, rule};
use utoipa::OpenApi;

scopes! {
    /// May list users.
    pub ReadUsers = "read:users",
    /// May create them.
    pub WriteUsers = any("admin", all("read:users", "write:users")),
}

/// Lists users.
#[utoipa::path(get, path = "/users", responses((status = 200)), security(("token" = [rule::<ReadUsers>()])))]
async fn list(_: Scoped<ReadUsers>) -> &'static str {
    "ada"
}

/// Creates a user.
#[utoipa::path(post, path = "/users", responses((status = 200)), security(("token" = [rule::<WriteUsers>()])))]
async fn create(_: Scoped<WriteUsers>) -> &'static str {
    "created"
}

/// Says who asks: any token will do.
#[utoipa::path(get, path = "/me", responses((status = 200)), security(("token" = [])))]
async fn me(Authenticated(token): Authenticated) -> String {
    token.subject().unwrap_or("a client").to_owned()
}

#[derive(OpenApi)]
#[openapi(paths(list, create, me))]
struct Operations;

/// The document, with what `api` takes and each rule spelt out.
pub fn document(api: &ResourceServer) -> utoipa::openapi::OpenApi {
    let mut document = Operations::openapi();
    openapi::describe(api, &mut document);
    document
}

/// What the document describes.
pub fn app(api: ResourceServer) -> Router {
    Router::new().route("/users", get(list).post(create)).route("/me", get(me)).layer(TokenLayer::new(api))
}
