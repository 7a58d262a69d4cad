//! [`HttpClient`] over reqwest: one request out, one bounded answer in; every address is checked before it is talked to.

mod builder;
mod resolver;
#[cfg(test)]
mod tests;

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{HeaderValue, Request, Response, Uri};
use reqwest::Url;

use super::address::{AddressGuard, AddressRefused, Over};
use super::{BoxFuture, HttpClient, HttpError, Limits, NoRuntime};
use crate::base::sync::ArcSwapOption;

pub use builder::{ReqwestClientBuilder, ReqwestClientError};

/// Sends requests with [reqwest](https://docs.rs/reqwest) over HTTP/1.1 and rustls.
///
/// What it does not do, whatever features of reqwest other crates switch on: follow redirects, retry, keep cookies,
/// decode compressed bodies (it asks for `identity` and refuses anything else), read proxy settings from the environment,
/// read or install a process-global crypto provider.
///
/// Only `https` URLs are talked to, and only public addresses. The check is made on the addresses a name resolves to, at the
/// moment of connecting, and on IP addresses written in the URL. Loopback and private networks are opted into by
/// [`ReqwestClientBuilder::allow_loopback_http`] and [`ReqwestClientBuilder::allow_private_addresses`]; link-local,
/// unspecified, multicast and reserved addresses are always refused.
///
/// Connecting, name resolution and TLS included, may take 2 s; the whole exchange what [`Limits`] says. A clone shares the
/// connection pool.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use token_core::http::ReqwestClient;
///
/// let for_production = ReqwestClient::new()?;
/// let for_a_test = ReqwestClient::builder().allow_loopback_http().build()?;
/// # let _ = (for_production, for_a_test); Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ReqwestClient {
    client: reqwest::Client,
    /// For plain http, where that may go to private networks.
    plain: Option<reqwest::Client>,
    guard: AddressGuard,
    last: LastUrl,
}

/// The URL that was asked last, taken apart and found good: most clients ask one endpoint again and again.
#[derive(Clone, Default)]
struct LastUrl(Arc<ArcSwapOption<(Uri, Url)>>);

impl fmt::Debug for LastUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LastUrl(…)")
    }
}

impl ReqwestClient {
    /// A client with every default: public addresses over https, the operating system's root certificates.
    ///
    /// # Errors
    /// [`ReqwestClientError`] when the system's root certificates cannot be read.
    pub fn new() -> Result<Self, ReqwestClientError> {
        Self::builder().build()
    }

    /// Sets up a client that differs from the defaults.
    #[must_use]
    pub fn builder() -> ReqwestClientBuilder {
        ReqwestClientBuilder::default()
    }

    /// The URL, if it may be talked to as far as itself tells.
    fn url(&self, uri: &Uri) -> Result<Url, HttpError> {
        if let Some((_, url)) = self.last.0.load().as_deref().filter(|(last, _)| last == uri) {
            return Ok(url.clone());
        }
        let url = Url::parse(&uri.to_string()).map_err(|_| HttpError::Forbidden("not an absolute url".to_owned()))?;
        self.guard.check_url(&url).map_err(|refused| HttpError::Forbidden(refused.0))?;
        self.last.0.store(Some(Arc::new((uri.clone(), url.clone()))));
        Ok(url)
    }

    async fn exchange(&self, request: Request<Bytes>, limits: Limits) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let url = self.url(&parts.uri)?;

        let client = match Over::of(&url) {
            Over::PlainHttp => self.plain.as_ref().unwrap_or(&self.client),
            Over::Tls => &self.client,
        };
        let mut outgoing = reqwest::Request::new(parts.method, url);
        *outgoing.headers_mut() = parts.headers;
        outgoing.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        *outgoing.timeout_mut() = Some(limits.timeout);
        if !body.is_empty() {
            *outgoing.body_mut() = Some(body.into());
        }
        let mut incoming = client.execute(outgoing).await.map_err(explain)?;
        if incoming
            .headers()
            .get_all(CONTENT_ENCODING)
            .iter()
            .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
        {
            return Err(HttpError::Broken("answer in a content encoding that was not asked for".to_owned()));
        }

        let too_large = HttpError::TooLarge { limit: limits.max_body };
        let announced = incoming.content_length().unwrap_or(0);
        if announced > limits.max_body as u64 {
            return Err(too_large);
        }
        let mut read = BytesMut::new();
        while let Some(chunk) = incoming.chunk().await.map_err(explain)? {
            if chunk.len() > limits.max_body - read.len() {
                return Err(too_large);
            }
            read.extend_from_slice(&chunk);
        }
        let mut response = Response::new(read.freeze());
        *response.status_mut() = incoming.status();
        *response.headers_mut() = std::mem::take(incoming.headers_mut());
        Ok(response)
    }
}

impl HttpClient for ReqwestClient {
    fn send(&self, request: Request<Bytes>, limits: Limits) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        Box::pin(async move {
            NoRuntime::or(self.exchange(request, limits))
                .await
                .unwrap_or_else(|missing| Err(HttpError::NoRuntime(missing)))
        })
    }
}

/// Sorts reqwest's error into ours. The URL is left out: the caller knows it, and its query could carry what logs must not.
fn explain(error: reqwest::Error) -> HttpError {
    let error = error.without_url();
    let mut innermost = String::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<AddressRefused>() {
            return HttpError::Forbidden(refused.0.clone());
        }
        innermost = inner.to_string();
        cause = inner.source();
    }
    let text = printable(if innermost.is_empty() { error.to_string() } else { innermost });
    if error.is_timeout() {
        HttpError::Timeout
    } else if error.is_connect() {
        HttpError::Connect(text)
    } else {
        HttpError::Broken(text)
    }
}

/// Parts of such a text come from the other side (names in a certificate, for one): one short line, whatever they hold.
fn printable(text: String) -> String {
    text.chars().take(200).map(|c| if c.is_control() { '?' } else { c }).collect()
}
