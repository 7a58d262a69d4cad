//! Verifies OAuth 2.0 and OpenID Connect tokens.

mod audience;
mod bearer;
mod builder;
mod challenge;
mod claims;
pub mod discovery;
mod error;
pub mod http;
mod issuer;
mod jose;
mod jwt;
mod keys;
mod maybe_ready;
mod outcome;
mod presented;
mod scopes;
mod server;
mod time;
mod token_cache;
mod trusted;
mod typed;
mod verified;

pub use audience::Audience;
pub use builder::ResourceServerBuilder;
pub use error::{Answer, Error, ErrorKind};
pub use issuer::{ConfigError, Issuer, StaticKeys};
pub use jose::{Algorithm, Algorithms, SkippedKey, UnknownAlgorithm, UnusableKey, signing};
pub use keys::{
    DiscoveryKeySource, FetchError, FetchedKeys, HttpKeySource, JwksSettings, JwksSettingsError, KeySource, KeyState,
    KeyStatus, KeysUnavailable,
};
pub use maybe_ready::MaybeReady;
pub use outcome::{Admission, Outcome, Refusals};
pub use presented::{Presented, RequestView};
pub use scopes::{Required, Rule, Scopes};
pub use server::ResourceServer;
pub use time::{Clock, SystemClock, Timestamp};
pub use token_cache::TokenCacheSettings;
pub use verified::Verified;
