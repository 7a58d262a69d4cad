//! The introspection endpoint: a token and a client go in, whether the token is active comes out (RFC 7662 section 2, RFC 9701 section 5).

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value, json};

use super::Routes;
use super::form::Form;
use super::oauth_error::OAuthError;
use crate::mint::TokenBuilder;
use crate::tenant::Tenant;
use crate::traffic::Endpoint;

pub(crate) const PATH: &str = "/introspect";
const SIGNED: &str = "application/token-introspection+jwt";

pub(super) fn routes(tenant: &Tenant) -> Routes {
    vec![(Endpoint::Introspection, format!("{}{PATH}", tenant.path), post(introspect))]
}

pub(super) fn describe(tenant: &Tenant, document: &mut Map<String, Value>) {
    document.insert("introspection_endpoint".to_owned(), json!(tenant.endpoint(PATH)));
    let methods = json!(["client_secret_basic", "client_secret_post"]);
    document.insert("introspection_endpoint_auth_methods_supported".to_owned(), methods);
}

async fn introspect(
    State(tenant): State<Arc<Tenant>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, OAuthError> {
    let form = Form::parse(&headers, &body)?;
    let client = form.client(&tenant, &headers)?;
    let Some(token) = form.one("token")? else { return Err(OAuthError::invalid_request("token is missing")) };
    let answer = match tenant.active_claims(token) {
        Some(mut claims) => {
            claims.insert("active".to_owned(), json!(true));
            claims.entry("token_type").or_insert_with(|| json!("Bearer"));
            Value::Object(claims)
        }
        None => json!({ "active": false }),
    };
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !accept.starts_with(SIGNED) {
        return Ok(super::json(StatusCode::OK, &answer));
    }
    let claims =
        json!({ "iss": tenant.issuer, "aud": client.id, "iat": tenant.now_secs(), "token_introspection": answer });
    let signed = TokenBuilder::access(tenant).header("typ", "token-introspection+jwt").raw_claims(claims.to_string());
    Ok(([(header::CONTENT_TYPE, SIGNED)], signed.mint()).into_response())
}
