//! A refresh token goes in, new tokens come out; with rotation, and with the family's end when a spent one comes back (RFC 6749 6, RFC 9700 4.14.2).

use std::sync::Arc;

use serde_json::{Value, json};

use super::form::Form;
use super::grant::LIFE;
use super::oauth_error::OAuthError;
use crate::client::Client;
use crate::grants::Presented;
use crate::mint::TokenBuilder;
use crate::tenant::Tenant;

pub(super) const GRANT: &str = "refresh_token";

pub(super) fn answer(tenant: &Arc<Tenant>, client: &Client, form: &Form) -> Result<Value, OAuthError> {
    let token = form.one("refresh_token")?.ok_or(OAuthError::invalid_request("refresh_token is missing"))?;
    let (refresh, next) = {
        let mut grants = tenant.grants();
        let refresh = match grants.present(token, &client.id) {
            Presented::Good(refresh) => refresh,
            Presented::Unknown => return Err(OAuthError::invalid_grant("unknown or invalid refresh token")),
            Presented::Reused => return Err(OAuthError::invalid_grant("refresh token reuse detected")),
        };
        let next = grants.rotating.then(|| format!("rt-{}", tenant.unique()));
        if let Some(next) = &next {
            grants.rotate(next.clone(), refresh.clone());
        }
        (refresh, next)
    };
    // RFC 6749 section 6: never more than was granted.
    let scope = match form.one("scope")? {
        Some(asked) if asked.split(' ').all(|one| refresh.scope.split(' ').any(|granted| granted == one)) => asked,
        Some(_) => return Err(OAuthError::invalid_scope()),
        None => &refresh.scope,
    };
    let mut access =
        TokenBuilder::access(Arc::clone(tenant)).subject(&refresh.subject).client_id(&client.id).expires_in(LIFE);
    let audiences: Vec<&str> = form.all("audience").chain(form.all("resource")).collect();
    if !audiences.is_empty() {
        access = access.audiences(audiences);
    }
    let mut answer = json!({ "token_type": "Bearer", "expires_in": LIFE.as_secs(), "scope": scope });
    answer["access_token"] = json!(access.scope(scope).mint());
    if scope.split(' ').any(|one| one == "openid") {
        let id_token = TokenBuilder::id(Arc::clone(tenant)).subject(&refresh.subject).audience(&client.id);
        answer["id_token"] = json!(id_token.sealed_for(client).mint());
    }
    if let Some(next) = next {
        answer["refresh_token"] = json!(next);
    }
    Ok(answer)
}
