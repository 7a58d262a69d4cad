//! The token endpoint: a grant goes in, an access token or an error comes out (RFC 6749 sections 3.2, 4.4 and 5).

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use super::Routes;
use super::form::Form;
use super::grant::{LIFE, check_resource, granted};
use super::oauth_error::OAuthError;
use super::{client_document, code, exchange, identity_assertion, refresh, vault};
use crate::client::{Client, Proof};
use crate::mint::TokenBuilder;
use crate::tenant::Tenant;
use crate::traffic::Endpoint;

pub(crate) const PATH: &str = "/token";

const GRANTS: [&str; 6] =
    ["client_credentials", code::GRANT, refresh::GRANT, exchange::EXCHANGE, exchange::JWT_BEARER, vault::GRANT];

pub(super) fn routes(tenant: &Tenant) -> Routes {
    let at = |path: &str| (Endpoint::Token, format!("{}{path}", tenant.path), post(token));
    // The second is where Auth0 has it.
    vec![at(PATH), at("/oauth/token")]
}

pub(super) fn describe(tenant: &Tenant, document: &mut Map<String, Value>) {
    document.insert("token_endpoint".to_owned(), json!(tenant.endpoint(PATH)));
    document.insert("grant_types_supported".to_owned(), json!(GRANTS));
    let methods = json!(["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]);
    document.insert("token_endpoint_auth_methods_supported".to_owned(), methods);
    let algorithms = json!(["RS256", "PS256", "ES256", "ES384", "EdDSA"]);
    document.insert("token_endpoint_auth_signing_alg_values_supported".to_owned(), algorithms);
    client_document::describe(document);
}

async fn token(State(tenant): State<Arc<Tenant>>, headers: HeaderMap, body: Bytes) -> Result<Response, OAuthError> {
    let form = Form::parse(&headers, &body)?;
    if let Some(id) = form.one("client_id")? {
        // One that is only known by its document may come here first, without a user. Who it is gets proved below.
        let _ = client_document::known(&tenant, id).await;
    }
    let client = form.client(&tenant, &headers)?;
    form.all("resource").try_for_each(check_resource)?;
    let answer = match form.one("grant_type")? {
        Some("client_credentials") if matches!(client.proof, Proof::Nothing) => {
            return Err(OAuthError::unauthorized_client());
        }
        Some("client_credentials") => client_credentials(&tenant, &client, &form)?,
        Some(code::GRANT) => code::answer(&tenant, &client, &form)?,
        Some(refresh::GRANT) => refresh::answer(&tenant, &client, &form)?,
        Some(exchange::EXCHANGE) => exchange::exchange(&tenant, &client, &form)?,
        Some(exchange::JWT_BEARER) if identity_assertion::is_one(&form)? => {
            identity_assertion::redeem(&tenant, &client, &form)?
        }
        Some(exchange::JWT_BEARER) => exchange::jwt_bearer(&tenant, &client, &form)?,
        Some(vault::GRANT) => vault::answer(&tenant, &client, &form)?,
        Some(_) => return Err(OAuthError::unsupported_grant_type()),
        None => return Err(OAuthError::invalid_request("grant_type is missing")),
    };
    let mut response = super::json(StatusCode::OK, &answer);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// RFC 6749 section 4.4. The audience is what the request names, by `audience` or `resource`, or the issuer's own.
fn client_credentials(tenant: &Arc<Tenant>, client: &Client, form: &Form) -> Result<Value, OAuthError> {
    let scope = granted(client, form.one("scope")?)?;
    let audiences: Vec<&str> = form.all("audience").chain(form.all("resource")).collect();
    let mut token = TokenBuilder::access(Arc::clone(tenant)).subject(&client.id).client_id(&client.id).expires_in(LIFE);
    if !audiences.is_empty() {
        token = token.audiences(audiences);
    }
    let mut answer = json!({ "token_type": "Bearer", "expires_in": LIFE.as_secs() });
    if !scope.is_empty() {
        token = token.scope(&scope);
        answer["scope"] = json!(scope);
    }
    answer["access_token"] = json!(token.mint());
    Ok(answer)
}
