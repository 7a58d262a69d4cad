//! Tokens that are good once, remembered for all instances: one command that writes only where nothing stands.

use redis::cmd;
use token_core::{
    Timestamp,
    stores::{FirstTime, ReplayMemory},
};

use crate::Redis;

/// The memory of tokens that came. Got from [`Redis::replays`].
///
/// The server has to keep what it was told until it ends: no eviction (`maxmemory-policy noeviction`), and a failover to a replica that lags may
/// let one token in twice.
#[derive(Clone, Debug)]
pub struct RedisReplays(Redis);

/// The end of the year 9999, in milliseconds: later than any token, and within what the server takes.
const LATEST: i64 = 253_402_300_799_000;

impl RedisReplays {
    pub(crate) fn new(redis: Redis) -> Self {
        Self(redis)
    }
}

impl ReplayMemory for RedisReplays {
    fn first_time(&self, token: [u8; 32], until: Timestamp, _: Timestamp) -> FirstTime {
        let (redis, key) = (self.0.clone(), self.0.key("seen", &token));
        FirstTime::Ask(Box::pin(async move {
            let mut set = cmd("SET");
            set.arg(key).arg(1).arg("NX").arg("PXAT").arg(until.as_millis().clamp(1, LATEST));
            Ok(redis.ask::<Option<String>>(set).await?.is_some())
        }))
    }
}
