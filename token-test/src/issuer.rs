//! The embedded issuer as a test holds it: start it, mint with it, rotate its keys, break it, mend it.

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
/// tokens directly. One client is known from the start: `test-client` with the secret `test-secret`. Others register themselves
/// (RFC 7591) or are known by a document about them; users sign in on a page that asks for consent and for no password.
///
/// Plain HTTP: whoever fetches from it must be allowed to talk to loopback addresses without TLS.
#[derive(Debug)]
pub struct TestIssuer {
    tenant: Arc<Tenant>,
    router: Router,
    port: HeldPort,
    server: Mutex<Option<Server>>,
}

impl TestIssuer {
    /// The secret behind tokens of [`token_like`](Self::token_like) that are signed with a shared one. Everybody knows it.
    pub const SHARED_SECRET: &str = pre_made::SECRET;

    /// An issuer with every default: RS256, a free port on 127.0.0.1, the time of the system.
    ///
    /// # Panics
    /// Outside of a tokio runtime, or when there is no free port.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    pub(crate) fn serve(port: HeldPort, plan: Plan, also: Router) -> io::Result<Self> {
        let tenant = Arc::new(Tenant::new(format!("http://{}", port.address()), plan));
        let router = endpoints::router(&tenant).merge(also);
        let server = Mutex::new(Some(Server::spawn(port.listen()?, router.clone())));
        Ok(Self { tenant, router, port, server })
    }

    /// The issuer identifier, to the letter: what `iss` says and what a verifier is configured with.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.tenant.issuer
    }

    /// Whether a token is one of its own that has not ended, by signature, time and revocation.
    pub(crate) fn is_active(&self, token: &str) -> bool {
        self.tenant.active_claims(token).is_some()
    }

    /// Where it listens: scheme, host and port. The same as in its [identifier](Self::url), unless it is
    /// [known by another name](crate::IssuerBuilder::known_as).
    #[must_use]
    pub fn address(&self) -> &str {
        &self.tenant.origin
    }

    /// Where the JWK Set is.
    #[must_use]
    pub fn jwks_uri(&self) -> String {
        self.tenant.endpoint(endpoints::JWKS_PATH)
    }

    /// A client that reaches this issuer without a network, for [`Issuer::http_client`](token_core::Issuer::http_client): in a test whose time is
    /// paused, a fetch then ends in the moment it began, or after the time that a fault takes. A closed port is not seen this way.
    #[must_use]
    pub fn in_memory(&self) -> InMemory {
        let authority = self.tenant.origin.split('/').nth(2).unwrap_or_default().to_owned();
        InMemory { router: self.router.clone(), authority }
    }

    /// Where client credentials are turned into tokens.
    #[must_use]
    pub fn token_endpoint(&self) -> String {
        self.tenant.endpoint(endpoints::TOKEN_PATH)
    }

    /// Where a registered client asks about tokens (RFC 7662); `test-client` with the secret `test-secret` may.
    #[must_use]
    pub fn introspection_endpoint(&self) -> String {
        self.tenant.endpoint(endpoints::INTROSPECTION_PATH)
    }

    /// Where a token is exchanged for claims about its user.
    #[must_use]
    pub fn userinfo_endpoint(&self) -> String {
        self.tenant.endpoint(endpoints::USERINFO_PATH)
    }

    /// Auth0's legacy endpoint that checks an ID token.
    #[must_use]
    pub fn tokeninfo_endpoint(&self) -> String {
        self.tenant.endpoint(endpoints::TOKENINFO_PATH)
    }

    /// Revokes a token, opaque or JWT: from now on introspection calls it inactive and userinfo refuses it.
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

    /// A status list that is published from now on, in which every token is valid. Tokens point to it by [`status`](TokenBuilder::status).
    #[must_use]
    pub fn status_list(&self) -> TestStatusList {
        TestStatusList::publish_by(Arc::clone(&self.tenant))
    }

    /// The audience that tokens are for unless they are told otherwise: `https://api.example.com`.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.tenant.audience
    }

    /// An access token (RFC 9068): good, until one of the calls makes it bad.
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

    /// An ID token (OpenID Connect Core section 2), issued to `test-client`: what an API must not take for an access token.
    pub fn id_token(&self) -> TokenBuilder {
        TokenBuilder::id(Arc::clone(&self.tenant))
    }

    /// Registers a client, or replaces the one of this id. It may ask for any scope until
    /// [`scopes`](RegisteredClient::scopes) says otherwise.
    pub fn client(&self, id: &str, secret: &str) -> RegisteredClient {
        RegisteredClient::register(Arc::clone(&self.tenant), id, secret)
    }

    /// Where users sign in and consent.
    #[must_use]
    pub fn authorization_endpoint(&self) -> String {
        self.tenant.endpoint(endpoints::AUTHORIZATION_PATH)
    }

    /// Where clients register themselves (RFC 7591).
    #[must_use]
    pub fn registration_endpoint(&self) -> String {
        self.tenant.endpoint(endpoints::REGISTRATION_PATH)
    }

    /// Signs every user in as `subject`, at once and with every scope that is asked for: no consent page is shown. For tests, in
    /// which nobody looks at a page.
    pub fn consent_at_once(&self, subject: &str) {
        self.tenant.sign_ins().at_once = Some(subject.to_owned());
    }

    /// Takes identity assertions of `provider` for grants (cross-app access): what it says of its users counts here.
    pub fn trust(&self, provider: &TestIssuer) {
        self.tenant.trusted.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&provider.tenant));
    }

    /// Where refresh tokens are revoked (RFC 7009).
    #[must_use]
    pub fn revocation_endpoint(&self) -> String {
        self.tenant.endpoint(endpoints::REVOCATION_PATH)
    }

    /// Signs a user in and hands out the refresh token of `client_id`, the first of its family. It is good for `scope`.
    #[must_use]
    pub fn refresh_token(&self, subject: &str, client_id: &str, scope: &str) -> String {
        let token = format!("rt-{}", self.tenant.unique());
        self.tenant.grants().issue(token.clone(), subject, client_id, scope);
        token
    }

    /// Whether each refresh token is good for one use. On at first; using a spent one revokes its family.
    pub fn rotate_refresh_tokens(&self, rotate: bool) {
        self.tenant.grants().rotating = rotate;
    }

    /// Gives a user an account at an identity provider: what Auth0's `users/{id}` and its Token Vault know of it.
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

    /// Takes the account away again.
    pub fn disconnect(&self, subject: &str, connection: &str) {
        if let Some(user) = self.tenant.grants().users.get_mut(subject)
            && let Some(identities) = user["identities"].as_array_mut()
        {
            identities.retain(|identity| identity["connection"] != connection);
        }
    }

    /// Signs with a new key from now on. The old one stays published, its tokens stay good.
    pub fn rotate(&self) -> TestKey {
        let mut keys = self.tenant.keys();
        let key = keys.make(self.tenant.algorithm);
        keys.sign_with(key.clone());
        key
    }

    /// Signs with a new key from now on, and withdraws every other key, as after a compromise.
    pub fn rotate_hard(&self) -> TestKey {
        self.tenant.keys().withdraw_all();
        self.rotate()
    }

    /// The key that signs now, of the issuer's first algorithm.
    #[must_use]
    pub fn signing_key(&self) -> TestKey {
        self.tenant.keys().signing(self.tenant.algorithm)
    }

    /// The key that signs for this algorithm; made and published when there was none.
    pub(crate) fn key_for(&self, algorithm: Algorithm) -> TestKey {
        self.tenant.keys().signing(algorithm)
    }

    /// The members of the JWK Set, as they are published now.
    #[must_use]
    pub fn published(&self) -> Vec<Value> {
        self.tenant.keys().jwks()
    }

    /// A fresh key with a `kid` of its own, neither published nor used: for rotations in several steps.
    /// Its material repeats after the pre-made pairs have had their turn (five for RSA, three otherwise).
    #[must_use]
    pub fn new_key(&self, algorithm: Algorithm) -> TestKey {
        self.tenant.keys().make(algorithm)
    }

    /// Publishes the key beside the others; it does not sign yet.
    pub fn publish(&self, key: &TestKey) {
        self.tenant.keys().publish(key.clone());
    }

    /// Publishes any JSON value as a key: an unknown `kty`, a numeric `kid`, a weak key.
    pub fn publish_jwk(&self, jwk: Value) {
        self.tenant.keys().publish_jwk(jwk);
    }

    /// Signs with this key from now on whatever is minted for its algorithm, and publishes it.
    pub fn sign_with(&self, key: &TestKey) {
        self.tenant.keys().sign_with(key.clone());
    }

    /// Takes every key of this `kid` out of the JWK Set. If it is the key that signs, it goes on signing.
    pub fn withdraw(&self, kid: &str) {
        self.tenant.keys().withdraw(kid);
    }

    /// Puts a value in place of a member of the discovery documents, lies included; null takes the member out.
    pub fn set_metadata(&self, name: &str, value: impl Into<Value>) {
        self.tenant.metadata().insert(name.to_owned(), value.into());
    }

    /// Faults to switch on: at every endpoint, or at one.
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

    /// Ends every fault at every endpoint. What was done to keys and metadata stays.
    pub fn heal(&self) {
        self.faults().heal();
    }

    /// How many requests have reached the endpoint, whatever they were answered.
    #[must_use]
    pub fn hits(&self, endpoint: Endpoint) -> usize {
        self.tenant.traffic.hits(endpoint)
    }

    /// Counts from zero again, at every endpoint.
    pub fn forget_hits(&self) {
        self.tenant.traffic.forget_hits();
    }

    /// Ends once at least this many requests have reached the endpoint; with [`Faults::hold`] a test can act while
    /// they are under way. It waits for ever if they never come.
    pub async fn wait_for_hits(&self, endpoint: Endpoint, at_least: usize) {
        self.tenant.traffic.wait_for_hits(endpoint, at_least).await;
    }

    /// Closes the port and every connection: further ones are refused. Keys, clients and faults are kept, and on Linux the port is.
    pub async fn stop_listening(&self) {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(server) = server {
            server.stop().await;
        }
    }

    /// Opens the port again after [`stop_listening`](Self::stop_listening).
    ///
    /// # Errors
    /// If another program took the port in between, which Linux lets none do.
    pub async fn resume(&self) -> io::Result<()> {
        if self.server.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Ok(());
        }
        let server = Server::spawn(self.port.listen()?, self.router.clone());
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
        Ok(())
    }
}
