//! Where refresh tokens are kept between processes: two operations, load and compare-and-swap, on bytes that the store does not read.

use std::collections::HashMap;
use std::fmt;
use std::sync::PoisonError;

use bytes::Bytes;
use token_core::http::BoxFuture;
use token_core::stores::StoreError;

use crate::sync::Mutex;

/// A store of records, one under each name, shared by every process that uses the same refresh tokens.
///
/// The bytes hold refresh tokens in the clear: whoever can read the store can act for its users. Compare them whole; do not
/// parse them. Nothing else is asked of a store, so that a database column, a Redis key or a file with a lock will do.
///
/// # What a killed process loses
///
/// A refresh claims the record first (one swap), then asks the server, then writes what came (a second swap). If the process
/// dies between the server's answer and the second swap, a server that rotates has spent the old token and the new one is
/// lost: that one grant is gone, and its user has to sign in again. It is never more than one grant for each request under way,
/// and the claim of a dead process ends by itself.
pub trait SwapStore: fmt::Debug + Send + Sync + 'static {
    /// The record of this name.
    ///
    /// # Errors
    /// [`StoreError`] when the store is out of reach.
    fn load<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Bytes>, StoreError>>;

    /// Puts `next` in the place of `expected`, in one step, if that is what is there; `None` stands for no record.
    /// Answers whether it did. A write that answers `true` must outlive the process.
    ///
    /// # Errors
    /// [`StoreError`] when the store is out of reach, also when it is unknown whether the write happened.
    fn swap<'a>(
        &'a self,
        name: &'a str,
        expected: Option<&'a [u8]>,
        next: Option<&'a [u8]>,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;
}

/// A store in the memory of one process: gone with it. It has no limit; forget the users that sign out.
#[derive(Default)]
pub struct MemoryStore(Mutex<HashMap<String, Bytes>>);

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = self.0.lock().unwrap_or_else(PoisonError::into_inner).len();
        write!(f, "MemoryStore({records} records)")
    }
}

impl SwapStore for MemoryStore {
    fn load<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Bytes>, StoreError>> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn swap<'a>(
        &'a self,
        name: &'a str,
        expected: Option<&'a [u8]>,
        next: Option<&'a [u8]>,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let swapped = records.get(name).map(AsRef::as_ref) == expected;
        match next {
            _ if !swapped => {}
            Some(next) => drop(records.insert(name.to_owned(), Bytes::copy_from_slice(next))),
            None => drop(records.remove(name)),
        }
        Box::pin(std::future::ready(Ok(swapped)))
    }
}

impl<S: SwapStore + ?Sized> SwapStore for std::sync::Arc<S> {
    fn load<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Bytes>, StoreError>> {
        (**self).load(name)
    }

    fn swap<'a>(
        &'a self,
        name: &'a str,
        expected: Option<&'a [u8]>,
        next: Option<&'a [u8]>,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        (**self).swap(name, expected, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_expected_record_is_replaced() {
        let store = MemoryStore::new();
        for (expected, next, swapped) in [
            (Some("a"), Some("b"), false),
            (None, Some("a"), true),
            (None, Some("b"), false),
            (Some("b"), None, false),
            (Some("a"), Some("c"), true),
            (Some("c"), None, true),
            (None, None, true),
        ] {
            let (expected, next) = (expected.map(str::as_bytes), next.map(str::as_bytes));
            assert_eq!(store.swap("n", expected, next).await, Ok(swapped), "{expected:?} {next:?}");
        }
        assert_eq!(store.load("n").await, Ok(None));
    }
}
