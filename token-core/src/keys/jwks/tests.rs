//! The cache of one issuer's keys, its issuer scripted and its time stopped: what it fetches, when, and who waits.

mod limits;
mod outages;
mod rotation;
mod runtimes;

use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::super::{Answer, Fetched, FetchedKeys, KeySource, KeyStatus, Keys, Missing, Snapshot};
use super::*;
use crate::base::http::{BoxFuture, HttpError};
use crate::base::telemetry::listener::Listener;
use crate::jose::Algorithm;
use crate::jose::base64url::encode;

/// What the issuer does when it is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    Up,
    Down,
    Status(u16),
    Junk,
    Hanging,
    Panicking,
}

#[derive(Debug)]
struct ScriptedIssuer {
    /// Names of keys, and what each is made of.
    published: Mutex<Vec<(String, u8)>>,
    mood: Mutex<Mood>,
    delay: Mutex<Duration>,
    max_age: Mutex<Option<Duration>>,
    fetches: AtomicUsize,
    rejected: AtomicUsize,
}

/// A key that every backend takes; nothing is ever signed with it.
fn jwk(kid: &str, seed: u8) -> serde_json::Value {
    let mut modulus = [0xff; 256];
    modulus[1] = seed;
    json!({"kty": "RSA", "n": encode(&modulus), "e": "AQAB", "kid": kid, "alg": "RS256"})
}

impl KeySource for ScriptedIssuer {
    fn fetch(&self) -> BoxFuture<'_, Result<FetchedKeys, FetchError>> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        let (mood, delay, max_age) =
            (*self.mood.lock().unwrap(), *self.delay.lock().unwrap(), *self.max_age.lock().unwrap());
        // What an answer says is decided when it is asked for, not when it arrives.
        let keys: Vec<_> = self.published.lock().unwrap().iter().map(|(kid, seed)| jwk(kid, *seed)).collect();
        let document = json!({"keys": keys}).to_string();
        Box::pin(async move {
            if !delay.is_zero() {
                sleep(delay).await;
            }
            match mood {
                Mood::Up => Ok(max_age.into_iter().fold(FetchedKeys::new(document), FetchedKeys::max_age)),
                Mood::Down => Err(FetchError::Http(HttpError::Connect("refused".to_owned()))),
                Mood::Status(status) => Err(FetchError::Status { status, retry_after: None }),
                Mood::Junk => Ok(FetchedKeys::new("<html>maintenance</html>")),
                Mood::Hanging => std::future::pending().await,
                Mood::Panicking => panic!("a bug in a source"),
            }
        })
    }

    fn rejected(&self) {
        self.rejected.fetch_add(1, Ordering::SeqCst);
    }
}

/// The paused time of tokio as a clock that can also be set.
#[derive(Debug)]
struct TokioClock {
    origin: Instant,
    set_by_millis: AtomicI64,
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.origin.elapsed().as_millis()).unwrap();
        Timestamp::from_millis(1_700_000_000_000 + passed + self.set_by_millis.load(Ordering::SeqCst))
    }
}

#[derive(Clone)]
struct World {
    issuer: Arc<ScriptedIssuer>,
    clock: Arc<TokioClock>,
    keys: Keys,
}

#[derive(Clone, Debug, PartialEq)]
enum Verdict {
    Known,
    Unknown,
    Unavailable(Duration),
    Grounded(NoRuntime),
}

impl World {
    /// An issuer that publishes key `a`, and a cache that has not asked it yet.
    fn cold() -> Self {
        Self::within(FetchLimits::new())
    }

    fn within(limits: FetchLimits) -> Self {
        let issuer = Arc::new(ScriptedIssuer {
            published: Mutex::new(vec![("a".to_owned(), 7)]),
            mood: Mutex::new(Mood::Up),
            delay: Mutex::new(Duration::ZERO),
            max_age: Mutex::new(None),
            fetches: AtomicUsize::new(0),
            rejected: AtomicUsize::new(0),
        });
        let clock = Arc::new(TokioClock { origin: Instant::now(), set_by_millis: AtomicI64::new(0) });
        let source = Arc::clone(&issuer) as Arc<dyn KeySource>;
        let keys = Keys::remote(
            source,
            JwksSettings::default(),
            Arc::clone(&clock) as Arc<dyn Clock>,
            "https://id.example",
            limits,
            Leniency::default(),
        );
        Self { issuer, clock, keys }
    }

    /// The same after the first fetch.
    async fn warm() -> Self {
        let world = Self::cold();
        assert_eq!(world.verify("a").await, Verdict::Known);
        sleep(Duration::from_secs(1)).await;
        world
    }

    fn looked(&self) -> Looked {
        Looked::into(self.keys.current(self.clock.now()).as_deref())
    }

    /// What the gate does with a token of this key.
    async fn verify(&self, kid: &str) -> Verdict {
        let now = self.clock.now();
        let (what, looked) = match self.keys.current(now) {
            Some(set) if holds(&set, kid) => return Verdict::Known,
            Some(set) => (Missing::Kid(kid), Looked::into(Some(&set))),
            None => (Missing::Set, Looked::default()),
        };
        self.follow(what, looked, now, kid).await
    }

    async fn follow(&self, what: Missing<'_>, looked: Looked, now: Timestamp, kid: &str) -> Verdict {
        let fetched = match self.keys.missing(what, looked, now) {
            Answer::UnknownKey => return Verdict::Unknown,
            Answer::Unavailable { retry_after } => return Verdict::Unavailable(retry_after),
            Answer::Wait(fetch) => fetch.await,
        };
        match fetched {
            Fetched::Unavailable { retry_after } => Verdict::Unavailable(retry_after),
            Fetched::Updated if self.keys.current(self.clock.now()).is_some_and(|set| holds(&set, kid)) => {
                Verdict::Known
            }
            Fetched::Updated => Verdict::Unknown,
            Fetched::Grounded(missing) => Verdict::Grounded(missing),
        }
    }

    fn publish(&self, keys: &[(&str, u8)]) {
        *self.issuer.published.lock().unwrap() = keys.iter().map(|(kid, seed)| ((*kid).to_owned(), *seed)).collect();
    }

    fn mood(&self, mood: Mood) {
        *self.issuer.mood.lock().unwrap() = mood;
    }

    fn delay(&self, seconds: u64) {
        *self.issuer.delay.lock().unwrap() = Duration::from_secs(seconds);
    }

    fn fetches(&self) -> usize {
        self.issuer.fetches.load(Ordering::SeqCst)
    }

    fn state(&self) -> KeyState {
        self.keys.state(self.clock.now())
    }
}

fn holds(set: &Snapshot<'_>, kid: &str) -> bool {
    set.choose(Algorithm::RS256, Some(kid)).is_ok()
}

async fn pass(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_cold_start_with_a_hundred_callers_is_one_fetch() {
    let world = World::cold();
    world.delay(1);
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let world = world.clone();
        callers.spawn(async move { world.verify("a").await });
    }
    assert!(callers.join_all().await.into_iter().all(|verdict| verdict == Verdict::Known));
    assert_eq!(world.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_fetched_without_traffic() {
    let world = World::warm().await;
    pass(100_000).await;
    assert_eq!(world.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn boot_starts_fetching_by_itself() {
    let world = World::cold();
    world.keys.start();
    pass(1).await;
    assert_eq!(world.state().status, KeyStatus::Fresh);
    assert_eq!(world.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn ready_tells_success_and_the_reason_of_failure() {
    let world = World::cold();
    world.mood(Mood::Status(500));
    let error = world.keys.ready().await.unwrap_err();
    assert_eq!(error.to_string(), "no keys of issuer https://id.example: jwk set answered with status 500");
    assert!(error.retry_after() >= Duration::from_secs(1));
    world.mood(Mood::Up);
    pass(2).await;
    assert_eq!(world.keys.ready().await, Ok(()));
    assert_eq!(world.keys.ready().await, Ok(()), "at once, from the set that is there");
    assert_eq!(world.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_caller_neither_ends_nor_repeats_the_fetch() {
    let world = World::cold();
    world.delay(2);
    let impatient = tokio::time::timeout(Duration::from_millis(10), world.verify("a")).await;
    assert!(impatient.is_err());
    assert_eq!(world.verify("a").await, Verdict::Known);
    assert_eq!(world.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_fetch_goes_on_when_every_caller_is_gone() {
    let world = World::cold();
    world.delay(2);
    let callers: Vec<_> = (0..10).map(|_| world.verify("a")).collect();
    for caller in callers {
        assert!(tokio::time::timeout(Duration::from_millis(1), caller).await.is_err());
    }
    pass(3).await;
    assert_eq!(world.state().status, KeyStatus::Fresh);
    assert_eq!(world.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn events_have_stable_names_and_never_a_kid() {
    let events = Listener::all();
    let _here = tracing::subscriber::set_default(events.clone());
    let world = World::warm().await;
    world.publish(&[("a", 7), ("canary-published", 8)]);
    world.verify("canary-made-up").await;
    world.mood(Mood::Down);
    pass(1).await;
    world.verify("canary-other").await;
    world.mood(Mood::Hanging);
    pass(61).await;
    world.verify("canary-third").await;
    let said: Vec<_> = events.events().iter().map(|event| format!("{}{}", event.name, event.fields)).collect();
    for (name, part) in [
        ("token.keys.fetched", "issuer=\"https://id.example\" outcome=\"changed\" keys=2 skipped=0"),
        ("token.keys.missing", "outcome=\"fetch_started\""),
        (
            "token.keys.fetch_failed",
            "outcome=\"network\" error=\"jwk set not reachable: no connection: refused\" usable=true",
        ),
        ("token.keys.slow", "issuer="),
    ] {
        assert!(said.iter().any(|line| line.starts_with(name) && line.contains(part)), "{name} in {said:#?}");
    }
    assert!(!said.iter().any(|line| line.contains("canary")), "{said:#?}");
}

#[tokio::test(start_paused = true)]
async fn no_store_is_not_a_fetch_per_request() {
    let world = World::cold();
    *world.issuer.max_age.lock().unwrap() = Some(Duration::ZERO);
    for _ in 0..6000 {
        assert_eq!(world.verify("a").await, Verdict::Known);
        sleep(Duration::from_millis(100)).await;
    }
    assert!(world.fetches() <= 1 + 600 / 43, "{} in 600 s", world.fetches());
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_refreshes_and_does_not_prolong_the_set() {
    let world = World::warm().await;
    world.clock.set_by_millis.store(-86_400_000, Ordering::SeqCst);
    assert_eq!(world.verify("a").await, Verdict::Known);
    pass(1).await;
    assert_eq!(world.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_state_is_what_a_readiness_endpoint_shows() {
    let world = World::cold();
    assert_eq!(serde_json::to_value(world.state()).unwrap()["status"], "empty");
    world.issuer.published.lock().unwrap().push(("too small to be a key".to_owned(), 0));
    world.verify("a").await;
    pass(10).await;
    let json = serde_json::to_value(world.state()).unwrap();
    assert_eq!((&json["status"], &json["age"], &json["fetches_ok"]), (&json!("fresh"), &json!(10), &json!(1)));
    assert_eq!((&json["last_error"], &json["fetching"]), (&json!(null), &json!(false)));
    assert!((422..=518).contains(&json["next_refresh"].as_f64().map(|s| s as i64).unwrap()), "{json}");
}

#[test]
fn given_keys_are_always_there_and_never_fetched() {
    let document = json!({"keys": [jwk("a", 7)]}).to_string();
    let keys = Keys::fixed(KeySet::parse(document.as_bytes(), Origin::Given).unwrap());
    assert!(holds(&keys.current(Timestamp::MAX).unwrap(), "a"));
    assert!(keys.alive(Timestamp::MAX));
    assert!(matches!(keys.missing(Missing::Kid("b"), Looked::default(), Timestamp::EPOCH), Answer::UnknownKey));
    assert_eq!((keys.state(Timestamp::EPOCH).status, keys.state(Timestamp::EPOCH).keys), (KeyStatus::Fresh, 1));
}
