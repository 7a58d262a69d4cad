//! Limits of the cache of verified tokens, as an operator sets them.

use std::time::Duration;

/// Limits of the cache of verified tokens.
///
/// The number of entries and of bytes follow from one another: set one, and the other is chosen to match. If both are
/// set, the limit that is reached first applies.
///
/// | said | entries | bytes |
/// | --- | --- | --- |
/// | neither | 4,096 | 8 MiB |
/// | `entries(n)` | n | n × 2 KiB |
/// | `bytes(n)` | n / 2 KiB | n |
/// | both | as said | as said |
///
/// With [`keep_digests`](Self::keep_digests), an entry counts as 1 KiB instead of 2 KiB.
///
/// # Which tokens are kept if there is no room for all
///
/// A token that is used once does not displace one that is used repeatedly. By default the cache keeps the most
/// frequently used tokens. If tokens are used for a while and then never again, keeping the most recent ones works
/// better; the cache measures both and switches between the two rules.
///
/// ```
/// use std::time::Duration;
/// use token_core::stores::TokenCacheSettings;
///
/// let small = TokenCacheSettings::default().entries(256).life(Duration::from_secs(30)).keep_digests();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenCacheSettings {
    pub(crate) entries: Option<usize>,
    pub(crate) bytes: Option<usize>,
    pub(crate) life: Duration,
    pub(crate) digests: bool,
}

impl Default for TokenCacheSettings {
    fn default() -> Self {
        Self { entries: None, bytes: None, life: Duration::from_secs(300), digests: false }
    }
}

impl TokenCacheSettings {
    const ENTRIES: usize = 4096;

    /// Sets the maximum number of tokens, rounded up to a multiple of eight. Default: 4,096, or as many as fit into
    /// [`bytes`](Self::bytes). 0 turns the cache off.
    #[must_use]
    pub fn entries(mut self, entries: usize) -> Self {
        self.entries = Some(entries);
        self
    }

    /// Sets the maximum size in bytes, not counting the table of 24 bytes per entry. Default: 2 KiB for each of the
    /// [`entries`](Self::entries). A token of 1 KiB takes about 2 KiB.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// Sets how long a token is kept at most, never past its `exp`. Default: 5 min.
    #[must_use]
    pub fn life(mut self, life: Duration) -> Self {
        self.life = life;
        self
    }

    /// Stores SHA-256 digests instead of tokens, so that no token stays in memory. This halves the size and adds half a
    /// microsecond per request. [`Verified::token`](crate::Verified::token) is then `None`.
    #[must_use]
    pub fn keep_digests(mut self) -> Self {
        self.digests = true;
        self
    }

    pub(crate) fn are_digests(self) -> bool {
        self.digests
    }

    /// What an entry is counted as where only one bound was said.
    fn each(self) -> usize {
        if self.digests { 1024 } else { 2048 }
    }

    pub(crate) fn most_entries(self) -> usize {
        match (self.entries, self.bytes) {
            (Some(entries), _) => entries,
            // Not none at all for a few bytes: whether a token fits is then seen when it comes.
            (None, Some(bytes)) => bytes.div_ceil(self.each()),
            (None, None) => Self::ENTRIES,
        }
    }

    pub(crate) fn most_bytes(self) -> usize {
        self.bytes.unwrap_or_else(|| self.most_entries().saturating_mul(self.each()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_and_bytes_follow_one_another() {
        let settings = TokenCacheSettings::default;
        let mib = 1024 * 1024;
        for (settings, entries, bytes) in [
            (settings(), 4096, 8 * mib),
            (settings().entries(100_000), 100_000, 204_800_000),
            (settings().bytes(64 * mib), 32_768, 64 * mib),
            (settings().entries(10).bytes(64 * mib), 10, 64 * mib),
            (settings().keep_digests(), 4096, 4 * mib),
            (settings().bytes(8 * mib).keep_digests(), 8192, 8 * mib),
            (settings().entries(0), 0, 0),
            (settings().bytes(0), 0, 0),
            (settings().bytes(1), 1, 1),
            (settings().entries(usize::MAX), usize::MAX, usize::MAX),
        ] {
            assert_eq!((settings.most_entries(), settings.most_bytes()), (entries, bytes), "{settings:?}");
        }
    }
}
