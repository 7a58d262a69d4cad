//! Headers of well-signed tokens in, the same verdict for the same bytes out, without reading them again.
//!
//! The verdicts belong to the set and not to the key: with other keys beside it, the same header could mean another key or
//! be ambiguous, so a new set learns anew.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::jose::algorithm::Algorithm;
use crate::jose::header::{Header, TokenType};
use crate::jose::verification_key::VerificationKey;

/// Enough for an issuer in the middle of a change, or one that mints two kinds of token.
const PER_KEY: usize = 2;
/// The longest header that is kept, in encoded bytes.
const LONGEST: usize = 256;

/// What a header was found to say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remembered<'a> {
    /// The key that the header chooses among those of the set.
    pub(crate) key: &'a Arc<VerificationKey>,
    pub(crate) alg: Algorithm,
    pub(crate) typ: TokenType,
}

/// Room for two headers a key; the first two that come stay.
pub(super) struct Memos(Box<[Slot]>);

#[derive(Default)]
struct Slot {
    memo: OnceLock<Memo>,
    /// Set by whoever may fill the slot, so that nobody ever waits for another to do so.
    taken: AtomicBool,
}

struct Memo {
    header: Box<[u8]>,
    alg: Algorithm,
    typ: TokenType,
}

impl Memos {
    pub(super) fn new(keys: usize) -> Self {
        Self((0..keys * PER_KEY).map(|_| Slot::default()).collect())
    }

    #[inline]
    pub(super) fn find<'a>(&self, encoded: &[u8], keys: &'a [Arc<VerificationKey>]) -> Option<Remembered<'a>> {
        self.0.iter().enumerate().find_map(|(at, slot)| {
            let memo = slot.memo.get().filter(|memo| *memo.header == *encoded)?;
            Some(Remembered { key: keys.get(at / PER_KEY)?, alg: memo.alg, typ: memo.typ })
        })
    }

    pub(super) fn keep(&self, key: usize, encoded: &[u8], header: &Header<'_>) {
        if encoded.len() > LONGEST {
            return;
        }
        let Some(slots) = self.0.get(key * PER_KEY..(key + 1) * PER_KEY) else { return };
        for slot in slots {
            if slot.memo.get().is_some_and(|memo| *memo.header == *encoded) {
                return;
            }
            if !slot.taken.swap(true, Ordering::AcqRel) {
                let memo = Memo { header: encoded.into(), alg: header.alg, typ: header.typ };
                slot.memo.get_or_init(|| memo);
                return;
            }
        }
    }
}
