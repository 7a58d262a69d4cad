//! A user's refresh or access token goes in, the stored token of an identity provider comes out (Auth0's federated connection exchange).

use std::sync::Arc;

use serde_json::{Value, json};

use super::exchange;
use super::form::Form;
use super::oauth_error::OAuthError;
use crate::client::Client;
use crate::tenant::Tenant;

pub(super) const GRANT: &str = "urn:auth0:params:oauth:grant-type:token-exchange:federated-connection-access-token";

const ISSUED: &str = "http://auth0.com/oauth/token-type/federated-connection-access-token";

pub(super) fn answer(tenant: &Arc<Tenant>, _: &Client, form: &Form) -> Result<Value, OAuthError> {
    let required = |name| form.one(name)?.ok_or(OAuthError::invalid_request("a parameter of the exchange is missing"));
    let connection = required("connection")?;
    let token = required("subject_token")?;
    if required("requested_token_type")? != ISSUED {
        return Err(OAuthError::invalid_request("this type of token is not issued here"));
    }
    let subject = match form.one("subject_token_type")? {
        Some("urn:ietf:params:oauth:token-type:access_token") => {
            exchange::verified(tenant, token)?.subject().unwrap_or_default().to_owned()
        }
        Some("urn:ietf:params:oauth:token-type:refresh_token") => {
            let refused = OAuthError::invalid_grant("unknown or invalid refresh token");
            tenant.grants().peek(token).ok_or(refused)?.subject.clone()
        }
        _ => return Err(OAuthError::invalid_request("subject_token_type is neither access_token nor refresh_token")),
    };
    let grants = tenant.grants();
    let identity = grants.users.get(&subject).and_then(|user| user["identities"].as_array()).and_then(|identities| {
        identities.iter().find(|identity| identity["connection"] == connection && identity["access_token"].is_string())
    });
    let identity = identity.ok_or(OAuthError::access_denied("no identity of the user fits the connection"))?;
    Ok(json!({
        "access_token": identity["access_token"],
        "expires_in": identity.get("expires_in").cloned().unwrap_or(json!(3599)),
        "issued_token_type": ISSUED,
        "token_type": "Bearer",
    }))
}
