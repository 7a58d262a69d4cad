//! Cross-app access: an ID token goes in, an assertion for another server's users comes out; and there it buys an access token
//! (Identity Assertion JWT Authorization Grant, sections 4 and 5; RFC 8693, RFC 7523).

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::form::Form;
use super::grant::{LIFE, check_resource, granted};
use super::oauth_error::OAuthError;
use crate::client::Client;
use crate::mint::TokenBuilder;
use crate::own;
use crate::tenant::{Tenant, claims_of, header_of};

pub(super) const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const TYPE: &str = "oauth-id-jag+jwt";
const ASSERTION_LIFE: Duration = Duration::from_secs(300);

/// The exchange at the identity provider: the user's ID token for an assertion that the server `audience` will take.
/// The client is known there by the same identifier.
pub(super) fn issue(tenant: &Arc<Tenant>, client: &Client, form: &Form) -> Result<Value, OAuthError> {
    let required = |name| form.one(name)?.ok_or(OAuthError::invalid_request("a parameter of the exchange is missing"));
    if required("subject_token_type")? != ID_TOKEN {
        return Err(OAuthError::invalid_request("an identity assertion is issued for an ID token"));
    }
    let refused = OAuthError::invalid_grant("the token is not a good ID token of this issuer for this client");
    let claims = tenant.active_claims(required("subject_token")?).ok_or(refused)?;
    if claims.get("aud") != Some(&json!(client.id)) {
        return Err(refused);
    }
    let resource = required("resource")?;
    check_resource(resource)?;
    let mut assertion = TokenBuilder::access(Arc::clone(tenant))
        .header("typ", TYPE)
        .subject(claims.get("sub").and_then(Value::as_str).unwrap_or_default())
        .audience(required("audience")?)
        .client_id(&client.id)
        .claim("resource", resource)
        .expires_in(ASSERTION_LIFE);
    let scope = granted(client, form.one("scope")?)?;
    let mut answer =
        json!({ "issued_token_type": ID_JAG, "token_type": "N_A", "expires_in": ASSERTION_LIFE.as_secs() });
    if !scope.is_empty() {
        assertion = assertion.scope(&scope);
        answer["scope"] = json!(scope);
    }
    answer["access_token"] = json!(assertion.mint());
    Ok(answer)
}

/// Whether a grant of RFC 7523 brings an identity assertion: its header says so.
pub(super) fn is_one(form: &Form) -> Result<bool, OAuthError> {
    Ok(form.one("assertion")?.and_then(header_of).is_some_and(|header| header.get("typ") == Some(&json!(TYPE))))
}

/// The grant at the server of the resource: an assertion of an identity provider that it trusts, for this client.
pub(super) fn redeem(tenant: &Arc<Tenant>, client: &Client, form: &Form) -> Result<Value, OAuthError> {
    let refused = OAuthError::invalid_grant("the assertion is not a good one of an issuer that is trusted here");
    let text = form.one("assertion")?.ok_or(OAuthError::invalid_request("assertion is missing"))?;
    let claims = verified(tenant, text).ok_or(refused)?;
    let says = |name: &str, value: &str| claims.get(name) == Some(&json!(value));
    if !says("aud", &tenant.issuer) || !says("client_id", &client.id) {
        return Err(refused);
    }
    let claim = |name: &str| claims.get(name).and_then(Value::as_str);
    let resource = claim("resource").ok_or(refused)?;
    if form.all("resource").any(|asked| asked != resource) {
        return Err(OAuthError::invalid_target());
    }
    // Never more than the identity provider has granted.
    let scope = granted(client, form.one("scope")?.or(claim("scope")))?;
    if let Some(most) = claim("scope")
        && !scope.split(' ').all(|one| most.split(' ').any(|granted| granted == one))
    {
        return Err(OAuthError::invalid_scope());
    }
    let mut token = TokenBuilder::access(Arc::clone(tenant))
        .subject(claim("sub").ok_or(refused)?)
        .client_id(&client.id)
        .audience(resource)
        .expires_in(LIFE);
    let mut answer = json!({ "token_type": "Bearer", "expires_in": LIFE.as_secs() });
    if !scope.is_empty() {
        token = token.scope(&scope);
        answer["scope"] = json!(scope);
    }
    answer["access_token"] = json!(token.mint());
    Ok(answer)
}

fn verified(tenant: &Tenant, text: &str) -> Option<Map<String, Value>> {
    let claims = claims_of(text)?;
    let trusted = tenant.trusted.lock().unwrap_or_else(PoisonError::into_inner);
    let provider = trusted.iter().find(|provider| claims.get("iss") == Some(&json!(provider.issuer)))?;
    let lives = claims.get("exp").and_then(Value::as_i64).is_some_and(|exp| exp > tenant.now_secs());
    (lives && own::signed_by(text, &provider.keys().own())).then_some(claims)
}
