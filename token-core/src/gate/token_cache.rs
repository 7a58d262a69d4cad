//! Verified tokens, remembered: from the text of a token to the facts it was verified to hold. Facts only; whoever asks re-makes the decision.
//!
//! A fixed table of eight-way sets. The hash (keyed per process) picks the set, never the verdict: the whole token is compared, or
//! its SHA-256. Readers take no lock and, on a hot token, write nothing that another thread reads: each entry hands out one of several
//! reference counts, by thread. Only tokens whose signature verified come in, so nobody floods it without the issuer's key; and what
//! comes in once does not drive out what is in use ([`set::Rule`]).

mod duel;
mod entry;
mod seed;
mod set;
mod sketch;

use std::fmt;
use std::sync::Arc;

use arc_swap::Guard;

use self::duel::Duel;
use self::entry::Entry;
use self::seed::Seed;
use self::set::{Rule, Set, WAYS, Word};
use self::sketch::Sketch;
use crate::base::sync::atomic::{AtomicUsize, Ordering};
use crate::base::telemetry;
use crate::base::time::Timestamp;
use crate::jose::signature::sha256;
use crate::request::bearer::Candidate;
use crate::stores::TokenCacheSettings;
use crate::verify::verified::{Facts, Verified};

/// Where bytes are short, so many other sets are looked at for something that may go.
const SWEPT: usize = 8;

pub(crate) struct TokenCache {
    sets: Box<[Set]>,
    sketches: Box<[Sketch]>,
    duel: Duel,
    seed: Seed,
    settings: TokenCacheSettings,
    /// The most bytes.
    room: usize,
    bytes: AtomicUsize,
    entries: AtomicUsize,
    /// Where the next look for bytes begins.
    hand: AtomicUsize,
}

/// What a token is looked up by; computed once per request.
pub(crate) struct Key {
    hash: u64,
    digest: Option<[u8; 32]>,
}

impl Key {
    /// What its way is marked with. Never zero, so that an empty way never looks like a match.
    #[inline]
    fn mark(&self) -> u32 {
        self.hash as u32 | 1
    }
}

/// Where a newcomer goes.
struct Place {
    way: usize,
    /// What was there when the place was chosen.
    seen: Word,
    next: Word,
}

impl TokenCache {
    /// `None` when the settings leave no room.
    pub(crate) fn new(settings: TokenCacheSettings) -> Option<Self> {
        let sets = settings.most_entries().div_ceil(WAYS);
        if sets == 0 || settings.most_bytes() == 0 || settings.life.is_zero() {
            return None;
        }
        Some(Self {
            sets: (0..sets).map(|_| Set::default()).collect(),
            sketches: (0..sets).map(|_| Sketch::default()).collect(),
            duel: Duel::default(),
            seed: Seed::new(),
            settings,
            room: settings.most_bytes(),
            bytes: AtomicUsize::new(0),
            entries: AtomicUsize::new(0),
            hand: AtomicUsize::new(0),
        })
    }

    /// `tenant` only spreads: tokens of different tenants with one text are to lie in different sets.
    pub(crate) fn key(&self, token: &[u8], tenant: Option<&Arc<str>>) -> Key {
        let salt = tenant.map_or(0, |tenant| (tenant.as_ptr() as usize as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        if self.settings.digests {
            let digest = sha256(token);
            let mut start = [0; 8];
            start.copy_from_slice(&digest[..8]);
            return Key { hash: u64::from_le_bytes(start) ^ salt, digest: Some(digest) };
        }
        Key { hash: self.seed.hash(token) ^ salt, digest: None }
    }

    /// The facts of this very token, if it is here and its time here is not over and `still_good` says so.
    pub(crate) fn find(
        &self,
        key: &Key,
        candidate: Candidate<'_>,
        now: Timestamp,
        still_good: impl Fn(&Facts) -> bool,
    ) -> Option<Verified> {
        let (set, mark) = (&self.sets[self.index(key)], key.mark());
        for (word, way) in set.words.iter().zip(&set.ways) {
            let seen = Word(word.load(Ordering::Relaxed));
            if seen.mark() != mark {
                continue;
            }
            let entry = way.load();
            let Some(entry) = entry.as_deref() else { continue };
            // Before the texts are compared, so that the processor waits for both at once: they come from far away where tokens are many.
            let good = entry.serves(candidate, now) && still_good(&entry.facts);
            if entry.is(key, candidate.bytes()) {
                if !good && entry.is_ahead_of(now) {
                    telemetry::set_back("tokens");
                }
                return good.then(|| {
                    Set::asked(word, seen);
                    entry.mine()
                });
            }
        }
        None
    }

    /// Remembers a token that was just verified, not past `end`; or does not, where those who are there are worth more.
    pub(crate) fn insert(&self, key: Key, token: &[u8], verified: &Verified, now: Timestamp, end: Timestamp) {
        let facts = verified.shared_facts();
        let until = now.saturating_add(self.settings.life).min(facts.claims.expires.unwrap_or(Timestamp::MAX)).min(end);
        if until <= now {
            return;
        }
        let Some(entry) = Entry::new(Arc::clone(facts), &key, token, now, until) else { return };
        let size = entry.size();
        let index = self.index(&key);
        let Some(place) = self.place(index, &key, token, size, now, until) else { return };
        let set = &self.sets[index];
        // The word first: a reader in between compares the old entry with its token, and misses. Who comes second leaves it at that.
        let claimed =
            set.words[place.way].compare_exchange(place.seen.0, place.next.0, Ordering::Relaxed, Ordering::Relaxed);
        if claimed.is_err() {
            return;
        }
        self.bytes.fetch_add(size, Ordering::Relaxed);
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.forget(set.ways[place.way].swap(Some(Arc::new(entry))).as_deref());
        if place.seen != Word::EMPTY {
            self.sketches[index].raise(place.seen.mark(), place.seen.count());
        }
    }

    /// In the token's own place; else an empty one; else one whose time is over; else that of a token which is worth less. `None` when
    /// there is none, or no room for `size` bytes.
    fn place(
        &self,
        index: usize,
        key: &Key,
        token: &[u8],
        size: usize,
        now: Timestamp,
        until: Timestamp,
    ) -> Option<Place> {
        let set = &self.sets[index];
        let heard = self.sketches[index].hear(key.mark());
        let mut words = set.words();
        if heard.halve {
            set.recount(&mut words, |count| count / 2);
        }
        let place = |way: usize, words: &[Word; WAYS], count: u8| {
            let next = Word::new(key.mark(), until, now, heard.at, count);
            Some(Place { way, seen: words[way], next })
        };
        let own = |(way, word): (usize, &Word)| {
            let is = |entry: &Entry| entry.is(key, token);
            (word.mark() == key.mark() && set.ways[way].load().as_deref().is_some_and(is)).then_some(way)
        };
        if let Some(way) = words.iter().enumerate().find_map(own) {
            return place(way, &words, words[way].count());
        }
        let free = words.iter().position(|word| *word == Word::EMPTY);
        let free = free.or_else(|| words.iter().position(|word| word.has_ended(now)));
        // What a way would give back has to be asked of its entry, and matters only where bytes are short.
        let is_short = self.bytes.load(Ordering::Relaxed) + size > self.room;
        let Some(way) = free.filter(|_| !is_short) else {
            let rule = self.duel.rule(index, self.sets.len());
            let count = if rule == Rule::Frequent { heard.count } else { 0 };
            let way = free.or_else(|| set.loser(&mut words, rule, heard.count, heard.at))?;
            let freed = set.ways[way].load().as_deref().map_or(0, Entry::size);
            return (!is_short || self.has_room(size, freed, heard.count, now))
                .then(|| place(way, &words, count))
                .flatten();
        };
        place(way, &words, heard.count)
    }

    /// Whether `size` bytes fit once `freed` are given back, after a look at some other sets for what may go.
    fn has_room(&self, size: usize, freed: usize, count: u8, now: Timestamp) -> bool {
        let fits = || self.bytes.load(Ordering::Relaxed) + size <= self.room + freed;
        for _ in 0..SWEPT.min(self.sets.len()) {
            if fits() {
                break;
            }
            let index = self.hand.fetch_add(1, Ordering::Relaxed) % self.sets.len();
            let (set, mut words) = (&self.sets[index], self.sets[index].words());
            let ended = words.iter().position(|word| *word != Word::EMPTY && word.has_ended(now));
            let rule = self.duel.rule(index, self.sets.len());
            let at = self.sketches[index].at();
            if let Some(way) = ended.or_else(|| set.loser(&mut words, rule, count, at)) {
                self.sketches[index].raise(words[way].mark(), words[way].count());
                self.drop_entry(set, way, words[way], &set.ways[way].load());
            }
        }
        fits()
    }

    /// Drops every token that `gone` says it of. Returns how many.
    pub(crate) fn evict(&self, gone: impl Fn(&Facts) -> bool) -> usize {
        self.sets.iter().map(|set| self.evict_of(set, |entry| gone(&entry.facts))).sum()
    }

    /// Drops this one token, if it is here.
    pub(crate) fn evict_token(&self, token: &str, tenant: Option<&Arc<str>>) -> usize {
        let key = self.key(token.as_bytes(), tenant);
        self.evict_of(&self.sets[self.index(&key)], |entry| entry.is(&key, token.as_bytes()))
    }

    fn evict_of(&self, set: &Set, gone: impl Fn(&Entry) -> bool) -> usize {
        let mut count = 0;
        for (way, word) in set.words().into_iter().enumerate() {
            let found = set.ways[way].load();
            if found.as_deref().is_some_and(&gone) {
                count += self.drop_entry(set, way, word, &found);
            }
        }
        count
    }

    /// Only the very entry that was looked at; a newer one in its place was verified meanwhile.
    fn drop_entry(&self, set: &Set, way: usize, word: Word, found: &Guard<Option<Arc<Entry>>>) -> usize {
        let previous = set.ways[way].compare_and_swap(found, None);
        match (previous.as_ref(), found.as_ref()) {
            (Some(before), Some(seen)) if Arc::ptr_eq(before, seen) => {
                // A way that somebody claimed meanwhile is theirs.
                let _ = set.words[way].compare_exchange(word.0, Word::EMPTY.0, Ordering::Relaxed, Ordering::Relaxed);
                self.forget(Some(before));
                1
            }
            _ => 0,
        }
    }

    /// Drops the token of this SHA-256, for whichever tenant.
    pub(crate) fn evict_digest(&self, digest: &[u8; 32]) -> usize {
        self.sets.iter().map(|set| self.evict_of(set, |entry| entry.has_digest(digest))).sum()
    }

    fn forget(&self, entry: Option<&Entry>) {
        if let Some(entry) = entry {
            self.bytes.fetch_sub(entry.size(), Ordering::Relaxed);
            self.entries.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The upper half of the hash, spread over any number of sets.
    #[inline]
    fn index(&self, key: &Key) -> usize {
        (((key.hash >> 32) * self.sets.len() as u64) >> 32) as usize
    }

    /// Has all sets that do not lead go by one rule, until they see that the other one is better.
    #[cfg(test)]
    pub(crate) fn go_by(&self, recent: bool) {
        self.duel.go_by(recent);
    }

    /// Entries and bytes held now.
    pub(crate) fn usage(&self) -> (usize, usize) {
        (self.entries.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (entries, bytes) = self.usage();
        f.debug_struct("TokenCache").field("entries", &entries).field("bytes", &bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
