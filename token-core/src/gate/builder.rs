//! From what the operator said to a resource server, or to the reason why no safe one can be built from it.

use std::sync::Arc;

use crate::answer::challenge::{Protection, ScopeChallenge};
use crate::answer::refusals::RefusalLog;
use crate::answer::resource::{self, Resource};
use crate::base::config_error::ConfigError;
use crate::base::http::HttpClient;
use crate::base::limits::FetchLimits;
use crate::base::sync::ArcSwap;
use crate::base::time::{Clock, SystemClock};
use crate::gate::explain::Explain;
use crate::gate::possession::{Dpop, MutualTls, Possession};
use crate::gate::server::resolving::Resolving;
use crate::gate::server::tenants::Tenants;
use crate::gate::server::{Inner, ResourceServer};
use crate::gate::tickets::Tickets;
use crate::gate::token_cache::TokenCache;
use crate::jose::encryption::EncryptedTokens;
use crate::jose::signing::SigningKey;
use crate::policy::{
    EncryptedTokensPolicy, IssuerPolicy, METADATA_WITHOUT_RESOURCE, Metadata, Policy, RESOURCE_AND_METADATA,
};
use crate::request::choice::{Agreed, SeveralTokens};
use crate::request::source::TokenLocation;
use crate::stores::{DenyList, WhenUnreachable};
use crate::stores::{TicketStore, TokenCacheSettings};
use crate::token::audience::Audience;
use crate::token::rule::Rule;
use crate::trust::compiler::{Clients, Compiler, Purpose};
use crate::trust::issuer::Issuer;
use crate::trust::registry::Registry;
use crate::trust::resolver::{IssuerResolver, ResolverSettings};
use crate::trust::tenants::TenantResolver;

/// Collects what a [`ResourceServer`] is made of. What must exist is an argument; the rest has a safe default.
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct ResourceServerBuilder {
    audience: Audience,
    /// What the audience was made of, where it is a resource.
    resource: Option<String>,
    metadata: Metadata,
    metadata_key: Option<Arc<SigningKey>>,
    require: Option<Rule>,
    purpose: Purpose,
    issuers: Vec<Issuer>,
    clock: Arc<dyn Clock>,
    protection: Protection,
    sources: Option<Vec<TokenLocation>>,
    several: SeveralTokens,
    encrypted: Option<(EncryptedTokens, EncryptedTokensPolicy)>,
    resolving: Option<Resolving>,
    tenants: Option<Tenants>,
    max_token: usize,
    cache: TokenCacheSettings,
    explain: Explain,
    log_refusals: u32,
    dpop: Option<Dpop>,
    certificates: Option<MutualTls>,
    inherited: Option<Arc<Possession>>,
    deny_list: Option<Arc<dyn DenyList>>,
    when_unreachable: WhenUnreachable,
    limits: FetchLimits,
    tickets: Option<Tickets>,
}

const MAX_TOKEN: usize = 16 * 1024;

impl ResourceServer {
    /// Starts from the audience: the name that issuers write into `aud` of tokens for this server.
    pub fn builder(audience: impl Into<Audience>) -> ResourceServerBuilder {
        ResourceServerBuilder::new(audience.into())
    }

    /// Starts from the identifier of the protected resource, an https URL such as `https://api.example.com/books` (RFC 9728). It is the audience of
    /// tokens, as clients ask for them by `resource` (RFC 8707); challenges point to the metadata document at the place that follows from it, which
    /// [`MetadataEndpoint`](crate::metadata::MetadataEndpoint) serves. So the three cannot disagree. Plain http is for loopback hosts.
    ///
    /// An issuer that writes another name into `aud` is told so by [`Issuer::audience`](crate::Issuer::audience).
    ///
    /// ```
    /// use token_core::metadata::MetadataEndpoint;
    /// use token_core::{Issuer, ResourceServer};
    ///
    /// # fn main() -> Result<(), token_core::ConfigError> {
    /// let api = ResourceServer::resource("https://api.example.com/books").trust(Issuer::discover("https://login.example.com/")?).build()?;
    /// let endpoint = MetadataEndpoint::of([&api])?;
    /// let answer = endpoint.answer("GET", "/.well-known/oauth-protected-resource/books").expect("a place of metadata");
    /// assert_eq!(
    ///     answer.body,
    ///     r#"{"resource":"https://api.example.com/books","authorization_servers":["https://login.example.com/"],"bearer_methods_supported":["header"]}"#
    /// );
    /// # Ok(()) }
    /// ```
    pub fn resource(uri: impl Into<String>) -> ResourceServerBuilder {
        ResourceServerBuilder::of_resource(uri.into())
    }
}

impl ResourceServerBuilder {
    pub(crate) fn new(audience: Audience) -> Self {
        Self {
            audience,
            resource: None,
            metadata: Metadata::default(),
            metadata_key: None,
            require: None,
            purpose: Purpose::Api,
            issuers: Vec::new(),
            clock: Arc::new(SystemClock),
            protection: Protection::default(),
            sources: None,
            several: SeveralTokens::Refuse,
            encrypted: None,
            resolving: None,
            tenants: None,
            max_token: MAX_TOKEN,
            cache: TokenCacheSettings::default(),
            explain: Explain::Off,
            log_refusals: 0,
            dpop: None,
            certificates: None,
            inherited: None,
            deny_list: None,
            when_unreachable: WhenUnreachable::default(),
            limits: FetchLimits::process(),
            tickets: None,
        }
    }

    pub(crate) fn of_resource(uri: String) -> Self {
        Self { resource: Some(uri.clone()), ..Self::new(Audience::any_of(resource::audience(&uri))) }
    }

    /// For a verifier of other tokens than an API's.
    pub(crate) fn purpose(mut self, purpose: Purpose) -> Self {
        self.purpose = purpose;
        self
    }

    /// What some scopes imply: `write:users` is also good for `read:users`. Holds through several steps, and for every issuer.
    ///
    /// ```
    /// # use token_core::ResourceServer;
    /// let api = ResourceServer::builder("https://api.example.com").implies("write:users", ["read:users"]);
    /// ```
    pub fn implies<S: Into<String>>(mut self, scope: &str, implied: impl IntoIterator<Item = S>) -> Self {
        self.protection.implications.add(scope, implied);
        self
    }

    /// Trusts this issuer too. Two entries may share an identifier if they differ in audience, or have no
    /// algorithm in common: an issuer that signs with a secret for one API and with a published key for another.
    pub fn trust(mut self, issuer: Issuer) -> Self {
        self.issuers.push(issuer);
        self
    }

    /// Which scopes the challenge of a 403 names. Default: [`ScopeChallenge::Required`], those that would satisfy the rule.
    pub fn scope_challenge(mut self, choice: ScopeChallenge) -> Self {
        self.protection.scope_challenge = choice;
        self
    }

    /// Holds every token to this rule, whatever route it comes to: for what a whole API asks, a way to have signed in say (RFC 9470).
    ///
    /// ```
    /// # use token_core::{ResourceServer, scopes, Required};
    /// scopes!(Recent = all("payments", max_age(3600)));
    ///
    /// let api = ResourceServer::resource("https://api.example.com/payments").require(Recent::RULE);
    /// ```
    pub fn require(mut self, rule: impl Into<Rule>) -> Self {
        self.require = Some(rule.into());
        self
    }

    /// The `realm` that challenges name (RFC 9110 section 11.5).
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.protection.realm = Some(realm.into());
        self
    }

    /// What the metadata document says beside what the server knows of itself: names, links, scopes (RFC 9728 section 2).
    /// Needs [`ResourceServer::resource`].
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Signs the metadata document with this key, in the name of the resource: `signed_metadata`, for clients that ask for it
    /// (RFC 9728 section 2.2). Where they find the public key is [`Metadata::jwks_uri`]'s to say, or agreed otherwise.
    pub fn sign_metadata(mut self, key: SigningKey) -> Self {
        self.metadata_key = Some(Arc::new(key));
        self
    }

    /// Where the metadata document of this resource lies, if another server serves it; challenges point clients there (RFC 9728 section 5.1).
    /// Of a [`ResourceServer::resource`] the address is known, and this is refused.
    pub fn resource_metadata(mut self, url: impl Into<String>) -> Self {
        self.protection.resource_metadata = Some(url.into());
        self
    }

    /// Another clock: for tests, or to look at a token as of another time.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Looks issuers up that are not in the registry when their first token comes: tenants in a database, say. They stay until they are
    /// [distrusted](ResourceServer::distrust) or make room for others.
    pub fn resolver(mut self, resolver: impl IssuerResolver, settings: ResolverSettings) -> Self {
        self.resolving = Some(Resolving::new(Arc::new(resolver), settings));
        self
    }

    /// Looks up by the request whose tokens it may carry. Each tenant has a registry of its own, so nobody else is trusted: neither
    /// [`trust`](Self::trust) nor [`resolver`](Self::resolver) go with it. The bounds of the cache of verified tokens hold for all tenants together.
    /// Readiness and health do not speak of tenants: one tenant's outage is not the server's.
    pub fn tenants(mut self, resolver: impl TenantResolver, settings: ResolverSettings) -> Self {
        self.tenants = Some(Tenants::new(Arc::new(resolver), settings));
        self
    }

    /// Where requests carry their token, in place of the `Authorization` header alone. All places are looked at; a request with two
    /// different tokens is answered with 400, unless [`several_tokens`](Self::several_tokens) says which of them counts.
    ///
    /// ```
    /// # use token_core::{CsrfRule, ResourceServer, TokenLocation};
    /// let api = ResourceServer::builder("https://api.example.com").token_locations([
    ///     TokenLocation::authorization(),
    ///     TokenLocation::cookie("__session", CsrfRule::same_origin()),
    /// ]);
    /// ```
    pub fn token_locations(mut self, sources: impl IntoIterator<Item = TokenLocation>) -> Self {
        self.sources = Some(sources.into_iter().collect());
        self
    }

    /// What becomes of a request that brings different tokens in different places. Default: [`SeveralTokens::Refuse`], 400.
    ///
    /// ```
    /// # use token_core::{policy::SeveralTokens, CsrfRule, ResourceServer, TokenLocation};
    /// // The header wins: it is named first.
    /// let header_first = [TokenLocation::authorization(), TokenLocation::cookie("__Host-access", CsrfRule::same_origin())];
    /// let api = ResourceServer::builder("https://api.example.com")
    ///     .token_locations(header_first)
    ///     .several_tokens(SeveralTokens::FirstLocation);
    /// ```
    pub fn several_tokens(mut self, choice: SeveralTokens) -> Self {
        self.several = choice;
        self
    }

    /// Takes encrypted tokens, too (RFC 7516): signed tokens within, opened with these keys and then verified as any other. Without this they are
    /// refused. See [`encryption`](crate::jose::encryption) for what is accepted. The cache of verified tokens remembers them as they came, so a warm
    /// one costs no private-key operation; a token of a stranger costs one for each key that may be meant.
    ///
    /// ```
    /// use token_core::jose::encryption::{DecryptionKey, EncryptedTokens, KeyManagement};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # if cfg!(not(feature = "aws-lc-rs")) { return Ok(()) }
    /// # let pem = DecryptionKey::generate(KeyManagement::EcdhEs, Some("2026-11"));
    /// # let load = |_: &str| pem.clone();
    /// let key = load("2026-11.pem")?; // DecryptionKey::from_pem(KeyManagement::EcdhEs, Some("2026-11"), &std::fs::read("2026-11.pem")?)?
    /// let api = token_core::ResourceServer::builder("https://api.example.com").encrypted_tokens(EncryptedTokens::with([key]));
    /// # Ok(()) }
    /// ```
    pub fn encrypted_tokens(mut self, keys: EncryptedTokens) -> Self {
        let text = EncryptedTokensPolicy::of(&keys);
        self.encrypted = Some((keys, text));
        self
    }

    /// The same, as a policy says it.
    pub(crate) fn encrypted_tokens_of(mut self, text: &EncryptedTokensPolicy) -> Result<Self, ConfigError> {
        self.encrypted = Some((text.tokens()?, text.clone()));
        Ok(self)
    }

    /// The longest token that is looked at, in bytes. Default 16 KiB.
    pub fn max_token_bytes(mut self, bytes: usize) -> Self {
        self.max_token = bytes;
        self
    }

    /// Other bounds for the cache of verified tokens, or none at all: `TokenCacheSettings::default().entries(0)`.
    pub fn token_cache(mut self, settings: TokenCacheSettings) -> Self {
        self.cache = settings;
        self
    }

    /// Takes tokens that are bound to a key of their sender, with a proof of possession on each request (RFC 9449). Without this they are
    /// refused.
    ///
    /// ```
    /// use token_core::possession::Dpop;
    ///
    /// # fn main() -> Result<(), token_core::ConfigError> {
    /// let api = token_core::ResourceServer::builder("https://api.example.com").dpop(Dpop::at("https://api.example.com")?);
    /// # Ok(()) }
    /// ```
    pub fn dpop(mut self, dpop: Dpop) -> Self {
        self.dpop = Some(dpop);
        self
    }

    /// Takes tokens that are bound to a certificate of their sender (RFC 8705 section 3), and says where that is found. Without this they are
    /// refused.
    ///
    /// ```
    /// use token_core::possession::{CertificateField, MutualTls};
    ///
    /// # fn main() -> Result<(), token_core::ConfigError> {
    /// let nginx = CertificateField::EscapedPem("x-client-cert".into());
    /// let behind_nginx = MutualTls::behind(nginx, ["10.0.0.7".parse().expect("an address")])?;
    /// let api = token_core::ResourceServer::builder("https://api.example.com").mutual_tls(behind_nginx);
    /// # Ok(()) }
    /// ```
    pub fn mutual_tls(mut self, certificates: MutualTls) -> Self {
        self.certificates = Some(certificates);
        self
    }

    /// Says more of [DPoP](Self::dpop) than was said, by a policy file for one: a shared replay memory, shared secrets for nonces. Does nothing where DPoP
    /// is not taken.
    ///
    /// ```
    /// use token_core::ResourceServer;
    /// use token_core::policy::Policy;
    /// use token_core::possession::NonceKeys;
    ///
    /// let policy = Policy::from_json(
    ///     r#"{"audience": "https://api.example.com", "dpop": {"external_url": "https://api.example.com"},
    ///         "issuers": [{"issuer": "https://login.example.com/"}]}"#,
    /// )?;
    /// let keys = NonceKeys::new(&[7; 32])?;
    /// let api = policy.builder()?.adjust_dpop(|dpop| dpop.nonce_keys(keys)).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn adjust_dpop(mut self, adjust: impl FnOnce(Dpop) -> Dpop) -> Self {
        self.dpop = self.dpop.map(adjust);
        self
    }

    /// What must outlive a change of the policy: proofs that came, nonces that are out.
    pub(crate) fn inheriting(mut self, from: Option<Arc<Possession>>) -> Self {
        self.inherited = from;
        self
    }

    /// Sells tickets for tokens, and takes them in the parameter `ticket` of the query in a token's place: for `EventSource` and `WebSocket`, which
    /// cannot set headers. A ticket is good once, for 30 s, for the path and the origin it was bought for. Adapters have a handler that sells.
    /// Not where [tenants](Self::tenants) are looked up by the request.
    pub fn tickets(mut self, tickets: Tickets) -> Self {
        self.tickets = Some(tickets);
        self
    }

    /// Keeps the tickets of a policy in this store, for several instances. Does nothing where no tickets are sold.
    pub fn ticket_store(mut self, store: impl TicketStore) -> Self {
        self.tickets = self.tickets.map(|tickets| tickets.stored(Arc::new(store)));
        self
    }

    /// Asks this list on every request, warm ones included, whether the token was denied before its time. Without one a JWT is good
    /// until its `exp`.
    pub fn deny_list(mut self, list: impl DenyList) -> Self {
        self.deny_list = Some(Arc::new(list));
        self
    }

    /// What becomes of requests while the deny-list is out of reach. Default: [`WhenUnreachable::Refuse`], 503.
    pub fn when_deny_list_is_unreachable(mut self, choice: WhenUnreachable) -> Self {
        self.when_unreachable = choice;
        self
    }

    /// Other limits on what is fetched and asked at once than those that all servers of the process share.
    pub fn fetch_limits(mut self, limits: FetchLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Writes refused requests to the log at `info`, up to this many a minute; the others, and without this all of them, are `debug`. Each says kind,
    /// check, issuer and what was expected, and how many were left out before it; never a token or the value of a claim. Requests
    /// without any token stay at `debug`. A hundred or so is a good number: enough to see what goes wrong, and nobody can fill a disk.
    pub fn log_refusals(mut self, per_minute: u32) -> Self {
        self.log_refusals = per_minute;
        self
    }

    /// While developing: one event `token.explained` per refusal, which says the likely cause. Never holds a value of the token.
    pub fn explain_in_log(mut self) -> Self {
        self.explain = Explain::Log;
        self
    }

    /// While developing: the event, and the same words to the caller in the response header `token-explanation`. A stranger
    /// learns from it what this server expects: not for production.
    pub fn explain_in_responses(mut self) -> Self {
        self.explain = Explain::LogAndHeader;
        self
    }

    /// What the builder was told so far, as a policy: to print, to compare, to keep. Keys, stores and clients that were handed over
    /// are noted, not copied.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let ours = self.audience.ours();
        let audience = ours.filter(|_| self.resource.is_none()).map(|names| names.iter().cloned().collect());
        Policy {
            resource: self.resource.clone(),
            metadata: self.metadata.clone(),
            audience: audience.unwrap_or_default(),
            dangerously_unchecked_audience: ours.is_none(),
            realm: self.protection.realm.clone(),
            scope_challenge: self.protection.scope_challenge,
            require: self.require.clone(),
            resource_metadata: self.protection.resource_metadata.clone(),
            token_locations: self.sources.clone(),
            several_tokens: self.several,
            encrypted_tokens: self.encrypted.as_ref().map(|(_, text)| text.clone()),
            max_token_bytes: (self.max_token != MAX_TOKEN).then_some(self.max_token),
            token_cache: self.cache.into(),
            log_refusals: self.log_refusals,
            dpop: self.dpop.as_ref().map(Dpop::policy_text),
            mutual_tls: self.certificates.as_ref().map(MutualTls::policy_text),
            tickets: self.tickets.as_ref().map(Tickets::policy_text),
            implies: self.protection.implications.clone(),
            issuers: self.issuers.iter().map(IssuerPolicy::of).collect(),
            ..Policy::default()
        }
    }

    /// Builds the server. Inside a tokio runtime the keys are fetched at once, in the background; else with the first request. Until they
    /// are there requests get 503; an issuer that is down neither stops a start nor hides: ask [`ResourceServer::ready`] or
    /// [`ResourceServer::health`].
    ///
    /// # Errors
    /// [`ConfigError`] when no issuer is trusted, the resource is no URL that clients could send, no audience is named, an issuer is named twice, an algorithm does not fit the
    /// kind of keys, the leeway is over 5 min, or an address is plain http without the opt-in.
    pub fn build(self) -> Result<ResourceServer, ConfigError> {
        let server = self.check()?;
        // Only once nothing can go wrong any more: a refused configuration must not have talked to anybody.
        server.0.registry.load().iter().for_each(|issuer| issuer.keys.start());
        Ok(server)
    }

    /// Fetches through this client, whatever was said of any issuer.
    pub(crate) fn asking(mut self, client: &Arc<dyn HttpClient>) -> Self {
        self.issuers = self.issuers.into_iter().map(|issuer| issuer.http_client(Arc::clone(client))).collect();
        self
    }

    /// The server as [`build`](Self::build) makes it, but for the keys: nothing is fetched yet.
    pub(crate) fn check(self) -> Result<ResourceServer, ConfigError> {
        if self.tenants.is_some() && (!self.issuers.is_empty() || self.resolving.is_some()) {
            return Err(ConfigError::new("issuers are trusted beside tenants: have the tenants' resolver return them"));
        }
        if self.tickets.is_some() && self.tenants.is_some() {
            return Err(ConfigError::new("tickets beside tenants: which tenant a ticket is for is not kept"));
        }
        if self.issuers.is_empty() && self.resolving.is_none() && self.tenants.is_none() {
            return Err(ConfigError::new("no issuer is trusted: call trust(Issuer::discover(..)?)"));
        }
        match self.sources.as_deref() {
            Some([]) => return Err(ConfigError::new("no token source is named, so no token could be found")),
            sources => {
                if let Some(flaw) = sources.into_iter().flatten().find_map(TokenLocation::flaw) {
                    return Err(ConfigError::new(format!("token source: {flaw}")));
                }
            }
        }
        if let Some(flaw) = self.encrypted.as_ref().and_then(|(keys, _)| keys.flaw()) {
            return Err(ConfigError::new(format!("encrypted tokens: {flaw}")));
        }
        let policy = Arc::new(self.policy());
        let mut protection = self.protection;
        protection.refusals = (self.log_refusals > 0).then(|| Arc::new(RefusalLog::new(self.log_refusals)));
        match &self.resource {
            Some(_) if protection.resource_metadata.is_some() => return Err(ConfigError::new(RESOURCE_AND_METADATA)),
            Some(uri) => {
                self.metadata.check()?;
                protection.own_scopes.clone_from(&self.metadata.scopes_supported);
                let resource = Resource::parse(uri)?;
                protection.resource_metadata = Some(resource.metadata_url().to_owned());
                protection.resource = Some(resource);
            }
            None if self.metadata != Metadata::default() || self.metadata_key.is_some() => {
                return Err(ConfigError::new(METADATA_WITHOUT_RESOURCE));
            }
            None => {}
        }
        let possession = match (&self.dpop, &self.certificates) {
            (None, None) => None,
            (dpop, certificates) => {
                let former = self.inherited.as_deref();
                let made = Possession::new(dpop.as_ref(), certificates.as_ref(), &self.clock, former)?;
                Some(Arc::new(made))
            }
        };
        let tickets = self.tickets.map(Tickets::check).transpose()?.map(Arc::new);
        protection.dpop = possession.as_ref().and_then(|possession| possession.offer());
        let protection = Arc::new(protection);
        let compiler = Compiler {
            audience: self.audience,
            purpose: self.purpose,
            clock: self.clock,
            protection: Arc::clone(&protection),
            clients: Clients::default(),
            home: Arc::default(),
            limits: self.limits,
            proofs: possession.is_some(),
        };
        let home = Arc::clone(&compiler.home);
        let mut registry = Registry::default();
        for issuer in self.issuers {
            registry.add(Arc::new(compiler.compile(issuer)?))?;
        }
        let server = ResourceServer::new(Inner {
            registry: ArcSwap::from_pointee(registry),
            clock: Arc::clone(&compiler.clock),
            compiler: Arc::new(compiler),
            protection,
            resolving: self.resolving,
            tenants: self.tenants,
            tenant: None,
            sources: self.sources.map(|places| Arc::new(Agreed::new(places, self.several))),
            encrypted: self.encrypted.map(|(keys, _)| Arc::new(keys)),
            max_token: self.max_token,
            keep_tokens: !self.cache.are_digests(),
            cache: TokenCache::new(self.cache).map(Arc::new),
            policy,
            metadata_key: self.metadata_key,
            require: self.require.map(Arc::new),
            home,
            explain: self.explain,
            follows: None,
            looks_further: possession.is_some() || tickets.is_some(),
            tickets,
            possession,
            deny_list: self.deny_list,
            when_unreachable: self.when_unreachable,
        });
        server.attach();
        Ok(server)
    }
}
