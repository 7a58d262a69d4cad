//! How often the tokens of one set were verified lately, whether they are remembered or not: a small count-min sketch that forgets.

use crate::base::sync::atomic::{AtomicU64, Ordering};

/// The most that is counted.
pub(super) const MOST: u8 = 15;
/// Words of counters; the eighth word of the cache line counts what came.
const WORDS: usize = 7;
const COUNTERS: u32 = 16 * WORDS as u32;
/// After so many, everything is halved: what was asked for often long ago is not worth more than what is asked for now.
const SAMPLE: u64 = 160;

/// One cache line. Only those write who verified a token, so nobody trains it without the issuer's key. Two threads at once may lose a
/// count: it is a hint and decides nothing but what is forgotten first.
#[derive(Default)]
#[repr(align(64))]
pub(super) struct Sketch {
    counters: [AtomicU64; WORDS],
    came: AtomicU64,
}

/// What the sketch knows of a token that was verified once more.
pub(super) struct Heard {
    /// How often it came, this time included.
    pub(super) count: u8,
    /// The number of this arrival at the set.
    pub(super) at: u64,
    /// Whether it is time to halve what the set counts itself.
    pub(super) halve: bool,
}

impl Sketch {
    pub(super) fn hear(&self, mark: u32) -> Heard {
        let at = self.came.load(Ordering::Relaxed).wrapping_add(1);
        self.came.store(at, Ordering::Relaxed);
        let halve = at.is_multiple_of(SAMPLE);
        if halve {
            for word in &self.counters {
                word.store((word.load(Ordering::Relaxed) >> 1) & 0x7777_7777_7777_7777, Ordering::Relaxed);
            }
        }
        let count = self.count(mark).saturating_add(1).min(MOST);
        self.raise(mark, count);
        Heard { count, at, halve }
    }

    /// The number of the last arrival at the set.
    pub(super) fn at(&self) -> u64 {
        self.came.load(Ordering::Relaxed)
    }

    /// Remembers of a token that has to go how often it was asked for.
    pub(super) fn raise(&self, mark: u32, count: u8) {
        for (word, shift) in places(mark) {
            let before = self.counters[word].load(Ordering::Relaxed);
            if nibble(before, shift) < count {
                let cleared = before & !(0xf << shift);
                self.counters[word].store(cleared | u64::from(count.min(MOST)) << shift, Ordering::Relaxed);
            }
        }
    }

    fn count(&self, mark: u32) -> u8 {
        let [one, other] = places(mark).map(|(word, shift)| nibble(self.counters[word].load(Ordering::Relaxed), shift));
        one.min(other)
    }
}

fn nibble(word: u64, shift: u32) -> u8 {
    ((word >> shift) & 0xf) as u8
}

/// Two counters for each token: another one may share one of them, hardly both.
fn places(mark: u32) -> [(usize, u32); 2] {
    [mark & 0xffff, mark >> 16].map(|half| {
        let counter = (half * COUNTERS) >> 16;
        ((counter / 16) as usize, counter % 16 * 4)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_counted_up_to_a_most_and_what_did_not_is_not() {
        let sketch = Sketch::default();
        let counts: Vec<_> = (0..20).map(|_| sketch.hear(0x1234_5678).count).collect();
        assert_eq!(counts[..3], [1, 2, 3]);
        assert_eq!(counts[14..], [MOST; 6]);
        assert_eq!(sketch.count(0xfedc_ba98), 0);
    }

    #[test]
    fn all_counts_are_halved_after_a_sample() {
        let sketch = Sketch::default();
        sketch.raise(0x1234_5678, 12);
        let halved = (1..=SAMPLE).filter(|_| sketch.hear(0xfedc_ba98).halve).count();
        assert_eq!((halved, sketch.count(0x1234_5678)), (1, 6));
        assert_eq!(sketch.count(0xfedc_ba98), MOST / 2 + 1);
    }

    #[test]
    fn every_mark_has_its_counters() {
        for mark in [0, 1, 0xffff, 0x1_0000, u32::MAX] {
            let sketch = Sketch::default();
            sketch.raise(mark, MOST);
            assert_eq!(sketch.count(mark), MOST, "{mark:x}");
        }
    }
}
