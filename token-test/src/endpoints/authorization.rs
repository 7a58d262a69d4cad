//! An authorization request goes in, the consent page or a redirect with a code comes out (RFC 6749 4.1.1, RFC 7636, RFC 8707 2.1, RFC 9207).

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};
use url::Url;

use super::form::Form;
use super::grant::{check_resource, granted};
use super::oauth_error::OAuthError;
use super::{Routes, client_document, consent};
use crate::client::Client;
use crate::sign_in::Asked;
use crate::tenant::Tenant;
use crate::traffic::Endpoint;

pub(crate) const PATH: &str = "/authorize";

pub(super) fn routes(tenant: &Tenant) -> Routes {
    vec![(Endpoint::Authorization, format!("{}{PATH}", tenant.path), get(authorize).post(decide))]
}

pub(super) fn describe(tenant: &Tenant, document: &mut Map<String, Value>) {
    document.insert("authorization_endpoint".to_owned(), json!(tenant.endpoint(PATH)));
    document.insert("response_types_supported".to_owned(), json!(["code"]));
    document.insert("response_modes_supported".to_owned(), json!(["query"]));
    document.insert("code_challenge_methods_supported".to_owned(), json!(["S256"]));
    document.insert("authorization_response_iss_parameter_supported".to_owned(), json!(true));
    document.insert("scopes_supported".to_owned(), json!(["openid", "offline_access"]));
}

async fn authorize(State(tenant): State<Arc<Tenant>>, RawQuery(query): RawQuery) -> Response {
    let form = Form::query(query.as_deref().unwrap_or_default());
    // Until client and redirect URI are known to belong together, errors go to the user and to nobody else (RFC 6749 section 4.1.2.1).
    let (client, redirect_uri) = match addressee(&tenant, &form).await {
        Ok(known) => known,
        Err(error) => return consent::refused(&error),
    };
    let asked = match asked(&client, &form, &redirect_uri) {
        Ok(asked) => asked,
        Err(error) => {
            let state = form.one("state").ok().flatten();
            return redirect(
                &tenant,
                &redirect_uri,
                state,
                &[("error", error.code()), ("error_description", error.text())],
            );
        }
    };
    let at_once = tenant.sign_ins().at_once.clone();
    match at_once {
        Some(subject) => grant(&tenant, asked, &subject, None),
        None => {
            let ticket = tenant.unique();
            let page = consent::page(&tenant, PATH, &client, &asked, &ticket);
            tenant.sign_ins().wait(ticket, asked);
            page
        }
    }
}

/// What the user said on the consent page: the ticket stands for the request, which was checked when the page was shown.
async fn decide(State(tenant): State<Arc<Tenant>>, headers: HeaderMap, body: Bytes) -> Response {
    let answer = match Form::parse(&headers, &body) {
        Ok(answer) => answer,
        Err(error) => return consent::refused(&error),
    };
    let one = |name| answer.one(name).ok().flatten();
    let asked = one("ticket").and_then(|ticket| tenant.sign_ins().take(ticket));
    let Some(asked) = asked else {
        return consent::refused(&OAuthError::invalid_request(
            "this page has been answered already, or is not of this issuer",
        ));
    };
    if one("decision") != Some("allow") {
        let error = [("error", "access_denied"), ("error_description", "the user said no")];
        return redirect(&tenant, &asked.redirect_uri, asked.state.as_deref(), &error);
    }
    let scopes: Vec<&str> = answer.all("scope").collect();
    let subject = one("subject").unwrap_or("test-user").to_owned();
    grant(&tenant, asked, &subject, Some(&scopes))
}

/// The client, and the redirect URI if it is one of its own.
async fn addressee(tenant: &Arc<Tenant>, form: &Form) -> Result<(Client, String), OAuthError> {
    let id = form.one("client_id")?.ok_or(OAuthError::invalid_request("client_id is missing"))?;
    let client = client_document::known(tenant, id).await?;
    let redirect_uri = match (form.one("redirect_uri")?, client.redirect_uris.as_slice()) {
        (Some(uri), _) if client.may_be_sent_to(uri) => uri.to_owned(),
        (Some(_), _) => {
            return Err(OAuthError::invalid_request("redirect_uri is not one that the client has registered"));
        }
        (None, [only]) => only.clone(),
        (None, _) => return Err(OAuthError::invalid_request("redirect_uri is missing")),
    };
    Ok((client, redirect_uri))
}

fn asked(client: &Client, form: &Form, redirect_uri: &str) -> Result<Asked, OAuthError> {
    match form.one("response_type")? {
        Some("code") => {}
        Some(_) => return Err(OAuthError::unsupported_response_type()),
        None => return Err(OAuthError::invalid_request("response_type is missing")),
    }
    // OAuth 2.1 section 4.1.1: every client sends a challenge; `plain` protects nobody.
    let challenge = match (form.one("code_challenge")?, form.one("code_challenge_method")?) {
        (Some(challenge), Some("S256")) if challenge.len() == 43 => challenge.to_owned(),
        _ => return Err(OAuthError::invalid_request("code_challenge with code_challenge_method=S256 is required")),
    };
    let resources: Vec<String> = form.all("resource").map(str::to_owned).collect();
    resources.iter().try_for_each(|resource| check_resource(resource))?;
    let owned = |name| form.one(name).map(|value| value.map(str::to_owned));
    Ok(Asked {
        client_id: client.id.clone(),
        redirect_uri: redirect_uri.to_owned(),
        state: owned("state")?,
        nonce: owned("nonce")?,
        scope: granted(client, form.one("scope")?)?,
        resources,
        challenge,
    })
}

/// A code for what was asked, or for the part of it that the user left on the page.
fn grant(tenant: &Tenant, asked: Asked, subject: &str, kept: Option<&[&str]>) -> Response {
    let scopes = asked.scope.split(' ').filter(|scope| kept.is_none_or(|kept| kept.contains(scope)));
    let scope = scopes.collect::<Vec<_>>().join(" ");
    let code = format!("code-{}", tenant.unique());
    let response = redirect(tenant, &asked.redirect_uri, asked.state.as_deref(), &[("code", &code)]);
    tenant.sign_ins().issue(code, asked, subject, scope, tenant.clock.now());
    response
}

/// Back to the client, with `iss` beside whatever it is told (RFC 9207 section 2).
fn redirect(tenant: &Tenant, to: &str, state: Option<&str>, parameters: &[(&str, &str)]) -> Response {
    let Ok(mut url) = Url::parse(to) else {
        return consent::refused(&OAuthError::invalid_request("redirect_uri is not a URI"));
    };
    let mut query = url.query_pairs_mut();
    query.extend_pairs(parameters);
    if let Some(state) = state {
        query.append_pair("state", state);
    }
    query.append_pair("iss", &tenant.issuer);
    drop(query);
    let location = HeaderValue::from_str(url.as_str()).expect("a URL is printable ASCII");
    (StatusCode::FOUND, [(header::LOCATION, location), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))])
        .into_response()
}
