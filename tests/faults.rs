//! Broken networks between us and an issuer's keys: one table of (fault, what the design promises), one raw server that misbehaves.

mod server;
pub(crate) mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use token_core::http::ReqwestClient;
use token_core::{ErrorKind, Issuer, Presented, ResourceServer, keys::JwksSettings, opaque::OpaqueTokens};
use token_test::{ManualClock, TestCluster, TestIssuer};
use token_tests::evidence::note;

use server::{Fault, FaultServer};

/// Everything that can go wrong, with whether a set past its fresh time may serve meanwhile: it may wherever the answer says nothing of the
/// keys, and may not where the issuer says that there are none.
const TABLE: &[(&str, Fault, bool)] = &[
    ("connection refused", Fault::Refused, true),
    ("connection reset at once", Fault::ResetAtOnce, true),
    ("connection reset in the body", Fault::ResetInBody, true),
    ("no answer at all", Fault::Silent, true),
    ("header that drips", Fault::SlowHeader, true),
    ("body that drips", Fault::SlowBody, true),
    ("header without end", Fault::EndlessHeader, true),
    ("body without end", Fault::EndlessBody, true),
    ("10 GB announced", Fault::HugeLength, true),
    ("length too long", Fault::LengthTooLong, true),
    ("length too short", Fault::LengthTooShort, true),
    ("broken chunks", Fault::BrokenChunks, true),
    ("truncated gzip", Fault::TruncatedGzip, true),
    ("not HTTP", Fault::NotHttp, true),
    ("500", Fault::Status("500 Internal Server Error"), true),
    ("502", Fault::Status("502 Bad Gateway"), true),
    ("503", Fault::Status("503 Service Unavailable"), true),
    ("504", Fault::Status("504 Gateway Timeout"), true),
    ("429 with Retry-After", Fault::Status("429 Too Many Requests\r\nRetry-After: 7"), true),
    ("404", Fault::Status("404 Not Found"), true),
    ("401", Fault::Status("401 Unauthorized"), true),
    ("408", Fault::Status("408 Request Timeout"), true),
    ("204", Fault::Status("204 No Content"), true),
    ("304", Fault::Status("304 Not Modified"), true),
    ("403", Fault::Status("403 Forbidden"), true),
    ("redirect to another host", Fault::RedirectElsewhere, true),
    ("redirect to file:", Fault::Status("302 Found\r\nLocation: file:///etc/hostname"), true),
    ("redirect to a cloud's metadata", Fault::Status("302 Found\r\nLocation: http://169.254.169.254/"), true),
    ("HTML", Fault::Body("<!doctype html><title>Maintenance</title>"), true),
    ("empty body", Fault::Body(""), true),
    ("JSON that breaks off", Fault::Body(r#"{"keys":[{"kty":"RSA","#), true),
    ("JSON of another kind", Fault::Body(r#"["keys"]"#), true),
    ("no keys", Fault::Body(r#"{"keys":[]}"#), false),
    ("keys for encryption alone", Fault::Body(r#"{"keys":[{"kty":"oct","k":"AAAA"},{"kty":"AKP"}]}"#), true),
    ("a hundred thousand brackets", Fault::Brackets, true),
];

/// What only looks like a fault.
const FINE: &[(&str, Fault)] =
    &[("HTTP/1.0", Fault::Http10), ("chunked answer", Fault::Chunked), ("answer in pieces", Fault::Pieces)];

struct Place {
    issuer: TestIssuer,
    clock: ManualClock,
    server: FaultServer,
    api: ResourceServer,
}

/// How the issuer is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// At the address of its keys.
    Keys,
    /// At another address than its name says, where its metadata names the keys by that name.
    OtherAddress,
}

/// The name of an issuer that is asked somewhere else: nobody is asked at this one.
const NAME: &str = "https://login.example.com/realms/shop";

impl Place {
    async fn with(fault: Fault, way: Way) -> Self {
        let clock = ManualClock::default();
        let issuer = TestIssuer::builder().clock(clock.clone());
        let issuer = if way == Way::OtherAddress { issuer.known_as(NAME) } else { issuer };
        let issuer = issuer.start().await;
        let fetch = async |address: &str| reqwest::get(address).await.unwrap().text().await.unwrap();
        let keys = fetch(&issuer.jwks_uri()).await;
        let document = if way == Way::OtherAddress { "/realms/shop" } else { "" };
        let metadata = fetch(&format!("{}{document}/.well-known/openid-configuration", issuer.address())).await;
        let server = FaultServer::start(keys, metadata, fault).await;
        let mut settings = JwksSettings::default();
        // As long as a request to a server that is well takes on a machine with too much to do; who never answers is given up sooner.
        settings.wait = Duration::from_secs(10);
        let trusted = match way {
            Way::Keys => Issuer::with_jwks_uri(issuer.url(), server.url()).unwrap(),
            Way::OtherAddress => Issuer::discover(NAME).unwrap().reached_at(server.origin()).unwrap(),
        };
        let trusted = trusted.allow_loopback_http().jwks_settings(settings);
        let api = ResourceServer::builder(issuer.audience()).trust(trusted).clock(clock.clone()).build().unwrap();
        Self { issuer, clock, server, api }
    }

    fn token(&self) -> String {
        self.issuer.token().subject("ada").expires_in(Duration::from_secs(6 * 3600)).mint()
    }

    /// The verdict, in words of the table.
    async fn ask(&self) -> String {
        match self.api.authenticate(Presented::token(&self.token())).await {
            Ok(_) => "accepted".to_owned(),
            Err(error) => {
                let answer = error.answer();
                let hint = if answer.retry_after.is_some() { " with Retry-After" } else { "" };
                format!("{}{hint}", answer.status)
            }
        }
    }

    /// Waits until that many fetches have failed and none is under way.
    async fn until_failed(&self, fetches: u64) {
        for _ in 0..2400 {
            let (_, state) = self.api.health().remove(0);
            if !state.fetching && state.fetches_failed >= fetches {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("a fetch does not end: {:?}", self.api.health());
    }

    /// The verdict at once, without waiting for anything.
    fn ask_at_once(&self) -> &'static str {
        match self.api.authenticate(Presented::token(&self.token())).now() {
            Ok(Ok(_)) => "accepted at once",
            Ok(Err(_)) => "refused at once",
            Err(_) => "waits",
        }
    }
}

/// One row: cold start, known key, past the fresh time, after healing.
async fn row(name: &'static str, fault: Fault, stale_serves: bool, way: Way) {
    let place = Place::with(fault, way).await;
    assert_eq!(place.ask().await, "503 with Retry-After", "{name}: no keys yet, which is never the caller's fault");

    place.until_failed(1).await;
    place.server.become_(Fault::None).await;
    place.clock.advance(Duration::from_secs(61));
    assert_eq!(place.ask().await, "accepted", "{name}: heals by itself");

    place.server.become_(fault).await;
    place.clock.advance(Duration::from_secs(30));
    assert_eq!(place.ask_at_once(), "accepted at once", "{name}: a known key never waits");

    // Past the fresh time: the first request starts a fetch in the background, those after it feel its outcome.
    place.clock.advance(Duration::from_secs(1200));
    place.ask().await;
    place.until_failed(2).await;
    let past = place.ask().await;
    let expected = if stale_serves { "accepted" } else { "503 with Retry-After" };
    assert_eq!(past, expected, "{name}: past the fresh time");
    assert_eq!(place.server.hits_elsewhere(), 0, "{name}: a redirect was followed");

    place.server.become_(Fault::None).await;
    place.clock.advance(Duration::from_secs(121));
    assert_eq!(place.ask().await, "accepted", "{name}: heals again");
    let section = if way == Way::Keys { "faults" } else { "faults-elsewhere" };
    note(section, name, &[name, "503 with Retry-After", "accepted at once", expected, "accepted"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_promises_hold_whatever_the_network_does() {
    every_row(Way::Keys).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_promises_hold_for_an_issuer_that_is_asked_at_another_address() {
    every_row(Way::OtherAddress).await;
}

async fn every_row(way: Way) {
    let rows: Vec<_> =
        TABLE.iter().map(|&(name, fault, stale)| (name, tokio::spawn(row(name, fault, stale, way)))).collect();
    for (name, row) in rows {
        row.await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// One row of an API server that is asked for reviews: while it breaks, and after healing.
async fn review(name: &'static str, fault: Fault, folder: PathBuf) {
    let review = r#"{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","metadata":{},"status":{"authenticated":true,
        "user":{"username":"system:serviceaccount:shop:web","uid":"1","groups":["system:authenticated"]},"audiences":["api"]}}"#;
    let server = FaultServer::start(review.to_owned(), String::new(), fault).await;
    let clock = ManualClock::default();
    let reviewed = OpaqueTokens::token_review(server.origin()).unwrap().inactive_life(Duration::ZERO);
    let trusted = Issuer::without_keys("https://kubernetes.default.svc", reviewed).unwrap().allow_loopback_http();
    let trusted = trusted.bearer_token_file(folder.join("token"));
    let api = ResourceServer::builder("api").trust(trusted).clock(clock.clone()).build().unwrap();
    let ask = async || match api.authenticate(Presented::token("an-opaque-token")).await {
        Ok(_) => "accepted".to_owned(),
        Err(error) => {
            let answer = error.answer();
            format!("{}{}", answer.status, if answer.retry_after.is_some() { " with Retry-After" } else { "" })
        }
    };
    assert_eq!(ask().await, "503 with Retry-After", "{name}: nobody has said anything of the token");
    server.become_(Fault::None).await;
    clock.advance(Duration::from_secs(61));
    assert_eq!(ask().await, "accepted", "{name}: heals by itself");
    server.become_(fault).await;
    assert_eq!(ask().await, "accepted", "{name}: what was said a moment ago still holds");
    clock.advance(Duration::from_secs(61));
    assert_eq!(ask().await, "503 with Retry-After", "{name}: and no longer than it may");
    server.become_(Fault::None).await;
    clock.advance(Duration::from_secs(121));
    assert_eq!(ask().await, "accepted", "{name}: heals again");
    assert_eq!(server.hits_elsewhere(), 0, "{name}: a redirect was followed");
    note("faults-reviews", name, &[name, "503 with Retry-After", "accepted", "503 with Retry-After", "accepted"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_promises_hold_for_an_api_server_that_is_asked_for_reviews() {
    let cluster = TestCluster::start().await;
    let folder = || cluster.service_account().to_owned();
    let rows: Vec<_> =
        TABLE.iter().map(|&(name, fault, _)| (name, tokio::spawn(review(name, fault, folder())))).collect();
    for (name, row) in rows {
        row.await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[tokio::test]
async fn odd_but_correct_answers_are_read() {
    for &(name, fault) in FINE {
        let elsewhere = Place::with(fault, Way::OtherAddress).await;
        assert_eq!(elsewhere.ask().await, "accepted", "{name}, at another address");
        note("faults-elsewhere", name, &[name, "accepted", "accepted at once", "accepted", "accepted"]);
        let place = Place::with(fault, Way::Keys).await;
        assert_eq!(place.ask().await, "accepted", "{name}");
        note("faults", name, &[name, "accepted", "accepted at once", "accepted", "accepted"]);
    }
}

#[tokio::test]
async fn keys_come_only_from_the_host_that_the_certificate_names() {
    let clock = ManualClock::default();
    let issuer = TestIssuer::builder().clock(clock.clone()).start().await;
    let keys = reqwest::get(issuer.jwks_uri()).await.unwrap().text().await.unwrap();
    for (name, certificate, trusted, expected) in [
        ("right certificate", "loopback", true, None),
        ("certificate of another name", "stranger", true, Some(ErrorKind::Unavailable)),
        ("expired certificate", "expired", true, Some(ErrorKind::Unavailable)),
        ("certificate of an unknown authority", "loopback", false, Some(ErrorKind::Unavailable)),
    ] {
        let server = tls::serve(certificate, keys.clone()).await;
        let mut client = ReqwestClient::builder().allow_loopback_http();
        if trusted {
            client = client.root_certificate_pem(tls::file("authority")).only_given_roots();
        }
        let source = Issuer::with_jwks_uri(issuer.url(), server).unwrap();
        let source = source.allow_loopback_http().http_client(Arc::new(client.build().unwrap()));
        let api = ResourceServer::builder(issuer.audience()).trust(source).clock(clock.clone()).build().unwrap();
        let verdict = api.authenticate(Presented::token(&issuer.token().mint())).await;
        assert_eq!(verdict.as_ref().err().map(token_core::Error::kind), expected, "{name}: {verdict:?}");
        let cold = if expected.is_some() { "503 with Retry-After" } else { "accepted" };
        note("faults", name, &[name, cold, "", "", ""]);
    }
}
