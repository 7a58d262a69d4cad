//! A script of what goes wrong over time in, an API's answers to it out, held against what they have to be, as a table, JSON, JUnit and a plot.
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
//! Every second a fresh token and one that was sent before are sent, whatever became of those before. A forged one is sent while something goes on, and one
//! whose key was withdrawn for ten rounds after that; both every other minute otherwise: a service asks its issuer because of them, within bounds, and the
//! drill is no flood unless it is told to be one. The report says of each answer whether it kept the [`Promises`].
//!
//! Time is tokio's. In a test that pauses it, the drill takes as long as the API computes, and times of answers are exact: what waited for nothing took
//! 0 ms. Against a server that listens ([`Drill::run_against`]) the drill takes the time it says.
//!
//! # What it does not show
//!
//! How much load the API bears: a few requests a second are none. What the answer says: its status is all that counts. Whether the API lets a token in
//! that it should not, beyond the forged and the withdrawn: that is what [`attacks`](crate::attacks) are for.

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

/// A drill of an API that trusts `issuer`. The API must take the audience of the issuer ([`TestIssuer::audience`]) unless
/// [`token`](Drill::token) says otherwise.
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

/// What an API promises. The defaults are what `token-core` does with its own defaults; an API with other settings, or another library, has others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Promises {
    /// How long the answer to a token may take whose key is known. Default 1 s.
    pub answers_within: Duration,
    /// How long a new key may be unknown after it was published. Default 0: its first token brings it.
    pub rotation_within: Duration,
    /// How long a withdrawn key may be good for. Default 10 min, the time for which a key set is fresh.
    pub withdrawn_within: Duration,
    /// For how long of an outage the keys that are held go on serving. Default 1 h.
    pub outage: Duration,
    /// For how long a key set is fresh: they serve by up to so much longer, and no longer. Default 10 min.
    pub fresh_for: Duration,
    /// How long after an outage the issuer may go unasked. Default 90 s.
    pub recovers_within: Duration,
    /// How long a flood of made-up keys may delay a new one. Default 60 s.
    pub refilled_within: Duration,
    /// By how much clocks may differ. Default 30 s.
    pub leeway: Duration,
    /// How often, at the most, the issuer is asked for keys during a flood, for each minute begun. Default 10.
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

/// A script over time, and where it is played. Made by [`drill`].
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
    /// The guarded route: a method and a path, as in `"GET /users"`. A path alone is asked for with GET. The default is `GET /`. It is asked for
    /// hundreds of times: choose one that changes nothing.
    ///
    /// # Panics
    /// When it is neither.
    pub fn route(mut self, route: &str) -> Self {
        self.guarded = self.guarded.at(route);
        self
    }

    /// The scope that the route asks for. Several are separated by blanks.
    pub fn granted(mut self, scope: &str) -> Self {
        self.guarded = self.guarded.granted(scope);
        self
    }

    /// What a good token of this API has besides: `|token| token.claim("tenant", "shop")`.
    pub fn token(mut self, shape: fn(TokenBuilder) -> TokenBuilder) -> Self {
        self.guarded.shape = Some(shape);
        self
    }

    /// What the API promises, where it is not the default.
    pub fn promises(mut self, change: impl FnOnce(&mut Promises)) -> Self {
        change(&mut self.plan.promises);
        self
    }

    /// How many seconds lie between two rounds of requests: 1 unless said, for drills of hours more.
    pub fn every(mut self, seconds: u64) -> Self {
        self.plan.every = seconds.max(1);
        self
    }

    /// How long to wait, before the drill, until the API lets a good token in. Default 10 s.
    pub fn patience(mut self, longest: Duration) -> Self {
        self.patience = longest;
        self
    }

    /// Is told after every round: the second, the last one, and what was seen so far.
    pub fn watch(mut self, watch: impl FnMut(u64, u64, &Report) + 'i) -> Self {
        self.watch = Some(Box::new(watch));
        self
    }

    /// What is said next happens in this second of the drill.
    pub fn at(mut self, second: u64) -> Self {
        self.cursor = second;
        self
    }

    /// The issuer signs with a new key. The old one stays published.
    pub fn rotate(self) -> Self {
        self.spell(What::Rotated, 0)
    }

    /// The issuer signs with a new key and takes all others back, as after a compromise.
    pub fn withdraw(self) -> Self {
        self.spell(What::Withdrawn, 0)
    }

    /// The issuer gives no answers, for so many seconds.
    pub fn down(self, seconds: u64) -> Self {
        self.spell(What::Down, seconds)
    }

    /// The issuer answers late, for so many seconds.
    pub fn slow(self, by: Duration, seconds: u64) -> Self {
        self.spell(What::Slow(by), seconds)
    }

    /// So many requests a second, 1000 at most, name keys that nobody published; for so many seconds.
    pub fn flood(self, each_second: u32, seconds: u64) -> Self {
        self.spell(What::Flood(each_second.min(1000)), seconds)
    }

    /// The issuer's clock is off by `off` seconds, ahead when they are positive; for so many seconds.
    pub fn clock_off(self, off: i64, seconds: u64) -> Self {
        self.spell(What::Clock(off), seconds)
    }

    /// Something of yours happens: a store fails over, a proxy restarts. `act` is run at its begin, beside the requests. For so many seconds good
    /// tokens get one of these answers, and for [`Promises::recovers_within`] after it they may also get [`Answer::Unavailable`].
    pub fn happens<F>(mut self, name: &str, seconds: u64, expected: &[Answer], act: impl FnOnce() -> F + 'i) -> Self
    where
        F: Future<Output = ()> + 'i,
    {
        self.acts.push((self.cursor, Box::new(move || Box::pin(act()))));
        self.spell(What::Act(name.to_owned(), expected.to_vec()), seconds)
    }

    /// The drill ends in this second. Where it is not said, it ends 30 s after the last thing that happens.
    pub fn end(mut self) -> Self {
        self.end = Some(self.cursor);
        self
    }

    /// Adds a script as text: one thing a line, as `at 10 down 60`. The page about drills in the guide has all words. `command` makes what a line
    /// `at 60 run 10 unavailable COMMAND` asks for happen.
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

    /// Plays it in this process against a tower service: an axum `Router`, or anything that takes an `http::Request`.
    pub async fn run<S, R>(self, app: S) -> Report
    where
        S: tower_service::Service<http::Request<Body>, Response = http::Response<R>> + Clone + 'i,
        S::Error: fmt::Display,
        R: http_body::Body + 'i,
        R::Error: fmt::Display,
    {
        self.run_against(service(app)).await
    }

    /// Plays it against any [`Target`]: a server that listens on loopback ([`Loopback`](crate::attacks::Loopback)), or one that a test makes of its
    /// framework. Requests are under way at the same time, each on a clone.
    pub async fn run_against(self, target: impl Target + Clone + 'i) -> Report {
        run::run(self, target).await
    }
}
