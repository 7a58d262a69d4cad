//! Where processes share refresh tokens: two operations, load and compare-and-swap, on bytes that are opaque to the
//! store.

use std::collections::HashMap;
use std::fmt;
use std::sync::PoisonError;

use bytes::Bytes;
use token_core::http::BoxFuture;
use token_core::stores::StoreError;

use crate::sync::Mutex;

/// A store of named records, shared by all processes that use the same refresh tokens.
///
/// The bytes contain refresh tokens in the clear: anyone who can read the store can act for its users. Compare them as
/// a whole and do not parse them. These two operations are all that is needed; a database column, a Redis key or a file
/// with a lock is sufficient.
///
/// # What is lost if a process is killed
///
/// A refresh first claims the record (one swap), then asks the server, then writes the result (a second swap). If the
/// process dies between the server's response and the second swap, and the server rotates refresh tokens, the old token
/// is used up and the new one is lost. The user of that grant must sign in again. At most one grant per request in
/// progress is affected, and the claim of a dead process expires by itself.
pub trait SwapStore: fmt::Debug + Send + Sync + 'static {
    /// Returns the record with this name.
    ///
    /// # Errors
    /// [`StoreError`] if the store is unreachable.
    fn load<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Bytes>, StoreError>>;

    /// Replaces `expected` by `next` atomically, if `expected` is the current record; `None` stands for no record.
    /// Returns whether it did. A write that was reported as successful must survive the process.
    ///
    /// # Errors
    /// [`StoreError`] if the store is unreachable, and also if it is unknown whether the write happened.
    fn swap<'a>(
        &'a self,
        name: &'a str,
        expected: Option<&'a [u8]>,
        next: Option<&'a [u8]>,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;
}

/// A store in the memory of one process. Its size is not limited; forget users who sign out.
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
