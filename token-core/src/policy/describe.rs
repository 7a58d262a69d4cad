//! A builder in, the equivalent policy out; and a policy as text for people: what it accepts and what it refuses.

use std::fmt::{self, Write};
use std::time::Duration;

use super::{ApiKeysPolicy, IntrospectionPolicy, IssuerPolicy, Policy, TokenCachePolicy, TokenReviewPolicy};
use super::{CertificatePlace, MutualTlsPolicy, ProofPolicy, ReplayMemoryPolicy};
use crate::answer::challenge::DpopPolicy;
use crate::answer::resource;
use crate::jose::Algorithms;
use crate::opaque::Kind;
use crate::request::choice::SeveralTokens;
use crate::request::network::Network;
use crate::stores::{TokenCacheSettings, WhenUnreachable};
use crate::token::audience::Audience;
use crate::token::naming::Naming;
use crate::trust::issuer::{Issuer, KeysFrom};

impl IssuerPolicy {
    /// The policy of an issuer. Keys, sources and clients passed in code are noted, not copied.
    pub(crate) fn of(issuer: &Issuer) -> Self {
        let (jwks_uri, keys_from_code) = match &issuer.keys {
            KeysFrom::Discovery | KeysFrom::Nowhere => (None, false),
            KeysFrom::JwksUri(uri) => (Some(uri.clone()), false),
            KeysFrom::Static(_) | KeysFrom::Source(_) | KeysFrom::Certificates(_) | KeysFrom::PemPerKid(_) => {
                (None, true)
            }
        };
        let given = match (&issuer.keys, issuer.algorithms) {
            (KeysFrom::Static(keys), None) => Some(keys.algorithms()),
            (_, algorithms) => algorithms,
        };
        let api_keys = match issuer.opaque.as_ref().map(|tokens| (&tokens.kind, tokens.prefixes.as_slice())) {
            Some((Kind::StaticApiKeys(keys), [prefix])) => ApiKeysPolicy::of(prefix, keys),
            _ => None,
        };
        let introspection = issuer.opaque.as_ref().and_then(IntrospectionPolicy::of);
        let token_review = issuer.opaque.as_ref().and_then(TokenReviewPolicy::of);
        Self {
            jwks_uri,
            // Those who write no `iss` are named in code, too.
            keys_from_code: keys_from_code
                || (issuer.opaque.is_some() && introspection.is_none() && token_review.is_none() && api_keys.is_none())
                || matches!(issuer.naming, Naming::Nameless | Naming::TrustDomain),
            without_keys: matches!(issuer.keys, KeysFrom::Nowhere)
                && (introspection.is_some() || token_review.is_some()),
            token_review,
            bearer_token_file: issuer.bearer_token_file.clone(),
            introspection,
            api_keys,
            status_lists: issuer.status_lists.clone(),
            audience: issuer.audience.as_ref().map(names).unwrap_or_default(),
            dangerously_unchecked_audience: issuer.audience.as_ref().is_some_and(Audience::is_unchecked),
            algorithms: given,
            leeway: issuer.leeway,
            rfc9068: issuer.strict,
            strict: issuer.marked,
            dangerously_accept_tokens_without_expiry: !issuer.expiry_required,
            allow_loopback_http: issuer.loopback_http,
            allow_private_addresses: issuer.private_addresses,
            dangerously_allow_plain_http: issuer.plain_http,
            metadata_url: issuer.metadata_url.clone(),
            reached_at: issuer.reached_at.clone(),
            ca_file: issuer.ca_file.clone(),
            proxy: issuer.proxy.clone(),
            jwks: issuer.settings.clone(),
            tenants: match &issuer.naming {
                Naming::Template(template) => template.tenants(),
                _ => Vec::new(),
            },
            accept_id_tokens_for: issuer.id_tokens_for.as_ref().map(names).unwrap_or_default(),
            mapping: issuer.mapping.clone(),
            require_claims: issuer.rules.clone(),
            match_key_issuer: issuer.keys_name_issuer && !matches!(issuer.naming, Naming::Template(_)),
            accept_padding: issuer.padded,
            accept_nonce_in_access_tokens: issuer.nonce_outranked,
            accept_numeric_subjects: issuer.numeric_subjects,
            accept_several_keys_of_one_kid: issuer.leniency.several_of_a_kid,
            accept_keys_in_base64: issuer.leniency.base64,
            ..Self::discover(issuer.identifier.clone())
        }
    }
}

/// The values of an audience; none if it is not checked.
fn names(audience: &Audience) -> Vec<String> {
    audience.ours().map(|names| names.iter().cloned().collect()).unwrap_or_default()
}

impl From<TokenCacheSettings> for TokenCachePolicy {
    fn from(settings: TokenCacheSettings) -> Self {
        let TokenCacheSettings { entries, bytes, life, digests } = settings;
        Self { entries, bytes, life, digests }
    }
}

impl Policy {
    /// The audience of tokens whose issuer has none of its own.
    pub(crate) fn names(&self) -> Vec<String> {
        match &self.resource {
            Some(uri) => resource::audience(uri),
            None => self.audience.clone(),
        }
    }

    /// The audience that tokens of this issuer must name.
    pub(crate) fn audience_of(&self, issuer: &IssuerPolicy) -> Vec<String> {
        match (issuer.dangerously_unchecked_audience, issuer.audience.is_empty()) {
            (true, _) => Vec::new(),
            (false, true) => self.names(),
            (false, false) => issuer.audience.clone(),
        }
    }

    /// Whether this issuer's tokens are accepted for any audience.
    pub(crate) fn is_unchecked(&self, issuer: &IssuerPolicy) -> bool {
        issuer.dangerously_unchecked_audience || (self.dangerously_unchecked_audience && issuer.audience.is_empty())
    }

    fn id_tokens(&self) -> &'static str {
        if self.issuers.iter().all(|issuer| issuer.accept_id_tokens_for.is_empty()) { "ID tokens, " } else { "" }
    }

    pub(crate) fn issuer(&self, identifier: &str) -> Option<&IssuerPolicy> {
        self.issuers.iter().find(|issuer| issuer.issuer == identifier)
    }
}

/// One line for a terminal. Everything in it other than letters, digits and printable ASCII is escaped, line breaks
/// included.
pub(super) fn line(f: &mut fmt::Formatter<'_>, text: fmt::Arguments<'_>) -> fmt::Result {
    for character in text.to_string().chars() {
        if character.is_alphanumeric() || (' '..='~').contains(&character) {
            f.write_char(character)?;
        } else {
            write!(f, "{}", character.escape_unicode())?;
        }
    }
    f.write_char('\n')
}

macro_rules! line {
    ($f:expr, $($text:tt)*) => { line($f, format_args!($($text)*)) };
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line!(f, "accepts:")?;
        for issuer in &self.issuers {
            self.describe(issuer, f)?;
        }
        if self.issuers.is_empty() {
            line!(f, "  nothing: no issuer is trusted")?;
        }
        if let Some(encrypted) = &self.encrypted_tokens {
            encrypted.describe(f)?;
        }
        if let Some(tickets) = &self.tickets {
            let life = span(tickets.life.unwrap_or(Duration::from_secs(30)));
            line!(f, "  tickets in the query that were sold for one of these, once and for {life}")?;
        }
        if let Some(rule) = &self.require {
            line!(f, "  and holds each of them to {}", serde_json::to_string(rule).unwrap_or_default())?;
        }
        if self.record_caller {
            line!(f, "  and writes who the caller is into the application's spans: subject, client, issuer")?;
        }
        line!(f, "refuses:")?;
        line!(f, "  tokens of every other issuer, also of one that differs by a slash")?;
        let encrypted = match &self.encrypted_tokens {
            None => "encrypted tokens",
            Some(_) => "tokens encrypted otherwise, or to another key",
        };
        line!(f, "  {}logout tokens, refresh tokens, proofs, {encrypted}", self.id_tokens())?;
        self.describe_possession(f)?;
        line!(f, "  tokens longer than {} bytes", self.max_token_bytes.unwrap_or(16 * 1024))?;
        let several = match self.several_tokens {
            SeveralTokens::Refuse => "requests with two tokens",
            SeveralTokens::FirstLocation => {
                "requests with two tokens in one place (of several places the first decides)"
            }
        };
        match &self.token_locations {
            None => line!(f, "  {several}, or a token anywhere but in the Authorization header")?,
            Some(sources) => {
                let sources = serde_json::to_string(sources).unwrap_or_default();
                line!(f, "  {several}, or a token anywhere but in {sources}")?;
            }
        }
        self.gate.describe(f)
    }
}

impl Policy {
    fn describe(&self, issuer: &IssuerPolicy, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let audience = match self.audience_of(issuer) {
            names if names.is_empty() && self.is_unchecked(issuer) => "anybody (not checked!)".to_owned(),
            names if names.is_empty() => "nobody: no audience is named".to_owned(),
            names => names.join(" or "),
        };
        let algorithms = issuer.algorithms.map_or_else(
            || if issuer.has_given_keys() { "those of its keys".to_owned() } else { list(Algorithms::DEFAULT) },
            list,
        );
        line!(f, "  access tokens of {}", issuer.issuer)?;
        if !issuer.tenants.is_empty() {
            line!(f, "    tenants     {}", issuer.tenants.join(", "))?;
        }
        if !issuer.accept_id_tokens_for.is_empty() {
            line!(f, "    ID tokens   issued to {}", issuer.accept_id_tokens_for.join(" or "))?;
        }
        if !issuer.require_claims.is_empty() {
            let rules = serde_json::to_string(&issuer.require_claims).unwrap_or_default();
            line!(f, "    demands     {rules}")?;
        }
        line!(f, "    for         {audience}")?;
        line!(f, "    keys        {}", issuer.keys())?;
        if let Some(asked) = &issuer.introspection {
            asked.describe(f)?;
        }
        if let Some(review) = &issuer.token_review {
            line!(
                f,
                "    reviewed    by {}: the token of a deleted pod still works for {}",
                review.api_server,
                span(review.active_life)
            )?;
        }
        if let Some(file) = &issuer.bearer_token_file {
            line!(f, "    asks with   the token in {}", file.display())?;
        }
        if let Some(url) = &issuer.metadata_url {
            line!(f, "    metadata    {url}")?;
        }
        if let Some(origin) = &issuer.reached_at {
            line!(f, "    reached at  {origin}, for metadata and keys")?;
        }
        if issuer.dangerously_allow_plain_http {
            line!(f, "    network     plain http to private addresses (!)")?;
        }
        if let Some(file) = &issuer.ca_file {
            line!(f, "    roots       the system's, and those in {}", file.display())?;
        }
        if let Some(proxy) = &issuer.proxy {
            line!(f, "    proxy       {proxy}")?;
        }
        if let Some(lists) = &issuer.status_lists {
            let without = if lists.required { "refused" } else { "let in" };
            line!(f, "    status      looked up in its status lists; tokens that name none are {without}")?;
        }
        line!(f, "    algorithms  {algorithms}")?;
        let types = match (issuer.rfc9068, issuer.strict) {
            (true, _) => "at+jwt only (RFC 9068)",
            (false, true) => "marked as an access token, by its header or a claim",
            (false, false) => "at+jwt, JWT or none",
        };
        line!(f, "    type        {types}")?;
        for (_, _, bent, _) in issuer.bent_rules() {
            line!(f, "    bent rule   {bent} (!)")?;
        }
        let leeway = span(issuer.leeway);
        match issuer.dangerously_accept_tokens_without_expiry {
            false => line!(f, "    time        exp required, {leeway} of leeway"),
            true => line!(f, "    time        exp not required (!), {leeway} of leeway"),
        }
    }
}

impl IssuerPolicy {
    pub(crate) fn has_given_keys(&self) -> bool {
        self.jwks_file.is_some()
            || self.secret.is_some()
            || self.api_keys.is_some()
            || self.keys_from_code
            || self.without_keys
    }

    /// The rules of specifications that are relaxed for this issuer: setting, linter rule, description, risk.
    pub(super) fn bent_rules(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str, &'static str)> {
        let all = [
            (
                self.accept_padding,
                (
                    "accept_padding",
                    "padded-tokens",
                    "padded tokens are taken",
                    "one token has several texts: a deny-list or cache of somebody else's that goes by the text misses some",
                ),
            ),
            (
                self.accept_nonce_in_access_tokens,
                (
                    "accept_nonce_in_access_tokens",
                    "nonce-outranked",
                    "a nonce does not make an ID token of one that is marked as an access token",
                    "an ID token that wrongly bears the mark of an access token is no longer told by its nonce: right for Keycloak before 25, and to be \
                     removed after it",
                ),
            ),
            (
                self.accept_numeric_subjects,
                (
                    "accept_numeric_subjects",
                    "numeric-subjects",
                    "a sub that is a whole number is its text",
                    "the subjects 42 and \"42\" are one: wrong where the issuer writes both for different people",
                ),
            ),
            (
                self.accept_several_keys_of_one_kid,
                (
                    "accept_several_keys_of_one_kid",
                    "several-of-a-kid",
                    "up to four keys of one kid are tried in turn",
                    "junk tokens cost up to four signatures each, and good ones of that kid are verified the long way",
                ),
            ),
            (
                self.accept_keys_in_base64,
                (
                    "accept_keys_in_base64",
                    "keys-in-base64",
                    "keys in base64 or padded are taken",
                    "one key may be written in several ways, so that its thumbprint made from the text differs: ask the issuer for base64url",
                ),
            ),
        ];
        all.into_iter().filter(|(on, _)| *on).map(|(_, rule)| rule)
    }

    fn keys(&self) -> String {
        let settings = &self.jwks;
        let refreshed = format!(
            "fresh for {}, up to {} more in an outage",
            span(settings.fresh_for),
            span(settings.stale_if_error)
        );
        if let Some(own) = &self.api_keys {
            return format!("{} API keys that begin with {} (digests)", own.keys.len(), own.prefix);
        }
        match (&self.jwks_uri, &self.jwks_file, &self.secret) {
            (Some(uri), ..) => format!("{uri}, {refreshed}"),
            (_, Some(file), _) => format!("the file {}", file.display()),
            (_, _, Some(secret)) => format!("a shared secret for {} (redacted)", secret.algorithm),
            _ if self.keys_from_code => "handed over in code".to_owned(),
            _ if self.without_keys => "none: every token is asked about".to_owned(),
            _ => format!("discovered, {refreshed}"),
        }
    }
}

impl Policy {
    fn describe_possession(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.dpop, &self.mutual_tls) {
            (None, None) => line!(f, "  tokens bound to their sender (cnf), since no proof is checked")?,
            (None, Some(_)) => line!(f, "  tokens bound to a key (cnf), since no proof is checked")?,
            (Some(dpop), _) => dpop.describe(f)?,
        }
        match (&self.mutual_tls, &self.dpop) {
            (None, None) => Ok(()),
            (None, Some(_)) => line!(f, "  tokens bound to a certificate (cnf), since none is looked at"),
            (Some(certificates), _) => certificates.describe(f),
        }
    }
}

impl ProofPolicy {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schemes = match self.schemes {
            DpopPolicy::Bearer => "the scheme DPoP, except where a layer takes it",
            DpopPolicy::BearerOrDpop => "tokens bound to a key (cnf) without a new proof of their own",
            DpopPolicy::Required => "tokens that are not bound to a key (cnf), and bound ones without a new proof",
        };
        line!(f, "  {schemes}")?;
        match (&self.external_url, &self.forwarded) {
            (Some(url), _) => line!(f, "  proofs for another place than {url}")?,
            (None, None) => line!(f, "  proofs for another place than the host that the request names")?,
            (None, Some(forwarded)) => {
                line!(f, "  proofs for another place than the one that the proxy at {} names", any(&forwarded.proxies))?
            }
        }
        match (self.nonce_secrets.len(), self.require_nonces) {
            (0, false) => {}
            (0, true) => line!(f, "  proofs without a nonce of this process")?,
            (secrets, _) => line!(f, "  proofs without a nonce of {secrets} shared secrets (redacted)")?,
        }
        if self.replay_memory == ReplayMemoryPolicy::Shared {
            line!(f, "  proofs that came before, to whichever instance")?;
        }
        match self.when_replay_memory_is_unreachable {
            WhenUnreachable::Refuse => Ok(()),
            WhenUnreachable::Admit => {
                line!(f, "  no proof for having come before while the memory of them is out of reach (!)")
            }
        }
    }
}

impl MutualTlsPolicy {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match (self.from, &self.field) {
            (CertificatePlace::Connection, _) => {
                return line!(f, "  tokens bound to a certificate (cnf) that is not the connection's");
            }
            (CertificatePlace::ClientCert, _) => "client-cert",
            (CertificatePlace::Xfcc, _) => "x-forwarded-client-cert",
            (CertificatePlace::XForwardedTlsClientCert, _) => "x-forwarded-tls-client-cert",
            (CertificatePlace::EscapedPem, name) => name.as_deref().unwrap_or("(no field named)"),
        };
        let proxies = any(&self.proxies);
        line!(f, "  tokens bound to a certificate (cnf) that is not the one in {place} of the proxy at {proxies}")
    }
}

/// The addresses of proxies, any of which may have sent the request.
fn any(proxies: &[Network]) -> String {
    proxies.iter().map(Network::to_string).collect::<Vec<_>>().join(" or ")
}

impl IntrospectionPolicy {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let which = match (self.prefixes.as_slice(), self.introspect_jwts) {
            ([], false) => "tokens that are no JWTs".to_owned(),
            ([], true) => "every token".to_owned(),
            (prefixes, false) => format!("tokens that begin with {}", prefixes.join(" or ")),
            (prefixes, true) => format!("JWTs and tokens that begin with {}", prefixes.join(" or ")),
        };
        let life = span(self.active_life);
        line!(
            f,
            "    asked       {} about {which}, in the name of {} (secret redacted)",
            self.endpoint,
            self.client_id
        )?;
        line!(f, "    revoked     such a token still works for {life}")?;
        match (self.dangerously_unchecked_audience, self.audience.as_slice()) {
            (true, _) => line!(f, "    asked for   anybody (not checked!)"),
            (false, []) => Ok(()),
            (false, names) => line!(f, "    asked for   {}", names.join(" or ")),
        }
    }
}

fn list(algorithms: Algorithms) -> String {
    algorithms.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(", ")
}

pub(super) fn span(duration: Duration) -> String {
    match duration.as_secs() {
        0 if !duration.is_zero() => format!("{} ms", duration.as_millis()),
        seconds if seconds > 0 && seconds % 86_400 == 0 => format!("{} d", seconds / 86_400),
        seconds if seconds > 0 && seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        seconds if seconds > 0 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}
