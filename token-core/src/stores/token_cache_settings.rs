//! Bounds of the cache of verified tokens, as an operator says them.

use std::time::Duration;

/// Bounds of the verified-token cache.
///
/// Entries and bytes follow one another: say one, and there is room for the other. Say both, and whichever is reached first holds.
///
/// | said | entries | bytes |
/// | --- | --- | --- |
/// | neither | 4,096 | 8 MiB |
/// | `entries(n)` | n | n × 2 KiB |
/// | `bytes(n)` | n / 2 KiB | n |
/// | both | as said | as said |
///
/// With [`keep_digests`](Self::keep_digests) an entry is counted as 1 KiB in place of 2 KiB.
///
/// # What is kept where there is no room for all
///
/// A token that comes once does not drive out one that is in use. By default the cache keeps what is asked for most often; where tokens
/// come, are used for a while and never come again, it notices that this does worse than keeping the newest, and goes over to that, and back.
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

    /// How many tokens at most, rounded up to a multiple of eight. Default 4,096, or what [`bytes`](Self::bytes) has room for; 0 turns the
    /// cache off.
    #[must_use]
    pub fn entries(mut self, entries: usize) -> Self {
        self.entries = Some(entries);
        self
    }

    /// How many bytes at most, beside the table of 24 bytes an entry. Default 2 KiB for each of the [`entries`](Self::entries); a token of
    /// 1 KiB takes about 2 KiB.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = Some(bytes);
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
