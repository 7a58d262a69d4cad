//! An API in, the list of known attacks against it, and which of them it let in (RFC 8725, RFC 6750, RFC 9068).
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
//! Each attack is a request with a name, its class, the clause that forbids it and, where one is known, the advisory about a product that let it in. Good
//! requests are sent first and last: an API that refuses everything passes no test.
//!
//! # What is not tried
//!
//! What a token says about your data: whether this user may see that record. Anything that needs your deny-list, a second API or load. An API passes when no
//! attack gets a 2xx answer; *why* it refused is not looked at, except that a 5xx is no refusal.

mod class;
mod list;
mod loopback;
mod report;
mod target;

use std::time::Duration;

use token_core::jose::encryption::EncryptionKey;
use tokio::time::{Instant, sleep};

use crate::TestIssuer;
use crate::attacks::list::Bait;
use crate::guarded::Guarded;
use crate::mint::TokenBuilder;

pub use class::Class;
pub use loopback::Loopback;
#[doc(hidden)]
pub use loopback::{exchange, head};
pub use report::{Report, Row, Verdict};
pub use target::{Body, Target, service};

/// How often an API is asked whether it knows a new key by now.
const AGAIN: Duration = Duration::from_millis(500);

/// The attacks against an API that trusts `issuer`. The API must take the audience of the issuer ([`TestIssuer::audience`]) unless
/// [`token`](Attacks::token) says otherwise.
pub fn attacks(issuer: &TestIssuer) -> Attacks<'_> {
    Attacks {
        guarded: Guarded::by(issuer),
        leeway: 30,
        rotation_within: Duration::ZERO,
        status_lists: false,
        sealed_to: None,
        only: Vec::new(),
        except: Vec::new(),
    }
}

/// What is tried, and where. Made by [`attacks`].
#[derive(Debug)]
#[must_use = "nothing is tried until `run` is called"]
pub struct Attacks<'i> {
    guarded: Guarded<'i>,
    leeway: u64,
    rotation_within: Duration,
    status_lists: bool,
    sealed_to: Option<EncryptionKey>,
    only: Vec<Class>,
    except: Vec<String>,
}

impl Attacks<'_> {
    /// The guarded route: a method and a path, as in `"GET /users"`. A path alone is asked for with GET. The default is `GET /`.
    ///
    /// # Panics
    /// When it is neither.
    pub fn route(mut self, route: &str) -> Self {
        self.guarded = self.guarded.at(route);
        self
    }

    /// The scope that the route asks for. Good tokens have it, and tokens that nearly have it are tried. Several are separated by blanks.
    pub fn granted(mut self, scope: &str) -> Self {
        self.guarded = self.guarded.granted(scope);
        self
    }

    /// For how many seconds after `exp` the API still takes a token: 30 unless said. A token is tried one second past it.
    pub fn leeway(mut self, seconds: u64) -> Self {
        self.leeway = seconds;
        self
    }

    /// How long a new key of the issuer may be unknown to the API: not at all unless said. Its first token is sent again until it is let in or this time is
    /// over. Everything after it is signed with the new key: an API that does not come to know it refuses all, which shows nothing.
    pub fn rotation_within(mut self, longest: Duration) -> Self {
        self.rotation_within = longest;
        self
    }

    /// The API looks tokens up in the issuer's status lists (Token Status List): tokens that a list says are not good are tried, too. Good tokens point to a list.
    pub fn status_lists(mut self) -> Self {
        self.status_lists = true;
        self
    }

    /// The API opens tokens that are encrypted to this key (RFC 7516): encrypted ones that are not what they seem are tried, too.
    pub fn encrypted_to(mut self, key: EncryptionKey) -> Self {
        self.sealed_to = Some(key);
        self
    }

    /// What a good token of this API has besides: `|token| token.claim("tenant", "shop")`.
    pub fn token(mut self, shape: fn(TokenBuilder) -> TokenBuilder) -> Self {
        self.guarded.shape = Some(shape);
        self
    }

    /// Only attacks of this class; may be called several times. Good requests are always sent.
    pub fn only(mut self, class: Class) -> Self {
        self.only.push(class);
        self
    }

    /// Leaves out the attack of this name, where the API means to let it in: a token in a cookie, say.
    pub fn except(mut self, name: &str) -> Self {
        self.except.push(name.to_owned());
        self
    }

    /// Runs them in this process against a tower service: an axum `Router`, or anything that takes an `http::Request`.
    pub async fn run<S, R>(self, app: S) -> Report
    where
        S: tower_service::Service<http::Request<target::Body>, Response = http::Response<R>> + Clone,
        S::Error: std::fmt::Display,
        R: http_body::Body,
        R::Error: std::fmt::Display,
    {
        self.run_against(service(app)).await
    }

    /// Runs them against any [`Target`]: a server that listens on loopback ([`Loopback`]), or one that a test makes of its framework.
    pub async fn run_against(self, mut target: impl Target) -> Report {
        let bait = Bait {
            leeway: self.leeway,
            status_list: self.status_lists.then(|| list::status_list(self.guarded.issuer)),
            guarded: self.guarded,
            sealed_to: self.sealed_to,
        };
        let mut report = Report::default();
        let seen = bait.token().mint();
        for attack in bait.good(&seen) {
            report.push(&attack, target.send(attack.request()).await);
        }
        for attack in bait.good_after_rotation() {
            let give_up = Instant::now() + self.rotation_within;
            let mut answer = target.send(attack.request()).await;
            while !answer.as_ref().is_ok_and(|answer| answer.status().is_success()) && Instant::now() < give_up {
                sleep(AGAIN).await;
                answer = target.send(attack.request()).await;
            }
            report.push(&attack, answer);
        }
        for attack in bait.attacks(&seen) {
            let asked_for = self.only.is_empty() || self.only.contains(&attack.class);
            if asked_for && !self.except.iter().any(|name| *name == attack.name) {
                report.push(&attack, target.send(attack.request()).await);
            }
        }
        // Once more: a verdict that was spoilt by the attacks is a denial of service.
        for attack in bait.good_at_the_end() {
            report.push(&attack, target.send(attack.request()).await);
        }
        report
    }
}
