//! A policy in; contradictions and risky settings out, each with the reason.

mod issuer;
mod server;

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use serde::Serialize;

use super::secret::KeptSecret;
use super::{CONTRADICTION, Policy, ReplayMemoryPolicy, TicketStorePolicy};
use crate::base::http::{BoxFuture, HttpClient, HttpError, Limits};
use crate::jose::Algorithms;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Severity {
    /// The policy works, but has an effect that people rarely expect.
    Warning,
    /// No server can be built from the policy, or none should be.
    Error,
}

/// One finding of [`Policy::lint`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The severity.
    pub severity: Severity,
    /// The stable name of the rule.
    pub rule: &'static str,
    /// The member, such as `issuers[https://login.example.com/].leeway`.
    pub path: String,
    /// What is wrong, why it matters, and what to write instead.
    pub why: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.severity == Severity::Error { "error" } else { "warning" };
        write!(f, "{severity}: {}: {} [{}]", self.path, self.why, self.rule)
    }
}

/// An HTTP client that sends nothing: linting makes no requests.
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

impl Policy {
    /// Looks for contradictions and risky settings. Nothing is fetched and no file is read. Errors come before
    /// warnings.
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

    /// Errors that none of the rules above finds, but that still prevent a server from being built.
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
