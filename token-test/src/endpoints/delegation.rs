//! Auth0's legacy delegation: an ID token or refresh token and a target client go in, an ID token signed with the target's secret comes out.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use token_core::Algorithm;

use super::Routes;
use super::oauth_error::OAuthError;
use crate::keys::TestKey;
use crate::mint::TokenBuilder;
use crate::tenant::Tenant;
use crate::traffic::Endpoint;

/// What the old default was.
const LIFE: u64 = 36_000;

pub(super) fn routes(tenant: &Tenant) -> Routes {
    vec![(Endpoint::Delegation, format!("{}/delegation", tenant.path), post(delegate))]
}

/// The body is JSON, as Auth0's own SDKs send it.
async fn delegate(State(tenant): State<Arc<Tenant>>, body: Bytes) -> Result<Response, OAuthError> {
    let request: Value =
        serde_json::from_slice(&body).map_err(|_| OAuthError::invalid_request("the body must be JSON"))?;
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    if text("grant_type") != Some("urn:ietf:params:oauth:grant-type:jwt-bearer") {
        return Err(OAuthError::unsupported_grant_type());
    }
    let source = text("client_id").unwrap_or_default().to_owned();
    if !tenant.clients().contains_key(&source) {
        return Err(OAuthError::invalid_client());
    }
    let subject = match (text("id_token"), text("refresh_token")) {
        (Some(token), None) => {
            tenant.active_claims(token).and_then(|claims| claims.get("sub")?.as_str().map(str::to_owned))
        }
        (None, Some(token)) => tenant.grants().peek(token).map(|refresh| refresh.subject.clone()),
        _ => return Err(OAuthError::invalid_request("exactly one of id_token and refresh_token")),
    };
    let subject = subject.ok_or(OAuthError::invalid_grant("the token that was presented is not good"))?;
    let target = text("target").unwrap_or(&source).to_owned();
    let secret = tenant.clients().get(&target).and_then(|client| client.secret().map(str::to_owned));
    let secret =
        secret.ok_or(OAuthError::invalid_request("the target is not a client of this tenant, or has no secret"))?;
    let token = TokenBuilder::id(Arc::clone(&tenant))
        .subject(&subject)
        .audience(&target)
        .expires_in(std::time::Duration::from_secs(LIFE))
        .signed_by(&TestKey::from_secret(Algorithm::HS256, None, secret))
        .mint();
    Ok(super::json(StatusCode::OK, &json!({ "token_type": "Bearer", "expires_in": LIFE, "id_token": token })))
}
