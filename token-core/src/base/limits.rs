//! How much a process asks of issuers at once: slots for fetches and for questions, and how many fetches strangers may cause.

use std::fmt;
use std::sync::{Arc, LazyLock, PoisonError};
use std::time::Duration;

use crate::base::bucket::Bucket;
use crate::base::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use crate::base::time::Timestamp;

const FETCHES: usize = 32;
const BY_STRANGERS: u32 = 300;
const QUESTIONS: usize = 768;
const MINUTE: Duration = Duration::from_secs(60);

/// What a process asks of issuers, all of them together. A clone is the same limits; without a word from you all servers of the process
/// share [`FetchLimits::process`].
///
/// | limit | default | what it bounds |
/// | --- | --- | --- |
/// | [`in_flight`](Self::in_flight) | 32 | fetches of keys under way at once; the others wait in the order they came, one for each issuer |
/// | [`by_strangers`](Self::by_strangers) | 300 a minute | fetches because a token names a key that is not held, over all issuers |
/// | [`questions`](Self::questions) | 768 | questions about opaque tokens under way at once, over all endpoints |
///
/// A request whose key is held never waits for any of this. One that waits for a fetch waits as long as
/// [`JwksSettings::wait`](crate::keys::JwksSettings::wait) says, its turn included, and gets 503 after that. A token that names an unknown key when
/// strangers have had their share is answered at once: the key is unknown, 401. An issuer whose last fetch failed shares half of the slots with
/// others like it: a hundred dead issuers do not keep the living from their turn.
///
/// ```
/// use token_core::keys::FetchLimits;
/// use token_core::{Issuer, ResourceServer};
///
/// # fn main() -> Result<(), token_core::ConfigError> {
/// let limits = FetchLimits::new().in_flight(64);
/// let api = ResourceServer::builder("https://api.example.com")
///     .trust(Issuer::discover("https://login.example.com/")?)
///     .fetch_limits(limits.clone())
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct FetchLimits(Arc<Shared>);

struct Shared {
    bounds: Bounds,
    fetches: Arc<Semaphore>,
    troubled: Arc<Semaphore>,
    questions: Arc<Semaphore>,
    strangers: Mutex<Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    fetches: usize,
    by_strangers: u32,
    questions: usize,
}

/// A turn that was waited for; it is over when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn(#[allow(dead_code, reason = "held, not read")] [Option<OwnedSemaphorePermit>; 2]);

impl FetchLimits {
    /// The limits that all servers of this process share.
    #[must_use]
    pub fn process() -> Self {
        static PROCESS: LazyLock<FetchLimits> = LazyLock::new(FetchLimits::new);
        PROCESS.clone()
    }

    /// Limits of their own, with the default bounds.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Bounds { fetches: FETCHES, by_strangers: BY_STRANGERS, questions: QUESTIONS })
    }

    fn of(bounds: Bounds) -> Self {
        let semaphore = |most: usize| Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
        Self(Arc::new(Shared {
            bounds,
            fetches: semaphore(bounds.fetches),
            troubled: semaphore(bounds.fetches.div_ceil(2)),
            questions: semaphore(bounds.questions),
            strangers: Mutex::new(Bucket::full(bounds.by_strangers)),
        }))
    }

    /// Other limits: so many fetches of keys at once, discovery included. At least 1.
    #[must_use]
    pub fn in_flight(self, most: usize) -> Self {
        Self::of(Bounds { fetches: most, ..self.0.bounds })
    }

    /// Other limits: so many fetches a minute because of keys that are not held. 0 leaves such tokens to the refresh that is due anyway.
    #[must_use]
    pub fn by_strangers(self, per_minute: u32) -> Self {
        Self::of(Bounds { by_strangers: per_minute, ..self.0.bounds })
    }

    /// Other limits: so many questions about opaque tokens at once, whichever endpoint they go to. At least 1.
    #[must_use]
    pub fn questions(self, most: usize) -> Self {
        Self::of(Bounds { questions: most, ..self.0.bounds })
    }

    /// Waits for the turn of one fetch. Those who wait come in the order they asked.
    pub(crate) async fn fetch_turn(&self, is_troubled: bool) -> Turn {
        let troubled = if is_troubled { turn(&self.0.troubled).await } else { None };
        Turn([troubled, turn(&self.0.fetches).await])
    }

    /// Waits for the turn of one question: at its endpoint, then in the process.
    pub(crate) async fn question_turn(&self, endpoint: &Arc<Semaphore>) -> Turn {
        let at_endpoint = turn(endpoint).await;
        Turn([at_endpoint, turn(&self.0.questions).await])
    }

    /// Whether a stranger may cause one more fetch now.
    pub(crate) fn allows_stranger(&self, now: Timestamp) -> bool {
        let Bounds { by_strangers, .. } = self.0.bounds;
        let each = MINUTE / by_strangers.max(1);
        self.0.strangers.lock().unwrap_or_else(PoisonError::into_inner).take(now, by_strangers, each)
    }
}

/// `None` only of a semaphore that was closed, which none ever is.
async fn turn(semaphore: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(semaphore).acquire_owned().await.ok()
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self::process()
    }
}

impl fmt::Debug for FetchLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.bounds.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_are_given_in_the_order_they_were_asked_for_and_the_troubled_share_half() {
        let limits = FetchLimits::new().in_flight(2);
        let held = limits.fetch_turn(true).await;
        let mut second = std::pin::pin!(limits.fetch_turn(true));
        let is_waiting = |limits: &FetchLimits| limits.0.fetches.available_permits();
        assert!(futures_poll(second.as_mut()).is_none(), "half of two is one");
        assert_eq!(is_waiting(&limits), 1, "and one is left for the others");
        let other = limits.fetch_turn(false).await;
        drop(held);
        assert!(futures_poll(second.as_mut()).is_some());
        drop(other);
    }

    fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        match future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }

    #[test]
    fn strangers_have_their_share_a_minute_and_no_more() {
        let limits = FetchLimits::new().by_strangers(60);
        let allowed = |second: i64| limits.allows_stranger(Timestamp::from_secs(second));
        assert_eq!((0..100).filter(|_| allowed(0)).count(), 60);
        assert_eq!((0..100).filter(|_| allowed(10)).count(), 10);
        assert_eq!(
            (0..100).filter(|_| FetchLimits::new().by_strangers(0).allows_stranger(Timestamp::EPOCH)).count(),
            0
        );
    }

    #[test]
    fn no_bound_locks_everybody_out() {
        let limits = FetchLimits::new().in_flight(0).questions(usize::MAX);
        assert_eq!(limits.0.fetches.available_permits(), 1);
        assert_eq!(limits.0.questions.available_permits(), Semaphore::MAX_PERMITS);
    }
}
