//! From what an operator says of an issuer to what the gate holds, or to the reason why no safe verifier can be made of it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::answer::challenge::Protection;
use crate::base::config_error::ConfigError;
use crate::base::config_error::parse_url;
use crate::base::file;
use crate::base::http::HttpClient;
use crate::base::http::address::{self, PlainHttp};
use crate::base::http::bearer::WithBearer;
use crate::base::limits::FetchLimits;
use crate::base::sync::atomic::AtomicBool;
use crate::base::time::Clock;
use crate::jose::Algorithms;
use crate::jose::jwk_set::{KeySet, Origin};
use crate::keys::discovery::{Discovery, Reach};
use crate::keys::{CertificateMapSource, DiscoveryKeySource, HttpKeySource, KeySource, Keys, PemPerKidSource};
use crate::opaque::api_keys::Keyring;
use crate::opaque::introspection::Introspection;
use crate::opaque::status_lists::Lists;
use crate::opaque::token_review::{self, TokenReview};
use crate::opaque::userinfo::{Protocol, UserInfo};
use crate::opaque::{Exchange, Kind, Opaque, OpaqueVerifier};
use crate::token::audience::Audience;
use crate::token::kind::TokenKind;
use crate::token::mapping::Mapping;
use crate::token::naming::Naming;
use crate::trust::claim_rule::ClaimRule;
use crate::trust::home::Home;
use crate::trust::issuer::{Issuer, KeysFrom};
use crate::trust::trusted::{Accepts, TrustedIssuer};

/// More than this hides a wrong clock instead of tolerating a skewed one.
const MOST_LEEWAY: Duration = Duration::from_secs(300);

/// What a verifier is for, and so which kinds of token it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// An API: access tokens, and ID tokens where an issuer's settings say so.
    Api,
    /// A client that logs people in: ID tokens for it.
    Client,
    /// A client's logout endpoint: logout tokens for it.
    Logout,
    /// A receiver of security events: security event tokens for it.
    SecurityEvents,
}

/// Turns what an operator says of an issuer into what the gate holds, at the start and whenever one is added.
#[derive(Debug)]
pub(crate) struct Compiler {
    pub(crate) audience: Audience,
    pub(crate) purpose: Purpose,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) protection: Arc<Protection>,
    pub(crate) clients: Clients,
    pub(crate) home: Arc<Home>,
    pub(crate) limits: FetchLimits,
    /// Whether proofs of possession are checked.
    pub(crate) proofs: bool,
}

impl Compiler {
    /// For a server that stands for another one and compiles nothing itself.
    pub(crate) fn idle(clock: Arc<dyn Clock>, protection: Arc<Protection>) -> Self {
        let audience = Audience::any_of::<&str>([]);
        Self {
            audience,
            purpose: Purpose::Api,
            clock,
            protection,
            clients: Clients::default(),
            home: Arc::default(),
            proofs: false,
            limits: FetchLimits::process(),
        }
    }

    pub(crate) fn compile(&self, issuer: Issuer) -> Result<TrustedIssuer, ConfigError> {
        let name = &issuer.identifier;
        let refuse = |why: String| Err(ConfigError::new(format!("issuer {name}: {why}")));
        let audience = issuer.audience.clone().unwrap_or_else(|| self.audience.clone());
        if audience.is_empty() || issuer.id_tokens_for.as_ref().is_some_and(Audience::is_empty) {
            return refuse("no audience is named, so no token could be for this server".into());
        }
        if issuer.naming == Naming::Nameless && audience.is_unchecked() {
            return refuse("its tokens are known by their audience alone, so the audience has to be checked".into());
        }
        if issuer.leeway > MOST_LEEWAY {
            return refuse(format!(
                "a leeway of {} s hides a wrong clock, expected at most 300 s",
                issuer.leeway.as_secs()
            ));
        }
        if let Some(flaw) = issuer.rules.iter().find_map(ClaimRule::flaw) {
            return refuse(flaw.into());
        }
        let algorithms = match (&issuer.keys, issuer.algorithms) {
            (_, Some(algorithms)) if algorithms.is_empty() => return refuse("no algorithm is allowed".into()),
            (KeysFrom::Static(keys), named) => match keys.agree(named, issuer.leniency) {
                Ok(agreed) => agreed.algorithms,
                Err(why) => return refuse(why),
            },
            (_, None) => Algorithms::DEFAULT,
            (_, Some(algorithms)) if algorithms.intersection(Algorithms::HMAC).is_empty() => algorithms,
            (_, Some(_)) => return refuse("HS256, HS384 and HS512 need a secret, fetched keys are public".into()),
        };
        let opaque = compile_opaque(&issuer, &audience, self.purpose, &self.clients, &self.limits)?;
        let accepts = match self.purpose {
            Purpose::Api => Accepts { access: Some(audience), id: issuer.id_tokens_for.clone(), ..Accepts::default() },
            Purpose::Client => Accepts { id: Some(audience), ..Accepts::default() },
            Purpose::Logout => Accepts { logout: Some(audience), ..Accepts::default() },
            Purpose::SecurityEvents => Accepts { events: Some(audience), ..Accepts::default() },
        };
        let status_lists = compile_status_lists(&issuer, self.purpose, &self.clients, &self.limits)?;
        let keys = compile_keys(&issuer, &self.clock, &self.clients, &self.limits)?;
        let keyless = matches!(issuer.keys, KeysFrom::Nowhere);
        Ok(TrustedIssuer {
            identifier: issuer.identifier.into(),
            naming: issuer.naming,
            accepts,
            algorithms,
            leeway: issuer.leeway,
            strict: issuer.strict,
            marked: issuer.marked,
            proofs: self.proofs,
            // RFC 8417 section 2.2: an event does not expire.
            expiry_required: issuer.expiry_required && self.purpose != Purpose::SecurityEvents,
            mapping: Mapping::new(&issuer.mapping),
            rules: issuer.rules.into_boxed_slice(),
            keys_name_issuer: issuer.keys_name_issuer,
            padded: issuer.padded,
            nonce_outranked: issuer.nonce_outranked,
            numeric_subjects: issuer.numeric_subjects,
            tenant: None,
            removed: AtomicBool::new(false),
            keys,
            clock: Arc::clone(&self.clock),
            home: Arc::clone(&self.home),
            keyless,
            opaque,
            status_lists,
            protection: Arc::clone(&self.protection),
        })
    }
}

fn compile_keys(
    issuer: &Issuer,
    clock: &Arc<dyn Clock>,
    clients: &Clients,
    limits: &FetchLimits,
) -> Result<Keys, ConfigError> {
    let name = &issuer.identifier;
    let refuse = |why: &dyn std::fmt::Display| ConfigError::new(format!("issuer {name}: {why}"));
    issuer.settings.check().map_err(|error| refuse(&error))?;
    if !matches!(issuer.keys, KeysFrom::Discovery) {
        let elsewhere = [("metadata_url", &issuer.metadata_url), ("reached_at", &issuer.reached_at)];
        if let Some((setting, _)) = elsewhere.iter().find(|(_, address)| address.is_some()) {
            return Err(refuse(&format!(
                "{setting} is for issuers whose keys are discovered, and this one's are not: remove it"
            )));
        }
    }
    let plain_http = if issuer.plain_http { PlainHttp::Inside } else { PlainHttp::Loopback };
    let source: Arc<dyn KeySource> = match &issuer.keys {
        KeysFrom::Nowhere => return Ok(Keys::fixed(KeySet::from_keys(Origin::Given, Vec::new()))),
        KeysFrom::Static(keys) => {
            return Ok(Keys::fixed(keys.agree(issuer.algorithms, issuer.leniency).map_err(|why| refuse(&why))?.keys));
        }
        KeysFrom::Source(source) => Arc::clone(source),
        KeysFrom::Discovery => {
            match (&issuer.metadata_url, &issuer.reached_at) {
                (Some(url), _) => secure(issuer, "metadata_url", url)?,
                (None, Some(origin)) => secure(issuer, "reached_at", origin)?,
                (None, None) => secure(issuer, "issuer", name)?,
            }
            let (metadata_url, origin) = (issuer.metadata_url.clone(), issuer.reached_at.clone());
            let reach = Reach { metadata_url, origin, plain_http: issuer.plain_http };
            let address = issuer.metadata_url.as_ref().or(issuer.reached_at.as_ref()).unwrap_or(name);
            let client = clients.shown_to(issuer, address)?;
            let discovery = Discovery::elsewhere(name, &reach, client).map_err(|error| refuse(&error))?;
            Arc::new(DiscoveryKeySource::new(Arc::new(discovery)))
        }
        KeysFrom::Certificates(uri) => {
            secure(issuer, "certificates", uri)?;
            Arc::new(CertificateMapSource::new(uri, clients.client(issuer)?).map_err(|error| refuse(&error))?)
        }
        KeysFrom::PemPerKid(base) => {
            secure(issuer, "keys", base)?;
            let mut algorithms = issuer.algorithms.iter().flat_map(|algorithms| algorithms.iter());
            let (Some(algorithm), None) = (algorithms.next(), algorithms.next()) else {
                return Err(refuse(&"a PEM document does not say its algorithm: expected exactly one to be agreed"));
            };
            let source = PemPerKidSource::new(base, algorithm, clients.client(issuer)?);
            Arc::new(source.map_err(|error| refuse(&error))?)
        }
        KeysFrom::JwksUri(uri) => {
            secure(issuer, "JWK Set", uri)?;
            Arc::new(
                HttpKeySource::at(uri, plain_http, clients.shown_to(issuer, uri)?).map_err(|error| refuse(&error))?,
            )
        }
    };
    Ok(Keys::remote(source, issuer.settings.clone(), Arc::clone(clock), name, limits.clone(), issuer.leniency))
}

fn compile_status_lists(
    issuer: &Issuer,
    purpose: Purpose,
    clients: &Clients,
    limits: &FetchLimits,
) -> Result<Option<Arc<Lists>>, ConfigError> {
    // Logout tokens and events are not looked up: they are good once, and now.
    let Some(lists) = issuer.status_lists.as_ref().filter(|_| matches!(purpose, Purpose::Api | Purpose::Client)) else {
        return Ok(None);
    };
    let name = &issuer.identifier;
    let refuse = |why: &dyn std::fmt::Display| ConfigError::new(format!("issuer {name}: {why}"));
    if matches!(issuer.keys, KeysFrom::Nowhere) {
        return Err(refuse(&"status lists are signed with the issuer's keys, and it has none"));
    }
    lists.at.iter().try_for_each(|at| secure(issuer, "status lists", at))?;
    let own = Some(name.as_str()).filter(|_| issuer.naming == Naming::Exact);
    let lists = Lists::new(lists.clone(), own, clients.client(issuer)?, limits.clone(), issuer.loopback_http);
    Ok(Some(Arc::new(lists.map_err(|error| refuse(&error))?)))
}

fn compile_opaque(
    issuer: &Issuer,
    audience: &Audience,
    purpose: Purpose,
    clients: &Clients,
    limits: &FetchLimits,
) -> Result<Option<Arc<Opaque>>, ConfigError> {
    let Some(tokens) = &issuer.opaque else { return Ok(None) };
    let name = &issuer.identifier;
    let refuse = |why: String| Err(ConfigError::new(format!("issuer {name}: {why}")));
    if issuer.naming != Naming::Exact || purpose != Purpose::Api {
        return refuse("opaque tokens are those of one issuer, for an API".into());
    }
    let is_own = tokens.audience.is_some();
    if !is_own && matches!(tokens.kind, Kind::UserInfo { .. }) {
        return refuse("userinfo says nothing about the audience: set the audience of the opaque tokens".into());
    }
    let audience = tokens.audience.clone().unwrap_or_else(|| audience.clone());
    if audience.is_empty() {
        return refuse("no audience is named for the opaque tokens".into());
    }
    if tokens.compiled.timeout.is_zero() {
        return refuse("nothing can be asked within no time".into());
    }
    let exchange = |what: &str, endpoint: &str| {
        let client = tokens.client.clone().map_or_else(|| clients.client(issuer), Ok)?;
        if tokens.client.is_none() {
            secure(issuer, what, endpoint)?;
        }
        let uri = endpoint.parse().map_err(|_| ConfigError::new(format!("{what} {endpoint}: expected a URL")))?;
        Ok::<_, ConfigError>(Exchange { client, uri, timeout: tokens.compiled.timeout })
    };
    let signed_only = tokens.signed_only;
    let mut client_id = None;
    let verifier: Arc<dyn OpaqueVerifier> = match &tokens.kind {
        Kind::Introspection { endpoint, client_id: id, authentication } => {
            client_id = Some(id.as_str().into());
            let exchange = exchange("introspection endpoint", endpoint)?;
            Arc::new(Introspection::new(exchange, id.clone(), authentication.clone(), signed_only))
        }
        Kind::UserInfo { endpoint } => {
            Arc::new(UserInfo::new(exchange("userinfo endpoint", endpoint)?, Protocol::UserInfo, signed_only))
        }
        Kind::TokenInfo { endpoint } if !signed_only => {
            Arc::new(UserInfo::new(exchange("tokeninfo endpoint", endpoint)?, Protocol::TokenInfo, false))
        }
        Kind::TokenInfo { .. } => return refuse("tokeninfo has no signed answers".into()),
        Kind::TokenReview { .. } if signed_only => return refuse("reviews are not signed".into()),
        Kind::TokenReview { api_server } => {
            let Some(names) = audience.ours() else {
                return refuse("a review is for an audience: it cannot be unchecked".into());
            };
            if issuer.bearer_token_file.is_none() {
                return refuse("a review is asked for in the name of a service account: set bearer_token_file".into());
            }
            let mut exchange =
                exchange("token review", &format!("{}{}", api_server.trim_end_matches('/'), token_review::PATH))?;
            exchange.client = shown(issuer, exchange.client, &exchange.uri.to_string())?;
            Arc::new(TokenReview::new(exchange, names.iter().cloned().collect()))
        }
        Kind::Verifier(verifier) => Arc::clone(verifier),
        Kind::ApiKeys(store) => Arc::new(Keyring::new(name, &tokens.prefixes, Arc::clone(store))),
        Kind::StaticApiKeys(keys) => Arc::new(Keyring::new(name, &tokens.prefixes, Arc::new(keys.clone()))),
    };
    if signed_only && matches!(issuer.keys, KeysFrom::Nowhere) {
        return refuse("signed answers need the issuer's keys".into());
    }
    let mut opaque = Opaque::new(name, verifier, audience, tokens.compiled.clone(), limits.clone());
    opaque.prefixes = tokens.prefixes.iter().map(|prefix| prefix.as_str().into()).collect();
    opaque.takes_opaque = !matches!(tokens.kind, Kind::TokenInfo { .. });
    opaque.kind = if opaque.takes_opaque { TokenKind::Access } else { TokenKind::Id };
    opaque.are_own_keys = matches!(tokens.kind, Kind::ApiKeys(_) | Kind::StaticApiKeys(_));
    opaque.jwts_too = tokens.jwts_too;
    opaque.client_id = client_id;
    Ok(Some(Arc::new(opaque)))
}

/// https, unless the operator opted for this machine's own http or brought a client with guards of its own.
fn secure(issuer: &Issuer, what: &str, text: &str) -> Result<(), ConfigError> {
    let url = parse_url(what, text)?;
    if url.scheme() != "https" && !issuer.loopback_http && !issuer.plain_http && issuer.client.is_none() {
        return Err(ConfigError::new(format!(
            "{what} {text}: expected https; allow_loopback_http lets an issuer on this machine speak plain http, and \
             dangerously_allow_plain_http one inside your network"
        )));
    }
    Ok(())
}

/// One HTTP client for all issuers that allow the same.
#[derive(Debug, Default)]
pub(crate) struct Clients(Mutex<Vec<Allowing>>);

/// How the servers of an issuer are reached: what is allowed, which roots are trusted, through what.
#[derive(Debug, PartialEq, Eq)]
struct Way {
    loopback_http: bool,
    private_addresses: bool,
    plain_http: bool,
    roots: Option<Vec<u8>>,
    proxy: Option<String>,
}

/// A way, and the client that goes it.
type Allowing = (Way, Arc<dyn HttpClient>);

/// No file with certificates is larger.
const LARGEST_FILE: u64 = 512 * 1024;

/// The client, with the issuer's bearer token for the origin of `address`.
fn shown(issuer: &Issuer, client: Arc<dyn HttpClient>, address: &str) -> Result<Arc<dyn HttpClient>, ConfigError> {
    let Some(file) = &issuer.bearer_token_file else { return Ok(client) };
    let url = address::endpoint(address, PlainHttp::Loopback).map_err(|why| {
        ConfigError::new(format!("issuer {}: bearer_token_file: {address}: {why}", issuer.identifier))
    })?;
    let uri = url.as_str().parse().map_err(|_| ConfigError::new(format!("{address}: expected a URL")))?;
    Ok(Arc::new(WithBearer::new(client, file, &uri)))
}

impl Clients {
    /// The client that shows the issuer's bearer token where it asks.
    fn shown_to(&self, issuer: &Issuer, address: &str) -> Result<Arc<dyn HttpClient>, ConfigError> {
        shown(issuer, self.client(issuer)?, address)
    }

    fn client(&self, issuer: &Issuer) -> Result<Arc<dyn HttpClient>, ConfigError> {
        if let Some(client) = &issuer.client {
            return Ok(Arc::clone(client));
        }
        let read = |path: &PathBuf| {
            let unread =
                |why| ConfigError::new(format!("issuer {}: ca_file {}: {why}", issuer.identifier, path.display()));
            file::read(path, LARGEST_FILE).map_err(unread)
        };
        let wanted = Way {
            loopback_http: issuer.loopback_http,
            private_addresses: issuer.private_addresses,
            plain_http: issuer.plain_http,
            roots: issuer.ca_file.as_ref().map(read).transpose()?,
            proxy: issuer.proxy.clone(),
        };
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = clients.iter().find(|(allows, _)| *allows == wanted) {
            return Ok(Arc::clone(client));
        }
        let client = default_client(&wanted)
            .map_err(|error| ConfigError::new(format!("issuer {}: {error}", issuer.identifier)))?;
        clients.push((wanted, Arc::clone(&client)));
        Ok(client)
    }
}

#[cfg(feature = "reqwest")]
fn default_client(way: &Way) -> Result<Arc<dyn HttpClient>, ConfigError> {
    let mut builder = crate::base::http::ReqwestClient::builder();
    if way.loopback_http {
        builder = builder.allow_loopback_http();
    }
    if way.private_addresses {
        builder = builder.allow_private_addresses();
    }
    if way.plain_http {
        builder = builder.dangerously_allow_plain_http();
    }
    if let Some(roots) = &way.roots {
        builder = builder.root_certificate_pem(roots);
    }
    if let Some(proxy) = &way.proxy {
        builder = builder.proxy(proxy);
    }
    let client = builder.build().map_err(|error| ConfigError::new(error.to_string()))?;
    Ok(Arc::new(client))
}

#[cfg(not(feature = "reqwest"))]
fn default_client(_: &Way) -> Result<Arc<dyn HttpClient>, ConfigError> {
    Err(ConfigError::new("no HTTP client: turn on the feature `reqwest` or hand one over with http_client()"))
}
