//! The connection that all parts of an application share: settings in, commands with a time limit out. It reconnects by
//! itself.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use redis::{Cmd, FromRedisValue};
use token_core::http::NoRuntime;
use token_core::stores::StoreError;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::line::{Line, unreachable};
use crate::{RedisAnswers, RedisConfigError, RedisDenyList, RedisReplays, RedisSettings, RedisTickets};

/// The pause after a failed attempt to connect: a random time between half of it and all of it, doubled with each
/// failure up to the second value.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// A connection to Redis or Valkey. Clones share it.
#[derive(Clone)]
pub struct Redis {
    pub(crate) settings: Arc<RedisSettings>,
    link: Arc<Link>,
}

/// The shared connection, and the task that establishes it.
#[derive(Default)]
struct Link {
    line: RwLock<Option<Numbered>>,
    connecting: Mutex<Failures>,
}

/// Which of the connections that were made it is: what goes wrong on one is no reason to leave its successor.
#[derive(Clone)]
struct Numbered {
    line: Line,
    number: u64,
}

#[derive(Default)]
struct Failures {
    /// How many connections were made.
    made: u64,
    count: u32,
    until: Option<Instant>,
}

impl Redis {
    /// Uses the server at this URL: `redis://:password@host:6379/0`, or `rediss://` with the feature `tls`. It connects
    /// with the first command, and again after each loss, so that an unreachable server does not prevent a start.
    ///
    /// # Errors
    /// [`RedisConfigError`] if the URL is not valid, or there is no tokio runtime.
    pub fn new(url: &str) -> Result<Self, RedisConfigError> {
        Self::with(RedisSettings::server(url)?)
    }

    /// Uses these settings: for Sentinels, a Cluster, TLS, users, or other limits.
    ///
    /// # Errors
    /// [`RedisConfigError`] if there is no tokio runtime, or the settings cannot work.
    pub fn with(settings: RedisSettings) -> Result<Self, RedisConfigError> {
        if Handle::try_current().is_err() {
            return Err(RedisConfigError("expected to be called inside of a tokio runtime"));
        }
        settings.check()?;
        Ok(Self { settings: Arc::new(settings), link: Arc::default() })
    }

    /// Sets the prefix of all keys. Default: `token`. Services that share a server, but not their tokens, need
    /// different namespaces.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<Arc<str>>) -> Self {
        self.settings = Arc::new(RedisSettings::clone(&self.settings).namespace(namespace));
        self
    }

    /// The store for answers about opaque tokens.
    #[must_use]
    pub fn answers(&self) -> RedisAnswers {
        RedisAnswers::new(self.clone())
    }

    /// A deny-list that is asked on every request. For one that is held in memory, see
    /// [`follow_deny_list`](Self::follow_deny_list).
    #[must_use]
    pub fn deny_list(&self) -> RedisDenyList {
        RedisDenyList::new(self.clone())
    }

    /// The memory of one-time tokens: for
    /// [`LogoutVerifier::replay_memory`](token_core::revocation::LogoutVerifier::replay_memory), and for proofs of
    /// possession.
    #[must_use]
    pub fn replays(&self) -> RedisReplays {
        RedisReplays::new(self.clone())
    }

    /// The store of tickets for event streams and WebSockets: for [`Tickets::kept_in`](token_core::streams::Tickets::kept_in).
    #[must_use]
    pub fn tickets(&self) -> RedisTickets {
        RedisTickets::new(self.clone())
    }

    /// The store for refresh tokens, shared by every process that uses the same ones.
    #[cfg(feature = "client")]
    #[must_use]
    pub fn refresh_tokens(&self) -> crate::RedisRefreshTokens {
        crate::RedisRefreshTokens::new(self.clone())
    }

    /// Checks whether the server is reachable, for a readiness endpoint.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.ask::<String>(redis::cmd("PING")).await.map(drop)
    }

    pub(crate) fn key(&self, kind: &str, digest: &[u8; 32]) -> String {
        let mut key = self.named(kind, "");
        for byte in digest {
            key.push_str(&format!("{byte:02x}"));
        }
        key
    }

    /// The braces put all keys of a namespace into one slot of a Cluster, so that one command may use several of them.
    pub(crate) fn named(&self, kind: &str, name: &str) -> String {
        format!("{{{}}}:{kind}:{name}", self.settings.namespace)
    }

    pub(crate) async fn ask<T: FromRedisValue>(&self, command: Cmd) -> Result<T, StoreError> {
        let Numbered { mut line, number } = self.line().await?;
        let answer = line.ask(&command).await;
        if answer.is_err() {
            self.link.leave(number);
        }
        answer
    }

    /// The connection. One connects for all who wait, and not again too soon after it failed.
    async fn line(&self) -> Result<Numbered, StoreError> {
        let ready = || self.link.line.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(line) = ready() {
            return Ok(line);
        }
        // No fault of the server: the next who asks may be better off.
        if let Some(missing) = NoRuntime::find() {
            return Err(unreachable(&missing.to_string()));
        }
        let mut failures = self.link.connecting.lock().await;
        if let Some(line) = ready() {
            return Ok(line);
        }
        if failures.until.is_some_and(|until| Instant::now() < until) {
            return Err(unreachable("not connected, and it was tried just now"));
        }
        match Line::open(&self.settings, Duration::ZERO).await {
            Ok(line) => {
                let number = failures.made.wrapping_add(1);
                *failures = Failures { made: number, ..Failures::default() };
                let numbered = Numbered { line, number };
                *self.link.line.write().unwrap_or_else(PoisonError::into_inner) = Some(numbered.clone());
                Ok(numbered)
            }
            Err(error) => {
                failures.until = Some(Instant::now() + pause(failures.count));
                failures.count = failures.count.saturating_add(1);
                Err(error)
            }
        }
    }
}

impl Link {
    /// Whatever went wrong on this connection, the next command finds out anew who is there: a master may have become a replica, a connection half dead.
    fn leave(&self, number: u64) {
        let mut line = self.line.write().unwrap_or_else(PoisonError::into_inner);
        if line.as_ref().is_some_and(|line| line.number == number) {
            *line = None;
        }
    }
}

/// How long to wait after so many failures in a row.
pub(crate) fn pause(failures: u32) -> Duration {
    let (least, most) = PAUSE;
    let full = least.saturating_mul(1 << failures.min(10)).min(most);
    full.mul_f64(0.5 + 0.5 * (chance() as f64 / u64::MAX as f64))
}

/// Sixty-four unpredictable bits.
pub(crate) fn chance() -> u64 {
    RandomState::new().hash_one(0u8)
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("namespace", &self.settings.namespace).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use token_core::Timestamp;
    use token_core::http::BoxFuture;
    use token_core::revocation::{Deny, DenyList as _};

    use super::*;

    #[test]
    fn outside_of_a_runtime_it_is_an_error_and_no_panic() {
        assert!(Redis::new("redis://127.0.0.1/").is_err());
    }

    #[test]
    fn what_is_asked_without_a_runtime_says_so_and_does_not_panic() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let redis = runtime.block_on(async { Redis::new("redis://127.0.0.1:1/") }).unwrap();
        let followed = redis.follow_deny_list(token_core::revocation::followed::FollowedSettings::default());
        let deny = || Deny::subject("https://issuer.example", "ada", Timestamp::EPOCH);
        let asked: [BoxFuture<'_, Result<(), StoreError>>; 3] = [
            Box::pin(redis.ping()),
            redis.deny_list().deny(deny(), Timestamp::MAX),
            followed.deny(deny(), Timestamp::MAX),
        ];
        for (nth, mut asked) in asked.into_iter().enumerate() {
            let polled = asked.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            let Poll::Ready(Err(StoreError::Unreachable(why))) = polled else { panic!("{nth}: {polled:?}") };
            assert!(why.contains("no tokio runtime"), "{nth}: {why}");
        }
    }

    #[tokio::test]
    async fn a_url_that_is_none_is_refused_without_being_repeated() {
        let error = Redis::new("http://user:canary@127.0.0.1/").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"));
        let none: [&str; 0] = [];
        assert!(RedisSettings::sentinels(none, "m").is_err());
        #[cfg(feature = "tls")]
        for settings in [
            RedisSettings::server("rediss://127.0.0.1/#insecure").unwrap(),
            RedisSettings::server("rediss://127.0.0.1/").unwrap().root_certificates("canary"),
            RedisSettings::server("rediss://127.0.0.1/").unwrap().client_certificate("canary", "canary"),
        ] {
            let error = Redis::with(settings.clone()).unwrap_err();
            assert!(!format!("{error} {error:?} {settings:?}").contains("canary"));
        }
        let redis = Redis::new("redis://:canary@127.0.0.1:1/").unwrap();
        let down = redis.ping().await.unwrap_err();
        assert!(!format!("{redis:?} {down} {down:?} {:?}", redis.settings).contains("canary"));
    }

    #[test]
    fn pauses_grow_differ_and_end() {
        for (failures, least, most) in [(0, 25, 50), (1, 50, 100), (2, 100, 200), (9, 500, 1000), (99, 500, 1000)] {
            let pauses: Vec<_> = (0..20).map(|_| pause(failures).as_millis()).collect();
            assert!(pauses.iter().all(|pause| (least..=most).contains(pause)), "{failures}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{failures}: {pauses:?}");
        }
    }
}
