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
async fn a_key_that_is_published_within_a_tick_of_a_fetch_is_fetched_with_its_first_token() {
    let world = World::cold();
    assert_eq!(world.verify("a").await, Verdict::Known);
    let landed = world.clock.now();
    world.issuer.published.lock().unwrap().push(("b".to_owned(), 8));
    assert_eq!(world.clock.now(), landed, "the clock stands still");
    assert_eq!(world.verify("b").await, Verdict::Known);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_looked_into_a_set_which_has_been_succeeded_looks_again_and_pays_for_no_fetch() {
    let world = World::cold();
    assert_eq!(world.verify("a").await, Verdict::Known);
    let before = world.looked();
    world.issuer.published.lock().unwrap().push(("b".to_owned(), 8));
    assert_eq!(world.verify("b").await, Verdict::Known);
    let fetches = world.issuer.fetches.load(Ordering::SeqCst);
    assert_eq!(world.follow(Missing::Kid("b"), before, world.clock.now(), "b").await, Verdict::Known);
    assert_eq!(world.issuer.fetches.load(Ordering::SeqCst), fetches);
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
async fn a_known_key_never_waits_for_a_slow_issuer() {
    let world = World::warm().await;
    world.delay(4);
    pass(527).await; // past the refresh time, whatever the jitter
    let before = Instant::now();
    for _ in 0..100 {
        assert_eq!(world.verify("a").await, Verdict::Known);
        tokio::task::yield_now().await;
    }
    assert_eq!(Instant::now(), before, "no time passed while requests were served");
    assert_eq!(world.fetches(), 2, "and one refresh is under way");
    assert!(world.state().fetching);
    pass(5).await;
    assert_eq!(world.state().fetches_ok, 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_fetched_without_traffic() {
    let world = World::warm().await;
    pass(100_000).await;
    assert_eq!(world.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_is_picked_up_on_the_first_token_of_the_new_key() {
    let world = World::warm().await;
    let kept = Arc::clone(world.keys.current(world.clock.now()).unwrap().choose(Algorithm::RS256, Some("a")).unwrap());
    world.publish(&[("a", 7), ("b", 8)]);
    assert_eq!(world.verify("b").await, Verdict::Known);
    assert_eq!(world.fetches(), 2);
    let now = world.clock.now();
    assert!(
        Arc::ptr_eq(&kept, world.keys.current(now).unwrap().choose(Algorithm::RS256, Some("a")).unwrap()),
        "carried over"
    );

    pass(1).await;
    world.publish(&[("b", 8), ("c", 9)]);
    assert_eq!(world.verify("c").await, Verdict::Known);
    assert!(kept.is_retired(), "what was verified by a withdrawn key must not live on in a cache");
    pass(1).await;
    assert_eq!(world.verify("a").await, Verdict::Unknown);
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_document_keeps_the_very_same_set() {
    let world = World::warm().await;
    let before: *const KeySet = &raw const **world.keys.current(world.clock.now()).as_ref().unwrap();
    pass(527).await;
    world.verify("a").await;
    pass(1).await;
    assert_eq!(world.state().fetches_ok, 2);
    let after: *const KeySet = &raw const **world.keys.current(world.clock.now()).as_ref().unwrap();
    assert_eq!(before, after);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_made_up_keys_stays_within_the_bucket_and_harms_nobody() {
    let world = World::warm().await;
    world.delay(1);
    let mut flood = JoinSet::new();
    let begun = Instant::now();
    for number in 0..1000 {
        let stranger = world.clone();
        flood.spawn(async move { stranger.verify(&format!("made up {number}")).await });
        let before = Instant::now();
        assert_eq!(world.keys.current(world.clock.now()).map(|set| holds(&set, "a")), Some(true));
        assert_eq!(Instant::now(), before);
        sleep(Duration::from_millis(60)).await;
    }
    let took = begun.elapsed().as_secs();
    assert!(flood.join_all().await.into_iter().all(|verdict| verdict == Verdict::Unknown), "401, never 503");
    let allowed = 1 + 2 + usize::try_from(took / 30).unwrap();
    assert!(world.fetches() <= allowed, "{} fetches in {took} s", world.fetches());
    assert!(world.fetches() > 2, "the flood did cause fetches");
}

#[tokio::test(start_paused = true)]
async fn a_flood_does_not_keep_a_real_rotation_out() {
    let world = World::warm().await;
    let mut noticed = None;
    for tick in 0..1200u64 {
        world.verify(&format!("made up {tick}")).await;
        if tick == 200 {
            world.publish(&[("a", 7), ("b", 8)]);
        }
        if tick >= 200 && world.verify("b").await == Verdict::Known {
            noticed = Some(tick - 200);
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert!(noticed.expect("picked up at all") <= 301, "within one refill of 30 s, in tenths of a second: {noticed:?}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_survived_up_to_the_cap_and_recovery_needs_no_restart() {
    let world = World::warm().await;
    world.mood(Mood::Status(503));
    for _ in 0..69 {
        pass(60).await;
        assert_eq!(world.verify("a").await, Verdict::Known, "at {:?}", world.state());
    }
    let state = world.state();
    assert_eq!(state.status, KeyStatus::Stale);
    assert_eq!(state.last_error.as_deref(), Some("jwk set answered with status 503"));
    pass(100).await;
    let verdict = world.verify("a").await;
    assert!(matches!(verdict, Verdict::Unavailable(_)), "503 and not 401: {verdict:?}");
    assert_eq!(world.state().status, KeyStatus::Empty);

    world.mood(Mood::Up);
    pass(61).await; // no request in the meantime
    assert_eq!(world.state().status, KeyStatus::Fresh);
    assert_eq!(world.verify("a").await, Verdict::Known);
}

#[tokio::test(start_paused = true)]
async fn what_may_serve_past_its_fresh_time_depends_on_the_error() {
    for (mood, serves) in [
        (Mood::Down, true),
        (Mood::Status(500), true),
        (Mood::Status(429), true),
        (Mood::Junk, true),
        (Mood::Panicking, true),
        // No issuer takes keys back by a status: these are of proxies, firewalls and deployments in between.
        (Mood::Status(404), true),
        (Mood::Status(403), true),
        (Mood::Status(401), true),
        (Mood::Status(408), true),
        (Mood::Status(302), true),
        (Mood::Status(204), true),
    ] {
        let world = World::warm().await;
        world.mood(mood);
        pass(527).await;
        assert_eq!(world.verify("a").await, Verdict::Known);
        pass(71).await;
        assert_eq!(world.verify("a").await, Verdict::Known, "still fresh: {mood:?}");
        pass(2).await;
        assert_eq!(world.keys.alive(world.clock.now()), serves, "{mood:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_emptied_set_is_the_issuers_word_and_the_old_one_serves_to_the_end_of_its_freshness() {
    let world = World::warm().await;
    world.publish(&[]);
    pass(527).await;
    world.verify("a").await;
    pass(1).await;
    let state = world.state();
    assert_eq!((state.fetches_failed, state.keys), (1, 1));
    assert_eq!(state.last_error.as_deref(), Some("jwk set without keys: the issuer has taken all of them back"));
    assert_eq!(
        world.issuer.rejected.load(Ordering::SeqCst),
        1,
        "the source is told, so that it looks for the set anew"
    );
    assert_eq!(world.verify("a").await, Verdict::Known);
    pass(72).await;
    assert!(!world.keys.alive(world.clock.now()), "and no longer");
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_down_at_boot_heals_without_traffic() {
    let world = World::cold();
    world.mood(Mood::Down);
    assert!(matches!(world.verify("a").await, Verdict::Unavailable(_)));
    pass(300).await;
    let tries = world.fetches();
    assert!((6..=16).contains(&tries), "1, 2, 4 … 60 s apart: {tries} in 300 s");
    world.mood(Mood::Up);
    pass(61).await;
    assert_eq!(world.state().status, KeyStatus::Fresh);
    assert_eq!(world.verify("a").await, Verdict::Known);
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
async fn nobody_waits_longer_than_five_seconds_for_an_issuer_that_hangs() {
    let world = World::cold();
    world.mood(Mood::Hanging);
    let begun = Instant::now();
    assert!(matches!(world.verify("a").await, Verdict::Unavailable(_)));
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    assert!(matches!(world.verify("a").await, Verdict::Unavailable(_)));
    assert_eq!(begun.elapsed(), Duration::from_secs(5), "who comes later does not wait at all");
    assert_eq!(world.fetches(), 1);
    pass(11).await;
    assert_eq!(world.state().last_error.as_deref(), Some("fetching the jwk set took too long"));
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_outlives_the_wait_is_used_all_the_same() {
    let world = World::cold();
    world.delay(8);
    assert!(matches!(world.verify("a").await, Verdict::Unavailable(_)));
    pass(4).await;
    assert_eq!(world.verify("a").await, Verdict::Known);
    assert_eq!(world.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_source_strands_nobody_and_heals() {
    let world = World::cold();
    world.mood(Mood::Panicking);
    assert!(matches!(world.verify("a").await, Verdict::Unavailable(_)));
    assert_eq!(world.state().last_error.as_deref(), Some("fetching the jwk set panicked"));
    world.mood(Mood::Up);
    pass(2).await;
    assert_eq!(world.state().status, KeyStatus::Fresh);
}

#[tokio::test(start_paused = true)]
async fn the_unknown_key_of_a_fetch_that_fails_is_our_trouble() {
    let world = World::warm().await;
    world.mood(Mood::Down);
    let verdict = world.verify("b").await;
    assert!(matches!(verdict, Verdict::Unavailable(after) if after >= Duration::from_secs(1)), "{verdict:?}");
    assert_eq!(world.verify("a").await, Verdict::Known);
}

#[tokio::test(start_paused = true)]
async fn a_key_replaced_under_its_name_is_fetched_once() {
    let world = World::warm().await;
    world.publish(&[("a", 8)]);
    let old = Arc::clone(world.keys.current(world.clock.now()).unwrap().choose(Algorithm::RS256, Some("a")).unwrap());
    assert_eq!(world.follow(Missing::SameKid("a"), world.looked(), world.clock.now(), "a").await, Verdict::Known);
    let now = world.clock.now();
    assert!(!Arc::ptr_eq(&old, world.keys.current(now).unwrap().choose(Algorithm::RS256, Some("a")).unwrap()));
    assert!(old.is_retired());
    pass(1).await;
    for _ in 0..100 {
        assert_eq!(
            world.follow(Missing::SameKid("a"), world.looked(), world.clock.now(), "a").await,
            Verdict::Unknown,
            "a forged signature"
        );
    }
    assert_eq!(world.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_bad_signature_stays_one_when_the_issuer_is_down() {
    let world = World::warm().await;
    world.mood(Mood::Down);
    let now = world.clock.now();
    let Answer::Wait(fetch) = world.keys.missing(Missing::SameKid("a"), world.looked(), now) else {
        panic!("a fetch is due")
    };
    assert_eq!(
        fetch.await,
        Fetched::Updated,
        "the gate looks once more and refuses the signature, it does not answer 503"
    );
    assert!(matches!(world.keys.missing(Missing::SameKid("a"), world.looked(), world.clock.now()), Answer::UnknownKey));
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
async fn a_token_without_a_kid_costs_one_fetch_like_any_unknown_key() {
    let world = World::warm().await;
    for _ in 0..100 {
        world.follow(Missing::NoKid, world.looked(), world.clock.now(), "b").await;
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(world.fetches(), 2);
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
async fn no_task_outlives_the_cache() {
    for mood in [Mood::Hanging, Mood::Down] {
        let world = World::cold();
        world.mood(mood);
        world.keys.start();
        sleep(Duration::from_millis(100)).await;
        let (issuer, tasks) = (Arc::clone(&world.issuer), tokio::runtime::Handle::current().metrics());
        assert_eq!(tasks.num_alive_tasks(), 1, "fetching, or pausing after a failure");
        drop(world);
        tokio::task::yield_now().await;
        assert_eq!(tasks.num_alive_tasks(), 0, "{mood:?}");
        assert_eq!(Arc::strong_count(&issuer), 1);
    }
}

#[test]
fn a_runtime_that_goes_away_strands_nobody() {
    let here = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let there = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let world = World::cold();
    world.mood(Mood::Hanging);
    there.block_on(async {
        world.keys.start();
        while world.fetches() == 0 {
            tokio::task::yield_now().await;
        }
    });
    let now = world.clock.now();
    let Answer::Wait(fetch) = here.block_on(async { world.keys.missing(Missing::Set, Looked::default(), now) }) else {
        panic!("a fetch is under way")
    };
    there.shutdown_background();
    assert_eq!(here.block_on(fetch), Fetched::Unavailable { retry_after: SOON });
    world.mood(Mood::Up);
    assert_eq!(here.block_on(world.verify("a")), Verdict::Known);
    assert_eq!(world.fetches(), 2);
}

#[test]
fn without_a_runtime_nothing_is_fetched_until_somebody_waits_in_one() {
    let world = World::cold();
    let now = world.clock.now();
    world.keys.start();
    assert!(world.keys.current(now).is_none());
    assert!(!world.keys.alive(now));
    let ask = |what| match world.keys.missing(what, world.looked(), now) {
        Answer::Wait(fetch) => fetch,
        answer => panic!("{answer:?}"),
    };
    let (set, key) = (ask(Missing::Set), ask(Missing::Kid("a")));
    assert_eq!(world.fetches(), 0);
    assert!(!world.state().fetching);
    let polled = pin!(ask(Missing::Set)).poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Ready(Fetched::Grounded(NoRuntime::Absent)));
    // A runtime that turns up later finds everything in order.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    assert_eq!(runtime.block_on(set), Fetched::Updated);
    assert_eq!(runtime.block_on(key), Fetched::Updated);
    assert_eq!(runtime.block_on(world.verify("a")), Verdict::Known);
    assert_eq!(world.fetches(), 1);
}

#[test]
fn a_runtime_without_timers_fetches_nothing_and_says_so() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let world = World::cold();
    assert_eq!(runtime.block_on(world.verify("a")), Verdict::Grounded(NoRuntime::WithoutTimers));
    assert_eq!((world.fetches(), world.state().last_error), (0, None));
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

#[tokio::test(start_paused = true)]
async fn no_more_fetches_than_the_process_may_make_are_under_way_and_all_have_their_turn() {
    let limits = FetchLimits::new().in_flight(2);
    let start = Instant::now();
    let mut asking = JoinSet::new();
    for _ in 0..6 {
        let world = World::within(limits.clone());
        world.delay(1);
        asking.spawn(async move { (world.verify("a").await, world.verify("a").await, start.elapsed()) });
    }
    let mut ends = Vec::new();
    while let Some(outcome) = asking.join_next().await {
        let (first, second, end) = outcome.unwrap();
        assert_eq!((first, second), (Verdict::Known, Verdict::Known));
        ends.push(end.as_secs());
    }
    ends.sort_unstable();
    assert_eq!(ends, [1, 1, 2, 2, 3, 3], "two a second");
}

#[tokio::test(start_paused = true)]
async fn a_known_key_waits_for_nobodys_turn_and_a_turn_that_does_not_come_is_503_in_time() {
    let limits = FetchLimits::new().in_flight(1);
    let known = World::within(limits.clone());
    assert_eq!(known.verify("a").await, Verdict::Known);
    let hanging = World::within(limits.clone());
    hanging.mood(Mood::Hanging);
    hanging.keys.start();
    tokio::task::yield_now().await;
    let start = Instant::now();
    assert_eq!(known.verify("a").await, Verdict::Known);
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(matches!(World::within(limits).verify("a").await, Verdict::Unavailable(_)));
    assert_eq!(start.elapsed(), JwksSettings::default().wait);
}

#[tokio::test(start_paused = true)]
async fn issuers_in_trouble_leave_half_of_the_turns_to_others() {
    let limits = FetchLimits::new().in_flight(2);
    let dead: Vec<_> = (0..4).map(|_| World::within(limits.clone())).collect();
    for world in &dead {
        world.mood(Mood::Down);
        assert!(matches!(world.verify("a").await, Verdict::Unavailable(_)));
        world.mood(Mood::Hanging);
    }
    // Their pauses are over: they ask again, and hang.
    sleep(Duration::from_secs(3)).await;
    let start = Instant::now();
    assert_eq!(World::within(limits).verify("a").await, Verdict::Known);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn strangers_cause_so_many_fetches_a_minute_whatever_issuers_they_name() {
    let limits = FetchLimits::new().by_strangers(3);
    let mut worlds = Vec::new();
    for _ in 0..5 {
        let world = World::within(limits.clone());
        assert_eq!(world.verify("a").await, Verdict::Known);
        worlds.push(world);
    }
    sleep(Duration::from_secs(1)).await;
    let fetches = |worlds: &[World]| worlds.iter().map(World::fetches).sum::<usize>() - worlds.len();
    for world in &worlds {
        assert_eq!(world.verify("made up").await, Verdict::Unknown, "and not 503");
    }
    assert_eq!(fetches(&worlds), 3);
    // What an issuer would have allowed was not used up by what the process did not.
    sleep(Duration::from_secs(20)).await;
    let last = &worlds[4];
    last.publish(&[("a", 7), ("new", 8)]);
    assert_eq!(last.verify("new").await, Verdict::Known);
    assert_eq!(fetches(&worlds), 4);
}
