//! A user's token goes in, one for the next service comes out, with the actor in it (RFC 8693 section 2; RFC 7523 as Entra's on-behalf-of).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use token_core::{Audience, Issuer, Presented, ResourceServer, StaticKeys, Verified};

use super::form::Form;
use super::grant::{LIFE, granted};
use super::identity_assertion;
use super::oauth_error::OAuthError;
use crate::client::Client;
use crate::mint::TokenBuilder;
use crate::tenant::Tenant;

pub(super) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// RFC 8693. Access tokens of this issuer go in, as `access_token` or `jwt`; the same types come out.
pub(super) fn exchange(tenant: &Arc<Tenant>, client: &Client, form: &Form) -> Result<Value, OAuthError> {
    if form.one("requested_token_type")? == Some(identity_assertion::ID_JAG) {
        return identity_assertion::issue(tenant, client, form);
    }
    let subject = token(tenant, form, "subject_token", "subject_token_type")?
        .ok_or(OAuthError::invalid_request("subject_token is missing"))?;
    let actor = token(tenant, form, "actor_token", "actor_token_type")?;
    let requested = form.one("requested_token_type")?.unwrap_or(ACCESS_TOKEN);
    if requested != ACCESS_TOKEN && requested != JWT {
        return Err(OAuthError::invalid_request("this type of token is not issued here"));
    }
    let act = actor.as_ref().map(|actor| actor.subject().unwrap_or_default());
    let mut answer = delegated(tenant, client, form, &subject, act)?;
    answer["issued_token_type"] = json!(requested);
    Ok(answer)
}

/// RFC 7523 section 2.1, with `requested_token_use=on_behalf_of`: the client itself is the actor.
pub(super) fn jwt_bearer(tenant: &Arc<Tenant>, client: &Client, form: &Form) -> Result<Value, OAuthError> {
    let assertion = form.one("assertion")?.ok_or(OAuthError::invalid_request("assertion is missing"))?;
    let subject = verified(tenant, assertion)?;
    let act = match form.one("requested_token_use")? {
        Some("on_behalf_of") => Some(client.id.as_str()),
        Some(_) => return Err(OAuthError::invalid_request("requested_token_use is on_behalf_of or absent")),
        None => None,
    };
    delegated(tenant, client, form, &subject, act)
}

fn delegated(
    tenant: &Arc<Tenant>,
    client: &Client,
    form: &Form,
    subject: &Verified,
    act: Option<&str>,
) -> Result<Value, OAuthError> {
    let scope = granted(client, form.one("scope")?)?;
    // What is issued ends with what it was issued for.
    let left = subject.expires_at().map_or(LIFE, |end| end.since(tenant.clock.now())).min(LIFE);
    let life = Duration::from_secs(left.as_secs());
    let mut token = TokenBuilder::access(Arc::clone(tenant))
        .subject(subject.subject().unwrap_or_default())
        .client_id(&client.id)
        .expires_in(life);
    let audiences: Vec<&str> = form.all("audience").chain(form.all("resource")).collect();
    if !audiences.is_empty() {
        token = token.audiences(audiences);
    }
    let claims: Value = serde_json::from_str(subject.claims_json()).unwrap_or_default();
    match (act, claims.get("act")) {
        // RFC 8693 section 4.1: the present actor outside, those before it inside.
        (Some(actor), Some(before)) => token = token.claim("act", json!({ "sub": actor, "act": before })),
        (Some(actor), None) => token = token.claim("act", json!({ "sub": actor })),
        (None, Some(before)) => token = token.claim("act", before.clone()),
        (None, None) => {}
    }
    let mut answer = json!({ "token_type": "Bearer", "expires_in": life.as_secs() });
    if !scope.is_empty() {
        token = token.scope(&scope);
        answer["scope"] = json!(scope);
    }
    answer["access_token"] = json!(token.mint());
    Ok(answer)
}

fn token(tenant: &Tenant, form: &Form, name: &str, type_name: &str) -> Result<Option<Verified>, OAuthError> {
    match (form.one(name)?, form.one(type_name)?) {
        (Some(text), Some(ACCESS_TOKEN | JWT)) => verified(tenant, text).map(Some),
        (Some(_), _) => {
            Err(OAuthError::invalid_request("a token without its type, or of a type that is not taken here"))
        }
        (None, _) => Ok(None),
    }
}

/// A token of this issuer, for whatever audience, through the same gate that everybody uses.
pub(super) fn verified(tenant: &Tenant, text: &str) -> Result<Verified, OAuthError> {
    let refused = OAuthError::invalid_grant("the token is not a good access token of this issuer");
    let keys = json!({ "keys": tenant.keys().jwks() }).to_string();
    let gate = StaticKeys::jwk_set(&keys).and_then(|keys| Issuer::with_keys(tenant.issuer.as_str(), keys)).and_then(
        |issuer| {
            let issuer = issuer.audience(Audience::dangerously_unchecked()).algorithms([tenant.algorithm]);
            ResourceServer::builder("any").trust(issuer).clock(Arc::clone(&tenant.clock)).build()
        },
    );
    let gate = gate.map_err(|_| refused)?;
    match gate.authenticate(Presented::token(text)).now() {
        Ok(Ok(verified)) => Ok(verified),
        _ => Err(refused),
    }
}
