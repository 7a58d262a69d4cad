//! Eight ways of the table, with a word on each: enough to find a token, and to say which one to forget, without a look at the entries.

use super::entry::Entry;
use super::sketch::MOST;
use crate::base::sync::ArcSwapOption;
use crate::base::sync::atomic::{AtomicU64, Ordering};
use crate::base::time::Timestamp;

/// Wide sets: where one is crowded, there is a choice.
pub(super) const WAYS: usize = 8;

/// One cache line of words, one of pointers, which processors like to fetch together: a miss touches the first and nothing else.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Set {
    pub(super) words: [AtomicU64; WAYS],
    pub(super) ways: [ArcSwapOption<Entry>; WAYS],
}

/// By what rule a crowded set chooses between those who are there and one who comes (see [`super::duel`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Whoever was asked for less often has to go, the newcomer too (TinyLFU, Einziger et al. 2017): good where the same tokens are hot for long.
    Frequent,
    /// The newcomer stays, and the oldest that was not asked for again has to go (CLOCK): good where tokens come, are used a while, and go.
    Recent,
}

/// What is known of a way: 32 bits of the hash, when it ends (16, in units of four seconds), when it came (12, of the set's arrivals),
/// and how often it was asked for since (4). Zero where there is nothing: the lowest bit of a mark is always one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

const ENDS: u32 = 16;
const CAME: u32 = 4;

impl Word {
    pub(super) const EMPTY: Self = Self(0);

    pub(super) fn new(mark: u32, until: Timestamp, now: Timestamp, at: u64, count: u8) -> Self {
        // Rounded up, and not so far ahead that it looks like the past.
        let (start, end) = (units(now), units(until).saturating_add(1));
        let ends = start.wrapping_add(end.saturating_sub(start).min(1 << 14)) as u16;
        Self(u64::from(mark) << 32 | u64::from(ends) << ENDS | (at & 0xfff) << CAME | u64::from(count.min(MOST)))
    }

    pub(super) fn mark(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(super) fn count(self) -> u8 {
        (self.0 & 0xf) as u8
    }

    pub(super) fn with_count(self, count: u8) -> Self {
        Self(self.0 & !0xf | u64::from(count.min(MOST)))
    }

    /// Whether its time is over. A hint, right for half a day: the entry itself knows to the millisecond.
    pub(super) fn has_ended(self, now: Timestamp) -> bool {
        let ends = (self.0 >> ENDS) as u16;
        (units(now) as u16).wrapping_sub(ends) < 1 << 15
    }

    /// How many came to the set since this one.
    fn age(self, at: u64) -> u64 {
        at.wrapping_sub(self.0 >> CAME) & 0xfff
    }
}

fn units(time: Timestamp) -> i64 {
    time.as_secs() / 4
}

impl Set {
    pub(super) fn words(&self) -> [Word; WAYS] {
        std::array::from_fn(|way| Word(self.words[way].load(Ordering::Relaxed)))
    }

    /// Notes that the token in a way was asked for. Tokens that are hot are at the most already, and nobody writes.
    #[inline]
    pub(super) fn asked(word: &AtomicU64, seen: Word) {
        if seen.count() < MOST {
            // Another thread counted, or another token lies there now: then this once is not counted.
            let _ = word.compare_exchange(seen.0, seen.0 + 1, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Counts anew, from half or from nothing.
    pub(super) fn recount(&self, words: &mut [Word; WAYS], count: impl Fn(u8) -> u8) {
        for (word, seen) in self.words.iter().zip(words) {
            let next = seen.with_count(count(seen.count()));
            if *seen != Word::EMPTY
                && word.compare_exchange(seen.0, next.0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            {
                *seen = next;
            }
        }
    }

    /// Whose place a newcomer takes that was asked for `count` times, arrival number `at`; `None` when all are worth more.
    pub(super) fn loser(&self, words: &mut [Word; WAYS], rule: Rule, count: u8, at: u64) -> Option<usize> {
        let taken = |words: &[Word; WAYS]| words.iter().any(|word| *word != Word::EMPTY && word.count() == 0);
        if rule == Rule::Recent && !taken(words) {
            // All were asked for: they start anew.
            self.recount(words, |_| 0);
        }
        let there = words.iter().enumerate().filter(|(_, word)| **word != Word::EMPTY);
        let (way, weakest) = there.min_by_key(|(_, word)| (word.count(), u64::MAX - word.age(at)))?;
        match rule {
            Rule::Frequent => (weakest.count() < count).then_some(way),
            Rule::Recent => Some(way),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn set(counts: [u8; WAYS]) -> (Set, [Word; WAYS]) {
        let set = Set::default();
        let later = NOW.saturating_add(Duration::from_secs(300));
        for (way, count) in counts.into_iter().enumerate() {
            let word = Word::new(way as u32 * 2 + 1, later, NOW, way as u64, count);
            set.words[way].store(word.0, Ordering::Relaxed);
        }
        let words = set.words();
        (set, words)
    }

    #[test]
    fn the_one_asked_for_least_has_to_go_and_never_for_one_that_is_asked_for_as_seldom() {
        let (one, mut words) = set([3, 2, 1, 5, 1, 2, 9, 4]);
        for (count, loser) in [(0, None), (1, None), (2, Some(2)), (15, Some(2))] {
            assert_eq!(one.loser(&mut words, Rule::Frequent, count, 8), loser, "{count}");
        }
    }

    #[test]
    fn the_oldest_that_was_not_asked_for_again_has_to_go_and_all_start_anew_once_all_were() {
        let (some, mut words) = set([3, 0, 1, 5, 0, 2, 9, 4]);
        assert_eq!(some.loser(&mut words, Rule::Recent, 0, 8), Some(1));
        let (all, mut words) = set([3, 1, 1, 5, 1, 2, 9, 4]);
        assert_eq!(all.loser(&mut words, Rule::Recent, 0, 8), Some(0));
        assert_eq!(all.words().map(Word::count), [0; WAYS]);
    }

    #[test]
    fn a_word_ends_no_sooner_than_its_entry_and_soon_after() {
        for life in [0, 1, 3, 4, 300, 3600, 40_000] {
            let until = NOW.saturating_add(Duration::from_secs(life));
            let word = Word::new(1, until, NOW, 1, 0);
            assert!(!word.has_ended(until), "{life}");
            assert!(word.has_ended(until.saturating_add(Duration::from_secs(8))), "{life}");
        }
        let endless = Word::new(1, Timestamp::MAX, NOW, 1, 0);
        assert!(!endless.has_ended(NOW.saturating_add(Duration::from_secs(3600))));
    }

    #[test]
    fn no_time_of_any_clock_breaks_a_word() {
        let times = [i64::MIN, -1, 0, 1, i64::MAX].map(Timestamp::from_millis);
        for (now, until) in times.into_iter().flat_map(|now| times.map(|until| (now, until))) {
            let word = Word::new(u32::MAX, until, now, u64::MAX, u8::MAX);
            let _ = word.has_ended(now);
            assert_eq!((word.mark(), word.count()), (u32::MAX, MOST));
        }
    }
}
