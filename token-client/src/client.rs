//! A token request goes in, one exchange with the token endpoint happens, tokens come out (RFC 6749 section 3.2, RFC 7009).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use sha2::{Digest, Sha256};
use token_core::http::{HttpClient, Limits};
use token_core::opaque::client_authentication::{ClientAuthentication, ClientSecret};
use token_core::{Clock, SystemClock};
use tracing::Instrument;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::error::{TokenError, TokenErrorKind, misconfigured};
use crate::grant::TokenRequest;
use crate::renewal::RenewalSettings;
use crate::response::{self, Expected, TokenResponse, process_token_response};
use crate::source::CachedSource;
use crate::telemetry::{self, Asks};

/// The largest answer of a token endpoint that is read, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// One client at one authorization server. Cheap to clone.
///
/// It asks and forgets; what remembers is a [`TokenSource`](crate::TokenSource), made by [`source`](Self::source).
///
/// ```no_run
/// use std::sync::Arc;
/// use token_client::{TokenClient, TokenRequest, TokenSource};
/// use token_core::http::ReqwestClient;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = TokenClient::builder("https://login.example.com/token", "orders")
///     .secret("from the environment")
///     .http(ReqwestClient::new()?)
///     .build()?;
/// let billing = client.source(TokenRequest::client_credentials().audience("https://billing.example.com"));
/// let token = billing.token().await?;
/// # let _ = token; Ok(()) }
/// ```
#[derive(Clone)]
pub struct TokenClient(Arc<Inner>);

struct Inner {
    client_id: String,
    token_endpoint: Url,
    revocation_endpoint: Option<Url>,
    authentication: ClientAuthentication,
    http: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    renewal: RenewalSettings,
}

struct Form {
    body: Bytes,
    header: Option<HeaderValue>,
}

impl TokenClient {
    /// A client of this id at this token endpoint.
    pub fn builder(token_endpoint: impl Into<String>, client_id: impl Into<String>) -> TokenClientBuilder {
        TokenClientBuilder {
            client_id: client_id.into(),
            token_endpoint: token_endpoint.into(),
            revocation_endpoint: None,
            authentication: None,
            http: None,
            clock: Arc::new(SystemClock),
            timeout: Duration::from_secs(5),
            renewal: RenewalSettings::default(),
        }
    }

    /// Asks the token endpoint once, with no cache and no second attempt.
    ///
    /// # Errors
    /// Every [`Fault`](crate::Fault); see [`TokenErrorKind`].
    pub async fn obtain(&self, request: &TokenRequest) -> Result<TokenResponse, TokenError> {
        self.obtain_expecting(request, &request.expected()).await
    }

    pub(crate) async fn obtain_expecting(
        &self,
        request: &TokenRequest,
        expected: &Expected,
    ) -> Result<TokenResponse, TokenError> {
        let form = self.request_form(request)?;
        let span = Asks { client: &self.0.client_id, grant: request.grant_name() }.span();
        let answer = self.post(&self.0.token_endpoint, form).instrument(span.clone()).await;
        let outcome = answer.and_then(|answer| {
            process_token_response(expected, answer.status(), answer.headers(), answer.body(), self.0.clock.now())
        });
        span.record("outcome", telemetry::outcome(&outcome));
        outcome
    }

    /// A source of the token this request asks for: cached, renewed early, asked for once however many want it.
    #[must_use]
    pub fn source(&self, request: TokenRequest) -> CachedSource {
        CachedSource::new(self.clone(), request)
    }

    /// Revokes a token (RFC 7009 section 2). A server that never heard of the token counts as success.
    ///
    /// # Errors
    /// [`TokenErrorKind::Misconfigured`] without a revocation endpoint; else as for [`obtain`](Self::obtain).
    pub async fn revoke(&self, token: Revoke<'_>) -> Result<(), TokenError> {
        let Some(endpoint) = &self.0.revocation_endpoint else {
            return Err(TokenError::new(TokenErrorKind::Misconfigured, "the client was given no revocation endpoint"));
        };
        let (text, hint) = match token {
            Revoke::Refresh(token) => (token.expose(), "refresh_token"),
            Revoke::Access(token) => (token.expose(), "access_token"),
        };
        let form = self.revocation_form(text, hint)?;
        let span = Asks { client: &self.0.client_id, grant: "revocation" }.span();
        let answer = self.post(endpoint, form).instrument(span.clone()).await;
        let outcome = answer.and_then(|answer| {
            response::check_status(answer.status(), answer.headers(), answer.body(), self.0.clock.now())
        });
        span.record("outcome", telemetry::outcome(&outcome));
        outcome
    }

    fn request_form(&self, request: &TokenRequest) -> Result<Form, TokenError> {
        let mut form = Serializer::new(String::new());
        request.each_parameter(&mut |name, value| {
            form.append_pair(name, value);
        });
        self.sign(form)
    }

    fn revocation_form(&self, token: &str, hint: &str) -> Result<Form, TokenError> {
        let mut form = Serializer::new(String::new());
        form.append_pair("token", token).append_pair("token_type_hint", hint);
        self.sign(form)
    }

    /// Adds the client's credentials to a form, or finds the header that goes with it.
    fn sign(&self, mut form: Serializer<'_, String>) -> Result<Form, TokenError> {
        let inner = &self.0;
        let endpoint = inner.token_endpoint.as_str();
        let credentials = inner
            .authentication
            .credentials(&inner.client_id, endpoint, inner.clock.now())
            .map_err(|error| misconfigured(error.to_string()))?;
        for (name, value) in &credentials.form {
            form.append_pair(name, value.expose());
        }
        Ok(Form { body: form.finish().into(), header: credentials.header })
    }

    async fn post(&self, endpoint: &Url, form: Form) -> Result<Response<Bytes>, TokenError> {
        let mut request = Request::new(form.body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = endpoint.as_str().parse().map_err(|_| bad_url("the endpoint"))?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(value) = form.header {
            headers.insert(AUTHORIZATION, value);
        }
        Ok(self.0.http.send(request, self.0.limits).await?)
    }

    /// What tells one request from every other: endpoint, client, tenant and the whole form, as a hash.
    pub(crate) fn cache_key(&self, request: &TokenRequest) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut add = |part: &str| {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        };
        add(self.0.token_endpoint.as_str());
        add(&self.0.client_id);
        add(self.0.authentication.method());
        add(request.tenant_name().map_or("none", |_| "some"));
        add(request.tenant_name().unwrap_or_default());
        request.each_parameter(&mut |name, value| {
            add(name);
            add(value);
        });
        hash.finalize().into()
    }

    /// The client's identifier.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.0.client_id
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.0.limits.timeout
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    pub(crate) fn renewal(&self) -> &RenewalSettings {
        &self.0.renewal
    }
}

impl fmt::Debug for TokenClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenClient")
            .field("client_id", &self.0.client_id)
            .field("token_endpoint", &self.0.token_endpoint.as_str())
            .field("authentication", &self.0.authentication.method())
            .finish_non_exhaustive()
    }
}

/// What is to be revoked.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Revoke<'a> {
    /// A refresh token, and with it, at most servers, every token of its grant.
    Refresh(&'a crate::RefreshToken),
    /// One access token.
    Access(&'a crate::AccessToken),
}

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
}

impl TokenClientBuilder {
    /// Authenticates with a secret by `client_secret_basic`, which every server has to offer.
    pub fn secret(self, secret: impl Into<ClientSecret>) -> Self {
        self.authentication(ClientAuthentication::Basic(secret.into()))
    }

    /// How the client authenticates. There is no default: a public client says [`ClientAuthentication::None`].
    pub fn authentication(mut self, authentication: ClientAuthentication) -> Self {
        self.authentication = Some(authentication);
        self
    }

    /// What sends the requests. Default, with the feature `reqwest`: `ReqwestClient::new()`.
    pub fn http(mut self, http: impl HttpClient) -> Self {
        self.http = Some(Arc::new(http));
        self
    }

    /// What sends the requests, shared with others.
    pub fn shared_http(mut self, http: Arc<dyn HttpClient>) -> Self {
        self.http = Some(http);
        self
    }

    /// Where [`TokenClient::revoke`] goes.
    pub fn revocation_endpoint(mut self, url: impl Into<String>) -> Self {
        self.revocation_endpoint = Some(url.into());
        self
    }

    /// The clock that lifetimes are held against. Default: the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    pub(crate) fn shared_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The longest one exchange may take. Default 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// When the client's sources renew and how they back off.
    pub fn renewal(mut self, renewal: RenewalSettings) -> Self {
        self.renewal = renewal;
        self
    }

    /// Puts the client together. Sends nothing.
    ///
    /// # Errors
    /// [`TokenErrorKind::Misconfigured`]: an endpoint that is no URL or has a fragment, no authentication, no HTTP client.
    pub fn build(self) -> Result<TokenClient, TokenError> {
        let authentication = self.authentication.ok_or_else(|| {
            misconfigured(
                "say how the client authenticates: `secret`, or `authentication` with None for a public client",
            )
        })?;
        let http = match self.http {
            Some(http) => http,
            None => default_http()?,
        };
        let revocation_endpoint =
            self.revocation_endpoint.map(|url| endpoint(&url, "the revocation endpoint")).transpose()?;
        Ok(TokenClient(Arc::new(Inner {
            client_id: self.client_id,
            token_endpoint: endpoint(&self.token_endpoint, "the token endpoint")?,
            revocation_endpoint,
            authentication,
            http,
            clock: self.clock,
            limits: Limits::default().timeout(self.timeout).max_body(MAX_BODY),
            renewal: self.renewal,
        })))
    }
}

#[cfg(feature = "reqwest")]
pub(crate) fn default_http() -> Result<Arc<dyn HttpClient>, TokenError> {
    match token_core::http::ReqwestClient::new() {
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
