//! The URL of an API in, tokens for it out: everything else is discovered from the API's answers (RFC 9728, RFC 8414,
//! RFC 7591, RFC 8707; the authorization part of the Model Context Protocol, 2025-11-25 and 2026-07-28).

mod attempt;
pub(crate) mod authorization;
pub(crate) mod challenge;
mod documents;
mod engine;
mod identity;
pub(crate) mod registration;
pub(crate) mod resource_metadata;
mod scopes;
pub(crate) mod server_metadata;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use token_core::http::{BoxFuture, HttpClient, Limits};
use token_core::opaque::client_authentication::ClientAuthentication;
use token_core::{Clock, SystemClock};

use self::authorization::AuthorizationRequest;
use self::engine::{Engine, Found, Grant, Shared};
use self::identity::Identities;
use self::registration::{ClientMetadata, Registration};
use self::scopes::Scopes;
use crate::acquire::Acquire;
use crate::builder::default_http;
use crate::client::TokenClient;
use crate::dpop::key::DpopKey;
use crate::error::{TokenError, misconfigured};
use crate::flight::Cell;
use crate::renewal::RenewalSettings;
use crate::secret::{Assertion, IdToken};
use crate::source::TokenSource;
use crate::token::Token;

pub use attempt::Attempt;

/// The largest metadata document or registration response that is read, in bytes.
const MAX_BODY: usize = 256 * 1024;

/// How long the API may take to answer, unless set otherwise.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Obtains tokens for an API of which only the URL is known.
///
/// The rest is discovered. The challenge of a 401 response, or the well-known URL, leads to the API's metadata (RFC
/// 9728); that names the authorization server, whose metadata is read next (RFC 8414, then the locations of OpenID
/// Connect). If the client is not registered there, it registers itself or presents its metadata document. Tokens are
/// requested for the API as their `resource` (RFC 8707), so that they are valid nowhere else.
///
/// It is a [`TokenSource`]: tokens are cached, renewed before they expire, and requested once for all concurrent
/// callers.
///
/// ```no_run
/// use token_client::{ClientAuthentication, ProtectedApi};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let api = ProtectedApi::builder("https://reports.example.com/mcp")
///     .registered("https://login.example.com", "reporter", ClientAuthentication::Basic("from the environment".into()))
///     .build()?;
/// let request = http::Request::post(api.url()).body("{}".into())?;
/// let answer = api.send(request).await?;
/// # let _ = answer; Ok(()) }
/// ```
///
/// # What is checked
///
/// * The API's metadata is about this API, the server's metadata names the expected issuer, and an authorization
///   response belongs to our request and comes from that issuer (RFC 9207). Anything else is
///   [`UntrustedMetadata`](crate::TokenErrorKind::UntrustedMetadata).
/// * Credentials registered with one issuer are never sent to another. If the API's metadata names another server, the
///   result is an error, or, with [`document`](ProtectedApiBuilder::document) or
///   [`register`](ProtectedApiBuilder::register), a separate client there.
/// * URLs are https, or http to this machine; the [HTTP client](ProtectedApiBuilder::http) may refuse more. The token
///   is only sent to the API's URL and paths below it.
/// * A server where users sign in supports PKCE with S256.
///
/// # What is not checked
///
/// Whether the granted scopes are those that were requested; the API tells by a challenge. The eight most recent
/// registrations are remembered in memory only, and a registration that the server has forgotten is made again. APIs
/// without metadata (MCP before June 2025) are not supported.
#[derive(Clone)]
pub struct ProtectedApi {
    cell: Arc<Cell>,
    engine: Arc<Engine>,
    answers: Limits,
}

/// Opens the sign-in page for a user, and waits until the user comes back: a browser and a local listener, for example.
pub trait UserAgent: fmt::Debug + Send + Sync + 'static {
    /// The redirect URI. It must be registered with the server, or be in the client's metadata document.
    fn redirect_uri(&self) -> &str;

    /// Sends the user to [`request.url()`](AuthorizationRequest::url), and returns the complete URL with which they
    /// came back.
    ///
    /// # Errors
    /// Any [`TokenError`], for example [`AccessDenied`](crate::TokenErrorKind::AccessDenied) if the user closes the
    /// window.
    fn sign_in<'a>(&'a self, request: &'a AuthorizationRequest) -> BoxFuture<'a, Result<String, TokenError>>;
}

/// Cross-app access: the user's own identity provider vouches for the user at the API's authorization server (Identity
/// Assertion JWT Authorization Grant).
///
/// Two requests obtain one token: the user's ID token is exchanged at the provider (RFC 8693) for an assertion, which
/// is then the grant at the API's server (RFC 7523). The user is not asked.
#[derive(Clone)]
pub struct CrossApp {
    provider: TokenClient,
    user: User,
}

#[derive(Clone)]
enum User {
    Token(IdToken),
    Source(Arc<dyn TokenSource>),
}

impl CrossApp {
    /// For the user of this ID token, until it expires.
    #[must_use]
    pub fn new(provider: TokenClient, id_token: impl Into<IdToken>) -> Self {
        Self { provider, user: User::Token(id_token.into()) }
    }

    /// For the user of a source that also provides ID tokens, such as a [`RefreshSource`](crate::RefreshSource) with
    /// the scope `openid`.
    #[must_use]
    pub fn from_source(provider: TokenClient, source: impl TokenSource) -> Self {
        Self { provider, user: User::Source(Arc::new(source)) }
    }

    async fn id_token(&self) -> Result<Assertion, TokenError> {
        match &self.user {
            User::Token(token) => Ok(token.clone().into()),
            User::Source(source) => {
                let token = source.token().await?;
                let id_token = token.id_token().cloned();
                let missing = "the source's tokens come without an ID token; is openid among its scopes?";
                Ok(id_token.ok_or_else(|| misconfigured(missing))?.into())
            }
        }
    }
}

impl fmt::Debug for CrossApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrossApp").field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl ProtectedApi {
    /// Settings for the API at this URL.
    pub fn builder(url: impl Into<String>) -> ProtectedApiBuilder {
        ProtectedApiBuilder {
            url: url.into(),
            identities: Identities::default(),
            grant: Grant::ClientCredentials,
            dpop: None,
            scope: String::new(),
            http: None,
            clock: Arc::new(SystemClock),
            timeout: Duration::from_secs(5),
            answers: Limits::default().timeout(ANSWER_TIMEOUT).max_body(MAX_ANSWER),
            renewal: RenewalSettings::default(),
        }
    }

    /// The URL of the API.
    #[must_use]
    pub fn url(&self) -> &str {
        self.engine.url.as_str()
    }

    /// Sends a request with a token, and responds to the API's challenges: it obtains a token if there was none, a new
    /// one if it was refused, or one with more scopes if they were insufficient. The request is repeated at most three
    /// times; the last response is returned, whatever it is. At most 64 scopes are requested because of challenges.
    ///
    /// The whole response is read, within the limits set by [`answers`](ProtectedApiBuilder::answers). For responses
    /// that do not end, such as event streams, send the requests with your own client: [`attempt`](Self::attempt).
    ///
    /// # Errors
    /// [`WrongHost`](crate::TokenErrorKind::WrongHost) for a request to anywhere but the API's URL and below; otherwise
    /// the reason why there is no token or no response.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TokenError> {
        let mut attempt = self.attempt();
        loop {
            let mut sent = request.clone();
            attempt.authorize(&mut sent).await?;
            let answer = self.engine.http.send(sent, self.answers).await?;
            if !attempt.answered(answer.status(), answer.headers()).await? {
                return Ok(answer);
            }
        }
    }

    /// Like [`send`](Self::send), for your own HTTP client: a request that is sent until [`Attempt::answered`] returns
    /// `false`.
    #[must_use]
    pub fn attempt(&self) -> Attempt<'_> {
        Attempt::new(self)
    }
}

impl TokenSource for ProtectedApi {
    fn token(&self) -> Acquire<'_> {
        self.cell.ask()
    }

    fn renew(&self, refused: &Token) -> Acquire<'_> {
        self.cell.ask_again(refused)
    }
}

impl fmt::Debug for ProtectedApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtectedApi").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// The settings of a [`ProtectedApi`]: how the client is known to the server, and for whom tokens are obtained.
#[derive(Clone, Debug)]
#[must_use]
pub struct ProtectedApiBuilder {
    url: String,
    identities: Identities,
    grant: Grant,
    dpop: Option<DpopKey>,
    scope: String,
    http: Option<Arc<dyn HttpClient>>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
    answers: Limits,
    renewal: RenewalSettings,
}

impl ProtectedApiBuilder {
    /// Sets the client identifier and credentials registered with this issuer. Call it once for each issuer; no other
    /// issuer sees them.
    pub fn registered(
        mut self,
        issuer: impl Into<String>,
        client_id: impl Into<String>,
        authentication: ClientAuthentication,
    ) -> Self {
        let registration = Registration { client_id: client_id.into(), authentication };
        self.identities.registered.insert(issuer.into(), registration);
        self
    }

    /// Sets the URL of a document about the client, which then is its identifier: see [`ClientMetadata::document`].
    /// `authentication` is [`ClientAuthentication::None`], or a key whose public part is in the document. Used with
    /// servers that support such documents.
    pub fn document(mut self, url: impl Into<String>, authentication: ClientAuthentication) -> Self {
        self.identities.document = Some((url.into(), authentication));
        self
    }

    /// Allows the client to register itself (RFC 7591) where it is not known otherwise.
    pub fn register(mut self, metadata: ClientMetadata) -> Self {
        self.identities.metadata = Some(metadata);
        self
    }

    /// Obtains tokens for a user, who signs in. Default: tokens for the client itself, by client credentials.
    pub fn user_agent(mut self, agent: impl UserAgent) -> Self {
        self.grant = Grant::User(Arc::new(agent));
        self
    }

    /// Obtains tokens for a user for whom the user's identity provider vouches.
    pub fn cross_app(mut self, cross_app: CrossApp) -> Self {
        self.grant = Grant::CrossApp(cross_app);
        self
    }

    /// Binds the tokens to this key (DPoP, RFC 9449), and also the authorization code (`dpop_jkt`). Each request then
    /// contains a proof. If the server or the API asks for a nonce, the request is repeated once with it. A server that
    /// does not bind tokens is an error.
    pub fn dpop(mut self, key: DpopKey) -> Self {
        self.dpop = Some(key);
        self
    }

    /// Obtains tokens for the client itself with the token of the platform that it runs on: of a Kubernetes service
    /// account, a cloud, a CI job (workload identity federation, RFC 7523 section 2.1). The platform's token is the
    /// assertion; the server must trust its issuer.
    pub fn workload(mut self, platform: impl TokenSource) -> Self {
        self.grant = Grant::Workload(Arc::new(platform));
        self
    }

    /// Adds scopes to those that the API asks for, separated by spaces.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = scope.into();
        self
    }

    /// Sets the HTTP client. Default, with the feature `reqwest`: `ReqwestClient::new()`.
    pub fn http(mut self, http: impl HttpClient) -> Self {
        self.http = Some(Arc::new(http));
        self
    }

    /// Sets the clock that lifetimes are compared with. Default: the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets how long one exchange with the authorization server, or for a metadata document, may take. Default: 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long a response to [`send`](ProtectedApi::send) may take and how large it may be. Default: 60 s and 16
    /// MiB.
    pub fn answers(mut self, limits: Limits) -> Self {
        self.answers = limits;
        self
    }

    /// Sets when tokens are renewed, and the pauses after failures.
    pub fn renewal(mut self, renewal: RenewalSettings) -> Self {
        self.renewal = renewal;
        self
    }

    /// Checks the settings and builds the `ProtectedApi`. Nothing is sent.
    ///
    /// # Errors
    /// [`Misconfigured`](crate::TokenErrorKind::Misconfigured): a URL that is neither https nor http to this machine,
    /// no way to be known to a server, a [`registered`](Self::registered) public client without a user, or no HTTP
    /// client.
    pub fn build(self) -> Result<ProtectedApi, TokenError> {
        let url = documents::address(&self.url, "the API's URL", None)
            .map_err(|error| misconfigured(error.detail().to_owned()))?;
        let identities = &self.identities;
        if identities.registered.is_empty() && identities.document.is_none() && identities.metadata.is_none() {
            return Err(misconfigured("say who the client is: `registered`, `document` or `register`"));
        }
        // The API names the server; what is good at more than one must not be shown to one that only the API vouches for.
        let carried = matches!(self.grant, Grant::Workload(_) | Grant::CrossApp(_));
        if carried && (identities.document.is_some() || identities.metadata.is_some()) {
            return Err(misconfigured(
                "a platform's or an identity provider's token goes to servers that were named alone: use `registered`, without `document` and `register`",
            ));
        }
        if let Some((_, authentication)) = &identities.document
            && !matches!(
                authentication,
                ClientAuthentication::None | ClientAuthentication::PrivateKeyJwt { audience: None, .. }
            )
        {
            return Err(misconfigured(
                "a client that is known by a document shows a key, for the server's own audience, or nothing: a secret would go to whichever server the API names",
            ));
        }
        let public = |registration: &Registration| matches!(registration.authentication, ClientAuthentication::None);
        if matches!(self.grant, Grant::ClientCredentials) && identities.registered.values().any(public) {
            return Err(misconfigured(
                "a public client gets no token for itself: give it a secret or a key, or a `user_agent`",
            ));
        }
        let http = self.http.map_or_else(default_http, Ok)?;
        let limits = Limits::default().timeout(self.timeout).max_body(MAX_BODY);
        let found = Found::nothing_but(self.identities, Scopes::of(&self.scope));
        let engine = Arc::new(Engine {
            url,
            http,
            clock: Arc::clone(&self.clock),
            limits,
            renewal: self.renewal.clone(),
            grant: self.grant,
            dpop: self.dpop,
            found: Mutex::new(found),
        });
        let cell = Cell::new(Shared(Arc::clone(&engine)), self.clock, self.renewal);
        Ok(ProtectedApi { cell, engine, answers: self.answers })
    }
}
