//! A question of a proxy in, one decision out: what goes upstream, or why nothing does.

mod claim;
pub(crate) mod onward;
pub(crate) mod path;
mod peers;
pub(crate) mod question;
pub(crate) mod refusal;
mod routes;
mod upstream;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use http::{HeaderName, HeaderValue};
use token_core::policy::Policy;
use token_core::policy::gate::Access;
use token_core::telemetry::Health;
use token_core::{Error, ErrorKind, Presented, ResourceServer, Verified};
use tokio::sync::Semaphore;

use crate::telemetry;
use onward::{Authorization, Onward};
use path::Reading;
use peers::Peers;
use question::Question;
use refusal::Refusal;
use routes::{Route, Routes};
use upstream::Upstream;

/// What logs say where no route was found.
const NO_ROUTE: &str = "(none)";

/// Everything that a decision hangs on, built from one policy and replaced as a whole.
#[derive(Debug)]
pub(crate) struct Rules {
    server: ResourceServer,
    reading: Reading,
    routes: Routes,
    upstream: Upstream,
    onward: Onward,
    peers: Peers,
}

/// The rules in force, room for questions under way, and whether the end has begun.
#[derive(Clone, Debug)]
pub(crate) struct InForce {
    rules: Arc<ArcSwapOption<Rules>>,
    room: Arc<Semaphore>,
    ending: Arc<AtomicBool>,
}

/// What the proxy is told when the request may pass.
#[derive(Debug)]
pub(crate) struct Passed {
    /// To be set, whatever the client sent under these names.
    pub(crate) set: Vec<(HeaderName, HeaderValue)>,
    /// What becomes of the client's `Authorization` field.
    pub(crate) authorization: Authorization,
    /// For the client, beside the service's answer: the nonce for its next proof (RFC 9449 section 8.2).
    pub(crate) nonce: Option<HeaderValue>,
}

impl Rules {
    /// # Errors
    /// What in the policy's part for the gate cannot be, and where.
    pub(crate) fn new(policy: &Policy, server: ResourceServer) -> Result<Self, String> {
        let gate = &policy.gate;
        let upstream = Upstream::new(&gate.upstream)?;
        let onward = Onward::new(&gate.upstream)?;
        let elsewhere = policy.token_locations.as_ref().is_some_and(|sources| {
            let plain = token_core::TokenLocation::authorization();
            sources.iter().any(|source| *source != plain)
        });
        if elsewhere && !matches!(onward, Onward::Forward) {
            return Err("gate.upstream.token: a token can be taken out of the Authorization field alone, and token_locations names other places".to_owned());
        }
        Ok(Self {
            server,
            reading: Reading::new(gate),
            routes: Routes::new(gate)?,
            upstream,
            onward,
            peers: Peers::new(&gate.peers)?,
        })
    }

    fn route(&self, question: &Question<'_>) -> Result<&Route, Refusal> {
        let path = self.reading.path(question.target).map_err(Refusal::Path)?;
        if !routes::is_method(question.method) {
            return Err(Refusal::Method);
        }
        if self.routes.need_host() && !question.host.is_some_and(routes::is_clear_host) {
            return Err(Refusal::Host);
        }
        if question.fields.any_name(|name| self.upstream.is_lookalike(name)) {
            return Err(Refusal::Lookalike);
        }
        Ok(self.routes.find(question.method, question.host, &path))
    }

    /// The token of the request, if the route looks at it, or why it does not pass.
    async fn token(&self, route: &Route, question: &Question<'_>) -> Result<Option<Verified>, Error> {
        if route.access == Access::Public {
            return Ok(None);
        }
        let token = match self.server.authenticate(Presented::request(question)).await {
            Err(error) if route.access == Access::Optional && error.kind() == ErrorKind::MissingToken => {
                return Ok(None);
            }
            outcome => outcome?,
        };
        if token.kind() == token_core::TokenKind::Id {
            return Err(self.server.refusal(Error::new(
                ErrorKind::WrongType,
                "the gate asks for an access token, the token is an ID token",
            )));
        }
        match (route.access, &route.require) {
            (Access::Token | Access::Optional, None) => Ok(Some(token)),
            (Access::Token | Access::Optional, Some(rule)) => token.require(rule).map(|()| Some(token)),
            // No scope would change it. Whatever a later version may call an access is no permission in this one.
            _ => {
                let why = "nobody passes here: the route's access says so, or no route takes the request and gate.otherwise lets nobody in";
                Err(self.server.refusal(Error::new(ErrorKind::InsufficientScope, why)))
            }
        }
    }

    async fn decide(&self, question: &Question<'_>) -> (Result<Passed, Refusal>, &str) {
        let route = match self.route(question) {
            Ok(route) => route,
            Err(refusal) => return (Err(refusal), NO_ROUTE),
        };
        let verdict = match self.token(route, question).await {
            Ok(token) => self.pass(token.as_ref()).await,
            Err(error) => Err(error.into()),
        };
        (verdict, &route.name)
    }

    async fn pass(&self, token: Option<&Verified>) -> Result<Passed, Refusal> {
        let set = self.upstream.values(token).map_err(|long| Refusal::TooLong { name: long.name, max: long.max })?;
        let nonce = token.and_then(Verified::dpop_nonce).and_then(|nonce| nonce.try_into().ok());
        Ok(Passed { set, authorization: self.onward.authorization(token).await?, nonce })
    }
}

impl InForce {
    /// With room for so many questions at once.
    pub(crate) fn with_room(questions: usize) -> Self {
        let room = Arc::new(Semaphore::new(questions.min(Semaphore::MAX_PERMITS)));
        Self { rules: Arc::default(), room, ending: Arc::default() }
    }

    pub(crate) fn put(&self, rules: Rules) {
        self.rules.store(Some(Arc::new(rules)));
    }

    /// What is known of the keys of the rules in force.
    pub(crate) fn health(&self) -> Option<Health> {
        self.rules.load().as_ref().map(|rules| Health::of(&rules.server))
    }

    /// Whether proxies are to ask here: tokens of every issuer can be judged, and the end has not begun.
    pub(crate) fn is_ready(&self) -> bool {
        !self.is_ending() && self.health().is_some_and(|health| health.ready)
    }

    /// From now on proxies are to ask elsewhere.
    pub(crate) fn begin_to_end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// The keys that the service verifies the gate's own tokens with.
    pub(crate) fn jwk_set(&self) -> Option<String> {
        self.rules.load().as_ref().and_then(|rules| rules.onward.jwk_set().map(str::to_owned))
    }

    /// Whether whoever asks is none of the named proxies: nothing of theirs is read.
    pub(crate) fn is_stranger(&self, peer: Option<IpAddr>) -> bool {
        let rules = self.rules.load();
        rules.as_ref().is_some_and(|rules| peer.is_some_and(|peer| !rules.peers.contain(peer)))
    }

    /// The one decision about a request. `peer` is the address of whoever asks; `None` for a Unix socket, whose permissions say who may.
    pub(crate) async fn decide(
        &self,
        door: &'static str,
        peer: Option<IpAddr>,
        question: Result<Question<'_>, Refusal>,
    ) -> Result<Passed, Refusal> {
        let start = Instant::now();
        let rules = self.rules.load_full();
        let (verdict, route) = match (&rules, question) {
            (None, _) => (Err(Refusal::NotReady), NO_ROUTE),
            (Some(rules), _) if peer.is_some_and(|peer| !rules.peers.contain(peer)) => {
                (Err(Refusal::Stranger), NO_ROUTE)
            }
            (_, Err(refusal)) => (Err(refusal), NO_ROUTE),
            (Some(rules), Ok(question)) => match self.room.try_acquire() {
                Ok(_place) => rules.decide(&Question { peer, ..question }).await,
                Err(_) => (Err(Refusal::Busy), NO_ROUTE),
            },
        };
        let outcome = match &verdict {
            Ok(_) => "passed",
            Err(refusal) => {
                refusal.log(route);
                refusal.name()
            }
        };
        tracing::debug!(name: "gate.decided", door, route, outcome, "decided");
        telemetry::decided(door, outcome, start.elapsed());
        verdict
    }
}
