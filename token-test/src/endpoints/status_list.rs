//! Status lists: a number goes in, the signed list comes out (Token Status List, draft-ietf-oauth-status-list).

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};

use super::Routes;
use crate::status_list::{PATH, TestStatusList};
use crate::tenant::Tenant;
use crate::traffic::Endpoint;

pub(super) fn routes(tenant: &Tenant) -> Routes {
    vec![(Endpoint::StatusList, format!("{}{PATH}{{number}}", tenant.path), get(published))]
}

async fn published(State(tenant): State<Arc<Tenant>>, Path(number): Path<usize>) -> Response {
    let known = tenant.status_lists().get(number).map(|list| list.text.clone());
    let body = match known {
        None => return StatusCode::NOT_FOUND.into_response(),
        Some(Some(text)) => text,
        Some(None) => TestStatusList::of(tenant, number).token().mint(),
    };
    ([(header::CONTENT_TYPE, "application/statuslist+jwt")], body).into_response()
}
