//! Keys that an operator hands over in, the set a token's key is chosen from out (RFC 7517, RFC 7468).

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::base::config_error::ConfigError;
use crate::jose::jwk_set::{KeySet, Origin};
use crate::jose::{Algorithm, Algorithms, VerificationKey};

/// The largest file with a JWK Set, in bytes: the same as for one that is fetched.
const LARGEST: u64 = 512 * 1024;

/// Keys that the operator hands over, of one issuer.
///
/// ```
/// use token_core::{Algorithm, Issuer, StaticKeys};
///
/// # fn main() -> Result<(), token_core::ConfigError> {
/// let secret = StaticKeys::secret(Algorithm::HS256, b"at least as long as the hash: 32")?;
/// let issuer = Issuer::with_keys("https://login.example.com/", secret)?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct StaticKeys {
    pub(crate) keys: Vec<Arc<VerificationKey>>,
    pub(crate) algorithms: Algorithms,
}

impl StaticKeys {
    /// The keys of a JWK Set (RFC 7517 section 5). Keys that are not for signatures are passed over; symmetric keys count, since this
    /// text comes from the operator and not from a network.
    ///
    /// # Errors
    /// When the text is not a JWK Set or holds no usable key.
    pub fn jwk_set(json: &str) -> Result<Self, ConfigError> {
        let set = KeySet::parse(json.as_bytes(), Origin::Given).map_err(|error| ConfigError::new(error.to_string()))?;
        if set.is_empty() {
            let reasons: Vec<_> = set.skipped().iter().map(|key| key.reason().to_string()).collect();
            return Err(ConfigError::new(format!("the JWK Set holds no usable key: {}", reasons.join("; "))));
        }
        let keys: Vec<_> = set.keys().to_vec();
        Ok(Self::of(keys))
    }

    /// The keys of a JWK Set in a file, read once.
    ///
    /// # Errors
    /// When the file cannot be read or is larger than 512 KiB, and as [`StaticKeys::jwk_set`].
    pub fn jwk_set_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let wrong = |why: &dyn fmt::Display| ConfigError::new(format!("JWK Set file {}: {why}", path.display()));
        let bytes = crate::base::file::read(path, LARGEST).map_err(|unread| wrong(&unread))?;
        let json = std::str::from_utf8(&bytes).map_err(|_| wrong(&"not UTF-8 text"))?;
        Self::jwk_set(json).map_err(|error| wrong(&error))
    }

    /// A public key or certificate in PEM, for one algorithm.
    ///
    /// # Errors
    /// When the text is not PEM, the key is of another type than the algorithm needs, or too weak.
    pub fn pem(algorithm: Algorithm, pem: &str) -> Result<Self, ConfigError> {
        let key = VerificationKey::from_pem(algorithm, None, pem.as_bytes())
            .map_err(|error| ConfigError::new(format!("PEM key for {algorithm}: {error}")))?;
        Ok(Self::of(vec![Arc::new(key)]))
    }

    /// A secret shared with the issuer, for HS256, HS384 or HS512: the bytes as they are, not their base64.
    ///
    /// # Errors
    /// When the algorithm is not an HMAC, or the secret is shorter than its hash.
    pub fn secret(algorithm: Algorithm, secret: &[u8]) -> Result<Self, ConfigError> {
        let key = VerificationKey::from_secret(algorithm, None, secret)
            .map_err(|error| ConfigError::new(format!("secret for {algorithm}: {error}")))?;
        Ok(Self::of(vec![Arc::new(key)]))
    }

    /// A secret that the issuer hands out as base64url text of its bytes, as Auth0 does for clients and APIs of its first years. Whether
    /// a secret is one is a setting at the issuer; it cannot be told from the text and is never guessed here.
    ///
    /// # Errors
    /// When the text is not base64url (with or without padding), and as [`StaticKeys::secret`].
    pub fn base64url_secret(algorithm: Algorithm, text: &str) -> Result<Self, ConfigError> {
        let secret = crate::jose::base64url::decode(text.trim_end_matches('=').as_bytes())
            .ok_or_else(|| ConfigError::new(format!("secret for {algorithm}: not base64url text")))?;
        Self::secret(algorithm, &secret)
    }

    /// These keys and those: while a secret or a key is rotated, say. A token without `kid`, or with one that none of the keys has, is
    /// tried with each key without a name that is for its algorithm.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.keys.extend(others.keys);
        self.algorithms = self.algorithms.union(others.algorithms);
        self
    }

    fn of(keys: Vec<Arc<VerificationKey>>) -> Self {
        let algorithms = keys.iter().flat_map(|key| key.algorithms().iter()).collect();
        Self { keys, algorithms }
    }
}

impl fmt::Debug for StaticKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StaticKeys({} for {:?})", self.keys.len(), self.algorithms)
    }
}
