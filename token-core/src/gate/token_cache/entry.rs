//! One remembered token: the facts, and a handle for each of the threads that use it.

use std::cell::Cell;
use std::sync::{Arc, OnceLock};

use super::Key;
use crate::base::sync::atomic::Ordering;
use crate::base::time::Timestamp;
use crate::jose::signature::sha256;
use crate::request::bearer::Candidate;
use crate::verify::verified::{Facts, Verified};

/// Handles per entry: as many threads as can use one hot token without sharing a reference count.
const SHARDS: u8 = 8;

/// What sizes are counted in, so that they take no room.
const UNIT: usize = 16;

pub(super) struct Entry {
    pub(super) facts: Arc<Facts>,
    digest: Option<Box<[u8; 32]>>,
    found: Timestamp,
    /// For so many milliseconds from then on it is good.
    life: u32,
    /// In units of [`UNIT`] bytes.
    size: u16,
    /// The token has padding, and so is not one everywhere.
    padded: bool,
    /// The thread that verified the token: it counts references where the facts are. Most tokens need no more.
    home: u8,
    others: OnceLock<Box<[OnceLock<Verified>; SHARDS as usize]>>,
}

impl Entry {
    /// The most bytes on the heap that the threads' counts come to.
    const COUNTS: usize = SHARDS as usize * (size_of::<OnceLock<Verified>>() + 3 * size_of::<usize>());

    /// A token with these facts, found `now`. `None` where it is larger than any header field.
    pub(super) fn new(facts: Arc<Facts>, key: &Key, token: &[u8], now: Timestamp, until: Timestamp) -> Option<Self> {
        let bytes = size_of::<Self>() + Self::COUNTS + facts.size() + key.digest.map_or(0, |_| 32);
        Some(Self {
            facts,
            digest: key.digest.map(Box::new),
            found: now,
            // Longer than weeks nothing is remembered.
            life: u32::try_from(until.since(now).as_millis()).unwrap_or(u32::MAX),
            size: u16::try_from(bytes.div_ceil(UNIT)).ok()?,
            padded: token.contains(&b'='),
            home: shard(),
            others: OnceLock::new(),
        })
    }

    /// Bytes on the heap.
    pub(super) fn size(&self) -> usize {
        usize::from(self.size) * UNIT
    }

    /// Whether it was found later than now: the clock was set back.
    pub(super) fn is_ahead_of(&self, now: Timestamp) -> bool {
        now.is_before(self.found)
    }

    /// What is handed out: to each thread, as far as they are few, a reference count of its own.
    pub(super) fn mine(&self) -> Verified {
        let shard = shard();
        if shard == self.home {
            return Verified::new(Arc::clone(&self.facts));
        }
        let others = self.others.get_or_init(Box::default);
        others[usize::from(shard)].get_or_init(|| Verified::apart(Arc::clone(&self.facts))).clone()
    }

    /// Whether it may be used now, as far as the entry itself knows.
    pub(super) fn serves(&self, candidate: Candidate<'_>, now: Timestamp) -> bool {
        now.is_within(self.found, self.life.into()) && (!self.padded || candidate.may_be_padded())
    }

    /// Whether it is of the token with this SHA-256.
    pub(super) fn has_digest(&self, digest: &[u8; 32]) -> bool {
        match &self.digest {
            Some(mine) => **mine == *digest,
            None => self.facts.text.token().is_some_and(|token| sha256(token.as_bytes()) == *digest),
        }
    }

    /// Whether it is of this very token.
    pub(super) fn is(&self, key: &Key, token: &[u8]) -> bool {
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
