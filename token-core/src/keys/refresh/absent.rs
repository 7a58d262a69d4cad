//! Which keys were asked for and not found: keyed hashes in, remembered or not out. Bounded in number and in time.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::base::time::Timestamp;

/// Hashes of `kid`s that a fetch did not bring, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Absent {
    until: HashMap<u64, Timestamp>,
    order: VecDeque<(u64, Timestamp)>,
}

impl Absent {
    /// Whether `key` is remembered at `now`. An entry further away than `span` is of a clock since set back, and forgotten.
    pub(super) fn holds(&self, key: u64, now: Timestamp, span: Duration) -> bool {
        self.until.get(&key).is_some_and(|until| now < *until && *until <= now.saturating_add(span))
    }

    /// Remembers `key` for `span`; the oldest entries make room.
    pub(super) fn insert(&mut self, key: u64, now: Timestamp, span: Duration, capacity: usize) {
        if capacity == 0 || span.is_zero() {
            return;
        }
        let until = now.saturating_add(span);
        if self.until.insert(key, until) == Some(until) {
            return;
        }
        self.order.push_back((key, until));
        while self.order.len() > capacity || self.order.front().is_some_and(|(_, until)| *until <= now) {
            let Some((key, until)) = self.order.pop_front() else { return };
            // Inserted again since then: the later entry stands.
            if self.until.get(&key) == Some(&until) {
                self.until.remove(&key);
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.until.clear();
        self.order.clear();
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.until.len().max(self.order.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(30);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    #[test]
    fn remembers_for_the_span_and_no_longer() {
        let mut absent = Absent::default();
        absent.insert(1, at(0), SPAN, 4);
        assert!(absent.holds(1, at(29), SPAN));
        assert!(!absent.holds(1, at(30), SPAN));
        assert!(!absent.holds(2, at(0), SPAN));
        assert!(!absent.holds(1, at(-1000), SPAN), "an entry from the future of a clock set back");
    }

    #[test]
    fn a_flood_makes_the_oldest_go_and_never_grows() {
        let mut absent = Absent::default();
        for key in 0..1000 {
            absent.insert(key, at(0), SPAN, 4);
            absent.insert(key, at(0), SPAN, 4);
            assert!(absent.len() <= 4);
        }
        assert!(absent.holds(999, at(1), SPAN));
        assert!(!absent.holds(0, at(1), SPAN));
    }

    #[test]
    fn inserting_again_prolongs() {
        let mut absent = Absent::default();
        absent.insert(1, at(0), SPAN, 4);
        absent.insert(1, at(20), SPAN, 4);
        absent.insert(2, at(35), SPAN, 4);
        assert!(absent.holds(1, at(40), SPAN));
    }

    #[test]
    fn nothing_is_remembered_when_switched_off() {
        let mut absent = Absent::default();
        absent.insert(1, at(0), SPAN, 0);
        absent.insert(1, at(0), Duration::ZERO, 4);
        assert_eq!(absent.len(), 0);
    }
}
