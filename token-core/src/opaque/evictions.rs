//! Evictions, counted: the moment in which a question began goes in, whether what it found may be kept comes out.
//!
//! An eviction lasts from before the first cache is swept until the last store is. A question that begins meanwhile may still find the old
//! answer in a store that is swept last, and must not carry it into a cache that was swept first.

use std::sync::Arc;

use crate::base::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The evictions at one endpoint.
#[derive(Default)]
pub(crate) struct Evictions {
    /// Rises when one begins and when it ends.
    count: AtomicU64,
    under_way: AtomicUsize,
}

/// An eviction that is under way. It ends when this is dropped.
pub(crate) struct Eviction(Arc<Evictions>);

/// When a question began.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    count: u64,
    is_quiet: bool,
}

impl Evictions {
    pub(crate) fn begin(self: &Arc<Self>) -> Eviction {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        self.count.fetch_add(1, Ordering::SeqCst);
        Eviction(Arc::clone(self))
    }

    /// A question of a lower count may have found what was evicted since.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    pub(crate) fn now(&self) -> Moment {
        // The count first: an eviction that ends between the two reads has raised it by the time it is compared.
        let count = self.count();
        Moment { count, is_quiet: self.under_way.load(Ordering::SeqCst) == 0 }
    }

    /// Whether nothing was being evicted at this moment, and nothing has been since.
    pub(crate) fn none_since(&self, moment: Moment) -> bool {
        moment.is_quiet && self.count() == moment.count
    }

    /// Keeps what a question of this moment found, unless something was evicted since; what is evicted while it is being kept is taken out again.
    pub(crate) fn keep(&self, moment: Moment, keep: impl FnOnce(), take_out: impl FnOnce()) {
        if !self.none_since(moment) {
            return;
        }
        keep();
        if !self.none_since(moment) {
            take_out();
        }
    }
}

impl Drop for Eviction {
    fn drop(&mut self) {
        self.0.count.fetch_add(1, Ordering::SeqCst);
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn what_a_question_found_is_kept_only_where_nothing_was_evicted_from_its_beginning_on() {
        // Between the two looks there is nothing that waits: another thread has to evict just then.
        for (evicted, kept_and_taken_out) in [
            ("never", (1, 0)),
            ("before", (1, 0)),
            ("from before to after", (0, 0)),
            ("from before until it is kept", (0, 0)),
            ("from then on", (0, 0)),
            ("meanwhile", (0, 0)),
            ("while it is kept", (1, 1)),
        ] {
            let evictions = Arc::new(Evictions::default());
            let (kept, taken_out) = (Cell::new(0), Cell::new(0));
            let before = evicted.starts_with("from before").then(|| evictions.begin());
            if evicted == "before" {
                drop(evictions.begin());
            }
            let moment = evictions.now();
            let later = (evicted == "from then on").then(|| evictions.begin());
            if evicted == "meanwhile" {
                drop(evictions.begin());
            }
            let before = before.filter(|_| evicted == "from before to after");
            let keep = || {
                kept.set(1);
                if evicted == "while it is kept" {
                    drop(evictions.begin());
                }
            };
            evictions.keep(moment, keep, || taken_out.set(1));
            assert_eq!((kept.get(), taken_out.get()), kept_and_taken_out, "{evicted}");
            drop((before, later));
            let again = Cell::new(0);
            evictions.keep(evictions.now(), || again.set(1), || again.set(2));
            assert_eq!(again.get(), 1, "{evicted}: all is over");
        }
    }

    #[test]
    fn two_evictions_are_over_when_both_are() {
        let evictions = Arc::new(Evictions::default());
        let (one, two) = (evictions.begin(), evictions.begin());
        drop(one);
        assert!(!evictions.none_since(evictions.now()));
        drop(two);
        assert!(evictions.none_since(evictions.now()));
    }
}
