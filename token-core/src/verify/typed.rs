//! The claims of one token as the user's own types: each type is parsed at most once per token and shared after that.

use std::any::Any;
use std::sync::{Arc, OnceLock};

/// How many different types one token remembers; past that a type is parsed each time it is asked for.
const KINDS: usize = 8;

/// An append-only chain of parsed values. Readers never lock: they walk a handful of cells that are written once.
#[derive(Default)]
pub(crate) struct Typed(OnceLock<Box<Cell>>);

struct Cell {
    value: Arc<dyn Any + Send + Sync>,
    next: Typed,
}

impl Typed {
    /// The value of type `T`, from the chain or made by `parse`. Only successes are kept.
    pub(crate) fn get<T, E>(&self, parse: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E>
    where
        T: Any + Send + Sync,
    {
        let mut link = self;
        for _ in 0..KINDS {
            let Some(cell) = link.0.get() else { break };
            if let Ok(value) = Arc::clone(&cell.value).downcast::<T>() {
                return Ok(value);
            }
            link = &cell.next;
        }
        let value = Arc::new(parse()?);
        // Another thread may have appended meanwhile: go on from where we stood, and take its value if it is of our type.
        let mut mine: Arc<dyn Any + Send + Sync> = Arc::clone(&value) as _;
        for _ in 0..KINDS {
            match link.0.set(Box::new(Cell { value: mine, next: Self::default() })) {
                Ok(()) => break,
                Err(refused) => mine = refused.value,
            }
            let Some(cell) = link.0.get() else { break };
            if let Ok(first) = Arc::clone(&cell.value).downcast::<T>() {
                return Ok(first);
            }
            link = &cell.next;
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn a_type_is_parsed_once_and_shared() {
        let typed = Typed::default();
        let mut parses = 0;
        let mut get = || {
            typed
                .get::<String, Infallible>(|| {
                    parses += 1;
                    Ok("ada".to_owned())
                })
                .unwrap()
        };
        let (first, second) = (get(), get());
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(parses, 1);
        assert_eq!(*typed.get::<u8, Infallible>(|| Ok(7)).unwrap(), 7);
        assert_eq!(*typed.get::<u8, Infallible>(|| Ok(8)).unwrap(), 7);
    }

    #[test]
    fn a_failure_is_not_kept() {
        let typed = Typed::default();
        assert_eq!(typed.get::<u8, &str>(|| Err("no")).unwrap_err(), "no");
        assert_eq!(*typed.get::<u8, &str>(|| Ok(1)).unwrap(), 1);
    }
}
