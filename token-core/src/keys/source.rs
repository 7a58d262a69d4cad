//! Where a JWK Set is fetched from: an issuer or a URL in, the bytes of the set and how long they stay fresh out (RFC 7517, 9111).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_ENCODING};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};

use crate::base::http::address::{PlainHttp, endpoint};
use crate::base::http::freshness::{max_age, retry_after, server_time};
use crate::base::http::{BoxFuture, HttpClient, HttpError, Limits};
use crate::base::runtime::NoRuntime;
use crate::base::time::Timestamp;
use crate::keys::discovery::{Discovery, DiscoveryError};

/// Fetches the JWK Set of one issuer. Caching, refreshing, retrying and parsing are done by the one who calls it.
///
/// A fetch runs in a task of its own, one at a time for each issuer. It is given up after
/// [`JwksSettings::fetch_timeout`](crate::keys::JwksSettings::fetch_timeout); a panic in it counts as a failure.
pub trait KeySource: fmt::Debug + Send + Sync + 'static {
    /// Fetches the set as it is now.
    ///
    /// # Errors
    /// [`FetchError`]; which one decides whether an older set may go on serving.
    fn fetch(&self) -> BoxFuture<'_, Result<FetchedKeys, FetchError>>;

    /// A token names this key, which is not in the set, and passed every check that needs no key. For sources that can only be asked for one key
    /// at a time; a fetch may follow. The name is whatever a stranger wrote.
    fn wanted(&self, _kid: &str) {}

    /// Whether there is nothing to fetch before a token [wants](Self::wanted) it. Such a source is not asked at the start.
    fn idle(&self) -> bool {
        false
    }

    /// What was fetched last turned out to hold no usable key. A source that keeps things between fetches forgets them.
    fn rejected(&self) {}
}

/// The bytes of a JWK Set and what the server said about time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchedKeys {
    /// The document, as it came.
    pub jwk_set: Bytes,
    /// How long the server allows it to be kept; `None` if it does not say.
    pub max_age: Option<Duration>,
    /// The server's clock when it answered.
    pub server_time: Option<Timestamp>,
}

impl FetchedKeys {
    /// A document about whose freshness nothing is known.
    #[must_use]
    pub fn new(jwk_set: impl Into<Bytes>) -> Self {
        Self { jwk_set: jwk_set.into(), max_age: None, server_time: None }
    }

    /// The same with a fresh time. It is held within the bounds of [`JwksSettings`](crate::keys::JwksSettings).
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }
}

/// Why no JWK Set came back. The texts hold nothing of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchError {
    /// No complete answer.
    Http(HttpError),
    /// An answer of another status than 200. Redirects are not followed.
    Status {
        /// The status code.
        status: u16,
        /// What `Retry-After` asks for.
        retry_after: Option<Duration>,
    },
    /// The answer is no JWK Set.
    Unparsable(&'static str),
    /// The answer is a JWK Set of which no key is usable: each by name, and why not.
    NoUsableKey(String),
    /// The answer is a JWK Set without keys: `{"keys":[]}`.
    Emptied,
    /// The metadata that names the JWK Set could not be had.
    Discovery(DiscoveryError),
    /// The fetch took longer than it may.
    Timeout,
    /// The fetch panicked.
    Panicked,
    /// A source's own reason. `outage`: whether an older set may serve meanwhile.
    Other {
        /// For operators; must not hold secrets.
        why: String,
        /// The issuer could not be reached or is in trouble, in contrast to a plain refusal.
        outage: bool,
    },
}

impl FetchError {
    /// Whether this says nothing of the keys, so that an older set may serve past its freshness
    /// ([`JwksSettings::stale_if_error`](crate::keys::JwksSettings::stale_if_error)).
    ///
    /// | what came back | what it means | an older set serves |
    /// | --- | --- | --- |
    /// | a set without the key | the issuer took the key back | no, at once |
    /// | `{"keys":[]}` | the issuer took all keys back | to the end of its freshness |
    /// | metadata of another issuer, or that names plain http | not the issuer's word, and perhaps somebody else's | to the end of its freshness |
    /// | no connection, no answer in time, 5xx, 429 | the issuer is in trouble | on |
    /// | 1xx, 2xx but 200, 3xx, 4xx | a proxy, a firewall or a deployment in between: no issuer takes keys back by a status | on |
    /// | HTML, `{}`, a set of which nothing is usable | half deployed, or not the issuer at all | on |
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Emptied => false,
            Self::Discovery(
                DiscoveryError::IssuerMismatch { .. }
                | DiscoveryError::NamedByAddress { .. }
                | DiscoveryError::Insecure { .. },
            ) => false,
            Self::Other { outage, .. } => *outage,
            _ => true,
        }
    }

    /// What the server asked for by `Retry-After`, with 429 and 503.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { status: 429 | 503, retry_after }
            | Self::Discovery(DiscoveryError::Status { status: 429 | 503, retry_after }) => *retry_after,
            _ => None,
        }
    }

    /// What the fetch had no runtime for.
    pub(crate) fn no_runtime(&self) -> Option<NoRuntime> {
        match self {
            Self::Http(HttpError::NoRuntime(missing))
            | Self::Discovery(DiscoveryError::Http(HttpError::NoRuntime(missing))) => Some(*missing),
            _ => None,
        }
    }

    /// One word of a fixed list, for metrics and logs.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Http(HttpError::Timeout)
            | Self::Discovery(DiscoveryError::Http(HttpError::Timeout))
            | Self::Timeout => "timeout",
            Self::Http(HttpError::Forbidden(_)) | Self::Discovery(DiscoveryError::Http(HttpError::Forbidden(_))) => {
                "forbidden"
            }
            Self::Http(_) | Self::Discovery(DiscoveryError::Http(_)) => "network",
            Self::Status { .. } | Self::Discovery(DiscoveryError::Status { .. }) => "status",
            Self::Unparsable(_) => "unparsable",
            Self::NoUsableKey(_) => "no_usable_key",
            Self::Emptied => "emptied",
            Self::Discovery(_) => "discovery",
            Self::Panicked => "panicked",
            Self::Other { .. } => "other",
        }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(error) => write!(f, "jwk set not reachable: {error}"),
            Self::Status { status: 300..=399, .. } => {
                f.write_str("jwk set answered with a redirect, which is not followed")
            }
            Self::Status { status, .. } => write!(f, "jwk set answered with status {status}"),
            Self::Unparsable(why) => write!(f, "not a jwk set: {why}"),
            Self::NoUsableKey(keys) => write!(f, "jwk set without a usable key: {keys}"),
            Self::Emptied => f.write_str("jwk set without keys: the issuer has taken all of them back"),
            Self::Discovery(error) => error.fmt(f),
            Self::Timeout => f.write_str("fetching the jwk set took too long"),
            Self::Panicked => f.write_str("fetching the jwk set panicked"),
            Self::Other { why, .. } => f.write_str(why),
        }
    }
}

impl std::error::Error for FetchError {}

impl From<DiscoveryError> for FetchError {
    fn from(error: DiscoveryError) -> Self {
        Self::Discovery(error)
    }
}

/// A JWK Set under a fixed URL.
#[derive(Debug)]
pub struct HttpKeySource {
    jwks_uri: Uri,
    client: Arc<dyn HttpClient>,
}

impl HttpKeySource {
    /// The set under `jwks_uri`. Nothing is fetched yet.
    ///
    /// # Errors
    /// [`FetchError::Http`] when `jwks_uri` is not an https URL. Plain http is for loopback hosts only, and the client has to
    /// allow it too.
    pub fn new(jwks_uri: &str, client: Arc<dyn HttpClient>) -> Result<Self, FetchError> {
        Self::at(jwks_uri, PlainHttp::Loopback, client)
    }

    /// The same, with plain http to whatever host the client allows it for.
    ///
    /// # Errors
    /// [`FetchError::Http`] when `jwks_uri` is no https or http URL.
    pub fn dangerously_over_plain_http(jwks_uri: &str, client: Arc<dyn HttpClient>) -> Result<Self, FetchError> {
        Self::at(jwks_uri, PlainHttp::Inside, client)
    }

    pub(crate) fn at(jwks_uri: &str, plain_http: PlainHttp, client: Arc<dyn HttpClient>) -> Result<Self, FetchError> {
        let refuse = |why: String| FetchError::Http(HttpError::Forbidden(why));
        let url = endpoint(jwks_uri, plain_http).map_err(|why| refuse(why.0))?;
        let jwks_uri = url.as_str().parse().map_err(|_| refuse("not a uri".to_owned()))?;
        Ok(Self { jwks_uri, client })
    }
}

impl KeySource for HttpKeySource {
    fn fetch(&self) -> BoxFuture<'_, Result<FetchedKeys, FetchError>> {
        Box::pin(fetch_jwk_set(&*self.client, self.jwks_uri.clone()))
    }
}

/// The JWK Set that an issuer's metadata names. The metadata is kept for a day, or until fetching the set fails.
#[derive(Clone, Debug)]
pub struct DiscoveryKeySource {
    discovery: Arc<Discovery>,
}

impl DiscoveryKeySource {
    /// The set of this issuer. Nothing is fetched yet.
    #[must_use]
    pub fn new(discovery: Arc<Discovery>) -> Self {
        Self { discovery }
    }

    async fn discover_and_fetch(&self) -> Result<FetchedKeys, FetchError> {
        let metadata = self.discovery.metadata().await?;
        let fetched = match metadata.jwks_uri.as_deref().map(str::parse) {
            Some(Ok(jwks_uri)) => fetch_jwk_set(self.discovery.client(), jwks_uri).await,
            Some(Err(_)) => Err(DiscoveryError::Insecure { what: "jwks_uri", why: "not a uri".to_owned() }.into()),
            None => Err(DiscoveryError::Missing("jwks_uri").into()),
        };
        if fetched.is_err() {
            self.discovery.forget();
        }
        fetched
    }
}

impl KeySource for DiscoveryKeySource {
    fn fetch(&self) -> BoxFuture<'_, Result<FetchedKeys, FetchError>> {
        Box::pin(self.discover_and_fetch())
    }

    fn rejected(&self) {
        self.discovery.forget();
    }
}

async fn fetch_jwk_set(client: &dyn HttpClient, jwks_uri: Uri) -> Result<FetchedKeys, FetchError> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = jwks_uri;
    let accept = HeaderValue::from_static("application/jwk-set+json, application/json");
    request.headers_mut().insert(ACCEPT, accept);
    let response = client.send(request, Limits::default()).await.map_err(FetchError::Http)?;
    let (parts, body) = response.into_parts();
    process_jwk_set(parts.status, &parts.headers, body)
}

/// Judges the answer apart from its keys.
fn process_jwk_set(status: StatusCode, headers: &HeaderMap, body: Bytes) -> Result<FetchedKeys, FetchError> {
    if status != StatusCode::OK {
        return Err(FetchError::Status { status: status.as_u16(), retry_after: retry_after(headers) });
    }
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(FetchError::Unparsable("it is compressed, which was not asked for"));
    }
    Ok(FetchedKeys { jwk_set: body, max_age: max_age(headers), server_time: server_time(headers) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_word_of_the_issuer_lets_an_older_set_serve() {
        let status = |status| FetchError::Status { status, retry_after: None };
        let metadata = |status| FetchError::Discovery(DiscoveryError::Status { status, retry_after: None });
        let mismatch = DiscoveryError::IssuerMismatch { expected: String::new(), found: String::new() };
        for (error, outage) in [
            (FetchError::Http(HttpError::Timeout), true),
            (FetchError::Http(HttpError::Connect(String::new())), true),
            (FetchError::Http(HttpError::TooLarge { limit: 1 }), true),
            (FetchError::Timeout, true),
            (FetchError::Panicked, true),
            (status(500), true),
            (status(503), true),
            (status(429), true),
            (FetchError::Unparsable(""), true),
            (FetchError::NoUsableKey(String::new()), true),
            (metadata(502), true),
            (FetchError::Emptied, false),
            (status(401), true),
            (status(408), true),
            (status(301), true),
            (status(204), true),
            (status(404), true),
            (status(410), true),
            (status(403), true),
            (status(302), true),
            (status(304), true),
            (metadata(404), true),
            (FetchError::Discovery(mismatch), false),
        ] {
            assert_eq!(error.is_outage(), outage, "{error}");
        }
    }

    #[test]
    fn retry_after_counts_with_429_and_503_only() {
        let wait = Some(Duration::from_secs(7));
        for (status, expected) in [(429, wait), (503, wait), (500, None), (404, None)] {
            assert_eq!(FetchError::Status { status, retry_after: wait }.retry_after(), expected, "{status}");
        }
    }

    #[test]
    fn an_answer_is_judged_before_its_keys() {
        let body = Bytes::from_static(b"{}");
        let mut headers = HeaderMap::new();
        headers.insert("cache-control", HeaderValue::from_static("max-age=90"));
        let fetched = process_jwk_set(StatusCode::OK, &headers, body.clone()).unwrap();
        assert_eq!((fetched.max_age, &fetched.jwk_set), (Some(Duration::from_secs(90)), &body));
        headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        assert!(matches!(process_jwk_set(StatusCode::OK, &headers, body.clone()), Err(FetchError::Unparsable(_))));
        for status in [201, 204, 206, 301, 304, 404, 500] {
            let answer = process_jwk_set(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.clone());
            assert_eq!(answer, Err(FetchError::Status { status, retry_after: None }));
        }
    }
}
