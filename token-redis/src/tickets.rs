//! One-time tickets, stored for all instances: written with their expiry, and removed by the command that reads them.

use redis::cmd;
use token_core::Timestamp;
use token_core::http::BoxFuture;
use token_core::stores::{StoreError, TicketStore};

use crate::Redis;

/// The store for tickets. Returned by [`Redis::tickets`]. Needs Redis 6.2 (for `GETDEL`) or Valkey.
///
/// A ticket that one instance issued can be redeemed at any other, once: of two concurrent attempts, one succeeds. The
/// server holds a digest of the ticket and a text that only the ticket can decrypt, so its memory contains neither
/// tickets nor tokens.
///
/// ```
/// use token_core::streams::Tickets;
/// # use token_redis::Redis;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = Redis::new("redis://127.0.0.1:6379/")?;
/// let tickets = Tickets::kept_in(redis.tickets()); // for ResourceServerBuilder::tickets
/// # let _ = tickets; Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct RedisTickets(Redis);

/// The end of the year 9999, in milliseconds.
const LATEST: i64 = 253_402_300_799_000;

impl RedisTickets {
    pub(crate) fn new(redis: Redis) -> Self {
        Self(redis)
    }
}

impl TicketStore for RedisTickets {
    fn keep(
        &self,
        ticket: [u8; 32],
        sealed: String,
        until: Timestamp,
        _: Timestamp,
    ) -> BoxFuture<'static, Result<(), StoreError>> {
        let (redis, key) = (self.0.clone(), self.0.key("ticket", &ticket));
        Box::pin(async move {
            let mut set = cmd("SET");
            set.arg(key).arg(sealed).arg("NX").arg("PXAT").arg(until.as_millis().clamp(1, LATEST));
            match redis.ask::<Option<String>>(set).await? {
                Some(_) => Ok(()),
                None => Err(StoreError::Unreachable("there is such a ticket already".to_owned())),
            }
        })
    }

    fn take(&self, ticket: [u8; 32], _: Timestamp) -> BoxFuture<'static, Result<Option<String>, StoreError>> {
        let (redis, key) = (self.0.clone(), self.0.key("ticket", &ticket));
        Box::pin(async move {
            let mut take = cmd("GETDEL");
            take.arg(key);
            redis.ask::<Option<String>>(take).await
        })
    }
}
