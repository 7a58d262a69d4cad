//! Tokens, a source of keys and a clock for schedules; how often whom was asked.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde_json::json;
use shuttle::future::{block_on, yield_now};
use shuttle::rand::{Rng, thread_rng};
use sync_shuttle::search::{Limits, eventually, search};
use sync_shuttle::{panic_on_purpose, passed, sleep};
use token_core::http::{BoxFuture, HttpError};
use token_core::jose::signing::SigningKey;
use token_core::{
    Algorithm, Clock, Error, ErrorKind, Issuer, Presented, ResourceServer, Timestamp, Verified,
    keys::{FetchError, FetchLimits, FetchedKeys, KeySource},
};

use crate::evidence::note;

pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const AUDIENCE: &str = "https://api.example";
const START: i64 = 1_800_000_000;
/// So late that no schedule gets there.
const END: i64 = START + 1_000_000_000;

/// The clock of the schedule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passing;

impl Clock for Passing {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(START).saturating_add(passed())
    }
}

/// Runs a scenario and notes it for the report.
pub(crate) fn holds(what: &str, name: &str, limits: Limits, scenario: impl Fn() + Send + Sync + 'static) {
    let schedules = search(limits, scenario);
    note("concurrency", &format!("{what}-{name}"), &[what, &name.replace('_', " "), &schedules.to_string()]);
}

pub(crate) const NAMES: [&str; 3] = ["a", "b", "c"];

fn signers() -> &'static [SigningKey; 3] {
    static SIGNERS: OnceLock<[SigningKey; 3]> = OnceLock::new();
    SIGNERS.get_or_init(|| {
        let pems: [&[u8]; 3] = [
            include_bytes!("../../../token-test/keys/p256-1.pem"),
            include_bytes!("../../../token-test/keys/p256-2.pem"),
            include_bytes!("../../../token-test/keys/p256-3.pem"),
        ];
        let mut pems = pems.into_iter();
        NAMES.map(|kid| SigningKey::from_pem(Algorithm::ES256, Some(kid), pems.next().unwrap()).unwrap())
    })
}

fn signer(kid: &str) -> &'static SigningKey {
    signers().iter().find(|signer| signer.kid() == Some(kid)).unwrap()
}

pub(crate) fn sign(kid: &str, subject: &str) -> String {
    let header = json!({"alg": "ES256", "kid": kid}).to_string();
    let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "exp": END, "sub": subject}).to_string();
    signer(kid).sign_jwt(&header, &claims).unwrap()
}

/// A token of each key, signed once.
pub(crate) fn token(kid: &str) -> &'static str {
    static TOKENS: OnceLock<[String; 3]> = OnceLock::new();
    let tokens = TOKENS.get_or_init(|| NAMES.map(|kid| sign(kid, kid)));
    &tokens[NAMES.iter().position(|name| *name == kid).unwrap()]
}

pub(crate) fn jwk_set(kids: &[&str]) -> String {
    let keys: Vec<_> = kids.iter().map(|kid| signer(kid).public_jwk().unwrap()).collect();
    json!({ "keys": keys }).to_string()
}

/// How a fetch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Good,
    Down,
    Junk,
    Panics,
    Never,
}

/// An issuer's keys; a fetch takes any number of steps and ends in one of `ends`.
#[derive(Clone, Debug)]
pub(crate) struct Source(pub(crate) Arc<Script>);

#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) published: Mutex<String>,
    pub(crate) ends: Mutex<Vec<End>>,
    pub(crate) asked: Asked,
}

/// How often somebody was asked, and by how many at once.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) times: AtomicUsize,
    under_way: AtomicUsize,
    pub(crate) most: AtomicUsize,
}

pub(crate) struct Asking<'a>(&'a Asked);

impl Asked {
    pub(crate) fn begin(&self) -> Asking<'_> {
        self.times.fetch_add(1, Ordering::SeqCst);
        let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(under_way, Ordering::SeqCst);
        Asking(self)
    }

    pub(crate) fn times(&self) -> usize {
        self.times.load(Ordering::SeqCst)
    }

    pub(crate) fn at_once(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Source {
    pub(crate) fn new(kids: &[&str], ends: &[End]) -> Self {
        Self(Arc::new(Script {
            published: Mutex::new(jwk_set(kids)),
            ends: Mutex::new(ends.to_vec()),
            asked: Asked::default(),
        }))
    }

    pub(crate) fn publish(&self, kids: &[&str]) {
        *self.0.published.lock().unwrap() = jwk_set(kids);
    }

    pub(crate) fn mend(&self) {
        *self.0.ends.lock().unwrap() = vec![End::Good];
    }

    /// A server that believes this source and nobody else.
    pub(crate) fn server(&self) -> ResourceServer {
        let issuer = Issuer::with_source(ISSUER, Arc::new(self.clone())).unwrap();
        // Its own, so that one schedule does not leave less to the next.
        let limits = FetchLimits::new();
        ResourceServer::builder(AUDIENCE).trust(issuer).clock(Passing).fetch_limits(limits).build().unwrap()
    }
}

/// Some time later.
pub(crate) fn later() {
    block_on(sleep(Duration::from_secs(60)));
}

/// The server goes, and with it every task that works for it, so that nobody holds on to `what` any more.
pub(crate) fn end<T>(server: ResourceServer, what: &Arc<T>) {
    drop(server);
    eventually("its tasks have ended", || Arc::strong_count(what) == 1);
}

/// Any number of steps of somebody else's.
pub(crate) async fn steps(range: Range<usize>) {
    for _ in 0..thread_rng().gen_range(range) {
        yield_now().await;
    }
}

impl KeySource for Source {
    fn fetch(&self) -> BoxFuture<'_, Result<FetchedKeys, FetchError>> {
        Box::pin(async {
            let _asking = self.0.asked.begin();
            let end = {
                let ends = self.0.ends.lock().unwrap();
                ends[thread_rng().gen_range(0..ends.len())]
            };
            steps(0..4).await;
            // What is published when the answer is made.
            let published = self.0.published.lock().unwrap().clone();
            steps(0..4).await;
            match end {
                End::Good => Ok(FetchedKeys::new(published)),
                End::Down => Err(FetchError::Http(HttpError::Connect("refused".to_owned()))),
                End::Junk => Ok(FetchedKeys::new("maintenance")),
                End::Panics => panic_on_purpose(),
                End::Never => std::future::pending().await,
            }
        })
    }
}

pub(crate) async fn ask(server: &ResourceServer, token: &str) -> Result<Verified, Error> {
    server.authenticate(Presented::token(token)).await
}

/// Accepted, with the claims of this very token; or our trouble, which is never the caller's fault.
pub(crate) fn accepted_or_503(outcome: Result<Verified, Error>, subject: &str) -> bool {
    match outcome {
        Ok(verified) => {
            assert_eq!(verified.subject(), Some(subject), "somebody else's claims");
            true
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            false
        }
    }
}
