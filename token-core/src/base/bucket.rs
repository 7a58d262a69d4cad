//! How many fetches strangers may cause: a token bucket over points in time. A time goes in, a token or none comes out.

use std::time::Duration;

use crate::base::time::Timestamp;

/// Tokens that come back one at a time, up to a burst.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    tokens: u32,
    /// When the token that comes back next began to.
    since: Option<Timestamp>,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn full(burst: u32) -> Self {
        Self { tokens: burst, since: None }
    }

    /// Takes a token if there is one at `now`.
    pub(crate) fn take(&mut self, now: Timestamp, burst: u32, interval: Duration) -> bool {
        self.refill(now, burst, interval);
        if self.tokens == 0 {
            return false;
        }
        self.tokens -= 1;
        self.since.get_or_insert(now);
        true
    }

    /// Puts back a token that was not needed after all.
    pub(crate) fn give_back(&mut self, burst: u32) {
        self.tokens = self.tokens.saturating_add(1).min(burst);
        if self.tokens == burst {
            self.since = None;
        }
    }

    fn refill(&mut self, now: Timestamp, burst: u32, interval: Duration) {
        let Some(since) = self.since else { return };
        if now < since {
            // The clock was set back: the wait begins anew, so that it ends at all. It never gives a token away.
            self.since = Some(now);
            return;
        }
        let interval = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1);
        let passed = u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX);
        let returned = passed / interval;
        self.tokens = self.tokens.saturating_add(u32::try_from(returned).unwrap_or(u32::MAX)).min(burst);
        self.since = (self.tokens < burst).then(|| since.saturating_add(Duration::from_millis(returned * interval)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(seconds: &[i64]) -> Vec<bool> {
        let mut bucket = Bucket::full(2);
        seconds.iter().map(|s| bucket.take(Timestamp::from_secs(*s), 2, Duration::from_secs(30))).collect()
    }

    #[test]
    fn gives_a_burst_and_then_one_per_interval() {
        assert_eq!(takes(&[0, 0, 0, 29, 30, 30, 59, 60]), [true, true, false, false, true, false, false, true]);
        assert_eq!(takes(&[0, 0, 1000, 1000, 1000]), [true, true, true, true, false]);
        // The second token was 10 s on its way when the third take happened.
        assert_eq!(takes(&[0, 10, 30, 40, 60]), [true, true, true, false, true]);
    }

    #[test]
    fn a_clock_set_back_gives_nothing_away_and_does_not_lock_up() {
        assert_eq!(takes(&[1000, 1000, 0, 29, 30]), [true, true, false, false, true]);
    }

    #[test]
    fn a_token_that_is_given_back_can_be_taken_again_and_no_other() {
        let mut bucket = Bucket::full(2);
        let take = |bucket: &mut Bucket| bucket.take(Timestamp::EPOCH, 2, Duration::from_secs(30));
        bucket.give_back(2);
        assert!(take(&mut bucket) && take(&mut bucket) && !take(&mut bucket));
        bucket.give_back(2);
        assert!(take(&mut bucket) && !take(&mut bucket));
    }

    #[test]
    fn a_burst_of_zero_never_gives() {
        assert!(!Bucket::full(0).take(Timestamp::MAX, 0, Duration::from_secs(1)));
    }
}
