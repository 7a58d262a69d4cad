//! Endpoint answers by their digests: each expires by itself, and sorted sets list those that belong to a subject,
//! session or client.

use std::time::Duration;

use redis::cmd;
use serde::{Deserialize, Serialize};
use token_core::http::BoxFuture;
use token_core::{
    Timestamp,
    stores::{AnswerKey, AnswerStore, AnswerTag, StoreError, StoredAnswer},
};

use crate::Redis;

/// The longest lifetime of an answer.
const LONGEST: Duration = Duration::from_secs(3600);
/// How long a drop is remembered. No question to an endpoint takes this long.
const DROPPED: Duration = Duration::from_secs(600);
/// How much longer than its answer a name stays in the set of its tag, so that an instance whose clock is ahead by less
/// does not remove the name of an answer that still exists.
const CLOCKS: Duration = Duration::from_secs(60);

/// Stores an answer, unless its key or a tag was dropped since the question was asked. This is atomic: a drop comes
/// either before it, and is noticed, or after it, and removes the answer. Keys: the number of drops, the answer, the
/// last drop of its key, and for each tag its last drop and its names. Names are sorted by the expiry of their answers;
/// expired ones are removed, and the set expires with its last one.
const KEEP: &str = r"
local generation = tonumber(ARGV[1])
-- Fewer drops than there were: the server was emptied since, and what it knew of them with it.
if tonumber(redis.call('GET', KEYS[1]) or '0') < generation then return 0 end
local function dropped(key)
  local last = redis.call('GET', key)
  return last and tonumber(last) > generation
end
if dropped(KEYS[3]) then return 0 end
for at = 4, #KEYS, 2 do
  if dropped(KEYS[at]) then return 0 end
end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
for at = 5, #KEYS, 2 do
  redis.call('ZREMRANGEBYSCORE', KEYS[at], '-inf', ARGV[5])
  redis.call('ZADD', KEYS[at], ARGV[4], KEYS[2])
  redis.call('PEXPIRE', KEYS[at], ARGV[6], 'NX')
  redis.call('PEXPIRE', KEYS[at], ARGV[6], 'GT')
end
return 1";
/// Counts and records a drop. Keys: the number of drops, and the last drop of this key or tag.
const NOTE: &str = r"
local number = redis.call('INCR', KEYS[1])
redis.call('SET', KEYS[2], number, 'PX', ARGV[1])
return number";

/// Releases a claim if the caller still holds it. Keys: the claim.
const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0";

/// The store for endpoint answers. Returned by [`Redis::answers`].
#[derive(Clone, Debug)]
pub struct RedisAnswers(Redis);

/// The value under a key.
#[derive(Serialize, Deserialize)]
struct Value {
    /// Absent if the token is not active.
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<String>,
    /// Milliseconds since 1970.
    until: i64,
}

impl RedisAnswers {
    pub(crate) fn new(redis: Redis) -> Self {
        Self(redis)
    }

    fn key(&self, key: AnswerKey) -> String {
        self.0.key("answer", key.as_bytes())
    }

    /// The key of the number of drops.
    fn drops(&self) -> String {
        self.0.named("drops", "answers")
    }

    /// The key of the last drop of this key or tag.
    fn dropped(&self, digest: &[u8; 32]) -> String {
        self.0.key("dropped", digest)
    }

    fn tagged(&self, tag: AnswerTag) -> String {
        self.0.key("tagged", tag.as_bytes())
    }

    async fn get(&self, key: AnswerKey, now: Timestamp) -> Result<Option<StoredAnswer>, StoreError> {
        let mut get = cmd("GET");
        get.arg(self.key(key));
        let Some(text) = self.0.ask::<Option<String>>(get).await? else { return Ok(None) };
        let value: Value = serde_json::from_str(&text)
            .map_err(|_| StoreError::Unreachable("what stands there is no answer of ours".to_owned()))?;
        let answer = StoredAnswer::new(value.claims, Timestamp::from_millis(value.until));
        // Its clock may be behind ours.
        Ok(Some(answer).filter(|answer| now < answer.until))
    }

    async fn set(&self, key: AnswerKey, answer: StoredAnswer, now: Timestamp) -> Result<(), StoreError> {
        let life = u64::try_from(answer.until.since(now).min(LONGEST).as_millis()).unwrap_or(0);
        if life == 0 {
            return Ok(());
        }
        let value = Value { claims: answer.claims, until: answer.until.as_millis() };
        let value = serde_json::to_string(&value).expect("a text and a number are always JSON");
        let mut keep = cmd("EVAL");
        keep.arg(KEEP).arg(3 + 2 * answer.tags.len());
        keep.arg(self.drops()).arg(self.key(key)).arg(self.dropped(key.as_bytes()));
        for tag in &answer.tags {
            keep.arg(self.dropped(tag.as_bytes())).arg(self.tagged(*tag));
        }
        let ended = now.saturating_sub(CLOCKS).as_millis();
        let stays = (Duration::from_millis(life) + CLOCKS).as_millis();
        keep.arg(answer.generation).arg(value).arg(life).arg(answer.until.as_millis()).arg(ended);
        keep.arg(u64::try_from(stays).unwrap_or(u64::MAX));
        self.0.ask::<i64>(keep).await.map(drop)
    }

    /// Counts and records a drop, before anything is removed.
    async fn note(&self, digest: &[u8; 32]) -> Result<(), StoreError> {
        let mut note = cmd("EVAL");
        let stays = u64::try_from(DROPPED.as_millis()).unwrap_or(u64::MAX);
        note.arg(NOTE).arg(2).arg(self.drops()).arg(self.dropped(digest)).arg(stays);
        self.0.ask::<i64>(note).await.map(drop)
    }

    async fn delete(&self, names: &[String]) -> Result<usize, StoreError> {
        let mut del = cmd("DEL");
        del.arg(names);
        self.0.ask(del).await
    }

    async fn delete_tagged(&self, tag: AnswerTag) -> Result<usize, StoreError> {
        self.note(tag.as_bytes()).await?;
        let set = self.tagged(tag);
        let mut members = cmd("ZRANGE");
        members.arg(&set).arg(0).arg(-1);
        let names: Vec<String> = self.0.ask(members).await?;
        if names.is_empty() {
            return Ok(0);
        }
        let dropped = self.delete(&names).await?;
        // Only those that were looked at: a newer one may have joined meanwhile.
        let mut leave = cmd("ZREM");
        leave.arg(&set).arg(&names);
        self.0.ask::<usize>(leave).await?;
        Ok(dropped)
    }
}

impl AnswerStore for RedisAnswers {
    fn find(&self, key: AnswerKey, now: Timestamp) -> BoxFuture<'_, Result<Option<StoredAnswer>, StoreError>> {
        Box::pin(self.get(key, now))
    }

    fn keep(&self, key: AnswerKey, answer: StoredAnswer, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.set(key, answer, now))
    }

    fn generation(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let mut get = cmd("GET");
            get.arg(self.drops());
            Ok(self.0.ask::<Option<u64>>(get).await?.unwrap_or(0))
        })
    }

    fn drop_key(&self, key: AnswerKey) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(async move {
            self.note(key.as_bytes()).await?;
            self.delete(&[self.key(key)]).await
        })
    }

    fn claim(&self, key: AnswerKey, claim: u64, lease: Duration) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut set = cmd("SET");
            set.arg(self.0.key("asking", key.as_bytes())).arg(claim).arg("NX").arg("PX");
            set.arg(u64::try_from(lease.as_millis()).unwrap_or(u64::MAX).max(1));
            Ok(self.0.ask::<Option<String>>(set).await?.is_some())
        })
    }

    fn release(&self, key: AnswerKey, claim: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut release = cmd("EVAL");
            release.arg(RELEASE).arg(1).arg(self.0.key("asking", key.as_bytes())).arg(claim);
            self.0.ask::<i64>(release).await.map(drop)
        })
    }

    fn drop_tagged(&self, tag: AnswerTag) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(self.delete_tagged(tag))
    }
}
