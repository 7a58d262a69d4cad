//! The settings of a client go in, a client that can be asked comes out, or what contradicts what (RFC 6749 sections 2.3 and 3.2, RFC 8705 section 5).

use std::sync::Arc;
use std::time::Duration;

use token_core::http::{HttpClient, Limits};
#[cfg(feature = "reqwest")]
use token_core::http::{ReqwestClient, ReqwestClientBuilder};
use token_core::keys::discovery::{Metadata, MtlsEndpointAliases};
use token_core::opaque::client_authentication::{ClientAuthentication, ClientSecret};
use token_core::{Clock, SystemClock};
use url::Url;

use crate::client::{Inner, TokenClient};
use crate::dpop::Binding;
use crate::dpop::key::DpopKey;
use crate::dpop::prover::Prover;
#[cfg(doc)]
use crate::error::TokenErrorKind;
use crate::error::{TokenError, misconfigured};
use crate::identity::ClientIdentity;
use crate::renewal::RenewalSettings;

/// The largest answer of a token endpoint that is read, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// The settings of a [`TokenClient`].
#[derive(Clone, Debug)]
#[must_use]
pub struct TokenClientBuilder {
    client_id: String,
    token_endpoint: String,
    revocation_endpoint: Option<String>,
    authentication: Option<ClientAuthentication>,
    http: Option<Arc<dyn HttpClient>>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
    renewal: RenewalSettings,
    dpop: Option<(DpopKey, Binding)>,
    identity: Option<ClientIdentity>,
    aliases: Option<MtlsEndpointAliases>,
    #[cfg(feature = "reqwest")]
    http_settings: Option<ReqwestClientBuilder>,
}

impl TokenClient {
    /// A client with this id at the token endpoint with this URL.
    pub fn builder(token_endpoint: impl Into<String>, client_id: impl Into<String>) -> TokenClientBuilder {
        TokenClientBuilder::new(token_endpoint.into(), client_id.into())
    }

    /// A client with this id at the token endpoint and the revocation endpoint in an issuer's metadata (RFC 8414).
    ///
    /// A client with a [certificate](TokenClientBuilder::client_identity) uses the endpoints in `mtls_endpoint_aliases` where there are any (RFC 8705 section 5).
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// # use token_client::{ClientAuthentication, ClientIdentity, TokenClient};
    /// # use token_core::http::ReqwestClient;
    /// # use token_core::keys::discovery::Discovery;
    /// # async fn example(pem: String) -> Result<(), Box<dyn std::error::Error>> {
    /// let discovery = Discovery::new("https://login.example.com/", Arc::new(ReqwestClient::new()?))?;
    /// let client = TokenClient::discovered(&*discovery.metadata().await?, "orders")?
    ///     .client_identity(ClientIdentity::from_pem(pem)?)
    ///     .authentication(ClientAuthentication::MutualTls)
    ///     .build()?;
    /// # let _ = client; Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`TokenErrorKind::Misconfigured`] when the metadata name no token endpoint.
    pub fn discovered(metadata: &Metadata, client_id: impl Into<String>) -> Result<TokenClientBuilder, TokenError> {
        let Some(token_endpoint) = metadata.token_endpoint.as_deref() else {
            return Err(misconfigured("the metadata of the issuer name no token endpoint"));
        };
        Ok(Self::builder(token_endpoint, client_id).described_by(metadata))
    }
}

impl TokenClientBuilder {
    pub(crate) fn new(token_endpoint: String, client_id: String) -> Self {
        Self {
            client_id,
            token_endpoint,
            revocation_endpoint: None,
            authentication: None,
            http: None,
            clock: Arc::new(SystemClock),
            timeout: Duration::from_secs(5),
            renewal: RenewalSettings::default(),
            dpop: None,
            identity: None,
            aliases: None,
            #[cfg(feature = "reqwest")]
            http_settings: None,
        }
    }

    /// With the endpoints that the metadata name beside the token endpoint.
    pub(crate) fn described_by(mut self, metadata: &Metadata) -> Self {
        self.revocation_endpoint.clone_from(&metadata.revocation_endpoint);
        self.aliases.clone_from(&metadata.mtls_endpoint_aliases);
        self
    }

    /// Authenticates with a secret by `client_secret_basic` (RFC 6749 section 2.3.1), which every server that issues secrets supports.
    pub fn secret(self, secret: impl Into<ClientSecret>) -> Self {
        self.authentication(ClientAuthentication::Basic(secret.into()))
    }

    /// How the client authenticates. There is no default; a public client sets [`ClientAuthentication::None`].
    pub fn authentication(mut self, authentication: ClientAuthentication) -> Self {
        self.authentication = Some(authentication);
        self
    }

    /// Binds the tokens to this key (DPoP, RFC 9449): without the key a stolen token is useless.
    ///
    /// Each request to the token endpoint gets a proof, and so does each request that [`BearerLayer`](crate::BearerLayer) or `BearerClient` sends with one of the
    /// tokens. If the server answers with a bearer token, the result is an error, [`TokenErrorKind::WrongTokenType`].
    pub fn dpop(mut self, key: DpopKey) -> Self {
        self.dpop = Some((key, Binding::Dpop));
        self
    }

    /// The same, but bearer tokens are accepted as well: for the time until the server supports DPoP. Anyone who can change the server's answers can then undo the
    /// binding.
    pub fn dpop_or_bearer(mut self, key: DpopKey) -> Self {
        self.dpop = Some((key, Binding::DpopOrBearer));
        self
    }

    /// Uses this client certificate (mutual TLS, RFC 8705). Tokens of different certificates are cached apart.
    ///
    /// With [`ClientAuthentication::MutualTls`] the certificate authenticates the client. With any other method tokens can still be bound to it. It becomes part of the
    /// HTTP client that [`build`](Self::build) makes; for other settings of that, see [`http_settings`](Self::http_settings).
    pub fn client_identity(mut self, identity: ClientIdentity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// The settings of the HTTP client that [`build`](Self::build) makes: further root certificates, private addresses and so on.
    #[cfg(feature = "reqwest")]
    pub fn http_settings(mut self, settings: ReqwestClientBuilder) -> Self {
        self.http_settings = Some(settings);
        self
    }

    /// The HTTP client that sends the requests. Default, with the feature `reqwest`: `ReqwestClient::new()`.
    pub fn http(mut self, http: impl HttpClient) -> Self {
        self.http = Some(Arc::new(http));
        self
    }

    /// The same, for an HTTP client that is shared.
    pub fn shared_http(mut self, http: Arc<dyn HttpClient>) -> Self {
        self.http = Some(http);
        self
    }

    /// The URL of the revocation endpoint (RFC 7009), for [`TokenClient::revoke`].
    pub fn revocation_endpoint(mut self, url: impl Into<String>) -> Self {
        self.revocation_endpoint = Some(url.into());
        self
    }

    /// The clock by which lifetimes are measured. Default: the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    pub(crate) fn shared_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How long one request may take. Default 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// When the sources of this client renew their tokens, and how long they wait after a failure.
    pub fn renewal(mut self, renewal: RenewalSettings) -> Self {
        self.renewal = renewal;
        self
    }

    /// Builds the client. Nothing is sent.
    ///
    /// # Errors
    /// [`TokenErrorKind::Misconfigured`] if an endpoint is not a URL or has a fragment, if authentication or an HTTP client is missing, if an HTTP client was given
    /// together with settings or a certificate for one, or if mutual TLS is used without a certificate.
    pub fn build(self) -> Result<TokenClient, TokenError> {
        let authentication = self.authentication.clone().ok_or_else(|| {
            misconfigured(
                "say how the client authenticates: `secret`, or `authentication` with None for a public client",
            )
        })?;
        let http = self.http_client(&authentication)?;
        let (token_endpoint, revocation_endpoint) = self.endpoints()?;
        let (prover, binding) = match self.dpop {
            Some((key, binding)) => (Some(Arc::new(Prover::new(key, Arc::clone(&self.clock)))), binding),
            None => (None, Binding::Bearer),
        };
        Ok(TokenClient::of(Inner {
            client_id: self.client_id,
            token_endpoint,
            revocation_endpoint,
            authentication,
            http,
            clock: self.clock,
            limits: Limits::default().timeout(self.timeout).max_body(MAX_BODY),
            renewal: self.renewal,
            binding,
            prover,
            identity: self.identity,
        }))
    }

    /// The token endpoint and the revocation endpoint. Who has a certificate to show goes to the aliases, where there are any (RFC 8705
    /// section 5).
    fn endpoints(&self) -> Result<(Url, Option<Url>), TokenError> {
        let aliases = self.aliases.as_ref().filter(|_| self.identity.is_some());
        let token = aliases.and_then(|aliases| aliases.token_endpoint.as_ref()).unwrap_or(&self.token_endpoint);
        let revocation = aliases.and_then(|aliases| aliases.revocation_endpoint.as_ref());
        let revocation = revocation.or(self.revocation_endpoint.as_ref());
        let revocation = revocation.map(|url| endpoint(url, "the revocation endpoint")).transpose()?;
        Ok((endpoint(token, "the token endpoint")?, revocation))
    }

    /// The client that was handed in, or one with the settings and the certificate.
    fn http_client(&self, authentication: &ClientAuthentication) -> Result<Arc<dyn HttpClient>, TokenError> {
        let by_certificate = matches!(authentication, ClientAuthentication::MutualTls);
        match &self.http {
            Some(_) if self.identity.is_some() => Err(misconfigured(
                "an HTTP client that is handed in shows its own certificate or none: hand in its settings (`http_settings`) beside `client_identity`",
            )),
            #[cfg(feature = "reqwest")]
            Some(_) if self.http_settings.is_some() => Err(misconfigured("either `http` or `http_settings`, not both")),
            Some(http) => Ok(Arc::clone(http)),
            None if by_certificate && self.identity.is_none() => {
                Err(misconfigured("authentication by mutual TLS needs a certificate: `client_identity`"))
            }
            None => self.own_http(),
        }
    }

    #[cfg(feature = "reqwest")]
    fn own_http(&self) -> Result<Arc<dyn HttpClient>, TokenError> {
        let mut settings = self.http_settings.clone().unwrap_or_default();
        if let Some(identity) = &self.identity {
            settings = settings.client_identity_pem(identity.expose_pem());
        }
        settings.build().map(|client| Arc::new(client) as _).map_err(|error| misconfigured(error.to_string()))
    }

    #[cfg(not(feature = "reqwest"))]
    fn own_http(&self) -> Result<Arc<dyn HttpClient>, TokenError> {
        default_http()
    }
}

#[cfg(feature = "reqwest")]
pub(crate) fn default_http() -> Result<Arc<dyn HttpClient>, TokenError> {
    match ReqwestClient::new() {
        Ok(client) => Ok(Arc::new(client)),
        Err(error) => Err(misconfigured(error.to_string())),
    }
}

#[cfg(not(feature = "reqwest"))]
pub(crate) fn default_http() -> Result<Arc<dyn HttpClient>, TokenError> {
    Err(misconfigured("without the feature reqwest an HTTP client has to be given"))
}

/// An endpoint's URL (RFC 6749 section 3.2: no fragment). Whether its scheme and address are allowed is the HTTP client's affair.
pub(crate) fn endpoint(text: &str, name: &'static str) -> Result<Url, TokenError> {
    let url = Url::parse(text).map_err(|_| bad_url(name))?;
    if url.fragment().is_some() || url.host().is_none() || !url.username().is_empty() || url.password().is_some() {
        return Err(bad_url(name));
    }
    Ok(url)
}

fn bad_url(name: &'static str) -> TokenError {
    misconfigured(format!("{name} is not an absolute URL without fragment and credentials"))
}

#[cfg(test)]
#[cfg(feature = "reqwest")]
mod tests {
    use super::*;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nbGVhZg==\n-----END CERTIFICATE-----\n";

    fn identity(leaf: &str) -> ClientIdentity {
        let key = "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n";
        ClientIdentity::from_pem(format!("{}{key}", CERTIFICATE.replace("bGVhZg==", leaf))).unwrap()
    }

    fn metadata() -> Metadata {
        let document = serde_json::json!({
            "issuer": "https://as.example",
            "token_endpoint": "https://as.example/token",
            "revocation_endpoint": "https://as.example/revoke",
            "mtls_endpoint_aliases": { "token_endpoint": "https://mtls.as.example/token" },
        });
        serde_json::from_value(document).unwrap()
    }

    fn debug(builder: TokenClientBuilder) -> String {
        format!("{builder:?}")
    }

    #[test]
    fn settings_that_contradict_each_other_are_an_error_that_names_them() {
        let builder = || TokenClient::builder("https://as.example/token", "me");
        let http = || ReqwestClient::builder().allow_loopback_http();
        let by_certificate = |builder: TokenClientBuilder| builder.authentication(ClientAuthentication::MutualTls);
        for (builder, expected) in [
            (by_certificate(builder()), "client_identity"),
            (
                builder().secret("s").http(http().build().unwrap()).client_identity(identity("bGVhZg==")),
                "http_settings",
            ),
            (builder().secret("s").http(http().build().unwrap()).http_settings(http()), "not both"),
            // The key is none: that is found out when it is used.
            (by_certificate(builder()).http_settings(http()).client_identity(identity("bGVhZg==")), "client identity"),
            (builder(), "say how the client authenticates"),
        ] {
            let error = builder.build().unwrap_err();
            assert!(error.detail().contains(expected), "{error}");
            assert!(!error.detail().contains("canary") && !error.detail().contains("Y2FuYXJ5"), "{error}");
        }
        let own = by_certificate(builder()).http(http().build().unwrap()).build();
        assert!(own.is_ok(), "a client of one's own may show what it likes");
        assert!(!debug(builder().client_identity(identity("bGVhZg=="))).contains("Y2FuYXJ5"));
    }

    #[test]
    fn who_has_a_certificate_goes_to_the_aliases_and_nobody_else_does() {
        let builder = || TokenClient::discovered(&metadata(), "me").unwrap().authentication(ClientAuthentication::None);
        let settings = || ReqwestClient::builder().allow_loopback_http();
        let plain = builder().http_settings(settings()).build().unwrap();
        assert_eq!(plain.token_endpoint(), "https://as.example/token");
        let endpoints = builder().client_identity(identity("bGVhZg==")).endpoints().unwrap();
        assert_eq!(endpoints.0.as_str(), "https://mtls.as.example/token");
        assert_eq!(endpoints.1.unwrap().as_str(), "https://as.example/revoke", "no alias, no change");
        assert!(TokenClient::discovered(&Metadata::default(), "me").is_err());
    }
}
