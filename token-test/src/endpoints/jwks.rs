//! The published keys as a JWK Set (RFC 7517 section 5).

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::Routes;
use crate::tenant::Tenant;
use crate::traffic::Endpoint;

pub(crate) const PATH: &str = "/jwks";

pub(super) fn routes(tenant: &Tenant) -> Routes {
    vec![(Endpoint::Jwks, format!("{}{PATH}", tenant.path), get(key_set))]
}

pub(super) fn describe(tenant: &Tenant, document: &mut Map<String, Value>) {
    document.insert("jwks_uri".to_owned(), json!(tenant.endpoint(PATH)));
    document.insert("id_token_signing_alg_values_supported".to_owned(), json!(tenant.keys().algorithms()));
    document.insert("subject_types_supported".to_owned(), json!(["public"]));
}

async fn key_set(State(tenant): State<Arc<Tenant>>) -> Response {
    let mut keys = tenant.keys().jwks();
    if tenant.traffic.fault(Endpoint::Jwks).without_kid {
        for key in keys.iter_mut().filter_map(Value::as_object_mut) {
            key.remove("kid");
        }
    }
    super::json(StatusCode::OK, &json!({ "keys": keys }))
}
