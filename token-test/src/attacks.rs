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
        only: Vec::new(),
        except: Vec::new(),
    }
}

/// Which attacks are sent, and where to. Made by [`attacks`].
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
