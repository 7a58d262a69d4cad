//! How the servers of an issuer are reached, in: addresses, networks, certificates, times; the issuer with it, out.

use std::path::PathBuf;
use std::sync::Arc;

use super::Issuer;
use crate::base::config_error::{ConfigError, parse_url};
use crate::base::http::HttpClient;
use crate::base::http::address::{self, PlainHttp, proxy_url};
use crate::keys::JwksSettings;

/// How its servers are reached.
impl Issuer {
    /// Allows plain http to this machine (`localhost`, `127.0.0.1`, `::1`), where issuers run during development.
    #[must_use]
    pub fn allow_loopback_http(mut self) -> Self {
        self.loopback_http = true;
        self
    }

    /// Allows private addresses for keys and endpoints, for an issuer inside your network or cluster. Link-local addresses and the metadata services of
    /// clouds are still refused.
    #[must_use]
    pub fn allow_private_addresses(mut self) -> Self {
        self.private_addresses = true;
        self
    }

    /// Reads the issuer's metadata from this address in place of one derived from its identifier. The identifier is still compared with the document and with
    /// `iss`. The JWK Set is fetched from the `jwks_uri` of the document; to move that as well, use [`reached_at`](Self::reached_at).
    ///
    /// Only for issuers whose keys are [discovered](Self::discover).
    ///
    /// # Errors
    /// When `url` is not an absolute URL.
    pub fn metadata_url(mut self, url: impl Into<String>) -> Result<Self, ConfigError> {
        let url = url.into();
        parse_url("metadata_url", &url)?;
        self.metadata_url = Some(url);
        Ok(self)
    }

    /// Fetches metadata and keys from this origin. For an issuer with two addresses, such as a container that browsers know as `https://login.example.com` and
    /// services as `https://keycloak:8443`. Scheme, host and port of its identifier and of the `jwks_uri` in its metadata are replaced; the paths stay. Tokens
    /// must still have the identifier in `iss`.
    ///
    /// Only for issuers whose keys are [discovered](Self::discover). Endpoints for opaque tokens are not affected: they have addresses of their own.
    ///
    /// ```
    /// # fn main() -> Result<(), token_core::ConfigError> {
    /// use token_core::Issuer;
    ///
    /// let issuer = Issuer::discover("https://login.example.com/realms/shop")?
    ///     .reached_at("https://keycloak.internal:8443")?
    ///     .allow_private_addresses();
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When `origin` is anything but scheme, host and perhaps a port.
    pub fn reached_at(mut self, origin: impl Into<String>) -> Result<Self, ConfigError> {
        let origin = origin.into();
        address::origin(&origin, PlainHttp::Inside)
            .map_err(|why| ConfigError::new(format!("issuer {}: reached_at {origin}: {why}", self.identifier)))?;
        self.reached_at = Some(origin);
        Ok(self)
    }

    /// Allows plain http to private addresses and to this machine, for an issuer without TLS inside a cluster. **Anyone on that network can replace the
    /// issuer's keys with their own, and then forge any token.** Public addresses still need https.
    ///
    /// For https to private addresses, use [`allow_private_addresses`](Self::allow_private_addresses).
    #[must_use]
    pub fn dangerously_allow_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// Trusts the certificates in this PEM file as roots for the TLS of this issuer's servers, in addition to the system's roots. The file is read when the
    /// server is built and may have at most 512 KiB.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Sends the token in this file as bearer token when metadata and keys are fetched and when tokens are
    /// [reviewed](crate::opaque::OpaqueTokens::token_review). A Kubernetes API server without anonymous access asks for it. The file is read for each request,
    /// so a rotated token needs no restart.
    ///
    /// The token is sent only to the configured origin, whatever address a document names, and over plain http only to this machine.
    #[must_use]
    pub fn bearer_token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.bearer_token_file = Some(path.into());
        self
    }

    /// Connects to this issuer's servers through a proxy, such as `http://proxy.example:3128`. This machine is reached directly.
    ///
    /// The proxy resolves host names, so this server can no longer check that none of them leads into your network: the proxy has to.
    ///
    /// # Errors
    /// When `url` is not http or https with a host and perhaps a port, or holds credentials.
    pub fn proxy(mut self, url: impl Into<String>) -> Result<Self, ConfigError> {
        let url = url.into();
        proxy_url(&url).map_err(|why| ConfigError::new(format!("issuer {}: {why}", self.identifier)))?;
        self.proxy = Some(url);
        Ok(self)
    }

    /// Sends every request to this issuer through your own HTTP client, for example for a client certificate or a proxy with credentials. The settings
    /// for addresses, [`ca_file`](Self::ca_file) and [`proxy`](Self::proxy) do not apply to it: those checks are then the client's own.
    #[must_use]
    pub fn http_client(mut self, client: Arc<dyn HttpClient>) -> Self {
        self.client = Some(client);
        self
    }

    /// Other times and limits for the cache of this issuer's keys.
    #[must_use]
    pub fn jwks_settings(mut self, settings: JwksSettings) -> Self {
        self.settings = settings;
        self
    }
}
