//! What an operator says of an issuer: who it is, where its keys are, which rules its tokens are held to.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::base::config_error::{ConfigError, parse_url};
use crate::base::http::HttpClient;
use crate::base::http::address::{self, PlainHttp, proxy_url};
use crate::jose::jwk_set::Leniency;
use crate::jose::{Algorithm, Algorithms};
use crate::keys::discovery::{issuer_of_document, not_the_document};
use crate::keys::{JwksSettings, KeySource};
use crate::opaque::api_keys::{self, ApiKeyStore};
use crate::opaque::status_lists::StatusLists;
use crate::opaque::{Kind, OpaqueTokens};
use crate::token::audience::Audience;
use crate::token::mapping::ClaimMapping;
use crate::token::naming::{Naming, Template};
use crate::trust::claim_rule::ClaimRule;
use crate::trust::static_keys::StaticKeys;

/// An issuer to trust, with its rules. Give it to [`ResourceServerBuilder::trust`](crate::ResourceServerBuilder::trust).
///
/// Everything has a safe default: asymmetric algorithms only, 30 s of leeway, `exp` required, https only.
///
/// ```
/// use std::time::Duration;
/// use token_core::{Algorithm, Issuer};
///
/// # fn main() -> Result<(), token_core::ConfigError> {
/// let issuer = Issuer::discover("https://login.example.com/")?
///     .algorithms([Algorithm::ES256])
///     .leeway(Duration::from_secs(5))
///     .rfc9068();
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Issuer {
    pub(crate) identifier: String,
    pub(crate) naming: Naming,
    pub(crate) keys: KeysFrom,
    pub(crate) id_tokens_for: Option<Audience>,
    pub(crate) mapping: ClaimMapping,
    pub(crate) rules: Vec<ClaimRule>,
    pub(crate) keys_name_issuer: bool,
    pub(crate) padded: bool,
    pub(crate) nonce_outranked: bool,
    pub(crate) numeric_subjects: bool,
    pub(crate) leniency: Leniency,
    pub(crate) audience: Option<Audience>,
    pub(crate) algorithms: Option<Algorithms>,
    pub(crate) leeway: Duration,
    pub(crate) strict: bool,
    pub(crate) marked: bool,
    pub(crate) expiry_required: bool,
    pub(crate) loopback_http: bool,
    pub(crate) private_addresses: bool,
    pub(crate) plain_http: bool,
    pub(crate) metadata_url: Option<String>,
    pub(crate) reached_at: Option<String>,
    pub(crate) client: Option<Arc<dyn HttpClient>>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) bearer_token_file: Option<PathBuf>,
    pub(crate) proxy: Option<String>,
    pub(crate) settings: JwksSettings,
    pub(crate) opaque: Option<OpaqueTokens>,
    pub(crate) status_lists: Option<StatusLists>,
}

/// Where the keys of an issuer come from.
#[derive(Clone)]
pub(crate) enum KeysFrom {
    Discovery,
    JwksUri(String),
    Certificates(String),
    PemPerKid(String),
    Static(StaticKeys),
    Source(Arc<dyn KeySource>),
    /// There are none: an endpoint is asked.
    Nowhere,
}

impl Issuer {
    /// An issuer that publishes its metadata: OpenID Connect discovery or RFC 8414, whichever it answers to. The issuer in the
    /// document must equal `identifier` byte by byte; a trailing slash matters.
    ///
    /// # Errors
    /// When `identifier` is not an absolute URL, or has a query or fragment.
    pub fn discover(identifier: impl Into<String>) -> Result<Self, ConfigError> {
        let identifier = identifier.into();
        let url = parse_url("issuer", &identifier)?;
        if let Some(issuer) = issuer_of_document(&identifier) {
            return Err(ConfigError::new(format!("issuer {identifier}: this is {}", not_the_document(&issuer))));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(ConfigError::new(format!("issuer {identifier}: expected a URL without query and fragment")));
        }
        Ok(Self::new(identifier, KeysFrom::Discovery))
    }

    /// An issuer whose JWK Set lies at a known address.
    ///
    /// # Errors
    /// When `jwks_uri` is not an absolute URL, or `identifier` is empty.
    pub fn with_jwks_uri(identifier: impl Into<String>, jwks_uri: impl Into<String>) -> Result<Self, ConfigError> {
        let (identifier, jwks_uri) = (identifier.into(), jwks_uri.into());
        parse_url("JWK Set", &jwks_uri)?;
        Self::named(identifier, KeysFrom::JwksUri(jwks_uri))
    }

    /// An issuer that publishes certificates in PEM, in a JSON object by their `kid`.
    ///
    /// # Errors
    /// When `uri` is not an absolute URL, or `identifier` is empty.
    pub fn with_certificates(identifier: impl Into<String>, uri: impl Into<String>) -> Result<Self, ConfigError> {
        let (identifier, uri) = (identifier.into(), uri.into());
        parse_url("certificates", &uri)?;
        Self::named(identifier, KeysFrom::Certificates(uri))
    }

    /// An issuer that publishes each key in PEM, at `base` with the `kid` behind it. Only a `kid` that is a UUID is asked for, and only
    /// one algorithm can be agreed.
    ///
    /// # Errors
    /// When `base` is not an absolute URL that ends with a slash, or `identifier` is empty.
    pub fn with_pem_per_kid(identifier: impl Into<String>, base: impl Into<String>) -> Result<Self, ConfigError> {
        let (identifier, base) = (identifier.into(), base.into());
        parse_url("keys", &base)?;
        if !base.ends_with('/') {
            return Err(ConfigError::new(format!("keys {base}: expected an address that ends with a slash")));
        }
        Self::named(identifier, KeysFrom::PemPerKid(base))
    }

    /// An issuer whose keys are at hand; nothing is fetched, nothing is refreshed.
    ///
    /// # Errors
    /// When `identifier` is empty.
    pub fn with_keys(identifier: impl Into<String>, keys: StaticKeys) -> Result<Self, ConfigError> {
        Self::named(identifier.into(), KeysFrom::Static(keys))
    }

    /// An issuer whose JWK Set comes from a source of the caller's; the cache around it is ours.
    ///
    /// # Errors
    /// When `identifier` is empty.
    pub fn with_source(identifier: impl Into<String>, source: Arc<dyn KeySource>) -> Result<Self, ConfigError> {
        Self::named(identifier.into(), KeysFrom::Source(source))
    }

    /// A multi-tenant issuer: one identifier for each tenant, made by one pattern, and one JWK Set for all of them. `{tenantid}`
    /// stands for the tenant's GUID and for nothing else. Every tenant of the pattern is trusted unless
    /// [`tenants`](Self::tenants) says which: the application then has to tell them apart by [`Verified::issuer`](crate::Verified::issuer).
    ///
    /// A key that names its issuer vouches for that one only.
    ///
    /// ```
    /// # fn main() -> Result<(), token_core::ConfigError> {
    /// use token_core::Issuer;
    ///
    /// let entra = Issuer::template(
    ///     "https://login.microsoftonline.com/{tenantid}/v2.0",
    ///     "https://login.microsoftonline.com/common/discovery/v2.0/keys",
    /// )?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the pattern does not hold `{tenantid}` once, as a whole segment of its path, or `jwks_uri` is not an absolute URL.
    pub fn template(pattern: impl Into<String>, jwks_uri: impl Into<String>) -> Result<Self, ConfigError> {
        let pattern = pattern.into();
        let naming = Naming::Template(Template::new(&pattern, &[])?);
        let issuer = Self::with_jwks_uri(pattern, jwks_uri)?;
        Ok(Self { naming, keys_name_issuer: true, ..issuer })
    }

    /// The same with keys that are handed over.
    ///
    /// # Errors
    /// When the pattern does not hold `{tenantid}` once, as a whole segment of its path.
    pub fn template_with_keys(pattern: impl Into<String>, keys: StaticKeys) -> Result<Self, ConfigError> {
        let pattern = pattern.into();
        let naming = Naming::Template(Template::new(&pattern, &[])?);
        let issuer = Self::named(pattern, KeysFrom::Static(keys))?;
        Ok(Self { naming, keys_name_issuer: true, ..issuer })
    }

    /// Lets in these tenants of a [`template`](Self::template) and no others: their GUIDs.
    ///
    /// # Errors
    /// When the issuer is no template, or a tenant is no GUID.
    pub fn tenants<T: Into<String>>(mut self, tenants: impl IntoIterator<Item = T>) -> Result<Self, ConfigError> {
        let Naming::Template(_) = self.naming else {
            return Err(ConfigError::new(format!("issuer {}: only a template has tenants", self.identifier)));
        };
        let tenants: Vec<String> = tenants.into_iter().map(Into::into).collect();
        if tenants.is_empty() {
            return Err(ConfigError::new(format!("issuer {}: no tenant is let in", self.identifier)));
        }
        self.naming = Naming::Template(Template::new(&self.identifier, &tenants)?);
        Ok(self)
    }

    /// A maker of tokens without `iss`, recognised by their audience: management tokens as Auth0 once had them, signed by whoever
    /// holds the API's secret. `name` is what [`Verified::issuer`](crate::Verified::issuer) says.
    ///
    /// Tokens without `iss` are looked at only where such an entry exists.
    ///
    /// # Errors
    /// When `name` is empty.
    pub fn nameless(
        name: impl Into<String>,
        audience: impl Into<Audience>,
        keys: StaticKeys,
    ) -> Result<Self, ConfigError> {
        let issuer = Self::named(name.into(), KeysFrom::Static(keys))?;
        Ok(Self { naming: Naming::Nameless, ..issuer }.audience(audience))
    }

    /// A SPIFFE trust domain, `example.org`: its JWT-SVIDs have no `iss` and name it in `sub`. The keys are those of its bundle
    /// (SPIFFE JWT-SVID section 3, SPIFFE Trust Domain and Bundle section 4).
    ///
    /// # Errors
    /// When `trust_domain` holds anything but lower-case letters, digits, dots, dashes and underscores.
    pub fn spiffe(trust_domain: &str, bundle: Arc<dyn KeySource>) -> Result<Self, ConfigError> {
        Self::trust_domain(trust_domain, KeysFrom::Source(bundle))
    }

    pub(crate) fn spiffe_at(trust_domain: &str, bundle: &str) -> Result<Self, ConfigError> {
        parse_url("SPIFFE bundle", bundle)?;
        Self::trust_domain(trust_domain, KeysFrom::JwksUri(bundle.to_owned()))
    }

    fn trust_domain(trust_domain: &str, keys: KeysFrom) -> Result<Self, ConfigError> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_');
        if trust_domain.is_empty() || !trust_domain.bytes().all(fits) {
            return Err(ConfigError::new("the SPIFFE trust domain is not a trust domain: expected example.org"));
        }
        let issuer = Self::named(format!("spiffe://{trust_domain}"), keys)?;
        Ok(Self { naming: Naming::TrustDomain, ..issuer })
    }

    /// An issuer without keys: every token of its is asked about, JWTs in its name too.
    ///
    /// # Errors
    /// When `identifier` is empty.
    pub fn without_keys(identifier: impl Into<String>, tokens: OpaqueTokens) -> Result<Self, ConfigError> {
        Ok(Self::named(identifier.into(), KeysFrom::Nowhere)?.opaque_tokens(tokens))
    }

    /// API keys that this server hands out itself, beside tokens: texts that begin with `prefix`, such as `acme_`, and are looked up in `store` by name. Whoever comes
    /// with one is a [`Verified`](crate::Verified) caller with subject, scopes and claims; `identifier` is what [`Verified::issuer`](crate::Verified::issuer)
    /// says. How a key is written and kept is told at [`api_keys`](crate::opaque::api_keys).
    ///
    /// They come as bearer tokens; clients that send them in a header of their own are met by
    /// [`TokenLocation::header`](crate::TokenLocation::header).
    ///
    /// # What is not checked
    /// An audience: a key is one of this server's own. A key is as good as its holder's care for it; there is no proof of possession.
    ///
    /// # Errors
    /// When `identifier` is empty, or `prefix` is or holds anything but letters, digits, dashes, dots and underscores.
    pub fn api_keys(
        identifier: impl Into<String>,
        prefix: impl Into<String>,
        store: impl ApiKeyStore,
    ) -> Result<Self, ConfigError> {
        Self::with_api_keys(identifier.into(), prefix.into(), Kind::ApiKeys(Arc::new(store)))
    }

    pub(crate) fn with_api_keys(identifier: String, prefix: String, keys: Kind) -> Result<Self, ConfigError> {
        if !api_keys::is_prefix(&prefix) {
            return Err(ConfigError::new(format!("issuer {identifier}: {}", api_keys::PREFIX)));
        }
        Self::without_keys(identifier, OpaqueTokens::api_keys(prefix, keys))
    }

    fn named(identifier: String, keys: KeysFrom) -> Result<Self, ConfigError> {
        if identifier.is_empty() {
            return Err(ConfigError::new("the issuer's identifier is empty"));
        }
        Ok(Self::new(identifier, keys))
    }

    fn new(identifier: String, keys: KeysFrom) -> Self {
        Self {
            identifier,
            naming: Naming::Exact,
            keys,
            id_tokens_for: None,
            mapping: ClaimMapping::default(),
            rules: Vec::new(),
            keys_name_issuer: false,
            padded: false,
            nonce_outranked: false,
            numeric_subjects: false,
            leniency: Leniency::default(),
            audience: None,
            algorithms: None,
            leeway: Duration::from_secs(30),
            strict: false,
            marked: false,
            expiry_required: true,
            loopback_http: false,
            private_addresses: false,
            plain_http: false,
            metadata_url: None,
            reached_at: None,
            client: None,
            ca_file: None,
            bearer_token_file: None,
            proxy: None,
            settings: JwksSettings::default(),
            opaque: None,
            status_lists: None,
        }
    }

    /// Another audience for this issuer than the server's own.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<Audience>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Takes ID tokens of this issuer as well, if they were issued to one of these clients. They come out as
    /// [`TokenKind::Id`](crate::TokenKind::Id), for handlers that ask for ID tokens; to those that ask for access tokens they are refused.
    ///
    /// An ID token tells a client who logged in. It is no permission: whoever gets hold of it at the client can send it here.
    /// `nonce` is not checked, since only the client knows it; see [`IdTokenVerifier`](crate::login::IdTokenVerifier) for a client's own checks.
    #[must_use]
    pub fn accept_id_tokens(mut self, clients: impl Into<Audience>) -> Self {
        self.id_tokens_for = Some(clients.into());
        self
    }

    /// Where this issuer writes scopes and roles. Default: `scope`, `scp` and `roles`.
    #[must_use]
    pub fn mapping(mut self, mapping: ClaimMapping) -> Self {
        self.mapping = mapping;
        self
    }

    /// Demands more of a claim than that it is of the right type. Called again, all rules have to hold.
    #[must_use]
    pub fn require_claim(mut self, rule: ClaimRule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Refuses a key of the set that is published in the name of another issuer: for key sets that several issuers share.
    /// Always on for a [`template`](Self::template).
    #[must_use]
    pub fn match_key_issuer(mut self) -> Self {
        self.keys_name_issuer = true;
        self
    }

    /// Takes tokens whose parts are padded with `=`, as AWS load balancers write them against RFC 7515 section 2.
    #[must_use]
    pub fn accept_padding(mut self) -> Self {
        self.padded = true;
        self
    }

    /// Takes access tokens with a `nonce`, as Keycloak before 25 writes them, if another mark says what they are: `at+jwt` in the header, a claim
    /// `typ` of `Bearer` or `DPoP`, or `token_use` and its like. That mark then outranks the nonce, which is otherwise one of an ID token; a token
    /// that says both is refused.
    ///
    /// A token with a nonce and no other mark stays an ID token, and so does one with `at_hash` or `c_hash`. What it costs: an ID token of this
    /// issuer that wrongly says `Bearer` is no longer told apart by its nonce.
    #[must_use]
    pub fn accept_nonce_in_access_tokens(mut self) -> Self {
        self.nonce_outranked = true;
        self
    }

    /// Takes tokens whose `sub` is a whole number, against RFC 7519 section 4.1.2, in JWTs and in answers about opaque tokens. The subject is then
    /// its text: `42`. A handler's own type sees the number.
    ///
    /// Fractions, exponents and numbers of more than 64 bits stay refused. What it costs: the subjects `42` and `"42"` are one.
    #[must_use]
    pub fn accept_numeric_subjects(mut self) -> Self {
        self.numeric_subjects = true;
        self
    }

    /// Tries the keys of the set that have the name a token says, one after the other, where several have it and are for its algorithm (RFC 7517
    /// section 4.5 asks for names that differ). At most the first four. Without it such a token is refused.
    ///
    /// What it costs: each token of such a name may take four signatures, junk in its name always does, and its header is not remembered.
    #[must_use]
    pub fn accept_several_keys_of_one_kid(mut self) -> Self {
        self.leniency.several_of_a_kid = true;
        self
    }

    /// Takes keys whose numbers are in base64, or padded, against RFC 7518 section 2: `+` and `/` for `-` and `_`, `=` at the end. Tokens stay strict;
    /// for those there is [`accept_padding`](Self::accept_padding).
    ///
    /// What it costs: one key may be written in several ways. Blanks and odd bits at the end stay refused.
    #[must_use]
    pub fn accept_keys_in_base64(mut self) -> Self {
        self.leniency.base64 = true;
        self
    }

    /// The signature algorithms agreed with this issuer. Default: [`Algorithms::DEFAULT`], or those of static keys.
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = Some(algorithms.into_iter().collect());
        self
    }

    /// How far clocks may differ: `exp` and `nbf` are off by up to this. Default 30 s, at most 5 min.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Takes this issuer's opaque tokens too, beside its JWTs.
    #[must_use]
    pub fn opaque_tokens(mut self, tokens: OpaqueTokens) -> Self {
        self.opaque = Some(tokens);
        self
    }

    /// Looks the issuer's JWTs up in the status lists that it publishes. Without it the claim `status` is not looked at.
    #[must_use]
    pub fn status_lists(mut self, lists: StatusLists) -> Self {
        self.status_lists = Some(lists);
        self
    }

    /// RFC 9068 only: the header must say `at+jwt`; `sub`, `client_id`, `iat` and `jti` must be there.
    #[must_use]
    pub fn rfc9068(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Takes only access tokens that say what they are: `at+jwt` in the header, `token_use` or `token_class`, `typ` (Keycloak), `type` or
    /// `token_type` among the claims. A token of this issuer without any such mark is refused.
    ///
    /// Every mark is looked at for every issuer, and a token that bears another kind's is refused. But some issuers sign refresh tokens
    /// or ID tokens with the keys of their access tokens and mark them with nothing: where those name this API in `aud`, only the mark of
    /// the access tokens tells them apart, and this asks for it. Off by default, since many issuers do not mark their access tokens either
    /// (Auth0's default profile, Entra, Okta, Google): there, hold them to a claim that nothing else of the issuer's has, by
    /// [`require_claim`](Self::require_claim). Which servers write which marks stands in the guide.
    ///
    /// An answer of an endpoint about an opaque token needs no mark.
    ///
    /// ```
    /// # fn main() -> Result<(), token_core::ConfigError> {
    /// use token_core::{ClaimRule, Issuer};
    ///
    /// let marked = Issuer::discover("https://login.example.com/realms/shop")?.strict();
    /// let unmarked = Issuer::discover("https://example.okta.com/oauth2/default")?.require_claim(ClaimRule::any_present(["cid"]));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.marked = true;
        self
    }

    /// Takes tokens that have no `exp` and so never end. Revoking one means removing its key.
    #[must_use]
    pub fn dangerously_accept_tokens_without_expiry(mut self) -> Self {
        self.expiry_required = false;
        self
    }

    /// Lets the keys be fetched over plain http from this very machine, as development issuers offer them.
    #[must_use]
    pub fn allow_loopback_http(mut self) -> Self {
        self.loopback_http = true;
        self
    }

    /// Lets keys be fetched and endpoints be asked at private addresses, as inside a cluster. Link-local addresses and those where clouds keep
    /// their metadata service stay refused.
    #[must_use]
    pub fn allow_private_addresses(mut self) -> Self {
        self.private_addresses = true;
        self
    }

    /// Reads the issuer's metadata from this address. Its name is then compared with what document and tokens say, and never asked. The JWK Set
    /// is fetched from where the document says; [`reached_at`](Self::reached_at) moves that, too.
    ///
    /// For issuers whose keys are [discovered](Self::discover): others have an address for them already.
    ///
    /// # Errors
    /// When `url` is not an absolute URL.
    pub fn metadata_url(mut self, url: impl Into<String>) -> Result<Self, ConfigError> {
        let url = url.into();
        parse_url("metadata_url", &url)?;
        self.metadata_url = Some(url);
        Ok(self)
    }

    /// Asks the issuer for metadata and keys at this origin, and nowhere else: one issuer with two addresses, such as a container that browsers
    /// know as `https://login.example.com` and services as `https://keycloak:8443`. Scheme, host and port in its name and in the `jwks_uri` of its
    /// document are replaced by this one; paths stay. What tokens have to say in `iss` stays the name.
    ///
    /// For issuers whose keys are [discovered](Self::discover): others have an address for them already. Endpoints for opaque tokens are asked
    /// where [`opaque_tokens`](Self::opaque_tokens) says.
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

    /// Lets keys be fetched and endpoints be asked over plain http, at private addresses and at this very machine: an issuer without TLS inside a
    /// cluster. **Whoever sits on that network can put in a key of their own, and with it make any token.** Public addresses stay refused.
    ///
    /// https to private addresses is a matter of [`allow_private_addresses`](Self::allow_private_addresses).
    #[must_use]
    pub fn dangerously_allow_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// Trusts the certificates in this PEM file as roots for the servers of this issuer, beside the system's. The file is read when the server is
    /// built; at most 512 KiB.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Shows the token in this file where metadata and keys are asked for, and where tokens are
    /// [reviewed](crate::opaque::OpaqueTokens::token_review): a Kubernetes API server answers nobody else where anonymous access is off. The file is read
    /// for each request, so that a token that is rotated needs no restart.
    ///
    /// The token goes to the origin that was configured and to no other, wherever a document leads; and never over plain http but to this machine.
    #[must_use]
    pub fn bearer_token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.bearer_token_file = Some(path.into());
        self
    }

    /// Reaches the servers of this issuer through this proxy, `http://proxy.example:3128`; this very machine is reached directly.
    ///
    /// The proxy resolves the names: that none of them leads into a network of yours is then for the proxy to see to.
    ///
    /// # Errors
    /// When `url` is not http or https with a host and perhaps a port, or holds credentials.
    pub fn proxy(mut self, url: impl Into<String>) -> Result<Self, ConfigError> {
        let url = url.into();
        proxy_url(&url).map_err(|why| ConfigError::new(format!("issuer {}: {why}", self.identifier)))?;
        self.proxy = Some(url);
        Ok(self)
    }

    /// Fetches through this client: for a client certificate, or a proxy that asks for credentials. Its guards, roots and proxy are then its own.
    #[must_use]
    pub fn http_client(mut self, client: Arc<dyn HttpClient>) -> Self {
        self.client = Some(client);
        self
    }

    /// Other times and bounds for the JWK Set cache.
    #[must_use]
    pub fn jwks_settings(mut self, settings: JwksSettings) -> Self {
        self.settings = settings;
        self
    }
}

impl fmt::Debug for KeysFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discovery => f.write_str("Discovery"),
            Self::JwksUri(uri) => write!(f, "JwksUri({uri})"),
            Self::Certificates(uri) => write!(f, "Certificates({uri})"),
            Self::PemPerKid(base) => write!(f, "PemPerKid({base})"),
            Self::Static(keys) => keys.fmt(f),
            Self::Source(source) => source.fmt(f),
            Self::Nowhere => f.write_str("Nowhere"),
        }
    }
}
