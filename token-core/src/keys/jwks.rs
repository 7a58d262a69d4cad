//! The cache of a fetched JWK Set: requests read it without a lock, a detached task refreshes it as `refresh.rs` decides.

mod flight;
#[cfg(test)]
mod tests;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use arc_swap::Guard;
use bytes::Bytes;

use super::refresh::{Decision, FlightId, Landing, Question, State, Why, decide};
use super::settings::JwksSettings;
use super::source::{FetchError, FetchedKeys, KeySource};
use super::state::{KeyState, KeyStatus, KeysUnavailable};
use super::{Answer, Fetched, KeyFetch, Looked, Missing};
use crate::base::chance::chance;
use crate::base::limits::FetchLimits;
use crate::base::runtime::{NoRuntime, at_hand};
use crate::base::sync::atomic::{AtomicI64, Ordering};
use crate::base::sync::{AbortHandle, ArcSwapOption, Handle, Mutex, MutexGuard};
use crate::base::telemetry;
use crate::base::time::{Clock, Timestamp};
use crate::jose::jwk_set::{KeySet, KeySetError, Leniency, Origin, skipped_keys};
use flight::{Flight, UnderWay};

/// The largest document that is read, wherever a source has it from.
const LARGEST: usize = 512 * 1024;
/// What a client is told to wait when nothing better is known.
const SOON: Duration = Duration::from_secs(1);
/// The good ends of a fetch, as metrics, events and spans name them.
const CHANGED: &str = "changed";
const UNCHANGED: &str = "unchanged";

/// The keys of one issuer as they were last fetched.
///
/// The lock guards the pure state and the books, is held for microseconds and never across an await. Requests with a known
/// key do not touch it, but for the one that finds a refresh due.
pub(crate) struct JwksCache {
    issuer: Box<str>,
    source: Arc<dyn KeySource>,
    settings: JwksSettings,
    clock: Arc<dyn Clock>,
    limits: FetchLimits,
    /// What an operator said of keys that are not as they should be.
    leniency: Leniency,
    set: ArcSwapOption<KeySet>,
    // The fences of the state, in milliseconds: between floor and due a request has nothing to ask.
    floor: AtomicI64,
    due: AtomicI64,
    dead: AtomicI64,
    /// Names of keys are remembered and logged as hashes under a secret of this process.
    secret: RandomState,
    inner: Mutex<Inner>,
    this: Weak<Self>,
}

struct Inner {
    state: State,
    /// How the fetch under way goes on.
    progress: Option<UnderWay>,
    task: Option<(FlightId, AbortHandle)>,
    /// The document the set was made of, to know whether the next one is another.
    document: Bytes,
    last_error: Option<FetchError>,
    fetches_ok: u64,
    fetches_failed: u64,
    issuer_clock_ahead: Option<i64>,
}

/// A good answer, read.
enum Read {
    Unchanged,
    Changed(KeySet, Bytes),
}

/// What a request lacks, as it is asked for: with the hash of its key where there is one, for the log.
#[derive(Clone, Copy)]
struct Sought {
    question: Question,
    key: Option<u64>,
    looked: Looked,
}

impl Read {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Unchanged => UNCHANGED,
            Self::Changed(..) => CHANGED,
        }
    }
}

impl JwksCache {
    pub(super) fn new(
        source: Arc<dyn KeySource>,
        settings: JwksSettings,
        clock: Arc<dyn Clock>,
        name: &str,
        limits: FetchLimits,
        leniency: Leniency,
    ) -> Arc<Self> {
        let inner = Inner {
            state: State::new(&settings),
            progress: None,
            task: None,
            document: Bytes::new(),
            last_error: None,
            fetches_ok: 0,
            fetches_failed: 0,
            issuer_clock_ahead: None,
        };
        let fences = inner.state.fences(&settings);
        Arc::new_cyclic(|this| Self {
            issuer: name.into(),
            source,
            settings,
            clock,
            limits,
            leniency,
            set: ArcSwapOption::empty(),
            floor: AtomicI64::new(fences.floor.as_millis()),
            due: AtomicI64::new(fences.due.as_millis()),
            dead: AtomicI64::new(fences.dead.as_millis()),
            secret: RandomState::new(),
            inner: Mutex::new(inner),
            this: Weak::clone(this),
        })
    }

    #[inline]
    pub(super) fn current(&self, now: Timestamp) -> Option<Guard<Option<Arc<KeySet>>>> {
        // The end is read before the set and written after it: a later end is never seen with an earlier set.
        self.alive(now).then(|| self.set.load()).filter(|set| set.is_some())
    }

    /// The same, and no refresh.
    #[inline]
    pub(super) fn held(&self, now: Timestamp) -> Option<Guard<Option<Arc<KeySet>>>> {
        let alive = now.as_millis() < self.dead.load(Ordering::Acquire);
        alive.then(|| self.set.load()).filter(|set| set.is_some())
    }

    #[inline]
    pub(super) fn alive(&self, now: Timestamp) -> bool {
        let at = now.as_millis();
        let alive = at < self.dead.load(Ordering::Acquire);
        if at >= self.due.load(Ordering::Relaxed) || at < self.floor.load(Ordering::Relaxed) {
            self.refresh(now);
        }
        alive
    }

    #[cold]
    #[inline(never)]
    fn refresh(&self, now: Timestamp) {
        if now.is_before(Timestamp::from_millis(self.floor.load(Ordering::Relaxed))) {
            telemetry::set_back("keys");
        }
        if !self.source.idle()
            && let Err(missing) = self.ask(now, Question::Use, None)
        {
            missing.say("keys are not refreshed in the background");
        }
    }

    /// A token names this key.
    pub(super) fn wanted(&self, kid: &str) {
        self.source.wanted(kid);
    }

    /// `looked` is the set that lacks it.
    pub(super) fn missing(&self, what: Missing<'_>, looked: Looked, now: Timestamp) -> Answer {
        let (question, key) = match what {
            Missing::Set => (Question::MissingSet, 0),
            Missing::Kid(kid) => keyed(Question::MissingKey, self.secret.hash_one(("kid", kid))),
            Missing::NoKid => keyed(Question::MissingKey, self.secret.hash_one("no kid")),
            Missing::SameKid(kid) => keyed(Question::MissingNewerKey, self.secret.hash_one(("same kid", kid))),
        };
        // With a key of that name at hand a failed fetch changes nothing: the signature is as bad as before.
        let known = matches!(what, Missing::SameKid(_)) && now.as_millis() < self.dead.load(Ordering::Acquire);
        let sought = Sought { question, key: (!matches!(what, Missing::Set)).then_some(key), looked };
        match self.seek(sought, now) {
            Ok(answer) => answer.excused(known),
            // Nobody is here to fetch. Whoever awaits the outcome may do so inside of a runtime.
            Err(_) => {
                let cache = Weak::clone(&self.this);
                let once_polled = async move {
                    let Some(cache) = cache.upgrade() else { return Fetched::Unavailable { retry_after: SOON } };
                    let answer = cache.seek(sought, cache.now());
                    // Not held while it is waited for.
                    drop(cache);
                    match answer {
                        Ok(Answer::Wait(fetch)) => fetch.await,
                        Ok(Answer::Unavailable { retry_after }) => Fetched::Unavailable { retry_after },
                        // The second look says so.
                        Ok(Answer::UnknownKey) => Fetched::Updated,
                        Err(missing) => Fetched::Grounded(missing),
                    }
                };
                Answer::Wait(KeyFetch(Box::pin(once_polled))).excused(known)
            }
        }
    }

    /// # Errors
    /// There is nobody to carry out the fetch that is due.
    fn seek(&self, Sought { question, key, looked }: Sought, now: Timestamp) -> Result<Answer, NoRuntime> {
        let (decision, progress) = self.ask(now, question, Some(looked))?;
        if let Some(key) = key {
            let outcome = match decision {
                Decision::Start(_) => "fetch_started",
                Decision::Join => "fetch_joined",
                Decision::Unknown(Why::Remembered) => "remembered",
                Decision::Unknown(Why::BucketEmpty) => {
                    telemetry::fetched(&self.issuer, "suppressed");
                    "bucket_empty"
                }
                Decision::Unknown(Why::Trouble) | Decision::Unavailable(_) => "unavailable",
                Decision::Look | Decision::Rest | Decision::RetryIn(_) => "set_newer_than_request",
            };
            telemetry::unknown_key(&self.issuer, outcome);
            tracing::debug!(name: "token.keys.missing", issuer = &*self.issuer, outcome, key_hash = key, "a token needs a key that is not held");
        }
        Ok(match decision {
            Decision::Start(_) | Decision::Join => match progress {
                Some(progress) => {
                    let (cache, patience) = (Weak::clone(&self.this), self.settings.wait);
                    Answer::Wait(KeyFetch(Box::pin(flight::wait(cache, progress, patience))))
                }
                None => Answer::Unavailable { retry_after: SOON },
            },
            Decision::Unknown(_) => Answer::UnknownKey,
            Decision::Unavailable(left) | Decision::RetryIn(left) => Answer::Unavailable { retry_after: left },
            Decision::Look | Decision::Rest => Answer::Wait(KeyFetch(Box::pin(std::future::ready(Fetched::Updated)))),
        })
    }

    /// Puts a question to the state and starts the fetch it may decide on. Whoever asks does not wait here.
    ///
    /// # Errors
    /// A fetch is due, and there is nobody to carry it out: it is not begun.
    fn ask(
        &self,
        now: Timestamp,
        question: Question,
        looked: Option<Looked>,
    ) -> Result<(Decision, Option<UnderWay>), NoRuntime> {
        let runtime = at_hand();
        let mut inner = self.lock();
        // What is missing from a set that has been succeeded may be in the one in force: it is that one which the asker lacks. Sets
        // are stored under the lock, so none lands between this and the decision.
        let question = match looked {
            Some(looked) if looked != Looked::into(self.set.load().as_deref()) => Question::MissingSet,
            _ => question,
        };
        let decision = decide(&mut inner.state, &self.settings, now, question);
        let Decision::Start(id) = decision else {
            self.store_fences(&inner);
            return Ok((decision, inner.progress.clone()));
        };
        // A fetch that nobody can carry out is not begun; nor one more because of a token, where tokens have caused enough.
        let by_stranger =
            matches!(question, Question::MissingKey(_) | Question::MissingNewerKey(_)) && inner.state.usable(now);
        let runtime = match runtime {
            Ok(_) if by_stranger && !self.limits.allows_stranger(now) => Ok(None),
            runtime => runtime.map(Some),
        };
        let Ok(Some(runtime)) = runtime else {
            decide(&mut inner.state, &self.settings, now, Question::Grounded(id));
            self.store_fences(&inner);
            return runtime.map(|_| (Decision::Unknown(Why::BucketEmpty), None));
        };
        let (flight, progress) = self.take_off(&mut inner, id);
        drop(inner);
        self.begin(&runtime, flight, id);
        Ok((decision, Some(progress)))
    }

    fn begin(&self, runtime: &Handle, flight: Flight, id: FlightId) {
        // Outside the lock: a runtime that is shutting down drops the task on the spot, and its drop takes the lock.
        let task =
            runtime.spawn(flight.carry_out(Arc::clone(&self.source), self.settings.clone(), self.limits.clone()));
        let mut inner = self.lock();
        if inner.task.as_ref().is_none_or(|(earlier, _)| *earlier < id) {
            let earlier = inner.task.replace((id, task.abort_handle()));
            drop(inner);
            // It has ended, or waits to try again, or its runtime stands still.
            if let Some((_, earlier)) = earlier {
                earlier.abort();
            }
        }
    }

    /// The fetch `id` has not ended, nor said that it is slow, for longer than it ever takes to say so: begins another one here.
    fn take_over(&self, id: FlightId) {
        let Ok(runtime) = at_hand() else { return };
        let mut inner = self.lock();
        let decision = decide(&mut inner.state, &self.settings, self.clock.now(), Question::Stalled(id));
        let Decision::Start(next) = decision else { return };
        let (flight, _) = self.take_off(&mut inner, next);
        drop(inner);
        tracing::warn!(name: "token.keys.stalled", issuer = &*self.issuer, "the runtime that was fetching keys stands still; another one fetches them");
        self.begin(&runtime, flight, next);
    }

    fn take_off(&self, inner: &mut Inner, id: FlightId) -> (Flight, UnderWay) {
        let (sender, progress) = UnderWay::begin(id);
        inner.progress = Some(progress.clone());
        self.store_fences(inner);
        let is_troubled = inner.last_error.is_some();
        (Flight::new(Weak::clone(&self.this), id, sender, is_troubled), progress)
    }

    /// The pause after the fetch `id` is over.
    fn woke(&self, id: FlightId) -> Option<Flight> {
        let mut inner = self.lock();
        match decide(&mut inner.state, &self.settings, self.clock.now(), Question::Woke(id)) {
            Decision::Start(next) => Some(self.take_off(&mut inner, next).0),
            _ => None,
        }
    }

    fn slow(&self, id: FlightId) {
        let mut inner = self.lock();
        decide(&mut inner.state, &self.settings, self.clock.now(), Question::Slow(id));
        drop(inner);
        tracing::warn!(name: "token.keys.slow", issuer = &*self.issuer, "fetching keys takes longer than requests wait");
    }

    /// Makes a key set of what was fetched.
    fn read(&self, fetched: &FetchedKeys) -> Result<Read, FetchError> {
        let document = &fetched.jwk_set;
        if document.len() > LARGEST {
            return Err(FetchError::Unparsable("it is larger than 512 KiB"));
        }
        if self.set.load().is_some() && self.lock().document == document {
            return Ok(Read::Unchanged);
        }
        let set = KeySet::parse_as(document, Origin::Fetched, self.leniency).map_err(|error| {
            FetchError::Unparsable(match error {
                KeySetError::NotJson => "it is not JSON",
                KeySetError::NoKeys => "it has no list of keys",
            })
        })?;
        match (set.is_empty(), set.skipped().is_empty()) {
            (false, _) => Ok(Read::Changed(set, document.clone())),
            (true, true) => Err(FetchError::Emptied),
            (true, false) => Err(FetchError::NoUsableKey(skipped_keys(set.skipped()))),
        }
    }

    /// Books the end of a fetch; `None` when it was lost. Says what those who waited are told, and after which pause to
    /// try again although nobody asks.
    fn land(&self, id: FlightId, end: Option<Result<(Read, FetchedKeys), FetchError>>) -> (Fetched, Option<Duration>) {
        let now = self.clock.now();
        let jitter = chance();
        let mut inner = self.lock();
        let (landing, event) = match end {
            // Another one took its place.
            _ if !inner.state.is_under_way(id) && inner.state.usable(now) => return (Fetched::Updated, None),
            _ if !inner.state.is_under_way(id) => return (Fetched::Unavailable { retry_after: SOON }, None),
            Some(Ok((read, fetched))) => {
                let changed = matches!(read, Read::Changed(..));
                if let Read::Changed(set, document) = read {
                    let set = match &*self.set.load() {
                        Some(previous) => set.succeed(previous),
                        None => set,
                    };
                    self.set.store(Some(Arc::new(set)));
                    inner.document = document;
                }
                inner.fetches_ok += 1;
                inner.last_error = None;
                let ahead = |there: Timestamp| there.as_secs().saturating_sub(now.as_secs());
                inner.issuer_clock_ahead = fetched.server_time.map(ahead);
                (Landing::Good { max_age: fetched.max_age, changed }, Ok(changed))
            }
            Some(Err(error)) => {
                inner.fetches_failed += 1;
                inner.last_error = Some(error.clone());
                let landing = match error.no_runtime() {
                    Some(_) => Landing::Lost,
                    None => Landing::Bad { excused: error.is_outage(), retry_after: error.retry_after() },
                };
                (landing, Err(Some(error)))
            }
            None => (Landing::Lost, Err(None)),
        };
        let decision = decide(&mut inner.state, &self.settings, now, Question::Landed { flight: id, landing, jitter });
        inner.progress = None;
        self.store_fences(&inner);
        let (usable, due) = (inner.state.usable(now), inner.state.due());
        drop(inner);

        let until_due = due.map_or(SOON, |due| due.since(now));
        match &event {
            Ok(changed) => self.report_good(*changed),
            Err(error) => self.report_bad(error.as_ref(), usable, until_due),
        }
        let missing = event.as_ref().err().and_then(|error| error.as_ref()?.no_runtime());
        let fetched = match (landing, missing) {
            (Landing::Good { .. }, _) => Fetched::Updated,
            (_, Some(missing)) => Fetched::Grounded(missing),
            _ => Fetched::Unavailable { retry_after: until_due.max(SOON) },
        };
        let pause = if let Decision::RetryIn(pause) = decision { Some(pause) } else { None };
        (fetched, pause)
    }

    fn report_good(&self, changed: bool) {
        let set = self.set.load();
        let Some(set) = &*set else { return };
        let outcome = if changed { CHANGED } else { UNCHANGED };
        telemetry::fetched(&self.issuer, outcome);
        telemetry::keys_in_force(&self.issuer, set.len(), self.clock.now());
        let (keys, skipped) = (set.len(), set.skipped().len());
        tracing::info!(name: "token.keys.fetched", issuer = &*self.issuer, outcome, keys, skipped, "fetched keys");
        for key in set.skipped().iter().filter(|_| changed) {
            tracing::warn!(name: "token.keys.skipped", issuer = &*self.issuer, reason = %key.reason(), "a published key cannot be used");
        }
    }

    fn report_bad(&self, error: Option<&FetchError>, usable: bool, pause: Duration) {
        let outcome = error.map_or("lost", FetchError::outcome);
        telemetry::fetched(&self.issuer, outcome);
        let error = error.map(ToString::to_string).unwrap_or_default();
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(name: "token.keys.fetch_failed", issuer = &*self.issuer, outcome, error, usable, pause_ms, "keys could not be fetched");
    }

    pub(super) fn last_error(&self) -> Option<FetchError> {
        self.lock().last_error.clone()
    }

    pub(super) fn state(&self, now: Timestamp) -> KeyState {
        let set = self.set.load_full();
        let inner = self.lock();
        let held = inner.state.held();
        let usable = set.filter(|_| inner.state.usable(now));
        let status = match (&usable, held) {
            (Some(_), Some(held)) if now < held.fresh_until => KeyStatus::Fresh,
            (Some(_), _) => KeyStatus::Stale,
            (None, _) => KeyStatus::Empty,
        };
        KeyState {
            status,
            age: held.map(|held| now.since(held.fetched_at)),
            keys: usable.as_ref().map_or(0, |set| set.len()),
            skipped: usable.as_ref().map_or_else(Vec::new, |set| set.skipped().to_vec()),
            last_error: inner.last_error.as_ref().map(ToString::to_string),
            next_refresh: inner.state.due().map(|due| due.since(now)),
            fetching: inner.state.in_flight(),
            fetches_ok: inner.fetches_ok,
            fetches_failed: inner.fetches_failed,
            issuer_clock_ahead: inner.issuer_clock_ahead,
        }
    }

    pub(super) async fn ready(&self) -> Result<(), KeysUnavailable> {
        if self.source.idle() {
            return Ok(());
        }
        let now = self.now();
        let end = match self.missing(Missing::Set, Looked::default(), now) {
            Answer::Wait(fetch) => fetch.await,
            Answer::Unavailable { retry_after } => Fetched::Unavailable { retry_after },
            Answer::UnknownKey => Fetched::Updated,
        };
        let unavailable = |why, retry_after| Err(KeysUnavailable { issuer: self.issuer.to_string(), why, retry_after });
        match end {
            Fetched::Updated => Ok(()),
            Fetched::Grounded(missing) => unavailable(Some(missing.to_string()), SOON),
            Fetched::Unavailable { retry_after } => {
                unavailable(self.lock().last_error.as_ref().map(ToString::to_string), retry_after)
            }
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn store_fences(&self, inner: &Inner) {
        let fences = inner.state.fences(&self.settings);
        self.floor.store(fences.floor.as_millis(), Ordering::Relaxed);
        self.due.store(fences.due.as_millis(), Ordering::Relaxed);
        self.dead.store(fences.dead.as_millis(), Ordering::Release);
    }

    /// Nothing panics while the lock is held, and if it did the state would still be whole.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keyed(question: fn(u64) -> Question, hash: u64) -> (Question, u64) {
    (question(hash), hash)
}

impl Drop for JwksCache {
    fn drop(&mut self) {
        if let Some((_, task)) = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner).task.take() {
            task.abort();
        }
    }
}

impl fmt::Debug for JwksCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwksCache")
            .field("issuer", &self.issuer)
            .field("source", &self.source)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
