//! What is counted and said of a verdict: a span for each, a count by kind.

#[cfg(feature = "metrics")]
use std::time::Instant;

use tracing::field::Empty;
use tracing::{Instrument, Span, debug_span};

use crate::answer::error::Error;
use crate::answer::maybe_ready::MaybeReady;
#[cfg(feature = "metrics")]
use crate::base::telemetry::{SECONDS, VERIFICATIONS};
use crate::verify::verified::Verified;

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
        Ok(verified) => ("accepted", Some(&verified.shared_facts().issuer.identifier)),
        Err(error) => (error.kind().name(), error.shared_issuer()),
    };
    // A clone of an `Arc`: no text is copied on the hot path.
    let issuer = issuer.map_or(metrics::SharedString::const_str(""), |issuer| std::sync::Arc::clone(issuer).into());
    metrics::counter!(VERIFICATIONS, "outcome" => outcome, "issuer" => issuer).increment(1);
    metrics::histogram!(SECONDS, "outcome" => outcome).record(start.elapsed());
}

#[cfg(not(feature = "metrics"))]
#[inline]
pub(crate) fn judged(ask: impl FnOnce() -> MaybeReady<Verified>) -> MaybeReady<Verified> {
    ask()
}

/// Verifies a token that is not remembered, in a span of its own if anybody listens.
#[inline]
pub(crate) fn verification(verify: impl FnOnce() -> MaybeReady<Verified>) -> MaybeReady<Verified> {
    let span = debug_span!("token.verify", outcome = Empty, issuer = Empty);
    if span.is_disabled() { verify() } else { within(span, verify) }
}

#[cold]
fn within(span: Span, verify: impl FnOnce() -> MaybeReady<Verified>) -> MaybeReady<Verified> {
    let record = |span: &Span, verdict: &Result<Verified, Error>| {
        let (outcome, issuer) = match verdict {
            Ok(verified) => ("accepted", Some(&*verified.shared_facts().issuer.identifier)),
            Err(error) => (error.kind().name(), error.issuer()),
        };
        span.record("outcome", outcome);
        if let Some(issuer) = issuer {
            span.record("issuer", issuer);
        }
    };
    match span.in_scope(verify).now() {
        Ok(verdict) => {
            record(&span, &verdict);
            MaybeReady::ready(verdict)
        }
        Err(waiting) => MaybeReady::waiting(async move {
            let verdict = waiting.instrument(span.clone()).await;
            record(&span, &verdict);
            verdict
        }),
    }
}
