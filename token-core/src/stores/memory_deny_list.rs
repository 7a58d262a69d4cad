//! A deny-list in the memory of this process: entries with an end in, an immediate answer for each request out.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError};

use super::{Deny, DenyList, DenyLookup, StoreError};
use crate::base::http::BoxFuture;
use crate::base::sync::atomic::{AtomicUsize, Ordering};
use crate::base::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use crate::base::time::Timestamp;
use crate::token::marks::Marks;

/// The default capacity.
const ROOM: usize = 100_000;
const SHARDS: usize = 16;

/// A deny-list in the memory of one process. Clones share the list. Looking up a token costs one atomic load if the
/// list is empty, and three hashes otherwise.
///
/// ```
/// use token_core::{revocation::{Deny, MemoryDenyList}, Timestamp};
///
/// let list = MemoryDenyList::new();
/// let tomorrow = Timestamp::from_secs(1_800_086_400);
/// list.insert(Deny::token_id("https://login.example.com/", "7"), tomorrow).expect("there is room");
/// assert_eq!(list.len(), 1);
/// ```
#[derive(Clone)]
pub struct MemoryDenyList(Arc<Inner>);

struct Inner {
    shards: [RwLock<HashMap<u64, Vec<Entry>>>; SHARDS],
    hasher: RandomState,
    entries: AtomicUsize,
    capacity: usize,
}

struct Entry {
    deny: Deny,
    until: Timestamp,
}

impl Default for MemoryDenyList {
    fn default() -> Self {
        Self::with_capacity(ROOM)
    }
}

impl MemoryDenyList {
    /// An empty list with room for 100,000 entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty list with room for this many entries. A full list accepts no more entries; dropping an older one would
    /// let a denied token in.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Arc::new(Inner {
            shards: Default::default(),
            hasher: RandomState::new(),
            entries: AtomicUsize::new(0),
            capacity,
        }))
    }

    /// Adds an entry that ends at `until`.
    ///
    /// # Errors
    /// [`StoreError::Full`] if there is no room.
    pub fn insert(&self, deny: Deny, until: Timestamp) -> Result<(), StoreError> {
        let hash = self.0.hash_of(&deny);
        let mut shard = self.0.write(hash);
        let entries = shard.entry(hash).or_default();
        if let Some(entry) = entries.iter_mut().find(|entry| same(&entry.deny, &deny)) {
            // Two reasons to deny the same: the wider one in each direction.
            if let (Deny::Subject { issued_until: old, .. }, Deny::Subject { issued_until: new, .. }) =
                (&mut entry.deny, &deny)
            {
                *old = (*old).max(*new);
            }
            entry.until = entry.until.max(until);
            return Ok(());
        }
        let room = |entries: usize| (entries < self.0.capacity).then_some(entries + 1);
        if self.0.entries.fetch_update(Ordering::AcqRel, Ordering::Relaxed, room).is_err() {
            return Err(StoreError::Full { capacity: self.0.capacity });
        }
        entries.push(Entry { deny, until });
        Ok(())
    }

    /// Removes expired entries. Call it periodically to free memory; nothing else depends on it.
    pub fn purge(&self, now: Timestamp) {
        for shard in &self.0.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, entries| {
                let before = entries.len();
                entries.retain(|entry| now < entry.until);
                self.0.entries.fetch_sub(before - entries.len(), Ordering::AcqRel);
                !entries.is_empty()
            });
        }
    }

    /// The number of entries, including expired ones that were not removed yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.entries.load(Ordering::Acquire)
    }

    /// Whether the list is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl DenyList for MemoryDenyList {
    fn look_up(&self, token: &Marks<'_>, now: Timestamp) -> DenyLookup {
        if self.is_empty() || !self.0.names(token, now) { DenyLookup::Absent } else { DenyLookup::Denied }
    }

    fn deny(&self, what: Deny, until: Timestamp) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(std::future::ready(self.insert(what, until)))
    }
}

impl Inner {
    #[cold]
    fn names(&self, token: &Marks<'_>, now: Timestamp) -> bool {
        let listed = |kind, name: Option<&str>| name.is_some_and(|name| self.lists(kind, token, name, now));
        listed(Kind::TokenId, token.token_id)
            || listed(Kind::Session, token.session_id)
            || listed(Kind::Subject, token.subject)
    }

    fn lists(&self, kind: Kind, token: &Marks<'_>, name: &str, now: Timestamp) -> bool {
        let hash = self.hasher.hash_one((kind, token.issuer, name));
        let shard = self.read(hash);
        let entries = shard.get(&hash).map_or(&[][..], Vec::as_slice);
        entries.iter().any(|entry| {
            now < entry.until
                && parts(&entry.deny) == (kind, token.issuer, name)
                && match &entry.deny {
                    Deny::Subject { issued_until, .. } => token.issued_at.is_none_or(|issued| issued <= *issued_until),
                    _ => true,
                }
        })
    }

    fn hash_of(&self, deny: &Deny) -> u64 {
        self.hasher.hash_one(parts(deny))
    }

    fn read(&self, hash: u64) -> RwLockReadGuard<'_, HashMap<u64, Vec<Entry>>> {
        self.shards[hash as usize % SHARDS].read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, hash: u64) -> RwLockWriteGuard<'_, HashMap<u64, Vec<Entry>>> {
        self.shards[hash as usize % SHARDS].write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    TokenId,
    Subject,
    Session,
}

fn parts(deny: &Deny) -> (Kind, &str, &str) {
    match deny {
        Deny::TokenId { issuer, token_id } => (Kind::TokenId, issuer, token_id),
        Deny::Subject { issuer, subject, .. } => (Kind::Subject, issuer, subject),
        Deny::Session { issuer, session } => (Kind::Session, issuer, session),
    }
}

fn same(one: &Deny, two: &Deny) -> bool {
    parts(one) == parts(two)
}

impl fmt::Debug for MemoryDenyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDenyList").field("entries", &self.len()).field("capacity", &self.0.capacity).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://issuer.example";
    const NOW: Timestamp = Timestamp::from_secs(1_000);
    const LATER: Timestamp = Timestamp::from_secs(2_000);

    fn denied(list: &MemoryDenyList, token: Marks<'_>, now: Timestamp) -> bool {
        matches!(list.look_up(&token, now), DenyLookup::Denied)
    }

    #[test]
    fn a_token_is_denied_by_its_jti_its_session_or_its_subject_and_only_by_its_own() {
        let list = MemoryDenyList::new();
        list.insert(Deny::token_id(ISSUER, "7"), LATER).unwrap();
        list.insert(Deny::session(ISSUER, "s"), LATER).unwrap();
        list.insert(Deny::subject(ISSUER, "ada", NOW), LATER).unwrap();
        let at = |secs| Some(Timestamp::from_secs(secs));
        let token = Marks::of(ISSUER);
        for (name, token, expected) in [
            ("the jti", token.token_id("7"), true),
            ("another jti", token.token_id("8"), false),
            ("the same jti of another issuer", Marks::of("https://other.example").token_id("7"), false),
            ("a subject that is spelt like the jti", token.subject("7", at(1)), false),
            ("the session", token.session_id("s"), true),
            ("issued before", token.subject("ada", at(999)), true),
            ("issued in that second", token.subject("ada", at(1000)), true),
            ("issued in a fraction of it", token.subject("ada", Some(Timestamp::from_millis(1_000_700))), true),
            ("issued after", token.subject("ada", at(1001)), false),
            ("issued nobody knows when", token.subject("ada", None), true),
            ("nothing to go by", token, false),
        ] {
            assert_eq!(denied(&list, token, NOW), expected, "{name}");
        }
    }

    #[test]
    fn an_entry_ends_with_its_time_and_then_makes_room() {
        let list = MemoryDenyList::with_capacity(1);
        list.insert(Deny::token_id(ISSUER, "7"), LATER).unwrap();
        assert_eq!(list.insert(Deny::token_id(ISSUER, "8"), LATER), Err(StoreError::Full { capacity: 1 }));
        assert!(!denied(&list, Marks::of(ISSUER).token_id("7"), LATER), "its time is over");
        list.purge(LATER);
        assert!(list.is_empty());
        list.insert(Deny::token_id(ISSUER, "8"), LATER).unwrap();
    }

    #[test]
    fn denying_twice_keeps_the_wider_of_both() {
        let list = MemoryDenyList::new();
        list.insert(Deny::subject(ISSUER, "ada", LATER), NOW.saturating_add(std::time::Duration::from_secs(1)))
            .unwrap();
        list.insert(Deny::subject(ISSUER, "ada", NOW), LATER).unwrap();
        let token = Marks::of(ISSUER).subject("ada", Some(LATER));
        assert!(denied(&list, token, Timestamp::from_secs(1_999)));
        assert_eq!(list.len(), 1);
    }
}
