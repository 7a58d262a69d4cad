//! The drill of `token-test`: our gate keeps what it promises through a day of trouble, and services that do not are found out to the second.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, Response};
use token_core::http::{HttpClient, Limits};
use token_core::keys::JwksSettings;
use token_core::{Issuer, ResourceServer};
use token_test::drill::{Answer, Drill, Probe, Report, drill};
use token_test::{RuntimeClock, TestIssuer};
use token_tests::evidence::note;

async fn issuer(clock: RuntimeClock) -> TestIssuer {
    TestIssuer::builder().clock(clock).start().await
}

fn router(issuer: &TestIssuer, clock: RuntimeClock, settings: JwksSettings) -> Router {
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let trusted = trusted.http_client(Arc::new(issuer.in_memory())).jwks_settings(settings);
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).clock(clock).build().unwrap();
    let users = get(async || "everybody").layer(axum_token::require("read:users"));
    Router::new().route("/users", users).layer(axum_token::TokenLayer::new(api))
}

/// Everything that a drill knows, in five and a half minutes.
fn everything(issuer: &TestIssuer) -> Drill<'_> {
    drill(issuer)
        .route("GET /users")
        .granted("read:users")
        .promises(|promises| promises.withdrawn_within = Duration::from_secs(1))
        .at(10)
        .rotate()
        .at(35)
        .withdraw()
        .at(70)
        .down(60)
        .at(100)
        .rotate()
        .at(230)
        .slow(Duration::from_secs(3), 30)
        .at(240)
        .rotate()
        .at(270)
        .flood(20, 20)
        .at(300)
        .clock_off(20, 8)
        .at(315)
        .clock_off(60, 8)
        .at(330)
        .end()
}

/// Where the guide has a plot, it is the one that the drill draws now. `cargo xtask drill` draws them anew.
fn in_the_guide(name: &str, svg: &str) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide/src/drill").join(name);
    if std::env::var_os("TOKEN_DRAW").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, svg).unwrap();
    }
    let drawn = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(drawn == svg, "{name} in the guide is not what the drill draws: `cargo xtask drill` draws it anew");
}

fn noted(name: &str, report: &Report) {
    let findings = report.findings();
    let first = findings.first().map_or_else(|| "none".to_owned(), ToString::to_string);
    let (seconds, answers) = (report.end().to_string(), report.samples().len().to_string());
    note("drills", name, &[name, &seconds, &answers, &findings.len().to_string(), &first]);
}

#[tokio::test(start_paused = true)]
async fn a_gate_keeps_its_promises_through_minutes_of_trouble() {
    let clock = RuntimeClock::default();
    let issuer = issuer(clock).await;
    let report = everything(&issuer).run(router(&issuer, clock, JwksSettings::default())).await;
    noted("axum-token, everything", &report);
    report.assert_kept();
    assert_eq!(report.end(), 330);
    let of = |probe, answer| report.samples().iter().filter(|one| one.probe == probe && one.answer == answer).count();
    assert_eq!(of(Probe::Forged, Answer::LetIn) + of(Probe::Flood, Answer::LetIn), 0);
    assert_eq!(of(Probe::Flood, Answer::Refused), 400);
    assert!(of(Probe::Fresh, Answer::Unavailable) >= 30, "a key that came amid the outage");
    assert_eq!(of(Probe::Seen, Answer::LetIn), 331, "a key that is held serves throughout");
    // Whoever waits for nothing takes no time, and whoever waits for a slow issuer as much as it takes.
    let slowest = report.samples().iter().filter(|one| one.probe == Probe::Seen).map(|one| one.took).max();
    assert_eq!(slowest, Some(Duration::ZERO));
    let new_key = report.samples().iter().find(|one| one.probe == Probe::Fresh && one.at.as_secs() == 240).unwrap();
    assert_eq!((new_key.answer, new_key.took.as_secs()), (Answer::LetIn, 3));
    in_the_guide("kept.svg", &report.to_svg("An API behind TokenLayer, with the defaults"));
}

#[tokio::test(start_paused = true)]
async fn keys_serve_through_an_outage_of_hours_for_as_long_as_agreed_and_no_longer() {
    let clock = RuntimeClock::default();
    let issuer = issuer(clock).await;
    let hours = drill(&issuer).route("/users").granted("read:users").every(20).at(1800).down(7200).at(10_800).end();
    let report = hours.run(router(&issuer, clock, JwksSettings::default())).await;
    noted("axum-token, an outage of two hours", &report);
    report.assert_kept();
    let seen = |answer| report.samples().iter().filter(move |one| one.probe == Probe::Seen && one.answer == answer);
    let last = seen(Answer::LetIn).rfind(|one| one.at.as_secs() < 9000).unwrap().at.as_secs();
    assert!((5400..=6000).contains(&last), "they end between an hour, and an hour and the fresh time: {last}");
    assert!(seen(Answer::Unavailable).count() > 100);
    assert_eq!(seen(Answer::Refused).count(), 0, "never the caller's fault");
}

#[tokio::test(start_paused = true)]
async fn a_gate_told_to_drop_its_keys_at_once_is_found_out_to_the_second() {
    let clock = RuntimeClock::default();
    let issuer = issuer(clock).await;
    let mut hasty = JwksSettings::default();
    (hasty.fresh_for, hasty.min_fresh) = (Duration::from_secs(60), Duration::from_secs(60));
    hasty.stale_if_error = Duration::ZERO;
    let script = drill(&issuer).route("/users").granted("read:users").at(90).down(120).at(240).end();
    let report = script.run(router(&issuer, clock, hasty)).await;
    let findings = report.findings();
    noted("axum-token, told to drop its keys in an outage", &report);
    for probe in ["fresh token", "token seen before"] {
        let first = findings.iter().find(|one| one.what.starts_with(probe)).unwrap();
        assert!((90..=150).contains(&first.from), "within the fresh time of the begin of the outage: {first}");
        let said = first.to_string();
        assert!(said.contains("unavailable (503); expected: let in within 1000 ms"), "{said}");
        assert!(said.contains("keys that are held go on serving for 3600 s of an outage"), "{said}");
    }
    let panic = std::panic::catch_unwind(|| report.assert_kept()).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("FAIL  seconds"));
}

/// A service as people write it: keys for thirty seconds, fetched by whoever comes first, and no key is 401.
#[derive(Clone)]
struct ByHand {
    issuer: Arc<TestIssuer>,
    keys: Arc<Mutex<Option<Held>>>,
}

/// Names of keys, and since when they are held.
type Held = (tokio::time::Instant, Vec<String>);

impl ByHand {
    async fn answer(self, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        let status = if self.lets_in(&request).await { 200 } else { 401 };
        Response::builder().status(status).body(Bytes::new()).map_err(|error| error.to_string())
    }

    async fn lets_in(&self, request: &Request<Bytes>) -> bool {
        let token = request.headers()["authorization"].to_str().unwrap().trim_start_matches("Bearer ").to_owned();
        let held = self.keys.lock().unwrap().clone();
        let keys = match held {
            Some((since, keys)) if since.elapsed() < Duration::from_secs(30) => keys,
            _ => self.fetch().await,
        };
        // Which key it is decides; that is enough for a forger's to be let in, and for what is tried here.
        let header = token.split('.').next().unwrap_or_default();
        let header = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, header).unwrap_or_default();
        let header: serde_json::Value = serde_json::from_slice(&header).unwrap_or_default();
        keys.iter().any(|kid| header["kid"] == **kid)
    }

    async fn fetch(&self) -> Vec<String> {
        let request = Request::get(self.issuer.jwks_uri()).body(Bytes::new()).unwrap();
        let answer = self.issuer.in_memory().send(request, Limits::default()).await;
        let set: serde_json::Value =
            answer.ok().and_then(|answer| serde_json::from_slice(answer.body()).ok()).unwrap_or_default();
        let kids = set["keys"].as_array().into_iter().flatten().filter_map(|key| key["kid"].as_str());
        let keys: Vec<_> = kids.map(str::to_owned).collect();
        *self.keys.lock().unwrap() = (!keys.is_empty()).then(|| (tokio::time::Instant::now(), keys.clone()));
        keys
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_written_by_hand_breaks_every_promise_and_each_is_named() {
    let issuer = Arc::new(issuer(RuntimeClock::default()).await);
    let by_hand = ByHand { issuer: Arc::clone(&issuer), keys: Arc::default() };
    let report = everything(&issuer).run_against(move |request| by_hand.clone().answer(request)).await;
    noted("a service written by hand", &report);
    let findings: Vec<_> = report.findings().iter().map(ToString::to_string).collect();
    for expected in [
        "forged token: let in (200); expected: refused",
        "fresh token: refused (401); expected: let in within 6000 ms, because the first token of a new key is let in at once",
        "withdrawn key: let in (200); expected: refused",
        "token seen before: refused (401); expected: let in within 1000 ms, because keys that are held go on serving for 3600 s of an outage",
        "fresh token: refused (401); expected: unavailable within 6000 ms, because keys are out of reach, which is not the caller's fault",
        "fresh token: let in (200); expected: refused within 1000 ms, because the issuer's clock is off by 60 s",
    ] {
        assert!(findings.iter().any(|finding| finding.contains(expected)), "{expected}: {findings:#?}");
    }
    let in_the_outage = |one: &token_test::drill::Finding| {
        one.what.starts_with("token seen before") && one.what.contains("of an outage")
    };
    let first = report.findings().into_iter().find(in_the_outage).unwrap();
    assert_eq!((first.from, first.to), (90, 129), "its keys end twenty seconds into the outage: {first}");
    in_the_guide("broken.svg", &report.to_svg("A service written by hand"));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_over_is_a_part_of_the_script() {
    let clock = RuntimeClock::default();
    let issuer = issuer(clock).await;
    let (router, is_down) = (router(&issuer, clock, JwksSettings::default()), Arc::new(Mutex::new(false)));
    let store = Arc::clone(&is_down);
    let api = move |request: Request<Bytes>| {
        let (mut router, down) = (router.clone(), *store.lock().unwrap());
        async move {
            if down {
                return Response::builder().status(503).body(Bytes::new()).map_err(|error| error.to_string());
            }
            let answer = tower::Service::call(&mut router, request.map(axum::body::Body::from)).await.unwrap();
            Ok(answer.map(|_| Bytes::new()))
        }
    };
    let set = |down: bool| {
        let is_down = Arc::clone(&is_down);
        move || async move { *is_down.lock().unwrap() = down }
    };
    let script = |promised: &[Answer]| {
        drill(&issuer)
            .route("/users")
            .granted("read:users")
            .at(5)
            .happens("the store fails over", 10, promised, set(true))
            .at(15)
            .happens("it is back", 0, &[Answer::LetIn], set(false))
            .at(120)
            .end()
    };
    let report = script(&[Answer::Unavailable]).run_against(api.clone()).await;
    report.assert_kept();
    let report = script(&[Answer::LetIn]).run_against(api).await;
    let findings = report.findings();
    assert!(
        findings.iter().all(|one| (one.from, one.to) == (5, 14) && one.what.contains("the store fails over")),
        "{findings:?}"
    );
    assert!(!findings.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_an_api_of_this_issuer_is_said_before_anything_happens() {
    let issuer = issuer(RuntimeClock::default()).await;
    let wall = |_: Request<Bytes>| async {
        Response::builder().status(401).body(Bytes::new()).map_err(|error| error.to_string())
    };
    let report = drill(&issuer).at(5).rotate().run_against(wall).await;
    let findings: Vec<_> = report.findings().iter().map(ToString::to_string).collect();
    assert_eq!(findings, ["second 0: before the drill: a good token is not let in: it answers 401"]);
    assert!(report.samples().is_empty());
    assert!(report.to_junit().contains("failures=\"1\""));
}
