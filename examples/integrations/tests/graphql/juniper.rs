//! The same schema of juniper, served by axum and by actix-web.

use std::pin::Pin;
use std::sync::Arc;

use actix_web::{App, HttpRequest, HttpResponse, web};
use axum::Router;
use axum::extract::{Extension, State};
use axum::routing::post;
use futures_util::{Stream, StreamExt as _, stream};
use juniper::{RootNode, graphql_object, graphql_subscription};
use juniper_axum::extract::JuniperRequest;
use juniper_axum::response::JuniperResponse;
use token_core::ResourceServer;
use token_core::adapter::Outcome;
use token_integrations::graphql::juniper::{Caller, Refused};

use super::{ReadUsers, Removed, Staff, WriteUsers};

pub(crate) struct Query;

// ANCHOR: schema
#[graphql_object(context = Caller)]
impl Query {
    fn books() -> Vec<&'static str> {
        vec!["Emma"]
    }

    fn users(context: &Caller) -> Result<Option<Vec<&'static str>>, Refused> {
        context.require::<ReadUsers>()?;
        Ok(Some(vec!["ada"]))
    }

    fn me(context: &Caller) -> Result<Option<String>, Refused> {
        Ok(context.token()?.subject().map(str::to_owned))
    }

    fn salaries(context: &Caller) -> Result<Option<Salaries>, Refused> {
        context.require::<Staff>()?;
        Ok(Some(Salaries))
    }
}
// ANCHOR_END: schema

struct Salaries;

#[graphql_object(context = Caller)]
impl Salaries {
    fn ada() -> Option<i32> {
        Some(1815)
    }
}

pub(crate) struct Mutation(Removed);

#[graphql_object(context = Caller)]
impl Mutation {
    fn remove(&self, context: &Caller) -> Result<Option<bool>, Refused> {
        context.require::<WriteUsers>()?;
        self.0.count();
        Ok(Some(true))
    }
}

pub(crate) struct Events;

type Names = Pin<Box<dyn Stream<Item = &'static str> + Send>>;

#[graphql_subscription(context = Caller)]
impl Events {
    /// Ends with the token that it was opened with.
    async fn joined(context: &Caller) -> Result<Names, Refused> {
        let token = context.require::<ReadUsers>()?;
        Ok(Box::pin(token.while_valid(stream::iter(["ada"]).chain(stream::pending()))))
    }
}

pub(crate) type Api = RootNode<Query, Mutation, Events>;

pub(crate) fn schema(removed: &Removed) -> Arc<Api> {
    Arc::new(Api::new(Query, Mutation(removed.clone()), Events))
}

// ANCHOR: handle
async fn handle(
    State(schema): State<Arc<Api>>,
    Extension(outcome): Extension<Outcome>,
    JuniperRequest(request): JuniperRequest,
) -> JuniperResponse {
    JuniperResponse(request.execute(&*schema, &Caller(outcome)).await)
}
// ANCHOR_END: handle

pub(crate) fn axum(api: &ResourceServer, removed: &Removed) -> Router {
    Router::new()
        .route("/", post(handle))
        .with_state(schema(removed))
        .layer(axum_token::TokenLayer::new(api.clone()).allow_anonymous())
}

async fn actix_handle(
    schema: web::Data<Api>,
    outcome: web::ReqData<Outcome>,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, actix_web::Error> {
    juniper_actix::graphql_handler(&schema, &Caller(outcome.into_inner()), request, body).await
}

pub(crate) async fn actix(
    api: &ResourceServer,
    removed: &Removed,
    request: actix_web::test::TestRequest,
) -> (u16, String) {
    let middleware = actix_token::TokenMiddleware::new(api.clone()).allow_anonymous();
    let app =
        App::new().app_data(web::Data::from(schema(removed))).route("/", web::post().to(actix_handle)).wrap(middleware);
    super::answer_of(app, request).await
}
