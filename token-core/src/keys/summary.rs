//! A JWK Set in, what could be used of it and what not out: for people who look at an issuer (RFC 7517 section 5).

use serde::Serialize;

use crate::base::config_error::ConfigError;
use crate::jose::Algorithms;
use crate::jose::jwk_set::{KeySet, Origin};

/// What a published JWK Set holds, as the gate would take it.
///
/// ```
/// use token_core::keys::JwkSetSummary;
///
/// let summary = JwkSetSummary::of(br#"{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "1"}]}"#)?;
/// assert!(summary.keys.is_empty()); // what is published is no secret
/// assert_eq!(summary.skipped[0].kid.as_deref(), Some("1"));
/// # Ok::<(), token_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct JwkSetSummary {
    /// The keys that can be used.
    pub keys: Vec<KeySummary>,
    /// Those that cannot, and why.
    pub skipped: Vec<SkippedSummary>,
}

/// A key that can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeySummary {
    /// Its name, as the issuer wrote it: any text.
    pub kid: Option<String>,
    /// What it may verify.
    pub algorithms: Algorithms,
}

/// A key that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SkippedSummary {
    /// Its name, if that is printable ASCII of at most 64 characters.
    pub kid: Option<String>,
    /// Why not.
    pub reason: String,
}

impl JwkSetSummary {
    /// Reads a set as one that was fetched: shared secrets in it are not used.
    ///
    /// # Errors
    /// When the text is not a JWK Set at all.
    pub fn of(json: &[u8]) -> Result<Self, ConfigError> {
        let set = KeySet::parse(json, Origin::Fetched).map_err(|error| ConfigError::new(error.to_string()))?;
        let keys = set.keys().iter();
        let skipped = set.skipped().iter();
        Ok(Self {
            keys: keys
                .map(|key| KeySummary { kid: key.kid().map(str::to_owned), algorithms: key.algorithms() })
                .collect(),
            skipped: skipped
                .map(|key| SkippedSummary { kid: key.kid().map(str::to_owned), reason: key.reason().to_string() })
                .collect(),
        })
    }
}
