//! Keys that an operator hands over in, the set a token's key is chosen from out (RFC 7517, RFC 7468).

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::base::config_error::ConfigError;
use crate::jose::jwk_set::{KeySet, Leniency, Origin, skipped_keys};
use crate::jose::{Algorithm, Algorithms, VerificationKey};

/// The largest file with a JWK Set, in bytes: the same as for one that is fetched.
const LARGEST: u64 = 512 * 1024;

/// Keys of one issuer that are configured here and never fetched. Give them to [`Issuer::with_keys`](crate::Issuer::with_keys).
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
    keys: Vec<GivenKey>,
}

/// One key, and how it was given.
#[derive(Clone)]
struct GivenKey {
    key: Arc<VerificationKey>,
    how: How,
    kid: Option<Box<str>>,
    /// Written in base64: a key only where an operator says that the issuer does so.
    in_base64: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// By itself, for one algorithm.
    Alone,
    /// In a set of the operator's own.
    InSet,
    /// In a set as the issuer publishes it.
    Published,
}

/// The keys as the gate holds them, and the algorithms that tokens may have.
pub(crate) struct Agreed {
    pub(crate) keys: KeySet,
    pub(crate) algorithms: Algorithms,
}

impl StaticKeys {
    /// The keys of a JWK Set of your own (RFC 7517 section 5). Keys that are not for signatures are ignored. Symmetric keys are accepted, because the text comes
    /// from your configuration and not from the network; one without `alg` is used with the one HS algorithm in
    /// [`Issuer::algorithms`](crate::Issuer::algorithms).
    ///
    /// For a copy of the JWK Set that an issuer publishes, use [`published_jwk_set`](Self::published_jwk_set).
    ///
    /// # Errors
    /// When the text is not a JWK Set or holds no usable key.
    pub fn jwk_set(json: &str) -> Result<Self, ConfigError> {
        Self::set(json, How::InSet)
    }

    /// A copy of the JWK Set that the issuer publishes. The rules are those for a fetched set: only the algorithms in
    /// [`Issuer::algorithms`](crate::Issuer::algorithms), or the default ones, are accepted; a token with a `kid` needs a key with that name; a shared secret is
    /// used only if its HS algorithm is listed.
    ///
    /// # Errors
    /// When the text is not a JWK Set or holds no usable key.
    pub fn published_jwk_set(json: &str) -> Result<Self, ConfigError> {
        Self::set(json, How::Published)
    }

    /// The [published set](Self::published_jwk_set) in a file, read once.
    ///
    /// # Errors
    /// When the file cannot be read or is larger than 512 KiB, and as [`StaticKeys::published_jwk_set`].
    pub fn published_jwk_set_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Self::file(path.as_ref(), How::Published)
    }

    fn set(json: &str, how: How) -> Result<Self, ConfigError> {
        let read = |base64| {
            let leniency = Leniency { base64, ..Leniency::default() };
            KeySet::parse_as(json.as_bytes(), Origin::Given, leniency)
                .map_err(|error| ConfigError::new(error.to_string()))
        };
        // Whether keys in base64 count is said of the issuer, later.
        let (strict, set) = (read(false)?, read(true)?);
        let in_base64 = |key: &VerificationKey| !strict.keys().iter().any(|one| one.identity() == key.identity());
        if set.is_empty() {
            return Err(ConfigError::new(match set.skipped() {
                [] => "the JWK Set is empty: expected at least one key in its list keys".to_owned(),
                skipped => format!("the JWK Set holds no usable key: {}", skipped_keys(skipped)),
            }));
        }
        Ok(Self {
            keys: set
                .keys()
                .iter()
                .map(|key| GivenKey { key: Arc::clone(key), how, kid: None, in_base64: in_base64(key) })
                .collect(),
        })
    }

    /// The keys of a JWK Set in a file, read once.
    ///
    /// # Errors
    /// When the file cannot be read or is larger than 512 KiB, and as [`StaticKeys::jwk_set`].
    pub fn jwk_set_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Self::file(path.as_ref(), How::InSet)
    }

    fn file(path: &Path, how: How) -> Result<Self, ConfigError> {
        let wrong = |why: &dyn fmt::Display| ConfigError::new(format!("JWK Set file {}: {why}", path.display()));
        let bytes = crate::base::file::read(path, LARGEST).map_err(|unread| wrong(&unread))?;
        let json = std::str::from_utf8(&bytes).map_err(|_| wrong(&"not UTF-8 text"))?;
        Self::set(json, how).map_err(|error| wrong(&error))
    }

    /// A public key or certificate in PEM, for one algorithm.
    ///
    /// # Errors
    /// When the text is not PEM, the key is of another type than the algorithm needs, or too weak.
    pub fn pem(algorithm: Algorithm, pem: &str) -> Result<Self, ConfigError> {
        let key = VerificationKey::from_pem(algorithm, None, pem.as_bytes())
            .map_err(|error| ConfigError::new(format!("PEM key for {algorithm}: {error}")))?;
        Ok(Self::alone(key))
    }

    /// A secret shared with the issuer, for HS256, HS384 or HS512: the bytes as they are, not their base64.
    ///
    /// # Errors
    /// When the algorithm is not an HMAC, or the secret is shorter than its hash.
    pub fn secret(algorithm: Algorithm, secret: &[u8]) -> Result<Self, ConfigError> {
        let key = VerificationKey::from_secret(algorithm, None, secret)
            .map_err(|error| ConfigError::new(format!("secret for {algorithm}: {error}")))?;
        Ok(Self::alone(key))
    }

    /// A secret that the issuer shows as the base64url text of its bytes, as Auth0 does for old clients and APIs. Whether a secret is such a text is a setting at the
    /// issuer. It is never guessed here, because the text does not tell.
    ///
    /// # Errors
    /// When the text is not base64url (with or without padding), and as [`StaticKeys::secret`].
    pub fn base64url_secret(algorithm: Algorithm, text: &str) -> Result<Self, ConfigError> {
        let secret = crate::jose::base64url::decode(text.trim_end_matches('=').as_bytes())
            .ok_or_else(|| ConfigError::new(format!("secret for {algorithm}: not base64url text")))?;
        Self::secret(algorithm, &secret)
    }

    /// Gives the key a name: a token with this `kid` is then verified with it. For a [`secret`](Self::secret) or a [`pem`](Self::pem), before it is
    /// [joined](Self::and) with others.
    ///
    /// ```
    /// # use token_core::{Algorithm, StaticKeys};
    /// # fn example(old: &[u8], new: &[u8]) -> Result<(), token_core::ConfigError> {
    /// let secret = |bytes| StaticKeys::secret(Algorithm::HS256, bytes);
    /// let keys = secret(old)?.kid("2025").and(secret(new)?.kid("2026"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn kid(mut self, kid: impl Into<String>) -> Self {
        let kid = kid.into();
        self.keys.iter_mut().for_each(|given| given.kid = Some(kid.as_str().into()));
        self
    }

    /// These keys and the others, for example while a secret is rotated. A token without `kid`, or with one that no key has, is tried with each unnamed key for its
    /// algorithm. If one side is a [published set](Self::published_jwk_set), its rules apply to all keys.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.keys.extend(others.keys);
        self
    }

    fn alone(key: VerificationKey) -> Self {
        Self { keys: vec![GivenKey { key: Arc::new(key), how: How::Alone, kid: None, in_base64: false }] }
    }

    /// What the keys can do, or, of a published set, what is agreed by default.
    pub(crate) fn algorithms(&self) -> Algorithms {
        if self.are_published() {
            return Algorithms::DEFAULT;
        }
        self.keys.iter().flat_map(|given| given.key.algorithms().iter()).collect()
    }

    fn are_published(&self) -> bool {
        self.keys.iter().any(|given| given.how == How::Published)
    }

    /// The keys for the algorithms that were agreed with the issuer, or for those that are agreed by default.
    ///
    /// # Errors
    /// When a key could never verify a token, or nobody knows what it is for.
    pub(crate) fn agree(&self, named: Option<Algorithms>, leniency: Leniency) -> Result<Agreed, String> {
        let able = self.algorithms();
        let algorithms = match named {
            Some(named) if self.are_published() => named,
            Some(named) => named.intersection(able),
            None => able,
        };
        if algorithms.is_empty() {
            return Err("none of the allowed algorithms fits the keys".to_owned());
        }
        let secrets = named.unwrap_or(Algorithms::DEFAULT).intersection(Algorithms::HMAC);
        let mut keys = Vec::with_capacity(self.keys.len());
        let passed_over = |given: &&GivenKey| given.in_base64 && !leniency.base64;
        if self.keys.iter().all(|given| passed_over(&given)) {
            return Err(
                "its keys are in base64 or padded, expected base64url: accept_keys_in_base64 takes them".to_owned()
            );
        }
        for GivenKey { key, how, kid, .. } in self.keys.iter().filter(|given| !passed_over(given)) {
            let key = match kid {
                Some(kid) => Arc::new(key.called(kid).map_err(|error| format!("key {kid:?}: {error}"))?),
                None => Arc::clone(key),
            };
            let is_secret = !key.algorithms().intersection(Algorithms::HMAC).is_empty();
            let fits = key.algorithms().intersection(algorithms);
            match (fits.iter().count(), how) {
                (0, How::Alone) => {
                    return Err(format!(
                        "a key for {:?} could never verify a token: the allowed algorithms are {algorithms:?}",
                        key.algorithms()
                    ));
                }
                // What is published is no secret, unless the operator says that it is one.
                (_, How::Published) if is_secret && secrets.is_empty() => {}
                (0, _) if is_secret => {}
                // One algorithm a secret (RFC 8725 section 3.1): named by the key itself (RFC 7517 section 4.4), or agreed.
                (1, _) if is_secret && key.algorithms().iter().count() > 1 && !secrets.is_empty() => {
                    keys.push(Arc::new(key.only_for(fits).map_err(|error| error.to_string())?));
                }
                (_, _) if is_secret && key.algorithms().iter().count() > 1 => {
                    return Err("a secret of the JWK Set has no alg: expected exactly one of HS256, HS384 and HS512 \
                                among the allowed algorithms (algorithms), or alg in the key"
                        .to_owned());
                }
                _ => keys.push(key),
            }
        }
        if !keys.iter().any(|key| !key.algorithms().intersection(algorithms).is_empty()) {
            return Err("none of the allowed algorithms fits the keys".to_owned());
        }
        let origin = if self.are_published() { Origin::Fetched } else { Origin::Given };
        if origin == Origin::Given
            && !leniency.several_of_a_kid
            && let Some(kid) = twice(&keys)
        {
            return Err(format!(
                "two different keys are called {kid:?} and are for one algorithm: a token of that kid would never be accepted"
            ));
        }
        Ok(Agreed { keys: KeySet::from_keys(origin, keys).lenient(leniency), algorithms })
    }
}

/// A name that two different keys have for one algorithm.
fn twice(keys: &[Arc<VerificationKey>]) -> Option<&str> {
    keys.iter().enumerate().find_map(|(at, key)| {
        let kid = key.kid()?;
        let rivals = keys[..at].iter().filter(|other| other.kid() == Some(kid) && other.identity() != key.identity());
        let mut rivals = rivals.filter(|other| !other.algorithms().intersection(key.algorithms()).is_empty());
        rivals.next().map(|_| kid)
    })
}

impl fmt::Debug for StaticKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StaticKeys({} for {:?})", self.keys.len(), self.algorithms())
    }
}
