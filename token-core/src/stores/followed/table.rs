//! Entries of a deny-list by digest, small and in many parts: a digest and a time of issue in, whether it is denied out.

use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::PoisonError;

use super::change::{DenyEntry, Kind};
use crate::base::sync::atomic::{AtomicUsize, Ordering};
use crate::base::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use crate::base::time::Timestamp;

/// Parts grow one at a time, so that a growing table is never there twice.
const SHARDS: usize = 64;

/// Room for `capacity` entries. An entry takes 33 bytes and its part of the free places: 70 bytes at most, 64 on average of sizes.
pub(crate) struct DenyTable {
    kinds: [Shards; 3],
    entries: [AtomicUsize; 3],
    capacity: usize,
    total: AtomicUsize,
}

type Shards = [RwLock<HashMap<Name, Term, RandomState>>; SHARDS];

/// The first half of a SHA-256: 128 bits are enough that no two names ever meet, and half the memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Name([u64; 2]);

/// Milliseconds since 1970.
#[derive(Clone, Copy)]
struct Term {
    until: i64,
    issued_until: i64,
}

/// There is no room: an entry was left out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

impl DenyTable {
    pub(crate) fn new(capacity: usize) -> Self {
        let shards = || std::array::from_fn(|_| RwLock::new(HashMap::default()));
        Self {
            kinds: [shards(), shards(), shards()],
            entries: Default::default(),
            capacity,
            total: AtomicUsize::new(0),
        }
    }

    /// Adds an entry, or widens one that is there: what was denied stays denied, whatever the order.
    pub(crate) fn insert(&self, entry: &DenyEntry, until: Timestamp) -> Result<(), NoRoom> {
        let name = Name::of(&entry.digest);
        let term = Term { until: until.as_millis(), issued_until: entry.issued_until.as_millis() };
        let mut shard = self.write(entry.kind, name);
        if let Some(old) = shard.get_mut(&name) {
            *old = Term { until: old.until.max(term.until), issued_until: old.issued_until.max(term.issued_until) };
            return Ok(());
        }
        let room = |entries: usize| (entries < self.capacity).then_some(entries + 1);
        if self.total.fetch_update(Ordering::AcqRel, Ordering::Relaxed, room).is_err() {
            return Err(NoRoom);
        }
        shard.insert(name, term);
        self.entries[entry.kind as usize - 1].fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Whether a token with this mark is denied.
    pub(crate) fn denies(&self, kind: Kind, digest: &[u8; 32], issued: Option<Timestamp>, now: Timestamp) -> bool {
        let name = Name::of(digest);
        self.read(kind, name).get(&name).is_some_and(|term| {
            now.as_millis() < term.until && issued.is_none_or(|issued| issued.as_millis() <= term.issued_until)
        })
    }

    /// Whether there is no entry of this kind at all.
    pub(crate) fn lacks(&self, kind: Kind) -> bool {
        self.entries[kind as usize - 1].load(Ordering::Acquire) == 0
    }

    /// Forgets what has ended. How many entries.
    pub(crate) fn purge(&self, now: Timestamp) -> usize {
        let mut gone = 0;
        for kind in Kind::ALL {
            for shard in &self.kinds[kind as usize - 1] {
                let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
                let before = shard.len();
                shard.retain(|_, term| now.as_millis() < term.until);
                let ended = before - shard.len();
                if shard.len() < shard.capacity() / 4 {
                    shard.shrink_to_fit();
                }
                self.entries[kind as usize - 1].fetch_sub(ended, Ordering::AcqRel);
                gone += ended;
            }
        }
        self.total.fetch_sub(gone, Ordering::AcqRel);
        gone
    }

    /// How many entries there are, those included whose time is over.
    pub(crate) fn len(&self) -> usize {
        self.total.load(Ordering::Acquire)
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    fn read(&self, kind: Kind, name: Name) -> RwLockReadGuard<'_, HashMap<Name, Term, RandomState>> {
        self.shard(kind, name).read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, kind: Kind, name: Name) -> RwLockWriteGuard<'_, HashMap<Name, Term, RandomState>> {
        self.shard(kind, name).write().unwrap_or_else(PoisonError::into_inner)
    }

    fn shard(&self, kind: Kind, name: Name) -> &RwLock<HashMap<Name, Term, RandomState>> {
        &self.kinds[kind as usize - 1][name.0[1] as usize % SHARDS]
    }
}

impl Name {
    fn of(digest: &[u8; 32]) -> Self {
        let word = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&digest[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        Self([word(0), word(8)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::Deny;

    const NOW: Timestamp = Timestamp::from_secs(1_000);
    const LATER: Timestamp = Timestamp::from_secs(2_000);

    fn session(name: &str) -> DenyEntry {
        DenyEntry::new(&Deny::session("i", name))
    }

    #[test]
    fn a_full_table_takes_no_more_until_something_has_ended() {
        let table = DenyTable::new(2);
        assert_eq!(table.insert(&session("1"), NOW), Ok(()));
        assert_eq!(table.insert(&session("2"), LATER), Ok(()));
        assert_eq!(table.insert(&session("3"), LATER), Err(NoRoom));
        assert_eq!(table.insert(&session("2"), LATER), Ok(()), "what is there needs no room");
        assert_eq!((table.purge(NOW), table.len()), (1, 1));
        assert_eq!(table.insert(&session("3"), LATER), Ok(()));
        assert!(table.lacks(Kind::Subject) && !table.lacks(Kind::Session));
    }

    #[test]
    fn an_entry_takes_what_is_promised() {
        assert_eq!(size_of::<(Name, Term)>(), 32);
        // A part of a million entries in 64: the table has room for the next power of two at seven eighths.
        let table = DenyTable::new(2_000_000);
        for number in 0..64_000 {
            table.insert(&session(&number.to_string()), LATER).unwrap();
        }
        let places: usize =
            table.kinds[2].iter().map(|shard| shard.read().unwrap().capacity().next_power_of_two()).sum();
        assert!(places * 33 < 64_000 * 80, "{} bytes an entry", places * 33 / 64_000);
    }
}
