//! A one-time token in, whether it was seen before out (step 8 of OpenID Connect Back-Channel Logout section 2.6).

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::StoreError;
use crate::base::http::BoxFuture;
use crate::base::time::Timestamp;

/// Remembers one-time tokens until they expire.
///
/// A store that several instances share must check and record in one atomic step: of two concurrent requests with the
/// same token, only one may be first.
pub trait ReplayMemory: fmt::Debug + Send + Sync + 'static {
    /// Records the token until `until`, and returns whether it was seen for the first time. `token` is a
    /// [digest](crate::revocation::Marks::token_id_digest) of its issuer and `jti`, from which claims cannot be read.
    ///
    /// A token that has not expired must never be forgotten to make room. If there is no room, return
    /// [`StoreError::Full`]; the token is then refused.
    fn first_time(&self, token: [u8; 32], until: Timestamp, now: Timestamp) -> FirstTime;

    /// The same for a proof of possession (RFC 9449 section 11.1). `proof` is a digest of the proof's key and `jti`.
    /// `sender` is the thumbprint of the key, by which a memory can limit the room of one sender: it then returns
    /// [`StoreError::Full`], and only this sender is refused.
    fn first_proof(&self, sender: [u8; 32], proof: [u8; 32], until: Timestamp, now: Timestamp) -> FirstTime {
        let _ = sender;
        self.first_time(proof, until, now)
    }
}

/// The answer of a [`ReplayMemory`]: `true` if the token was seen for the first time.
#[non_exhaustive]
pub enum FirstTime {
    /// The answer is known already.
    Known(Result<bool, StoreError>),
    /// The answer needs I/O.
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

/// The default capacity.
const ROOM: usize = 10_000;
/// The number of parts, each with its own lock. All entries of a sender are in one part.
const SHARDS: usize = 64;
/// How often a part is searched for expired entries.
const SWEEP: Duration = Duration::from_secs(10);
/// How often the entries of a sender without room are searched for expired ones.
const AGAIN: Duration = Duration::from_secs(1);

/// A replay memory in one process. Clones share it; other processes do not.
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
    parts: Arc<Parts>,
    capacity: usize,
    per_sender: usize,
}

struct Parts {
    shards: [Mutex<Shard>; SHARDS],
    held: AtomicUsize,
    /// When all entries were last searched because the memory was full, in milliseconds.
    cleared: AtomicI64,
}

#[derive(Default)]
struct Shard {
    senders: HashMap<[u8; 32], HashMap<[u8; 32], Timestamp>>,
    swept: Timestamp,
    /// When a sender in this part last ran out of room.
    crowded: Timestamp,
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

    /// An empty memory with room for this many tokens. Each takes about a hundred bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let parts = Parts {
            shards: std::array::from_fn(|_| Mutex::default()),
            held: AtomicUsize::new(0),
            cleared: AtomicI64::new(i64::MIN),
        };
        Self { parts: Arc::new(parts), capacity, per_sender: usize::MAX }
    }

    /// Limits how many proofs of a single key are remembered, so that one sender cannot fill the memory. Default: no
    /// limit of its own.
    #[must_use]
    pub fn per_sender(mut self, proofs: usize) -> Self {
        self.per_sender = proofs;
        self
    }

    /// The same memory with other limits.
    pub(crate) fn resized(&self, capacity: usize, per_sender: usize) -> Self {
        Self { parts: Arc::clone(&self.parts), capacity, per_sender }
    }

    fn first(
        &self,
        sender: Option<[u8; 32]>,
        token: [u8; 32],
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (place, most) = sender.map_or((token, usize::MAX), |sender| (sender, self.per_sender));
        if self.parts.held.load(Ordering::Relaxed) >= self.capacity {
            self.clear(now);
        }
        let mut shard = self.shard(place);
        if now.since(shard.swept) >= SWEEP || now < shard.swept {
            self.sweep(&mut shard, now);
        }
        let sender = sender.unwrap_or_default();
        let seen = shard.senders.get(&sender);
        let known = seen.and_then(|seen| seen.get(&token)).copied();
        if known.is_some_and(|until| now < until) {
            return Ok(false);
        }
        let mut is_new = known.is_none();
        if seen.is_some_and(|seen| seen.len() >= most) {
            let seen = self.make_room(&mut shard, &sender, now);
            if seen.len() >= most {
                return Err(StoreError::Full { capacity: most });
            }
            is_new = !seen.contains_key(&token);
        }
        // One of the same name that has ended makes way for itself.
        if is_new && self.parts.held.fetch_add(1, Ordering::Relaxed) >= self.capacity {
            self.parts.held.fetch_sub(1, Ordering::Relaxed);
            return Err(StoreError::Full { capacity: self.capacity });
        }
        // Not before there is room: a sender that is refused leaves nothing behind.
        shard.senders.entry(sender).or_default().insert(token, until);
        Ok(true)
    }

    /// Removes the expired entries of one sender, at most once a second for all senders of a part. Returns how many are
    /// left.
    fn make_room<'s>(
        &self,
        shard: &'s mut Shard,
        sender: &[u8; 32],
        now: Timestamp,
    ) -> &'s HashMap<[u8; 32], Timestamp> {
        let seen = shard.senders.entry(*sender).or_default();
        if now.since(shard.crowded) >= AGAIN || now < shard.crowded {
            let before = seen.len();
            seen.retain(|_, until| now < *until);
            shard.crowded = now;
            self.parts.held.fetch_sub(before - seen.len(), Ordering::Relaxed);
        }
        seen
    }

    fn shard(&self, place: [u8; 32]) -> MutexGuard<'_, Shard> {
        self.parts.shards[usize::from(place[0]) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes all expired entries, at most once a second.
    fn clear(&self, now: Timestamp) {
        let last = self.parts.cleared.load(Ordering::Relaxed);
        let millis = now.as_millis();
        let is_due = last == i64::MIN || millis.abs_diff(last) >= 1000;
        if is_due && self.parts.cleared.compare_exchange(last, millis, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            for shard in &self.parts.shards {
                self.sweep(&mut shard.lock().unwrap_or_else(PoisonError::into_inner), now);
            }
        }
    }

    fn sweep(&self, shard: &mut Shard, now: Timestamp) {
        let count = |shard: &Shard| shard.senders.values().map(HashMap::len).sum::<usize>();
        let before = count(shard);
        shard.senders.retain(|_, seen| {
            seen.retain(|_, until| now < *until);
            !seen.is_empty()
        });
        shard.swept = now;
        self.parts.held.fetch_sub(before - count(shard), Ordering::Relaxed);
    }
}

impl ReplayMemory for MemoryReplays {
    fn first_time(&self, token: [u8; 32], until: Timestamp, now: Timestamp) -> FirstTime {
        FirstTime::Known(self.first(None, token, until, now))
    }

    fn first_proof(&self, sender: [u8; 32], proof: [u8; 32], until: Timestamp, now: Timestamp) -> FirstTime {
        FirstTime::Known(self.first(Some(sender), proof, until, now))
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
            assert_eq!(memory.first(None, [n; 32], later, now), Ok(true));
        }
        assert_eq!(memory.first(None, [9; 32], later, now), Err(StoreError::Full { capacity: 3 }));
        assert_eq!(memory.clone().first(None, [0; 32], later, now), Ok(false), "a clone is the same memory");
        assert_eq!(memory.first(None, [9; 32], later, later), Ok(true), "those that ended make room");
    }

    #[test]
    fn one_sender_fills_its_own_room_and_no_more() {
        let memory = MemoryReplays::with_capacity(5).per_sender(2);
        let (now, later) = (Timestamp::from_secs(1000), Timestamp::from_secs(1060));
        let first = |sender: u8, proof: u8, now| memory.first(Some([sender; 32]), [proof; 32], later, now);
        assert_eq!((first(1, 1, now), first(1, 1, now), first(1, 2, now)), (Ok(true), Ok(false), Ok(true)));
        assert_eq!(first(1, 3, now), Err(StoreError::Full { capacity: 2 }));
        assert_eq!(first(1, 2, now), Ok(false), "what is known is known all the same");
        assert_eq!((first(2, 1, now), first(2, 2, now), first(3, 1, now)), (Ok(true), Ok(true), Ok(true)));
        assert_eq!(first(3, 2, now), Err(StoreError::Full { capacity: 5 }));
        assert_eq!((first(1, 3, later), first(3, 2, later)), (Ok(true), Ok(true)), "those that ended make room");
        assert_eq!(memory.parts.held.load(Ordering::Relaxed), 2, "and are not kept");
    }

    #[test]
    fn a_sender_that_is_refused_leaves_nothing_behind() {
        let memory = MemoryReplays::with_capacity(1).per_sender(1);
        let (now, later) = (Timestamp::from_secs(1000), Timestamp::from_secs(1060));
        assert_eq!(memory.first(Some([0; 32]), [0; 32], later, now), Ok(true));
        for sender in 1..=255 {
            let refused = memory.first(Some([sender; 32]), [sender; 32], later, now);
            assert_eq!(refused, Err(StoreError::Full { capacity: 1 }));
        }
        let senders = memory.parts.shards.iter().map(|shard| shard.lock().unwrap().senders.len());
        assert_eq!(senders.sum::<usize>(), 1);
    }

    #[test]
    fn a_full_sender_goes_on_as_soon_as_a_proof_of_its_own_has_ended() {
        let memory = MemoryReplays::with_capacity(10).per_sender(2);
        let at = Timestamp::from_secs;
        let first = |proof: u8, until, now| memory.first(Some([7; 32]), [proof; 32], at(until), at(now));
        assert_eq!((first(1, 1002, 1000), first(2, 1060, 1000)), (Ok(true), Ok(true)));
        assert_eq!(first(3, 1060, 1001), Err(StoreError::Full { capacity: 2 }));
        assert_eq!((first(1, 1060, 1002), first(2, 1060, 1002)), (Ok(true), Ok(false)), "long before a sweep is due");
        assert_eq!(first(3, 1060, 1003), Err(StoreError::Full { capacity: 2 }));
        assert_eq!(memory.parts.held.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn of_many_who_come_at_once_with_one_proof_exactly_one_is_the_first() {
        let memory = MemoryReplays::with_capacity(10_000).per_sender(1000);
        let (now, later) = (Timestamp::from_secs(1000), Timestamp::from_secs(1060));
        let firsts: usize = std::thread::scope(|scope| {
            let count = || {
                (0..500_u16)
                    .filter(|n| {
                        let proof = [n.to_be_bytes()[1]; 32];
                        memory.first(Some([7; 32]), proof, later, now) == Ok(true)
                    })
                    .count()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(firsts, 256);
    }
}
