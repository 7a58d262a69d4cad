//! A script of failures over time in; an API's responses, compared with the expected ones, out, as a table, JSON, JUnit
//! and a plot.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use axum::{Router, routing::get};
//! use axum_token::{Issuer, ResourceServer, TokenLayer};
//! use token_test::{RuntimeClock, TestIssuer, drill::drill};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In a test: #[tokio::test(start_paused = true)]. The minutes below take no time.
//! let clock = RuntimeClock::default();
//! let issuer = TestIssuer::builder().clock(clock).start().await;
//! let trusted = Issuer::discover(issuer.url())?.allow_loopback_http().http_client(Arc::new(issuer.in_memory()));
//! let api = ResourceServer::builder(issuer.audience()).trust(trusted).clock(clock).build()?;
//! let app = Router::new().route("/users", get(async || "everybody")).layer(TokenLayer::new(api));
//!
//! let report = drill(&issuer)
//!     .route("GET /users")
//!     .at(5).rotate()
//!     .at(10).down(60)
//!     .at(100).slow(Duration::from_secs(3), 20)
//!     .at(130).flood(20, 10)
//!     .at(200).end()
//!     .run(app)
//!     .await;
//! report.assert_kept();
//! let plot = report.to_svg("Users API");
//! # assert!(plot.starts_with("<svg"));
//! # Ok(()) }
//! ```
//!
//! Every second, a new token and one that was sent before are sent, whatever happened to earlier ones. A forged token
//! is sent while an event is in progress, and a token whose key was withdrawn for ten rounds after that; at other times
//! each is sent every second minute, since such tokens make a service ask its issuer, within limits, and a drill should
//! not be a flood. The report says for each response whether it kept the [`Promises`].
//!
//! Time is tokio's. In a test that pauses it, the drill takes only the computing time of the API, and response times
//! are exact: a response that waited for nothing took 0 ms. Against a listening server ([`Drill::run_against`]), the
//! drill takes real time.
//!
//! # What it does not show
//!
//! How much load the API can bear; a few requests a second are no load. What a response contains; only its status
//! counts. Whether the API accepts tokens that it should refuse, beyond forged and withdrawn ones; for that there are
//! [`attacks`](crate::attacks).

mod expect;
mod plot;
mod report;
mod run;
mod script;

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use crate::TestIssuer;
use crate::attacks::{Body, Target, service};
use crate::guarded::Guarded;
use crate::mint::TokenBuilder;
use expect::{Plan, Spell, What};

pub use expect::{Answer, Probe};
pub use report::{Finding, Report, Sample};

/// A drill of an API that trusts `issuer`. The API must accept the audience of the issuer ([`TestIssuer::audience`])
/// unless [`token`](Drill::token) sets another.
pub fn drill(issuer: &TestIssuer) -> Drill<'_> {
    Drill {
        guarded: Guarded::by(issuer),
        plan: Plan { every: 1, ..Plan::default() },
        acts: Vec::new(),
        cursor: 0,
        end: None,
        patience: Duration::from_secs(10),
        watch: None,
    }
}

/// What the API is expected to do. The defaults match `token-core` with its own defaults; an API with other settings,
/// or another library, needs others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Promises {
    /// How long a response to a token with a known key may take. Default: 1 s.
    pub answers_within: Duration,
    /// How long a new key may be unknown after it was published. Default: 0; its first token makes it known.
    pub rotation_within: Duration,
    /// How long a withdrawn key may still be accepted. Default: 10 min, the fresh time of a key set.
    pub withdrawn_within: Duration,
    /// How long during an outage the cached keys stay in use. Default: 1 h.
    pub outage: Duration,
    /// The fresh time of a key set; during an outage, cached keys may be used for up to this much longer. Default: 10
    /// min.
    pub fresh_for: Duration,
    /// How long after an outage it may take until the issuer is asked again. Default: 90 s.
    pub recovers_within: Duration,
    /// How long a flood of unknown keys may delay a new one. Default: 60 s.
    pub refilled_within: Duration,
    /// The tolerated difference between clocks. Default: 30 s.
    pub leeway: Duration,
    /// How often the issuer may be asked for keys during a flood, for each minute or part of one. Default: 10.
    pub key_requests: usize,
}

impl Default for Promises {
    fn default() -> Self {
        Self {
            answers_within: Duration::from_secs(1),
            rotation_within: Duration::ZERO,
            withdrawn_within: Duration::from_secs(600),
            outage: Duration::from_secs(3600),
            fresh_for: Duration::from_secs(600),
            recovers_within: Duration::from_secs(90),
            refilled_within: Duration::from_secs(60),
            leeway: Duration::from_secs(30),
            key_requests: 10,
        }
    }
}

type Act<'i> = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + 'i>> + 'i>;
type Watch<'i> = Box<dyn FnMut(u64, u64, &Report) + 'i>;

/// A script over time, and the API that it is run against. Made by [`drill`].
#[must_use = "nothing happens until `run` is called"]
pub struct Drill<'i> {
    guarded: Guarded<'i>,
    plan: Plan,
    acts: Vec<(u64, Act<'i>)>,
    cursor: u64,
    end: Option<u64>,
    patience: Duration,
    watch: Option<Watch<'i>>,
}

impl fmt::Debug for Drill<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drill").field("path", &self.guarded.path).field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl<'i> Drill<'i> {
    /// Sets the protected route: a method and a path, as in `"GET /users"`, or a path alone for GET. Default: `GET /`.
    /// It is requested hundreds of times; choose one that changes nothing.
    ///
    /// # Panics
    /// When it is neither.
    pub fn route(mut self, route: &str) -> Self {
        self.guarded = self.guarded.at(route);
        self
    }

    /// Sets the scope that the route requires; several are separated by spaces.
    pub fn granted(mut self, scope: &str) -> Self {
        self.guarded = self.guarded.granted(scope);
        self
    }

    /// Sets what else a valid token of this API contains: `|token| token.claim("tenant", "shop")`.
    pub fn token(mut self, shape: fn(TokenBuilder) -> TokenBuilder) -> Self {
        self.guarded.shape = Some(shape);
        self
    }

    /// Changes the expectations from their defaults.
    pub fn promises(mut self, change: impl FnOnce(&mut Promises)) -> Self {
        change(&mut self.plan.promises);
        self
    }

    /// Sets the number of seconds between two rounds of requests. Default: 1. Use more for drills of several hours.
    pub fn every(mut self, seconds: u64) -> Self {
        self.plan.every = seconds.max(1);
        self
    }

    /// Sets how long to wait, before the drill, until the API accepts a valid token. Default: 10 s.
    pub fn patience(mut self, longest: Duration) -> Self {
        self.patience = longest;
        self
    }

    /// Sets a function that is called after every round with its second, the last second, and the report so far.
    pub fn watch(mut self, watch: impl FnMut(u64, u64, &Report) + 'i) -> Self {
        self.watch = Some(Box::new(watch));
        self
    }

    /// Sets the second of the drill at which the following events happen.
    pub fn at(mut self, second: u64) -> Self {
        self.cursor = second;
        self
    }

    /// Rotates keys: the issuer signs with a new key. The old one stays published.
    pub fn rotate(self) -> Self {
        self.spell(What::Rotated, 0)
    }

    /// Rotates keys and withdraws all others, as after a compromise.
    pub fn withdraw(self) -> Self {
        self.spell(What::Withdrawn, 0)
    }

    /// Makes the issuer unreachable for this many seconds.
    pub fn down(self, seconds: u64) -> Self {
        self.spell(What::Down, seconds)
    }

    /// Delays the issuer's responses by this much, for this many seconds.
    pub fn slow(self, by: Duration, seconds: u64) -> Self {
        self.spell(What::Slow(by), seconds)
    }

    /// Sends this many requests a second (at most 1000) that name unpublished keys, for this many seconds.
    pub fn flood(self, each_second: u32, seconds: u64) -> Self {
        self.spell(What::Flood(each_second.min(1000)), seconds)
    }

    /// Sets the issuer's clock wrong by `off` seconds (positive: ahead), for this many seconds.
    pub fn clock_off(self, off: i64, seconds: u64) -> Self {
        self.spell(What::Clock(off), seconds)
    }

    /// Adds an event of your own, such as a store that fails over or a proxy that restarts. `act` is run when it
    /// begins, while requests continue. For this many seconds, valid tokens must get one of the expected responses; for
    /// [`Promises::recovers_within`] after that they may also get [`Answer::Unavailable`].
    pub fn happens<F>(mut self, name: &str, seconds: u64, expected: &[Answer], act: impl FnOnce() -> F + 'i) -> Self
    where
        F: Future<Output = ()> + 'i,
    {
        self.acts.push((self.cursor, Box::new(move || Box::pin(act()))));
        self.spell(What::Act(name.to_owned(), expected.to_vec()), seconds)
    }

    /// Ends the drill in this second. Default: 30 s after the last event.
    pub fn end(mut self) -> Self {
        self.end = Some(self.cursor);
        self
    }

    /// Adds a script as text, with one event per line, such as `at 10 down 60`. The guide's page about drills explains
    /// all words. `command` carries out lines such as `at 60 run 10 unavailable COMMAND`.
    ///
    /// # Errors
    /// The number of the line that cannot be read, and what was expected.
    pub fn script<F>(self, text: &str, command: impl Fn(String) -> F + Clone + 'i) -> Result<Self, String>
    where
        F: Future<Output = ()> + 'i,
    {
        script::read(self, text, command)
    }

    fn spell(mut self, what: What, seconds: u64) -> Self {
        let (from, to) = (self.cursor, self.cursor.saturating_add(seconds));
        self.plan.spells.push(Spell { what, from, to });
        self
    }

    /// Runs the drill within this process against a tower service: an axum `Router`, or anything that accepts an
    /// `http::Request`.
    pub async fn run<S, R>(self, app: S) -> Report
    where
        S: tower_service::Service<http::Request<Body>, Response = http::Response<R>> + Clone + 'i,
        S::Error: fmt::Display,
        R: http_body::Body + 'i,
        R::Error: fmt::Display,
    {
        self.run_against(service(app)).await
    }

    /// Runs the drill against any [`Target`]: a server that listens on loopback
    /// ([`Loopback`](crate::attacks::Loopback)), or an implementation for another framework. Requests run concurrently,
    /// each on a clone.
    pub async fn run_against(self, target: impl Target + Clone + 'i) -> Report {
        run::run(self, target).await
    }
}
