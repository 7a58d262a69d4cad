//! Headers of well-signed tokens in, the same verdict for the same bytes out, without reading them again.
//!
//! The verdicts belong to the set and not to the key: with other keys beside it, the same header could mean another key or
//! be ambiguous, so a new set learns anew.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use crate::jose::algorithm::Algorithm;
use crate::jose::header::{Header, TokenType};
use crate::jose::verification_key::VerificationKey;

/// Enough for an issuer in the middle of a change, or one that mints two kinds of token.
const PER_KEY: u8 = 2;
/// The longest header that is kept, in encoded bytes.
const LONGEST: usize = 256;
/// Up to so many keys all headers are looked at; above that only those in the places that a header's hash says.
const SCANNED: usize = 4;
/// So many places there are for a hash.
const PLACES: usize = 4;

/// What a header was found to say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remembered<'a> {
    /// The key that the header chooses among those of the set.
    pub(crate) key: &'a Arc<VerificationKey>,
    pub(crate) alg: Algorithm,
    pub(crate) typ: TokenType,
}

/// Room for two headers a key; the first two that come stay.
pub(super) struct Memos {
    /// In the order they came, or by their hash: then a power of two, at most half of them taken.
    slots: Box<[Slot]>,
    /// How many headers each key has.
    kept: Box<[AtomicU8]>,
}

#[derive(Default)]
struct Slot {
    memo: OnceLock<Memo>,
    /// Set by whoever may fill the slot, so that nobody ever waits for another to do so.
    taken: AtomicBool,
}

struct Memo {
    header: Box<[u8]>,
    key: usize,
    alg: Algorithm,
    typ: TokenType,
}

impl Memos {
    pub(super) fn new(keys: usize) -> Self {
        let headers = keys * usize::from(PER_KEY);
        let slots = if keys > SCANNED { (headers * 2).next_power_of_two() } else { headers };
        Self {
            slots: (0..slots).map(|_| Slot::default()).collect(),
            kept: (0..keys).map(|_| AtomicU8::new(0)).collect(),
        }
    }

    /// Where a header may stand.
    #[inline]
    fn places(&self, encoded: &[u8]) -> impl Iterator<Item = &Slot> {
        let all = self.slots.len();
        let hashed = self.kept.len() > SCANNED;
        let (first, count) = if hashed { (fold(encoded), PLACES) } else { (0, all) };
        // With a power of two, or from zero on, the remainder is a mask.
        let mask = if hashed { all - 1 } else { usize::MAX };
        (0..count).filter_map(move |step| self.slots.get(first.wrapping_add(step) & mask))
    }

    #[inline]
    pub(super) fn find<'a>(&self, encoded: &[u8], keys: &'a [Arc<VerificationKey>]) -> Option<Remembered<'a>> {
        self.places(encoded).find_map(|slot| {
            let memo = slot.memo.get().filter(|memo| *memo.header == *encoded)?;
            Some(Remembered { key: keys.get(memo.key)?, alg: memo.alg, typ: memo.typ })
        })
    }

    pub(super) fn keep(&self, key: usize, encoded: &[u8], header: &Header<'_>) {
        let Some(kept) = self.kept.get(key).filter(|_| encoded.len() <= LONGEST) else { return };
        let is_there = |slot: &Slot| slot.memo.get().is_some_and(|memo| *memo.header == *encoded);
        if kept.load(Ordering::Relaxed) >= PER_KEY || self.places(encoded).any(is_there) {
            return;
        }
        let Some(slot) = self.places(encoded).find(|slot| !slot.taken.swap(true, Ordering::AcqRel)) else { return };
        kept.fetch_add(1, Ordering::Relaxed);
        let memo = Memo { header: encoded.into(), key, alg: header.alg, typ: header.typ };
        slot.memo.get_or_init(|| memo);
    }
}

/// A hash for headers of tokens that were well signed: whoever could make them collide could only slow down their own issuer's.
#[inline]
fn fold(bytes: &[u8]) -> usize {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let mixed = words
        .iter()
        .chain([&last])
        .fold(bytes.len() as u64, |hash, word| (hash.rotate_left(23) ^ u64::from_le_bytes(*word)).wrapping_mul(ODD));
    (mixed >> 32) as usize
}
