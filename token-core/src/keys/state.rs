//! What is known about an issuer's keys at a moment: for readiness endpoints, metrics and people.

use std::fmt;
use std::time::Duration;

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use crate::base::time::text;
use crate::jose::SkippedKey;
use crate::jose::jwk_set::KeySet;

/// How usable the keys of an issuer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum KeyStatus {
    /// Within the fresh time.
    Fresh,
    /// Past it, and still serving because the issuer cannot be reached.
    Stale,
    /// No usable set: never fetched, or stale for too long. Tokens of this issuer get 503.
    Empty,
}

/// The state of one issuer's keys. As JSON, spans of time are seconds.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct KeyState {
    /// How usable the keys are.
    pub status: KeyStatus,
    /// How long ago the set was last confirmed by a fetch; `None` if never, and for keys that were given.
    #[serde(serialize_with = "text::optional::serialize")]
    pub age: Option<Duration>,
    /// How many keys can be used; 0 when [`status`](Self::status) is [`KeyStatus::Empty`].
    pub keys: usize,
    /// The keys of the set that cannot be used, and why.
    #[serde(serialize_with = "skipped")]
    pub skipped: Vec<SkippedKey>,
    /// Why the last fetch failed; `None` once one succeeds.
    pub last_error: Option<String>,
    /// When a request will start the next fetch, from now; `None` while one is under way, and for keys that were given.
    #[serde(serialize_with = "text::optional::serialize")]
    pub next_refresh: Option<Duration>,
    /// Whether a fetch is under way.
    pub fetching: bool,
    /// Fetches that brought a usable set, since start-up.
    pub fetches_ok: u64,
    /// Fetches that did not.
    pub fetches_failed: u64,
    /// How many seconds the issuer's clock was ahead of ours at the last fetch (below zero: behind), as far as its `Date`
    /// header tells. Tokens are refused as not yet valid or expired when clocks are apart by more than the leeway.
    pub issuer_clock_ahead: Option<i64>,
}

impl KeyState {
    pub(crate) fn fixed(set: &KeySet) -> Self {
        Self {
            status: if set.is_empty() { KeyStatus::Empty } else { KeyStatus::Fresh },
            age: None,
            keys: set.len(),
            skipped: set.skipped().to_vec(),
            last_error: None,
            next_refresh: None,
            fetching: false,
            fetches_ok: 0,
            fetches_failed: 0,
            issuer_clock_ahead: None,
        }
    }
}

fn skipped<S: Serializer>(keys: &[SkippedKey], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Line<'a> {
        kid: Option<&'a str>,
        reason: String,
    }
    let mut list = serializer.serialize_seq(Some(keys.len()))?;
    for key in keys {
        list.serialize_element(&Line { kid: key.kid(), reason: key.reason().to_string() })?;
    }
    list.end()
}

/// The keys of an issuer could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysUnavailable {
    pub(crate) issuer: String,
    pub(crate) why: Option<String>,
    pub(crate) retry_after: Duration,
}

impl KeysUnavailable {
    /// When to try again.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        self.retry_after
    }
}

impl fmt::Display for KeysUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = self.why.as_deref().unwrap_or("no fetch has ended yet, or no tokio runtime is at hand");
        write!(f, "no keys of issuer {}: {why}", self.issuer)
    }
}

impl std::error::Error for KeysUnavailable {}
