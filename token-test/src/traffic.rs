//! The requests that came to each endpoint, counted, and the fault that is on there.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use tokio::sync::watch;

/// An endpoint of the issuer, as faults and hit counters name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// Both well-known documents: OpenID Connect Discovery and RFC 8414.
    Discovery,
    /// The JWK Set.
    Jwks,
    /// The authorization endpoint, and the consent page behind it.
    Authorization,
    /// The registration endpoint (RFC 7591).
    Registration,
    /// The token endpoint.
    Token,
    /// The revocation endpoint (RFC 7009).
    Revocation,
    /// Auth0's legacy delegation endpoint.
    Delegation,
    /// The supported part of Auth0's Management API.
    Management,
    /// The introspection endpoint (RFC 7662).
    Introspection,
    /// The userinfo endpoint (OpenID Connect Core section 5.3).
    UserInfo,
    /// Auth0's legacy endpoint for ID tokens.
    TokenInfo,
    /// The status lists (Token Status List).
    StatusList,
}

impl Endpoint {
    /// Every endpoint.
    pub const ALL: &[Self] = &[
        Self::Discovery,
        Self::Jwks,
        Self::Authorization,
        Self::Registration,
        Self::Token,
        Self::Revocation,
        Self::Delegation,
        Self::Management,
        Self::Introspection,
        Self::UserInfo,
        Self::TokenInfo,
        Self::StatusList,
    ];
}

/// The faults that are on, and the requests that came in.
#[derive(Debug)]
pub(crate) struct Traffic {
    faults: Mutex<HashMap<Endpoint, Fault>>,
    changed: watch::Sender<u64>,
    hits: watch::Sender<HashMap<Endpoint, usize>>,
}

impl Traffic {
    pub(crate) fn new() -> Self {
        Self { faults: Mutex::default(), changed: watch::Sender::new(0), hits: watch::Sender::new(HashMap::new()) }
    }

    pub(crate) fn fault(&self, endpoint: Endpoint) -> Fault {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.get(&endpoint).cloned().unwrap_or_default()
    }

    pub(crate) fn hits(&self, endpoint: Endpoint) -> usize {
        self.hits.borrow().get(&endpoint).copied().unwrap_or(0)
    }

    pub(crate) fn forget_hits(&self) {
        self.hits.send_modify(HashMap::clear);
    }

    pub(crate) async fn wait_for_hits(&self, endpoint: Endpoint, at_least: usize) {
        let mut hits = self.hits.subscribe();
        let seen = hits.wait_for(|hits| hits.get(&endpoint).copied().unwrap_or(0) >= at_least).await;
        seen.expect("the sender lives in self");
    }

    pub(crate) fn count(&self, endpoint: Endpoint) {
        self.hits.send_modify(|hits| *hits.entry(endpoint).or_default() += 1);
    }

    pub(crate) fn change(&self, endpoints: &[Endpoint], change: impl Fn(&mut Fault)) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        for endpoint in endpoints {
            change(faults.entry(*endpoint).or_default());
        }
        drop(faults);
        self.changed.send_modify(|changes| *changes += 1);
    }

    /// The fault that is on when the endpoint no longer holds requests back.
    pub(crate) async fn released(&self, endpoint: Endpoint) -> Fault {
        let mut changes = self.changed.subscribe();
        loop {
            let fault = self.fault(endpoint);
            if !fault.hold {
                return fault;
            }
            changes.changed().await.expect("the sender lives in self");
        }
    }
}

/// What is wrong with one endpoint; nothing, by default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fault {
    pub(crate) hold: bool,
    pub(crate) delay: Duration,
    pub(crate) answer: Option<Answer>,
    pub(crate) cache_control: Option<HeaderValue>,
    pub(crate) without_kid: bool,
}

/// What a client gets in place of the endpoint's own answer.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Close,
    Status(StatusCode),
    Refuse(StatusCode, &'static str, Option<u32>),
    Body(&'static str, Bytes),
    Redirect(HeaderValue),
    Oversized,
    Gzip,
}
