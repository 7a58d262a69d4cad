//! Keys that proofs are signed with, prepared once: a thumbprint in, the key and the header that came with it out. Bounded; keys of verified tokens only.

use std::sync::Arc;

use crate::base::sync::ArcSwapOption;
use crate::base::sync::atomic::{AtomicUsize, Ordering};
use crate::jose::thumbprint::Thumbprint;
use crate::jose::{Algorithm, VerificationKey};

/// How many keys are held at most. One on P-256 takes about a kilobyte.
const SETS: usize = 512;
const WAYS: usize = 8;
/// The longest header that is kept with its key, in bytes. One on P-256 has about 250, one with RSA of 4096 bits 1,000: a longer one is read anew
/// each time, so that no client makes us hold 8 KiB for each of its keys.
const LONGEST_HEADER: usize = 2 * 1024;

/// A key, and the header of the last proof that it signed.
pub(crate) struct Known {
    pub(super) thumbprint: Thumbprint,
    pub(super) key: Arc<VerificationKey>,
    pub(super) algorithm: Algorithm,
    /// As it was sent: a client writes the same header again and again, and what was judged of it holds. `None` where it is too long to keep.
    header: Option<Box<[u8]>>,
}

impl Known {
    pub(super) fn new(thumbprint: Thumbprint, key: Arc<VerificationKey>, algorithm: Algorithm, header: &[u8]) -> Self {
        let header = (header.len() <= LONGEST_HEADER).then(|| header.into());
        Self { thumbprint, key, algorithm, header }
    }

    /// Whether this very header was judged before.
    pub(super) fn has_judged(&self, header: &[u8]) -> bool {
        self.header.as_deref() == Some(header)
    }

    /// Whether the next proof would gain from keeping this header.
    pub(super) fn is_behind(&self, header: &[u8]) -> bool {
        header.len() <= LONGEST_HEADER && !self.has_judged(header)
    }
}

/// The keys that were prepared last. A thumbprint is as good as random, and picks its set by itself; whoever makes his own
/// collide with others' pushes those out of the cache, which costs them microseconds.
pub(crate) struct PreparedKeys {
    sets: Box<[[ArcSwapOption<Known>; WAYS]]>,
    next: AtomicUsize,
}

impl Default for PreparedKeys {
    fn default() -> Self {
        Self { sets: (0..SETS).map(|_| Default::default()).collect(), next: AtomicUsize::new(0) }
    }
}

impl PreparedKeys {
    pub(super) fn find(&self, thumbprint: &Thumbprint) -> Option<Arc<Known>> {
        self.set(thumbprint).iter().find_map(|way| {
            let known = way.load();
            known.as_ref().filter(|known| known.thumbprint == *thumbprint).map(Arc::clone)
        })
    }

    /// Keeps a key whose proof was good, in place of what was known of it, of nothing, or of another.
    pub(super) fn keep(&self, known: Known) {
        let set = self.set(&known.thumbprint);
        let is = |way: &ArcSwapOption<Known>, fits: fn(Option<&Known>, &Thumbprint) -> bool| {
            fits(way.load().as_deref(), &known.thumbprint)
        };
        let same = set.iter().position(|way| is(way, |held, ours| held.is_some_and(|held| held.thumbprint == *ours)));
        let way = same
            .or_else(|| set.iter().position(|way| is(way, |held, _| held.is_none())))
            .unwrap_or_else(|| self.next.fetch_add(1, Ordering::Relaxed) % WAYS);
        set[way].store(Some(Arc::new(known)));
    }

    fn set(&self, thumbprint: &Thumbprint) -> &[ArcSwapOption<Known>; WAYS] {
        let [a, b, ..] = thumbprint.as_bytes();
        &self.sets[usize::from(u16::from_le_bytes([*a, *b])) % SETS]
    }
}

impl std::fmt::Debug for PreparedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PreparedKeys(..)")
    }
}
