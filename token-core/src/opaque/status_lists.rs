//! Settings for an issuer's status lists in; which lists are held, and when one is fetched, out
//! (draft-ietf-oauth-status-list-21 section 8).

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

/// How long a list is kept that names no lifetime.
const FRESH: Duration = Duration::from_secs(300);
/// The shortest time between two fetches of a list, whatever the list says.
const LEAST: Duration = Duration::from_secs(1);
/// The longest time that a list is kept.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// The most lists of one issuer that are kept, and the most bytes.
const MOST: (usize, usize) = (256, 32 * 1024 * 1024);
/// The pause after a failed fetch; doubled after each further one, up to the second value.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// The most fetches at once.
const AT_ONCE: usize = 16;
/// The largest status list token that is read, in bytes.
pub(crate) const LARGEST_TOKEN: usize = 1024 * 1024;

/// Checks an issuer's tokens against its status lists (Token Status List, draft-ietf-oauth-status-list). Pass it to
/// [`Issuer::status_lists`](crate::Issuer::status_lists). Without it, the claim `status` is ignored.
///
/// A JWT with `status.status_list` is refused with 401 unless its list says `VALID` (0): `INVALID`, `SUSPENDED` and all
/// application-specific values are refused alike. A token is also refused if its `status` names another mechanism only,
/// or an index beyond the end of the list. If the list cannot be fetched and no usable copy is held, the answer is 503.
///
/// # What is checked of a list
/// The `typ` is `statuslist+jwt`; a status list token is not accepted as an access token, nor the reverse. The
/// signature is by a key of the issuer whose token names the list, with one of that issuer's algorithms. `sub` equals
/// the URI in the token. `iss`, if present, equals the token's. `iat` is present, not in the future, and not earlier
/// than that of the list held before. `exp` has not passed. At most 1 MiB is read, and at most 4 MiB after
/// decompression.
///
/// # How long a list is kept
/// For its `ttl` (at least 1 s, at most 24 h), and never past its `exp`. Without `ttl`: for `Cache-Control: max-age`,
/// or else for [`fresh_for`](Self::fresh_for). While tokens refer to a list, it is fetched again in the background
/// after 80 % of that time. A token that is revoked may be accepted for as long as the list is kept. Each issuer has
/// room for 256 lists and 32 MiB; the least recently used ones are dropped.
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
    /// Whether tokens without the claim `status` are refused. Default: false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) required: bool,
    /// URLs from which lists may be fetched, in addition to the origin of the issuer identifier: folders that end in
    /// `/`, or single lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) at: Vec<String>,
    /// How long a list is kept that has neither `ttl` nor `max-age`. Default: 5 min.
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
    /// Checks every token that has the claim `status`, and accepts those without it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Also refuses tokens without `status`.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Also allows lists at this URL: a folder that ends in `/`, or a single list. By default, lists are only fetched
    /// from the origin of the issuer identifier, so that a token cannot make this server send requests elsewhere.
    #[must_use]
    pub fn at(mut self, address: impl Into<String>) -> Self {
        self.at.push(address.into());
        self
    }

    /// Sets how long a list is kept that has neither `ttl` nor `max-age`. Default: 5 min.
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
    /// A counter of look-ups, to tell which list was used last.
    looks: AtomicU64,
}

/// One list, or the state of the attempts to fetch it.
struct Kept {
    list: Option<Arc<StatusList>>,
    fetched: Timestamp,
    due: Timestamp,
    until: Timestamp,
    failures: u32,
    paused_until: Timestamp,
    used: AtomicU64,
}

/// The result of a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// The status. `due` means that the list should be fetched again in the background.
    Status { status: u8, due: bool },
    /// The list has no such index, or belongs to another issuer.
    Nowhere(&'static str),
    /// There is no list, or only one that is too old.
    Missing,
    /// As `Missing`, and a fetch failed so recently that none is started.
    Paused(Duration),
}

impl Lists {
    /// # Errors
    /// [`ConfigError`] if the settings allow no URL to fetch a list from.
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

    /// Looks up the status at this place, for a token of `issuer`.
    pub(crate) fn look(&self, place: &Reference, issuer: &str, now: Timestamp) -> Look {
        let kept = self.read();
        let Some(kept) = kept.get(&*place.uri) else { return Look::Missing };
        kept.used.store(self.looks.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        kept.look(place.index, issuer, now)
    }

    /// The URI if lists may be fetched from it, otherwise `None`.
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

    /// Fetches a list, once for all concurrent callers. The future completes when the fetch has ended, successfully or
    /// not.
    pub(crate) fn fetch<F: Future<Output = ()> + Send + 'static>(
        &self,
        uri: &str,
        patience: Duration,
        fetch: impl FnOnce() -> F,
    ) -> Result<BoxFuture<'static, Result<(), Unanswered>>, Unanswered> {
        self.flights.join(AnswerKey::new("status list", uri), 0, patience, fetch)
    }

    /// Stores a fetched list. `max_age` is from the response header, `chance` a random number from 0 to 1.
    ///
    /// # Errors
    /// Why the list is refused, given the one held before.
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

    /// Notes that a fetch has failed.
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

    /// The lock is held for a look-up only, never across an await; nothing panics while it is held.
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

/// Drops the least recently used lists.
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
