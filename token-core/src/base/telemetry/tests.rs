use super::listener::Listener;
use super::*;
use crate::answer::maybe_ready::MaybeReady;
use crate::gate::verdicts::verification;

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
        let groups = query.split("by (").skip(1).filter_map(|rest| rest.split(')').next());
        let filters = query.split('{').skip(1).filter_map(|rest| rest.split('}').next());
        let names = groups.chain(filters).flat_map(|list| list.split(',')).map(|word| word.trim());
        for label in names.filter_map(|word| word.split(['!', '=']).next()).filter(|label| *label != "le") {
            assert!(found.iter().any(|metric| metric.labels.contains(&label)), "{label} in {query}");
        }
        asked_for.extend(found.iter().map(|metric| metric.name));
    }
    let all: std::collections::BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(asked_for, all, "every metric is on the dashboard");
}

/// Every name that stands behind `mark` in the sources of the crates that speak to operators.
fn names_after(mark: &str) -> std::collections::BTreeSet<String> {
    fn walk(folder: &std::path::Path, mark: &str, names: &mut std::collections::BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, mark, names);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("telemetry/tests.rs")
            {
                let text = std::fs::read_to_string(&path).unwrap();
                for rest in text.split(mark).skip(1) {
                    let name = rest.split('"').nth(usize::from(!mark.ends_with('"'))).unwrap_or_default();
                    names.insert(name.to_owned());
                }
            }
        }
    }
    let mut names = std::collections::BTreeSet::new();
    for folder in ["token-core", "token-client", "token-redis", "tower-token", "axum-token", "actix-token"] {
        walk(&repository(folder).join("src"), mark, &mut names);
    }
    names
}

#[test]
fn every_event_and_every_span_in_the_code_is_in_its_list() {
    let listed = |list: &[(&str, &str)]| {
        list.iter().map(|(name, _)| (*name).to_owned()).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(names_after("name: \""), listed(EVENTS));
    assert_eq!(names_after("_span!("), listed(SPANS));
}

#[test]
fn no_event_goes_without_a_name() {
    for level in ["trace", "debug", "info", "warn", "error"] {
        let unnamed = names_after(&format!("tracing::{level}!("));
        assert!(unnamed.iter().all(|name| name.starts_with("token.")), "{level}: {unnamed:?}");
    }
}

#[test]
fn a_cold_verification_has_a_span_and_a_remembered_token_none() {
    use crate::gate::server::ResourceServer;
    use crate::jose::Algorithm;
    use crate::request::presented::Presented;
    use crate::trust::issuer::Issuer;
    use crate::trust::static_keys::StaticKeys;
    let secret = b"a secret of more than thirty-two bytes";
    let keys = StaticKeys::secret(Algorithm::HS256, secret).unwrap();
    let issuer = Issuer::with_keys("https://a.example", keys).unwrap();
    let api = ResourceServer::builder("api").trust(issuer).build().unwrap();
    let key = crate::jose::signing::SigningKey::from_secret(Algorithm::HS256, None, secret).unwrap();
    let sign = |issuer: &str, audience: &str| {
        let claims = format!(r#"{{"iss":"{issuer}","aud":"{audience}","exp":4000000000,"sub":"canary"}}"#);
        key.sign_jwt(r#"{"alg":"HS256","kid":"canary"}"#, &claims).unwrap()
    };
    let seen = Listener::at(tracing::Level::DEBUG);
    let _guard = tracing::subscriber::set_default(seen.clone());
    let good = sign("https://a.example", "api");
    for (token, fields) in [
        (good.clone(), vec![" outcome=\"accepted\" issuer=\"https://a.example\""]),
        (good, vec![]),
        (sign("https://a.example", "canary"), vec![" outcome=\"wrong_audience\" issuer=\"https://a.example\""]),
        (sign("https://canary.example", "api"), vec![" outcome=\"unknown_issuer\""]),
        ("canary".to_owned(), vec![" outcome=\"malformed\""]),
    ] {
        let _ = api.authenticate(Presented::token(&token)).now();
        let spans = seen.take_spans();
        assert!(spans.iter().all(|span| span.name == "token.verify"), "{spans:?}");
        assert_eq!(spans.iter().map(|span| span.fields.as_str()).collect::<Vec<_>>(), fields);
    }
}

#[test]
fn who_comes_first_without_a_listener_makes_nobody_deaf() {
    let say = || tracing::info!(name: "token.test", "heard");
    let heard = Listener::all();
    let _here = tracing::subscriber::set_default(heard.clone());
    std::thread::spawn(say).join().unwrap();
    say();
    assert_eq!(heard.events().len(), 1, "the one of this thread");
}

#[test]
fn spans_of_every_request_are_for_those_who_ask_for_debug() {
    let seen = Listener::at(tracing::Level::INFO);
    let _guard = tracing::subscriber::set_default(seen.clone());
    let outcome = verification(|| MaybeReady::ready(Err(crate::Error::new(crate::ErrorKind::Malformed, "x"))));
    assert!(outcome.now().is_ok() && seen.take_spans().is_empty());
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
        let key = crate::jose::signing::SigningKey::from_secret(Algorithm::HS256, None, secret).unwrap();
        let with = |header: &str, issuer: &str, audience: &str, expires: i64| {
            let claims = format!(r#"{{"iss":"{issuer}","aud":"{audience}","exp":{expires},"sub":"canary"}}"#);
            key.sign_jwt(header, &claims).unwrap()
        };
        let header = r#"{"alg":"HS256","kid":"canary"}"#;
        let sign = |issuer: &str| with(header, issuer, "api", 4_000_000_000);
        let (a, late) = ("https://a.example", 4_000_000_000);
        let forged = format!("{}AAAA", &sign(a)[..sign(a).len() - 4]);
        let memory = Memory::default();
        metrics::with_local_recorder(&memory, || {
            for token in [
                sign(a),
                sign(a),
                sign("https://canary.example"),
                "canary".into(),
                with(header, a, "canary", late),
                with(header, a, "api", 1000),
                with(r#"{"alg":"HS256","crit":["canary"]}"#, a, "api", late),
                forged,
            ] {
                if let Ok(Ok(verified)) = api.authenticate(Presented::token(&token)).now() {
                    assert_eq!(verified.require(&Rule::scope("canary")).unwrap_err().issuer(), Some(a));
                }
            }
        });
        let seen = memory.0.lock().unwrap().clone();
        let count = |line: &str| seen.iter().filter(|seen| *seen == line).count();
        assert_eq!(count("token_verifications_total{outcome=accepted,issuer=https://a.example}"), 2, "{seen:?}");
        assert_eq!(count("token_verifications_total{outcome=unknown_issuer,issuer=}"), 1);
        assert_eq!(count("token_verifications_total{outcome=malformed,issuer=}"), 1);
        for kind in ["wrong_audience", "expired", "malformed", "bad_signature"] {
            let line = format!("token_verifications_total{{outcome={kind},issuer=https://a.example}}");
            assert_eq!(count(&line), 1, "{line}: {seen:?}");
        }
        assert_eq!(count("token_scope_refusals_total{issuer=https://a.example}"), 2);
        assert_eq!(count("token_verification_seconds{outcome=accepted}"), 2);
        assert_eq!((count("token_cache_total{outcome=hit}"), count("token_cache_total{outcome=miss}")), (1, 7));
        assert!(seen.iter().all(|line| !line.contains("canary")), "{seen:?}");
    }
}
