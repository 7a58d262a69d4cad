//! The end of a token in, where to look for it out: a hash that is keyed anew for each cache, and a few multiplications long.

use std::hash::{BuildHasher, RandomState};

/// The end of a JWT is its signature: as good as random, and this much of it enough to pick a set.
const TAIL: usize = 32;

/// The keys of one cache. Nobody outside knows them, no hash is ever shown, and only tokens that were verified lie in the cache: to spread them, this is enough.
/// Whether it is the same token says a comparison of the whole texts.
pub(super) struct Seed([u64; 4]);

impl Seed {
    pub(super) fn new() -> Self {
        // The keys of a `RandomState` come from the operating system.
        let random = RandomState::new();
        Self(std::array::from_fn(|at| random.hash_one(at)))
    }

    #[inline]
    pub(super) fn hash(&self, token: &[u8]) -> u64 {
        let tail = token.last_chunk().copied().unwrap_or_else(|| {
            let mut tail = [0; TAIL];
            tail[..token.len()].copy_from_slice(token);
            tail
        });
        let (words, _) = tail.as_chunks::<8>();
        let keyed = |at: usize| u64::from_le_bytes(words[at]) ^ self.0[at];
        let mixed = folded(folded(keyed(0), keyed(1)) ^ keyed(2), keyed(3));
        // Tokens that are counted differ in one word alone, and one multiplication leaves some of that to be seen.
        folded(mixed, 0x9e37_79b9_7f4a_7c15)
    }
}

/// Both halves of the product: each of its bits hangs on all of both factors.
#[inline]
fn folded(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    (product as u64) ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn tokens_spread_by_either_half_of_the_hash_whatever_they_differ_in() {
        const SOME: usize = 1 << 12;
        let seed = Seed::new();
        let counted: Vec<_> = (0..SOME).map(|n| format!("a-token-that-says-nothing-by-itself-{n:06}")).collect();
        let short: Vec<_> = (0..SOME).map(|n| n.to_string()).collect();
        let early: Vec<_> = (0..SOME).map(|n| format!("{n:06}{}", "x".repeat(TAIL - 6))).collect();
        for tokens in [counted, short, early] {
            for half in [0, 32] {
                let places = 1 << 10;
                let seen: HashSet<_> =
                    tokens.iter().map(|token| (seed.hash(token.as_bytes()) >> half) % places).collect();
                // By chance all but 2 % of the places are met with.
                assert!(seen.len() > 950, "{} of {places} places for {}…", seen.len(), tokens[0]);
            }
        }
    }

    #[test]
    fn each_cache_has_a_hash_of_its_own() {
        let token = b"a-token-that-says-nothing-by-itself";
        assert_ne!(Seed::new().hash(token), Seed::new().hash(token));
    }
}
