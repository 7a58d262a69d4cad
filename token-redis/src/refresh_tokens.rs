//! Refresh tokens of `token-client` in Redis: one record per name, replaced only by a caller that knows its current
//! value (RFC 9700 section 4.14.2).

use bytes::Bytes;
use redis::cmd;
use token_client::SwapStore;
use token_core::http::BoxFuture;
use token_core::stores::StoreError;

use crate::Redis;

/// Compares and swaps in one step: expected present?, expected, next present?, next.
const SWAP: &str = "\
local present = redis.call('GET', KEYS[1])
if ARGV[1] == '0' then
  if present then return 0 end
elseif present ~= ARGV[2] then
  return 0
end
if ARGV[3] == '0' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[4]) end
return 1";

/// The store for refresh tokens. Returned by [`Redis::refresh_tokens`].
///
/// Records do not expire, and they contain refresh tokens in the clear: protect the server, encrypt the connection, and
/// [`forget`](token_client::RefreshSource::forget) users who sign out. If the server loses acknowledged writes (no
/// append-only file, or a fail-over to a replica that lags), the grants renewed in that time are lost, and their users
/// must sign in again.
#[derive(Clone, Debug)]
pub struct RedisRefreshTokens(Redis);

impl RedisRefreshTokens {
    pub(crate) fn new(redis: Redis) -> Self {
        Self(redis)
    }
}

impl SwapStore for RedisRefreshTokens {
    fn load<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Bytes>, StoreError>> {
        Box::pin(async move {
            let mut get = cmd("GET");
            get.arg(self.0.named("refresh", name));
            Ok(self.0.ask::<Option<Vec<u8>>>(get).await?.map(Bytes::from))
        })
    }

    fn swap<'a>(
        &'a self,
        name: &'a str,
        expected: Option<&'a [u8]>,
        next: Option<&'a [u8]>,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut swap = cmd("EVAL");
            swap.arg(SWAP).arg(1).arg(self.0.named("refresh", name));
            for record in [expected, next] {
                swap.arg(i32::from(record.is_some())).arg(record.unwrap_or_default());
            }
            Ok(self.0.ask::<i64>(swap).await? == 1)
        })
    }
}
