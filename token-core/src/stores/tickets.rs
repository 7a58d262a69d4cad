//! The digest of a ticket in, what was stored under it out, once: the store behind tickets for event streams and
//! WebSockets.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::StoreError;
use crate::base::http::BoxFuture;
use crate::base::time::Timestamp;

/// Stores what tickets stand for until they are redeemed.
///
/// The store never sees a ticket, only its digest. The stored text is encrypted with a key derived from the ticket, so
/// only the holder of the ticket can use it. A store that several instances share must remove and return an entry in
/// one atomic step: of two concurrent requests with the same ticket, only one may succeed.
pub trait TicketStore: fmt::Debug + Send + Sync + 'static {
    /// Stores `sealed` under the digest until `until`. If there is no room, return [`StoreError::Full`]; no ticket is
    /// issued in that case.
    fn keep(
        &self,
        ticket: [u8; 32],
        sealed: String,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'static, Result<(), StoreError>>;

    /// Removes what is stored under the digest and returns it; `None` if there is nothing, or it has expired.
    fn take(&self, ticket: [u8; 32], now: Timestamp) -> BoxFuture<'static, Result<Option<String>, StoreError>>;
}

/// The default capacity.
const ROOM: usize = 10_000;

/// A ticket store in the memory of one process. Clones share it; other processes do not.
#[derive(Clone)]
pub struct MemoryTickets {
    kept: Arc<Mutex<HashMap<[u8; 32], Kept>>>,
    capacity: usize,
}

struct Kept {
    sealed: String,
    until: Timestamp,
}

impl Default for MemoryTickets {
    fn default() -> Self {
        Self::with_capacity(ROOM)
    }
}

impl MemoryTickets {
    /// An empty store with room for 10,000 tickets that are waiting to be redeemed. Each takes about twice the length
    /// of its token.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store with room for this many tickets.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { kept: Arc::default(), capacity }
    }
}

impl TicketStore for MemoryTickets {
    fn keep(
        &self,
        ticket: [u8; 32],
        sealed: String,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'static, Result<(), StoreError>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= self.capacity {
            kept.retain(|_, kept| now < kept.until);
        }
        let outcome = if kept.len() < self.capacity {
            kept.insert(ticket, Kept { sealed, until });
            Ok(())
        } else {
            Err(StoreError::Full { capacity: self.capacity })
        };
        Box::pin(std::future::ready(outcome))
    }

    fn take(&self, ticket: [u8; 32], now: Timestamp) -> BoxFuture<'static, Result<Option<String>, StoreError>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(&ticket);
        let sealed = kept.filter(|kept| now < kept.until).map(|kept| kept.sealed);
        Box::pin(std::future::ready(Ok(sealed)))
    }
}

impl fmt::Debug for MemoryTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTickets").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + seconds)
    }

    #[tokio::test]
    async fn what_is_kept_is_taken_once_and_in_time() {
        let memory = MemoryTickets::new();
        memory.keep([1; 32], "a".into(), at(30), NOW).await.unwrap();
        memory.keep([2; 32], "b".into(), at(30), NOW).await.unwrap();
        assert_eq!(memory.take([3; 32], NOW).await, Ok(None));
        assert_eq!(memory.take([1; 32], at(29)).await.unwrap().as_deref(), Some("a"));
        assert_eq!(memory.take([1; 32], at(29)).await, Ok(None), "once");
        assert_eq!(memory.take([2; 32], at(30)).await, Ok(None), "too late");
    }

    #[tokio::test]
    async fn a_full_memory_forgets_what_has_ended_and_nothing_else() {
        let memory = MemoryTickets::with_capacity(2);
        for name in [1, 2] {
            memory.keep([name; 32], String::new(), at(30), NOW).await.unwrap();
        }
        let full = memory.keep([3; 32], String::new(), at(60), at(29)).await;
        assert_eq!(full, Err(StoreError::Full { capacity: 2 }));
        memory.keep([3; 32], String::new(), at(60), at(30)).await.unwrap();
        assert!(memory.take([3; 32], at(31)).await.unwrap().is_some());
    }
}
