//! What a cache of keys should do now: its state, the time and a question in; a decision out. No I/O, no clock, no chance.
//!
//! ```text
//!            Start                 Landed(Good)
//!   at rest ───────> in flight ───────────────> at rest, set held: fresh, then stale, then dead
//!      ^                │  │ Slow: waiters leave
//!      │                │  └─────────────────> in flight, nobody waits
//!      └────────────────┘ Landed(Bad): pause, doubled each time; RetryIn when no set is usable
//! ```

mod absent;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::absent::Absent;
use super::settings::JwksSettings;
use crate::base::bucket::Bucket;
use crate::base::time::Timestamp;

/// What a client is told to wait when the end of a flight is all there is to wait for.
const SOON: Duration = Duration::from_secs(1);

/// No fetch waits for so long until it is its turn, unless a process has far too many issuers that do not answer.
const LONGEST_TURN: Duration = Duration::from_secs(60);

/// Names one fetch, so that a late word about an earlier one is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FlightId(u64);

/// What happened, or what somebody wants to know.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Question {
    /// A request uses the set. Cheap to leave out before [`State::fences`] says otherwise.
    Use,
    /// A request finds no usable set.
    MissingSet,
    /// A token names a key that the set lacks; the number is a keyed hash of the name.
    MissingKey(u64),
    /// A signature does not fit the key of that name: perhaps the issuer replaced it under the same name.
    MissingNewerKey(u64),
    /// Who waited for this fetch for as long as requests wait has heard nothing of it: the runtime that carries it out stands still.
    Stalled(FlightId),
    /// The fetch has been under way for as long as requests may wait.
    Slow(FlightId),
    /// The fetch ended. `jitter` is a random number from 0 to 1.
    Landed { flight: FlightId, landing: Landing, jitter: f64 },
    /// The pause after that fetch is over.
    Woke(FlightId),
    /// The fetch was decided on and cannot be begun: there is nobody to carry it out, or strangers have had their share.
    Grounded(FlightId),
}

/// How a fetch ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Landing {
    /// A usable set; `changed`: not the one that was held.
    Good { max_age: Option<Duration>, changed: bool },
    /// No usable set. `excused`: an error for which the old set may serve past its fresh time.
    Bad { excused: bool, retry_after: Option<Duration> },
    /// The fetch was dropped with its runtime. Nobody's fault, so no pause either.
    Lost,
}

/// What to do, or what to answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Decision {
    /// Nothing.
    Rest,
    /// Start this fetch; who asked waits for it.
    Start(FlightId),
    /// Wait for the fetch under way.
    Join,
    /// Look into the set again: it is newer than the request.
    Look,
    /// The key is unknown, and no fetch is made to learn more.
    Unknown(Why),
    /// No answer can be given; the client may come back after this time.
    Unavailable(Duration),
    /// Ask again after this time although nobody uses the set: there is none to serve with.
    RetryIn(Duration),
}

/// Why no fetch is made for an unknown key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// A fetch just looked for it.
    Remembered,
    /// Too many fetches for unknown keys lately.
    BucketEmpty,
    /// The issuer is in trouble, and a key of that name is held.
    Trouble,
}

/// Everything the decisions depend on.
#[derive(Clone, Debug)]
pub(crate) struct State {
    held: Option<Held>,
    flight: Option<Flight>,
    flights: u64,
    failures: u32,
    /// No fetch before this.
    paused_until: Option<Timestamp>,
    bucket: Bucket,
    absent: Absent,
}

/// The times of the set in force.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) fetched_at: Timestamp,
    pub(crate) refresh_at: Timestamp,
    pub(crate) fresh_until: Timestamp,
    /// Not used from here on.
    pub(crate) dead_at: Timestamp,
    /// Nothing but excused errors since it was fetched.
    excused: bool,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    id: FlightId,
    since: Timestamp,
    slow: bool,
    /// The unknown key it was started for.
    sought: Option<u64>,
}

/// The times between which [`Question::Use`] is answered with [`Decision::Rest`], and the end of the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fences {
    /// Ask when the time is before this: the clock was set back.
    pub(crate) floor: Timestamp,
    /// Ask from here on.
    pub(crate) due: Timestamp,
    /// No usable set from here on.
    pub(crate) dead: Timestamp,
}

/// A point in time before every other one.
pub(crate) const NEVER: Timestamp = Timestamp::from_millis(i64::MIN);

impl State {
    pub(crate) fn new(settings: &JwksSettings) -> Self {
        Self {
            held: None,
            flight: None,
            flights: 0,
            failures: 0,
            paused_until: None,
            bucket: Bucket::full(settings.unknown_kid_burst),
            absent: Absent::default(),
        }
    }

    pub(crate) fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    pub(crate) fn in_flight(&self) -> bool {
        self.flight.is_some()
    }

    pub(crate) fn is_under_way(&self, id: FlightId) -> bool {
        self.flight.is_some_and(|flight| flight.id == id)
    }

    pub(crate) fn usable(&self, now: Timestamp) -> bool {
        self.held.is_some_and(|held| now < held.dead_at)
    }

    /// When the next fetch is due; in flight there is none.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.flight.is_none().then(|| self.wanted_at())
    }

    /// When the next fetch is wanted, were none under way.
    fn wanted_at(&self) -> Timestamp {
        let wanted = self.held.map_or(NEVER, |held| held.refresh_at.min(held.dead_at));
        wanted.max(self.paused_until.unwrap_or(NEVER))
    }

    pub(crate) fn fences(&self, settings: &JwksSettings) -> Fences {
        let dead = self.held.map_or(NEVER, |held| held.dead_at);
        if let Some(flight) = self.flight {
            // Where the runtime that carries the fetch out stands still, somebody has to notice.
            let due = self.wanted_at().max(flight.since.saturating_add(overdue_after(settings)));
            return Fences { floor: NEVER, due, dead };
        }
        let due = self.wanted_at();
        let set = self.held.map_or(NEVER, |held| held.fetched_at.saturating_sub(held.fresh_span()));
        let pause = self.paused_until.map_or(NEVER, |until| until.saturating_sub(settings.backoff_max));
        Fences { floor: set.max(pause), due, dead }
    }
}

impl Held {
    fn fresh_span(&self) -> Duration {
        self.fresh_until.since(self.fetched_at)
    }
}

/// Answers `question` at `now` and notes what follows from it.
pub(crate) fn decide(state: &mut State, settings: &JwksSettings, now: Timestamp, question: Question) -> Decision {
    state.mend_clock(settings, now);
    match question {
        Question::Stalled(flight) => state.stalled(now, flight),
        Question::Use => state.use_set(settings, now),
        Question::MissingSet => state.missing_set(settings, now),
        Question::MissingKey(key) => state.missing_key(settings, now, key, false),
        Question::MissingNewerKey(key) => state.missing_key(settings, now, key, true),
        Question::Slow(flight) => state.slow(flight),
        Question::Landed { flight, landing, jitter } => state.landed(settings, now, flight, landing, jitter),
        Question::Woke(flight) => state.woke(now, flight),
        Question::Grounded(flight) => state.grounded(settings, flight),
    }
}

impl State {
    /// A clock set back by more than a fresh time would keep a set, or a pause, alive for as long: both end now.
    fn mend_clock(&mut self, settings: &JwksSettings, now: Timestamp) {
        if let Some(held) = &mut self.held
            && now < held.fetched_at.saturating_sub(held.fresh_span())
        {
            let stale = if held.excused { settings.stale_if_error } else { Duration::ZERO };
            let dead_at = held.dead_at.min(now.saturating_add(stale));
            *held = Held { fetched_at: now, refresh_at: now, fresh_until: now, dead_at, excused: held.excused };
        }
        if self.paused_until.is_some_and(|until| now < until.saturating_sub(settings.backoff_max)) {
            self.paused_until = None;
        }
    }

    /// The fetch under way, unless it has neither ended nor said that it is slow long after its own limit: then it never will, and
    /// another one may take its place.
    fn at_it(&self, settings: &JwksSettings, now: Timestamp) -> Option<Flight> {
        self.flight.filter(|flight| now.since(flight.since) < overdue_after(settings))
    }

    /// Another fetch takes its place, on the runtime of the one who noticed.
    fn stalled(&mut self, now: Timestamp, id: FlightId) -> Decision {
        match self.flight {
            Some(flight) if flight.id == id && !flight.slow => self.start(now, flight.sought),
            _ => Decision::Rest,
        }
    }

    fn use_set(&mut self, settings: &JwksSettings, now: Timestamp) -> Decision {
        if self.at_it(settings, now).is_none() && now >= self.wanted_at() {
            self.start(now, None)
        } else {
            Decision::Rest
        }
    }

    fn missing_set(&mut self, settings: &JwksSettings, now: Timestamp) -> Decision {
        match (self.usable(now), self.at_it(settings, now)) {
            (true, _) => Decision::Look,
            (false, Some(Flight { slow: false, .. })) => Decision::Join,
            (false, Some(_)) => Decision::Unavailable(SOON),
            (false, None) => match self.pause_left(now) {
                Some(left) => Decision::Unavailable(left),
                None => self.start(now, None),
            },
        }
    }

    /// `known`: a key of that name is held, so that "the signature is bad" is an answer even when the issuer is in trouble.
    fn missing_key(&mut self, settings: &JwksSettings, now: Timestamp, key: u64, known: bool) -> Decision {
        if !self.usable(now) {
            return self.missing_set(settings, now);
        }
        if self.absent.holds(key, now, settings.negative_for) {
            return Decision::Unknown(Why::Remembered);
        }
        let trouble = |left| if known { Decision::Unknown(Why::Trouble) } else { Decision::Unavailable(left) };
        match self.at_it(settings, now) {
            Some(Flight { slow: false, .. }) => return Decision::Join,
            Some(_) => return trouble(SOON),
            None => {}
        }
        if let Some(left) = self.pause_left(now) {
            return trouble(left);
        }
        if !self.bucket.take(now, settings.unknown_kid_burst, settings.unknown_kid_interval) {
            // Where the last fetch failed, nobody has said that there is no such key: the caller may be right, and come again.
            let failing = self.failures > 0;
            return if failing { trouble(settings.unknown_kid_interval) } else { Decision::Unknown(Why::BucketEmpty) };
        }
        self.start(now, Some(key))
    }

    fn slow(&mut self, id: FlightId) -> Decision {
        if let Some(flight) = &mut self.flight
            && flight.id == id
        {
            flight.slow = true;
        }
        Decision::Rest
    }

    fn landed(
        &mut self,
        settings: &JwksSettings,
        now: Timestamp,
        id: FlightId,
        landing: Landing,
        jitter: f64,
    ) -> Decision {
        let Some(flight) = self.flight.take_if(|flight| flight.id == id) else { return Decision::Rest };
        match landing {
            Landing::Good { max_age, changed } => {
                self.failures = 0;
                self.paused_until = None;
                self.held = Some(hold(settings, now, max_age, jitter));
                if changed {
                    self.absent.clear();
                }
                // Only the key this fetch was made for: one that was asked for on the way may be newer than the answer.
                if let Some(key) = flight.sought {
                    self.absent.insert(key, now, settings.negative_for, settings.negative_kids);
                }
                Decision::Rest
            }
            Landing::Bad { excused, retry_after } => {
                self.failures = self.failures.saturating_add(1);
                let pause = pause(settings, self.failures, retry_after, jitter);
                self.paused_until = Some(now.saturating_add(pause));
                if let Some(held) = &mut self.held
                    && !excused
                {
                    held.excused = false;
                    held.dead_at = held.dead_at.min(held.fresh_until);
                }
                if self.usable(now) { Decision::Rest } else { Decision::RetryIn(pause) }
            }
            Landing::Lost => Decision::Rest,
        }
    }

    /// The pause is over by the timer's word, whatever the clock says.
    fn woke(&mut self, now: Timestamp, id: FlightId) -> Decision {
        if self.flight.is_some() || self.flights != id.0 || self.usable(now) {
            return Decision::Rest;
        }
        self.start(now, None)
    }

    fn start(&mut self, now: Timestamp, sought: Option<u64>) -> Decision {
        self.flights += 1;
        let id = FlightId(self.flights);
        self.flight = Some(Flight { id, since: now, slow: false, sought });
        Decision::Start(id)
    }

    /// As if it had not been decided on: nothing was asked, so nothing is counted.
    fn grounded(&mut self, settings: &JwksSettings, id: FlightId) -> Decision {
        if let Some(flight) = self.flight.take_if(|flight| flight.id == id) {
            // A pause that ends finds itself the last one still.
            self.flights -= 1;
            if flight.sought.is_some() {
                self.bucket.give_back(settings.unknown_kid_burst);
            }
        }
        Decision::Rest
    }

    fn pause_left(&self, now: Timestamp) -> Option<Duration> {
        self.paused_until.map(|until| until.since(now)).filter(|left| !left.is_zero())
    }
}

/// A fetch ends itself after `fetch_timeout`, counted from its turn.
fn overdue_after(settings: &JwksSettings) -> Duration {
    settings.fetch_timeout.saturating_add(LONGEST_TURN)
}

fn hold(settings: &JwksSettings, now: Timestamp, max_age: Option<Duration>, jitter: f64) -> Held {
    let fresh = max_age.unwrap_or(settings.fresh_for).clamp(settings.min_fresh, settings.max_fresh);
    let part = settings.refresh_at * (1.0 + settings.jitter * (2.0 * jitter - 1.0));
    let fresh_until = now.saturating_add(fresh);
    Held {
        fetched_at: now,
        refresh_at: now.saturating_add(fresh.mul_f64(part.clamp(0.0, 1.0))),
        fresh_until,
        dead_at: fresh_until.saturating_add(settings.stale_if_error),
        excused: true,
    }
}

/// Doubled for each failure in a row, between half and all of it by chance, and at least what the issuer asks for;
/// never above `backoff_max`.
fn pause(settings: &JwksSettings, failures: u32, retry_after: Option<Duration>, jitter: f64) -> Duration {
    let doubled = settings.backoff_min.saturating_mul(1u32.checked_shl(failures - 1).unwrap_or(u32::MAX));
    let pause = doubled.min(settings.backoff_max).mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0));
    pause.max(retry_after.unwrap_or(Duration::ZERO)).min(settings.backoff_max)
}
