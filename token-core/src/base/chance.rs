//! Nothing in, a number that differs each time out: so that a fleet does not do the same at the same moment.

use std::hash::{BuildHasher as _, RandomState};

/// Sixty-four bits, different in each process and each time. To tell things apart, not for secrets.
pub(crate) fn number() -> u64 {
    RandomState::new().hash_one(0u8)
}

/// A number from 0 to 1, different in each process and each time. For jitter, not for secrets.
pub(crate) fn chance() -> f64 {
    // 53 bits, as many as a float keeps.
    (number() >> 11) as f64 / (1u64 << 53) as f64
}
