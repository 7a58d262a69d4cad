//! Errors of a configuration, as text without secrets.

use std::fmt;

/// The configuration cannot work. The text contains nothing of the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedisConfigError(pub(crate) &'static str);

impl fmt::Display for RedisConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for RedisConfigError {}
