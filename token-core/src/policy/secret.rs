//! Secrets in a policy: read from text, a file or a variable, and never written again.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};

use crate::Algorithm;
use crate::config_error::ConfigError;

const REDACTED: &str = "(redacted)";

/// A secret. `Debug` and serde write `(redacted)`, whatever it holds.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

/// A secret shared with an issuer: its algorithm, and exactly one place where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SharedSecret {
    /// `HS256`, `HS384` or `HS512`.
    #[cfg_attr(feature = "schema", schemars(with = "super::schema::AlgorithmName"))]
    pub algorithm: Algorithm,
    /// The environment variable that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// The file that holds it, without a line break at the end; relative to the policy's own file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub file: Option<PathBuf>,
    /// The secret itself. Whoever reads the policy then knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Secret>,
}

impl SharedSecret {
    /// The bytes of the secret. A line break at the end of a file is not part of it.
    pub(super) fn read(&self, folder: &Path) -> Result<Vec<u8>, ConfigError> {
        match (&self.env, &self.file, &self.value) {
            (Some(name), None, None) => std::env::var(name)
                .map(String::into_bytes)
                .map_err(|_| ConfigError::new(format!("the environment variable {name} is not set, or is not text"))),
            (None, Some(file), None) => {
                let path = folder.join(file);
                let mut bytes = std::fs::read(&path)
                    .map_err(|error| ConfigError::new(format!("secret file {}: {error}", path.display())))?;
                while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                    bytes.pop();
                }
                Ok(bytes)
            }
            (None, None, Some(Secret(value))) if value == REDACTED => {
                Err(ConfigError::new("the secret was redacted when this policy was written"))
            }
            (None, None, Some(Secret(value))) => Ok(value.clone().into_bytes()),
            _ => Err(ConfigError::new("expected exactly one of env, file and value for the secret")),
        }
    }
}
