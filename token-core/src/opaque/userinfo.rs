//! Endpoints that take a good token and answer with claims: `/userinfo` (OpenID Connect Core 5.3) and Auth0's legacy `/tokeninfo`.

use std::fmt;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::base::http::BoxFuture;
use crate::base::http::freshness::retry_after;
use crate::base::time::Timestamp;
use crate::claims;
use crate::jose::base64url;
use crate::opaque::{Exchange, OpaqueAnswer, OpaqueError, OpaqueVerifier, media_type};

/// Asks by presenting the token.
pub(crate) struct UserInfo {
    exchange: Exchange,
    identity: String,
    protocol: Protocol,
    signed_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    UserInfo,
    TokenInfo,
}

impl UserInfo {
    pub(crate) fn new(exchange: Exchange, protocol: Protocol, signed_only: bool) -> Self {
        let identity = format!("{protocol:?} {} {signed_only}", exchange.uri);
        Self { exchange, identity, protocol, signed_only }
    }

    async fn exchange(&self, token: &str) -> Result<OpaqueAnswer, OpaqueError> {
        let (request, accept) = match self.protocol {
            Protocol::UserInfo => (userinfo_request(token)?, "application/json, application/jwt;q=0.9"),
            Protocol::TokenInfo => (tokeninfo_request(token), "application/json"),
        };
        let response = self.exchange.send(request, accept).await?;
        let answer = process_answer(&response, self.signed_only)?;
        match (self.protocol, answer) {
            (Protocol::TokenInfo, OpaqueAnswer::Claims(profile)) => with_claims_of(token, &profile),
            (_, answer) => Ok(answer),
        }
    }
}

/// OpenID Connect Core section 5.3.1.
fn userinfo_request(token: &str) -> Result<Request<Bytes>, OpaqueError> {
    let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| OpaqueError::Misconfigured("the token does not fit a header"))?;
    bearer.set_sensitive(true);
    let mut request = Request::new(Bytes::new());
    request.headers_mut().insert(AUTHORIZATION, bearer);
    Ok(request)
}

fn tokeninfo_request(token: &str) -> Request<Bytes> {
    let mut request = Request::new(Bytes::from(json!({ "id_token": token }).to_string()));
    *request.method_mut() = Method::POST;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request
}

/// Reads a response; sends nothing.
fn process_answer(response: &Response<Bytes>, signed_only: bool) -> Result<OpaqueAnswer, OpaqueError> {
    let (status, headers) = (response.status(), response.headers());
    if refuses_the_token(status, headers, response.body()) {
        return Ok(OpaqueAnswer::Inactive);
    }
    if status != StatusCode::OK {
        return Err(OpaqueError::Status { status: status.as_u16(), retry_after: retry_after(headers) });
    }
    let text = std::str::from_utf8(response.body()).map_err(|_| OpaqueError::Unusable("it is not UTF-8"))?;
    match media_type(headers).as_str() {
        "application/jwt" => Ok(OpaqueAnswer::SignedUserInfo(text.trim().to_owned())),
        "application/json" if signed_only => Err(OpaqueError::Unusable("it is not signed, and only signed ones count")),
        "application/json" => match serde_json::from_str::<Map<String, Value>>(text) {
            Ok(members) if members.is_empty() => Err(OpaqueError::Unusable("it has no claims")),
            // Some report an error with status 200; no claim is called that.
            Ok(members) if members.contains_key("error") => {
                Err(OpaqueError::Unusable("it is an error with status 200"))
            }
            Ok(_) => Ok(OpaqueAnswer::Claims(text.to_owned())),
            Err(_) => Err(OpaqueError::Unusable("it is not one JSON object")),
        },
        _ => Err(OpaqueError::Unusable("its media type is neither JSON nor JWT")),
    }
}

/// RFC 6750 section 3.1: the endpoint speaks of the token, and not of its own trouble. 401 always does; 400 and 403, which anything on
/// the way may send, only with a word that says so.
fn refuses_the_token(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> bool {
    match status.as_u16() {
        401 => true,
        400 | 403 => {
            let challenge = headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            let code = body.get("error").and_then(Value::as_str).unwrap_or_default();
            ["invalid_token", "insufficient_scope", "invalid_grant"]
                .iter()
                .any(|word| code == *word || challenge.contains(word))
        }
        _ => false,
    }
}

/// The profile, and over it what the token says itself: the endpoint has just vouched for the token.
fn with_claims_of(token: &str, profile: &str) -> Result<OpaqueAnswer, OpaqueError> {
    let unusable = || OpaqueError::Unusable("the token that it took is not a JWT");
    let payload = token.split('.').nth(1).and_then(|part| base64url::decode(part.as_bytes())).ok_or_else(unusable)?;
    // Where a member occurs twice the endpoint may have read the other one.
    let payload = String::from_utf8(payload).map_err(|_| unusable())?;
    let (payload, _) = claims::parse(payload, "").map_err(|_| unusable())?;
    let claims: Map<String, Value> = serde_json::from_str(payload.json()).map_err(|_| unusable())?;
    let mut members: Map<String, Value> = serde_json::from_str(profile).map_err(|_| unusable())?;
    let subject = claims.get("sub");
    if subject.is_none()
        || ["sub", "user_id"].iter().any(|name| members.get(*name).is_some_and(|id| Some(id) != subject))
    {
        return Err(OpaqueError::Unusable("it speaks of another subject than the token"));
    }
    for name in ["iss", "sub", "aud", "exp", "iat", "nbf"] {
        match claims.get(name) {
            Some(value) => members.insert(name.to_owned(), value.clone()),
            None => members.remove(name),
        };
    }
    Ok(OpaqueAnswer::Claims(Value::Object(members).to_string()))
}

impl OpaqueVerifier for UserInfo {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn ask<'a>(&'a self, token: &'a str, _: Timestamp) -> BoxFuture<'a, Result<OpaqueAnswer, OpaqueError>> {
        Box::pin(self.exchange(token))
    }
}

impl fmt::Debug for UserInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserInfo")
            .field("protocol", &self.protocol)
            .field("endpoint", &self.exchange.uri)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(status: u16, media_type: &str, body: &str, signed_only: bool) -> Result<OpaqueAnswer, OpaqueError> {
        let response = Response::builder().status(status).header("content-type", media_type);
        process_answer(&response.body(Bytes::from(body.to_owned())).unwrap(), signed_only)
    }

    #[test]
    fn a_token_is_good_if_the_endpoint_answers_with_claims() {
        let json = "application/json";
        for (status, media_type, body, expected) in [
            (200, json, r#"{"sub":"ada"}"#, Ok(OpaqueAnswer::Claims(r#"{"sub":"ada"}"#.to_owned()))),
            (200, "application/jwt", "a.b.c", Ok(OpaqueAnswer::SignedUserInfo("a.b.c".to_owned()))),
            (401, "text/plain", "Unauthorized", Ok(OpaqueAnswer::Inactive)),
            (403, json, r#"{"error":"insufficient_scope"}"#, Ok(OpaqueAnswer::Inactive)),
            (400, json, r#"{"error":"invalid_token"}"#, Ok(OpaqueAnswer::Inactive)),
            (403, "text/html", "<p>firewall", Err(())),
            (400, json, r#"{"error":"invalid_request"}"#, Err(())),
            (200, json, r#"{"error":"invalid_token"}"#, Err(())),
            (200, json, "{}", Err(())),
            (200, json, "[]", Err(())),
            (200, "text/html", "<p>sign in", Err(())),
            (302, json, r#"{"sub":"ada"}"#, Err(())),
            (500, json, r#"{"sub":"ada"}"#, Err(())),
        ] {
            assert_eq!(process(status, media_type, body, false).map_err(drop), expected, "{status} {body}");
        }
        assert!(process(200, json, r#"{"sub":"ada"}"#, true).is_err(), "only signed ones count");
    }

    #[test]
    fn a_refusal_may_be_in_the_challenge() {
        let response = Response::builder().status(403).header("www-authenticate", r#"Bearer error="invalid_token""#);
        let response = response.body(Bytes::new()).unwrap();
        assert_eq!(process_answer(&response, false), Ok(OpaqueAnswer::Inactive));
    }

    #[test]
    fn what_the_id_token_says_itself_wins_over_the_profile() {
        let token = |claims: Value| format!("h.{}.s", base64url::encode(claims.to_string().as_bytes()));
        let good = token(json!({"iss": "i", "sub": "ada", "aud": "app", "exp": 9}));
        let merged = with_claims_of(&good, r#"{"user_id":"ada","email":"a@b","aud":"other","nbf":1}"#);
        let Ok(OpaqueAnswer::Claims(merged)) = merged else { panic!("no claims") };
        let merged: Value = serde_json::from_str(&merged).unwrap();
        let expected = json!({"iss": "i", "sub": "ada", "aud": "app", "exp": 9, "user_id": "ada", "email": "a@b"});
        assert_eq!(merged, expected);
        assert!(with_claims_of(&good, r#"{"sub":"bob"}"#).is_err(), "another subject");
        assert!(with_claims_of(&token(json!({"aud": "app"})), "{}").is_err(), "no subject");
        let twice = format!("h.{}.s", base64url::encode(br#"{"sub":"ada","aud":"x","aud":"app"}"#));
        assert!(with_claims_of(&twice, r#"{"sub":"ada"}"#).is_err(), "a claim twice");
        assert!(with_claims_of("opaque", r#"{"sub":"ada"}"#).is_err());
    }
}
