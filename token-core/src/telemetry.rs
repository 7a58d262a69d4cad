//! What the gate tells operators: the one list of metrics and events, and the only caller of the `metrics` facade.
//!
//! Names and labels are stable: a release that changes one says so in its changelog. Labels come from closed lists (kinds of error,
//! outcomes) or from the operator (issuers as they stand in the registry). Nothing that a caller sends is ever a label.
//!
//! Metrics are sent with the feature `metrics`; events through `tracing` always.

#[cfg(feature = "metrics")]
use std::time::Instant;

#[cfg(feature = "metrics")]
use crate::Error;
use crate::maybe_ready::MaybeReady;
use crate::verified::Verified;

/// What sort of metric it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its sort.
    pub kind: MetricKind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

const fn metric(name: &'static str, kind: MetricKind, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind, labels, help }
}

/// Every metric there is.
pub const METRICS: &[Metric] = &[
    metric(
        VERIFICATIONS,
        MetricKind::Counter,
        &["outcome", "issuer"],
        "Requests judged; outcome is accepted or a kind of error, issuer is empty for refusals",
    ),
    metric(
        SECONDS,
        MetricKind::Histogram,
        &["outcome"],
        "Seconds from the credentials to the verdict, waiting included",
    ),
    metric(
        FETCHES,
        MetricKind::Counter,
        &["issuer", "outcome"],
        "Fetches of key sets; outcome is changed, unchanged or a reason of failure",
    ),
    metric(
        UNKNOWN_KEYS,
        MetricKind::Counter,
        &["issuer", "outcome"],
        "Tokens that named a key not held; outcome is fetch_started, fetch_joined, remembered, bucket_empty (suppressed), unavailable or set_newer_than_request",
    ),
    metric(
        FETCHED_AT,
        MetricKind::Gauge,
        &["issuer"],
        "When the key set was last confirmed by a fetch, in seconds since 1970",
    ),
    metric(KEYS, MetricKind::Gauge, &["issuer"], "Usable keys in the set"),
    metric(CACHE, MetricKind::Counter, &["outcome"], "Looks into the cache of verified tokens; outcome is hit or miss"),
    metric(
        ASKED,
        MetricKind::Counter,
        &["issuer", "outcome"],
        "Opaque tokens; outcome is active, inactive, unavailable or refused",
    ),
];

/// Every event, by its stable name.
pub const EVENTS: &[(&str, &str)] = &[
    ("token.refused", "a request was refused; fields kind, check, detail"),
    ("token.explained", "why a token was refused, on development servers; fields kind, check, detail, cause"),
    ("token.keys.fetched", "a key set came; fields issuer, outcome, keys, skipped"),
    ("token.keys.fetch_failed", "a key set did not come; fields issuer, outcome, error, usable, pause_ms"),
    ("token.keys.slow", "a fetch takes longer than requests wait; field issuer"),
    ("token.keys.skipped", "a published key cannot be used; fields issuer, reason"),
    ("token.keys.missing", "a token needs a key that is not held; fields issuer, outcome, key_hash"),
    ("token.opaque.failed", "an endpoint that knows tokens did not answer"),
    ("token.opaque.not_bearer", "an endpoint says that a token is no bearer token"),
    ("token.opaque.store_failed", "a store of answers did not answer"),
    ("token.deny_list.unreachable", "the deny-list is out of reach"),
    ("token.http.no_roots", "the system has no certificate authorities"),
    ("token.resolver.failed", "an issuer could not be looked up; field error"),
    ("token.resolver.timeout", "an issuer was not looked up in time"),
    ("token.resolver.mismatch", "a resolver answered with another issuer than it was asked for"),
    ("token.resolver.unusable", "a resolver answered with an issuer that cannot be trusted; field error"),
    ("token.policy.reloaded", "a changed policy file is in force; fields changes, keys_at_hand"),
    ("token.policy.kept", "a policy file is bad, the old policy stays in force; field error"),
];

const VERIFICATIONS: &str = "token_verifications_total";
const SECONDS: &str = "token_verification_seconds";
const FETCHES: &str = "token_key_fetches_total";
const UNKNOWN_KEYS: &str = "token_unknown_keys_total";
const FETCHED_AT: &str = "token_key_set_fetched_at_seconds";
const KEYS: &str = "token_keys";
const CACHE: &str = "token_cache_total";
const ASKED: &str = "token_opaque_total";

/// Tells the recorder what each metric means. Call it once, after a recorder is installed.
#[cfg(feature = "metrics")]
pub fn describe() {
    for metric in METRICS {
        match metric.kind {
            MetricKind::Counter => metrics::describe_counter!(metric.name, metric.help),
            MetricKind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            MetricKind::Histogram => metrics::describe_histogram!(metric.name, metrics::Unit::Seconds, metric.help),
        }
    }
}

/// Asks for a verdict and counts it.
#[cfg(feature = "metrics")]
pub(crate) fn judged(ask: impl FnOnce() -> MaybeReady<Verified>) -> MaybeReady<Verified> {
    let start = Instant::now();
    match ask().now() {
        Ok(verdict) => {
            count(&verdict, start);
            MaybeReady::ready(verdict)
        }
        Err(waiting) => MaybeReady::waiting(async move {
            let verdict = waiting.await;
            count(&verdict, start);
            verdict
        }),
    }
}

#[cfg(feature = "metrics")]
fn count(verdict: &Result<Verified, Error>, start: Instant) {
    let (outcome, issuer) = match verdict {
        Ok(verified) => ("accepted", verified.shared_facts().issuer.identifier.to_string()),
        Err(error) => (error.kind().name(), String::new()),
    };
    metrics::counter!(VERIFICATIONS, "outcome" => outcome, "issuer" => issuer).increment(1);
    metrics::histogram!(SECONDS, "outcome" => outcome).record(start.elapsed());
}

#[cfg(not(feature = "metrics"))]
#[inline]
pub(crate) fn judged(ask: impl FnOnce() -> MaybeReady<Verified>) -> MaybeReady<Verified> {
    ask()
}

macro_rules! counted {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*) $body:block)*) => {$(
        $(#[$doc])*
        #[inline]
        #[cfg_attr(not(feature = "metrics"), expect(unused_variables, reason = "nobody counts"))]
        pub(crate) fn $name($($argument: $type),*) {
            #[cfg(feature = "metrics")]
            $body
        }
    )*};
}

counted! {
    /// A fetch of a key set has ended.
    fetched(issuer: &str, outcome: &'static str) {
        metrics::counter!(FETCHES, "issuer" => issuer.to_owned(), "outcome" => outcome).increment(1);
    }

    /// A key set is in force.
    keys_in_force(issuer: &str, keys: usize, now: crate::Timestamp) {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let (keys, at) = (keys as f64, now.as_secs() as f64);
        metrics::gauge!(KEYS, "issuer" => issuer.to_owned()).set(keys);
        metrics::gauge!(FETCHED_AT, "issuer" => issuer.to_owned()).set(at);
    }

    /// A token needs a key that is not held.
    unknown_key(issuer: &str, outcome: &'static str) {
        metrics::counter!(UNKNOWN_KEYS, "issuer" => issuer.to_owned(), "outcome" => outcome).increment(1);
    }

    /// A look into the cache of verified tokens.
    cache(hit: bool) {
        metrics::counter!(CACHE, "outcome" => if hit { "hit" } else { "miss" }).increment(1);
    }

    /// An opaque token has been judged.
    asked(issuer: &str, outcome: &'static str) {
        metrics::counter!(ASKED, "issuer" => issuer.to_owned(), "outcome" => outcome).increment(1);
    }
}

#[cfg(test)]
mod tests;
