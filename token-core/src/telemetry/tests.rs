use super::*;

fn repository(path: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

#[test]
fn the_dashboard_asks_for_metrics_that_exist_by_labels_that_they_have() {
    let text = std::fs::read_to_string(repository("examples/grafana/token.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut asked_for = std::collections::BTreeSet::new();
    for target in panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap()) {
        let query = target["expr"].as_str().unwrap();
        let words: Vec<_> = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect();
        let found: Vec<_> = METRICS
            .iter()
            .filter(|metric| words.iter().any(|word| word.strip_suffix("_bucket").unwrap_or(word) == metric.name))
            .collect();
        assert!(!found.is_empty(), "no metric in {query}");
        let unknown = words.iter().find(|word| {
            word.starts_with("token_")
                && !METRICS.iter().any(|m| word.strip_suffix("_bucket").unwrap_or(word) == m.name)
        });
        assert_eq!(unknown, None, "{query}");
        for grouping in query.split("by (").skip(1).filter_map(|rest| rest.split(')').next()) {
            for label in grouping.split(',').map(str::trim).filter(|label| *label != "le") {
                assert!(found.iter().any(|metric| metric.labels.contains(&label)), "{label} in {query}");
            }
        }
        asked_for.extend(found.iter().map(|metric| metric.name));
    }
    let all: std::collections::BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(asked_for, all, "every metric is on the dashboard");
}

#[test]
fn every_event_in_the_code_is_in_the_list() {
    fn walk(folder: &std::path::Path, names: &mut std::collections::BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, names);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let events = text.split("name: \"token.").skip(1).filter_map(|rest| rest.split('"').next());
                names.extend(events.map(|name| format!("token.{name}")));
            }
        }
    }
    let mut names = std::collections::BTreeSet::new();
    walk(&repository("token-core/src"), &mut names);
    let listed: std::collections::BTreeSet<_> = EVENTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names, listed);
}

#[cfg(feature = "metrics")]
mod counted {
    use std::sync::{Arc, Mutex};

    use metrics::{
        Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString,
        Unit,
    };

    use crate::*;

    /// Remembers what was recorded, by name and labels.
    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<String>>>);

    struct One(Memory, Key);

    impl One {
        fn note(&self) {
            let labels: Vec<_> = self.1.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            self.0.0.lock().unwrap().push(format!("{}{{{}}}", self.1.name(), labels.join(",")));
        }
    }
    impl CounterFn for One {
        fn increment(&self, _: u64) {
            self.note();
        }
        fn absolute(&self, _: u64) {}
    }
    impl GaugeFn for One {
        fn increment(&self, _: f64) {}
        fn decrement(&self, _: f64) {}
        fn set(&self, _: f64) {
            self.note();
        }
    }
    impl HistogramFn for One {
        fn record(&self, _: f64) {
            self.note();
        }
    }
    impl Recorder for Memory {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(Arc::new(One(self.clone(), key.clone())))
        }
        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(Arc::new(One(self.clone(), key.clone())))
        }
        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::from_arc(Arc::new(One(self.clone(), key.clone())))
        }
    }

    #[test]
    fn verdicts_are_counted_by_kind_and_nothing_of_a_token_is_a_label() {
        let secret = b"a secret of more than thirty-two bytes";
        let keys = StaticKeys::secret(Algorithm::HS256, secret).unwrap();
        let api = ResourceServer::builder("api")
            .trust(Issuer::with_keys("https://a.example", keys).unwrap())
            .build()
            .unwrap();
        let key = signing::SigningKey::from_secret(Algorithm::HS256, None, secret).unwrap();
        let sign = |issuer: &str| {
            let claims = format!(r#"{{"iss":"{issuer}","aud":"api","exp":4000000000,"sub":"canary"}}"#);
            key.sign_jwt(r#"{"alg":"HS256","kid":"canary"}"#, &claims).unwrap()
        };
        let memory = Memory::default();
        metrics::with_local_recorder(&memory, || {
            for token in
                [sign("https://a.example"), sign("https://a.example"), sign("https://canary.example"), "canary".into()]
            {
                let _ = api.authenticate(Presented::token(&token)).now();
            }
        });
        let seen = memory.0.lock().unwrap().clone();
        let count = |line: &str| seen.iter().filter(|seen| *seen == line).count();
        assert_eq!(count("token_verifications_total{outcome=accepted,issuer=https://a.example}"), 2, "{seen:?}");
        assert_eq!(count("token_verifications_total{outcome=unknown_issuer,issuer=}"), 1);
        assert_eq!(count("token_verifications_total{outcome=malformed,issuer=}"), 1);
        assert_eq!(count("token_verification_seconds{outcome=accepted}"), 2);
        assert_eq!((count("token_cache_total{outcome=hit}"), count("token_cache_total{outcome=miss}")), (1, 3));
        assert!(seen.iter().all(|line| !line.contains("canary")), "{seen:?}");
    }
}
