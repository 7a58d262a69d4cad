//! One-time tokens, remembered for all instances: one command that writes only if there is nothing yet.

use redis::cmd;
use token_core::{
    Timestamp,
    stores::{FirstTime, ReplayMemory, StoreError},
};

use crate::Redis;

/// The memory of one-time tokens. Returned by [`Redis::replays`].
///
/// The server must keep entries until they expire: use `maxmemory-policy noeviction`. After a fail-over to a replica
/// that lags, a token may be accepted twice. The server's clock may be up to a minute ahead of the instances' clocks;
/// how far the instances' clocks differ from one another does not matter.
///
/// For proofs of possession it replaces the process's own memory: pass it to
/// [`Dpop::replay_memory`](token_core::possession::Dpop::replay_memory), and a proof can be used once at all instances
/// together.
///
/// ```
/// # use token_redis::Redis;
/// use token_core::possession::Dpop;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = Redis::new("redis://127.0.0.1:6379/")?;
/// let dpop = Dpop::at("https://api.example.com")?.replay_memory(redis.replays());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct RedisReplays {
    redis: Redis,
    per_sender: usize,
}

/// The default limit of proofs for each key.
const PER_SENDER: usize = 1_000;

/// All proofs of one key, sorted by expiry: expired ones are removed, a known one is not new, and one too many is
/// refused. One atomic step, one round trip. A proof counts as expired only if both the server's clock and the asking
/// instance's clock say so, so an instance whose clock is ahead does not remove what others would still accept.
const FIRST_PROOF: &str = "
local time = redis.call('TIME')
local ended = math.min(time[1] * 1000 + math.floor(time[2] / 1000), tonumber(ARGV[3]))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ended)
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then return -1 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('PEXPIREAT', KEYS[1], redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2] + ARGV[5])
return 1";

/// How far the server's clock may be ahead of an instance's before it removes entries too early, in milliseconds.
const AHEAD: i64 = 60_000;

/// The end of the year 9999, in milliseconds: later than any token, and accepted by the server.
const LATEST: i64 = 253_402_300_799_000;

impl RedisReplays {
    pub(crate) fn new(redis: Redis) -> Self {
        Self { redis, per_sender: PER_SENDER }
    }

    /// Limits how many proofs of a single key are stored, so that one client cannot fill the server. Default: 1,000,
    /// enough for 14 requests a second with proofs that are valid for 71 s. Raise it if one client is a busy server.
    #[must_use]
    pub fn per_sender(mut self, proofs: usize) -> Self {
        self.per_sender = proofs;
        self
    }
}

impl ReplayMemory for RedisReplays {
    fn first_time(&self, token: [u8; 32], until: Timestamp, _: Timestamp) -> FirstTime {
        let (redis, key) = (self.redis.clone(), self.redis.key("seen", &token));
        FirstTime::Ask(Box::pin(async move {
            let mut set = cmd("SET");
            set.arg(key).arg(1).arg("NX").arg("PXAT").arg(until.as_millis().clamp(1, LATEST) + AHEAD);
            Ok(redis.ask::<Option<String>>(set).await?.is_some())
        }))
    }
    fn first_proof(&self, sender: [u8; 32], proof: [u8; 32], until: Timestamp, now: Timestamp) -> FirstTime {
        let (redis, key, capacity) = (self.redis.clone(), self.redis.key("proofs", &sender), self.per_sender);
        FirstTime::Ask(Box::pin(async move {
            let mut ask = cmd("EVAL");
            ask.arg(FIRST_PROOF).arg(1).arg(key).arg(&proof[..]);
            ask.arg(until.as_millis().clamp(1, LATEST)).arg(now.as_millis().clamp(0, LATEST)).arg(capacity).arg(AHEAD);
            match redis.ask::<i64>(ask).await? {
                1 => Ok(true),
                0 => Ok(false),
                _ => Err(StoreError::Full { capacity }),
            }
        }))
    }
}
