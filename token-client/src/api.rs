//! The URL of an API that nobody has configured goes in, tokens for it come out: found out from its own answers
//! (RFC 9728, RFC 8414, RFC 7591, RFC 8707; the authorization part of the Model Context Protocol, 2025-11-25 and 2026-07-28).

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

/// The largest metadata document or registration answer that is read, in bytes.
const MAX_BODY: usize = 256 * 1024;

/// What an answer of the API may cost where nothing else is said.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// An API that is known by its URL alone, and the tokens for it.
///
/// Its own answers say the rest: the challenge of a 401 or the well-known place lead to the API's metadata (RFC 9728), that to its
/// authorization server's (RFC 8414, with OpenID Connect's places after it), and there a client that is not known registers itself or
/// shows the document about it. Tokens are asked for with the API as their `resource` (RFC 8707), so that they are good nowhere else.
///
/// It is a [`TokenSource`]: tokens are cached, renewed early, and asked for once however many want one.
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
/// * The API's metadata is about this API; the server's names that very issuer; an authorization response is to our request and of our
///   issuer (RFC 9207). Whatever is not is [`UntrustedMetadata`](crate::TokenErrorKind::UntrustedMetadata).
/// * Credentials that are registered with one issuer are shown to no other: an API whose metadata names another server is an error,
///   or, with [`document`](ProtectedApiBuilder::document) and [`register`](ProtectedApiBuilder::register), another client there.
/// * Addresses are https, or http to this machine, and the [HTTP client](ProtectedApiBuilder::http) has the last word. The token goes
///   to the API's URL and below and nowhere else.
/// * A server where users sign in has PKCE with S256.
///
/// # What is not
///
/// Whether the scopes that were granted are those that were asked for: the API says so, by a challenge. The newest eight registrations are
/// remembered as long as this value lives and are not written anywhere; one that its server has forgotten is made anew. APIs without metadata, as before June 2025, are not supported.
#[derive(Clone)]
pub struct ProtectedApi {
    cell: Arc<Cell>,
    engine: Arc<Engine>,
    answers: Limits,
}

/// Where a user signs in: a browser, and whatever waits for it to come back.
pub trait UserAgent: fmt::Debug + Send + Sync + 'static {
    /// Where users are sent back to. It has to be registered with the server, or be in the client's document.
    fn redirect_uri(&self) -> &str;

    /// Sends the user to [`request.url()`](AuthorizationRequest::url), and returns the whole URL that they came back with.
    ///
    /// # Errors
    /// Any [`TokenError`], [`AccessDenied`](crate::TokenErrorKind::AccessDenied) say when the user closes the window.
    fn sign_in<'a>(&'a self, request: &'a AuthorizationRequest) -> BoxFuture<'a, Result<String, TokenError>>;
}

/// Cross-app access: our own identity provider vouches for the user at the API's server (Identity Assertion JWT Authorization Grant).
///
/// Two requests make one token: the user's ID token is exchanged at the provider (RFC 8693) for an assertion, and that is the grant
/// at the API's server (RFC 7523). The user is asked nothing.
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
    /// For the user of this ID token, until it ends.
    #[must_use]
    pub fn new(provider: TokenClient, id_token: impl Into<IdToken>) -> Self {
        Self { provider, user: User::Token(id_token.into()) }
    }

    /// For the user of a source whose tokens come with an ID token, a [`RefreshSource`](crate::RefreshSource) with `openid` among its scopes say.
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
    /// The API at this URL.
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

    /// The API's URL.
    #[must_use]
    pub fn url(&self) -> &str {
        self.engine.url.as_str()
    }

    /// Sends a request with a token, and does what the API's challenges ask for: a token where there was none, a new one where it was
    /// refused, more scopes where it was not enough. At most three answers are answered so; the last one is returned, whatever it is. At most 64
    /// scopes are asked for because an API says so, however often it does.
    ///
    /// The answer is read whole, within [`answers`](ProtectedApiBuilder::answers). For one that never ends, a stream of events say, send
    /// the requests with a client of your own: [`attempt`](Self::attempt).
    ///
    /// # Errors
    /// [`WrongHost`](crate::TokenErrorKind::WrongHost) for a request to anywhere but the API's URL and below; else whatever keeps us from
    /// a token, or from an answer.
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

    /// The same for a client of your own: one request, to be sent until [`Attempt::answered`] is content.
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

/// The settings of a [`ProtectedApi`]: who we are, in one or several ways, and for whom the tokens are.
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
    /// The client is registered with this issuer, by this identifier; may be called again for another issuer. No other is shown it.
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

    /// The client is known by a document about it at this URL, which is its identifier: see [`ClientMetadata::document`]. `authentication` is
    /// [`ClientAuthentication::None`], or a key whose public half is in the document. It is taken where the server takes documents.
    pub fn document(mut self, url: impl Into<String>, authentication: ClientAuthentication) -> Self {
        self.identities.document = Some((url.into(), authentication));
        self
    }

    /// The client may register itself (RFC 7591), where nothing better is known.
    pub fn register(mut self, metadata: ClientMetadata) -> Self {
        self.identities.metadata = Some(metadata);
        self
    }

    /// Tokens are for a user, who signs in there. Default: for the client itself, by client credentials.
    pub fn user_agent(mut self, agent: impl UserAgent) -> Self {
        self.grant = Grant::User(Arc::new(agent));
        self
    }

    /// Tokens are for a user whom our own identity provider vouches for.
    pub fn cross_app(mut self, cross_app: CrossApp) -> Self {
        self.grant = Grant::CrossApp(cross_app);
        self
    }

    /// Binds the tokens to this key (DPoP, RFC 9449), an authorization code on the way to them, too (`dpop_jkt`). Each request then carries its proof,
    /// and a nonce that server or API ask for is met with one more attempt. A server that binds nothing is an error.
    pub fn dpop(mut self, key: DpopKey) -> Self {
        self.dpop = Some(key);
        self
    }

    /// Tokens are for the client itself, which shows the token of the platform that it runs on: a Kubernetes service account's, a cloud's, a CI
    /// job's (workload identity federation, RFC 7523 section 2.1). The source's token is the assertion; the server has to trust its issuer.
    pub fn workload(mut self, platform: impl TokenSource) -> Self {
        self.grant = Grant::Workload(Arc::new(platform));
        self
    }

    /// Scopes to ask for beside those that the API asks for, separated by blanks.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = scope.into();
        self
    }

    /// What sends the requests. Default, with the feature `reqwest`: `ReqwestClient::new()`.
    pub fn http(mut self, http: impl HttpClient) -> Self {
        self.http = Some(Arc::new(http));
        self
    }

    /// The clock that lifetimes are held against. Default: the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The longest one exchange may take with the authorization server, or for a metadata document. Default 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// What an answer of the API to [`send`](ProtectedApi::send) may cost. Default: 60 s and 16 MiB.
    pub fn answers(mut self, limits: Limits) -> Self {
        self.answers = limits;
        self
    }

    /// When tokens are renewed, and how failures are spaced.
    pub fn renewal(mut self, renewal: RenewalSettings) -> Self {
        self.renewal = renewal;
        self
    }

    /// Puts it together. Sends nothing.
    ///
    /// # Errors
    /// [`Misconfigured`](crate::TokenErrorKind::Misconfigured): a URL that is neither https nor http to this machine, no way to be known, a
    /// [`registered`](Self::registered) public client without a user, no HTTP client.
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
