//! The settings of a resource server, as an operator says them one by one. `build` makes the server of them.

mod build;

use std::sync::Arc;

use crate::answer::challenge::{Protection, ScopeChallenge};
use crate::answer::resource;
use crate::base::config_error::ConfigError;
use crate::base::http::HttpClient;
use crate::base::limits::FetchLimits;
use crate::base::time::{Clock, SystemClock};
use crate::gate::explain::Explain;
use crate::gate::possession::{Dpop, MutualTls};
use crate::gate::server::ResourceServer;
use crate::gate::server::resolving::Resolving;
use crate::gate::server::tenants::Tenants;
use crate::gate::tickets::Tickets;
use crate::jose::encryption::EncryptedTokens;
use crate::jose::signing::SigningKey;
use crate::policy::{EncryptedTokensPolicy, IssuerPolicy, Metadata, Policy};
use crate::request::choice::SeveralTokens;
use crate::request::source::TokenLocation;
use crate::stores::{DenyList, WhenUnreachable};
use crate::stores::{TicketStore, TokenCacheSettings};
use crate::token::audience::Audience;
use crate::token::rule::Rule;
use crate::trust::compiler::Purpose;
use crate::trust::issuer::Issuer;
use crate::trust::resolver::{IssuerResolver, ResolverSettings};
use crate::trust::tenants::TenantResolver;

/// The settings of a [`ResourceServer`]. Made by [`ResourceServer::builder`] or [`ResourceServer::resource`].
///
/// Required are an audience, which is the argument of those two, and at least one issuer: [`trust`](Self::trust), [`resolver`](Self::resolver) or
/// [`tenants`](Self::tenants). Everything else has a safe default. Settings that contradict each other are an error of [`build`](Self::build).
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
    inherited: Option<ResourceServer>,
    deny_list: Option<Arc<dyn DenyList>>,
    when_unreachable: WhenUnreachable,
    limits: FetchLimits,
    tickets: Option<Tickets>,
}

const MAX_TOKEN: usize = 16 * 1024;

impl ResourceServer {
    /// Starts from the audience: the name of this API that issuers write into `aud` (RFC 7519 section 4.1.3). A token must name it, byte by byte; it may name
    /// others as well.
    pub fn builder(audience: impl Into<Audience>) -> ResourceServerBuilder {
        ResourceServerBuilder::new(audience.into())
    }

    /// Starts from the URL of this API as a protected resource (RFC 9728), such as `https://api.example.com/books`. The URL serves as three things, which
    /// therefore cannot disagree: the audience that tokens must name, the `resource` that clients ask tokens for (RFC 8707), and the place of the metadata
    /// document that challenges point to and [`MetadataEndpoint`](crate::metadata::MetadataEndpoint) serves. Plain http is allowed for loopback hosts only.
    ///
    /// For an issuer that writes another name into `aud`, set [`Issuer::audience`](crate::Issuer::audience).
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

    /// The server behind a verifier of other tokens than an API's, for this audience in place of the issuer's own. Such a token comes once: none is cached.
    pub(crate) fn verifier(
        purpose: Purpose,
        audience: impl Into<Audience>,
        issuer: Issuer,
        encrypted: Option<EncryptedTokens>,
        clock: impl Clock,
    ) -> Result<ResourceServer, ConfigError> {
        let audience = audience.into();
        let builder = Self { purpose, ..Self::new(audience.clone()) };
        let builder = match encrypted {
            Some(keys) => builder.encrypted_tokens(keys.registered()),
            None => builder,
        };
        builder
            .token_cache(TokenCacheSettings::default().entries(0))
            .clock(clock)
            .trust(issuer.audience(audience))
            .build()
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

    /// Adds an issuer to trust. Call it once for each.
    ///
    /// Two entries may have the same identifier if their audiences differ or they have no algorithm in common: for an issuer that signs with a secret for one
    /// API and with a published key for another.
    pub fn trust(mut self, issuer: Issuer) -> Self {
        self.issuers.push(issuer);
        self
    }

    /// Which scopes the challenge of a 403 names (RFC 6750 section 3). Default: [`ScopeChallenge::Required`], the scopes that would satisfy the rule.
    pub fn scope_challenge(mut self, choice: ScopeChallenge) -> Self {
        self.protection.scope_challenge = choice;
        self
    }

    /// A rule that every token must satisfy, on every route: a scope for the whole API, for example, or a recent sign-in (RFC 9470). A token that does not is
    /// refused with [`ErrorKind::InsufficientScope`](crate::ErrorKind::InsufficientScope) or the kind that fits the rule.
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

    /// What the metadata document says in addition to what follows from the other settings: names, links, scopes (RFC 9728 section 2).
    /// Needs [`ResourceServer::resource`].
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Signs the metadata document with this key: adds `signed_metadata`, whose issuer is the resource itself (RFC 9728 section 2.2). Clients find the public
    /// key at [`Metadata::jwks_uri`], or know it already.
    pub fn sign_metadata(mut self, key: SigningKey) -> Self {
        self.metadata_key = Some(Arc::new(key));
        self
    }

    /// The address of the metadata document, where another server serves it. Challenges point clients there (RFC 9728 section 5.1).
    /// With [`ResourceServer::resource`] the address is known already, and setting it here is an error of [`build`](Self::build).
    pub fn resource_metadata(mut self, url: impl Into<String>) -> Self {
        self.protection.resource_metadata = Some(url.into());
        self
    }

    /// The clock by which times are checked. Default: the system's. For tests, or to judge a token as of another time.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Looks up an issuer that is not trusted yet when its first token arrives: in a database of tenants, for example. An issuer that is found stays trusted
    /// until it is [distrusted](ResourceServer::distrust) or makes room for others.
    ///
    /// The token is not verified at that moment: the resolver is asked about text that anyone can send. It must trust only issuers that it knows.
    pub fn resolver(mut self, resolver: impl IssuerResolver, settings: ResolverSettings) -> Self {
        self.resolving = Some(Resolving::new(Arc::new(resolver), settings));
        self
    }

    /// Determines the tenant from the request (its host or path, for example) and accepts only that tenant's issuers. Each tenant has a registry of its own, so
    /// this cannot be combined with [`trust`](Self::trust) or [`resolver`](Self::resolver).
    ///
    /// The limits of the cache of verified tokens apply to all tenants together. Readiness and health do not cover tenants: the outage of one tenant's issuer
    /// is not an outage of the server.
    pub fn tenants(mut self, resolver: impl TenantResolver, settings: ResolverSettings) -> Self {
        self.tenants = Some(Tenants::new(Arc::new(resolver), settings));
        self
    }

    /// Where in a request to look for a token. Default: the `Authorization` header only. Every place is looked at; a request with two different tokens is
    /// refused with 400, unless [`several_tokens`](Self::several_tokens) says which one counts.
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

    /// What happens to a request with different tokens in different places. Default: [`SeveralTokens::Refuse`], 400.
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

    /// Also accepts encrypted tokens (RFC 7516): they are decrypted with these keys, and the signed token inside is verified like any other. Without this they
    /// are refused. What is accepted is described at [`encryption`](crate::jose::encryption).
    ///
    /// What it costs: one private-key operation for each key that may be meant, also for a token that a stranger made up. A token in the cache of verified
    /// tokens costs none.
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

    /// The longest token that is accepted, in bytes. Default 16 KiB. A longer one is refused before it is parsed.
    pub fn max_token_bytes(mut self, bytes: usize) -> Self {
        self.max_token = bytes;
        self
    }

    /// The limits of the cache of verified tokens. To switch it off: `TokenCacheSettings::default().entries(0)`.
    pub fn token_cache(mut self, settings: TokenCacheSettings) -> Self {
        self.cache = settings;
        self
    }

    /// Accepts tokens that are bound to a key of their sender (DPoP, RFC 9449). Each request must bring a proof of possession. Without this setting such tokens
    /// are refused.
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

    /// Accepts tokens that are bound to their sender's client certificate (RFC 8705 section 3), and says where the certificate is found. Without this setting
    /// such tokens are refused.
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

    /// Changes the [DPoP](Self::dpop) settings that are there, such as those of a policy file: to add a shared replay memory or shared secrets for nonces. Does
    /// nothing where DPoP is off.
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

    /// What must outlive a change of the policy: proofs that came, nonces and tickets that are out.
    pub(crate) fn inheriting(mut self, from: Option<ResourceServer>) -> Self {
        self.inherited = from;
        self
    }

    /// Issues tickets in exchange for tokens, and accepts a ticket in the query parameter `ticket` in place of a token: for `EventSource` and `WebSocket` in
    /// browsers, which cannot set header fields. The parameter is read in requests with `Accept: text/event-stream` or `Sec-WebSocket-Version`. A ticket can be used once, within 30 s, for the path and the origin that it was issued for. The adapters have a
    /// handler that issues tickets. Cannot be combined with [`tenants`](Self::tenants).
    pub fn tickets(mut self, tickets: Tickets) -> Self {
        self.tickets = Some(tickets);
        self
    }

    /// Keeps tickets in this store, which several instances can share. Does nothing where [`tickets`](Self::tickets) is off.
    pub fn ticket_store(mut self, store: impl TicketStore) -> Self {
        self.tickets = self.tickets.map(|tickets| tickets.stored(Arc::new(store)));
        self
    }

    /// Checks on every request whether the token was revoked, also for tokens in the cache. Without a deny-list a JWT is accepted until its `exp`.
    pub fn deny_list(mut self, list: impl DenyList) -> Self {
        self.deny_list = Some(Arc::new(list));
        self
    }

    /// What happens to requests while the deny-list is unreachable. Default: [`WhenUnreachable::Refuse`], 503.
    pub fn when_deny_list_is_unreachable(mut self, choice: WhenUnreachable) -> Self {
        self.when_unreachable = choice;
        self
    }

    /// Limits on how much is fetched and asked at once, for this server alone. Default: limits that all servers of the process share.
    pub fn fetch_limits(mut self, limits: FetchLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Logs up to this many refused requests a minute at `info`; the rest, and by default all, are logged at `debug`. Each event says the kind, the check, the
    /// issuer and what was expected, and how many were left out before it; never a token or the value of a claim. Requests without a token stay at `debug`.
    ///
    /// About 100 is a good number: enough to see what goes wrong, and too few for strangers to fill a disk.
    pub fn log_refusals(mut self, per_minute: u32) -> Self {
        self.log_refusals = per_minute;
        self
    }

    /// Has every layer of this server write who the caller is into the application's own span, as a layer does that is told to
    /// [record the caller](crate::adapter::Admission::record_caller). Off unless asked for: the subject is personal data.
    pub fn record_caller(mut self) -> Self {
        self.protection.records_caller = true;
        self
    }

    /// For development: logs an event `token.explained` for each refusal, with its likely cause. It never holds a value from the token.
    pub fn explain_in_log(mut self) -> Self {
        self.explain = Explain::Log;
        self
    }

    /// For development: logs the event of [`explain_in_log`](Self::explain_in_log) and sends the same text to the caller, in the response header field
    /// `token-explanation`. **Not for production**: any caller learns what this server expects of a token.
    pub fn explain_in_responses(mut self) -> Self {
        self.explain = Explain::LogAndHeader;
        self
    }

    /// The settings so far as a [`Policy`]: to print, to compare, to keep. Keys, stores and clients that were given as values are noted, not copied.
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
            record_caller: self.protection.records_caller,
            dpop: self.dpop.as_ref().map(Dpop::policy_text),
            mutual_tls: self.certificates.as_ref().map(MutualTls::policy_text),
            tickets: self.tickets.as_ref().map(Tickets::policy_text),
            implies: self.protection.implications.clone(),
            issuers: self.issuers.iter().map(IssuerPolicy::of).collect(),
            ..Policy::default()
        }
    }

    /// Fetches through this client, whatever was said of any issuer.
    pub(crate) fn asking(mut self, client: &Arc<dyn HttpClient>) -> Self {
        self.issuers = self.issuers.into_iter().map(|issuer| issuer.http_client(Arc::clone(client))).collect();
        self
    }
}
