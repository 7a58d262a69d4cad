//! The URL of an API in, a token for it out: its metadata, the server's metadata, the client's registration, the grant
//! (RFC 9728, RFC 8414, RFC 7591, RFC 6749).

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use token_core::http::{BoxFuture, HttpClient, Limits};
use token_core::opaque::client_authentication::ClientAuthentication;
use token_core::{Clock, Timestamp};
use url::Url;

use super::authorization::{Asking, AuthorizationRequest};
use super::challenge::Challenge;
use super::identity::{Identities, Known};
use super::resource_metadata::{ResourceMetadata, process_resource_metadata, resource_metadata_urls};
use super::scopes::Scopes;
use super::server_metadata::{ServerMetadata, process_server_metadata, server_metadata_urls};
use super::{CrossApp, UserAgent, documents, registration};
use crate::client::TokenClient;
use crate::dpop::key::DpopKey;
use crate::error::{TokenError, TokenErrorKind, misconfigured};
use crate::flight::Fetch;
use crate::grant::TokenRequest;
use crate::renewal::RenewalSettings;
use crate::secret::RefreshToken;
use crate::source::TokenSource;
use crate::telemetry::Asks;
use crate::token::Token;
use crate::token_type::TokenType;

/// How often it is checked whether an API that keeps refusing tokens has moved to another server.
const BETWEEN_LOOKS: Duration = Duration::from_secs(10);

/// How tokens are obtained once the server is known.
#[derive(Clone, Debug)]
pub(super) enum Grant {
    /// For the client itself.
    ClientCredentials,
    /// For a user, who signs in.
    User(Arc<dyn UserAgent>),
    /// For a user for whom an identity provider vouches.
    CrossApp(CrossApp),
    /// For the client itself, with the token of its platform.
    Workload(Arc<dyn TokenSource>),
}

/// The settings, and what was discovered.
pub(super) struct Engine {
    pub(super) url: Url,
    pub(super) http: Arc<dyn HttpClient>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: Limits,
    pub(super) renewal: RenewalSettings,
    pub(super) grant: Grant,
    /// The key that tokens are bound to.
    pub(super) dpop: Option<DpopKey>,
    pub(super) found: Mutex<Found>,
}

pub(super) struct Found {
    identities: Identities,
    scopes: Scopes,
    /// Where the last challenge said that the API's metadata is.
    metadata_at: Option<Url>,
    site: Option<Arc<Site>>,
    /// When it was last checked whether the server is still the same.
    looked: Option<Timestamp>,
    /// After a user has signed in: the current token, the refresh token, and the requested scopes.
    signed_in: Option<SignedIn>,
}

impl Found {
    /// The state before anything was discovered.
    pub(super) fn nothing_but(identities: Identities, scopes: Scopes) -> Self {
        Self { identities, scopes, metadata_at: None, site: None, looked: None, signed_in: None }
    }
}

#[derive(Clone)]
struct SignedIn {
    token: Token,
    refresh: Option<RefreshToken>,
    issuer: String,
    scope: String,
}

/// Where tokens for the API are obtained.
struct Site {
    resource: ResourceMetadata,
    server: ServerMetadata,
    client: TokenClient,
}

impl Engine {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records what a response says about metadata and scopes. Returns whether more scopes are required than before.
    pub(super) fn learn(&self, headers: &HeaderMap) -> bool {
        let challenges = Challenge::read(headers);
        // An API that takes bound tokens may say it in either challenge, or in both (RFC 9449 section 7.1).
        let challenges = || challenges.iter().filter(|challenge| challenge.is("bearer") || challenge.is("dpop"));
        let mut found = self.found();
        if let Some(place) = challenges().find_map(|challenge| challenge.parameter("resource_metadata")) {
            // One that may not be read is none; the well-known places are left.
            found.metadata_at = documents::address(place, "resource_metadata", Some(&self.url)).ok();
        }
        challenges().find_map(|challenge| challenge.parameter("scope")).is_some_and(|scope| found.scopes.add(scope))
    }

    /// Whether no response of the API was seen yet.
    pub(super) fn knows_nothing(&self) -> bool {
        let found = self.found();
        found.site.is_none() && found.metadata_at.is_none()
    }

    /// Whether the API's metadata no longer names our server, in which case everything is discovered again. Checked at
    /// intervals, however many requests are refused. If the metadata cannot be read, the answer is no.
    pub(super) async fn has_moved(&self) -> bool {
        let site = {
            let (mut found, now) = (self.found(), self.clock.now());
            let Some(site) = found.site.clone() else { return false };
            if found.looked.is_some_and(|last| last <= now && now.since(last) < BETWEEN_LOOKS) {
                return false;
            }
            found.looked = Some(now);
            site
        };
        let Ok(resource) = self.resource().await else { return false };
        let stays =
            resource.authorization_servers.contains(&site.server.issuer) && resource.resource == site.resource.resource;
        if !stays {
            let mut found = self.found();
            (found.site, found.signed_in) = (None, None);
        }
        !stays
    }

    async fn site(&self) -> Result<Arc<Site>, TokenError> {
        if let Some(site) = self.found().site.clone() {
            return Ok(site);
        }
        let resource = self.resource().await?;
        let issuer = self.found().identities.choose(&resource.authorization_servers).cloned();
        let issuer = issuer.ok_or_else(|| misconfigured("the API's metadata names no authorization server"))?;
        let places = server_metadata_urls(&issuer)?;
        let server =
            documents::first(&self.http, self.limits, &places, |_, body| process_server_metadata(&issuer, body));
        let server = server.await?.ok_or_else(|| {
            TokenError::new(
                TokenErrorKind::NoMetadata,
                "the API's authorization server publishes no metadata at any of its places",
            )
        })?;
        let client = self.client(&server).await?;
        let site = Arc::new(Site { resource, server, client });
        self.found().site = Some(Arc::clone(&site));
        Ok(site)
    }

    /// Finds the API's metadata (RFC 9728 section 3): where the challenge says, otherwise at the well-known URLs. If no
    /// challenge was seen yet, a request without token provokes one.
    async fn resource(&self) -> Result<ResourceMetadata, TokenError> {
        let judge = |place: &Url, body: &[u8]| process_resource_metadata(&self.url, place, body);
        let named = self.found().metadata_at.clone();
        let well_known = resource_metadata_urls(&self.url).into_iter().filter(|place| named.as_ref() != Some(place));
        let places: Vec<Url> = named.clone().into_iter().chain(well_known).collect();
        if let Some(resource) = documents::first(&self.http, self.limits, &places, judge).await? {
            return Ok(resource);
        }
        self.probe().await?;
        let named = self.found().metadata_at.clone().filter(|named| !places.contains(named));
        let further: Vec<Url> = named.into_iter().collect();
        documents::first(&self.http, self.limits, &further, judge).await?.ok_or_else(|| {
            TokenError::new(
                TokenErrorKind::NoMetadata,
                "the API publishes no metadata (RFC 9728): neither its challenge nor the well-known places lead to any",
            )
        })
    }

    /// Sends a request without a token, to get a challenge.
    async fn probe(&self) -> Result<(), TokenError> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = self.url.as_str().parse().map_err(|_| misconfigured("the API's URL is no URI"))?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let answer = self.http.send(request, self.limits).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            self.learn(answer.headers());
        }
        Ok(())
    }

    /// The client at this server, registered there if necessary.
    async fn client(&self, server: &ServerMetadata) -> Result<TokenClient, TokenError> {
        let identities = self.found().identities.clone();
        let registration = match identities.at(server)? {
            Known::As(registration) => registration,
            Known::After(metadata, endpoint) => {
                let signs_in = matches!(self.grant, Grant::User(_));
                let mut request = Request::new(Bytes::from(metadata.request(server, signs_in)?));
                let endpoint = documents::address(endpoint, "registration_endpoint", Some(&self.url))?;
                *request.method_mut() = Method::POST;
                *request.uri_mut() =
                    endpoint.as_str().parse().map_err(|_| misconfigured("registration_endpoint is no URI"))?;
                let json = HeaderValue::from_static("application/json");
                request.headers_mut().insert(CONTENT_TYPE, json.clone());
                request.headers_mut().insert(ACCEPT, json);
                let answer = self.http.send(request, self.limits).await?;
                let registration = registration::process(server, answer.status(), answer.body())?;
                self.found().identities.remember(&server.issuer, registration.clone());
                registration
            }
        };
        let endpoint = server.token_endpoint.as_deref().ok_or_else(|| {
            TokenError::new(TokenErrorKind::NoMetadata, "the authorization server's metadata names no token_endpoint")
        })?;
        let endpoint = documents::address(endpoint, "token_endpoint", Some(&self.url))?;
        // RFC 7523 section 3 with the later advice: an assertion is for the issuer, which no other server can claim to be.
        let authentication = match registration.authentication {
            ClientAuthentication::PrivateKeyJwt { key, audience: None } => {
                ClientAuthentication::PrivateKeyJwt { key, audience: Some(server.issuer.clone()) }
            }
            other => other,
        };
        let mut builder = TokenClient::builder(endpoint.as_str(), registration.client_id);
        if let Some(key) = &self.dpop {
            builder = builder.dpop(key.clone());
        }
        builder
            .authentication(authentication)
            .shared_http(Arc::clone(&self.http))
            .shared_clock(Arc::clone(&self.clock))
            .timeout(self.limits.timeout)
            .renewal(self.renewal.clone())
            .build()
    }

    async fn obtain(&self, refused: Option<Token>) -> Result<Token, TokenError> {
        let site = self.site().await?;
        let outcome = self.ask(&site, refused).await;
        if matches!(&outcome, Err(error) if error.kind() == TokenErrorKind::InvalidClient) {
            // A server that has forgotten a client which registered itself is told of it anew, next time.
            let mut found = self.found();
            if found.identities.forget(&site.server.issuer) {
                found.site = None;
            }
        }
        outcome
    }

    async fn ask(&self, site: &Site, refused: Option<Token>) -> Result<Token, TokenError> {
        // MCP's "refresh tokens": asked for only where the server knows the scope and there is a user who may be absent later.
        let refreshes = matches!(self.grant, Grant::User(_)) && site.server.knows_scope("offline_access");
        let scope = self.found().scopes.choose(site.resource.scopes_supported.as_deref(), refreshes);
        let shaped = |request: TokenRequest| request.resource(site.resource.resource.as_str()).scope(&scope);
        match &self.grant {
            Grant::ClientCredentials => {
                site.client.token(site.client.obtain(&shaped(TokenRequest::client_credentials())).await?)
            }
            Grant::CrossApp(cross_app) => {
                let assertion = cross_app.assertion(&site.server.issuer, &site.resource.resource, &scope).await?;
                let request =
                    TokenRequest::jwt_bearer(assertion).scope(&scope).resource(site.resource.resource.as_str());
                site.client.token(site.client.obtain(&request).await?)
            }
            Grant::Workload(platform) => {
                let assertion = platform.token().await?.access_token().clone();
                site.client.token(site.client.obtain(&shaped(TokenRequest::jwt_bearer(assertion))).await?)
            }
            Grant::User(agent) => self.user_token(site, &**agent, scope, refused).await,
        }
    }

    async fn user_token(
        &self,
        site: &Site,
        agent: &dyn UserAgent,
        scope: String,
        refused: Option<Token>,
    ) -> Result<Token, TokenError> {
        let now = self.clock.now();
        let signed_in = self.found().signed_in.clone();
        let signed_in = signed_in.filter(|before| before.scope == scope && before.issuer == site.server.issuer);
        if let Some(before) = &signed_in {
            if let Some(refresh) = &before.refresh {
                let request = TokenRequest::refresh(refresh.clone()).resource(site.resource.resource.as_str());
                match site.client.obtain(&request).await {
                    Ok(response) => return self.keep(site, scope, response, Some(refresh.clone())),
                    // Spent or revoked: the user is asked again.
                    Err(error) if error.fault() == crate::error::Fault::Terminal => {}
                    Err(error) => return Err(error),
                }
            } else if refused.is_none() && before.token.expires_at().is_none_or(|end| now < end) {
                // Nobody is asked to sign in again ahead of time.
                return Ok(before.token.clone());
            }
        }
        let thumbprint = self.dpop.as_ref().map(|key| key.thumbprint().to_string());
        let asking = Asking {
            client_id: site.client.client_id(),
            redirect_uri: agent.redirect_uri(),
            scope: &scope,
            resource: &site.resource.resource,
            dpop_jkt: thumbprint.as_deref(),
        };
        let request = AuthorizationRequest::new(&site.server, asking)?;
        let came_back = agent.sign_in(&request).await?;
        let (code, verifier) = request.code(&came_back)?;
        let redeem = TokenRequest::authorization_code(code, verifier)
            .redirect_uri(agent.redirect_uri())
            .resource(site.resource.resource.as_str());
        let response = site.client.obtain(&redeem).await?;
        self.keep(site, scope, response, None)
    }

    fn keep(
        &self,
        site: &Site,
        scope: String,
        response: crate::response::TokenResponse,
        sent: Option<RefreshToken>,
    ) -> Result<Token, TokenError> {
        let refresh = response.refresh_token.clone().or(sent);
        let token = site.client.token(response)?;
        let issuer = site.server.issuer.clone();
        self.found().signed_in = Some(SignedIn { token: token.clone(), refresh, issuer, scope });
        Ok(token)
    }
}

/// The engine as a token source for the cache.
#[derive(Debug)]
pub(super) struct Shared(pub(super) Arc<Engine>);

impl Fetch for Shared {
    fn fetch(&self, refused: Option<Token>) -> BoxFuture<'_, Result<Token, TokenError>> {
        Box::pin(self.0.obtain(refused))
    }

    fn patience(&self) -> Option<Duration> {
        // A user may take as long as a user takes. Without one it is a dozen requests at the most.
        match &self.0.grant {
            Grant::User(_) | Grant::CrossApp(_) | Grant::Workload(_) => None,
            Grant::ClientCredentials => Some(self.0.limits.timeout.saturating_mul(12)),
        }
    }

    fn asks(&self) -> Asks<'_> {
        let grant = match &self.0.grant {
            Grant::ClientCredentials => "client_credentials",
            Grant::User(_) => "authorization_code",
            Grant::CrossApp(_) | Grant::Workload(_) => "jwt_bearer",
        };
        // The operator's word for the client may be one of several; the API is one.
        Asks { client: self.0.url.host_str().unwrap_or_default(), grant }
    }
}

impl CrossApp {
    /// The first half of the cross-app grant: the identity provider's assertion for the user, that server and that API.
    async fn assertion(
        &self,
        issuer: &str,
        resource: &str,
        scope: &str,
    ) -> Result<crate::secret::Assertion, TokenError> {
        let id_token = self.id_token().await?;
        let request = TokenRequest::exchange(id_token, TokenType::ID_TOKEN)
            .requested_type(TokenType::ID_JAG)
            .audience(issuer)
            .resource(resource)
            .scope(scope);
        Ok(self.provider.obtain(&request).await?.access_token.into())
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("url", &self.url.as_str()).field("grant", &self.grant).finish_non_exhaustive()
    }
}
