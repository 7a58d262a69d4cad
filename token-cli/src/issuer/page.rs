//! What the page and `token mint` ask of the development issuer in, tokens and keys out.
//!
//! It is for one machine: requests must name the issuer's own address as host and send JSON, so that no page from elsewhere
//! in the same browser can speak to it.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use token_core::Algorithm;
use token_test::{Endpoint, TestIssuer};

use super::shape;
use super::wrong::{Fault, Wrong};

/// Where tokens are minted.
pub(crate) const MINT: &str = "/development/mint";

/// The issuer, and the fault that is on.
#[derive(Clone, Default)]
struct Page(Arc<Shown>);

#[derive(Default)]
struct Shown {
    issuer: OnceLock<Arc<TestIssuer>>,
    fault: Mutex<Fault>,
}

/// The routes, and how they get to know their issuer.
pub(super) fn routes() -> (Router, impl FnOnce(TestIssuer) -> Arc<TestIssuer>) {
    let page = Page::default();
    let routes = Router::new()
        .route("/", get(index))
        .route("/development/page.js", get(script))
        .route("/development/state", get(state))
        .route(MINT, post(mint))
        .route("/development/rotate", post(rotate))
        .route("/development/fault", post(fault))
        .with_state(page.clone());
    (routes, move |issuer| Arc::clone(page.0.issuer.get_or_init(|| Arc::new(issuer))))
}

impl Page {
    /// The issuer, for a request that comes from its own page or from a program.
    fn issuer(&self, headers: &HeaderMap) -> Result<&Arc<TestIssuer>, Refusal> {
        let issuer = self.0.issuer.get().ok_or(Refusal(StatusCode::SERVICE_UNAVAILABLE, "starting"))?;
        let own = issuer.url().strip_prefix("http://").unwrap_or_default();
        let port = own.rsplit(':').next().unwrap_or_default();
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
        let fits = host == own || host == format!("localhost:{port}");
        if !fits || origin.is_some_and(|origin| origin.strip_prefix("http://") != Some(host)) {
            return Err(Refusal(StatusCode::FORBIDDEN, "not asked by the issuer's own page"));
        }
        Ok(issuer)
    }

    fn fault(&self) -> MutexGuard<'_, Fault> {
        self.0.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Refusal(StatusCode, &'static str);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

type Answer = Result<Json<Value>, Refusal>;

async fn index() -> Response {
    let policy =
        "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'";
    let fields = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, policy)];
    (fields, include_str!("page.html")).into_response()
}

async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("page.js")).into_response()
}

async fn state(State(page): State<Page>, headers: HeaderMap) -> Answer {
    let issuer = page.issuer(&headers)?;
    let keys = issuer.published();
    let hits = json!({
        "discovery": issuer.hits(Endpoint::Discovery), "jwks": issuer.hits(Endpoint::Jwks), "token": issuer.hits(Endpoint::Token),
    });
    Ok(Json(json!({
        "issuer": issuer.url(), "jwks_uri": issuer.jwks_uri(), "audience": issuer.audience(),
        "signing": issuer.signing_key().kid(), "keys": keys, "hits": hits,
        "shapes": shape::shapes(), "secret": TestIssuer::SHARED_SECRET, "fault": *page.fault(),
    })))
}

/// What a token should be.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wish {
    shape: String,
    wrong: Option<Wrong>,
    subject: Option<String>,
    audience: Option<String>,
    scope: Option<String>,
    /// In seconds.
    lifetime: Option<u32>,
    algorithm: Option<Algorithm>,
    claims: Map<String, Value>,
}

async fn mint(State(page): State<Page>, headers: HeaderMap, Json(wish): Json<Wish>) -> Answer {
    let issuer = page.issuer(&headers)?;
    let unknown = Refusal(StatusCode::BAD_REQUEST, "no such shape: this issuer is of another version than who asks it");
    let mut token = shape::token(&wish.shape, issuer).ok_or(unknown)?;
    for (claim, value) in [("sub", wish.subject), ("aud", wish.audience), ("scope", wish.scope)] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            token = token.claim(claim, value);
        }
    }
    for (claim, value) in wish.claims {
        token = token.claim(&claim, value);
    }
    if let Some(seconds) = wish.lifetime {
        token = token.expires_in(Duration::from_secs(seconds.into()));
    }
    if let Some(algorithm) = wish.algorithm {
        token = token.algorithm(algorithm);
    }
    if let Some(wrong) = wish.wrong {
        token = wrong.apply(token, issuer);
    }
    Ok(Json(json!({ "token": token.mint() })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// Withdraws the older keys as well.
    hard: bool,
}

async fn rotate(State(page): State<Page>, headers: HeaderMap, Json(rotation): Json<Rotation>) -> Answer {
    let issuer = page.issuer(&headers)?;
    let key = if rotation.hard { issuer.rotate_hard() } else { issuer.rotate() };
    Ok(Json(json!({ "signing": key.kid() })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    fault: Fault,
}

async fn fault(State(page): State<Page>, headers: HeaderMap, Json(switch): Json<Switch>) -> Answer {
    let issuer = page.issuer(&headers)?;
    let mut current = page.fault();
    switch.fault.apply(issuer);
    *current = switch.fault;
    Ok(Json(json!({ "fault": *current })))
}
