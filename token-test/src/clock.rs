//! Clocks for tests: one that only moves when told to, one that follows tokio's time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use token_core::{Clock, Timestamp};

/// A [`Clock`] that only moves when told to. Clones share the time.
///
/// Give one clone to the issuer and another to the verifier of its tokens, and no test has to sleep:
///
/// ```
/// use std::time::Duration;
/// use token_core::Clock;
/// use token_test::ManualClock;
///
/// let clock = ManualClock::default();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(3600));
/// assert_eq!(clock.now().since(before), Duration::from_secs(3600));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock set to `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(start.as_millis())))
    }

    /// Sets the clock to `time`, which may be in the past.
    pub fn set(&self, time: Timestamp) {
        self.0.store(time.as_millis(), Ordering::SeqCst);
    }

    /// Moves the clock forward by `duration`.
    pub fn advance(&self, duration: Duration) {
        self.set(self.now().saturating_add(duration));
    }

    /// Moves the clock back by `duration`, as happens when clocks are corrected.
    pub fn rewind(&self, duration: Duration) {
        self.set(self.now().saturating_sub(duration));
    }
}

impl Default for ManualClock {
    /// A clock set to 2027-01-15T08:00:00Z, the same in every run.
    fn default() -> Self {
        Self::new(Timestamp::from_secs(1_800_000_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// A [`Clock`] that follows tokio's time. In a test that pauses time (`#[tokio::test(start_paused = true)]`), an hour
/// passes at once, for this clock and all timers alike. If time is not paused, the clock runs normally. Copies show the
/// same time.
#[derive(Clone, Copy, Debug)]
pub struct RuntimeClock {
    start: Timestamp,
    since: tokio::time::Instant,
}

impl RuntimeClock {
    /// A clock set to `start` now.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self { start, since: tokio::time::Instant::now() }
    }
}

impl Default for RuntimeClock {
    /// A clock set to 2027-01-15T08:00:00Z now.
    fn default() -> Self {
        Self::new(ManualClock::default().now())
    }
}

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        self.start.saturating_add(self.since.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_show_the_same_time() {
        let clock = ManualClock::new(Timestamp::from_secs(100));
        let twin = clock.clone();
        clock.advance(Duration::from_millis(1500));
        assert_eq!(twin.now(), Timestamp::from_millis(101_500));
        twin.rewind(Duration::from_secs(2));
        assert_eq!(clock.now(), Timestamp::from_millis(99_500));
        clock.set(Timestamp::EPOCH);
        assert_eq!(twin.now(), Timestamp::EPOCH);
    }
    #[tokio::test(start_paused = true)]
    async fn an_hour_of_paused_time_is_an_hour_of_this_clock() {
        let clock = RuntimeClock::new(Timestamp::from_secs(100));
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(clock.now(), Timestamp::from_secs(3700));
    }
}
