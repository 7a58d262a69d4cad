//! An API in; which known attacks against it succeed out (RFC 8725, RFC 6750, RFC 9068).
//!
//! ```
//! use axum::{Router, routing::get};
//! use axum_token::{Issuer, ResourceServer, TokenLayer, require};
//! use token_test::{TestIssuer, attacks::attacks};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let issuer = TestIssuer::start().await;
//! let api = ResourceServer::builder(issuer.audience())
//!     .trust(Issuer::discover(issuer.url())?.allow_loopback_http())
//!     .build()?;
//! // Your own router, with the layers as you wired them:
//! let app = Router::new()
//!     .route("/users", get(async || "everybody").layer(require("read:users")))
//!     .layer(TokenLayer::new(api));
//!
//! attacks(&issuer).route("GET /users").granted("read:users").run(app).await.assert_all_refused();
//! # Ok(()) }
//! ```
//!
//! Each attack is a request with a name, its class, the clause that forbids it and, where known, an advisory about a
//! product that accepted it. Valid requests are sent first and last, so that an API that refuses everything does not
//! pass.
//!
//! # What is not tested
//!
//! Authorization on your data, such as whether a user may see a certain record; and anything that needs your deny-list,
//! a second API or load. The API passes if no attack gets a 2xx response. *Why* it refused is not checked, except that
//! a 5xx does not count as a refusal.

mod class;
mod errand;
mod list;
mod loopback;
mod prover;
mod report;
mod target;

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response};
use token_core::jose::encryption::EncryptionKey;
use tokio::time::{Instant, sleep};

use crate::attacks::list::tickets::Shop;
use crate::attacks::list::{Attack, Bait};
use crate::attacks::prover::Prover;
use crate::guarded::{self, Guarded};
use crate::mint::TokenBuilder;
use crate::{ManualClock, TestIssuer};

pub use class::Class;
pub use loopback::Loopback;
#[doc(hidden)]
pub use loopback::{exchange, read};
pub use report::{Report, Row, Verdict};
pub use target::{Body, Target, head_suffices, service};

/// How often the API is asked whether it knows a new key.
const AGAIN: Duration = Duration::from_millis(500);

/// The attacks against an API that trusts `issuer`. The API must accept the audience of the issuer
/// ([`TestIssuer::audience`]) unless [`token`](Attacks::token) sets another.
pub fn attacks(issuer: &TestIssuer) -> Attacks<'_> {
    Attacks {
        guarded: Guarded::by(issuer),
        leeway: 30,
        rotation_within: Duration::ZERO,
        status_lists: false,
        sealed_to: None,
        tickets: None,
        page: "https://app.example.com".to_owned(),
        revoked_at: None,
        proofs_alone_at: None,
        clock: None,
        prover: None,
        only: Vec::new(),
        except: Vec::new(),
    }
}

/// Whether that is the origin of a page as a browser writes it: scheme and host, perhaps a port (RFC 6454 section 6.2).
#[doc(hidden)]
#[must_use]
pub fn is_origin(text: &str) -> bool {
    let parsed = text.parse::<http::Uri>().ok();
    parsed.is_some_and(|uri| {
        uri.scheme().is_some() && uri.authority().is_some() && uri.path() == "/" && uri.query().is_none()
    }) && !text.ends_with('/')
}

/// A method, and a path with its query.
type Route = (Method, String);

/// Which attacks are sent, and where to. Made by [`attacks`].
#[derive(Debug)]
#[must_use = "nothing is tried until `run` is called"]
pub struct Attacks<'i> {
    guarded: Guarded<'i>,
    leeway: u64,
    rotation_within: Duration,
    status_lists: bool,
    sealed_to: Option<EncryptionKey>,
    tickets: Option<(Route, Route)>,
    page: String,
    revoked_at: Option<Route>,
    proofs_alone_at: Option<Route>,
    clock: Option<ManualClock>,
    prover: Option<Prover>,
    only: Vec<Class>,
    except: Vec<String>,
}

impl Attacks<'_> {
    /// Sets the protected route: a method and a path, as in `"GET /users"`, or a path alone for GET. Default: `GET /`.
    ///
    /// # Panics
    /// When it is neither.
    pub fn route(mut self, route: &str) -> Self {
        self.guarded = self.guarded.at(route);
        self
    }

    /// Sets the scope that the route requires; several are separated by spaces. Valid tokens have it, and tokens with
    /// similar scopes are tried.
    pub fn granted(mut self, scope: &str) -> Self {
        self.guarded = self.guarded.granted(scope);
        self
    }

    /// Sets for how many seconds after `exp` the API still accepts a token. Default: 30. A token one second past it is
    /// tried.
    pub fn leeway(mut self, seconds: u64) -> Self {
        self.leeway = seconds;
        self
    }

    /// Sets how long a new key of the issuer may be unknown to the API. Default: not at all. The first token with the
    /// new key is sent repeatedly until it is accepted or this time is over. All later tokens are signed with it; if
    /// the API does not accept it, the remaining attacks show nothing.
    pub fn rotation_within(mut self, longest: Duration) -> Self {
        self.rotation_within = longest;
        self
    }

    /// Also tries tokens that a status list marks as not valid, for an API that checks the issuer's status lists (Token
    /// Status List). Valid tokens then refer to a list.
    pub fn status_lists(mut self) -> Self {
        self.status_lists = true;
        self
    }

    /// Also tries encrypted tokens that should be refused, for an API that decrypts tokens with this key (RFC 7516).
    pub fn encrypted_to(mut self, key: EncryptionKey) -> Self {
        self.sealed_to = Some(key);
        self
    }

    /// The API sells tickets for what can set no header, `EventSource` and `WebSocket`: at the first route, to whoever has a token and asks with
    /// `{"path": "/events"}`; its answer is `{"ticket": "…", "expires_in": 30}`. It redeems them at the second, from the parameter `ticket` of a request
    /// with `Accept: text/event-stream`. Tickets that are
    /// used, forged, misplaced or too old are tried, too.
    ///
    /// ```
    /// use axum::Router;
    /// use axum::routing::{get, post};
    /// use axum_token::{Issuer, ResourceServer, TokenLayer, ticket};
    /// use token_core::streams::Tickets;
    /// use token_test::attacks::{Class, attacks};
    /// use token_test::{ManualClock, TestIssuer};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let clock = ManualClock::default();
    /// let issuer = TestIssuer::builder().clock(clock.clone()).start().await;
    /// let api = ResourceServer::builder(issuer.audience())
    ///     .trust(Issuer::discover(issuer.url())?.allow_loopback_http())
    ///     .tickets(Tickets::in_memory())
    ///     .clock(clock.clone())
    ///     .build()?;
    /// let app = Router::new()
    ///     .route("/events", get(async || "what happens"))
    ///     .route("/tickets", post(ticket(api.clone())))
    ///     .layer(TokenLayer::new(api));
    ///
    /// let list = attacks(&issuer).route("GET /events").tickets("POST /tickets", "GET /events").clock(clock);
    /// list.only(Class::Tickets).run(app).await.assert_all_refused();
    /// # Ok(()) }
    /// ```
    ///
    /// Without a [`clock`](Self::clock) it waits until a ticket has ended: for as long as the shop says, and some seconds.
    ///
    /// # Panics
    /// When one of them is neither a path nor a method and a path.
    pub fn tickets(mut self, sold_at: &str, redeemed_at: &str) -> Self {
        self.tickets = Some((guarded::parts(sold_at), guarded::parts(redeemed_at)));
        self
    }

    /// The origin of the page that buys tickets and redeems them, as the field `Origin` has it. Default `https://app.example.com`; another one where the
    /// API knows its pages.
    ///
    /// # Panics
    /// When it is no origin.
    pub fn page(mut self, origin: &str) -> Self {
        assert!(is_origin(origin), "expected the origin of a page, as in `https://app.example.com`, found {origin:?}");
        self.page = origin.to_owned();
        self
    }

    /// The route at which a token ends itself: a log-out, say. It is asked with a token that is tried again afterwards, and with one that has bought a ticket.
    ///
    /// # Panics
    /// When it is neither a path nor a method and a path.
    pub fn revoked_at(mut self, route: &str) -> Self {
        self.revoked_at = Some(guarded::parts(route));
        self
    }

    /// A route that takes tokens with proofs of possession alone (RFC 9449): a token without one is tried there, and a ticket.
    ///
    /// # Panics
    /// When it is neither a path nor a method and a path.
    pub fn proofs_alone_at(mut self, route: &str) -> Self {
        self.proofs_alone_at = Some(guarded::parts(route));
        self
    }

    /// The clock of the issuer and of the API: time passes on it, where the list would wait otherwise.
    pub fn clock(mut self, clock: ManualClock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The route accepts only tokens with a proof of possession (DPoP, RFC 9449), and clients reach the API at
    /// `external_url`, such as `https://api.example.com`. Valid tokens are then bound to a key, and each request has a
    /// proof with the nonce that the API gave last, if it gives any. Wrong proofs are tried, too. Not together with
    /// [`tickets`](Self::tickets): bound tokens buy none.
    pub fn dpop(mut self, external_url: &str) -> Self {
        let prover = Prover::at(external_url);
        self.guarded.key = Some(prover.key().clone());
        self.prover = Some(prover);
        self
    }

    /// Sets what else a valid token of this API contains: `|token| token.claim("tenant", "shop")`.
    pub fn token(mut self, shape: fn(TokenBuilder) -> TokenBuilder) -> Self {
        self.guarded.shape = Some(shape);
        self
    }

    /// Sends only attacks of this class; may be called several times. Valid requests are always sent.
    pub fn only(mut self, class: Class) -> Self {
        self.only.push(class);
        self
    }

    /// Leaves out the attack with this name, if the API accepts it on purpose, such as a token in a cookie.
    pub fn except(mut self, name: &str) -> Self {
        self.except.push(name.to_owned());
        self
    }

    /// Sends the attacks within this process to a tower service: an axum `Router`, or anything that accepts an
    /// `http::Request`.
    pub async fn run<S, R>(self, app: S) -> Report
    where
        S: tower_service::Service<http::Request<target::Body>, Response = http::Response<R>> + Clone,
        S::Error: std::fmt::Display,
        R: http_body::Body,
        R::Error: std::fmt::Display,
    {
        self.run_against(service(app)).await
    }

    /// Sends the attacks to any [`Target`]: a server that listens on loopback ([`Loopback`]), or an implementation for
    /// another framework.
    pub async fn run_against(self, mut target: impl Target) -> Report {
        let bait = Bait {
            leeway: self.leeway,
            status_list: self.status_lists.then(|| list::status_list(self.guarded.issuer)),
            guarded: self.guarded,
            sealed_to: self.sealed_to,
            shop: self.tickets.map(|(sells, redeems)| Shop { sells, redeems, origin: self.page }),
            revoked_at: self.revoked_at,
            proofs_alone_at: self.proofs_alone_at,
        };
        let (prefix, clock) = (target.prefix().to_owned(), self.clock.as_ref());
        let asked_for = |attack: &Attack| {
            let is_of = self.only.is_empty() || self.only.contains(&attack.class);
            is_of && !self.except.iter().any(|name| *name == attack.name)
        };
        let mut prover = self.prover;
        let mut report = Report::default();
        let seen = bait.token().mint();
        for attack in bait.good(&seen) {
            report.push(&attack, send(&mut target, &attack, &mut prover).await);
        }
        for attack in bait.good_after_rotation() {
            let give_up = Instant::now() + self.rotation_within;
            let mut answer = send(&mut target, &attack, &mut prover).await;
            while !answer.as_ref().is_ok_and(|answer| answer.status().is_success()) && Instant::now() < give_up {
                sleep(AGAIN).await;
                answer = send(&mut target, &attack, &mut prover).await;
            }
            report.push(&attack, answer);
        }
        for errand in bait.good_tickets(&prefix, false) {
            report.push(&errand.attack, errand.run(&mut target, clock).await);
        }
        let proofs = prover.as_ref().map(|prover| bait.proofs(prover)).unwrap_or_default();
        for attack in bait.attacks(&seen).into_iter().chain(proofs) {
            if asked_for(&attack) {
                report.push(&attack, send(&mut target, &attack, &mut prover).await);
            }
        }
        for errand in bait.errands(&prefix) {
            if asked_for(&errand.attack) {
                report.push(&errand.attack, errand.run(&mut target, clock).await);
            }
        }
        // Once more: a verdict that was spoilt by the attacks is a denial of service.
        for attack in bait.good_at_the_end() {
            report.push(&attack, send(&mut target, &attack, &mut prover).await);
        }
        for errand in bait.good_tickets(&prefix, true) {
            report.push(&errand.attack, errand.run(&mut target, clock).await);
        }
        report
    }
}

/// Sends one, with a proof where the route takes nothing else.
async fn send(
    target: &mut impl Target,
    attack: &Attack,
    prover: &mut Option<Prover>,
) -> Result<Response<Bytes>, String> {
    let Some(prover) = prover else { return target.send(attack.request()).await };
    let answer = target.send(prover.dress(attack)).await?;
    if prover.learn(&answer) { target.send(prover.dress(attack)).await } else { Ok(answer) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        for (text, expected) in [
            ("https://app.example.com", true),
            ("http://127.0.0.1:8080", true),
            ("https://app.example.com/", false),
            ("https://app.example.com/page", false),
            ("https://app.example.com?x", false),
            ("app.example.com", false),
            ("null", false),
            ("/", false),
            ("https://", false),
            ("https://a b", false),
            ("", false),
        ] {
            assert_eq!(is_origin(text), expected, "{text:?}");
        }
    }
}
