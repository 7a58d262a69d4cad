//! Sets up the reqwest client: options in, a client with explicit TLS and nothing taken from the process or environment out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::{AddressGuard, LastUrl, ReqwestClient, resolver::GuardedResolver};
use crate::base::http::address::{Over, proxy_url};

/// Connecting, which includes resolving the name and the TLS handshake.
const CONNECT: Duration = Duration::from_secs(2);

/// Options of a [`ReqwestClient`]; made by [`ReqwestClient::builder`].
#[derive(Clone, Default)]
pub struct ReqwestClientBuilder {
    guard: AddressGuard,
    roots: Vec<Vec<u8>>,
    only_given_roots: bool,
    identity: Option<Vec<u8>>,
    user_agent: Option<String>,
    system_proxy: bool,
    proxy: Option<String>,
}

impl fmt::Debug for ReqwestClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestClientBuilder")
            .field("guard", &self.guard)
            .field("given_roots", &self.roots.len())
            .field("only_given_roots", &self.only_given_roots)
            .field("identity", &self.identity.is_some())
            .field("user_agent", &self.user_agent)
            .field("system_proxy", &self.system_proxy)
            .field("proxy", &self.proxy)
            .finish()
    }
}

/// Why a [`ReqwestClient`] could not be set up. The text never holds key material.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReqwestClientError(String);

impl fmt::Display for ReqwestClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http client cannot be set up: {}", self.0)
    }
}

impl std::error::Error for ReqwestClientError {}

impl ReqwestClientBuilder {
    /// Allows loopback addresses, and plain http to them: for tests and for an issuer on the same machine.
    ///
    /// Plain http to any other host stays refused.
    #[must_use]
    pub fn allow_loopback_http(mut self) -> Self {
        self.guard.loopback_http = true;
        self
    }

    /// Allows private networks: RFC 1918, carrier-grade NAT (RFC 6598), unique-local IPv6, and IPv4 addresses mapped
    /// into IPv6. For an issuer inside the same cluster or company.
    ///
    /// Link-local addresses, and the addresses and names of the metadata services of clouds, stay refused.
    #[must_use]
    pub fn allow_private_addresses(mut self) -> Self {
        self.guard.private = true;
        self
    }

    /// Allows plain http to private networks and to this machine, where the addresses would be private: an issuer that has no TLS inside a
    /// cluster. Whoever sits on that network can read and change what is fetched, keys included.
    ///
    /// Plain http to public addresses stays refused, and https to private ones stays a matter of
    /// [`allow_private_addresses`](Self::allow_private_addresses).
    #[must_use]
    pub fn dangerously_allow_plain_http(mut self) -> Self {
        self.guard.plain_http = true;
        self
    }

    /// Trusts the certificates in this PEM text as roots, beside the operating system's. May be called again.
    #[must_use]
    pub fn root_certificate_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.roots.push(pem.as_ref().to_vec());
        self
    }

    /// Trusts no root but those of [`root_certificate_pem`](Self::root_certificate_pem).
    #[must_use]
    pub fn only_given_roots(mut self) -> Self {
        self.only_given_roots = true;
        self
    }

    /// Shows this certificate to servers that ask for one (mutual TLS): a PEM text with the certificate, what
    /// links it to its root, and the private key.
    #[must_use]
    pub fn client_identity_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.identity = Some(pem.as_ref().to_vec());
        self
    }

    /// The `User-Agent` field; by default the name and version of this crate.
    #[must_use]
    pub fn user_agent(mut self, text: impl Into<String>) -> Self {
        self.user_agent = Some(text.into());
        self
    }

    /// Sends requests through the proxy that the environment names (`HTTPS_PROXY`, `NO_PROXY` and so on).
    ///
    /// **The address check is blind behind a proxy**: the proxy resolves the names, so a name that points into a private
    /// network is only stopped by the proxy itself. Whoever controls the environment of the process then chooses where
    /// requests go. The proxy's own name is checked like any other; one in a private network needs
    /// [`allow_private_addresses`](Self::allow_private_addresses).
    #[must_use]
    pub fn system_proxy(mut self) -> Self {
        self.system_proxy = true;
        self
    }

    /// Sends requests through this proxy, `http://proxy.example:3128`, whatever the environment says; those to this very machine go there
    /// directly. Plain `http` to the proxy is usual: what goes through is TLS from end to end.
    ///
    /// **The address check is blind behind a proxy**, as told at [`system_proxy`](Self::system_proxy); addresses and well-known names of metadata
    /// services in a URL are refused all the same. The proxy itself may stand in a private network. A proxy that asks for credentials needs an
    /// [`HttpClient`](crate::http::HttpClient) of your own.
    #[must_use]
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// Builds the client. Reads the operating system's root certificates, which takes some milliseconds.
    ///
    /// # Errors
    /// [`ReqwestClientError`]: a PEM text without the expected content, a key that does not fit its certificate, a
    /// user agent that is no header value, only given roots and none given, or no readable system roots. (With
    /// [`allow_loopback_http`](Self::allow_loopback_http) or [`dangerously_allow_plain_http`](Self::dangerously_allow_plain_http) the last is
    /// no error, as plain http needs none: every https connection then fails.)
    pub fn build(self) -> Result<ReqwestClient, ReqwestClientError> {
        let tls = self.tls()?;
        let proxy = self.proxy.as_deref().map(named_proxy).transpose()?;
        // A resolver is not told for which scheme it is asked: where plain http may go elsewhere than https, it has a client of its own.
        let plain =
            self.guard.plain_http.then(|| self.client(tls.clone(), proxy.clone(), Over::PlainHttp)).transpose()?;
        let client = self.client(tls, proxy, Over::Tls)?;
        Ok(ReqwestClient { client, plain, guard: self.guard, last: LastUrl::default() })
    }

    fn client(
        &self,
        tls: ClientConfig,
        proxy: Option<(reqwest::Proxy, Box<str>)>,
        over: Over,
    ) -> Result<reqwest::Client, ReqwestClientError> {
        let user_agent = self.user_agent.as_deref().unwrap_or(concat!("token-core/", env!("CARGO_PKG_VERSION")));
        let resolver = GuardedResolver { guard: self.guard, over, proxy: proxy.as_ref().map(|(_, host)| host.clone()) };
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(resolver)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(CONNECT)
            .http1_only()
            .user_agent(user_agent)
            // Features of one crate are switched on for all: what reqwest would do by itself is switched off here.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate();
        // Before any other, a proxy that was named switches the environment's off, too.
        match proxy {
            Some((proxy, _)) => builder = builder.no_proxy().proxy(proxy),
            None if self.system_proxy => {}
            None => builder = builder.no_proxy(),
        }
        builder.build().map_err(|error| ReqwestClientError(super::explain(error).to_string()))
    }

    fn tls(&self) -> Result<ClientConfig, ReqwestClientError> {
        let builder = self.trust()?;
        let Some(identity) = &self.identity else { return Ok(builder.with_no_client_auth()) };
        let chain = certificates(identity, "client identity")?;
        let key = PrivateKeyDer::from_pem_slice(identity)
            .map_err(|_| ReqwestClientError("no private key in the client identity".to_owned()))?;
        builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| ReqwestClientError(format!("client identity not usable: {error}")))
    }

    fn trust(&self) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, ReqwestClientError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| ReqwestClientError(format!("no usable tls version: {error}")))?;
        let mut given = Vec::new();
        for pem in &self.roots {
            given.extend(certificates(pem, "root certificates")?);
        }
        if self.only_given_roots {
            if given.is_empty() {
                return Err(ReqwestClientError(
                    "only given root certificates are to be trusted, and none is given".to_owned(),
                ));
            }
            let mut store = RootCertStore::empty();
            for root in given {
                store.add(root).map_err(|error| ReqwestClientError(format!("root certificate not usable: {error}")))?;
            }
            return Ok(builder.with_root_certificates(store));
        }
        match Verifier::new_with_extra_roots(given, provider) {
            Ok(verifier) => Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))),
            Err(error) if (self.guard.loopback_http || self.guard.plain_http) && self.roots.is_empty() => {
                tracing::warn!(name: "token.http.no_roots", %error, "no root certificates: every https connection will fail");
                Ok(builder.with_root_certificates(RootCertStore::empty()))
            }
            Err(error) => Err(ReqwestClientError(format!("root certificates not usable: {error}"))),
        }
    }
}

/// The proxy at this URL, and its host.
fn named_proxy(url: &str) -> Result<(reqwest::Proxy, Box<str>), ReqwestClientError> {
    let url = proxy_url(url).map_err(|error| ReqwestClientError(error.to_string()))?;
    let host = url.host_str().unwrap_or_default().into();
    let proxy = reqwest::Proxy::all(url).map_err(|error| ReqwestClientError(super::explain(error).to_string()))?;
    let local = reqwest::NoProxy::from_string("localhost,127.0.0.0/8,::1");
    Ok((proxy.no_proxy(local), host))
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, ReqwestClientError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(ReqwestClientError(format!("no certificate in the {what}"))),
        Err(_) => Err(ReqwestClientError(format!("the {what} cannot be read as pem"))),
    }
}
