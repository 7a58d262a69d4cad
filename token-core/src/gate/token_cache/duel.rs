//! Which of two rules of replacement crowded sets go by: a few sets always go by the one or the other, and their misses are counted
//! (set dueling, Qureshi et al. 2007).
//!
//! Neither rule is good for everybody. Where the same tokens are hot for hours, counting how often they are asked for wins; where a
//! token is used for a minute and never again, counting keeps the dead, and the order of arrival wins. What a server's tokens are
//! like shows while it runs, and changes with the hour.

use super::set::Rule;
use crate::base::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// One set in so many goes by each rule, come what may.
const EVERY: usize = 32;
/// A miss counts as so much, so that a part of it can be forgotten.
const MISS: i32 = 1024;
/// Each miss of a leader takes this part of the score away: some 2,000 misses are remembered. By chance alone the two rules are then 30 apart.
const FADING: i32 = 2048;
/// So many more misses under one rule than under the other, and the others go over: one in sixteen of those remembered, four times what chance does.
const ENOUGH: i32 = 128 * MISS;

/// How the duel stands. Starts with the frequent.
#[derive(Default)]
pub(super) struct Duel {
    /// Misses of the sets that go by frequency, less those of the sets that go by recency.
    score: AtomicI32,
    recent: AtomicBool,
}

impl Duel {
    /// The rule of the set `index` of so many, where a token was missed.
    pub(super) fn rule(&self, index: usize, sets: usize) -> Rule {
        let every = EVERY.min(sets);
        match index % every {
            0 => self.count(1, Rule::Frequent),
            at if at == every / 2 => self.count(-1, Rule::Recent),
            _ if self.recent.load(Ordering::Relaxed) => Rule::Recent,
            _ => Rule::Frequent,
        }
    }

    fn count(&self, by: i32, rule: Rule) -> Rule {
        // A lost count changes nothing.
        let before = self.score.load(Ordering::Relaxed);
        let score = before + by * MISS - before / FADING;
        self.score.store(score, Ordering::Relaxed);
        if score.abs() > ENOUGH {
            self.recent.store(score > 0, Ordering::Relaxed);
        }
        rule
    }

    #[cfg(test)]
    pub(super) fn go_by(&self, recent: bool) {
        self.recent.store(recent, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_go_over_to_the_rule_that_misses_less_and_back() {
        let (duel, sets) = (Duel::default(), 512);
        let misses = |set: usize, count: i32| (0..count).map(|_| duel.rule(set, sets)).last();
        assert_eq!(duel.rule(1, sets), Rule::Frequent);
        misses(0, 120);
        assert_eq!(duel.rule(1, sets), Rule::Frequent, "not enough to say so");
        misses(32, 30);
        assert_eq!(duel.rule(1, sets), Rule::Recent);
        misses(16, 200);
        assert_eq!(duel.rule(1, sets), Rule::Recent, "not enough to go back");
        misses(48, 200);
        assert_eq!(duel.rule(1, sets), Rule::Frequent);
    }

    #[test]
    fn what_is_long_ago_and_what_is_equal_decides_nothing() {
        let (duel, sets) = (Duel::default(), 512);
        // One miss in fifty more under one rule, for ever: no reason to change.
        for turn in 0..1_000_000 {
            duel.rule(if turn % 50 < 26 { 0 } else { 16 }, sets);
            assert_eq!(duel.rule(1, sets), Rule::Frequent, "{turn}");
        }
    }

    #[test]
    fn those_who_lead_keep_their_rule_and_a_table_of_one_set_has_one() {
        let duel = Duel::default();
        for _ in 0..2 {
            assert_eq!(
                (duel.rule(0, 512), duel.rule(16, 512), duel.rule(0, 1)),
                (Rule::Frequent, Rule::Recent, Rule::Frequent)
            );
        }
        let roles: Vec<_> = (0..4).map(|set| duel.rule(set, 4)).collect();
        assert_eq!(roles, [Rule::Frequent, Rule::Frequent, Rule::Recent, Rule::Frequent]);
    }
}
