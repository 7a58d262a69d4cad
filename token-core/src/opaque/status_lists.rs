//! What an operator says of an issuer's status lists in; which lists are at hand, and when one is fetched, out (draft-ietf-oauth-status-list-21 section 8).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use http::Uri;
use serde::{Deserialize, Serialize};
use url::Url;

use super::flight::{Flights, Unanswered};
use super::status_list::{Reference, StatusList};
use crate::base::config_error::{ConfigError, parse_url};
use crate::base::http::address::endpoint;
use crate::base::http::{BoxFuture, HttpClient};
use crate::base::limits::FetchLimits;
use crate::base::sync::atomic::{AtomicU64, Ordering};
use crate::base::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use crate::base::time::{Timestamp, text};
use crate::stores::AnswerKey;

/// What a list that says nothing of it is kept for.
const FRESH: Duration = Duration::from_secs(300);
/// A list is fetched no more often than this, whatever it says.
const LEAST: Duration = Duration::from_secs(1);
/// And kept no longer than this.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// So many lists of one issuer are kept, and so many bytes of them.
const MOST: (usize, usize) = (256, 32 * 1024 * 1024);
/// After a failure; doubled with each in a row up to the most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// So many are fetched at once.
const AT_ONCE: usize = 16;
/// The largest status list token that is read.
pub(crate) const LARGEST_TOKEN: usize = 1024 * 1024;

/// Which of an issuer's tokens are looked up in a status list (Token Status List, draft-ietf-oauth-status-list). Give it to
/// [`Issuer::status_lists`](crate::Issuer::status_lists); without it the claim `status` is not looked at.
///
/// A JWT with `status.status_list` is refused with 401 unless the list says `VALID` (0) at its place: `INVALID`, `SUSPENDED` and every status of an application
/// are refused alike. A token whose `status` is of another kind, or that points beyond the end of its list, is refused, too. While a list
/// cannot be had, or only one that is too old, the answer is 503.
///
/// # What is checked of a list
/// The header says `statuslist+jwt`; such a token passes nowhere else, and no other token here. It is signed with a key of the issuer whose token
/// points to it, with an algorithm agreed with that issuer. `sub` is the very address that the token named; `iss`, where it is there, is the token's; `iat` is there, not ahead, and no
/// earlier than that of the list before; `exp` has not passed. A list inflates to 4 MiB at most, 1 MiB is read.
///
/// # How long a list is kept
/// As long as its `ttl` says (at least 1 s, at most 24 h) and not past its `exp`. Without `ttl`: as its `Cache-Control: max-age` says, or for
/// [`fresh_for`](Self::fresh_for). It is fetched anew at 80 % of that, in a task of its own, while tokens point to it. So long a token that was revoked may still pass.
/// At most 256 lists and 32 MiB an issuer are kept, those that were used last.
///
/// ```
/// use token_core::{Issuer, ResourceServer, revocation::StatusLists};
///
/// # fn main() -> Result<(), token_core::ConfigError> {
/// let issuer = Issuer::discover("https://login.example.com/")?.status_lists(StatusLists::new().required());
/// let api = ResourceServer::builder("https://api.example.com").trust(issuer).build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct StatusLists {
    /// Refuses tokens without the claim `status`, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) required: bool,
    /// Where lists may lie beside the origin of the issuer's identifier: folders that end in `/`, or single lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) at: Vec<String>,
    /// How long a list is kept that names neither `ttl` nor `max-age`. Default 5 min.
    #[serde(with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::base::time::schema::Span"))]
    pub(crate) fresh_for: Duration,
}

impl Default for StatusLists {
    fn default() -> Self {
        Self { required: false, at: Vec::new(), fresh_for: FRESH }
    }
}

impl StatusLists {
    /// Looks up every token that has the claim `status`; lets in those that have none.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses tokens without `status`, too.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Fetches lists from addresses that begin with this one, too: a folder that ends in `/`, or one list. By default lists are fetched from the origin of
    /// the issuer's identifier alone: whoever signs tokens must not be able to send this server anywhere.
    #[must_use]
    pub fn at(mut self, address: impl Into<String>) -> Self {
        self.at.push(address.into());
        self
    }

    /// How long a list is kept that names neither `ttl` nor `max-age`. Default 5 min.
    #[must_use]
    pub fn fresh_for(mut self, time: Duration) -> Self {
        self.fresh_for = time;
        self
    }
}

/// The lists of one issuer.
pub(crate) struct Lists {
    pub(crate) settings: StatusLists,
    pub(crate) client: Arc<dyn HttpClient>,
    pub(crate) limits: FetchLimits,
    places: Box<[Url]>,
    loopback_http: bool,
    flights: Flights<()>,
    kept: RwLock<HashMap<Box<str>, Kept>>,
    /// Counts looks: which list was used last.
    looks: AtomicU64,
}

/// One list, or what is known of why there is none.
struct Kept {
    list: Option<Arc<StatusList>>,
    fetched: Timestamp,
    due: Timestamp,
    until: Timestamp,
    failures: u32,
    paused_until: Timestamp,
    used: AtomicU64,
}

/// What a look brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// This status; `due`: the list is to be fetched anew, by whoever has time.
    Status { status: u8, due: bool },
    /// The list does not reach so far, or is another issuer's.
    Nowhere(&'static str),
    /// There is no list, or one that is too old.
    Missing,
    /// The same, and it was tried just now.
    Paused(Duration),
}

impl Lists {
    /// # Errors
    /// [`ConfigError`] when no list could be fetched from anywhere.
    pub(crate) fn new(
        settings: StatusLists,
        issuer: Option<&str>,
        client: Arc<dyn HttpClient>,
        limits: FetchLimits,
        loopback_http: bool,
    ) -> Result<Self, ConfigError> {
        let mut places = settings.at.iter().map(|at| parse_url("status lists", at)).collect::<Result<Vec<_>, _>>()?;
        if let Some(mut origin) = issuer.and_then(|issuer| Url::parse(issuer).ok()) {
            origin.set_path("/");
            origin.set_query(None);
            places.push(origin);
        }
        if places.is_empty() {
            return Err(ConfigError::new(
                "its identifier has no origin that status lists could lie at: name their place",
            ));
        }
        Ok(Self {
            settings,
            client,
            limits,
            places: places.into(),
            loopback_http,
            flights: Flights::new(AT_ONCE),
            kept: RwLock::default(),
            looks: AtomicU64::new(0),
        })
    }

    /// The status at this place, for a token of `issuer`.
    pub(crate) fn look(&self, place: &Reference, issuer: &str, now: Timestamp) -> Look {
        let kept = self.read();
        let Some(kept) = kept.get(&*place.uri) else { return Look::Missing };
        kept.used.store(self.looks.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        kept.look(place.index, issuer, now)
    }

    /// Where a list may be fetched; `None` where it may not.
    pub(crate) fn place(&self, uri: &str) -> Option<Uri> {
        let url = endpoint(uri, self.loopback_http).ok()?;
        let within = |place: &Url| {
            url.origin() == place.origin()
                && url.username().is_empty()
                && url.password().is_none()
                && (url == *place || (place.path().ends_with('/') && url.path().starts_with(place.path())))
        };
        if self.places.iter().any(within) { url.as_str().parse().ok() } else { None }
    }

    /// Fetches a list, once for all who ask. The future is done when it has landed, one way or the other.
    pub(crate) fn fetch<F: Future<Output = ()> + Send + 'static>(
        &self,
        uri: &str,
        patience: Duration,
        fetch: impl FnOnce() -> F,
    ) -> Result<BoxFuture<'static, Result<(), Unanswered>>, Unanswered> {
        self.flights.join(AnswerKey::new("status list", uri), 0, patience, fetch)
    }

    /// A list came. `max_age` is what its answer's header said, `chance` a number from 0 to 1.
    ///
    /// # Errors
    /// What is wrong with it beside the list that was there before.
    pub(crate) fn keep(
        &self,
        uri: &str,
        list: StatusList,
        max_age: Option<Duration>,
        (now, chance): (Timestamp, f64),
    ) -> Result<(), &'static str> {
        let mut all = self.write();
        let before = all.get(uri).and_then(|kept| kept.list.as_ref());
        if before.is_some_and(|before| list.issued < before.issued) {
            return Err("it is older than the one before");
        }
        let life = list.ttl.or(max_age).unwrap_or(self.settings.fresh_for).clamp(LEAST, LONGEST);
        let until = now.saturating_add(life).min(list.expires.unwrap_or(Timestamp::MAX));
        // At 80 % of its time, by chance a tenth of it earlier or later.
        let due = now.saturating_add(until.since(now).mul_f64(0.72 + 0.16 * chance.clamp(0.0, 1.0)));
        let used = AtomicU64::new(self.looks.fetch_add(1, Ordering::Relaxed));
        let list = Some(Arc::new(list));
        all.insert(uri.into(), Kept { list, fetched: now, due, until, failures: 0, paused_until: now, used });
        make_room(&mut all);
        Ok(())
    }

    /// No list came.
    pub(crate) fn failed(&self, uri: &str, retry_after: Option<Duration>, now: Timestamp) {
        let mut all = self.write();
        let used = self.looks.fetch_add(1, Ordering::Relaxed);
        let kept = all.entry(uri.into()).or_insert_with(|| Kept {
            list: None,
            fetched: now,
            due: now,
            until: now,
            failures: 0,
            paused_until: now,
            used: AtomicU64::new(used),
        });
        let pause = PAUSE.0.saturating_mul(1 << kept.failures.min(6)).max(retry_after.unwrap_or_default()).min(PAUSE.1);
        kept.failures = kept.failures.saturating_add(1);
        kept.paused_until = now.saturating_add(pause);
        make_room(&mut all);
    }

    /// Held for a look, never across an await; nothing panics under it.
    fn read(&self) -> RwLockReadGuard<'_, HashMap<Box<str>, Kept>> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Box<str>, Kept>> {
        self.kept.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn look(&self, index: u64, issuer: &str, now: Timestamp) -> Look {
        // A pause that is longer than any is one of before the clock was set back.
        let pause = Some(self.paused_until.since(now)).filter(|left| !left.is_zero() && *left <= PAUSE.1);
        // So is a list that was fetched in times to come.
        let fresh = self.list.as_ref().filter(|_| now < self.until && self.fetched.since(now) <= Timestamp::SLACK);
        let Some(list) = fresh else { return pause.map_or(Look::Missing, Look::Paused) };
        if list.issuer.as_ref().is_some_and(|theirs| **theirs != *issuer) {
            return Look::Nowhere("the status list that the token points to is another issuer's");
        }
        match list.status(index) {
            Some(status) => Look::Status { status, due: self.due <= now && pause.is_none() },
            None => Look::Nowhere("the token's place is beyond the end of its status list"),
        }
    }

    fn size(&self) -> usize {
        self.list.as_ref().map_or(0, |list| list.size())
    }
}

/// Drops those that were not used for longest.
fn make_room(all: &mut HashMap<Box<str>, Kept>) {
    let (lists, bytes) = MOST;
    while all.len() > lists || all.values().map(Kept::size).sum::<usize>() > bytes {
        let oldest = all.iter().min_by_key(|(_, kept)| kept.used.load(Ordering::Relaxed)).map(|(uri, _)| uri.clone());
        let Some(oldest) = oldest else { return };
        all.remove(&oldest);
    }
}

impl fmt::Debug for Lists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lists").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
