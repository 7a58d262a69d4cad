//! Answers about opaque tokens, a deny-list and the memory of logout tokens in Redis or Valkey, shared by many instances.
//!
//! What one instance found out serves all, and what one revokes is refused by all at their next request.
//!
//! ```no_run
//! use token_core::opaque::client_authentication::ClientAuthentication;
//! use token_core::{opaque::OpaqueTokens, Issuer, ResourceServer};
//! use token_redis::Redis;
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let redis = Redis::new("redis://127.0.0.1/")?;
//! let tokens = OpaqueTokens::introspection(
//!     "https://login.example.com/introspect",
//!     "my-api",
//!     ClientAuthentication::Basic("the secret".into()),
//! )?;
//! let api = ResourceServer::builder("https://api.example.com")
//!     .trust(Issuer::discover("https://login.example.com/")?.opaque_tokens(tokens.store(redis.answers())))
//!     .deny_list(redis.deny_list())
//!     .build()?;
//! # Ok(()) }
//! ```
//!
//! # When the server is out of reach
//!
//! Verification goes on without the answers, each instance asks for itself; `ResourceServer::opaque_health` says so. For the deny-list the
//! operator chooses: requests get 503 unless `when_deny_list_is_unreachable` says otherwise. Logout tokens get 503.
//!
//! # What must be guarded
//!
//! Whoever can write into the database decides which tokens are active. Give it a password and a network of its own. Names of tokens,
//! subjects and sessions are SHA-256 digests in keys; the values are the issuer's answers with their claims, and no tokens.
//!
//! Needs Redis 7 or Valkey.

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
