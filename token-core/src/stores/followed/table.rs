//! The entries of a deny-list in a compact table of many parts: a digest and a time of issue in, whether it is denied
//! out.

use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::PoisonError;

use super::change::{DenyEntry, Kind};
use crate::base::sync::atomic::{AtomicUsize, Ordering};
use crate::base::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use crate::base::time::Timestamp;

/// Parts grow one at a time, so that never two copies of the whole table exist.
const LEAST_PARTS: usize = 64;
/// The capacity of a part: a tenth below the 14,336 entries at which it would double in size.
const PER_PART: usize = 13_000;

/// A table with room for `capacity` entries. Each takes 33 bytes plus a share of free slots: 42 bytes in a full table
/// of more than 832,000 entries; in a smaller one at most 76 bytes, and 34 MiB in all.
pub(crate) struct DenyTable {
    parts: Box<[RwLock<HashMap<Name, Term, RandomState>>]>,
    /// The number of entries of each kind.
    entries: [AtomicUsize; 3],
    capacity: usize,
    total: AtomicUsize,
}

/// The first half of a SHA-256, with the kind in two of its bits. 126 bits make collisions practically impossible, at
/// half the memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Name([u64; 2]);

/// Milliseconds since 1970.
#[derive(Clone, Copy)]
struct Term {
    until: i64,
    issued_until: i64,
}

/// An entry did not fit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

impl DenyTable {
    pub(crate) fn new(capacity: usize) -> Self {
        let parts = capacity.div_ceil(PER_PART).max(LEAST_PARTS);
        Self {
            parts: (0..parts).map(|_| RwLock::default()).collect(),
            entries: Default::default(),
            capacity,
            total: AtomicUsize::new(0),
        }
    }

    /// Adds an entry, or widens an existing one. What was denied stays denied, in whatever order entries arrive.
    pub(crate) fn insert(&self, entry: &DenyEntry, until: Timestamp) -> Result<(), NoRoom> {
        let name = Name::of(entry.kind, &entry.digest);
        let term = Term { until: until.as_millis(), issued_until: entry.issued_until.as_millis() };
        let mut part = self.write(name);
        if let Some(old) = part.get_mut(&name) {
            *old = Term { until: old.until.max(term.until), issued_until: old.issued_until.max(term.issued_until) };
            return Ok(());
        }
        let room = |entries: usize| (entries < self.capacity).then_some(entries + 1);
        if self.total.fetch_update(Ordering::AcqRel, Ordering::Relaxed, room).is_err() {
            return Err(NoRoom);
        }
        part.insert(name, term);
        self.entries[entry.kind as usize - 1].fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Whether a token with this digest is denied.
    pub(crate) fn denies(&self, kind: Kind, digest: &[u8; 32], issued: Option<Timestamp>, now: Timestamp) -> bool {
        let name = Name::of(kind, digest);
        self.read(name).get(&name).is_some_and(|term| {
            now.as_millis() < term.until && issued.is_none_or(|issued| issued.as_millis() <= term.issued_until)
        })
    }

    /// Whether there are no entries of this kind.
    pub(crate) fn lacks(&self, kind: Kind) -> bool {
        self.entries[kind as usize - 1].load(Ordering::Acquire) == 0
    }

    /// Removes expired entries. Returns how many.
    pub(crate) fn purge(&self, now: Timestamp) -> usize {
        let mut all = 0;
        for part in &self.parts {
            let mut gone = [0; 3];
            let mut part = part.write().unwrap_or_else(PoisonError::into_inner);
            part.retain(|name, term| {
                let stays = now.as_millis() < term.until;
                gone[name.kind()] += usize::from(!stays);
                stays
            });
            if part.len() < part.capacity() / 4 {
                part.shrink_to_fit();
            }
            for (count, gone) in self.entries.iter().zip(gone) {
                count.fetch_sub(gone, Ordering::AcqRel);
            }
            all += gone.iter().sum::<usize>();
        }
        self.total.fetch_sub(all, Ordering::AcqRel);
        all
    }

    /// The number of entries, including expired ones that were not removed yet.
    pub(crate) fn len(&self) -> usize {
        self.total.load(Ordering::Acquire)
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    fn read(&self, name: Name) -> RwLockReadGuard<'_, HashMap<Name, Term, RandomState>> {
        self.part(name).read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, name: Name) -> RwLockWriteGuard<'_, HashMap<Name, Term, RandomState>> {
        self.part(name).write().unwrap_or_else(PoisonError::into_inner)
    }

    fn part(&self, name: Name) -> &RwLock<HashMap<Name, Term, RandomState>> {
        &self.parts[name.0[1] as usize % self.parts.len()]
    }
}

impl Name {
    fn of(kind: Kind, digest: &[u8; 32]) -> Self {
        let word = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&digest[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        Self([word(0) & !0b11 | (kind as u64 - 1), word(8)])
    }

    /// The index of the kind, from 0.
    fn kind(self) -> usize {
        (self.0[0] & 0b11) as usize
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
    fn kinds_are_counted_apart_and_none_is_taken_for_another() {
        let table = DenyTable::new(10);
        let [id, subject, session] = Kind::ALL.map(|kind| DenyEntry { kind, digest: [7; 32], issued_until: LATER });
        assert_eq!((table.insert(&id, NOW), table.insert(&subject, LATER)), (Ok(()), Ok(())));
        let before = Timestamp::from_secs(1);
        assert!(table.denies(Kind::Subject, &session.digest, None, before));
        assert!(!table.denies(Kind::Session, &session.digest, None, before));
        assert_eq!((Kind::ALL.map(|kind| table.lacks(kind)), table.purge(NOW)), ([false, false, true], 1));
        assert_eq!((Kind::ALL.map(|kind| table.lacks(kind)), table.len()), ([true, false, true], 1));
    }

    #[test]
    fn an_entry_takes_what_is_promised() {
        assert_eq!(size_of::<(Name, Term)>(), 32);
        let places = |table: &DenyTable| -> usize {
            table.parts.iter().map(|part| part.read().unwrap().capacity().next_power_of_two()).sum()
        };
        // A tenth of a million, in a tenth of its parts: the places of a part are a power of two, filled to seven eighths.
        for (capacity, entries, most) in [(130_000, 130_000, 77), (65_000, 65_000, 77)] {
            let table = DenyTable::new(capacity);
            for number in 0..entries {
                table.insert(&session(&number.to_string()), LATER).unwrap();
            }
            assert!(places(&table) * 33 < entries * most, "{} bytes an entry", places(&table) * 33 / entries);
        }
        let parts = DenyTable::new(1_000_000).parts.len();
        let per_part = 1_000_000 / parts;
        assert!(
            (12_000..=PER_PART).contains(&per_part),
            "{per_part} in a part, below the 14,336 that 16,384 places hold"
        );
    }
}
