//! A refusal in, whether it is one of the few that are logged at `info` out: so many a minute, and no stranger can fill a disk.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use crate::base::bucket::Bucket;
use crate::base::time::{Clock, SystemClock, Timestamp};

/// Room for so many refusals a minute, and how many went without since the last that was logged.
#[derive(Debug)]
pub(crate) struct RefusalLog {
    per_minute: u32,
    books: Mutex<(Bucket, u64)>,
}

impl RefusalLog {
    pub(crate) fn new(per_minute: u32) -> Self {
        Self { per_minute, books: Mutex::new((Bucket::full(per_minute), 0)) }
    }

    /// Claims that do not fit a handler's type: the program's own affair, and shown without being asked for.
    pub(crate) fn misfits() -> &'static Self {
        static MISFITS: LazyLock<RefusalLog> = LazyLock::new(|| RefusalLog::new(60));
        &MISFITS
    }

    /// Whether there is room for one more now; with it the number of those that were left out before.
    pub(crate) fn room(&self) -> Option<u64> {
        self.room_at(SystemClock.now())
    }

    fn room_at(&self, now: Timestamp) -> Option<u64> {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let (bucket, left_out) = &mut *books;
        if bucket.take(now, self.per_minute, Duration::from_secs(60) / self.per_minute.max(1)) {
            return Some(std::mem::take(left_out));
        }
        *left_out = left_out.saturating_add(1);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_logged_a_minute_and_the_next_says_how_many_were_not() {
        let log = RefusalLog::new(3);
        let at = Timestamp::from_secs;
        let seen: Vec<_> = [0, 0, 0, 0, 1, 19, 20, 21, 3600].map(|second| log.room_at(at(second))).to_vec();
        assert_eq!(
            seen,
            [Some(0), Some(0), Some(0), None, None, None, Some(3), None, Some(1)],
            "three at once, then one each 20 s"
        );
        assert_eq!(RefusalLog::new(0).room_at(at(0)), None);
    }
}
