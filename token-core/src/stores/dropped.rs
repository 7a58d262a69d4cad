//! Which names were dropped recently, and in which order, so that an answer to an older question is not stored after
//! the drop.

use std::collections::{HashMap, VecDeque};

/// How many drops are remembered by name. A question older than those counts as older than the drop of its own name.
const MOST: usize = 1024;

/// The recent drops of one store.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    generation: u64,
    by_name: HashMap<[u8; 32], u64>,
    order: VecDeque<([u8; 32], u64)>,
    /// Drops up to this number are no longer remembered by name.
    forgotten: u64,
}

impl Dropped {
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn note(&mut self, name: [u8; 32]) {
        self.generation += 1;
        self.by_name.insert(name, self.generation);
        self.order.push_back((name, self.generation));
        while self.order.len() > MOST {
            let Some((name, at)) = self.order.pop_front() else { return };
            self.forgotten = at;
            if self.by_name.get(&name) == Some(&at) {
                self.by_name.remove(&name);
            }
        }
    }

    /// Records that everything was dropped.
    pub(super) fn note_all(&mut self) {
        self.generation += 1;
        *self = Self { generation: self.generation, forgotten: self.generation, ..Self::default() };
    }

    /// Whether any of these names was dropped after `generation`. If that is no longer known, the answer is yes.
    pub(super) fn since<'a>(&self, generation: u64, mut names: impl Iterator<Item = &'a [u8; 32]>) -> bool {
        generation < self.forgotten || names.any(|name| self.by_name.get(name).is_some_and(|at| *at > generation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_older_than_the_drops_that_came_after_it() {
        let mut dropped = Dropped::default();
        let (a, b) = ([1; 32], [2; 32]);
        let before = dropped.generation();
        dropped.note(a);
        let after = dropped.generation();
        for (generation, name, expected) in
            [(before, a, true), (after, a, false), (before, b, false), (after, b, false)]
        {
            assert_eq!(dropped.since(generation, [&name].into_iter()), expected, "{generation} {name:?}");
        }
        assert!(dropped.since(before, [&b, &a].into_iter()));
    }

    #[test]
    fn what_is_not_told_apart_any_more_counts_as_dropped() {
        let mut dropped = Dropped::default();
        let before = dropped.generation();
        for number in 0..=MOST as u64 {
            let mut name = [0; 32];
            name[..8].copy_from_slice(&number.to_be_bytes());
            dropped.note(name);
        }
        assert!(dropped.by_name.len() <= MOST && dropped.order.len() <= MOST);
        assert!(dropped.since(before, [&[9; 32]].into_iter()));
        assert!(!dropped.since(dropped.generation(), [&[9; 32]].into_iter()));
    }
}
