//! What a policy says of one issuer in, the traps in that out: its name, its keys, how far its tokens are trusted.

use std::time::Duration;

use url::Url;

use super::{Findings, UNCHECKED, lint_audience};
use crate::jose::Algorithms;
use crate::policy::describe::span;
use crate::policy::{
    CONTRADICTION, IntrospectionPolicy, IssuerPolicy, NOBODY_KNOWS, Policy, SEVERAL_KEYS, TokenReviewPolicy,
};

/// More leeway than this is a good part of the life of a short-lived token.
const MUCH_LEEWAY: Duration = Duration::from_secs(60);

impl Policy {
    pub(super) fn lint_issuer(&self, issuer: &IssuerPolicy, found: &mut Findings) {
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

    pub(super) fn lint_twins(&self, issuer: &IssuerPolicy, earlier: &[IssuerPolicy], found: &mut Findings) {
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
