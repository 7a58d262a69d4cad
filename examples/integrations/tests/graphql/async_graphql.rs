//! A schema of async-graphql, served by axum and by actix-web.

use actix_web::{App, HttpResponse, web};
use async_graphql::http::ALL_WEBSOCKET_PROTOCOLS;
use async_graphql::{Context, Data, Object, Result, Schema, Subscription};
use async_graphql_axum::{GraphQLBatchRequest, GraphQLProtocol, GraphQLResponse, GraphQLWebSocket};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Extension, State};
use axum::response::Response;
use axum::routing::{any, post};
use axum::{Router, extract};
use futures_util::{Stream, StreamExt as _, stream};
use token_core::adapter::Outcome;
use token_core::{Required as _, ResourceServer};
use token_integrations::graphql::async_graphql::{caller, require};

use super::{ReadUsers, Removed, Staff, WriteUsers};

pub(crate) struct Query;

// ANCHOR: schema
#[Object]
impl Query {
    async fn books(&self) -> Vec<&'static str> {
        vec!["Emma"]
    }

    #[graphql(guard = "require(ReadUsers::RULE)")]
    async fn users(&self) -> Option<Vec<&'static str>> {
        Some(vec!["ada"])
    }

    async fn me(&self, context: &Context<'_>) -> Result<Option<String>> {
        Ok(caller(context)?.subject().map(str::to_owned))
    }

    async fn salaries(&self) -> Option<Salaries> {
        Some(Salaries)
    }
}
// ANCHOR_END: schema

struct Salaries;

/// Guarded as an object: whatever leads to it.
#[Object(guard = "require(Staff::RULE)")]
impl Salaries {
    async fn ada(&self) -> Option<i32> {
        Some(1815)
    }
}

pub(crate) struct Mutation;

#[Object]
impl Mutation {
    #[graphql(guard = "require(WriteUsers::RULE)")]
    async fn remove(&self, context: &Context<'_>) -> Result<Option<bool>> {
        context.data::<Removed>()?.count();
        Ok(Some(true))
    }
}

pub(crate) struct Events;

#[Subscription]
impl Events {
    /// Ends with the token that it was opened with.
    #[graphql(guard = "require(ReadUsers::RULE)")]
    async fn joined(&self, context: &Context<'_>) -> Result<impl Stream<Item = &'static str>> {
        Ok(caller(context)?.while_valid(stream::iter(["ada"]).chain(stream::pending())))
    }
}

pub(crate) type Api = Schema<Query, Mutation, Events>;

pub(crate) fn schema(removed: &Removed) -> Api {
    Schema::build(Query, Mutation, Events).data(removed.clone()).finish()
}

// ANCHOR: handle
async fn handle(
    State(schema): State<Api>,
    Extension(outcome): Extension<Outcome>,
    request: GraphQLBatchRequest,
) -> GraphQLResponse {
    schema.execute_batch(request.into_inner().data(outcome)).await.into()
}
// ANCHOR_END: handle

// ANCHOR: subscribe
async fn subscribe(
    State(schema): State<Api>,
    Extension(outcome): Extension<Outcome>,
    protocol: GraphQLProtocol,
    upgrade: WebSocketUpgrade,
) -> Response {
    let mut data = Data::default();
    data.insert(outcome);
    upgrade.protocols(ALL_WEBSOCKET_PROTOCOLS).on_upgrade(move |socket: extract::ws::WebSocket| {
        GraphQLWebSocket::new(socket, schema, protocol).with_data(data).serve()
    })
}
// ANCHOR_END: subscribe

pub(crate) fn axum(api: &ResourceServer, removed: &Removed) -> Router {
    Router::new()
        .route("/", post(handle))
        .route("/events", any(subscribe))
        .with_state(schema(removed))
        .layer(axum_token::TokenLayer::new(api.clone()).allow_anonymous())
}

async fn actix_handle(
    schema: web::Data<Api>,
    outcome: web::ReqData<Outcome>,
    request: async_graphql_actix_web::GraphQLBatchRequest,
) -> HttpResponse {
    let answer = schema.execute_batch(request.into_inner().data(outcome.into_inner())).await;
    HttpResponse::Ok().json(answer)
}

pub(crate) async fn actix(
    api: &ResourceServer,
    removed: &Removed,
    request: actix_web::test::TestRequest,
) -> (u16, String) {
    let middleware = actix_token::TokenMiddleware::new(api.clone()).allow_anonymous();
    let app =
        App::new().app_data(web::Data::new(schema(removed))).route("/", web::post().to(actix_handle)).wrap(middleware);
    super::answer_of(app, request).await
}
