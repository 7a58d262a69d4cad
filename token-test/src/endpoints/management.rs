//! What is asked of Auth0's Management API for tokens: a user with its identities, refresh tokens as device credentials, the deny list.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use token_core::Verified;

use super::{Routes, exchange};
use crate::tenant::Tenant;
use crate::traffic::Endpoint;

pub(super) fn routes(tenant: &Tenant) -> Routes {
    let at = |path: &str, methods| (Endpoint::Management, format!("{}/api/v2{path}", tenant.path), methods);
    vec![
        at("/users/{id}", get(user)),
        at("/device-credentials", get(device_credentials)),
        at("/device-credentials/{id}", delete(delete_device_credential)),
        at("/blacklists/tokens", post(deny)),
    ]
}

async fn user(
    State(tenant): State<Arc<Tenant>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let caller = caller(&tenant, &headers, "read:users")?;
    let mut user = tenant.grants().users.get(&id).cloned().ok_or(Refusal(StatusCode::NOT_FOUND, "inexistent_user"))?;
    if !caller.scopes().contains("read:user_idp_tokens") {
        for identity in user["identities"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            for secret in ["access_token", "access_token_secret", "refresh_token", "expires_in"] {
                identity.remove(secret);
            }
        }
    }
    Ok(super::json(StatusCode::OK, &user))
}

async fn device_credentials(
    State(tenant): State<Arc<Tenant>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    caller(&tenant, &headers, "read:device_credentials")?;
    let user_id = query.get("user_id").map(String::as_str).unwrap_or_default();
    let families = tenant.grants().families(user_id);
    let listed: Vec<Value> = families
        .into_iter()
        .filter(|(_, client)| query.get("client_id").is_none_or(|wanted| wanted == client))
        .map(|(family, client)| json!({ "id": family, "device_name": "test", "client_id": client, "user_id": user_id, "type": "refresh_token" }))
        .collect();
    // Its SDKs ask for totals and pages unless they are told not to, and go on until a page is empty.
    let number = |name: &str, default: usize| query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let answer = match query.get("include_totals").map(String::as_str) {
        Some("true") => {
            let (limit, total) = (number("per_page", 50), listed.len());
            let start = number("page", 0).saturating_mul(limit);
            let page: Vec<Value> = listed.into_iter().skip(start).take(limit).collect();
            json!({ "start": start, "limit": limit, "length": page.len(), "total": total, "device_credentials": page })
        }
        _ => json!(listed),
    };
    Ok(super::json(StatusCode::OK, &answer))
}

async fn delete_device_credential(
    State(tenant): State<Arc<Tenant>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    caller(&tenant, &headers, "delete:device_credentials")?;
    tenant.grants().revoke_family(&id);
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn deny(State(tenant): State<Arc<Tenant>>, headers: HeaderMap, body: Bytes) -> Result<Response, Refusal> {
    caller(&tenant, &headers, "blacklist:tokens")?;
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    match (request["aud"].as_str(), request["jti"].as_str()) {
        (Some(audience), Some(token_id)) => {
            tenant.grants().denied.insert((audience.to_owned(), token_id.to_owned()));
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        _ => Err(Refusal(StatusCode::BAD_REQUEST, "invalid_body")),
    }
}

/// The bearer of a good token of this issuer with the scope, not on the deny list. The audience is not looked at.
fn caller(tenant: &Tenant, headers: &HeaderMap, scope: &str) -> Result<Verified, Refusal> {
    let unauthorized = Refusal(StatusCode::UNAUTHORIZED, "Unauthorized");
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.strip_prefix("Bearer ")).ok_or(unauthorized)?;
    let caller = exchange::verified(tenant, token).map_err(|_| unauthorized)?;
    let id = caller.token_id().unwrap_or_default().to_owned();
    if caller.audience().any(|audience| tenant.grants().denied.contains(&(audience.to_owned(), id.clone()))) {
        return Err(unauthorized);
    }
    if !caller.scopes().contains(scope) {
        return Err(Refusal(StatusCode::FORBIDDEN, "insufficient_scope"));
    }
    Ok(caller)
}

/// A refusal in the management API's own form.
#[derive(Clone, Copy, Debug)]
struct Refusal(StatusCode, &'static str);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let reason = self.0.canonical_reason().unwrap_or_default();
        let body = json!({ "statusCode": self.0.as_u16(), "error": reason, "message": reason, "errorCode": self.1 });
        super::json(self.0, &body)
    }
}
