//! A clock that stands still until a test moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use token_core::{Clock, Timestamp};

/// A [`Clock`] that only moves when told to. Clones show the same time.
///
/// Hand one clone to the issuer and another to whatever verifies its tokens, and no test has to sleep:
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
    /// A clock that shows `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(start.as_millis())))
    }

    /// Shows `time` from now on; it may lie in the past.
    pub fn set(&self, time: Timestamp) {
        self.0.store(time.as_millis(), Ordering::SeqCst);
    }

    /// Moves forward by `duration`.
    pub fn advance(&self, duration: Duration) {
        self.set(self.now().saturating_add(duration));
    }

    /// Moves back by `duration`, as clocks that are corrected do.
    pub fn rewind(&self, duration: Duration) {
        self.set(self.now().saturating_sub(duration));
    }
}

impl Default for ManualClock {
    /// A clock that shows 2027-01-15T08:00:00Z, the same in every run.
    fn default() -> Self {
        Self::new(Timestamp::from_secs(1_800_000_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
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
}
