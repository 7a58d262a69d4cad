//! A policy file in, a gate that follows it out: for programs that serve it themselves, beside the one of this crate.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use token_core::ResourceServerBuilder;
use token_core::policy::PolicyError;
use token_core::reload::{Reload, Reloaded};

use crate::arguments::QUESTIONS;
use crate::decision::{InForce, Rules};
use crate::doors;
use crate::serve::{Listener, serve};

/// The most connections at once, where nothing else is said.
const CONNECTIONS: usize = 4096;
/// How long open questions may take in the end, where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(10);

/// A gate: the rules of a policy file, and the doors that proxies ask at. Cheap to clone.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let gate = token_gate::Gate::from_file("gate.toml")?;
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:9191").await?;
/// gate.serve(listener, std::future::pending()).await;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Gate {
    policy: Arc<Reload>,
    rules: InForce,
}

impl Gate {
    /// Reads the policy and starts to fetch the keys that it names. Inside a tokio runtime.
    ///
    /// # Errors
    /// [`PolicyError`] when the file cannot be read, no server can be built from it, or its part for the gate cannot be: an odd
    /// or unreachable route, a header field that is no place for a claim, a peer that is no address.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, PolicyError> {
        Self::with(path, |builder| builder)
    }

    /// The same, and `finish` adds what no text can say, each time that the file has changed: a clock, a deny-list, an HTTP client.
    ///
    /// # Errors
    /// As [`from_file`](Self::from_file).
    pub fn with(
        path: impl AsRef<Path>,
        finish: impl Fn(ResourceServerBuilder) -> ResourceServerBuilder + Send + Sync + 'static,
    ) -> Result<Self, PolicyError> {
        Self::with_room(path, finish, QUESTIONS)
    }

    pub(crate) fn with_room(
        path: impl AsRef<Path>,
        finish: impl Fn(ResourceServerBuilder) -> ResourceServerBuilder + Send + Sync + 'static,
        questions: u32,
    ) -> Result<Self, PolicyError> {
        let rules = InForce::with_room(usize::try_from(questions).unwrap_or(usize::MAX));
        let put = rules.clone();
        let policy = Reload::start(path, finish)?.beside(move |policy, server| {
            let (put, rules) = (put.clone(), Rules::new(policy, server.clone())?);
            Ok(Box::new(move || put.put(rules)))
        })?;
        Ok(Self { policy: Arc::new(policy), rules })
    }

    /// Looks at the file once. Routes, what goes upstream, and whom to believe change in one moment; a bad file changes nothing.
    pub async fn reload(&self) -> Reloaded {
        self.policy.check().await
    }

    /// Looks at the file every `interval`, until the returned value is dropped.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use = "dropping it ends the following"]
    pub fn follow(&self, interval: Duration) -> impl Drop + Send + use<> {
        self.policy.follow(interval)
    }

    /// Whether tokens of every issuer can be judged.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.rules.is_ready()
    }

    /// Waits until the keys of every issuer are at hand.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](token_core::ErrorKind::Unavailable) as [`ResourceServer::ready`](token_core::ResourceServer::ready).
    pub async fn ready(&self) -> Result<(), token_core::Error> {
        self.policy.server().ready().await
    }

    /// Answers proxies until `end` is there, HTTP/1.1 and HTTP/2 alike; then answers what is being asked, at most 10 s. At most 4,096
    /// connections at once: further ones wait. Of 16,384 questions at once on, further ones are answered with 503.
    pub async fn serve(&self, listener: TcpListener, end: impl Future<Output = ()> + Send) {
        let (announce, ending) = watch::channel(false);
        let bound = Arc::new(Semaphore::new(CONNECTIONS));
        let serving = self.serve_on(Listener::Tcp(listener), bound, ending, PATIENCE);
        let announced = async {
            end.await;
            let _ = announce.send(true);
        };
        tokio::join!(serving, announced);
    }

    pub(crate) fn serve_on(
        &self,
        listener: Listener,
        bound: Arc<Semaphore>,
        ending: watch::Receiver<bool>,
        patience: Duration,
    ) -> impl Future<Output = ()> + Send + use<> {
        let rules = self.rules.clone();
        let answer = move |peer, request| {
            let rules = rules.clone();
            async move { Ok::<_, Infallible>(doors::answer(&rules, peer, request).await) }
        };
        serve(listener, bound, ending, patience, answer)
    }

    pub(crate) fn rules(&self) -> &InForce {
        &self.rules
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("policy", &self.policy).finish_non_exhaustive()
    }
}
