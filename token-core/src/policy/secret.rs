//! Secrets in a policy: read from the text, a file or an environment variable, and never written out again.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base::config_error::ConfigError;
use crate::jose::Algorithm;

const REDACTED: &str = "(redacted)";
/// The largest secret file that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// A secret. `Debug` and serde always write `(redacted)`.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transparent))]
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

// What is said of a mistake must not repeat the value: it may be the secret.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self).map_err(|_| D::Error::custom("a secret is text, and this is none"))
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

/// A secret shared with an issuer: its algorithm, and exactly one of `env`, `file` and `value`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SharedSecret {
    /// `HS256`, `HS384` or `HS512`.
    #[cfg_attr(feature = "schema", schemars(with = "super::schema::AlgorithmName"))]
    pub algorithm: Algorithm,
    /// The name of the environment variable that contains the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// The path of the file that contains the secret. A line break at its end is ignored. Relative to the policy file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub file: Option<PathBuf>,
    /// The secret itself. Anyone who can read the policy then knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Secret>,
}

/// A secret of this server: exactly one of `env`, `file` and `value`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct KeptSecret {
    /// The name of the environment variable that contains the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// The path of the file that contains the secret. A line break at its end is ignored. Relative to the policy file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub file: Option<PathBuf>,
    /// The secret itself. Anyone who can read the policy then knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Secret>,
}

impl<'de> Deserialize<'de> for SharedSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Given {
            algorithm: Algorithm,
            env: Option<String>,
            file: Option<PathBuf>,
            value: Option<Secret>,
        }
        let Given { algorithm, env, file, value } = table(deserializer)?;
        Ok(Self { algorithm, env, file, value })
    }
}

impl<'de> Deserialize<'de> for KeptSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Given {
            env: Option<String>,
            file: Option<PathBuf>,
            value: Option<Secret>,
        }
        let Given { env, file, value } = table(deserializer)?;
        Ok(Self { env, file, value })
    }
}

/// Reads the members of a table. The most frequent mistake is to write the secret where the table belongs; the error
/// does not repeat it.
pub(super) fn table<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    // Not as a map alone: what a format itself says of another type repeats the value.
    deserializer.deserialize_any(Members(PhantomData))
}

struct Members<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table that says where the secret is")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<T, E> {
        Err(E::custom("a secret is a table that says where it is (one of env, file and value), not the secret itself"))
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<T, E> {
        self.visit_str("")
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<T, E> {
        self.visit_str("")
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<T, E> {
        self.visit_str("")
    }
}

impl SharedSecret {
    pub(crate) fn kept(&self) -> KeptSecret {
        KeptSecret { env: self.env.clone(), file: self.file.clone(), value: self.value.clone() }
    }
}

impl KeptSecret {
    /// A secret that is written in the policy itself.
    pub(super) fn here(secret: &str) -> Self {
        Self { value: Some(Secret::new(secret)), ..Self::default() }
    }

    /// Whether exactly one place is named.
    pub(super) fn is_in_one_place(&self) -> bool {
        [self.env.is_some(), self.file.is_some(), self.value.is_some()].iter().filter(|given| **given).count() == 1
    }

    /// The bytes of the secret. A line break at the end of a file is not part of it.
    pub(crate) fn read(&self) -> Result<Vec<u8>, ConfigError> {
        match (&self.env, &self.file, &self.value) {
            (Some(name), None, None) => std::env::var(name)
                .map(String::into_bytes)
                .map_err(|_| ConfigError::new(format!("the environment variable {name} is not set, or is not text"))),
            (None, Some(path), None) => {
                let mut bytes = crate::base::file::read(path, LONGEST)
                    .map_err(|unread| ConfigError::new(format!("secret file {}: {unread}", path.display())))?;
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
