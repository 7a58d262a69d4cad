//! An authorization code and its verifier go in, the user's tokens come out (RFC 6749 section 4.1.3, RFC 7636 section 4.6, RFC 8707 section 2.2).

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::form::Form;
use super::grant::LIFE;
use super::oauth_error::OAuthError;
use crate::client::Client;
use crate::mint::TokenBuilder;
use crate::sign_in::Redeemed;
use crate::tenant::Tenant;

pub(super) const GRANT: &str = "authorization_code";

pub(super) fn answer(tenant: &Arc<Tenant>, client: &Client, form: &Form) -> Result<Value, OAuthError> {
    let text = form.one("code")?.ok_or(OAuthError::invalid_request("code is missing"))?;
    let verifier = form.one("code_verifier")?.ok_or(OAuthError::invalid_request("code_verifier is missing"))?;
    let redeemed = tenant.sign_ins().redeem(text, &client.id, tenant.clock.now());
    let code = match redeemed {
        Redeemed::Good(code) => code,
        Redeemed::Unknown => return Err(OAuthError::invalid_grant("the code is unknown or has expired")),
        Redeemed::Again(refresh) => {
            if let Some(refresh) = refresh {
                tenant.grants().revoke(&refresh, &client.id);
            }
            return Err(OAuthError::invalid_grant("the code was redeemed before"));
        }
    };
    if URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())) != code.asked.challenge {
        return Err(OAuthError::invalid_grant("code_verifier does not fit the challenge"));
    }
    // OAuth 2.1 has dropped the parameter; who sends it has to send the same.
    if form.one("redirect_uri")?.is_some_and(|uri| uri != code.asked.redirect_uri) {
        return Err(OAuthError::invalid_grant("redirect_uri is another one than the code was sent to"));
    }
    // RFC 8707 section 2.2: of the resources that the user was asked about.
    let asked: Vec<&str> = form.all("resource").collect();
    if asked.iter().any(|one| !code.asked.resources.iter().any(|granted| granted == one)) {
        return Err(OAuthError::invalid_target());
    }
    let resources = if asked.is_empty() { code.asked.resources.iter().map(String::as_str).collect() } else { asked };

    let mut access =
        TokenBuilder::access(Arc::clone(tenant)).subject(&code.subject).client_id(&client.id).expires_in(LIFE);
    if !resources.is_empty() {
        access = access.audiences(resources);
    }
    let mut answer = json!({ "token_type": "Bearer", "expires_in": LIFE.as_secs() });
    let has = |scope: &str| code.scope.split(' ').any(|one| one == scope);
    if !code.scope.is_empty() {
        access = access.scope(&code.scope);
        answer["scope"] = json!(code.scope);
    }
    answer["access_token"] = json!(access.mint());
    if has("openid") {
        let mut id = TokenBuilder::id(Arc::clone(tenant)).subject(&code.subject).audience(&client.id);
        if let Some(nonce) = &code.asked.nonce {
            id = id.claim("nonce", nonce.as_str());
        }
        answer["id_token"] = json!(id.sealed_for(client).mint());
    }
    if client.refreshes || has("offline_access") {
        let refresh = format!("rt-{}", tenant.unique());
        tenant.grants().issue(refresh.clone(), &code.subject, &client.id, &code.scope);
        tenant.sign_ins().yielded(text, &refresh);
        answer["refresh_token"] = json!(refresh);
    }
    Ok(answer)
}
