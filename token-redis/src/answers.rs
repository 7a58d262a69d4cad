//! Answers of endpoints under their digests: each ends by itself, and sorted sets say which belong to a subject, session or client.

use std::time::Duration;

use redis::{cmd, pipe};
use serde::{Deserialize, Serialize};
use token_core::http::BoxFuture;
use token_core::{
    Timestamp,
    stores::{AnswerKey, AnswerStore, AnswerTag, StoreError, StoredAnswer},
};

use crate::Redis;

/// No answer lives longer.
const LONGEST: Duration = Duration::from_secs(3600);
/// How much longer than its answer a name stays among those of its tag: an instance whose clock is ahead by less takes no name out under
/// which an answer still stands.
const CLOCKS: Duration = Duration::from_secs(60);

/// The store for answers. Got from [`Redis::answers`].
#[derive(Clone, Debug)]
pub struct RedisAnswers(Redis);

/// What stands under a key.
#[derive(Serialize, Deserialize)]
struct Value {
    /// Absent where the token is not active.
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
        let name = self.key(key);
        let mut all = pipe();
        all.atomic();
        all.cmd("SET").arg(&name).arg(value).arg("PX").arg(life.to_string()).ignore();
        // Names by when their answers end: those that have ended make room at each write, and the set ends with its last one.
        let ended = now.saturating_sub(CLOCKS).as_millis();
        let stays = (Duration::from_millis(life) + CLOCKS).as_millis().to_string();
        for tag in &answer.tags {
            let set = self.tagged(*tag);
            all.cmd("ZREMRANGEBYSCORE").arg(&set).arg("-inf").arg(ended).ignore();
            all.cmd("ZADD").arg(&set).arg(answer.until.as_millis()).arg(&name).ignore();
            all.cmd("PEXPIRE").arg(&set).arg(&stays).arg("NX").ignore();
            all.cmd("PEXPIRE").arg(&set).arg(&stays).arg("GT").ignore();
        }
        self.0.ask_all::<()>(all).await
    }

    async fn delete(&self, names: &[String]) -> Result<usize, StoreError> {
        let mut del = cmd("DEL");
        del.arg(names);
        self.0.ask(del).await
    }

    async fn delete_tagged(&self, tag: AnswerTag) -> Result<usize, StoreError> {
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

    fn drop_key(&self, key: AnswerKey) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(async move { self.delete(&[self.key(key)]).await })
    }

    fn drop_tagged(&self, tag: AnswerTag) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(self.delete_tagged(tag))
    }
}
