//! One token and the single request that renews it: many callers wait for one background task, and none of them can
//! cancel it.

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use token_core::http::{BoxFuture, NoRuntime};
use token_core::{Clock, Timestamp};

use crate::acquire::Acquire;
use crate::error::misconfigured;
use crate::error::{TokenError, TokenErrorKind};
use crate::patience::within;
use crate::random;
use crate::renewal::{self, Failed, Held, Next, RenewalSettings};
use crate::sync::{ArcSwapOption, Handle, Mutex, MutexGuard, watch};
use crate::telemetry::{self, Asks};
use crate::token::Token;

/// The shortest time between renewals that are caused by refusals of the token.
const BETWEEN_FORCED: Duration = Duration::from_secs(10);

/// How much longer callers wait than a request may take.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// Gets a token. Runs in a task of its own.
pub(crate) trait Fetch: fmt::Debug + Send + Sync + 'static {
    /// `refused` is a token from this source that a receiver refused; the result must be a different one.
    fn fetch(&self, refused: Option<Token>) -> BoxFuture<'_, Result<Token, TokenError>>;

    /// How long a caller waits at most, by a timer on its own runtime. It must be longer than `fetch` can take. `None`
    /// if that is unknown, because another party or a person is involved.
    fn patience(&self) -> Option<Duration>;

    /// Who asks for the token, and how.
    fn asks(&self) -> Asks<'_>;
}

type Outcome = Option<Result<Token, TokenError>>;

/// One cached token. If it is valid, asking for it is one atomic load. No lock is held across an await.
pub(crate) struct Cell {
    fetch: Box<dyn Fetch>,
    clock: Arc<dyn Clock>,
    settings: RenewalSettings,
    held: ArcSwapOption<Held>,
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    failed: Option<Failed>,
    flight: Option<watch::Receiver<Outcome>>,
    /// How often everything was cleared. Responses to earlier requests are not stored.
    epoch: u64,
}

impl Cell {
    pub(crate) fn new(fetch: impl Fetch, clock: Arc<dyn Clock>, settings: RenewalSettings) -> Arc<Self> {
        Arc::new(Self { fetch: Box::new(fetch), clock, settings, held: ArcSwapOption::empty(), slot: Mutex::default() })
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ask(self: &Arc<Self>) -> Acquire<'static> {
        let now = self.clock.now();
        if let Some(held) = &*self.held.load()
            && now < held.renew_at
            && !renewal::was_set_back(held.obtained, now)
        {
            return Acquire::ready(Ok(held.token.clone()));
        }
        let mut slot = self.slot();
        self.decide(&mut slot, None, now)
    }

    /// The next token if `refused` is the current one; otherwise the current one, which is newer.
    pub(crate) fn ask_again(self: &Arc<Self>, refused: &Token) -> Acquire<'static> {
        let now = self.clock.now();
        let mut slot = self.slot();
        let held = self.held.load_full();
        let current = held.filter(|held| held.token == *refused);
        match current {
            // A receiver that refuses everything must not turn each request into one to the token endpoint.
            Some(held) if now.since(held.obtained) < BETWEEN_FORCED => Acquire::ready(Ok(held.token.clone())),
            Some(_) => {
                self.held.store(None);
                self.decide(&mut slot, Some(refused.clone()), now)
            }
            None => self.decide(&mut slot, None, now),
        }
    }

    fn decide(self: &Arc<Self>, slot: &mut Slot, refused: Option<Token>, now: Timestamp) -> Acquire<'static> {
        self.decide_here(slot, refused.clone(), now).unwrap_or_else(|_| {
            // Nobody is here to ask; whoever awaits the outcome may do so inside of a runtime.
            let cell = Arc::clone(self);
            Acquire::waiting(async move {
                let asked = cell.decide_here(&mut cell.slot(), refused, cell.clock.now());
                match asked {
                    Ok(asked) => asked.await,
                    Err(missing) => Err(misconfigured(missing.to_string())),
                }
            })
        })
    }

    /// # Errors
    /// The error means that there is no runtime to carry out a necessary request.
    fn decide_here(
        self: &Arc<Self>,
        slot: &mut Slot,
        refused: Option<Token>,
        now: Timestamp,
    ) -> Result<Acquire<'static>, NoRuntime> {
        let held = self.held.load_full();
        if held.as_ref().is_some_and(|held| renewal::was_set_back(held.obtained, now)) {
            telemetry::set_back();
        }
        let next = renewal::next(held.as_deref(), slot.failed.as_ref(), now);
        Ok(match (next, held, &slot.failed) {
            (Next::Serve, Some(held), _) => Acquire::ready(Ok(held.token.clone())),
            (Next::ServeAndRenew, Some(held), _) => {
                // Outside of a runtime there is nobody to renew it; the token is good all the same.
                let _ = self.fly(slot, refused);
                Acquire::ready(Ok(held.token.clone()))
            }
            (Next::Refuse, _, Some(failed)) => {
                let wait = failed.until.since(now);
                Acquire::ready(Err(failed.error.clone().retry_after(wait)))
            }
            _ => Acquire::waiting(Arc::clone(self).land(self.fly(slot, refused)?)),
        })
    }

    /// Joins the request in progress, or starts one.
    fn fly(self: &Arc<Self>, slot: &mut Slot, refused: Option<Token>) -> Result<watch::Receiver<Outcome>, NoRuntime> {
        // A flight whose task is gone without an outcome (its runtime was shut down) is no flight.
        if let Some(flight) = slot.flight.as_ref().filter(|flight| flight.has_changed().is_ok()) {
            return Ok(flight.clone());
        }
        let runtime = match NoRuntime::find() {
            Some(missing) => return Err(missing),
            None => Handle::try_current().map_err(|_| NoRuntime::Absent)?,
        };
        let (report, flight) = watch::channel(None);
        slot.flight = Some(flight.clone());
        let (cell, epoch) = (Arc::clone(self), slot.epoch);
        runtime.spawn(async move {
            let start = Instant::now();
            let outcome = cell.fetch.fetch(refused).await;
            cell.fetch.asks().ended(&outcome, start);
            cell.settle(epoch, &outcome);
            // Nobody may be waiting any more.
            let _ = report.send(Some(outcome));
        });
        Ok(flight)
    }

    fn settle(&self, epoch: u64, outcome: &Result<Token, TokenError>) {
        let now = self.clock.now();
        let jitter = random::fraction();
        let mut slot = self.slot();
        if slot.epoch != epoch {
            return;
        }
        slot.flight = None;
        match outcome {
            Ok(token) => {
                slot.failed = None;
                self.held.store(Some(Arc::new(renewal::hold(token.clone(), now, &self.settings, jitter))));
            }
            Err(error) => {
                self.fetch.asks().failed(error);
                slot.failed = Some(renewal::fail(slot.failed.as_ref(), error.clone(), now, &self.settings, jitter));
            }
        }
    }

    /// Waits for a request as long as it can take. If the runtime that carries it out is blocked, the next caller
    /// starts a new one, and a late response is not stored.
    async fn land(self: Arc<Self>, mut flight: watch::Receiver<Outcome>) -> Result<Token, TokenError> {
        match within(self.fetch.patience(), flight.wait_for(Option::is_some)).await {
            Some(Ok(outcome)) => return outcome.clone().expect("waited for an outcome"),
            Some(Err(_)) => {
                return Err(misconfigured("the task that was asking for the token ended without an outcome"));
            }
            None => {}
        }
        let mut slot = self.slot();
        if slot.flight.as_ref().is_some_and(|under_way| under_way.same_channel(&flight)) {
            slot.flight = None;
            slot.epoch = slot.epoch.wrapping_add(1);
        }
        Err(TokenError::new(TokenErrorKind::Timeout, "the runtime that was asking for the token stands still"))
    }

    /// Clears the token and the request in progress. The pause after a failure still applies.
    pub(crate) fn forget_token(&self) {
        let mut slot = self.slot();
        let (epoch, failed) = (slot.epoch.wrapping_add(1), slot.failed.take());
        *slot = Slot { epoch, failed, flight: None };
        self.held.store(None);
    }

    /// Clears the token, the failure and the request in progress: the next caller asks the server.
    pub(crate) fn clear(&self) {
        let mut slot = self.slot();
        *slot = Slot { epoch: slot.epoch.wrapping_add(1), ..Slot::default() };
        self.held.store(None);
    }
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cell").field("fetch", &self.fetch).field("held", &self.held.load()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
