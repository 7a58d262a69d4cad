//! What an operator says of an issuer: who it is, where its keys are, which rules its tokens are held to.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::audience::Audience;
use crate::http::HttpClient;
use crate::jose::jwk_set::{KeySet, Origin};
use crate::jose::{Algorithm, Algorithms, VerificationKey};
use crate::keys::{JwksSettings, KeySource};

/// An issuer to trust, with its rules. Give it to [`ResourceServerBuilder::trust`](crate::ResourceServerBuilder::trust).
///
/// Everything has a safe default: asymmetric algorithms only, 30 s of leeway, `exp` required, https only.
///
/// ```
/// use std::time::Duration;
/// use token_core::{Algorithm, Issuer};
///
/// # fn main() -> Result<(), token_core::ConfigError> {
/// let issuer = Issuer::discover("https://login.example.com/")?
///     .algorithms([Algorithm::ES256])
///     .leeway(Duration::from_secs(5))
///     .rfc9068();
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Issuer {
    pub(crate) identifier: String,
    pub(crate) keys: KeysFrom,
    pub(crate) audience: Option<Audience>,
    pub(crate) algorithms: Option<Algorithms>,
    pub(crate) leeway: Duration,
    pub(crate) strict: bool,
    pub(crate) expiry_required: bool,
    pub(crate) loopback_http: bool,
    pub(crate) private_addresses: bool,
    pub(crate) client: Option<Arc<dyn HttpClient>>,
    pub(crate) settings: JwksSettings,
}

/// Where the keys of an issuer come from.
#[derive(Clone)]
pub(crate) enum KeysFrom {
    Discovery,
    JwksUri(String),
    Static(StaticKeys),
    Source(Arc<dyn KeySource>),
}

impl Issuer {
    /// An issuer that publishes its metadata: OpenID Connect discovery or RFC 8414, whichever it answers to. The issuer in the
    /// document must equal `identifier` byte by byte; a trailing slash matters.
    ///
    /// # Errors
    /// When `identifier` is not an absolute URL, or has a query or fragment.
    pub fn discover(identifier: impl Into<String>) -> Result<Self, ConfigError> {
        let identifier = identifier.into();
        let url = parse_url("issuer", &identifier)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(ConfigError::new(format!("issuer {identifier}: expected a URL without query and fragment")));
        }
        Ok(Self::new(identifier, KeysFrom::Discovery))
    }

    /// An issuer whose JWK Set lies at a known address.
    ///
    /// # Errors
    /// When `jwks_uri` is not an absolute URL, or `identifier` is empty.
    pub fn with_jwks_uri(identifier: impl Into<String>, jwks_uri: impl Into<String>) -> Result<Self, ConfigError> {
        let (identifier, jwks_uri) = (identifier.into(), jwks_uri.into());
        parse_url("JWK Set", &jwks_uri)?;
        Self::named(identifier, KeysFrom::JwksUri(jwks_uri))
    }

    /// An issuer whose keys are at hand; nothing is fetched, nothing is refreshed.
    ///
    /// # Errors
    /// When `identifier` is empty.
    pub fn with_keys(identifier: impl Into<String>, keys: StaticKeys) -> Result<Self, ConfigError> {
        Self::named(identifier.into(), KeysFrom::Static(keys))
    }

    /// An issuer whose JWK Set comes from a source of the caller's; the cache around it is ours.
    ///
    /// # Errors
    /// When `identifier` is empty.
    pub fn with_source(identifier: impl Into<String>, source: Arc<dyn KeySource>) -> Result<Self, ConfigError> {
        Self::named(identifier.into(), KeysFrom::Source(source))
    }

    fn named(identifier: String, keys: KeysFrom) -> Result<Self, ConfigError> {
        if identifier.is_empty() {
            return Err(ConfigError::new("the issuer's identifier is empty"));
        }
        Ok(Self::new(identifier, keys))
    }

    fn new(identifier: String, keys: KeysFrom) -> Self {
        Self {
            identifier,
            keys,
            audience: None,
            algorithms: None,
            leeway: Duration::from_secs(30),
            strict: false,
            expiry_required: true,
            loopback_http: false,
            private_addresses: false,
            client: None,
            settings: JwksSettings::default(),
        }
    }

    /// Another audience for this issuer than the server's own.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<Audience>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// The signature algorithms agreed with this issuer. Default: [`Algorithms::DEFAULT`], or those of static keys.
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = Some(algorithms.into_iter().collect());
        self
    }

    /// How far clocks may differ: `exp` and `nbf` are off by up to this. Default 30 s, at most 5 min.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// RFC 9068 only: the header must say `at+jwt`; `sub`, `client_id`, `iat` and `jti` must be there.
    #[must_use]
    pub fn rfc9068(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Takes tokens that have no `exp` and so never end. Revoking one means removing its key.
    #[must_use]
    pub fn dangerously_accept_tokens_without_expiry(mut self) -> Self {
        self.expiry_required = false;
        self
    }

    /// Lets the keys be fetched over plain http from this very machine, as development issuers offer them.
    #[must_use]
    pub fn allow_loopback_http(mut self) -> Self {
        self.loopback_http = true;
        self
    }

    /// Lets the keys be fetched from private and link-local addresses, as inside a cluster.
    #[must_use]
    pub fn allow_private_addresses(mut self) -> Self {
        self.private_addresses = true;
        self
    }

    /// Fetches through this client: for a proxy, a private authority, a client certificate. Its guards are then its own.
    #[must_use]
    pub fn http_client(mut self, client: Arc<dyn HttpClient>) -> Self {
        self.client = Some(client);
        self
    }

    /// Other times and bounds for the JWK Set cache.
    #[must_use]
    pub fn jwks_settings(mut self, settings: JwksSettings) -> Self {
        self.settings = settings;
        self
    }
}

pub(crate) fn parse_url(what: &str, text: &str) -> Result<Url, ConfigError> {
    match Url::parse(text) {
        Ok(url) if url.has_host() && matches!(url.scheme(), "https" | "http") => Ok(url),
        Ok(_) => Err(ConfigError::new(format!("{what} {text}: expected an https URL"))),
        Err(error) => Err(ConfigError::new(format!("{what} {text}: expected an absolute URL: {error}"))),
    }
}

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
    /// When the file cannot be read, and as [`StaticKeys::jwk_set`].
    pub fn jwk_set_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let json = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::new(format!("JWK Set file {}: {error}", path.display())))?;
        Self::jwk_set(&json)
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

    /// These keys and those.
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

impl fmt::Debug for KeysFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discovery => f.write_str("Discovery"),
            Self::JwksUri(uri) => write!(f, "JwksUri({uri})"),
            Self::Static(keys) => keys.fmt(f),
            Self::Source(source) => source.fmt(f),
        }
    }
}

/// A configuration that no safe verifier can be built from, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl ConfigError {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}
