//! API keys: the text that a client sends as its token in; its owner and scopes out. Stored as digests, looked up by
//! name, compared in constant time.
//!
//! A key such as `acme_ci_4rV…` consists of the prefix that all keys of an API share, the key's name, an underscore,
//! and a secret. The name may be shown and logged; the secret is stored only as a digest. For handlers, a request with
//! an API key looks like any other: it has a `Verified` with scopes and claims.
//!
//! ```
//! use token_core::opaque::api_keys::{ApiKey, MemoryApiKeys, digest};
//! use token_core::{Issuer, ResourceServer};
//!
//! # fn main() -> Result<(), token_core::ConfigError> {
//! # let text = "acme_ci_0123456789abcdef0123456789abcdef";
//! let keys = MemoryApiKeys::new([ApiKey::new("ci", "ci-bot").scopes(["books:read"]).secret(digest(text))]);
//! let api = ResourceServer::builder("https://api.example.com")
//!     .trust(Issuer::discover("https://login.example.com/")?)
//!     .trust(Issuer::api_keys("https://api.example.com/keys", "acme_", keys)?)
//!     .build()?;
//! # Ok(()) }
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Map, Value};

use super::{OpaqueAnswer, OpaqueError, OpaqueVerifier};
use crate::base::config_error::ConfigError;
use crate::base::http::BoxFuture;
use crate::base::time::Timestamp;
use crate::jose::signature::{random, sha256};
use crate::jose::thumbprint::same;
use crate::stores::StoreError;

/// The shortest accepted secret, in characters. A shorter one could be guessed from its digest, so keys with one are
/// refused.
pub const SHORTEST_SECRET: usize = 32;

/// Returns the SHA-256 of a whole key, including its prefix and name; this is what is stored. A fast hash is sufficient
/// because the secret is long and random, unlike a password. On a command line: `printf %s "$KEY" | sha256sum`.
#[must_use]
pub fn digest(text: &str) -> [u8; 32] {
    sha256(text.as_bytes())
}

/// Generates the text of a new key: the prefix, its name, and 256 random bits in hexadecimal. Give it to its owner and
/// store its [`digest`]; the text cannot be recovered later.
///
/// ```
/// use token_core::opaque::api_keys::{ApiKey, digest, generate};
///
/// # fn main() -> Result<(), token_core::ConfigError> {
/// let text = generate("acme_", "ci")?;
/// assert!(text.starts_with("acme_ci_"));
/// let kept = ApiKey::new("ci", "ci-bot").scopes(["books:read"]).secret(digest(&text));
/// # let _ = kept; Ok(()) }
/// ```
///
/// # Errors
/// [`ConfigError`] if the prefix or the name is not allowed, or if the operating system provides no random bytes.
pub fn generate(prefix: &str, id: &str) -> Result<String, ConfigError> {
    if !is_prefix(prefix) {
        return Err(ConfigError::new(PREFIX));
    }
    if !is_id(id) {
        return Err(ConfigError::new("expected a name of letters, digits, dashes and dots, at most 64, such as ci"));
    }
    let random = random().ok_or_else(|| ConfigError::new("the operating system gives no random bytes for a key"))?;
    let secret: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{prefix}{id}_{secret}"))
}

/// The requirements on a prefix, for error texts.
pub(crate) const PREFIX: &str =
    "expected API keys to begin with a prefix of letters, digits, dashes, dots and underscores, such as acme_";

/// Whether this is an allowed prefix.
pub(crate) fn is_prefix(prefix: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !prefix.is_empty() && prefix.bytes().all(fits)
}

/// One API key, as it is stored.
#[derive(Clone, PartialEq)]
pub struct ApiKey {
    id: Box<str>,
    subject: Box<str>,
    scopes: Vec<Box<str>>,
    claims: Map<String, Value>,
    secrets: Vec<Secret>,
    expires: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Secret {
    digest: [u8; 32],
    expires: Option<Timestamp>,
}

impl ApiKey {
    /// A key with this name (letters, digits, dashes and dots) for this subject. It is unusable until it has a
    /// [`secret`](Self::secret).
    #[must_use]
    pub fn new(id: impl Into<Box<str>>, subject: impl Into<Box<str>>) -> Self {
        let (id, subject) = (id.into(), subject.into());
        Self { id, subject, scopes: Vec::new(), claims: Map::new(), secrets: Vec::new(), expires: None }
    }

    /// Sets the scopes that the key grants.
    #[must_use]
    pub fn scopes<S: Into<Box<str>>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes.extend(scopes.into_iter().map(Into::into));
        self
    }

    /// Adds a claim for handlers to read. `iss`, `sub`, `scope`, `jti`, `exp` and `client_id` are set by the key itself
    /// and cannot be overridden.
    #[must_use]
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// Adds an accepted secret, as [`digest`]. A key may have several, so that it can be rotated.
    #[must_use]
    pub fn secret(mut self, digest: [u8; 32]) -> Self {
        self.secrets.push(Secret { digest, expires: None });
        self
    }

    /// Adds a secret that is accepted until `expires`: the old one, while clients switch to the new one.
    #[must_use]
    pub fn secret_until(mut self, digest: [u8; 32], expires: Timestamp) -> Self {
        self.secrets.push(Secret { digest, expires: Some(expires) });
        self
    }

    /// Sets when the key itself expires, whatever its secrets.
    #[must_use]
    pub fn expires(mut self, expires: Timestamp) -> Self {
        self.expires = Some(expires);
        self
    }

    /// The name of the key.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Until when `digest` is accepted; `None` if it is not. All secrets are compared, even after a match, so that the
    /// time taken reveals nothing.
    fn opened_by(&self, digest: &[u8; 32], now: Timestamp) -> Option<Timestamp> {
        let mut until = None;
        for secret in &self.secrets {
            let end = secret.expires.unwrap_or(Timestamp::MAX).min(self.expires.unwrap_or(Timestamp::MAX));
            if same(&secret.digest, digest) && now < end {
                until = until.max(Some(end));
            }
        }
        until
    }

    fn claims_json(&self, issuer: &str, until: Timestamp) -> String {
        let mut claims = self.claims.clone();
        for own in ["aud", "nbf", "iat", "cnf", "typ", "token_use"] {
            claims.remove(own);
        }
        let scope = self.scopes.join(" ");
        for (name, value) in
            [("iss", issuer), ("sub", &self.subject), ("client_id", &self.id), ("jti", &self.id), ("scope", &scope)]
        {
            claims.insert(name.to_owned(), value.into());
        }
        claims.remove("exp");
        if until < Timestamp::MAX {
            claims.insert("exp".to_owned(), until.as_secs().into());
        }
        Value::Object(claims).to_string()
    }
}

// Digests are of no use to a reader, and claims are personal data.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A key as data.
pub(crate) struct Said<'k> {
    pub(crate) subject: &'k str,
    pub(crate) scopes: &'k [Box<str>],
    pub(crate) secrets: Vec<([u8; 32], Option<Timestamp>)>,
    pub(crate) expires: Option<Timestamp>,
}

impl ApiKey {
    /// The key as data for a policy; `None` if it has claims, which a policy cannot contain.
    pub(crate) fn said(&self) -> Option<Said<'_>> {
        let secrets = self.secrets.iter().map(|secret| (secret.digest, secret.expires)).collect();
        let said = Said { subject: &self.subject, scopes: &self.scopes, secrets, expires: self.expires };
        self.claims.is_empty().then_some(said)
    }
}

/// A store of API keys. It is asked by name, and never sees a secret.
pub trait ApiKeyStore: fmt::Debug + Send + Sync + 'static {
    /// Returns the key with this name, if there is one. The name comes from an unauthenticated client: it consists of
    /// allowed characters, at most 64 of them, and nothing else was checked.
    ///
    /// # Errors
    /// [`StoreError`] if the store does not answer. The caller gets 503.
    fn find<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<ApiKey>, StoreError>>;
}

/// API keys in the memory of this process. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryApiKeys(Arc<RwLock<BTreeMap<Box<str>, ApiKey>>>);

impl MemoryApiKeys {
    /// A store with these keys. If two have the same name, the later one is used.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = ApiKey>) -> Self {
        Self(Arc::new(RwLock::new(keys.into_iter().map(|key| (key.id.clone(), key)).collect())))
    }

    pub(crate) fn all(&self) -> Vec<ApiKey> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Adds a key, replacing one with the same name.
    pub fn insert(&self, key: ApiKey) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(key.id.clone(), key);
    }

    /// Removes a key, and returns whether it existed. An earlier successful check may be reused for up to
    /// [`active_life`](super::OpaqueTokens::active_life); to end that immediately,
    /// [`evict`](crate::ResourceServer::evict) its client, which is the name of the key.
    #[must_use]
    pub fn remove(&self, id: &str) -> bool {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(id).is_some()
    }
}

impl ApiKeyStore for MemoryApiKeys {
    fn find<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<ApiKey>, StoreError>> {
        let found = self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        Box::pin(std::future::ready(Ok(found)))
    }
}

impl fmt::Debug for MemoryApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        write!(f, "MemoryApiKeys({} of them)", keys.len())
    }
}

/// The longest name that is looked up.
const LONGEST_ID: usize = 64;

/// Looks up and compares keys, in place of an endpoint.
#[derive(Debug)]
pub(crate) struct Keyring {
    identity: Box<str>,
    issuer: Box<str>,
    prefix: Box<str>,
    store: Arc<dyn ApiKeyStore>,
}

impl Keyring {
    /// The keys' prefix is the only element of `prefixes`.
    pub(crate) fn new(issuer: &str, prefixes: &[String], store: Arc<dyn ApiKeyStore>) -> Self {
        let prefix = prefixes.first().map_or("", String::as_str);
        let identity = format!("api keys of {issuer} {prefix}").into();
        Self { identity, issuer: issuer.into(), prefix: prefix.into(), store }
    }

    /// The name in the text of a key, if it can be a key.
    fn id<'t>(&self, text: &'t str) -> Option<&'t str> {
        let (id, secret) = text.strip_prefix(&*self.prefix)?.split_once('_')?;
        (is_id(id) && secret.len() >= SHORTEST_SECRET).then_some(id)
    }
}

/// Whether this is an allowed name.
pub(crate) fn is_id(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    !id.is_empty() && id.len() <= LONGEST_ID && id.bytes().all(fits)
}

impl OpaqueVerifier for Keyring {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn ask<'a>(&'a self, token: &'a str, now: Timestamp) -> BoxFuture<'a, Result<OpaqueAnswer, OpaqueError>> {
        Box::pin(async move {
            let Some(id) = self.id(token) else { return Ok(OpaqueAnswer::Inactive) };
            let found = self.store.find(id).await.map_err(|error| {
                tracing::warn!(name: "token.api_keys.unreachable", %error, "the store of API keys does not answer");
                OpaqueError::Misconfigured("the store of API keys does not answer")
            })?;
            let digest = digest(token);
            // A store that finds a key under another name than it was asked for opens nothing.
            let opened = found.filter(|key| &*key.id == id).and_then(|key| Some((key.opened_by(&digest, now)?, key)));
            Ok(opened.map_or(OpaqueAnswer::Inactive, |(until, key)| {
                OpaqueAnswer::Claims(key.claims_json(&self.issuer, until))
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "acme_ci_0123456789abcdef0123456789abcdef";
    const NEW: &str = "acme_ci_fedcba9876543210fedcba9876543210";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    async fn ask(keys: MemoryApiKeys, text: &str, now: i64) -> Option<Value> {
        let ring = Keyring::new("https://a.example/keys", &["acme_".to_owned()], Arc::new(keys));
        match ring.ask(text, at(now)).await.unwrap() {
            OpaqueAnswer::Claims(json) => Some(serde_json::from_str(&json).unwrap()),
            _ => None,
        }
    }

    #[tokio::test]
    async fn a_new_key_opens_what_its_digest_was_kept_for() {
        let (text, other) = (generate("acme_", "ci").unwrap(), generate("acme_", "ci").unwrap());
        assert_eq!((text.len(), text == other), ("acme_ci_".len() + 64, false));
        let keys = MemoryApiKeys::new([ApiKey::new("ci", "ci-bot").secret(digest(&text))]);
        assert!(ask(keys.clone(), &text, 0).await.is_some() && ask(keys, &other, 0).await.is_none());
        for (prefix, id, why) in
            [("", "ci", "prefix"), ("a b", "ci", "prefix"), ("acme_", "", "name"), ("acme_", "c_i", "name")]
        {
            assert!(generate(prefix, id).unwrap_err().to_string().contains(why), "{prefix} {id}");
        }
    }

    #[tokio::test]
    async fn a_key_is_rotated_with_an_overlap() {
        let key = ApiKey::new("ci", "ci-bot").secret_until(digest(OLD), at(100)).secret(digest(NEW)).expires(at(1000));
        for (text, now, until) in
            [(OLD, 99, Some(100)), (OLD, 100, None), (NEW, 99, Some(1000)), (NEW, 999, Some(1000)), (NEW, 1000, None)]
        {
            let claims = ask(MemoryApiKeys::new([key.clone()]), text, now).await;
            assert_eq!(claims.map(|claims| claims["exp"].as_i64().unwrap()), until, "{now}");
        }
    }

    #[tokio::test]
    async fn a_key_says_whose_it_is_and_its_own_claims_cannot_be_replaced() {
        let key = ApiKey::new("ci", "ci-bot")
            .scopes(["a", "b"])
            .claim("team", "books")
            .claim("sub", "root")
            .claim("scope", "all");
        let key = key.claim("exp", 1).claim("cnf", 1).secret(digest(OLD));
        let claims = ask(MemoryApiKeys::new([key]), OLD, 0).await.unwrap();
        let expected = serde_json::json!({
            "iss": "https://a.example/keys", "sub": "ci-bot", "client_id": "ci", "jti": "ci", "scope": "a b", "team": "books",
        });
        assert_eq!(claims, expected);
    }

    #[tokio::test]
    async fn what_is_no_key_of_ours_opens_nothing() {
        let key = ApiKey::new("ci", "ci-bot")
            .secret(digest(OLD))
            .secret(digest("acme_ci_short"))
            .secret(digest("acme_c/i_0123456789abcdef0123456789abcdef"));
        let long = format!("acme_{}_0123456789abcdef0123456789abcdef", "a".repeat(65));
        for text in [
            NEW,
            "acme_ci_short",
            "acme_ci_",
            "acme_ci",
            "acme_",
            "",
            "acme_CI_0123456789abcdef0123456789abcdef",
            "acme_cj_0123456789abcdef0123456789abcdef",
            "other_ci_0123456789abcdef0123456789abcdef",
            "acme_c/i_0123456789abcdef0123456789abcdef",
            "acme__0123456789abcdef0123456789abcdef",
            &long,
            &OLD[..OLD.len() - 1],
        ] {
            assert_eq!(ask(MemoryApiKeys::new([key.clone()]), text, 0).await, None, "{text}");
        }
        assert_eq!(ask(MemoryApiKeys::new([ApiKey::new("ci", "ci-bot")]), OLD, 0).await, None, "no secret opens it");
    }

    #[test]
    fn neither_secret_nor_claim_is_shown() {
        let key = ApiKey::new("ci", "canary").claim("canary", "canary").secret(digest(OLD));
        let keys = MemoryApiKeys::new([key.clone()]);
        assert!(!format!("{key:?} {keys:?} {:?}", Keyring::new("a", &[], Arc::new(keys.clone()))).contains("canary"));
        assert!(keys.remove("ci") && !keys.remove("ci"));
    }
}
