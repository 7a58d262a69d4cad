//! Issuer metadata: an issuer in, its endpoints out (OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3).

mod metadata;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{Request, Uri};
use tokio::time::Instant;
use tracing::Instrument;

use crate::base::http::address::{PlainHttp, endpoint, origin};
use crate::base::http::{HttpClient, HttpError, Limits};
use crate::base::patience::within;
use crate::base::telemetry;

pub use metadata::{Metadata, MtlsEndpointAliases, process_metadata};

/// All places together are asked for no longer.
const LONGEST: Duration = Duration::from_secs(15);
/// How long a document is believed without reading it again.
const KEPT: Duration = Duration::from_secs(86_400);

/// The metadata of one issuer, read when first asked for and kept for a day.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use token_core::http::HttpClient;
/// # async fn example(client: Arc<dyn HttpClient>) -> Result<(), Box<dyn std::error::Error>> {
/// use token_core::keys::discovery::Discovery;
///
/// let discovery = Discovery::new("https://login.example.com/", client)?;
/// let metadata = discovery.metadata().await?;
/// println!("{:?}", metadata.jwks_uri);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Discovery {
    issuer: Box<str>,
    urls: Vec<Uri>,
    /// Everything is asked here, whatever the document says.
    reached_at: Option<Uri>,
    plain_http: PlainHttp,
    client: Arc<dyn HttpClient>,
    kept: Mutex<Option<(Arc<Metadata>, Instant)>>,
}

impl Discovery {
    /// For `issuer`, compared byte by byte with what the document says; nothing is fetched yet.
    ///
    /// # Errors
    /// [`DiscoveryError::Insecure`] when the issuer is not an https URL without query, fragment and credentials. Plain http
    /// is for loopback hosts only, and the client has to allow it too.
    pub fn new(issuer: &str, client: Arc<dyn HttpClient>) -> Result<Self, DiscoveryError> {
        let urls = well_known_urls(issuer)?;
        Ok(Self::of(issuer, urls, PlainHttp::from(issuer.starts_with("http://")), client))
    }

    fn of(issuer: &str, urls: Vec<Uri>, plain_http: PlainHttp, client: Arc<dyn HttpClient>) -> Self {
        Self { issuer: issuer.into(), urls, reached_at: None, plain_http, client, kept: Mutex::new(None) }
    }

    /// For an issuer that is asked at other addresses than its name says, as inside a cluster; nothing is fetched yet. `issuer` is then a name
    /// that is compared, and never asked; it may be plain http, too.
    ///
    /// Where plain http may lead is a matter of the client: one of ours allows it only where
    /// [`dangerously_allow_plain_http`](crate::http::ReqwestClientBuilder::dangerously_allow_plain_http) or `allow_loopback_http` says so.
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// # use token_core::http::HttpClient;
    /// # fn example(client: Arc<dyn HttpClient>) -> Result<(), Box<dyn std::error::Error>> {
    /// use token_core::keys::discovery::{Discovery, Reach};
    ///
    /// let reach = Reach::default().reached_at("https://keycloak.internal:8443");
    /// let discovery = Discovery::elsewhere("https://login.example.com/realms/shop", &reach, client)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`DiscoveryError::Insecure`] when an address in `reach` is none, or there is only an origin and `issuer` is no URL that it could
    /// take the place in.
    pub fn elsewhere(issuer: &str, reach: &Reach, client: Arc<dyn HttpClient>) -> Result<Self, DiscoveryError> {
        let insecure =
            |what| move |why: crate::base::http::address::AddressRefused| DiscoveryError::Insecure { what, why: why.0 };
        let inside = PlainHttp::Inside;
        let reached_at =
            reach.origin.as_deref().map(|at| origin(at, inside)).transpose().map_err(insecure("reached_at"))?;
        let metadata = reach.metadata_url.as_deref().map(|at| endpoint(at, inside)).transpose();
        let (urls, plain) = match (metadata.map_err(insecure("metadata_url"))?, &reached_at) {
            (Some(url), _) => (vec![uri(url.as_str())?], url.scheme() == "http"),
            (None, Some(origin)) => {
                let places = places(issuer, inside)?.into_iter().map(|place| at_origin(&place, &uri(origin.as_str())?));
                (places.collect::<Result<_, _>>()?, origin.scheme() == "http")
            }
            (None, None) if reach.plain_http => (places(issuer, inside)?, issuer.starts_with("http://")),
            (None, None) => return Self::new(issuer, client),
        };
        let plain_http = match (plain, reach.plain_http) {
            (_, true) => inside,
            // A document that is read over TLS must not be able to point us at this machine.
            (plain, false) => PlainHttp::from(plain),
        };
        let mut discovery = Self::of(issuer, urls, plain_http, client);
        discovery.reached_at = reached_at.map(|origin| uri(origin.as_str())).transpose()?;
        Ok(discovery)
    }

    /// Reads the document from this URL only, for an issuer that publishes it somewhere else. Its `issuer` is compared all the same.
    ///
    /// # Errors
    /// [`DiscoveryError::Insecure`] when `url` is not https (or plain http to loopback).
    pub fn read_from(mut self, url: &str) -> Result<Self, DiscoveryError> {
        let url = endpoint(url, true).map_err(|why| DiscoveryError::Insecure { what: "metadata url", why: why.0 })?;
        self.urls = vec![uri(url.as_str())?];
        Ok(self)
    }

    pub(crate) fn client(&self) -> &dyn HttpClient {
        &*self.client
    }

    /// The issuer, as it was given.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The metadata: what is kept if it is younger than a day, else read anew.
    ///
    /// # Errors
    /// [`DiscoveryError`], of a time-out after 15 s in all; what was kept before and is too old is not served.
    pub async fn metadata(&self) -> Result<Arc<Metadata>, DiscoveryError> {
        if let Some((metadata, read_at)) = &*self.kept.lock().unwrap_or_else(PoisonError::into_inner)
            && read_at.elapsed() < KEPT
        {
            return Ok(Arc::clone(metadata));
        }
        let span = telemetry::discovery_span(&self.issuer);
        let read = within(LONGEST, self.read()).instrument(span.clone()).await;
        let read = read.unwrap_or(Err(DiscoveryError::Http(HttpError::Timeout)));
        span.record("outcome", read.as_ref().map_or_else(DiscoveryError::outcome, |_| "ok"));
        let metadata = Arc::new(read?);
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((Arc::clone(&metadata), Instant::now()));
        Ok(metadata)
    }

    /// Reads the document again next time: something it says turned out not to hold.
    pub fn forget(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Tries the well-known places in turn. An issuer that is down is not asked four times.
    async fn read(&self) -> Result<Metadata, DiscoveryError> {
        let mut worst: Option<DiscoveryError> = None;
        for url in &self.urls {
            let mut request = Request::new(Bytes::new());
            *request.uri_mut() = url.clone();
            request.headers_mut().insert(ACCEPT, http::HeaderValue::from_static("application/json"));
            let response = self.client.send(request, Limits::default()).await.map_err(DiscoveryError::Http)?;
            // What is asked in the place of a `jwks_uri` has been judged already.
            let keys_plain_http = self.reached_at.as_ref().map_or(self.plain_http, |_| PlainHttp::Inside);
            let judged = metadata::process(&self.issuer, (keys_plain_http, self.plain_http), &response);
            let judged = judged.map_err(|error| error.asked_at(url));
            match judged.and_then(|metadata| self.moved(metadata)) {
                Ok(metadata) => return Ok(metadata),
                Err(error @ DiscoveryError::Status { status: 429 | 502..=504, .. }) => return Err(error),
                Err(error) if worst.as_ref().is_none_or(|worst| worst.weight() < error.weight()) => worst = Some(error),
                Err(_) => {}
            }
        }
        Err(worst.unwrap_or(DiscoveryError::Unparsable))
    }
}

impl Discovery {
    /// The metadata with the place of the JWK Set at the origin where the issuer is reached. What else the document names is for clients
    /// outside, and stays.
    fn moved(&self, mut metadata: Metadata) -> Result<Metadata, DiscoveryError> {
        if let (Some(origin), Some(jwks_uri)) = (&self.reached_at, &metadata.jwks_uri) {
            metadata.jwks_uri = Some(at_origin(&uri(jwks_uri)?, origin)?.to_string());
        }
        Ok(metadata)
    }
}

/// `url` at another origin: path and query stay.
fn at_origin(url: &Uri, origin: &Uri) -> Result<Uri, DiscoveryError> {
    let mut parts = origin.clone().into_parts();
    parts.path_and_query = url.path_and_query().cloned();
    Uri::from_parts(parts).map_err(|_| DiscoveryError::Insecure { what: "url", why: "not a uri".to_owned() })
}

/// Where an issuer is asked, if that is not where its name points. The issuer's name stays what tokens and documents have to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    pub(crate) metadata_url: Option<String>,
    pub(crate) origin: Option<String>,
    pub(crate) plain_http: bool,
}

impl Reach {
    /// The document lies at this address. The JWK Set is fetched from where the document says.
    #[must_use]
    pub fn metadata_url(mut self, url: impl Into<String>) -> Self {
        self.metadata_url = Some(url.into());
        self
    }

    /// Document and JWK Set are fetched from this origin, `https://keycloak.internal:8443`, and from nowhere else: it takes the place of scheme,
    /// host and port in the issuer's name, and in the `jwks_uri` of the document. Paths stay.
    #[must_use]
    pub fn reached_at(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Lets the document name a `jwks_uri` with plain http. The client has to allow that, too.
    #[must_use]
    pub fn dangerously_allow_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }
}

/// Where the metadata of `issuer` may be, in the order in which the places are tried.
///
/// Without a path: `/.well-known/openid-configuration`, then `/.well-known/oauth-authorization-server`. With a path, first
/// OpenID Connect's place (the well-known part appended), then RFC 8414's (inserted between host and path) for both names,
/// then the appended `oauth-authorization-server`, which no specification names and some servers use.
///
/// ```
/// use token_core::keys::discovery::well_known_urls;
///
/// let urls = well_known_urls("https://id.example/realms/a")?;
/// assert_eq!(urls[0], "https://id.example/realms/a/.well-known/openid-configuration");
/// assert_eq!(urls[1], "https://id.example/.well-known/oauth-authorization-server/realms/a");
/// # Ok::<(), token_core::keys::discovery::DiscoveryError>(())
/// ```
///
/// # Errors
/// [`DiscoveryError::Insecure`] when `issuer` is not an https URL (or plain http to loopback) without query, fragment and credentials.
pub fn well_known_urls(issuer: &str) -> Result<Vec<Uri>, DiscoveryError> {
    places(issuer, PlainHttp::Loopback)
}

fn places(issuer: &str, plain_http: PlainHttp) -> Result<Vec<Uri>, DiscoveryError> {
    const OPENID: &str = "/.well-known/openid-configuration";
    const OAUTH: &str = "/.well-known/oauth-authorization-server";
    let refuse = |why: String| DiscoveryError::Insecure { what: "issuer", why };
    if let Some(issuer) = issuer_of_document(issuer) {
        return Err(refuse(not_the_document(&issuer)));
    }
    let url = endpoint(issuer, plain_http).map_err(|why| refuse(why.0))?;
    if url.query().is_some() {
        return Err(refuse("a url with a query".to_owned()));
    }
    let path = url.path().trim_end_matches('/');
    let origin = &url[..url::Position::BeforePath];
    let paths = if path.is_empty() {
        vec![OPENID.to_owned(), OAUTH.to_owned()]
    } else {
        vec![format!("{path}{OPENID}"), format!("{OAUTH}{path}"), format!("{OPENID}{path}"), format!("{path}{OAUTH}")]
    };
    paths.into_iter().map(|path| uri(&format!("{origin}{path}"))).collect()
}

/// The issuer whose metadata lie at `url`, where that is the address of a metadata document: somebody copied the one for the other.
pub(crate) fn issuer_of_document(url: &str) -> Option<String> {
    let names = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];
    let (before, behind) = names.iter().find_map(|name| url.split_once(name))?;
    (behind.is_empty() || behind.starts_with('/')).then(|| format!("{before}{}", behind.trim_end_matches('/')))
}

/// What is said of it.
pub(crate) fn not_the_document(issuer: &str) -> String {
    format!(
        "the address of a metadata document; write the issuer, {issuer}, byte by byte as the document has it (it may end with a slash)"
    )
}

fn uri(text: &str) -> Result<Uri, DiscoveryError> {
    text.parse().map_err(|_| DiscoveryError::Insecure { what: "url", why: "not a uri".to_owned() })
}

/// Why the metadata of an issuer could not be had. The texts hold no part of the document but its issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// No complete answer.
    Http(HttpError),
    /// An answer of another status than 200. Redirects are not followed.
    Status {
        /// The status code.
        status: u16,
        /// What `Retry-After` asks for.
        retry_after: Option<Duration>,
    },
    /// The document is no JSON object of the known form, or has no `issuer`.
    Unparsable,
    /// The document is of another issuer.
    IssuerMismatch {
        /// The issuer that was configured.
        expected: String,
        /// The issuer that the document names, cut off after 200 characters.
        found: String,
    },
    /// The document names its issuer by the address at which it was asked, which is not the issuer's: the server goes by what each request calls it.
    NamedByAddress {
        /// The issuer that was configured.
        expected: String,
        /// The issuer that the document names, cut off after 200 characters.
        found: String,
    },
    /// A URL that is not https, or not a URL.
    Insecure {
        /// Which one.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The document does not name an endpoint that is needed.
    Missing(&'static str),
}

impl DiscoveryError {
    /// The reason as one word, for spans.
    fn outcome(&self) -> &'static str {
        match self {
            Self::Http(HttpError::Timeout) => "timeout",
            Self::Http(HttpError::Forbidden(_)) | Self::Insecure { .. } => "forbidden",
            Self::Http(_) => "network",
            Self::Status { .. } => "status",
            Self::Unparsable => "unparsable",
            Self::IssuerMismatch { .. } | Self::NamedByAddress { .. } => "issuer_mismatch",
            Self::Missing(_) => "missing_endpoint",
        }
    }

    /// The same of a document that was read at `url`.
    fn asked_at(self, url: &Uri) -> Self {
        match self {
            Self::IssuerMismatch { expected, found }
                if two_addresses(&found, &expected).is_some() && is_origin_of(url, &found) =>
            {
                Self::NamedByAddress { expected, found }
            }
            error => error,
        }
    }

    /// Which of several errors tells the operator most.
    fn weight(&self) -> u8 {
        match self {
            Self::Status { .. } => 1,
            Self::Unparsable => 2,
            _ => 3,
        }
    }
}

/// The origin of `configured`, where it differs from the issuer that a document names by that alone.
pub(crate) fn two_addresses(named: &str, configured: &str) -> Option<String> {
    let parse = |text: &str| url::Url::parse(text).ok().filter(url::Url::has_host);
    let (named, configured) = (parse(named)?, parse(configured)?);
    let origin = |url: &url::Url| url.origin().ascii_serialization();
    let path = |url: &url::Url| url.path().trim_end_matches('/').to_owned();
    (origin(&named) != origin(&configured) && path(&named) == path(&configured)).then(|| origin(&configured))
}

/// Whether scheme, host and port of both are the same.
fn is_origin_of(url: &Uri, issuer: &str) -> bool {
    let origin = |text: &str| url::Url::parse(text).ok().map(|url| url.origin());
    origin(&url.to_string()).is_some_and(|asked| Some(asked) == origin(issuer))
}

impl fmt::Display for DiscoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(error) => write!(f, "metadata not reachable: {error}"),
            Self::Status { status: 300..=399, .. } => {
                f.write_str("metadata answered with a redirect, which is not followed")
            }
            Self::Status { status, .. } => write!(f, "metadata answered with status {status}"),
            Self::Unparsable => f.write_str("metadata is not a JSON object with an issuer"),
            Self::IssuerMismatch { expected, found } => {
                write!(
                    f,
                    "metadata is of issuer {found:?}, configured is {expected:?}; they must be equal byte by byte"
                )?;
                match two_addresses(found, expected) {
                    Some(origin) => write!(
                        f,
                        "; if this is one issuer with two addresses, trust the one that tokens name, {found:?}, and let reached_at be {origin}, in code \
                         or in the policy, or by --reached-at on the command line"
                    ),
                    None => Ok(()),
                }
            }
            Self::NamedByAddress { expected, found } => write!(
                f,
                "metadata is of issuer {found:?}, which is only where it was asked, configured is {expected:?}: the server takes its name from each \
                 request; set its public address there (Keycloak: hostname), so that the document names it wherever it is read"
            ),
            Self::Insecure { what, why } => write!(f, "{what} not allowed: {why}"),
            Self::Missing(what) => write!(f, "metadata names no {what}"),
        }
    }
}

impl std::error::Error for DiscoveryError {}
