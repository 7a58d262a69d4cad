//! A cluster's API server: a token in, whose it is and whether it still holds out (Kubernetes `TokenReview`, `authentication.k8s.io/v1`).

use std::fmt;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::base::http::BoxFuture;
use crate::base::http::freshness::retry_after;
use crate::base::object::object_or_null;
use crate::base::time::Timestamp;
use crate::opaque::{Exchange, OpaqueAnswer, OpaqueError, OpaqueVerifier, media_type};

/// Where the API server is asked.
pub(crate) const PATH: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

const FORBIDDEN: &str =
    "bind the service account that asks to the ClusterRole system:auth-delegator, which may create tokenreviews";
const UNAUTHENTICATED: &str = "the API server does not know the token in bearer_token_file";

/// Asks for a review of each token, for these audiences.
pub(crate) struct TokenReview {
    exchange: Exchange,
    identity: String,
    audiences: Vec<String>,
}

impl TokenReview {
    pub(crate) fn new(exchange: Exchange, audiences: Vec<String>) -> Self {
        let identity = format!("TokenReview {} {}", exchange.uri, json!(audiences));
        Self { exchange, identity, audiences }
    }

    async fn exchange(&self, token: &str) -> Result<OpaqueAnswer, OpaqueError> {
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": self.audiences},
        });
        let mut request = Request::new(Bytes::from(body.to_string()));
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let response = self.exchange.send(request, "application/json").await?;
        process_review(&response, &self.audiences)
    }
}

#[derive(Deserialize)]
struct Review {
    #[serde(default)]
    kind: String,
    #[serde(default, deserialize_with = "object_or_null")]
    status: Option<Status>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    authenticated: Option<bool>,
    #[serde(deserialize_with = "object_or_null")]
    user: Option<User>,
    audiences: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    username: Option<String>,
    uid: Option<String>,
    groups: Option<Vec<String>>,
    extra: Option<Map<String, Value>>,
}

/// Reads a response; sends nothing. A token is good if the server says `authenticated`, and names one of the audiences that were asked for:
/// a server that knows nothing of audiences names none, and means its own.
fn process_review(response: &Response<Bytes>, audiences: &[String]) -> Result<OpaqueAnswer, OpaqueError> {
    match response.status() {
        StatusCode::OK | StatusCode::CREATED => {}
        StatusCode::UNAUTHORIZED => return Err(OpaqueError::ClientRefused { status: 401, hint: UNAUTHENTICATED }),
        StatusCode::FORBIDDEN => return Err(OpaqueError::ClientRefused { status: 403, hint: FORBIDDEN }),
        status => {
            let retry_after = retry_after(response.headers());
            return Err(OpaqueError::Status { status: status.as_u16(), retry_after });
        }
    }
    if media_type(response.headers()) != "application/json" {
        return Err(OpaqueError::Unusable("its media type is not JSON"));
    }
    let unusable = OpaqueError::Unusable("it is no TokenReview with a status");
    if response.body().trim_ascii_start().first() != Some(&b'{') {
        return Err(unusable);
    }
    let review: Review = serde_json::from_slice(response.body()).map_err(|_| unusable.clone())?;
    let Some(status) = review.status.filter(|_| review.kind == "TokenReview") else { return Err(unusable) };
    // `authenticated` is left out where it is false.
    if status.authenticated != Some(true) {
        return Ok(OpaqueAnswer::Inactive);
    }
    let fitting: Vec<_> =
        status.audiences.unwrap_or_default().into_iter().filter(|one| audiences.contains(one)).collect();
    if fitting.is_empty() {
        tracing::warn!(name: "token.review.no_audience", "the API server reviewed a token without naming an audience that was asked for");
        return Ok(OpaqueAnswer::Inactive);
    }
    let user = status.user.unwrap_or_default();
    let Some(username) = user.username.as_deref().filter(|name| !name.is_empty()) else {
        return Err(OpaqueError::Unusable("it names no user"));
    };
    Ok(OpaqueAnswer::Claims(claims(username, &user, &fitting).to_string()))
}

/// The claims of a reviewed token, as a service account's token has them itself.
fn claims(username: &str, user: &User, audiences: &[String]) -> Value {
    let mut claims = json!({ "sub": username, "aud": audiences, "groups": user.groups.as_deref().unwrap_or_default() });
    let account = username.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    if let Some((namespace, name)) = account {
        let mut inner = json!({ "namespace": namespace, "serviceaccount": { "name": name } });
        if let Some(uid) = &user.uid {
            inner["serviceaccount"]["uid"] = json!(uid);
        }
        for (member, kind) in [("pod", "pod"), ("node", "node")] {
            let of = |what: &str| {
                let values = user.extra.as_ref()?.get(&format!("authentication.kubernetes.io/{kind}-{what}"))?;
                values.get(0)?.as_str().map(str::to_owned)
            };
            if let (Some(name), Some(uid)) = (of("name"), of("uid")) {
                inner[member] = json!({ "name": name, "uid": uid });
            }
        }
        claims["kubernetes.io"] = inner;
    }
    claims
}

impl OpaqueVerifier for TokenReview {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn ask<'a>(&'a self, token: &'a str, _: Timestamp) -> BoxFuture<'a, Result<OpaqueAnswer, OpaqueError>> {
        Box::pin(self.exchange(token))
    }
}

impl fmt::Debug for TokenReview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenReview")
            .field("endpoint", &self.exchange.uri)
            .field("audiences", &self.audiences)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(status: u16, media_type: &str, body: &str) -> Result<OpaqueAnswer, OpaqueError> {
        let response = Response::builder().status(status).header("content-type", media_type);
        process_review(&response.body(Bytes::from(body.to_owned())).unwrap(), &["api".to_owned()])
    }

    #[test]
    fn a_token_is_good_if_the_server_says_so_for_an_audience_that_was_asked_for() {
        let review = |status: &str| {
            format!(r#"{{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{status}}}"#)
        };
        let good = r#"{"authenticated":true,"user":{"username":"u"},"audiences":["api"]}"#;
        let json = "application/json";
        // status, media type, body, whether it is good: `None` is our trouble
        for (status, media_type, body, expected) in [
            (201, json, review(good), Some(true)),
            (200, json, review(good), Some(true)),
            (
                201,
                json,
                review(r#"{"authenticated":true,"user":{"username":"u"},"audiences":["other","api"]}"#),
                Some(true),
            ),
            (201, json, review(r#"{"authenticated":false,"user":{},"error":"invalid bearer token"}"#), Some(false)),
            (201, json, review(r#"{"user":{},"error":"[invalid bearer token]"}"#), Some(false)),
            (201, json, review("{}"), Some(false)),
            (201, json, review(r#"{"authenticated":true,"user":{"username":"u"}}"#), Some(false)),
            (201, json, review(r#"{"authenticated":true,"user":{"username":"u"},"audiences":[]}"#), Some(false)),
            (201, json, review(r#"{"authenticated":true,"user":{"username":"u"},"audiences":null}"#), Some(false)),
            (201, json, review(r#"{"authenticated":true,"user":{"username":"u"},"audiences":["other"]}"#), Some(false)),
            (201, json, review(r#"{"authenticated":null,"user":null,"audiences":null}"#), Some(false)),
            (201, json, review(r#"{"authenticated":"true","user":{"username":"u"},"audiences":["api"]}"#), None),
            (201, json, review(r#"{"authenticated":1,"user":{"username":"u"},"audiences":["api"]}"#), None),
            (201, json, review(r#"{"authenticated":true,"user":{},"audiences":["api"]}"#), None),
            (201, json, review(r#"{"authenticated":true,"user":{"username":""},"audiences":["api"]}"#), None),
            (201, json, format!(r#"{{"kind":"Status","status":{good}}}"#), None),
            (201, json, format!(r#"["TokenReview",{good}]"#), None),
            // an array of an object's members is none
            (201, json, review(r#"[true,{"username":"u"},["api"]]"#), None),
            (201, json, review(r#"{"authenticated":true,"user":["u","i",[],{}],"audiences":["api"]}"#), None),
            (201, json, r#"{"kind":"TokenReview"}"#.to_owned(), None),
            (201, json, String::new(), None),
            (201, "text/html", review(good), None),
            (202, json, review(good), None),
            (302, json, review(good), None),
            (401, json, review(good), None),
            (403, json, review(good), None),
            (404, json, review(good), None),
            (409, json, review(good), None),
            (429, json, review(good), None),
            (500, json, review(good), None),
            (503, json, review(good), None),
        ] {
            let seen = process(status, media_type, &body).ok().map(|answer| answer != OpaqueAnswer::Inactive);
            assert_eq!(seen, expected, "{status} {media_type} {body}");
        }
    }

    #[test]
    fn a_service_account_and_the_pod_that_it_is_bound_to_are_claims_as_in_its_own_token() {
        let body = r#"{"kind":"TokenReview","status":{"authenticated":true,"audiences":["api","other"],"user":{
            "username":"system:serviceaccount:shop:web","uid":"u-1","groups":["system:serviceaccounts","system:authenticated"],
            "extra":{"authentication.kubernetes.io/pod-name":["web-7"],"authentication.kubernetes.io/pod-uid":["p-1"],
                     "authentication.kubernetes.io/node-name":["n"]}}}}"#;
        let Ok(OpaqueAnswer::Claims(claims)) = process(201, "application/json", body) else { panic!("no claims") };
        let expected = json!({
            "sub": "system:serviceaccount:shop:web", "aud": ["api"], "groups": ["system:serviceaccounts", "system:authenticated"],
            "kubernetes.io": {
                "namespace": "shop", "serviceaccount": {"name": "web", "uid": "u-1"}, "pod": {"name": "web-7", "uid": "p-1"},
            },
        });
        assert_eq!(serde_json::from_str::<Value>(&claims).unwrap(), expected);
    }

    #[test]
    fn who_may_not_ask_is_told_what_to_bind() {
        let said = |status| process(status, "application/json", "{}").unwrap_err().to_string();
        assert!(said(403).contains("system:auth-delegator"), "{}", said(403));
        assert!(said(401).contains("bearer_token_file"), "{}", said(401));
    }
}
