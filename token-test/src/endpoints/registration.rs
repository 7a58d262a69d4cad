//! Metadata of a client nobody knew goes in, its identifier comes out (RFC 7591 sections 2 and 3).

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};
use url::Url;

use super::Routes;
use super::oauth_error::OAuthError;
use crate::client::{Client, Proof};
use crate::tenant::Tenant;
use crate::traffic::Endpoint;

pub(crate) const PATH: &str = "/register";

pub(super) fn routes(tenant: &Tenant) -> Routes {
    vec![(Endpoint::Registration, format!("{}{PATH}", tenant.path), post(register))]
}

pub(super) fn describe(tenant: &Tenant, document: &mut Map<String, Value>) {
    document.insert("registration_endpoint".to_owned(), json!(tenant.endpoint(PATH)));
}

async fn register(State(tenant): State<Arc<Tenant>>, body: Bytes) -> Result<Response, OAuthError> {
    let metadata: Map<String, Value> = serde_json::from_slice(&body)
        .map_err(|_| OAuthError::invalid_client_metadata("the body must be a JSON object"))?;
    let id = format!("client-{}", tenant.unique());
    let secret = format!("secret-{}", tenant.unique());
    let client = client(&id, &secret, &metadata)?;
    let mut answer = metadata;
    answer.insert("client_id".to_owned(), json!(id));
    answer.insert("client_id_issued_at".to_owned(), json!(tenant.now_secs()));
    answer.insert("token_endpoint_auth_method".to_owned(), json!(method(&answer)));
    if client.secret().is_some() {
        answer.insert("client_secret".to_owned(), json!(secret));
        answer.insert("client_secret_expires_at".to_owned(), json!(0));
    }
    tenant.clients().insert(id, client);
    let mut response = super::json(StatusCode::CREATED, &Value::Object(answer));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// RFC 7591 section 2: what is absent has a default.
fn method(metadata: &Map<String, Value>) -> &str {
    metadata.get("token_endpoint_auth_method").and_then(Value::as_str).unwrap_or("client_secret_basic")
}

/// The client that this metadata describes, from a registration or from a document of its own.
pub(super) fn client(id: &str, secret: &str, metadata: &Map<String, Value>) -> Result<Client, OAuthError> {
    let proof = match method(metadata) {
        "none" => Proof::Nothing,
        "client_secret_basic" | "client_secret_post" => Proof::Secret(secret.to_owned()),
        "private_key_jwt" => match metadata.get("jwks") {
            Some(keys) if keys.is_object() => Proof::Keys(keys.clone()),
            _ => {
                return Err(OAuthError::invalid_client_metadata(
                    "private_key_jwt needs jwks; jwks_uri is not fetched here",
                ));
            }
        },
        _ => return Err(OAuthError::invalid_client_metadata("this token_endpoint_auth_method is not offered here")),
    };
    let texts = |name: &str| -> Option<Vec<String>> {
        metadata.get(name)?.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let grants = texts("grant_types").unwrap_or_else(|| vec!["authorization_code".to_owned()]);
    let redirect_uris = texts("redirect_uris").unwrap_or_default();
    let signs_in = grants.iter().any(|grant| grant == super::code::GRANT);
    if signs_in && redirect_uris.is_empty() || !redirect_uris.iter().all(|uri| may_be_registered(uri)) {
        return Err(OAuthError::invalid_redirect_uri());
    }
    let mut client = Client::new(id, proof);
    client.redirect_uris = redirect_uris;
    client.name = metadata.get("client_name").and_then(Value::as_str).map(str::to_owned);
    client.refreshes = grants.iter().any(|grant| grant == super::refresh::GRANT);
    // What `scope` says is where the client means to begin: MCP clients register before they know what they will be asked for later.
    Ok(client)
}

/// https anywhere, http to this machine, or a scheme of an application's own (RFC 8252 section 7); never with a fragment.
fn may_be_registered(uri: &str) -> bool {
    let Ok(url) = Url::parse(uri) else { return false };
    let scheme = match url.scheme() {
        "https" => true,
        "http" => matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost")),
        "javascript" | "data" | "file" | "blob" | "about" => false,
        _ => true,
    };
    scheme && url.fragment().is_none()
}
