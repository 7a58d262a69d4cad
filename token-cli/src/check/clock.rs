//! A clock that shows each line its own time: the line's, else the one of the command line, else that of the system.

use std::cell::Cell;

use token_core::{Clock, SystemClock, Timestamp};

thread_local! {
    static LINE: Cell<Option<Timestamp>> = const { Cell::new(None) };
}

/// Shows the time of the line that this thread is at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineClock(pub(crate) Option<Timestamp>);

impl Clock for LineClock {
    fn now(&self) -> Timestamp {
        LINE.get().or(self.0).unwrap_or_else(|| SystemClock.now())
    }
}

/// Runs `work` at this time.
pub(super) fn at<T>(time: Option<Timestamp>, work: impl FnOnce() -> T) -> T {
    LINE.set(time);
    let result = work();
    LINE.set(None);
    result
}
