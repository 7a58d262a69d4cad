//! What an operator says of an issuer: who it is and where its keys are; `rules` has what its tokens are held to, `reach` how its servers are reached.

mod reach;
mod rules;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::base::config_error::{ConfigError, parse_url};
use crate::base::http::HttpClient;
use crate::jose::Algorithms;
use crate::jose::jwk_set::Leniency;
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

/// An issuer to trust, and the rules for its tokens. Give it to [`ResourceServerBuilder::trust`](crate::ResourceServerBuilder::trust).
///
/// Start with the constructor that says where its keys are: most issuers publish metadata, and [`discover`](Self::discover) is all they need. Presets for
/// known providers are in [`provider`](crate::provider).
///
/// Defaults: asymmetric algorithms only ([`Algorithms::DEFAULT`]), 30 s of leeway, `exp` required, the server's own audience, keys over https and from public
/// addresses only. Every setting that weakens a check says so in its documentation; the worst begin with `dangerously_`.
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

/// Who it is, and where its keys are.
impl Issuer {
    /// An issuer that publishes its metadata, by OpenID Connect Discovery or RFC 8414: both addresses are tried. Nothing is fetched here. Keys are fetched
    /// in the background once the server is built, or with the first token where no tokio runtime is running then.
    ///
    /// `identifier` is what tokens have in `iss`, and what the metadata has in `issuer`. All three must be equal byte by byte: a trailing slash matters.
    ///
    /// # Errors
    /// When `identifier` is not an absolute URL, has a query or a fragment, or is the address of a metadata document.
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

    /// An issuer whose JWK Set (RFC 7517) is at a known address. Its metadata is not read.
    ///
    /// # Errors
    /// When `jwks_uri` is not an absolute URL, or `identifier` is empty.
    pub fn with_jwks_uri(identifier: impl Into<String>, jwks_uri: impl Into<String>) -> Result<Self, ConfigError> {
        let (identifier, jwks_uri) = (identifier.into(), jwks_uri.into());
        parse_url("JWK Set", &jwks_uri)?;
        Self::named(identifier, KeysFrom::JwksUri(jwks_uri))
    }

    /// An issuer that publishes X.509 certificates at `uri`: a JSON object with the `kid` as name and the certificate in PEM as value, as Google does for
    /// Firebase. The public keys are read from them. Their chain and their dates are not checked: what counts is that the issuer publishes them.
    ///
    /// # Errors
    /// When `uri` is not an absolute URL, or `identifier` is empty.
    pub fn with_certificates(identifier: impl Into<String>, uri: impl Into<String>) -> Result<Self, ConfigError> {
        let (identifier, uri) = (identifier.into(), uri.into());
        parse_url("certificates", &uri)?;
        Self::named(identifier, KeysFrom::Certificates(uri))
    }

    /// An issuer that publishes each key on its own, in PEM, at `base` followed by the `kid`, as AWS load balancers do. Only a `kid` that is a UUID is fetched.
    /// PEM names no algorithm, so [`algorithms`](Self::algorithms) must hold exactly one.
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

    /// An issuer whose keys are given here. Nothing is ever fetched or refreshed.
    ///
    /// # Errors
    /// When `identifier` is empty.
    pub fn with_keys(identifier: impl Into<String>, keys: StaticKeys) -> Result<Self, ConfigError> {
        Self::named(identifier.into(), KeysFrom::Static(keys))
    }

    /// An issuer whose JWK Set comes from a [`KeySource`] of your own. It is cached and refreshed like one that is fetched.
    ///
    /// # Errors
    /// When `identifier` is empty.
    pub fn with_source(identifier: impl Into<String>, source: Arc<dyn KeySource>) -> Result<Self, ConfigError> {
        Self::named(identifier.into(), KeysFrom::Source(source))
    }

    /// A multi-tenant issuer, such as Microsoft Entra: each tenant has its own `iss`, made from one pattern, and all share one JWK Set. `{tenantid}` in the
    /// pattern stands for the tenant's GUID and matches nothing else.
    ///
    /// **Every tenant of the pattern is trusted** unless [`tenants`](Self::tenants) lists them. Without a list, tell tenants apart by
    /// [`Verified::issuer`](crate::Verified::issuer).
    ///
    /// A key that is published with an `issuer` member verifies tokens of that issuer only.
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

    /// The same as [`template`](Self::template), with keys given here in place of a JWK Set that is fetched.
    ///
    /// # Errors
    /// When the pattern does not hold `{tenantid}` once, as a whole segment of its path.
    pub fn template_with_keys(pattern: impl Into<String>, keys: StaticKeys) -> Result<Self, ConfigError> {
        let pattern = pattern.into();
        let naming = Naming::Template(Template::new(&pattern, &[])?);
        let issuer = Self::named(pattern, KeysFrom::Static(keys))?;
        Ok(Self { naming, keys_name_issuer: true, ..issuer })
    }

    /// Trusts only these tenants of a [`template`](Self::template), by their GUIDs.
    ///
    /// # Errors
    /// When the issuer is not a template, the list is empty, or an entry is not a GUID.
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

    /// An issuer whose tokens have no `iss`. They are recognised by their audience: Auth0's old management tokens are such tokens, signed with the API's own
    /// secret. `name` is what [`Verified::issuer`](crate::Verified::issuer) returns.
    ///
    /// Tokens without `iss` are refused, unless there is such an entry or one for a [SPIFFE trust domain](Self::spiffe).
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

    /// A SPIFFE trust domain, such as `example.org`. Its JWT-SVIDs have no `iss`; the trust domain is part of `sub`. `bundle` returns the trust domain's keys
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

    /// An issuer without keys. Its endpoint is asked about each of its tokens, also about those that are JWTs.
    ///
    /// # Errors
    /// When `identifier` is empty.
    pub fn without_keys(identifier: impl Into<String>, tokens: OpaqueTokens) -> Result<Self, ConfigError> {
        Ok(Self::named(identifier.into(), KeysFrom::Nowhere)?.opaque_tokens(tokens))
    }

    /// API keys that you issue yourself, beside tokens. A key begins with `prefix`, such as `acme_`, and is looked up in `store`. A caller with a good key is a
    /// [`Verified`](crate::Verified) with a subject, scopes and claims; [`Verified::issuer`](crate::Verified::issuer) returns `identifier`. The format of a key
    /// and what a store holds of it are described at [`api_keys`](crate::opaque::api_keys).
    ///
    /// Clients send a key as a bearer token. For clients that send it in a header field of its own, add
    /// [`TokenLocation::header`](crate::TokenLocation::header).
    ///
    /// # What is not checked
    /// The audience: a key is for this server alone. Possession: whoever has a copy of a key can use it.
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
