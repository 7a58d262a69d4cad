//! One connection for all who ask: a URL in, commands with a bound on their time out. It reconnects by itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Cmd, FromRedisValue, Pipeline};
use token_core::stores::StoreError;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::{RedisAnswers, RedisDenyList, RedisReplays};

/// Longer than this nobody waits for the store.
const PATIENCE: Duration = Duration::from_millis(500);

/// A Redis or Valkey server. A clone is the same connection.
#[derive(Clone)]
pub struct Redis {
    connection: ConnectionManager,
    namespace: Arc<str>,
}

impl Redis {
    /// The server at this URL: `redis://:password@host:6379/0`, or `rediss://` with the feature `tls`. Connects with the first command,
    /// and again after each loss, so a server that is down does not stop a start.
    ///
    /// # Errors
    /// [`RedisConfigError`] when the URL is not one, or there is no tokio runtime.
    pub fn new(url: &str) -> Result<Self, RedisConfigError> {
        if Handle::try_current().is_err() {
            return Err(RedisConfigError("expected to be called inside of a tokio runtime"));
        }
        // The error's own text may hold the password.
        let client = redis::Client::open(url).map_err(|_| RedisConfigError("the URL is not that of a Redis server"))?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let connection = ConnectionManager::new_lazy_with_config(client, config)
            .map_err(|_| RedisConfigError("no connection can be made with this URL"))?;
        Ok(Self { connection, namespace: "token".into() })
    }

    /// Puts this before every key, in place of `token`. Services that share a server but not their tokens need names of their own.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<Arc<str>>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// The store for answers about opaque tokens.
    #[must_use]
    pub fn answers(&self) -> RedisAnswers {
        RedisAnswers::new(self.clone())
    }

    /// The deny-list.
    #[must_use]
    pub fn deny_list(&self) -> RedisDenyList {
        RedisDenyList::new(self.clone())
    }

    /// The memory of tokens that are good once: for [`LogoutVerifier::replay_memory`](token_core::revocation::LogoutVerifier::replay_memory).
    #[must_use]
    pub fn replays(&self) -> RedisReplays {
        RedisReplays::new(self.clone())
    }

    /// The store for refresh tokens, shared by every process that uses the same ones.
    #[cfg(feature = "client")]
    #[must_use]
    pub fn refresh_tokens(&self) -> crate::RedisRefreshTokens {
        crate::RedisRefreshTokens::new(self.clone())
    }

    /// Asks the server whether it is there: for a readiness endpoint.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.ask::<String>(redis::cmd("PING")).await.map(drop)
    }

    pub(crate) fn key(&self, kind: &str, digest: &[u8; 32]) -> String {
        let mut key = format!("{}:{kind}:", self.namespace);
        for byte in digest {
            key.push_str(&format!("{byte:02x}"));
        }
        key
    }

    #[cfg(feature = "client")]
    pub(crate) fn named(&self, kind: &str, name: &str) -> String {
        format!("{}:{kind}:{name}", self.namespace)
    }

    pub(crate) async fn ask<T: FromRedisValue>(&self, command: Cmd) -> Result<T, StoreError> {
        let mut connection = self.connection.clone();
        bounded(command.query_async(&mut connection)).await
    }

    pub(crate) async fn ask_all<T: FromRedisValue>(&self, commands: Pipeline) -> Result<T, StoreError> {
        let mut connection = self.connection.clone();
        bounded(commands.query_async(&mut connection)).await
    }
}

async fn bounded<T>(answer: impl Future<Output = redis::RedisResult<T>>) -> Result<T, StoreError> {
    match timeout(PATIENCE, answer).await {
        Ok(Ok(value)) => Ok(value),
        // The kind alone: the text may quote an address with credentials, or what was sent.
        Ok(Err(error)) => Err(StoreError::Unreachable(format!("{:?}", error.kind()))),
        Err(_) => Err(StoreError::Unreachable("no answer in time".to_owned())),
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// Why there is no connection to be made. The text holds nothing of the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedisConfigError(&'static str);

impl fmt::Display for RedisConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for RedisConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_of_a_runtime_it_is_an_error_and_no_panic() {
        assert!(Redis::new("redis://127.0.0.1/").is_err());
    }

    #[tokio::test]
    async fn a_url_that_is_none_is_refused_without_being_repeated() {
        let error = Redis::new("http://user:canary@127.0.0.1/").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"));
        let redis = Redis::new("redis://:canary@127.0.0.1:1/").unwrap();
        let down = redis.ping().await.unwrap_err();
        assert!(!format!("{redis:?} {down} {down:?}").contains("canary"));
    }
}
