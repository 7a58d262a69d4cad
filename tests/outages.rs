//! The gate against a real issuer that rotates, goes down, is slow or is flooded: what callers see, and what the issuer is asked.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use token_core::http::{BoxFuture, HttpClient, HttpError, Limits, ReqwestClient};
use token_core::opaque::client_authentication::ClientAuthentication;
use token_core::{
    Clock, Error, ErrorKind, Issuer, Presented, ResourceServer, SystemClock, Verified,
    keys::{JwksSettings, KeyStatus},
    opaque::OpaqueTokens,
};
use token_test::{Endpoint, ManualClock, TestIssuer};

struct Stage {
    issuer: TestIssuer,
    api: ResourceServer,
    clock: Arc<ManualClock>,
}

impl Stage {
    async fn set(settings: JwksSettings) -> Self {
        let issuer = TestIssuer::start().await;
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http().jwks_settings(settings);
        let api = ResourceServer::builder(issuer.audience()).trust(trusted).clock(Arc::clone(&clock)).build().unwrap();
        api.ready().await.unwrap();
        // A set that lands in the very millisecond of a request counts as new to it.
        clock.advance(Duration::from_secs(1));
        Self { issuer, api, clock }
    }

    async fn ask(&self, token: &str) -> Result<Verified, Error> {
        self.api.authenticate(Presented::token(token)).await
    }

    async fn kind(&self, token: &str) -> Option<ErrorKind> {
        self.ask(token).await.err().map(|error| error.kind())
    }

    fn status(&self) -> KeyStatus {
        self.api.health()[0].1.status
    }

    /// Waits until the issuer has been asked for keys this often: fetches run apart from requests.
    async fn fetched(&self, times: usize) {
        for _ in 0..60_000 {
            if self.issuer.hits(Endpoint::Jwks) >= times && !self.api.health()[0].1.fetching {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("expected {times} fetches, saw {}", self.issuer.hits(Endpoint::Jwks));
    }
}

#[tokio::test]
async fn the_first_token_of_a_new_key_is_accepted_at_once() {
    let stage = Stage::set(JwksSettings::default()).await;
    assert!(stage.ask(&stage.issuer.token().mint()).await.is_ok());
    let before = stage.issuer.token().mint();
    stage.issuer.rotate();
    assert!(stage.ask(&stage.issuer.token().mint()).await.is_ok(), "new key");
    assert!(stage.ask(&before).await.is_ok(), "the old key is still published");
    assert_eq!(stage.issuer.hits(Endpoint::Jwks), 2);
}

#[tokio::test]
async fn a_withdrawn_key_ends_also_the_tokens_that_are_remembered() {
    let stage = Stage::set(JwksSettings::default()).await;
    let old = stage.issuer.token().mint();
    assert!(stage.ask(&old).await.is_ok());
    assert!(stage.ask(&old).await.is_ok(), "warm");
    stage.issuer.rotate_hard();
    assert!(stage.ask(&stage.issuer.token().mint()).await.is_ok(), "brings the new set");
    assert_eq!(stage.kind(&old).await, Some(ErrorKind::UnknownKey));
}

#[tokio::test]
async fn a_thousand_made_up_kids_cost_the_issuer_no_more_than_the_bucket() {
    let stage = Stage::set(JwksSettings::default()).await;
    let good = stage.issuer.token().mint();
    for n in 0..1000 {
        let kid = format!("made-up-{n}");
        assert_eq!(stage.kind(&stage.issuer.token().kid(&kid).mint()).await, Some(ErrorKind::UnknownKey), "{n}");
        if n % 100 == 0 {
            assert!(
                stage.api.authenticate(Presented::token(&good)).now().is_ok_and(|now| now.is_ok()),
                "good waits for nobody"
            );
        }
    }
    assert!(
        stage.issuer.hits(Endpoint::Jwks) <= 3,
        "one set and a burst of two: {}",
        stage.issuer.hits(Endpoint::Jwks)
    );
    stage.issuer.rotate();
    stage.clock.advance(Duration::from_secs(30));
    assert!(stage.ask(&stage.issuer.token().mint()).await.is_ok(), "a real rotation is one refill away");
}

#[tokio::test]
async fn known_keys_serve_through_an_outage_and_no_longer_than_agreed() {
    let stage = Stage::set(JwksSettings::default()).await;
    let token = stage.issuer.token().expires_in(Duration::from_secs(86_400)).mint();
    assert!(stage.ask(&token).await.is_ok());
    stage.issuer.faults().at(Endpoint::Jwks).down();

    stage.clock.advance(Duration::from_secs(30 * 60));
    assert!(stage.ask(&token).await.is_ok(), "stale, and better than nothing");
    stage.fetched(2).await;
    assert_eq!(stage.status(), KeyStatus::Stale);

    stage.clock.advance(Duration::from_secs(60 * 60));
    let error = stage.ask(&token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "our trouble, never the caller's fault");
    assert!(error.retry_after().is_some());
    assert_eq!(stage.status(), KeyStatus::Empty);

    stage.issuer.heal();
    stage.clock.advance(Duration::from_secs(120));
    assert!(stage.ask(&token).await.is_ok(), "heals by itself");
    assert_eq!(stage.status(), KeyStatus::Fresh);
}

#[tokio::test]
async fn a_slow_issuer_is_never_waited_for_where_the_key_is_known() {
    let stage = Stage::set(JwksSettings::default()).await;
    let token = stage.issuer.token().expires_in(Duration::from_secs(86_400)).mint();
    assert!(stage.ask(&token).await.is_ok());
    stage.issuer.faults().at(Endpoint::Jwks).slow(Duration::from_secs(3));
    stage.clock.advance(Duration::from_secs(9 * 60));
    for fresh in [&token, &stage.issuer.token().expires_in(Duration::from_secs(86_400)).subject("cold").mint()] {
        assert!(stage.api.authenticate(Presented::token(fresh)).now().is_ok_and(|now| now.is_ok()));
    }
}

#[tokio::test]
async fn a_hundred_requests_on_a_cold_start_are_one_fetch_even_when_most_give_up() {
    let issuer = TestIssuer::start().await;
    issuer.faults().at(Endpoint::Jwks).slow(Duration::from_millis(200));
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).build().unwrap();
    let token = issuer.token().mint();
    let mut callers: Vec<_> = (0..100).map(|_| tokio::spawn(api.authenticate(Presented::token(&token)))).collect();
    let patient = callers.split_off(90);
    tokio::task::yield_now().await;
    callers.iter().for_each(tokio::task::JoinHandle::abort);
    for caller in patient {
        assert!(caller.await.unwrap().is_ok());
    }
    assert_eq!(issuer.hits(Endpoint::Jwks), 1);
}

#[tokio::test]
async fn an_issuer_that_is_down_at_the_start_is_503_and_heals_without_a_restart() {
    let issuer = TestIssuer::start().await;
    let token = issuer.token().mint();
    issuer.faults().down();
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).clock(Arc::clone(&clock)).build().unwrap();
    assert_eq!(api.ready().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(api.authenticate(Presented::token(&token)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(api.health()[0].1.status, KeyStatus::Empty);
    issuer.heal();
    clock.advance(Duration::from_secs(120));
    assert!(api.authenticate(Presented::token(&token)).await.is_ok());
}

#[tokio::test]
async fn an_issuer_that_serves_junk_keeps_the_keys_it_had() {
    let stage = Stage::set(JwksSettings::default()).await;
    let token = stage.issuer.token().expires_in(Duration::from_secs(86_400)).mint();
    assert!(stage.ask(&token).await.is_ok());
    for (round, break_it) in [
        (|issuer: &TestIssuer| issuer.faults().at(Endpoint::Jwks).junk()) as fn(&TestIssuer) -> _,
        |issuer| issuer.faults().at(Endpoint::Jwks).status(500),
        |issuer| issuer.faults().at(Endpoint::Jwks).oversized(),
        |issuer| issuer.faults().at(Endpoint::Jwks).gzip(),
        |issuer| issuer.faults().at(Endpoint::Jwks).status(404),
    ]
    .into_iter()
    .enumerate()
    {
        stage.issuer.heal();
        break_it(&stage.issuer);
        stage.clock.advance(Duration::from_secs(601));
        assert!(stage.ask(&token).await.is_ok(), "round {round}");
        stage.fetched(round + 2).await;
        assert!(stage.ask(&token).await.is_ok(), "round {round}, after the failure");
    }
    let state = &stage.api.health()[0].1;
    assert!(state.last_error.is_some(), "{state:?}");
}

/// A client that waits for as long as the one who fetches.
#[derive(Debug)]
struct Patient(ReqwestClient);

impl HttpClient for Patient {
    fn send(&self, request: Request<Bytes>, limits: Limits) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        self.0.send(request, limits.timeout(Duration::from_secs(300)))
    }
}

#[test]
fn no_task_is_left_behind_when_the_server_is_dropped_amid_its_work() {
    let outside = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let ours = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let issuer = outside.block_on(TestIssuer::start());
    let secret = ClientAuthentication::Basic("test-secret".into());
    let asking = OpaqueTokens::introspection(issuer.introspection_endpoint(), "test-client", secret).unwrap();
    // A fetch that has no end of its own: where one is left behind, this test sees it however slow the machine is.
    let mut patient = JwksSettings::default();
    patient.fetch_timeout = Duration::from_secs(300);
    let http = ReqwestClient::builder().allow_loopback_http().build().unwrap();
    let trusted = Issuer::discover(issuer.url()).unwrap().http_client(Arc::new(Patient(http))).jwks_settings(patient);
    let trusted = trusted.opaque_tokens(asking.timeout(Duration::from_millis(300)));
    let api = ours.block_on(async { ResourceServer::builder(issuer.audience()).trust(trusted).build().unwrap() });
    ours.block_on(api.ready()).unwrap();

    // A fetch for an unknown key and a question about an opaque token, neither of which is answered; who asked has left.
    issuer.faults().hold();
    let (unknown, opaque) = (issuer.token().kid("unknown").mint(), issuer.token().mint_opaque());
    issuer.forget_hits();
    for (token, endpoint) in [(unknown, Endpoint::Jwks), (opaque, Endpoint::Introspection)] {
        // Once more where the question has met its limit before the endpoint heard of it.
        while issuer.hits(endpoint) == 0 {
            let (asked, token) = (api.clone(), token.clone());
            let caller = ours.spawn(async move { asked.authenticate(Presented::token(&token)).await });
            ours.block_on(async {
                let _ = tokio::time::timeout(Duration::from_secs(1), issuer.wait_for_hits(endpoint, 1)).await;
            });
            caller.abort();
        }
    }
    let tasks = ours.metrics();
    assert!(tasks.num_alive_tasks() >= 1, "the fetch is under way; the question may have met its limit");
    drop(api);
    // The fetch is ended; the question ends by its own limit.
    for _ in 0..6000 {
        if tasks.num_alive_tasks() == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{} tasks are left", tasks.num_alive_tasks());
}
