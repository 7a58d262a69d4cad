//! A policy in, its contradictions and traps out, each with the reason why it is one.

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use serde::Serialize;
use url::Url;

use super::describe::span;
use super::encryption::EncryptedTokensPolicy;
use super::secret::KeptSecret;
use super::{
    CONTRADICTION, METADATA_WITHOUT_RESOURCE, NOBODY_KNOWS, RESOURCE_AND_AUDIENCE, RESOURCE_AND_METADATA, SEVERAL_KEYS,
};
use super::{IntrospectionPolicy, IssuerPolicy, Metadata, Policy, ReplayMemoryPolicy};
use super::{TicketStorePolicy, TokenReviewPolicy};
use crate::answer::resource::Resource;
use crate::base::http::{BoxFuture, HttpClient, HttpError, Limits};
use crate::jose::Algorithms;
use crate::request::choice::SeveralTokens;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Severity {
    /// It works, and surprises people.
    Warning,
    /// No server can be built from it, or none that should be.
    Error,
}

/// One finding of [`Policy::lint`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The rule's stable name.
    pub rule: &'static str,
    /// The member, such as `issuers[https://login.example.com/].leeway`.
    pub path: String,
    /// What is the matter, why it matters, and what to write instead.
    pub why: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.severity == Severity::Error { "error" } else { "warning" };
        write!(f, "{severity}: {}: {} [{}]", self.path, self.why, self.rule)
    }
}

/// Asks nobody: a policy is looked at, and nothing is fetched.
#[derive(Debug)]
struct Nobody;

impl HttpClient for Nobody {
    fn send(&self, _: Request<Bytes>, _: Limits) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        Box::pin(std::future::ready(Err(HttpError::Timeout)))
    }
}

const UNCHECKED: &str = "a token for any other API of the same issuer passes here: name the audience instead";

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, severity: Severity, rule: &'static str, path: impl Into<String>, why: impl Into<String>) {
        self.0.push(Finding { severity, rule, path: path.into(), why: why.into() });
    }
    fn error(&mut self, rule: &'static str, path: impl Into<String>, why: impl Into<String>) {
        self.add(Severity::Error, rule, path, why);
    }
    fn warn(&mut self, rule: &'static str, path: impl Into<String>, why: impl Into<String>) {
        self.add(Severity::Warning, rule, path, why);
    }
}

/// More leeway than this is a good part of the life of a short-lived token.
const MUCH_LEEWAY: Duration = Duration::from_secs(60);

impl Policy {
    /// Looks for contradictions and traps; nothing is fetched and no file is read. Errors come first.
    #[must_use]
    pub fn lint(&self) -> Vec<Finding> {
        let mut found = Findings(Vec::new());
        if self.issuers.is_empty() {
            found.error("no-issuer", "issuers", "no issuer is trusted, so every token is refused");
        }
        if self.dangerously_unchecked_audience {
            found.warn("unchecked-audience", "dangerously_unchecked_audience", UNCHECKED);
            if !self.audience.is_empty() {
                found.error("contradiction", "audience", CONTRADICTION);
            }
        }
        lint_audience("audience", &self.audience, &mut found);
        self.lint_resource(&mut found);
        self.lint_tokens(&mut found);
        self.lint_gate(&mut found);
        for (at, issuer) in self.issuers.iter().enumerate() {
            self.lint_issuer(issuer, &mut found);
            self.lint_twins(issuer, &self.issuers[..at], &mut found);
        }
        self.lint_building(&mut found);
        found.0.sort_by_key(|finding| Reverse(finding.severity));
        found.0
    }

    /// What no rule above knows of, and still no server can be built with.
    fn lint_building(&self, found: &mut Findings) {
        if found.0.iter().any(|finding| finding.severity == Severity::Error) {
            return;
        }
        let mut dry = self.clone();
        if let Some(dpop) = &mut dry.dpop {
            // Secrets are not read, and a shared memory is nothing that a policy brings.
            dpop.nonce_secrets.clear();
            dpop.replay_memory = ReplayMemoryPolicy::Own;
        }
        if let Some(tickets) = &mut dry.tickets {
            tickets.store = TicketStorePolicy::Own;
        }
        // Nor are keys of encrypted tokens: what can be said without them is said above.
        dry.encrypted_tokens = None;
        for asked in dry.issuers.iter_mut().filter_map(|issuer| issuer.introspection.as_mut()) {
            asked.client_secret = KeptSecret::here("in place of one that would have to be read");
        }
        for issuer in dry
            .issuers
            .iter_mut()
            .filter(|issuer| issuer.has_given_keys() && !issuer.without_keys && issuer.api_keys.is_none())
        {
            // In place of keys that would have to be read, some that are never fetched.
            (issuer.jwks_file, issuer.secret, issuer.keys_from_code) = (None, None, false);
            issuer.jwks_uri = Some("https://keys.invalid/".to_owned());
            issuer.algorithms =
                issuer.algorithms.filter(|algorithms| !algorithms.intersection(Algorithms::ASYMMETRIC).is_empty());
        }
        let built =
            dry.builder().and_then(|builder| Ok(builder.asking(&(Arc::new(Nobody) as Arc<dyn HttpClient>)).check()?));
        if let Err(error) = built {
            found.error("cannot-be-built", "policy", error.to_string());
        }
    }

    fn lint_gate(&self, found: &mut Findings) {
        let upstream = &self.gate.upstream;
        if let Err((member, why)) = upstream.flaw() {
            found.error("gate-upstream", format!("gate.upstream.{member}"), why);
        }
        let Some(sign) = &upstream.sign else { return };
        if self.issuers.iter().any(|issuer| issuer.issuer == sign.issuer) {
            found.error(
                "signs-as-an-issuer",
                "gate.upstream.sign.issuer",
                "it is an issuer that is trusted here: a token of the gate's would be taken for one of that issuer. Take a name of the gate's own",
            );
        }
        if sign.audience.iter().any(|name| self.audience.contains(name) || self.resource.as_ref() == Some(name)) {
            found.warn(
                "signs-for-itself",
                "gate.upstream.sign.audience",
                "it is the audience of tokens from outside: whoever trusts both issuers cannot tell a call through the gate from one past it",
            );
        }
    }

    fn lint_resource(&self, found: &mut Findings) {
        match &self.resource {
            None if self.metadata != Metadata::default() => {
                found.error("contradiction", "metadata", METADATA_WITHOUT_RESOURCE);
            }
            None => {}
            Some(_) if !self.audience.is_empty() || self.dangerously_unchecked_audience => {
                found.error("contradiction", "resource", RESOURCE_AND_AUDIENCE);
            }
            Some(_) if self.resource_metadata.is_some() => {
                found.error("contradiction", "resource_metadata", RESOURCE_AND_METADATA);
            }
            Some(uri) => {
                if let Err(error) = Resource::parse(uri) {
                    found.error("resource", "resource", error.to_string());
                }
                if let Err(error) = self.metadata.check() {
                    found.error("metadata", "metadata", error.to_string());
                }
                for named in self.metadata.authorization_servers.iter().flatten() {
                    if self.issuer(named).is_none() {
                        let why = format!(
                            "{named} is none of the issuers: its tokens are refused unless it issues them in the name of one"
                        );
                        found.warn("stranger-named", "metadata.authorization_servers", why);
                    }
                }
            }
        }
    }

    fn lint_tokens(&self, found: &mut Findings) {
        if self.max_token_bytes.is_some_and(|bytes| bytes < 2048) {
            found.warn(
                "small-tokens",
                "max_token_bytes",
                "access tokens of 1 to 4 KiB are common and would be refused",
            );
        }
        if self.several_tokens == SeveralTokens::FirstLocation
            && self.token_locations.as_ref().is_none_or(|places| places.len() < 2)
        {
            found.warn(
                "one-location",
                "several_tokens",
                "tokens are looked for in one place, so there is no first one: name several in token_locations, or remove this",
            );
        }
        for (path, rule, why, error) in self.encrypted_tokens.iter().flat_map(EncryptedTokensPolicy::findings) {
            found.add(if error { Severity::Error } else { Severity::Warning }, rule, path, why);
        }
        self.lint_possession(found);
        if self.token_cache.entries != Some(0) && self.token_cache.life > Duration::from_secs(3600) {
            found.warn(
                "long-cache",
                "token_cache.life",
                "a verified token is not parsed again for more than an hour; nothing is gained after some minutes",
            );
        }
    }

    fn lint_possession(&self, found: &mut Findings) {
        const EVERYBODY: &str =
            "everybody is in this network, so that a client can write the field itself: name the proxies";
        if self.mutual_tls.as_ref().is_some_and(|tls| tls.proxies.iter().any(|proxy| proxy.is_everybody())) {
            found.error("every-proxy", "mutual_tls.proxies", EVERYBODY);
        }
        let Some(dpop) = &self.dpop else { return };
        match &dpop.forwarded {
            None if dpop.external_url.is_none() => found.warn(
                "requested-host",
                "dpop.external_url",
                "proofs are compared with the host that the request names: another server that takes the same tokens can have its proofs used here",
            ),
            Some(forwarded) if forwarded.proxies.iter().any(|proxy| proxy.is_everybody()) => {
                found.error("every-proxy", "dpop.forwarded.proxies", EVERYBODY);
            }
            _ => {}
        }
        if dpop.nonce_secrets.iter().any(|secret| secret.value.is_some()) {
            found.warn(
                "secret-in-policy",
                "dpop.nonce_secrets",
                "whoever can read the policy can make nonces: name a file or an environment variable instead",
            );
        }
        if dpop.replay_memory == ReplayMemoryPolicy::Shared && dpop.require_nonces && dpop.nonce_secrets.is_empty() {
            found.warn(
                "own-nonces",
                "dpop.require_nonces",
                "there are several instances, and each refuses the nonces of the others: give them nonce_secrets",
            );
        }
        if let Some(at) = dpop.nonce_secrets.iter().position(|secret| !secret.is_in_one_place()) {
            found.error(
                "secret-place",
                format!("dpop.nonce_secrets[{at}]"),
                "expected exactly one of env, file and value",
            );
        }
    }

    fn lint_issuer(&self, issuer: &IssuerPolicy, found: &mut Findings) {
        let path = |member: &str| format!("issuers[{}].{member}", issuer.issuer);
        if issuer.dangerously_unchecked_audience && issuer.require_claims.is_empty() {
            found.warn("unchecked-audience", path("dangerously_unchecked_audience"), UNCHECKED);
        }
        if self.audience_of(issuer).is_empty() && !self.is_unchecked(issuer) {
            found.error(
                "no-audience",
                path("audience"),
                "no audience is named, so no token could be for this server: a token for any API of the issuer must not pass",
            );
        }
        if issuer.dangerously_unchecked_audience && !issuer.audience.is_empty() {
            found.error("contradiction", path("audience"), CONTRADICTION);
        }
        if issuer.key_sources() > 1 {
            found.error("several-keys", path("jwks_uri"), SEVERAL_KEYS);
        }
        if let Some(asked) = &issuer.introspection {
            lint_introspection(asked, issuer, &path("introspection"), found);
        } else if issuer.without_keys && issuer.token_review.is_none() {
            found.error("nobody-knows", path("without_keys"), NOBODY_KNOWS);
        }
        if let Some(secret) = &issuer.secret {
            if !secret.kept().is_in_one_place() {
                found.error("secret-place", path("secret"), "expected exactly one of env, file and value");
            }
            if !secret.algorithm.is_symmetric() {
                found.error(
                    "secret-algorithm",
                    path("secret.algorithm"),
                    "a shared secret is for HS256, HS384 or HS512",
                );
            }
        }
        if let Some(review) = &issuer.token_review {
            lint_review(review, issuer, &path("token_review"), found);
        }
        lint_audience(&path("audience"), &issuer.audience, found);
        lint_name(issuer, found);
        lint_algorithms(issuer, found);
        lint_kinds(issuer, found);
        lint_fetching(issuer, found);
        if issuer.leeway > Duration::from_secs(300) {
            found.error(
                "leeway",
                path("leeway"),
                "more than 5 min hides a wrong clock instead of tolerating a skewed one",
            );
        } else if issuer.leeway > MUCH_LEEWAY {
            let why = format!(
                "{} may be longer than a short-lived token's life: a token of one minute would live on for {}; 30 s is enough for clocks that are set",
                span(issuer.leeway),
                span(issuer.leeway)
            );
            found.warn("leeway", path("leeway"), why);
        }
        // That AWS load balancers pad is a fact of theirs, and nothing that an operator could mend.
        for (member, rule, _, cost) in issuer.bent_rules().filter(|(member, ..)| *member != "accept_padding") {
            found.warn(rule, path(member), cost);
        }
        if issuer.dangerously_accept_tokens_without_expiry {
            found.warn(
                "no-expiry",
                path("dangerously_accept_tokens_without_expiry"),
                "a token without exp is good until its key is withdrawn, also after it was stolen",
            );
        }
        if issuer.secret.as_ref().is_some_and(|secret| secret.value.is_some()) {
            found.warn(
                "secret-in-policy",
                path("secret.value"),
                "whoever reads this policy can make tokens: use secret.env or secret.file",
            );
        }
    }

    fn lint_twins(&self, issuer: &IssuerPolicy, earlier: &[IssuerPolicy], found: &mut Findings) {
        let path = format!("issuers[{}]", issuer.issuer);
        let slash = |name: &str| name.trim_end_matches('/').to_owned();
        for other in earlier {
            if other.issuer == issuer.issuer && self.audience_of(other) == self.audience_of(issuer) {
                found.error("twice", path.clone(), "the issuer is trusted twice, and which rules hold would be chance");
            } else if slash(&other.issuer) == slash(&issuer.issuer) && other.issuer != issuer.issuer {
                found.warn(
                    "slash-twins",
                    path.clone(),
                    "two issuers differ by a slash at the end only: an issuer writes iss one way, find out which",
                );
            }
        }
    }
}

fn lint_introspection(asked: &IntrospectionPolicy, issuer: &IssuerPolicy, path: &str, found: &mut Findings) {
    let member = |member: &str| format!("{path}.{member}");
    if !asked.client_secret.is_in_one_place() {
        found.error("secret-place", member("client_secret"), "expected exactly one of env, file and value");
    }
    if asked.client_secret.value.is_some() {
        let why = "whoever reads this policy can ask in the client's name: use client_secret.env or client_secret.file";
        found.warn("secret-in-policy", member("client_secret.value"), why);
    }
    lint_http(
        &member("endpoint"),
        &asked.endpoint,
        issuer,
        "tokens and the client's secret over plain http: whoever sits on the way reads them",
        found,
    );
    if asked.dangerously_unchecked_audience {
        found.warn("unchecked-audience", member("dangerously_unchecked_audience"), UNCHECKED);
        if !asked.audience.is_empty() {
            found.error("contradiction", member("audience"), CONTRADICTION);
        }
    }
    lint_audience(&member("audience"), &asked.audience, found);
    if asked.active_life > Duration::from_secs(300) {
        let why = format!("a token that was revoked works for up to {} more", span(asked.active_life));
        found.warn("long-answers", member("active_life"), why);
    }
}

fn lint_review(review: &TokenReviewPolicy, issuer: &IssuerPolicy, path: &str, found: &mut Findings) {
    let why = "tokens over plain http: whoever sits on the way reads them";
    lint_http(&format!("{path}.api_server"), &review.api_server, issuer, why, found);
    if issuer.bearer_token_file.is_none() {
        found.error(
            "nobody-asks",
            path,
            "a review is asked for in the name of a service account: set bearer_token_file",
        );
    }
    if review.active_life > Duration::from_secs(300) {
        let why = format!("the token of a deleted pod works for up to {} more", span(review.active_life));
        found.warn("long-answers", format!("{path}.active_life"), why);
    }
}

fn lint_audience(path: &str, audience: &[String], found: &mut Findings) {
    for name in audience {
        match name.as_str() {
            "" => found.error("empty-audience", path, "an empty name matches nothing that is meant"),
            "account" => found.warn(
                "account-audience",
                path,
                "Keycloak writes account into nearly every access token: a token for any other client of the realm passes. Add an \
                 audience mapper for this API and name that",
            ),
            _ if name.trim() != name => {
                found.error("blank-audience", path, "a blank at an end of the name: names are compared whole");
            }
            "https://graph.microsoft.com" | "00000003-0000-0000-c000-000000000000" => found.warn(
                "graph-audience",
                path,
                "tokens for Microsoft Graph are for Graph alone and cannot be verified by others: expose an API of your own",
            ),
            _ => {}
        }
    }
}

fn lint_name(issuer: &IssuerPolicy, found: &mut Findings) {
    let path = format!("issuers[{}].issuer", issuer.issuer);
    let Ok(url) = Url::parse(&issuer.issuer) else {
        if issuer.jwks_uri.is_none() && !issuer.has_given_keys() {
            found.error("not-a-url", path, "keys can be discovered only of an issuer that is a URL: set jwks_uri");
        }
        return;
    };
    let host = url.host_str().unwrap_or_default();
    if host.ends_with(".auth0.com") && url.path() == "/" && !issuer.issuer.ends_with('/') {
        found.warn("auth0-slash", path, "Auth0 writes iss with a slash at the end: no token would match");
    } else if host == "login.microsoftonline.com"
        && ["/common", "/organizations", "/consumers"].iter().any(|part| url.path().starts_with(part))
    {
        found.warn(
            "entra-common",
            path,
            "no token names this issuer: Entra writes the tenant's own identifier into iss",
        );
    } else if host == "sts.windows.net" && issuer.algorithms.is_none() && issuer.jwks_uri.is_none() {
        found.warn(
            "entra-v1",
            path,
            "tokens of version 1: the discovery document under this name is of version 1 as well",
        );
    } else if url.path().contains("/.well-known/") {
        found.error(
            "well-known",
            path,
            "this is the address of a metadata document: the issuer is what comes before /.well-known",
        );
    }
}

/// Those who write no mark into access tokens, by their hosts, and what can be done there.
const UNMARKED: &[(&str, &str)] = &[
    (".auth0.com", "switch the API to the RFC 9068 profile, or leave strict out"),
    (".okta.com", "leave strict out and require the claim cid"),
    ("login.microsoftonline.com", "leave strict out and require the claim scp or roles"),
    ("sts.windows.net", "leave strict out and require the claim scp or roles"),
    ("accounts.google.com", "leave strict out: its JWTs are ID tokens"),
    ("securetoken.google.com", "leave strict out: its JWTs are ID tokens"),
];

fn lint_kinds(issuer: &IssuerPolicy, found: &mut Findings) {
    let path = format!("issuers[{}].strict", issuer.issuer);
    if !issuer.strict {
        return;
    }
    if issuer.rfc9068 {
        found.warn("strict-twice", path, "rfc9068 asks for at+jwt already: strict adds nothing");
        return;
    }
    let url = Url::parse(&issuer.issuer);
    let host = url.as_ref().ok().and_then(Url::host_str).unwrap_or_default();
    let known = UNMARKED.iter().find(|(name, _)| host == *name || name.starts_with('.') && host.ends_with(name));
    if let Some((_, remedy)) = known {
        let why = format!("{host} writes no mark into access tokens, so every one is refused: {remedy}");
        found.warn("strict-unmarked", path, why);
    } else if issuer.without_keys || issuer.api_keys.is_some() {
        found.warn(
            "strict-opaque",
            path,
            "an endpoint or this server vouches for these tokens: strict is for JWTs and has no say here",
        );
    }
}

fn lint_algorithms(issuer: &IssuerPolicy, found: &mut Findings) {
    let path = format!("issuers[{}].algorithms", issuer.issuer);
    let Some(algorithms) = issuer.algorithms else { return };
    let symmetric = algorithms.intersection(Algorithms::HMAC);
    let asymmetric = algorithms.intersection(Algorithms::ASYMMETRIC);
    if algorithms.is_empty() {
        found.error("no-algorithm", path, "no algorithm is allowed, so every token is refused");
    } else if !symmetric.is_empty() && !asymmetric.is_empty() {
        found.error(
            "mixed-algorithms",
            path,
            "HS256, HS384 and HS512 beside public-key algorithms: whoever knows a public key could use it as the secret",
        );
    } else if !symmetric.is_empty() && !issuer.has_given_keys() {
        found.error(
            "hmac-fetched",
            path,
            "HS256, HS384 and HS512 beside a fetched key set: what is published is no secret, so everybody could sign",
        );
    }
}

fn lint_http(path: &str, address: &str, issuer: &IssuerPolicy, why: &str, found: &mut Findings) {
    if !Url::parse(address).is_ok_and(|url| url.scheme() == "http") {
        return;
    }
    match (issuer.dangerously_allow_plain_http, issuer.allow_loopback_http) {
        (true, _) => found.warn("http", path, format!("{why}; right inside a network that only you are on")),
        (false, true) => found.warn("http", path, format!("{why}; right on a developer's machine only")),
        (false, false) => found.error("http", path, format!("{why}; expected https")),
    }
}

fn lint_fetching(issuer: &IssuerPolicy, found: &mut Findings) {
    let path = |member: &str| format!("issuers[{}].{member}", issuer.issuer);
    let (member, address) = match (&issuer.jwks_uri, &issuer.metadata_url, &issuer.reached_at) {
        (Some(uri), ..) => ("jwks_uri", uri),
        (_, Some(url), _) => ("metadata_url", url),
        (.., Some(origin)) => ("reached_at", origin),
        _ => ("issuer", &issuer.issuer),
    };
    if issuer.has_given_keys() {
        return;
    }
    if let Err(error) = issuer.jwks.check() {
        found.error("jwks", path(&format!("jwks.{}", error.setting())), error.to_string());
    }
    let why = "keys over plain http: whoever sits on the way can put in a key of their own, and with it make any token";
    lint_http(&path(member), address, issuer, why, found);
    if issuer.dangerously_allow_plain_http {
        found.warn(
            "plain-http",
            path("dangerously_allow_plain_http"),
            "every machine on the network between can replace the issuer's keys, and then be anybody: give the issuer a certificate and say ca_file",
        );
    }
    if issuer.allow_private_addresses {
        found.warn(
            "private-addresses",
            path("allow_private_addresses"),
            "the issuer's documents can point this server at machines inside its own network: right inside a cluster only",
        );
    }
    if issuer.proxy.is_some() {
        found.warn(
            "blind-proxy",
            path("proxy"),
            "the proxy resolves the names: that none of them leads into a network of yours is for the proxy to see to",
        );
    }
    if issuer.jwks.stale_if_error.is_zero() {
        found.warn("no-outage", path("jwks.stale_if_error"), "the moment an issuer is down its tokens get 503");
    }
}
