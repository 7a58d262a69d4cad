//! Bounds of the cache of verified tokens, as an operator says them.

use std::time::Duration;

/// Bounds of the verified-token cache.
///
/// ```
/// use std::time::Duration;
/// use token_core::stores::TokenCacheSettings;
///
/// let small = TokenCacheSettings::default().entries(256).life(Duration::from_secs(30)).keep_digests();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenCacheSettings {
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
    pub(crate) life: Duration,
    pub(crate) digests: bool,
}

impl Default for TokenCacheSettings {
    fn default() -> Self {
        Self { entries: 4096, bytes: 8 * 1024 * 1024, life: Duration::from_secs(300), digests: false }
    }
}

impl TokenCacheSettings {
    /// How many tokens at most, rounded up to eight times a power of two. Default 4,096; 0 turns the cache off.
    #[must_use]
    pub fn entries(mut self, entries: usize) -> Self {
        self.entries = entries;
        self
    }

    /// How many bytes at most. Default 8 MiB; a token of 1 KiB takes about 2 KiB.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// How long at most, in any case not past `exp`. Default 5 min.
    #[must_use]
    pub fn life(mut self, life: Duration) -> Self {
        self.life = life;
        self
    }

    /// Keeps SHA-256 digests in place of tokens: no token stays in memory, half the space, half a microsecond more per request.
    /// [`Verified::token`](crate::Verified::token) is then `None`.
    #[must_use]
    pub fn keep_digests(mut self) -> Self {
        self.digests = true;
        self
    }

    pub(crate) fn are_digests(self) -> bool {
        self.digests
    }
}
