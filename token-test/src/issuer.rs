//! The embedded issuer as a test uses it: start it, mint tokens, rotate its keys, turn faults on and off.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use serde_json::{Value, json};
use token_core::Algorithm;

use crate::endpoints;
use crate::faults::Faults;
use crate::in_memory::InMemory;
use crate::keys::TestKey;
use crate::mint::TokenBuilder;
use crate::port::HeldPort;
use crate::pre_made;
use crate::registered::RegisteredClient;
use crate::serve::Server;
use crate::status_list::TestStatusList;
use crate::tenant::{Plan, Tenant};
use crate::traffic::Endpoint;

/// An authorization server on the loopback interface, for as long as this value lives.
///
/// It serves OpenID Connect Discovery, RFC 8414 metadata, a JWK Set and a token endpoint over real HTTP, and mints
/// tokens directly. It has one client from the start, `test-client` with the secret `test-secret`. Others register
/// themselves (RFC 7591) or have a metadata document. Users sign in on a page that asks for consent, but for no
/// password.
///
/// It speaks plain HTTP, so its clients must be allowed to connect to loopback addresses without TLS.
#[derive(Debug)]
pub struct TestIssuer {
    tenant: Arc<Tenant>,
    router: Router,
    port: HeldPort,
    server: Mutex<Option<Server>>,
}

impl TestIssuer {
    /// The secret of those tokens from [`token_like`](Self::token_like) that are signed with a shared secret. It is
    /// public.
    pub const SHARED_SECRET: &str = pre_made::SECRET;

    /// Starts an issuer with default settings: RS256, a free port on 127.0.0.1, the system clock.
    ///
    /// # Panics
    /// Outside a tokio runtime, or if there is no free port.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    pub(crate) fn serve(port: HeldPort, plan: Plan, also: Router) -> io::Result<Self> {
        let tenant = Arc::new(Tenant::new(format!("http://{}", port.address()), plan));
        let router = endpoints::router(&tenant).merge(also);
        let server = Mutex::new(Some(Server::spawn(port.listen()?, router.clone())));
        Ok(Self { tenant, router, port, server })
    }

    /// The issuer identifier, exactly as in `iss` and as a verifier is configured with.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.tenant.issuer
    }

    /// Whether a token is one of its own that has not ended, by signature, time and revocation.
    pub(crate) fn is_active(&self, token: &str) -> bool {
        self.tenant.active_claims(token).is_some()
    }

    /// Where the issuer listens: scheme, host and port. These are the same as in its [identifier](Self::url), unless it
    /// is [known by another name](crate::IssuerBuilder::known_as).
    #[must_use]
    pub fn address(&self) -> &str {
        &self.tenant.origin
    }

    /// The URL of the JWK Set.
    #[must_use]
    pub fn jwks_uri(&self) -> String {
        self.tenant.endpoint(endpoints::JWKS_PATH)
    }

    /// An HTTP client that reaches this issuer without a network, for
    /// [`Issuer::http_client`](token_core::Issuer::http_client). In a test with paused time, a fetch then takes no
    /// time, or exactly the time of a fault. Closed ports have no effect on it.
    #[must_use]
    pub fn in_memory(&self) -> InMemory {
        let authority = self.tenant.origin.split('/').nth(2).unwrap_or_default().to_owned();
        InMemory { router: self.router.clone(), authority }
    }

    /// The URL of the token endpoint.
    #[must_use]
    pub fn token_endpoint(&self) -> String {
        self.tenant.endpoint(endpoints::TOKEN_PATH)
    }

    /// The URL of the introspection endpoint (RFC 7662). The client `test-client` with the secret `test-secret` may use
    /// it.
    #[must_use]
    pub fn introspection_endpoint(&self) -> String {
        self.tenant.endpoint(endpoints::INTROSPECTION_PATH)
    }

    /// The URL of the userinfo endpoint.
    #[must_use]
    pub fn userinfo_endpoint(&self) -> String {
        self.tenant.endpoint(endpoints::USERINFO_PATH)
    }

    /// The URL of Auth0's legacy endpoint that checks an ID token.
    #[must_use]
    pub fn tokeninfo_endpoint(&self) -> String {
        self.tenant.endpoint(endpoints::TOKENINFO_PATH)
    }

    /// Revokes a token, opaque or JWT: introspection then reports it as inactive, and userinfo refuses it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let issuer = token_test::TestIssuer::start().await;
    /// let token = issuer.token().subject("ada").mint_opaque();
    /// issuer.revoke(&token);
    /// # }
    /// ```
    pub fn revoke(&self, token: &str) {
        self.tenant.revoke(token);
    }

    /// Publishes a new status list, in which every token is valid. Tokens refer to it by
    /// [`status`](TokenBuilder::status).
    #[must_use]
    pub fn status_list(&self) -> TestStatusList {
        TestStatusList::publish_by(Arc::clone(&self.tenant))
    }

    /// The default audience of tokens: `https://api.example.com`, unless set.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.tenant.audience
    }

    /// An access token (RFC 9068), valid unless a method of the builder changes that.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let issuer = token_test::TestIssuer::start().await;
    /// let good = issuer.token().subject("ada").scope("read:users").mint();
    /// let bad = issuer.token().subject("ada").without("exp").mint();
    /// # assert_ne!(good, bad);
    /// # }
    /// ```
    pub fn token(&self) -> TokenBuilder {
        TokenBuilder::access(Arc::clone(&self.tenant))
    }

    /// An ID token (OpenID Connect Core section 2) for `test-client`, which an API must not accept as an access token.
    pub fn id_token(&self) -> TokenBuilder {
        TokenBuilder::id(Arc::clone(&self.tenant))
    }

    /// Registers a client, or replaces the one with this id. It may request any scope unless limited by
    /// [`scopes`](RegisteredClient::scopes).
    pub fn client(&self, id: &str, secret: &str) -> RegisteredClient {
        RegisteredClient::register(Arc::clone(&self.tenant), id, secret)
    }

    /// The URL of the authorization endpoint, where users sign in and consent.
    #[must_use]
    pub fn authorization_endpoint(&self) -> String {
        self.tenant.endpoint(endpoints::AUTHORIZATION_PATH)
    }

    /// The URL of the registration endpoint (RFC 7591).
    #[must_use]
    pub fn registration_endpoint(&self) -> String {
        self.tenant.endpoint(endpoints::REGISTRATION_PATH)
    }

    /// Signs every user in as `subject` at once and grants every requested scope, without a consent page. For tests
    /// without a person.
    pub fn consent_at_once(&self, subject: &str) {
        self.tenant.sign_ins().at_once = Some(subject.to_owned());
    }

    /// Accepts identity assertions of `provider` as grants (cross-app access).
    pub fn trust(&self, provider: &TestIssuer) {
        self.tenant.trusted.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&provider.tenant));
    }

    /// The URL of the revocation endpoint (RFC 7009).
    #[must_use]
    pub fn revocation_endpoint(&self) -> String {
        self.tenant.endpoint(endpoints::REVOCATION_PATH)
    }

    /// Signs a user in and returns a refresh token for `client_id`, the first of its family, with this scope.
    #[must_use]
    pub fn refresh_token(&self, subject: &str, client_id: &str, scope: &str) -> String {
        let token = format!("rt-{}", self.tenant.unique());
        self.tenant.grants().issue(token.clone(), subject, client_id, scope);
        token
    }

    /// Sets whether each refresh token can be used only once. Default: true. Reusing one revokes its family.
    pub fn rotate_refresh_tokens(&self, rotate: bool) {
        self.tenant.grants().rotating = rotate;
    }

    /// Connects a user's account at an identity provider, as Auth0's `users/{id}` and Token Vault report it.
    pub fn connect(&self, subject: &str, connection: &str, provider_token: &str) {
        let mut grants = self.tenant.grants();
        let user =
            grants.users.entry(subject.to_owned()).or_insert_with(|| json!({ "user_id": subject, "identities": [] }));
        if let Some(identities) = user["identities"].as_array_mut() {
            identities.retain(|identity| identity["connection"] != connection);
            identities.push(json!({
                "connection": connection,
                "provider": connection,
                "user_id": subject,
                "isSocial": true,
                "access_token": provider_token,
                "expires_in": 3599,
            }));
        }
    }

    /// Removes the account.
    pub fn disconnect(&self, subject: &str, connection: &str) {
        if let Some(user) = self.tenant.grants().users.get_mut(subject)
            && let Some(identities) = user["identities"].as_array_mut()
        {
            identities.retain(|identity| identity["connection"] != connection);
        }
    }

    /// Signs with a new key from now on. The old one stays published, and its tokens stay valid.
    pub fn rotate(&self) -> TestKey {
        let mut keys = self.tenant.keys();
        let key = keys.make(self.tenant.algorithm);
        keys.sign_with(key.clone());
        key
    }

    /// Signs with a new key from now on, and withdraws all others, as after a compromise.
    pub fn rotate_hard(&self) -> TestKey {
        self.tenant.keys().withdraw_all();
        self.rotate()
    }

    /// The current signing key of the issuer's first algorithm.
    #[must_use]
    pub fn signing_key(&self) -> TestKey {
        self.tenant.keys().signing(self.tenant.algorithm)
    }

    /// The key that signs for this algorithm; made and published when there was none.
    pub(crate) fn key_for(&self, algorithm: Algorithm) -> TestKey {
        self.tenant.keys().signing(algorithm)
    }

    /// The members of the JWK Set, as currently published.
    #[must_use]
    pub fn published(&self) -> Vec<Value> {
        self.tenant.keys().jwks()
    }

    /// Creates a new key with a `kid` of its own, neither published nor used: for rotations in several steps. The key
    /// material repeats after the prepared pairs are used up (five for RSA, three otherwise).
    #[must_use]
    pub fn new_key(&self, algorithm: Algorithm) -> TestKey {
        self.tenant.keys().make(algorithm)
    }

    /// Publishes the key in addition to the others. It is not used for signing yet.
    pub fn publish(&self, key: &TestKey) {
        self.tenant.keys().publish(key.clone());
    }

    /// Publishes any JSON value as a key: an unknown `kty`, a numeric `kid`, a weak key.
    pub fn publish_jwk(&self, jwk: Value) {
        self.tenant.keys().publish_jwk(jwk);
    }

    /// Publishes this key, and signs tokens of its algorithm with it from now on.
    pub fn sign_with(&self, key: &TestKey) {
        self.tenant.keys().sign_with(key.clone());
    }

    /// Removes every key with this `kid` from the JWK Set. If it is the signing key, it is still used for signing.
    pub fn withdraw(&self, kid: &str) {
        self.tenant.keys().withdraw(kid);
    }

    /// Sets a member of the discovery documents to any value; null removes it.
    pub fn set_metadata(&self, name: &str, value: impl Into<Value>) {
        self.tenant.metadata().insert(name.to_owned(), value.into());
    }

    /// Turns faults on, at every endpoint or at one.
    ///
    /// ```
    /// use token_test::Endpoint;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let issuer = token_test::TestIssuer::start().await;
    /// issuer.faults().at(Endpoint::Jwks).status(503);
    /// issuer.faults().at(Endpoint::Discovery).down();
    /// issuer.heal();
    /// # }
    /// ```
    #[must_use]
    pub fn faults(&self) -> Faults {
        Faults::everywhere(Arc::clone(&self.tenant))
    }

    /// Ends all faults at all endpoints. Changes to keys and metadata are kept.
    pub fn heal(&self) {
        self.faults().heal();
    }

    /// How many requests have reached the endpoint, whatever the response.
    #[must_use]
    pub fn hits(&self, endpoint: Endpoint) -> usize {
        self.tenant.traffic.hits(endpoint)
    }

    /// Resets the counters of all endpoints.
    pub fn forget_hits(&self) {
        self.tenant.traffic.forget_hits();
    }

    /// Waits until at least this many requests have reached the endpoint. With [`Faults::hold`], a test can act while
    /// they are in progress. Waits forever if they never come.
    pub async fn wait_for_hits(&self, endpoint: Endpoint, at_least: usize) {
        self.tenant.traffic.wait_for_hits(endpoint, at_least).await;
    }

    /// Closes the port and all connections; new ones are refused. Keys, clients and faults are kept, and on Linux the
    /// port stays reserved.
    pub async fn stop_listening(&self) {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(server) = server {
            server.stop().await;
        }
    }

    /// Opens the port again after [`stop_listening`](Self::stop_listening).
    ///
    /// # Errors
    /// If another program has taken the port, which cannot happen on Linux.
    pub async fn resume(&self) -> io::Result<()> {
        if self.server.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Ok(());
        }
        let server = Server::spawn(self.port.listen()?, self.router.clone());
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
        Ok(())
    }
}
