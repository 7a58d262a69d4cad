//! A deny-list that all instances ask on every request: one command, one response (RFC 7009 as seen by a resource
//! server).

use redis::cmd;
use token_core::http::BoxFuture;
use token_core::{
    Timestamp,
    revocation::{Deny, DenyList, DenyLookup, Marks},
    stores::StoreError,
};

use crate::Redis;

/// A deny-list that is asked on every request. Returned by [`Redis::deny_list`].
#[derive(Clone, Debug)]
pub struct RedisDenyList(Redis);

/// Keeps the wider of two entries in each respect, in one step. KEYS[1]; the last millisecond of issue, the end.
const WIDEN: &str = "
local issued, ends = ARGV[1], ARGV[2]
local old = redis.call('GET', KEYS[1])
if old then
  if tonumber(old) > tonumber(issued) then issued = old end
  local old_end = redis.call('PEXPIRETIME', KEYS[1])
  if old_end > tonumber(ends) then ends = string.format('%.0f', old_end) end
end
redis.call('SET', KEYS[1], issued, 'PXAT', ends)
return 1";

/// The end of the year 9999, in milliseconds: later than any token, and accepted by the server.
const LATEST: i64 = 253_402_300_799_000;

impl RedisDenyList {
    pub(crate) fn new(redis: Redis) -> Self {
        Self(redis)
    }

    fn key(&self, digest: &[u8; 32]) -> String {
        self.0.key("deny", digest)
    }
}

impl DenyList for RedisDenyList {
    fn look_up(&self, token: &Marks<'_>, _: Timestamp) -> DenyLookup {
        let subject = token.subject_digest();
        let others = [token.token_id_digest(), token.session_digest()];
        let keys: Vec<String> = subject.iter().chain(others.iter().flatten()).map(|digest| self.key(digest)).collect();
        if keys.is_empty() {
            return DenyLookup::Absent;
        }
        let (redis, issued) = (self.0.clone(), token.issued_at);
        let has_subject = subject.is_some();
        DenyLookup::Ask(Box::pin(async move {
            let mut get = cmd("MGET");
            get.arg(&keys);
            let values: Vec<Option<i64>> = redis.ask(get).await?;
            let (subject, others) = values.split_at(usize::from(has_subject));
            let before = |until: i64| issued.is_none_or(|issued| issued.as_millis() <= until);
            Ok(subject.iter().flatten().any(|until| before(*until)) || others.iter().any(Option::is_some))
        }))
    }

    fn deny(&self, what: Deny, until: Timestamp) -> BoxFuture<'static, Result<(), StoreError>> {
        let key = self.key(&what.digest());
        let issued = match &what {
            Deny::Subject { issued_until, .. } => issued_until.as_millis().min(LATEST),
            _ => 0,
        };
        let redis = self.0.clone();
        Box::pin(async move {
            let mut widen = cmd("EVAL");
            let ends = until.as_millis().clamp(1, LATEST);
            widen.arg(WIDEN).arg(1).arg(key).arg(issued).arg(ends);
            redis.ask::<i64>(widen).await.map(drop)
        })
    }
}
