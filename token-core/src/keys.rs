//! The keys of one issuer: a set given once, or one that is fetched and kept fresh (RFC 7517 section 5).
//!
//! [`Issuer::discover`](crate::Issuer::discover) needs nothing from here. This page is for those who tune the JWK Set cache ([`JwksSettings`]), bring keys from
//! elsewhere ([`KeySource`]), or show the state of the keys ([`KeyStatus`], [`JwkSetSummary`]). [`discovery`] reads an issuer's metadata.

pub mod discovery;
mod jwks;
mod pem_source;
mod refresh;
mod settings;
mod source;
mod state;
mod summary;

use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::Guard;

use crate::base::http::{BoxFuture, NoRuntime};
use crate::base::time::{Clock, Timestamp};
use crate::jose::jwk_set::{KeySet, Leniency};
use jwks::JwksCache;

pub use crate::base::limits::FetchLimits;
pub use pem_source::{CertificateMapSource, PemPerKidSource};
pub use settings::{JwksSettings, JwksSettingsError};
pub use source::{DiscoveryKeySource, FetchError, FetchedKeys, HttpKeySource, KeySource};
pub use state::{KeyState, KeyStatus, KeysUnavailable};
pub use summary::{JwkSetSummary, KeySummary, SkippedSummary};

/// The keys of one issuer. A clone is the same keys.
#[derive(Clone, Debug)]
pub(crate) enum Keys {
    /// Given by the operator; they never change.
    Fixed(Arc<KeySet>),
    /// Fetched, and kept fresh.
    Remote(Arc<JwksCache>),
}

/// What a request needs and the set in force lacks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Missing<'a> {
    /// There is no usable set.
    Set,
    /// No key has this name.
    Kid(&'a str),
    /// The token names no key, and not exactly one could be meant.
    NoKid,
    /// The key of this name does not fit the signature: perhaps the issuer replaced it under the same name.
    SameKid(&'a str),
}

/// Which set a request looked into: its address, to tell it from its successor and for nothing else. Clocks are too coarse for that: a key
/// can be published, asked for and missed within one tick of a fetch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Looked(usize);

impl Looked {
    pub(crate) fn into(set: Option<&KeySet>) -> Self {
        Self(set.map_or(0, |set| std::ptr::from_ref(set).addr()))
    }
}

/// What to do about something missing.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The issuer has no such key, as far as we are willing to look.
    UnknownKey,
    /// Nothing can be said about the token.
    Unavailable { retry_after: Duration },
    /// A fetch is under way; look into [`Keys::current`] once more when it has ended.
    Wait(KeyFetch),
}

impl Answer {
    /// The same for who holds a key already: where the fetch fails, the second look is made all the same.
    fn excused(self, known: bool) -> Self {
        match self {
            Self::Wait(fetch) if known => Self::Wait(KeyFetch(Box::pin(async move {
                match fetch.await {
                    Fetched::Grounded(missing) => Fetched::Grounded(missing),
                    Fetched::Updated | Fetched::Unavailable { .. } => Fetched::Updated,
                }
            }))),
            answer => answer,
        }
    }
}

/// How a fetch ended, for those who waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// There is a set, perhaps a new one.
    Updated,
    /// There is none to go by, or the fetch takes too long to wait for.
    Unavailable { retry_after: Duration },
    /// Nobody could fetch it where this was awaited.
    Grounded(NoRuntime),
}

/// Waits for a fetch, at most `wait` of the settings. It is only a spectator: dropping it neither ends nor restarts the fetch.
pub(crate) struct KeyFetch(BoxFuture<'static, Fetched>);

impl Future for KeyFetch {
    type Output = Fetched;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Fetched> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for KeyFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyFetch")
    }
}

/// The set in force at one moment. Held for the length of a verification, not longer: an old set stays in memory with it.
#[derive(Debug)]
pub(crate) enum Snapshot<'a> {
    Fixed(&'a KeySet),
    Remote(Guard<Option<Arc<KeySet>>>),
}

impl Deref for Snapshot<'_> {
    type Target = KeySet;

    #[inline]
    fn deref(&self) -> &KeySet {
        match self {
            Self::Fixed(set) => set,
            Self::Remote(guard) => guard.as_ref().expect("made in `Keys::current` only around a set"),
        }
    }
}

impl Keys {
    pub(crate) fn fixed(set: KeySet) -> Self {
        Self::Fixed(Arc::new(set))
    }

    /// Keys that are fetched from `source`. `settings` have been checked; `name` is what events call the issuer; a fetch waits for its turn among `limits`. Nothing is
    /// fetched before [`start`](Self::start) or the first use.
    pub(crate) fn remote(
        source: Arc<dyn KeySource>,
        settings: JwksSettings,
        clock: Arc<dyn Clock>,
        name: &str,
        limits: FetchLimits,
        leniency: Leniency,
    ) -> Self {
        Self::Remote(JwksCache::new(source, settings, clock, name, limits, leniency))
    }

    /// Starts fetching in the background if that is due and a tokio runtime is at hand: for boot.
    pub(crate) fn start(&self) {
        if let Self::Remote(cache) = self {
            cache.alive(cache.now());
        }
    }

    /// The keys in force at `now`, read without a lock; `None` when no set is usable. Starts a refresh in the
    /// background when one is due.
    #[inline]
    pub(crate) fn current(&self, now: Timestamp) -> Option<Snapshot<'_>> {
        match self {
            Self::Fixed(set) => Some(Snapshot::Fixed(set)),
            Self::Remote(cache) => cache.current(now).map(Snapshot::Remote),
        }
    }

    /// The keys in force at `now`, without a refresh: for tokens of which nobody knows yet whether they are good.
    #[inline]
    pub(crate) fn held(&self, now: Timestamp) -> Option<Snapshot<'_>> {
        match self {
            Self::Fixed(set) => Some(Snapshot::Fixed(set)),
            Self::Remote(cache) => cache.held(now).map(Snapshot::Remote),
        }
    }

    /// Whether the keys are still usable at `now`, for callers that hold a verdict and need no key. Starts a refresh in
    /// the background when one is due.
    #[inline]
    pub(crate) fn alive(&self, now: Timestamp) -> bool {
        match self {
            Self::Fixed(_) => true,
            Self::Remote(cache) => cache.alive(now),
        }
    }

    /// A token that passed every check but the signature's names this key, and it is not in the set.
    pub(crate) fn wanted(&self, kid: &str) {
        if let Self::Remote(cache) = self {
            cache.wanted(kid);
        }
    }

    /// What to do when a set lacks what a token needs. `looked` is the set: one that has succeeded it is worth a second look and no fetch.
    pub(crate) fn missing(&self, what: Missing<'_>, looked: Looked, now: Timestamp) -> Answer {
        match self {
            Self::Fixed(_) => Answer::UnknownKey,
            Self::Remote(cache) => cache.missing(what, looked, now),
        }
    }

    /// Why the last fetch failed; `None` once one succeeds.
    pub(crate) fn last_error(&self) -> Option<FetchError> {
        match self {
            Self::Fixed(_) => None,
            Self::Remote(cache) => cache.last_error(),
        }
    }

    /// What a readiness endpoint shows.
    pub(crate) fn state(&self, now: Timestamp) -> KeyState {
        match self {
            Self::Fixed(set) => KeyState::fixed(set),
            Self::Remote(cache) => cache.state(now),
        }
    }

    /// Fetches now if there is no usable set; ends when there is one, or when that fetch failed. Lazy, like every future.
    pub(crate) fn ready(&self) -> impl Future<Output = Result<(), KeysUnavailable>> + Send + use<> {
        let keys = self.clone();
        async move {
            match keys {
                Self::Fixed(_) => Ok(()),
                Self::Remote(cache) => cache.ready().await,
            }
        }
    }
}
