//! Verified tokens, remembered: from the text of a token to the facts it was verified to hold. Facts only; whoever asks re-makes the decision.
//!
//! A fixed table of eight-way sets. The hash (keyed per process) picks the set, never the verdict: the whole token is compared, or
//! its SHA-256. Readers take no lock and, on a hot token, do not even share a reference count: each entry hands out one of several,
//! by thread. Only tokens whose signature verified come in, so nobody floods it without the issuer's key.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, OnceLock};

use arc_swap::Guard;

use crate::base::sync::ArcSwapOption;
use crate::base::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::base::time::Timestamp;
use crate::jose::signature::sha256;
use crate::request::bearer::Candidate;
use crate::stores::TokenCacheSettings;
use crate::verify::verified::{Facts, Verified};

/// Wide sets: a table a quarter full hardly ever has to drop a token that is in use.
const WAYS: usize = 8;
/// Handles per entry: as many threads as can use one hot token without sharing a reference count.
const SHARDS: u8 = 8;
/// The end of a JWT is its signature: as good as random, and this much of it enough to pick a set.
const TAIL: usize = 32;

pub(crate) struct TokenCache {
    sets: Box<[Set]>,
    seed: RandomState,
    settings: TokenCacheSettings,
    bytes: AtomicUsize,
    entries: AtomicUsize,
}

/// One cache line of tags, one of pointers, which processors like to fetch together: a miss touches the first and nothing else.
#[derive(Default)]
#[repr(align(128))]
struct Set {
    tags: [AtomicU64; WAYS],
    ways: [ArcSwapOption<Entry>; WAYS],
}

struct Entry {
    facts: Arc<Facts>,
    digest: Option<Box<[u8; 32]>>,
    until: Timestamp,
    size: u32,
    /// The token has padding, and so is not one everywhere.
    padded: bool,
    /// The thread that verified the token: it counts references where the facts are. Most tokens need no more.
    home: u8,
    others: OnceLock<Box<[OnceLock<Verified>; SHARDS as usize]>>,
}

impl Entry {
    /// What is handed out: to each thread, as far as they are few, a reference count of its own.
    fn mine(&self) -> Verified {
        let shard = shard();
        if shard == self.home {
            return Verified::new(Arc::clone(&self.facts));
        }
        let others = self.others.get_or_init(Box::default);
        others[usize::from(shard)].get_or_init(|| Verified::apart(Arc::clone(&self.facts))).clone()
    }

    /// The most bytes on the heap that these counts come to.
    const COUNTS: usize = SHARDS as usize * (size_of::<OnceLock<Verified>>() + 3 * size_of::<usize>());
}

/// What a token is looked up by; computed once per request.
pub(crate) struct Key {
    hash: u64,
    digest: Option<[u8; 32]>,
}

impl TokenCache {
    /// `None` when the settings leave no room.
    pub(crate) fn new(settings: TokenCacheSettings) -> Option<Self> {
        let sets = settings.entries.div_ceil(WAYS);
        if sets == 0 || settings.bytes == 0 || settings.life.is_zero() {
            return None;
        }
        Some(Self {
            sets: (0..sets.next_power_of_two()).map(|_| Set::default()).collect(),
            seed: RandomState::new(),
            settings,
            bytes: AtomicUsize::new(0),
            entries: AtomicUsize::new(0),
        })
    }

    /// `tenant` only spreads: tokens of different tenants with one text are to lie in different sets.
    pub(crate) fn key(&self, token: &[u8], tenant: Option<&Arc<str>>) -> Key {
        let salt = tenant.map_or(0, |tenant| (tenant.as_ptr() as usize as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        if self.settings.digests {
            let digest = sha256(token);
            let mut start = [0; 8];
            start.copy_from_slice(&digest[..8]);
            return Key { hash: (u64::from_le_bytes(start) ^ salt) | 1, digest: Some(digest) };
        }
        let tail = &token[token.len().saturating_sub(TAIL)..];
        // The lowest bit marks a tag as taken, so that an empty way never looks like a match.
        let mut hasher = self.seed.build_hasher();
        hasher.write(tail);
        Key { hash: (hasher.finish() ^ salt) | 1, digest: None }
    }

    /// The facts of this very token, if it is here and its time here is not over and `still_good` says so.
    pub(crate) fn find(
        &self,
        key: &Key,
        candidate: Candidate<'_>,
        now: Timestamp,
        still_good: impl Fn(&Facts) -> bool,
    ) -> Option<Verified> {
        let set = self.set(key.hash);
        for (tag, way) in set.tags.iter().zip(&set.ways) {
            if tag.load(Ordering::Relaxed) != key.hash {
                continue;
            }
            let entry = way.load();
            let Some(entry) = entry.as_deref() else { continue };
            // Before the texts are compared, so that the processor waits for both at once: they come from far away where tokens are many.
            let good = now < entry.until && (!entry.padded || candidate.may_be_padded()) && still_good(&entry.facts);
            if entry.is(key, candidate.bytes()) {
                return good.then(|| entry.mine());
            }
        }
        None
    }

    /// Remembers a token that was just verified, not past `end`.
    pub(crate) fn insert(&self, key: Key, token: &str, verified: &Verified, now: Timestamp, end: Timestamp) {
        let facts = verified.shared_facts();
        let until = now.saturating_add(self.settings.life).min(facts.claims.expires.unwrap_or(Timestamp::MAX)).min(end);
        if until <= now {
            return;
        }
        let size = size_of::<Entry>() + Entry::COUNTS + facts.size() + key.digest.map_or(0, |_| 32);
        // What is larger than any body is not remembered.
        let Ok(stored) = u32::try_from(size) else { return };
        let set = self.set(key.hash);
        let Some(way) = self.victim(set, now, size) else { return };
        let entry = Entry {
            facts: Arc::clone(facts),
            digest: key.digest.map(Box::new),
            until,
            size: stored,
            padded: token.contains('='),
            home: shard(),
            others: OnceLock::new(),
        };
        // The tag first: a reader in between compares the old entry with its token, and misses.
        set.tags[way].store(key.hash, Ordering::Relaxed);
        self.bytes.fetch_add(size, Ordering::Relaxed);
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.forget(set.ways[way].swap(Some(Arc::new(entry))));
    }

    /// An empty way, else one whose time is over, else the one that ends first. `None` when there is no room for `size` bytes.
    fn victim(&self, set: &Set, now: Timestamp, size: usize) -> Option<usize> {
        #[derive(PartialEq, Eq, PartialOrd, Ord)]
        enum Loss {
            Nothing,
            Ended,
            Ends(Timestamp),
        }
        let cost = |way: &ArcSwapOption<Entry>| match way.load().as_deref() {
            None => (Loss::Nothing, 0),
            Some(entry) if entry.until <= now => (Loss::Ended, entry.size as usize),
            Some(entry) => (Loss::Ends(entry.until), entry.size as usize),
        };
        let full = |freed| self.bytes.load(Ordering::Relaxed) + size > self.settings.bytes + freed;
        let ways = set.ways.iter().map(cost).enumerate();
        // Where bytes are short an empty way is no use: something has to go.
        let fitting = ways.filter(|(_, (_, freed))| !full(*freed));
        fitting.min_by(|(_, (a, _)), (_, (b, _))| a.cmp(b)).map(|(way, _)| way)
    }

    /// Drops every token that `gone` says it of. Returns how many.
    pub(crate) fn evict(&self, gone: impl Fn(&Facts) -> bool) -> usize {
        let mut count = 0;
        for way in self.sets.iter().flat_map(|set| &set.ways) {
            let found = way.load();
            if found.as_deref().is_some_and(|entry| gone(&entry.facts)) {
                count += self.drop_entry(way, &found);
            }
        }
        count
    }

    /// Only the very entry that was looked at; a newer one in its place was verified meanwhile.
    fn drop_entry(&self, way: &ArcSwapOption<Entry>, found: &Guard<Option<Arc<Entry>>>) -> usize {
        let previous = way.compare_and_swap(found, None);
        match (previous.as_ref(), found.as_ref()) {
            (Some(before), Some(seen)) if Arc::ptr_eq(before, seen) => {
                self.forget(Some(Arc::clone(before)));
                1
            }
            _ => 0,
        }
    }

    /// Drops this one token, if it is here.
    pub(crate) fn evict_token(&self, token: &str, tenant: Option<&Arc<str>>) -> usize {
        let key = self.key(token.as_bytes(), tenant);
        let mut count = 0;
        for way in &self.set(key.hash).ways {
            let found = way.load();
            if found.as_deref().is_some_and(|entry| entry.is(&key, token.as_bytes())) {
                count += self.drop_entry(way, &found);
            }
        }
        count
    }

    fn forget(&self, entry: Option<Arc<Entry>>) {
        if let Some(entry) = entry {
            self.bytes.fetch_sub(entry.size as usize, Ordering::Relaxed);
            self.entries.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn set(&self, hash: u64) -> &Set {
        // The number of sets is a power of two; the lowest bit is always one and says nothing.
        &self.sets[(hash >> 1) as usize & (self.sets.len() - 1)]
    }

    /// Entries and bytes held now.
    pub(crate) fn usage(&self) -> (usize, usize) {
        (self.entries.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

impl Entry {
    fn is(&self, key: &Key, token: &[u8]) -> bool {
        match (&self.digest, &key.digest) {
            (Some(mine), Some(theirs)) => **mine == *theirs,
            (None, None) => self.facts.text.token().map(str::as_bytes) == Some(token),
            _ => false,
        }
    }
}

/// A small number of the calling thread's own.
fn shard() -> u8 {
    static NEXT: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);
    thread_local!(static MINE: Cell<u8> = const { Cell::new(u8::MAX) });
    MINE.with(|mine| {
        if mine.get() == u8::MAX {
            mine.set(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        }
        mine.get()
    })
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (entries, bytes) = self.usage();
        f.debug_struct("TokenCache").field("entries", &entries).field("bytes", &bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;
    use crate::claims::Claims;

    /// What a remembered token takes beside its own text and that of its claims.
    #[test]
    fn an_entry_is_as_small_as_it_was() {
        let counts = 2 * size_of::<usize>();
        let [facts, entry] = [size_of::<Facts>(), size_of::<Entry>()].map(|size| size + counts);
        assert_eq!((size_of::<Claims>(), facts, entry), (168, 256, 64));
    }

    #[test]
    fn what_a_hit_reads_lies_in_another_cache_line_than_the_count_that_one_thread_writes() {
        const LINE: usize = 64;
        let counts = 2 * size_of::<usize>();
        let first_read = counts + offset_of!(Facts, claims) + offset_of!(Claims, expires);
        assert!(first_read >= size_of::<usize>() + LINE, "{first_read}");
    }
}
