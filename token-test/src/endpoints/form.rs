//! Headers and body of a form post go in, its parameters and the authenticated client come out (RFC 6749 2.3.1, 3.2).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use token_core::{Audience, Issuer, Presented, ResourceServer, StaticKeys};
use url::form_urlencoded;

use super::oauth_error::OAuthError;
use crate::client::{Client, Proof};
use crate::tenant::Tenant;

/// RFC 7523 section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The parameters of one request; those without a value count as absent.
#[derive(Debug)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Self, OAuthError> {
        let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/json") {
            return Self::from_json(body);
        }
        if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(OAuthError::invalid_request("the body must be application/x-www-form-urlencoded"));
        }
        let pairs = form_urlencoded::parse(body).into_owned().filter(|(_, value)| !value.is_empty());
        Ok(Self(pairs.collect()))
    }

    /// The parameters of a query.
    pub(super) fn query(query: &str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
        Self(pairs.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// One JSON object of strings: not in RFC 6749, but what Auth0 takes too and its own Python SDK sends.
    fn from_json(body: &[u8]) -> Result<Self, OAuthError> {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(body)
            .map_err(|_| OAuthError::invalid_request("the body must be a form or a JSON object"))?;
        let text = |(name, value): (String, serde_json::Value)| Some((name, value.as_str()?.to_owned()));
        Ok(Self(object.into_iter().filter_map(text).filter(|(_, value)| !value.is_empty()).collect()))
    }

    /// A parameter that may be sent once.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, OAuthError> {
        let mut values = self.all(name);
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err(OAuthError::invalid_request("a parameter was sent more than once")),
        }
    }

    /// A parameter that may be sent several times, as `audience` and `resource` may (RFC 8693 2.1, RFC 8707 2).
    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The client, by `client_secret_basic`, `client_secret_post` or `private_key_jwt`, or by its name alone where it is a public one;
    /// two ways at once are refused.
    pub(super) fn client(&self, tenant: &Tenant, headers: &HeaderMap) -> Result<Client, OAuthError> {
        let (basic, id) = (basic(headers)?, self.one("client_id")?);
        let (secret, assertion) = (self.one("client_secret")?, self.one("client_assertion")?);
        if [basic.is_some(), secret.is_some(), assertion.is_some()].iter().filter(|sent| **sent).count() > 1 {
            return Err(OAuthError::invalid_request("more than one way to authenticate"));
        }
        let id = match (&basic, id) {
            (Some((id, _)), None) => id.as_str(),
            (Some((id, _)), Some(named)) if id == named => named,
            (Some(_), Some(_)) => return Err(OAuthError::invalid_request("two names of a client")),
            (None, Some(named)) => named,
            (None, None) => return Err(OAuthError::invalid_client()),
        };
        let client = tenant.clients().get(id).cloned().ok_or(OAuthError::invalid_client())?;
        let secret = basic.as_ref().map(|(_, secret)| secret.as_str()).or(secret);
        let proved = match (&client.proof, secret, assertion) {
            (Proof::Nothing, None, None) => true,
            (Proof::Secret(known), Some(sent), None) => known == sent,
            (Proof::Keys(keys), None, Some(assertion)) => {
                self.one("client_assertion_type")? == Some(ASSERTION_TYPE)
                    && signed(tenant, &client.id, keys, assertion)
            }
            _ => false,
        };
        if proved { Ok(client) } else { Err(OAuthError::invalid_client()) }
    }
}

/// Whether the assertion is one of RFC 7523 section 3: by the client about itself, for this issuer, signed with one of its keys.
fn signed(tenant: &Tenant, id: &str, keys: &serde_json::Value, assertion: &str) -> bool {
    let audiences = [tenant.issuer.clone(), tenant.endpoint(super::TOKEN_PATH)];
    let gate = StaticKeys::jwk_set(&keys.to_string()).and_then(|keys| Issuer::with_keys(id, keys)).and_then(|client| {
        let client = client.audience(Audience::any_of(audiences));
        ResourceServer::builder(tenant.issuer.as_str()).trust(client).clock(Arc::clone(&tenant.clock)).build()
    });
    let verified = gate.map(|gate| gate.authenticate(Presented::token(assertion)).now());
    matches!(verified, Ok(Ok(Ok(verified))) if verified.subject() == Some(id))
}

/// The credentials of `Authorization: Basic`, form-encoded before they were joined as RFC 6749 2.3.1 has it.
fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, OAuthError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let read = || {
        let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
        let joined = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
        let (id, secret) = joined.split_once(':')?;
        scheme.eq_ignore_ascii_case("basic").then(|| (form_decode(id), form_decode(secret)))
    };
    read().map(Some).ok_or(OAuthError::invalid_client())
}

fn form_decode(text: &str) -> String {
    // One name without `=` or `&` (they are encoded) reads as one pair with an empty value.
    form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}
