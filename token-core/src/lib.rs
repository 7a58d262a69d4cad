//! Verifies OAuth 2.0 and OpenID Connect tokens.

pub mod http;
mod time;

pub use time::{Clock, SystemClock, Timestamp};
