#![doc = include_str!("../README.md")]

mod answers;
mod config_error;
mod connection;
mod deny_list;
mod following;
mod line;
#[cfg(feature = "client")]
mod refresh_tokens;
mod replays;
mod settings;
mod tickets;
#[cfg(feature = "tls")]
mod tls;

pub use answers::RedisAnswers;
pub use config_error::RedisConfigError;
pub use connection::Redis;
pub use deny_list::RedisDenyList;
#[cfg(feature = "client")]
pub use refresh_tokens::RedisRefreshTokens;
pub use replays::RedisReplays;
pub use settings::RedisSettings;
pub use tickets::RedisTickets;
