//! A deny-list that is held in memory completely and kept up to date: changes from a shared log in, an answer from
//! memory for each request out.
//!
//! Entries are only ever added or widened, and they end by themselves, so reading a change twice or late is harmless.
//! What matters is that no change is missed: the [`Follower`] says what to read next, and until when everything has
//! been read. If the list falls further behind than its [limit](FollowedDenyList::with), it counts as unreachable, and
//! [`when_deny_list_is_unreachable`](crate::ResourceServerBuilder::when_deny_list_is_unreachable) applies.

mod change;
mod course;
mod table;

use std::fmt;
use std::future::ready;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::{Deny, DenyList, DenyLookup, Evict, LocalCaches, StoreError};
use crate::base::http::BoxFuture;
use crate::base::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use crate::base::sync::{Mutex, watch};
use crate::base::time::{Clock, SystemClock, Timestamp};
use crate::token::marks::Marks;
use change::Kind;
pub use change::{Change, DenyEntry, EvictDigest};
use course::{Course, Verdict, is_fresh};
pub use course::{Mark, Next, Place, Position};
use table::DenyTable;

/// A log that instances share. Every follower receives what is appended. A deny-list entry must also be in the stored
/// list before `append` completes.
pub trait ChangeLog: fmt::Debug + Send + Sync + 'static {
    /// Appends a change.
    ///
    /// # Errors
    /// [`StoreError`] if it is not certain that the change was written.
    fn append(&self, change: Change) -> BoxFuture<'static, Result<(), StoreError>>;
}

/// The capacity of a followed list, and how far behind it may be.
#[derive(Clone, Debug)]
pub struct FollowedSettings {
    pub(crate) capacity: usize,
    pub(crate) bound: Duration,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Default for FollowedSettings {
    fn default() -> Self {
        Self { capacity: 1_000_000, bound: Duration::from_secs(2), clock: Arc::new(SystemClock) }
    }
}

impl FollowedSettings {
    /// Sets the maximum number of entries. Default: 1,000,000, which occupy 50 MiB when in use. If an entry does not
    /// fit, the list counts as unreachable: an overflow never lets a denied token in.
    #[must_use]
    pub fn capacity(mut self, entries: usize) -> Self {
        self.capacity = entries;
        self
    }

    /// Sets how far behind the list may be before it counts as unreachable. Default: 2 s; values below 100 ms count as
    /// 100 ms.
    #[must_use]
    pub fn staleness(mut self, bound: Duration) -> Self {
        self.bound = bound.max(Duration::from_millis(100));
        self
    }

    /// Sets the clock, which must be the server's. For tests.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How far behind the list may be before it counts as unreachable.
    #[must_use]
    pub fn staleness_bound(&self) -> Duration {
        self.bound
    }
}

/// A deny-list that is held in memory completely and follows a shared log. Clones share the list.
///
/// The crate `token-redis` provides one that follows Redis or Valkey.
#[derive(Clone)]
pub struct FollowedDenyList(Arc<Inner>);

struct Inner {
    table: DenyTable,
    settings: FollowedSettings,
    log: Box<dyn ChangeLog>,
    /// Until when the list is known to be complete, in milliseconds since 1970; `NEVER` if it is not.
    as_of: AtomicI64,
    news: watch::Sender<bool>,
    caches: Mutex<Vec<LocalCaches>>,
    counts: Counts,
}

const NEVER: i64 = i64::MIN;

#[derive(Default)]
struct Counts {
    loads: AtomicU64,
    taken: AtomicU64,
    gaps: AtomicU64,
    unreadable: AtomicU64,
    left_out: AtomicU64,
}

/// The state of a followed list, for health endpoints and diagnosis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FollowedState {
    /// The number of entries, including expired ones that were not removed yet.
    pub entries: usize,
    /// The maximum number of entries.
    pub capacity: usize,
    /// How far behind the list may be at most; `None` if it is incomplete.
    pub behind: Option<Duration>,
    /// Whether requests are decided by the list: it is complete, and within its limit of staleness.
    pub fresh: bool,
    /// How often the complete list was read.
    pub loads: u64,
    /// How many changes were read from the log.
    pub changes: u64,
    /// How often entries were missing from the log, so that the complete list had to be read again.
    pub gaps: u64,
    /// How many entries in the store were not in a known format.
    pub unreadable: u64,
    /// How many entries did not fit.
    pub left_out: u64,
}

impl FollowedDenyList {
    /// Creates a list that follows this log, and its follower, which must be driven by the code that reads the log.
    #[must_use]
    pub fn with(log: impl ChangeLog, settings: FollowedSettings) -> (Self, Follower) {
        let list = Self(Arc::new(Inner {
            table: DenyTable::new(settings.capacity),
            settings,
            log: Box::new(log),
            as_of: AtomicI64::new(NEVER),
            news: watch::channel(false).0,
            caches: Mutex::default(),
            counts: Counts::default(),
        }));
        (list.clone(), Follower { list: list.0, course: Course::new(), is_short: false })
    }

    /// Returns the state of the list.
    #[must_use]
    pub fn state(&self) -> FollowedState {
        let (inner, counts) = (&self.0, &self.0.counts);
        let as_of = inner.as_of.load(Ordering::Acquire);
        let now = inner.settings.clock.now();
        FollowedState {
            entries: inner.table.len(),
            capacity: inner.table.capacity(),
            behind: (as_of != NEVER).then(|| now.since(Timestamp::from_millis(as_of))),
            fresh: inner.is_fresh(now),
            loads: counts.loads.load(Ordering::Relaxed),
            changes: counts.taken.load(Ordering::Relaxed),
            gaps: counts.gaps.load(Ordering::Relaxed),
            unreadable: counts.unreadable.load(Ordering::Relaxed),
            left_out: counts.left_out.load(Ordering::Relaxed),
        }
    }

    /// Waits until the list is complete and up to date for the first time. Await it before a server accepts requests,
    /// next to [`ResourceServer::ready`](crate::ResourceServer::ready). There is no time limit; set one of your own.
    pub async fn whole(&self) {
        let mut news = self.0.news.subscribe();
        // The sender lives as long as the list.
        while !*news.borrow_and_update() {
            if news.changed().await.is_err() {
                return;
            }
        }
    }
}

impl DenyList for FollowedDenyList {
    fn look_up(&self, token: &Marks<'_>, now: Timestamp) -> DenyLookup {
        let inner = &self.0;
        // Before the table is read: whatever was taken before the list was called whole is in it by now.
        let fresh = inner.is_fresh(now);
        let denied = |kind: &Kind| {
            !inner.table.lacks(*kind)
                && kind.digest(token).is_some_and(|digest| inner.table.denies(*kind, &digest, token.issued_at, now))
        };
        match (Kind::ALL.iter().any(denied), fresh) {
            // What is denied stays denied, however old the list.
            (true, _) => DenyLookup::Denied,
            (false, true) => DenyLookup::Absent,
            (false, false) => inner.out_of_date(),
        }
    }

    fn deny(&self, what: Deny, until: Timestamp) -> BoxFuture<'static, Result<(), StoreError>> {
        let (inner, entry) = (Arc::clone(&self.0), DenyEntry::new(&what));
        Box::pin(async move {
            inner.log.append(Change::Deny(entry, until)).await?;
            // Here at once, without waiting to hear of it; a place that lacks for it will be noticed when it is heard of.
            let _ = inner.table.insert(&entry, until);
            Ok(())
        })
    }

    fn announce(&self, what: &Evict) -> Option<BoxFuture<'static, Result<(), StoreError>>> {
        Some(self.0.log.append(Change::Evict(EvictDigest::of(what))))
    }

    fn attach(&self, caches: LocalCaches) {
        let mut all = self.0.caches.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(LocalCaches::are_there);
        all.push(caches);
    }
}

impl Inner {
    #[inline]
    fn is_fresh(&self, now: Timestamp) -> bool {
        let as_of = self.as_of.load(Ordering::Acquire);
        as_of != NEVER && is_fresh(Timestamp::from_millis(as_of), now, self.settings.bound)
    }

    #[cold]
    fn out_of_date(&self) -> DenyLookup {
        let why = match self.as_of.load(Ordering::Acquire) {
            NEVER if self.counts.left_out.load(Ordering::Relaxed) > 0 => {
                format!("not every entry has room: raise the capacity above {}", self.table.capacity())
            }
            NEVER => "the list has not been read yet".to_owned(),
            _ => format!("expected to be at most {} ms behind", self.settings.bound.as_millis()),
        };
        DenyLookup::Ask(Box::pin(ready(Err(StoreError::Unreachable(why)))))
    }
}

/// Applies what is read from a log to its list. The code that reads the log reports what it has read, and does what the
/// returned [`Next`] says:
///
/// 1. After connecting: read the newest entry of the log and the entry at [`held`](Self::held), and call
///    [`connected`](Self::connected).
/// 2. On [`Next::Load`]: note the time, read the newest entry of the log (append [`Opened`](Change::Opened) to an empty
///    log first), call [`loading`](Self::loading), pass the complete list to [`entry`](Self::entry), and call
///    [`loaded`](Self::loaded).
/// 3. On [`Next::Read`]: note the time, read the newest entry, then read the log, call [`heard`](Self::heard) for each
///    entry in order, and [`quiet`](Self::quiet) once there are no more.
pub struct Follower {
    list: Arc<Inner>,
    course: Course,
    /// Whether an entry did not fit since the last complete read began. It is logged once, and room is looked for once.
    is_short: bool,
}

impl Follower {
    /// The position of the entry to ask for on a new connection; `None` if there is none.
    #[must_use]
    pub fn held(&self) -> Option<Position> {
        self.course.held()
    }

    /// The current time by the list's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.list.settings.clock.now()
    }

    /// Reports a new connection. `end` is the newest entry of its log, `there` the mark of the entry at
    /// [`held`](Self::held).
    pub fn connected(&mut self, end: Option<Place>, there: Option<Mark>) -> Next {
        self.course.connected(end, there)
    }

    /// Reports that the complete list is about to be read. `end` is the newest entry of the log, read before. The list
    /// contains what was denied, but not what was evicted; since an eviction may have been missed, the caches are
    /// emptied.
    pub fn loading(&mut self, end: Place) {
        self.is_short = false;
        self.course.loading(end);
        self.list.each_caches(LocalCaches::drop_everything);
    }

    /// Reports one entry of the list, as bytes, and when it ends.
    pub fn entry(&mut self, bytes: &[u8], until: Timestamp) {
        match DenyEntry::from_bytes(bytes) {
            Some(entry) => self.take_in(&entry, until),
            None => self.unreadable(),
        }
    }

    /// Reports that the complete list has been read. `asked` is when the end of the log was asked for.
    pub fn loaded(&mut self, asked: Timestamp) -> Next {
        self.list.counts.loads.fetch_add(1, Ordering::Relaxed);
        let next = self.course.loaded(asked);
        self.tell();
        next
    }

    /// Reports one entry of the log. What it evicts is gone from in-memory caches when this returns; slow stores are
    /// updated in the background.
    pub fn heard(&mut self, position: Position, mark: Mark, bytes: &[u8]) -> Next {
        match self.course.heard(position, mark) {
            Verdict::Skip => {}
            Verdict::Gap => {
                self.list.counts.gaps.fetch_add(1, Ordering::Relaxed);
                tracing::info!(name: "token.deny_list.gap", "the log has a gap: the list is read anew");
                return Next::Load;
            }
            Verdict::Take => {
                self.list.counts.taken.fetch_add(1, Ordering::Relaxed);
                match Change::from_bytes(bytes) {
                    Some(Change::Deny(entry, until)) => self.take_in(&entry, until),
                    Some(Change::Evict(what)) => self.list.evict(what),
                    Some(Change::Opened) => {}
                    None => self.unreadable(),
                }
            }
        }
        match self.held() {
            Some(held) if self.course.is_following() => Next::Read(held),
            _ => Next::Load,
        }
    }

    /// Reports that the log has no entries beyond those reported. It was asked at `asked`, when `end` was its newest
    /// entry.
    pub fn quiet(&mut self, asked: Timestamp, end: Option<Place>) -> Next {
        let next = self.course.quiet(asked, end);
        self.tell();
        next
    }

    /// Reports that the connection is lost, or no longer trusted.
    pub fn lost(&mut self) {
        self.course.lost();
    }

    /// Removes expired entries; call it periodically. Returns how many were removed.
    pub fn purge(&mut self) -> usize {
        self.list.table.purge(self.now())
    }

    /// Whether an entry did not fit since the last complete read began. Reading again at once would not help.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.is_short
    }

    /// Whether anything else still holds the list. If not, there is no reason to go on following.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        Arc::strong_count(&self.list) > 1
    }

    fn take_in(&mut self, entry: &DenyEntry, until: Timestamp) {
        let list = &self.list;
        let now = list.settings.clock.now();
        if until <= now || list.table.insert(entry, until).is_ok() {
            return;
        }
        // To look through a million entries for each that has no room would take longer than to read them.
        if !self.is_short {
            list.table.purge(now);
            if list.table.insert(entry, until).is_ok() {
                return;
            }
            tracing::error!(name: "token.deny_list.full", capacity = list.table.capacity(), "an entry of the deny-list has no room: the list counts as out of reach");
        }
        self.is_short = true;
        list.counts.left_out.fetch_add(1, Ordering::Relaxed);
        list.as_of.store(NEVER, Ordering::Release);
        self.course.left_out();
    }

    fn unreadable(&self) {
        self.list.counts.unreadable.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(name: "token.deny_list.unreadable", "what stands in the deny-list or its log is no entry of ours");
    }

    fn tell(&self) {
        let as_of = self.course.whole_as_of().map_or(NEVER, Timestamp::as_millis);
        // After the entries: whoever sees the time sees them, too.
        self.list.as_of.store(as_of, Ordering::Release);
        // What took long to read is behind by as much, and decides nothing until the log was read once more.
        if self.list.is_fresh(self.now()) {
            self.list.news.send_if_modified(|whole| !std::mem::replace(whole, true));
        }
    }
}

impl Inner {
    fn evict(&self, what: EvictDigest) {
        self.each_caches(|caches| caches.drop_out(what.evict()));
    }

    fn each_caches(&self, each: impl Fn(&LocalCaches)) {
        let caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner).clone();
        caches.iter().for_each(each);
    }
}

impl fmt::Debug for FollowedDenyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FollowedDenyList").field(&self.state()).finish()
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").field("course", &self.course).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
