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

pub(super) struct Entry {
    pub(super) facts: Arc<Facts>,
    digest: Option<Box<[u8; 32]>>,
    pub(super) until: Timestamp,
    pub(super) size: u32,
    /// The token has padding, and so is not one everywhere.
    padded: bool,
    /// The thread that verified the token: it counts references where the facts are. Most tokens need no more.
    home: u8,
    others: OnceLock<Box<[OnceLock<Verified>; SHARDS as usize]>>,
}

impl Entry {
    /// The most bytes on the heap that the threads' counts come to.
    const COUNTS: usize = SHARDS as usize * (size_of::<OnceLock<Verified>>() + 3 * size_of::<usize>());

    /// Bytes on the heap for a token with these facts.
    pub(super) fn size_of(facts: &Facts, key: &Key) -> usize {
        size_of::<Self>() + Self::COUNTS + facts.size() + key.digest.map_or(0, |_| 32)
    }

    pub(super) fn new(facts: Arc<Facts>, key: &Key, token: &str, until: Timestamp, size: u32) -> Self {
        let padded = token.contains('=');
        Self { facts, digest: key.digest.map(Box::new), until, size, padded, home: shard(), others: OnceLock::new() }
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
        now < self.until && (!self.padded || candidate.may_be_padded())
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
