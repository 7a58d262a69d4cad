//! Who asked for a token and how it ended in; a span, an event and counts out, with the names listed in
//! `token_core::telemetry`.

use std::time::Instant;

use tracing::field::Empty;
use tracing::{Span, info_span};

use crate::error::TokenError;
use crate::token::Token;

/// Who asks, and how. Neither contains user data, so both may be used as labels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asks<'a> {
    pub(crate) client: &'a str,
    pub(crate) grant: &'static str,
}

impl Asks<'_> {
    /// The span of one request to a token endpoint.
    pub(crate) fn span(self) -> Span {
        info_span!("token.client.request", client = self.client, grant = self.grant, outcome = Empty)
    }

    /// Logs that a source could not get or renew its token.
    pub(crate) fn failed(self, error: &TokenError) {
        let (kind, detail) = (error.kind().name(), error.detail());
        tracing::warn!(name: "token.client.failed", client = self.client, grant = self.grant, kind, detail, "no token could be obtained");
    }

    /// Counts the result of getting or renewing a token.
    #[cfg_attr(not(feature = "metrics"), expect(unused_variables, clippy::unused_self, reason = "nobody counts"))]
    pub(crate) fn ended(self, result: &Result<Token, TokenError>, start: Instant) {
        #[cfg(feature = "metrics")]
        {
            use token_core::telemetry::{RENEWAL_SECONDS, RENEWALS};
            let outcome = outcome(result);
            let client = self.client.to_owned();
            metrics::counter!(RENEWALS, "client" => client, "grant" => self.grant, "outcome" => outcome).increment(1);
            metrics::histogram!(RENEWAL_SECONDS, "outcome" => outcome).record(start.elapsed());
        }
    }
}

/// Logs that a token was obtained in the future, according to the clock.
pub(crate) fn set_back() {
    #[cfg(feature = "metrics")]
    metrics::counter!(token_core::telemetry::SET_BACK, "what" => "renewals").increment(1);
}

/// `ok`, or the kind of the error.
pub(crate) fn outcome<T>(result: &Result<T, TokenError>) -> &'static str {
    result.as_ref().map_or_else(|error| error.kind().name(), |_| "ok")
}

#[cfg(test)]
#[cfg(feature = "metrics")]
mod tests {
    use std::sync::{Arc, Mutex};

    use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
    use token_core::telemetry::METRICS;
    use token_test::TestIssuer;

    use crate::{TokenClient, TokenRequest, TokenSource};

    /// Remembers what was asked for, by name and labels.
    #[derive(Default)]
    struct Memory(Mutex<Vec<Key>>);

    impl Memory {
        fn note(&self, key: &Key) {
            self.0.lock().unwrap().push(key.clone());
        }
    }

    impl Recorder for Memory {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            self.note(key);
            Counter::noop()
        }
        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            self.note(key);
            Gauge::noop()
        }
        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            self.note(key);
            Histogram::noop()
        }
    }

    async fn renew_twice_and_fail_once() {
        let issuer = TestIssuer::start().await;
        let client = |secret: &str| {
            let http = token_core::http::ReqwestClient::builder().allow_loopback_http().build().unwrap();
            let builder = TokenClient::builder(issuer.token_endpoint(), "test-client").secret(secret.to_owned());
            builder.http(http).build().unwrap()
        };
        let good = client("test-secret");
        for scope in ["canary-1", "canary-2"] {
            let source = good.source(TokenRequest::client_credentials().scope(scope));
            source.token().await.unwrap();
            source.token().await.unwrap();
        }
        client("canary").source(TokenRequest::client_credentials()).token().await.unwrap_err();
    }

    #[test]
    fn what_is_got_and_renewed_is_counted_by_client_grant_and_outcome() {
        let memory = Arc::new(Memory::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        metrics::with_local_recorder(&*memory, || runtime.block_on(renew_twice_and_fail_once()));
        let seen = memory.0.lock().unwrap();
        let lines: Vec<_> = seen
            .iter()
            .map(|key| {
                let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
                format!("{}{{{}}}", key.name(), labels.join(","))
            })
            .collect();
        let count = |line: &str| lines.iter().filter(|seen| *seen == line).count();
        let renewals = "token_renewals_total{client=test-client,grant=client_credentials,outcome=";
        assert_eq!(count(&format!("{renewals}ok}}")), 2, "{lines:?}");
        assert_eq!(count(&format!("{renewals}invalid_client}}")), 1, "{lines:?}");
        assert_eq!(count("token_renewal_seconds{outcome=ok}"), 2, "{lines:?}");
        for key in seen.iter() {
            let metric = METRICS.iter().find(|metric| metric.name == key.name()).expect("a metric of the list");
            assert!(key.labels().all(|label| metric.labels.contains(&label.key())), "{key}");
        }
        assert!(lines.iter().all(|line| !line.contains("canary")), "{lines:?}");
    }
}
