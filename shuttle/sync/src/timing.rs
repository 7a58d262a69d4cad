//! Time that passes whenever the scheduler likes: a pause ends after any number of others' steps and moves the clock, a limit runs out
//! before, while or after.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::ops::Add;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use shuttle::future::yield_now;
use shuttle::rand::{Rng, thread_rng};

/// The most steps of others that a pause or a limit lasts.
const LONGEST: usize = 12;

// One schedule runs on one thread of the system, whatever threads it is about.
thread_local! {
    static PASSED: Cell<u64> = const { Cell::new(0) };
    static LIMITS_HOLD: Cell<bool> = const { Cell::new(false) };
}

/// Begins a schedule: no time has passed. With `limits_hold` no limit runs out, so that what must not happen twice can be counted.
pub(crate) fn begin(limits_hold: bool) {
    PASSED.set(0);
    LIMITS_HOLD.set(limits_hold);
}

/// How much time has passed in this schedule.
pub fn passed() -> Duration {
    Duration::from_millis(PASSED.get())
}

/// A moment of this schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(Duration);

impl Instant {
    pub fn now() -> Self {
        Self(passed())
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(self.0 + later)
    }
}

#[derive(Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time is over")
    }
}

pub async fn sleep(pause: Duration) {
    let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
    let end = PASSED.get().saturating_add(pause);
    for _ in 0..thread_rng().gen_range(0..LONGEST) {
        yield_now().await;
    }
    PASSED.set(PASSED.get().max(end));
}

pub async fn timeout<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let (mut future, mut over) = (pin!(future), pin!(sleep(limit)));
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending if LIMITS_HOLD.get() => Poll::Pending,
        Poll::Pending => over.as_mut().poll(context).map(|()| Err(Elapsed)),
    })
    .await
}
