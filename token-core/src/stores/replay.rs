//! A token that is good once in, whether it came before out: the memory behind step 8 of OpenID Connect Back-Channel Logout section 2.6.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::StoreError;
use crate::base::http::BoxFuture;
use crate::base::time::Timestamp;

/// Remembers tokens that are good once, until they end by themselves.
///
/// A store that many instances share has to do it in one step: two who ask for the same token at once must not both be the first.
pub trait ReplayMemory: fmt::Debug + Send + Sync + 'static {
    /// Writes down that this token came, until `until`, and says whether it had not come before. `token` is a
    /// [digest](crate::revocation::Marks::token_id_digest) of its issuer and `jti`: a name of fixed length in which no claim can be read.
    ///
    /// What is still good must never be forgotten to make room: without room the answer is [`StoreError::Full`], and the token refused.
    fn first_time(&self, token: [u8; 32], until: Timestamp, now: Timestamp) -> FirstTime;
}

/// What a [`ReplayMemory`] says: `true` the first time, `false` ever after.
#[non_exhaustive]
pub enum FirstTime {
    /// It is known here.
    Known(Result<bool, StoreError>),
    /// Somebody else has to be asked.
    Ask(BoxFuture<'static, Result<bool, StoreError>>),
}

impl fmt::Debug for FirstTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Known(_) => "Known",
            Self::Ask(_) => "Ask",
        })
    }
}

/// How many tokens a memory has room for unless it is told otherwise.
const ROOM: usize = 10_000;

/// The memory of one process. A clone is the same memory; other processes know nothing of it.
///
/// ```
/// use token_core::{revocation::Marks, stores::{FirstTime, MemoryReplays, ReplayMemory}, Timestamp};
///
/// let (memory, now) = (MemoryReplays::new(), Timestamp::from_secs(1_800_000_000));
/// let token = Marks::of("https://login.example.com/").token_id("7").token_id_digest().expect("it has a jti");
/// let until = Timestamp::from_secs(1_800_000_120);
/// assert!(matches!(memory.first_time(token, until, now), FirstTime::Known(Ok(true))));
/// assert!(matches!(memory.first_time(token, until, now), FirstTime::Known(Ok(false))));
/// ```
#[derive(Clone)]
pub struct MemoryReplays {
    until: Arc<Mutex<HashMap<[u8; 32], Timestamp>>>,
    capacity: usize,
}

impl Default for MemoryReplays {
    fn default() -> Self {
        Self::with_capacity(ROOM)
    }
}

impl MemoryReplays {
    /// An empty memory with room for 10,000 tokens.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty memory with room for this many tokens.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { until: Arc::default(), capacity }
    }

    fn first(&self, token: [u8; 32], until: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        let mut seen = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.get(&token).is_some_and(|until| now < *until) {
            return Ok(false);
        }
        if seen.len() >= self.capacity {
            seen.retain(|_, until| now < *until);
        }
        if seen.len() >= self.capacity {
            return Err(StoreError::Full { capacity: self.capacity });
        }
        seen.insert(token, until);
        Ok(true)
    }
}

impl ReplayMemory for MemoryReplays {
    fn first_time(&self, token: [u8; 32], until: Timestamp, now: Timestamp) -> FirstTime {
        FirstTime::Known(self.first(token, until, now))
    }
}

impl fmt::Debug for MemoryReplays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryReplays").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_still_good_is_never_forgotten() {
        let memory = MemoryReplays::with_capacity(3);
        let (now, later) = (Timestamp::from_secs(1000), Timestamp::from_secs(1060));
        for n in 0..3 {
            assert_eq!(memory.first([n; 32], later, now), Ok(true));
        }
        assert_eq!(memory.first([9; 32], later, now), Err(StoreError::Full { capacity: 3 }));
        assert_eq!(memory.clone().first([0; 32], later, now), Ok(false), "a clone is the same memory");
        assert_eq!(memory.first([9; 32], later, later), Ok(true), "those that ended make room");
    }
}
