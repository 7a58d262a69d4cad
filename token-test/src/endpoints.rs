//! A tenant goes in, the router with all its endpoints comes out. One file each: its route, its metadata, its answers.

mod authorization;
mod client_document;
mod code;
mod consent;
mod delegation;
mod discovery;
mod exchange;
mod form;
mod grant;
mod identity_assertion;
mod introspection;
mod jwks;
mod management;
mod oauth_error;
mod refresh;
mod registration;
mod revocation;
mod status_list;
mod token;
mod userinfo;
mod vault;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use http::{StatusCode, header};
use serde_json::{Map, Value};

use crate::faults;
use crate::tenant::Tenant;
use crate::traffic::Endpoint;

pub(crate) use authorization::PATH as AUTHORIZATION_PATH;
pub(crate) use introspection::PATH as INTROSPECTION_PATH;
pub(crate) use jwks::PATH as JWKS_PATH;
pub(crate) use registration::PATH as REGISTRATION_PATH;
pub(crate) use revocation::PATH as REVOCATION_PATH;
pub(crate) use token::PATH as TOKEN_PATH;
pub(crate) use userinfo::{TOKENINFO_PATH, USERINFO_PATH};

pub(crate) type Routes = Vec<(Endpoint, String, MethodRouter<Arc<Tenant>>)>;

/// Every endpoint of the tenant behind the middleware that applies its faults and counts its hits.
pub(crate) fn router(tenant: &Arc<Tenant>) -> Router {
    let all = [
        discovery::routes(tenant),
        jwks::routes(tenant),
        authorization::routes(tenant),
        registration::routes(tenant),
        token::routes(tenant),
        revocation::routes(tenant),
        delegation::routes(tenant),
        management::routes(tenant),
        introspection::routes(tenant),
        userinfo::routes(tenant),
        status_list::routes(tenant),
    ];
    let mut router = Router::new();
    for (endpoint, path, methods) in all.into_iter().flatten() {
        let faults = middleware::from_fn_with_state((Arc::clone(tenant), endpoint), faults::apply);
        router = router.route(&path, methods.layer(faults));
    }
    router.with_state(Arc::clone(tenant))
}

/// What the endpoints say about themselves in the discovery documents.
fn metadata(tenant: &Tenant) -> Map<String, Value> {
    let mut document = Map::new();
    jwks::describe(tenant, &mut document);
    authorization::describe(tenant, &mut document);
    registration::describe(tenant, &mut document);
    token::describe(tenant, &mut document);
    revocation::describe(tenant, &mut document);
    introspection::describe(tenant, &mut document);
    userinfo::describe(tenant, &mut document);
    document
}

fn json(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}
