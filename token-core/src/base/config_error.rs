//! Why no safe verifier can be built from what an operator said.

use std::fmt;

use url::Url;

/// A configuration that no safe verifier can be built from, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl ConfigError {
    /// A setting that cannot be: what was expected, and how to say it, in lower case and without a full stop. Nothing secret belongs into it.
    #[must_use]
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

pub(crate) fn parse_url(what: &str, text: &str) -> Result<Url, ConfigError> {
    match Url::parse(text) {
        Ok(url) if url.has_host() && matches!(url.scheme(), "https" | "http") => Ok(url),
        Ok(_) => Err(ConfigError::new(format!("{what} {text}: expected an https URL"))),
        Err(error) => Err(ConfigError::new(format!("{what} {text}: expected an absolute URL: {error}"))),
    }
}
