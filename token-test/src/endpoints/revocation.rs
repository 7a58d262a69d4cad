//! A token goes in and is good for nothing any more (RFC 7009 section 2). For refresh tokens that ends their family; introspection calls any inactive.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use super::Routes;
use super::form::Form;
use super::oauth_error::OAuthError;
use crate::tenant::Tenant;
use crate::traffic::Endpoint;

pub(crate) const PATH: &str = "/revoke";

pub(super) fn routes(tenant: &Tenant) -> Routes {
    let at = |path: &str| (Endpoint::Revocation, format!("{}{path}", tenant.path), post(revoke));
    vec![at(PATH), at("/oauth/revoke")]
}

pub(super) fn describe(tenant: &Tenant, document: &mut Map<String, Value>) {
    document.insert("revocation_endpoint".to_owned(), json!(tenant.endpoint(PATH)));
}

async fn revoke(State(tenant): State<Arc<Tenant>>, headers: HeaderMap, body: Bytes) -> Result<Response, OAuthError> {
    let form = Form::parse(&headers, &body)?;
    let client = form.client(&tenant, &headers)?;
    let token = form.one("token")?.ok_or(OAuthError::invalid_request("token is missing"))?;
    tenant.grants().revoke(token, &client.id);
    tenant.revoke(token);
    Ok(StatusCode::OK.into_response())
}
