//! What this toolkit tells operators: the one list of metrics, spans and events, and the gate's only caller of the `metrics` facade.
//!
//! Names, labels and fields are stable: a release that changes one says so in its changelog. Labels come from closed lists (kinds of
//! error, outcomes, grants) or from the operator (issuers as they stand in the registry, the client's own identifier). Nothing that a
//! caller sends is ever a label, or a field of a span.
//!
//! Metrics are sent with the feature `metrics` of `token-core` and of `token-client`; spans and events through `tracing` always.
//! A request whose token is remembered opens no span. Where nobody listens a span costs one look at a global level.

#[cfg(feature = "metrics")]
use std::sync::Arc;

use tracing::field::Empty;
use tracing::{Span, info_span};

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
        "Requests judged; outcome is accepted or a kind of error; issuer is empty where the token names none of the registry",
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
        "Fetches of key sets; outcome is changed or unchanged (both are good), suppressed (not begun: the bucket was empty) or a reason of failure",
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
    metric(
        SET_BACK,
        MetricKind::Counter,
        &["what"],
        "Things remembered that were found later than the clock says it is, and so are worth nothing: it was set back; what is tokens, answers, keys, lookups or renewals",
    ),
    metric(
        SCOPE_REFUSALS,
        MetricKind::Counter,
        &["issuer"],
        "Good tokens that lacked a scope or role that a route asks for; not among the verifications' refusals",
    ),
    metric(
        CERTIFICATES_REMOVED,
        MetricKind::Counter,
        &[],
        "Client certificates that came in a header field from an address that is no named proxy, and were taken out",
    ),
    metric(
        RENEWALS,
        MetricKind::Counter,
        &["client", "grant", "outcome"],
        "Tokens that sources of token-client got or renewed; outcome is ok or a kind of TokenError",
    ),
    metric(RENEWAL_SECONDS, MetricKind::Histogram, &["outcome"], "Seconds that getting or renewing a token took"),
];

/// The fields of an application's own span that say who the caller is, where a layer is told to
/// [record it](crate::adapter::Admission::record_caller): `sub`, the client (`client_id` or `azp`), the issuer. Declare them with
/// `tracing::field::Empty`; those that are not declared are left out.
pub const CALLER_FIELDS: [&str; 3] = ["token.subject", "token.client_id", "token.issuer"];

/// Every span, by its stable name. A field that is not known at the start is recorded at the end.
pub const SPANS: &[(&str, &str)] = &[
    ("token.verify", "level debug: a token that is not remembered is verified; fields outcome, issuer"),
    ("token.keys.fetch", "level info: a key set is fetched, in a task that no request owns; fields issuer, outcome"),
    ("token.discovery", "level info: the metadata of an issuer are read; fields issuer, outcome"),
    ("token.opaque.ask", "level info: an endpoint is asked about a token; fields issuer, outcome"),
    (
        "token.resolver.look_up",
        "level info: an issuer that is not in the registry, or a tenant that is not known, is looked up; field outcome",
    ),
    ("token.client.request", "level info: a request to a token endpoint; fields client, grant, outcome"),
];

/// Every event, by its stable name.
pub const EVENTS: &[(&str, &str)] = &[
    ("token.refused", "a request was refused; fields kind, check, issuer, detail"),
    ("token.explained", "why a token was refused, on development servers; fields kind, check, issuer, detail, cause"),
    ("token.keys.fetched", "a key set came; fields issuer, outcome, keys, skipped"),
    ("token.keys.fetch_failed", "a key set did not come; fields issuer, outcome, error, usable, pause_ms"),
    ("token.api_keys.unreachable", "the store of API keys does not answer; field error"),
    ("token.metadata.unsigned", "the metadata of the resource go out without their signature; field error"),
    (
        "token.runtime.missing",
        "something is not done, or answered with 500, for want of a tokio runtime with timers and io; said once a process by the gate; field undone",
    ),
    ("token.keys.stalled", "the runtime that was fetching keys stands still, another one fetches them; field issuer"),
    ("token.keys.slow", "a fetch takes longer than requests wait; field issuer"),
    ("token.keys.skipped", "a published key cannot be used; fields issuer, reason"),
    ("token.keys.missing", "a token needs a key that is not held; fields issuer, outcome, key_hash"),
    ("token.metadata.unsigned", "a metadata document went out without its signature; field error"),
    ("token.opaque.failed", "an endpoint that knows tokens did not answer"),
    ("token.opaque.not_bearer", "an endpoint says that a token is no bearer token"),
    ("token.review.no_audience", "an API server reviewed a token for no audience that was asked for"),
    ("token.opaque.store_failed", "a store of answers did not answer"),
    (
        "token.status_list.failed",
        "a status list that a token points to could not be had; fields issuer, outcome, error",
    ),
    ("token.deny_list.full", "an entry of a followed deny-list has no room: the list counts as out of reach"),
    ("token.deny_list.gap", "the log of a followed deny-list has a gap: the list is read anew"),
    ("token.deny_list.lost", "the log of a followed deny-list cannot be followed; it is tried again"),
    ("token.deny_list.unreachable", "the deny-list is out of reach"),
    ("token.replays.unreachable", "the memory of proofs of possession is out of reach"),
    ("token.replays.full", "there is no room to remember one more proof of possession; field error"),
    ("token.deny_list.unreadable", "what stands in a followed deny-list or its log is no entry of ours"),
    ("token.event.untouched", "a security event is about nobody known here, or of no known kind"),
    ("token.evict.incomplete", "what another instance evicted could not be dropped everywhere"),
    ("token.http.no_roots", "the system has no certificate authorities"),
    ("token.resolver.failed", "an issuer or tenant could not be looked up; field error"),
    ("token.resolver.timeout", "an issuer or tenant was not looked up in time"),
    ("token.resolver.mismatch", "a resolver answered with another issuer than it was asked for"),
    (
        "token.resolver.unusable",
        "a resolver answered with an issuer that cannot be trusted, or with none for a tenant; field error",
    ),
    ("token.policy.reloaded", "a changed policy file is in force; fields changes, keys_at_hand"),
    ("token.policy.kept", "a policy file is bad, the old policy stays in force; field error"),
    ("token.client.poll_failed", "security events could not be fetched; it is tried again"),
    ("token.client.failed", "a source could not get or renew its token; fields client, grant, kind, detail"),
    ("token.client.claim_kept", "the claim on a refresh token could not be given back; field detail"),
];

pub(crate) const VERIFICATIONS: &str = "token_verifications_total";
pub(crate) const SECONDS: &str = "token_verification_seconds";
const FETCHES: &str = "token_key_fetches_total";
const UNKNOWN_KEYS: &str = "token_unknown_keys_total";
const FETCHED_AT: &str = "token_key_set_fetched_at_seconds";
const KEYS: &str = "token_keys";
const CACHE: &str = "token_cache_total";
const ASKED: &str = "token_opaque_total";
/// Counted by `token-client`, too.
#[doc(hidden)]
pub const SET_BACK: &str = "token_clock_set_back_total";
const SCOPE_REFUSALS: &str = "token_scope_refusals_total";
const CERTIFICATES_REMOVED: &str = "token_certificates_removed_total";
/// What `token-client` counts.
#[doc(hidden)]
pub const RENEWALS: &str = "token_renewals_total";
#[doc(hidden)]
pub const RENEWAL_SECONDS: &str = "token_renewal_seconds";

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

/// A fetch of a key set. It belongs to no request: whoever started it may be gone before it ends.
pub(crate) fn fetch_span(issuer: &str) -> Span {
    info_span!(parent: None, "token.keys.fetch", issuer, outcome = Empty)
}

/// A look at an issuer's metadata.
pub(crate) fn discovery_span(issuer: &str) -> Span {
    info_span!("token.discovery", issuer, outcome = Empty)
}

/// A question to an endpoint that knows tokens. It belongs to no request: many may wait for its answer.
pub(crate) fn question_span(issuer: &str) -> Span {
    info_span!(parent: None, "token.opaque.ask", issuer, outcome = Empty)
}

/// A look-up of an issuer. Its name is a stranger's text, and no field.
pub(crate) fn lookup_span() -> Span {
    info_span!(parent: None, "token.resolver.look_up", outcome = Empty)
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
    keys_in_force(issuer: &str, keys: usize, now: crate::base::time::Timestamp) {
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

    /// Something remembered was found later than the clock says it is.
    set_back(what: &'static str) {
        metrics::counter!(SET_BACK, "what" => what).increment(1);
    }

    /// A good token lacks a scope or a role.
    scope_refused(issuer: &std::sync::Arc<str>) {
        metrics::counter!(SCOPE_REFUSALS, "issuer" => Arc::clone(issuer)).increment(1);
    }

    /// A client certificate came from who may not pass one on.
    certificate_removed(count: u64) {
        metrics::counter!(CERTIFICATES_REMOVED).increment(count);
    }

    /// An opaque token has been judged.
    asked(issuer: &str, outcome: &'static str) {
        metrics::counter!(ASKED, "issuer" => issuer.to_owned(), "outcome" => outcome).increment(1);
    }
}

#[cfg(test)]
pub(crate) mod listener;
#[cfg(test)]
mod tests;
