//! Many cached tokens, one for each request: a bounded map in two generations, so that making room never means a search.

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::sync::{Arc, PoisonError};

use crate::flight::Cell;
use crate::sync::Mutex;

/// The most tokens per generation. There are two generations at a time.
const GENERATION: usize = 5_000;

type Key = [u8; 32];

/// Recently used cells are in `young`. When that is full it becomes `old`, and the cells still in `old` are dropped.
pub(crate) struct Cells(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<Key, Arc<Cell>>,
    old: HashMap<Key, Arc<Cell>>,
}

impl Cells {
    pub(crate) fn new() -> Self {
        Self(Mutex::default())
    }

    /// The cell with this key, created if it does not exist.
    pub(crate) fn get(&self, key: Key, make: impl FnOnce() -> Arc<Cell>) -> Arc<Cell> {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = generations.young.get(&key) {
            return Arc::clone(cell);
        }
        let cell = generations.old.remove(&key).unwrap_or_else(make);
        if generations.young.len() >= GENERATION {
            generations.old = mem::take(&mut generations.young);
        }
        generations.young.insert(key, Arc::clone(&cell));
        cell
    }
}

impl fmt::Debug for Cells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        write!(f, "Cells({} young, {} old)", generations.young.len(), generations.old.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flight::Fetch;
    use crate::telemetry::Asks;
    use crate::{RenewalSettings, Token, TokenError};
    use token_core::SystemClock;
    use token_core::http::BoxFuture;

    #[derive(Debug)]
    struct Never;
    impl Fetch for Never {
        fn patience(&self) -> Option<std::time::Duration> {
            None
        }

        fn fetch(&self, _: Option<Token>) -> BoxFuture<'_, Result<Token, TokenError>> {
            Box::pin(std::future::pending())
        }

        fn asks(&self) -> Asks<'_> {
            Asks { client: "", grant: "other" }
        }
    }

    fn cell() -> Arc<Cell> {
        Cell::new(Never, Arc::new(SystemClock), RenewalSettings::default())
    }

    fn key(number: usize) -> Key {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        key
    }

    #[test]
    fn what_is_used_stays_and_the_rest_makes_room() {
        let cells = Cells::new();
        let hot = cells.get(key(0), cell);
        let cold = cells.get(key(1), cell);
        for number in 2..4 * GENERATION {
            cells.get(key(number), cell);
            if number % 1000 == 0 {
                assert!(Arc::ptr_eq(&cells.get(key(0), cell), &hot), "{number}");
            }
        }
        assert!(!Arc::ptr_eq(&cells.get(key(1), cell), &cold));
        let generations = cells.0.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION);
    }
}
