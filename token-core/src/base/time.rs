//! Points in time as tokens spell them (RFC 7519 section 2, NumericDate), and the clock they are held against.

#[cfg(test)]
pub(crate) mod hands;
#[cfg(feature = "schema")]
pub(crate) mod schema;
pub(crate) mod text;

use std::fmt;
use std::num::NonZeroU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
///
/// Arithmetic saturates, so that no claim, however absurd, can overflow.
///
/// ```
/// use std::time::Duration;
/// use token_core::Timestamp;
///
/// let expires = Timestamp::from_secs(1_700_000_000);
/// assert!(expires.saturating_add(Duration::from_secs(30)) > expires);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
// The milliseconds with their sign turned round, which keeps their order and leaves the zero for `Option`: a claim that is not there takes
// no room of its own.
pub struct Timestamp(NonZeroU64);

const SIGN: u64 = 1 << 63;

impl Timestamp {
    /// The latest point in time there is; further than any token may reach.
    pub const MAX: Self = Self::from_millis(i64::MAX);
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self::from_millis(0);

    /// A point in time given in whole seconds since the epoch.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// A point in time given in milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(milliseconds: i64) -> Self {
        match NonZeroU64::new(milliseconds.cast_unsigned() ^ SIGN) {
            Some(turned) => Self(turned),
            None => Self(NonZeroU64::MIN),
        }
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.as_millis().div_euclid(1000)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        (self.0.get() ^ SIGN).cast_signed()
    }

    /// This point and `duration` more.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self::from_millis(self.as_millis().saturating_add(millis(duration)))
    }

    /// This point less `duration`.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self::from_millis(self.as_millis().saturating_sub(millis(duration)))
    }

    /// Whether what was found at `found`, and holds for so many milliseconds, holds at this time. The one remedy of every cache against a
    /// clock that is set back: what it says was found later than now is over, since nobody knows how long ago that was. Clocks that are
    /// apart by less than [`SLACK`](Self::SLACK) are none that were set back.
    #[inline]
    pub(crate) const fn is_within(self, found: Self, life: u64) -> bool {
        // Before the beginning, the difference wraps to more than any life.
        let slack = Self::SLACK.as_millis() as u64;
        let passed = self.as_millis().wrapping_sub(found.as_millis()).cast_unsigned().wrapping_add(slack);
        passed < life.saturating_add(slack)
    }

    /// Whether a clock that says this was set back since it said `found`.
    #[inline]
    pub(crate) const fn is_before(self, found: Self) -> bool {
        self.as_millis() < found.as_millis().saturating_sub(Self::SLACK.as_millis() as i64)
    }

    /// By so much a reading of the clock may be behind another one, on another thread or after a step of a time service.
    pub(crate) const SLACK: Duration = Duration::from_secs(1);

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.as_millis().saturating_sub(earlier.as_millis())).unwrap_or(0))
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::EPOCH
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Timestamp").field(&self.as_millis()).finish()
    }
}

fn millis(duration: Duration) -> i64 {
    let whole = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX).saturating_mul(1000);
    whole.saturating_add(i64::from(duration.subsec_millis()))
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self::from_millis(millis(after)),
            Err(before) => Self::from_millis(-millis(before.duration())),
        }
    }
}

/// Where the time comes from. Time is a value here: tests hand in their own clock and no test sleeps.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The clock of the operating system; the default. On Linux its coarse one, which lags behind by a few milliseconds at most: tokens speak of
/// seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[cfg(target_os = "linux")]
    fn now(&self) -> Timestamp {
        use rustix::time::{ClockId, clock_gettime};

        let time = clock_gettime(ClockId::RealtimeCoarse);
        Timestamp::from_secs(time.tv_sec).saturating_add(Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0)))
    }

    #[cfg(not(target_os = "linux"))]
    fn now(&self) -> Timestamp {
        Timestamp::from(SystemTime::now())
    }
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_in_time_keeps_its_place_and_its_order() {
        let points = [i64::MIN + 1, -1500, -1, 0, 1, 999, 1000, 1_700_000_000_000, i64::MAX];
        for pair in points.windows(2) {
            let [earlier, later] = [pair[0], pair[1]].map(Timestamp::from_millis);
            assert!(earlier < later && Some(later) > Some(earlier) && None < Some(earlier), "{earlier:?} {later:?}");
            assert_eq!((earlier.as_millis(), later.as_millis()), (pair[0], pair[1]));
        }
        assert_eq!(Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MIN + 1));
        assert_eq!(Timestamp::default(), Timestamp::EPOCH);
        assert_eq!(Timestamp::from_millis(-1500).as_secs(), -2);
        assert_eq!(size_of::<Option<Timestamp>>(), 8);
    }

    #[test]
    fn what_was_found_later_than_now_is_over() {
        let found = Timestamp::from_secs(1_000_000);
        for (millis, holds, set_back) in [
            (0, true, false),
            (59_999, true, false),
            (60_000, false, false),
            (i64::MAX, false, false),
            (-1000, true, false),
            (-1001, false, true),
            (-3_600_000, false, true),
            (i64::MIN + 1, false, true),
        ] {
            let now = Timestamp::from_millis(found.as_millis().saturating_add(millis));
            assert_eq!((now.is_within(found, 60_000), now.is_before(found)), (holds, set_back), "{millis}");
        }
        assert!(!found.is_within(found, 0));
        assert!(found.is_within(found, u64::MAX));
    }

    #[test]
    fn the_systems_clock_is_that_of_the_system() {
        let (before, seen, after) = (SystemTime::now(), SystemClock.now(), SystemTime::now());
        let lag = Duration::from_millis(50);
        assert!(seen.saturating_add(lag) >= Timestamp::from(before), "{seen:?} is long before {before:?}");
        assert!(seen <= Timestamp::from(after), "{seen:?} is after {after:?}");
    }

    #[test]
    fn the_clock_is_read_to_the_millisecond_on_both_sides_of_the_epoch() {
        let after = UNIX_EPOCH + Duration::from_micros(1_234_567_890);
        assert_eq!(Timestamp::from(after).as_millis(), 1_234_567);
        assert_eq!(Timestamp::from(UNIX_EPOCH - Duration::from_millis(1500)).as_millis(), -1500);
        assert_eq!(Timestamp::MAX.saturating_add(Duration::MAX), Timestamp::MAX);
    }
}
