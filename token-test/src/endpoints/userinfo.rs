//! Endpoints that take a good token and answer with the user's claims: `/userinfo` (OpenID Connect Core 5.3), legacy `/tokeninfo`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value, json};

use super::Routes;
use crate::tenant::Tenant;
use crate::traffic::Endpoint;

pub(crate) const USERINFO_PATH: &str = "/userinfo";
pub(crate) const TOKENINFO_PATH: &str = "/tokeninfo";

pub(super) fn routes(tenant: &Tenant) -> Routes {
    let path = |path| format!("{}{path}", tenant.path);
    vec![
        (Endpoint::UserInfo, path(USERINFO_PATH), get(userinfo).post(userinfo)),
        (Endpoint::TokenInfo, path(TOKENINFO_PATH), post(tokeninfo)),
    ]
}

pub(super) fn describe(tenant: &Tenant, document: &mut Map<String, Value>) {
    document.insert("userinfo_endpoint".to_owned(), json!(tenant.endpoint(USERINFO_PATH)));
}

async fn userinfo(State(tenant): State<Arc<Tenant>>, headers: HeaderMap) -> Response {
    let field = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match field.strip_prefix("Bearer ").and_then(|token| tenant.active_claims(token)) {
        Some(claims) => super::json(StatusCode::OK, &Value::Object(about_the_user(claims))),
        None => {
            let challenge = [(header::WWW_AUTHENTICATE, r#"Bearer error="invalid_token""#)];
            (StatusCode::UNAUTHORIZED, challenge, "Unauthorized").into_response()
        }
    }
}

/// The body is JSON, `{"id_token": "…"}`. The answer has a profile and nothing of the token's own times and audience.
async fn tokeninfo(State(tenant): State<Arc<Tenant>>, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let claims = body["id_token"].as_str().and_then(|token| tenant.active_claims(token));
    let Some(claims) = claims else { return (StatusCode::UNAUTHORIZED, "Unauthorized").into_response() };
    let mut profile = about_the_user(claims);
    if let Some(subject) = profile.remove("sub") {
        profile.insert("user_id".to_owned(), subject);
    }
    super::json(StatusCode::OK, &Value::Object(profile))
}

/// Claims about the user, without those about the token.
fn about_the_user(mut claims: Map<String, Value>) -> Map<String, Value> {
    for name in ["iss", "aud", "exp", "iat", "nbf", "jti", "client_id", "azp", "scope", "nonce"] {
        claims.remove(name);
    }
    claims
}
