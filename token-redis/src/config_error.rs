//! Why a configuration gives no connection, in words that hold nothing of its secrets.

use std::fmt;

/// Why there is no connection to be made. The text holds nothing of the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedisConfigError(pub(crate) &'static str);

impl fmt::Display for RedisConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for RedisConfigError {}
