//! Against a real redis-server, started here on a port of its own and stopped by its id.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

#[path = "server/engine.rs"]
mod engine;
#[path = "server/engines.rs"]
mod engines;
#[path = "server/following.rs"]
mod following;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use token_core::adapter::RequestView;
use token_core::http::BoxFuture;
use token_core::opaque::client_authentication::ClientAuthentication;
use token_core::possession::Dpop;
use token_core::streams::Tickets;
use token_core::{
    Algorithm, Clock as _, ErrorKind, Issuer, Presented, ResourceServer, SystemClock, Timestamp,
    opaque::{OpaqueAnswer, OpaqueError, OpaqueTokens, OpaqueVerifier},
    revocation::{Deny, DenyList, DenyLookup, Evict, LogoutVerifier, Marks},
    stores::{AnswerKey, AnswerStore as _, FirstTime, ReplayMemory, StoreError},
};
use token_redis::{Redis, RedisReplays, RedisSettings};
use token_test::{Endpoint, HeldPort, ManualClock, TestIssuer, TestKey};
use tokio::sync::Notify;

use crate::engine::{PATIENCE, until};

const ISSUER: &str = "https://issuer.example";
const LATER: Timestamp = Timestamp::from_secs(4_000_000_000);

/// A redis-server that lives as long as this value.
struct Server {
    process: Option<Child>,
    port: u16,
    _held: HeldPort,
    folder: PathBuf,
}

impl Server {
    async fn start() -> Self {
        let held = HeldPort::new().unwrap();
        let port = held.port();
        let folder = std::env::temp_dir().join(format!("token-redis-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut server = Self { process: None, port, _held: held, folder };
        server.resume().await;
        server
    }

    async fn resume(&mut self) {
        let port = self.port.to_string();
        let settings =
            ["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no", "--daemonize", "no"];
        let mut command = Command::new(engine::program());
        command.args(settings).arg("--dir").arg(&self.folder).stdout(Stdio::null());
        self.process = Some(command.spawn().expect("redis-server is installed: `cargo xtask test` does that"));
        let redis = self.connect();
        until("redis-server answers", async || redis.ping().await.is_ok()).await;
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// A connection that waits as long as a busy machine takes. One that is refused or lost says so at once.
    fn connect(&self) -> Redis {
        let settings = RedisSettings::server(&format!("redis://127.0.0.1:{}/", self.port)).unwrap();
        Redis::with(settings.timeout(PATIENCE)).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn instance(issuer: &TestIssuer, redis: &Redis) -> ResourceServer {
    let secret = ClientAuthentication::Basic("test-secret".into());
    let tokens = OpaqueTokens::introspection(issuer.introspection_endpoint(), "test-client", secret).unwrap();
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    ResourceServer::builder(issuer.audience())
        .trust(trusted.opaque_tokens(tokens.store(redis.answers()).store_timeout(PATIENCE)))
        .deny_list(redis.deny_list())
        .build()
        .unwrap()
}

async fn verdict(api: &ResourceServer, token: &str) -> Option<ErrorKind> {
    api.authenticate(Presented::token(token)).await.err().map(|error| error.kind())
}

#[tokio::test]
async fn what_one_instance_found_serves_all_and_what_one_evicts_is_gone_for_all() {
    let (server, issuer) = (Server::start().await, TestIssuer::start().await);
    let (one, two) = (instance(&issuer, &server.connect()), instance(&issuer, &server.connect()));
    let evictions: [fn(&TestIssuer, &str) -> Evict; 4] = [
        |_, token| Evict::token(token),
        |issuer, _| Evict::subject(issuer.url(), "ada"),
        |issuer, _| Evict::session(issuer.url(), "s"),
        |issuer, _| Evict::client(issuer.url(), "app"),
    ];
    for evict in evictions {
        issuer.forget_hits();
        let token = issuer.token().subject("ada").client_id("app").claim("sid", "s").mint_opaque();
        for api in [&one, &two, &one] {
            assert_eq!(verdict(api, &token).await, None);
        }
        assert_eq!(issuer.hits(Endpoint::Introspection), 1, "found once");
        issuer.revoke(&token);
        assert_eq!(verdict(&two, &token).await, None, "nobody told us yet");
        let evict = evict(&issuer, &token);
        assert!(one.evict(evict.clone()).await.unwrap() >= 1, "{evict:?}");
        assert_eq!(verdict(&two, &token).await, Some(ErrorKind::Inactive), "{evict:?}");
        assert_eq!(verdict(&one, &token).await, Some(ErrorKind::Inactive), "{evict:?}");
        assert_eq!(issuer.hits(Endpoint::Introspection), 2, "the inactive answer is shared too");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_instances_ask_about_one_token_once_and_for_themselves_when_the_asker_is_gone() {
    let (mut server, issuer) = (Server::start().await, TestIssuer::start().await);
    let redis = server.connect();
    let instance_with = |redis: Redis, lease: Duration| {
        let secret = ClientAuthentication::Basic("test-secret".into());
        let tokens = OpaqueTokens::introspection(issuer.introspection_endpoint(), "test-client", secret).unwrap();
        let tokens = tokens.store(redis.answers()).store_timeout(PATIENCE).asked_once_for_all(lease);
        let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
        ResourceServer::builder(issuer.audience()).trust(trusted.opaque_tokens(tokens)).build().unwrap()
    };
    let instances: Vec<_> = (0..6).map(|_| instance_with(server.connect(), Duration::from_secs(10))).collect();
    let all_admit = async |token: &str| {
        let asked = instances.iter().map(|api| {
            let (api, token) = (api.clone(), token.to_owned());
            tokio::spawn(async move { verdict(&api, &token).await })
        });
        for verdict in asked.collect::<Vec<_>>() {
            assert_eq!(verdict.await.unwrap(), None);
        }
    };
    let token = issuer.token().subject("ada").mint_opaque();
    all_admit(&token).await;
    assert_eq!(issuer.hits(Endpoint::Introspection), 1, "once for all");
    let identity = format!("introspection {} client_secret_basic test-client false", issuer.introspection_endpoint());
    let key = |token: &str| AnswerKey::new(&identity, token);
    until("who asked has given its claim back", async || {
        redis.answers().claim(key(&token), 1, Duration::from_millis(10)).await.unwrap()
    })
    .await;

    // Who has the claim finds out that there is no answer to be had, and gives it back: the next one to ask need not wait for the end of the lease.
    issuer.forget_hits();
    let (asker, token) = (redis.answers(), issuer.token().subject("dora").mint_opaque());
    assert!(asker.claim(key(&token), 2, Duration::from_secs(3600)).await.unwrap());
    assert!(!redis.answers().claim(key(&token), 3, Duration::from_secs(3600)).await.unwrap());
    // Another question, of the same process too: its own claim ended long ago.
    asker.release(key(&token), 1).await.unwrap();
    assert!(!asker.claim(key(&token), 3, Duration::from_secs(3600)).await.unwrap(), "only who has it gives it back");
    let patient = instance_with(server.connect(), Duration::from_secs(10));
    let started = std::time::Instant::now();
    let waiting = tokio::spawn({
        let (patient, token) = (patient.clone(), token.clone());
        async move { verdict(&patient, &token).await }
    });
    asker.release(key(&token), 2).await.unwrap();
    assert_eq!(waiting.await.unwrap(), None);
    assert!(started.elapsed() < Duration::from_secs(9), "{:?}", started.elapsed());
    assert_eq!(issuer.hits(Endpoint::Introspection), 1);

    // Somebody claims every question and brings no answer: nobody waits for longer than the lease.
    issuer.forget_hits();
    let token = issuer.token().subject("bob").mint_opaque();
    let silent = key(&token);
    assert!(redis.answers().claim(silent, 4, Duration::from_secs(3600)).await.unwrap());
    let brief = instance_with(server.connect(), Duration::from_secs(1));
    let started = std::time::Instant::now();
    assert_eq!(verdict(&brief, &token).await, None);
    assert!(started.elapsed() >= Duration::from_secs(1), "it waited for its lease: {:?}", started.elapsed());
    assert_eq!(issuer.hits(Endpoint::Introspection), 1);

    server.stop();
    issuer.forget_hits();
    all_admit(&issuer.token().subject("cleo").mint_opaque()).await;
    assert_eq!(issuer.hits(Endpoint::Introspection), 6, "without the store everybody asks for himself");
}

#[tokio::test]
async fn what_one_instance_denies_is_refused_by_the_other_at_its_next_request() {
    let (server, issuer) = (Server::start().await, TestIssuer::start().await);
    let (one, two) = (instance(&issuer, &server.connect()), instance(&issuer, &server.connect()));
    one.ready().await.unwrap();
    two.ready().await.unwrap();
    for token in [issuer.token().claim("jti", "1").mint(), issuer.token().claim("jti", "2").mint_opaque()] {
        assert_eq!(verdict(&two, &token).await, None);
        let verified = one.authenticate(Presented::token(&token)).await.unwrap();
        let deny = Deny::token_id(verified.issuer(), verified.token_id().unwrap());
        one.deny(deny, LATER).await.unwrap();
        assert_eq!(verdict(&two, &token).await, Some(ErrorKind::Inactive));
    }
}

#[tokio::test]
async fn each_entry_denies_its_own_and_ends_with_its_time() {
    let server = Server::start().await;
    let list = server.connect().deny_list();
    let at = |secs| Some(Timestamp::from_secs(secs));
    let denied = async |token: Marks<'_>| match list.look_up(&token, Timestamp::EPOCH) {
        DenyLookup::Ask(answer) => answer.await.unwrap(),
        answer => matches!(answer, DenyLookup::Denied),
    };
    let over = Timestamp::from_secs(1);
    list.deny(Deny::token_id(ISSUER, "7"), LATER).await.unwrap();
    list.deny(Deny::token_id(ISSUER, "over"), over).await.unwrap();
    list.deny(Deny::session(ISSUER, "s"), Timestamp::MAX).await.unwrap();
    list.deny(Deny::subject(ISSUER, "ada", Timestamp::from_secs(1000)), LATER).await.unwrap();
    // The narrower reason that comes later takes nothing back.
    list.deny(Deny::subject(ISSUER, "ada", Timestamp::from_secs(10)), Timestamp::from_secs(3_999_999_999))
        .await
        .unwrap();
    let token = Marks::of(ISSUER);
    for (name, token, expected) in [
        ("the jti", token.token_id("7"), true),
        ("another jti", token.token_id("8"), false),
        ("another issuer's", Marks::of("https://other.example").token_id("7"), false),
        ("an entry that is over", token.token_id("over"), false),
        ("a subject that is spelt like the jti", token.subject("7", at(1)), false),
        ("the session", token.session_id("s"), true),
        ("issued before", token.subject("ada", at(1000)), true),
        ("issued after", token.subject("ada", at(1001)), false),
        ("issued nobody knows when", token.subject("ada", None), true),
        ("a good subject in a bad session", token.subject("bob", at(1)).session_id("s"), true),
        ("nothing to go by", token, false),
    ] {
        assert_eq!(denied(token).await, expected, "{name}");
    }
}

#[tokio::test]
async fn without_the_server_opaque_tokens_are_asked_about_and_denied_ones_refused_as_503() {
    let (mut server, issuer) = (Server::start().await, TestIssuer::start().await);
    let redis = server.connect();
    let secret = ClientAuthentication::Basic("test-secret".into());
    let tokens = OpaqueTokens::introspection(issuer.introspection_endpoint(), "test-client", secret).unwrap();
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let without_list = ResourceServer::builder(issuer.audience())
        .trust(trusted.opaque_tokens(tokens.store(redis.answers()).store_timeout(PATIENCE)))
        .build()
        .unwrap();
    let with_list = instance(&issuer, &redis);
    let token = issuer.token().claim("jti", "7").mint_opaque();
    assert_eq!(verdict(&without_list, &token).await, None);
    server.stop();
    assert_eq!(verdict(&without_list, &token).await, None, "each instance asks for itself");
    assert_eq!(verdict(&with_list, &token).await, Some(ErrorKind::Unavailable), "nobody passes who might be denied");
    assert!(without_list.opaque_health()[0].1.store_failures > 0);
    assert_eq!(with_list.deny(Deny::token_id(ISSUER, "7"), LATER).await.unwrap_err().kind(), ErrorKind::Unavailable);
    server.resume().await;
    // The connection itself, not a verdict: the store may still be missed a moment before the deny-list is found.
    until("the connection is back", async || redis.ping().await.is_ok()).await;
    assert_eq!(verdict(&with_list, &token).await, None);
    assert_eq!(without_list.evict(Evict::token(&token)).await.unwrap(), 1, "the store is back");
}

#[tokio::test]
async fn namespaces_keep_services_apart_and_no_claim_is_a_key() {
    let (server, issuer) = (Server::start().await, TestIssuer::start().await);
    let (one, two) = (server.connect().namespace("one"), server.connect().namespace("two"));
    let token = issuer.token().subject("canary").claim("jti", "7").mint_opaque();
    let api = instance(&issuer, &one);
    assert_eq!(verdict(&api, &token).await, None);
    api.deny(Deny::token_id(issuer.url(), "7"), LATER).await.unwrap();
    assert_eq!(verdict(&api, &token).await, Some(ErrorKind::Inactive));
    assert_eq!(verdict(&instance(&issuer, &two), &token).await, None);
    let keys = Command::new("redis-cli").args(["-p", &server.port.to_string(), "KEYS", "*"]).output().unwrap();
    let keys = String::from_utf8(keys.stdout).unwrap();
    assert!(keys.contains("{one}:answer:") && keys.contains("{two}:answer:") && keys.contains("{one}:deny:"), "{keys}");
    assert!(!keys.contains("canary") && !keys.contains(&token), "{keys}");
}

/// What redis-cli prints.
fn cli(server: &Server, words: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-p", &server.port.to_string()]).args(words).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_names_under_a_tag_end_with_their_answers_and_make_room_for_others() {
    let (server, clock) = (Server::start().await, ManualClock::default());
    let issuer = TestIssuer::builder().clock(clock.clone()).start().await;
    let secret = ClientAuthentication::Basic("test-secret".into());
    let tokens = OpaqueTokens::introspection(issuer.introspection_endpoint(), "test-client", secret).unwrap();
    let tokens = tokens.store(server.connect().answers()).store_timeout(PATIENCE);
    let tokens = tokens.active_life(Duration::from_secs(30));
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http().opaque_tokens(tokens);
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).clock(clock.clone()).build().unwrap();
    // Of one client, so that all stand under one tag, and each of a subject of its own.
    let token =
        |subject: u32| issuer.token().subject(&subject.to_string()).expires_in(Duration::from_secs(3600)).mint_opaque();
    for subject in 0..50 {
        assert_eq!(verdict(&api, &token(subject)).await, None);
    }
    let tags = cli(&server, &["KEYS", "*:tagged:*"]);
    let sizes =
        || -> Vec<u32> { tags.lines().map(|tag| cli(&server, &["ZCARD", tag]).trim().parse().unwrap()).collect() };
    assert_eq!(sizes().into_iter().max(), Some(50), "the client's");
    for tag in tags.lines() {
        let left: i64 = cli(&server, &["PTTL", tag]).trim().parse().unwrap();
        assert!((1..=90_000).contains(&left), "it ends with its last answer and a minute: {left} ms");
    }
    clock.advance(Duration::from_secs(91));
    assert_eq!(verdict(&api, &token(1000)).await, None);
    assert!(sizes().into_iter().all(|size| size <= 1), "those that have ended are gone: {:?}", sizes());
    // What is evicted by its tag is still found.
    assert_eq!(api.evict(Evict::subject(issuer.url(), "1000")).await.unwrap(), 1);
}

#[tokio::test]
async fn a_logout_token_is_good_once_for_all_instances() {
    let (mut server, issuer) = (Server::start().await, TestIssuer::start().await);
    let instance = || {
        let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
        LogoutVerifier::new("app", trusted).unwrap().replay_memory(server.connect().replays())
    };
    let (one, two) = (instance(), instance());
    let logout = |jti: &str| {
        let events = serde_json::json!({"http://schemas.openid.net/event/backchannel-logout": {}});
        issuer.id_token().audience("app").claim("events", events).claim("sid", "canary").claim("jti", jti).mint()
    };
    let kind =
        async |instance: &LogoutVerifier, token: &str| instance.verify(token).await.err().map(|error| error.kind());
    let first = logout("canary-1");
    assert_eq!(kind(&one, &first).await, None);
    assert_eq!(kind(&two, &first).await, Some(ErrorKind::Inactive));
    assert_eq!(kind(&one, &first).await, Some(ErrorKind::Inactive));
    assert_eq!(kind(&two, &logout("canary-2")).await, None);

    // However many ask at once, one of them is the first.
    let crowd: Vec<_> = (0..20).map(|_| logout("canary-3")).collect();
    assert_eq!(first_of(&one, &two, &crowd).await, 1);

    let keys = Command::new("redis-cli").args(["-p", &server.port.to_string(), "KEYS", "*"]).output().unwrap();
    let keys = String::from_utf8(keys.stdout).unwrap();
    assert!(keys.contains("{token}:seen:") && !keys.contains("canary"), "{keys}");

    server.stop();
    let last = logout("canary-4");
    assert_eq!(kind(&one, &last).await, Some(ErrorKind::Unavailable), "in doubt it is refused");
    server.resume().await;
    let back = async |instance: &LogoutVerifier| loop {
        match kind(instance, &last).await {
            Some(ErrorKind::Unavailable) => tokio::time::sleep(Duration::from_millis(10)).await,
            outcome => return outcome,
        }
    };
    assert_eq!(back(&two).await, None, "taken once the server was back");
    assert_eq!(back(&one).await, Some(ErrorKind::Inactive), "and once only");
}

/// A request that opens a stream with this ticket.
struct Opening(String);

impl RequestView for Opening {
    fn method(&self) -> &str {
        "GET"
    }
    fn path_and_query(&self) -> &str {
        &self.0
    }
    fn header<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8])) {
        if name == "accept" {
            each(b"text/event-stream");
        }
    }
}

/// A request that asks for a ticket with this token.
struct Purchase(String);

impl RequestView for Purchase {
    fn method(&self) -> &str {
        "POST"
    }
    fn path_and_query(&self) -> &str {
        "/tickets"
    }
    fn header<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8])) {
        if name == "authorization" {
            each(self.0.as_bytes());
        }
    }
}

#[tokio::test]
async fn a_ticket_that_one_instance_sold_is_redeemed_once_by_all_together() {
    let (mut server, issuer) = (Server::start().await, TestIssuer::start().await);
    let instance = || {
        let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
        let tickets = Tickets::kept_in(server.connect().tickets());
        ResourceServer::builder(issuer.audience()).trust(trusted).tickets(tickets).build().unwrap()
    };
    let (one, two) = (instance(), instance());
    one.ready().await.unwrap();
    two.ready().await.unwrap();
    let token = issuer.token().subject("canary").mint();
    let purchase = Purchase(format!("Bearer {token}"));
    let buy = async || one.sell_ticket(Presented::request(&purchase), "/events").await;
    let redeem = |instance: &ResourceServer, ticket: &str| {
        instance.authenticate(Presented::request(&Opening(format!("/events?ticket={ticket}"))))
    };

    let sold = buy().await.unwrap();
    let keys = cli(&server, &["KEYS", "*"]);
    assert!(keys.contains("{token}:ticket:"), "{keys}");
    let kept = cli(&server, &["GET", keys.lines().find(|key| key.contains("ticket")).unwrap()]);
    for secret in ["canary", &*token, sold.as_str()] {
        assert!(!kept.contains(secret) && !keys.contains(secret), "neither tickets nor tokens can be read there");
    }
    let left: i64 =
        cli(&server, &["PTTL", keys.lines().find(|key| key.contains("ticket")).unwrap()]).trim().parse().unwrap();
    assert!((1..=30_000).contains(&left), "{left} ms");
    assert_eq!(redeem(&two, sold.as_str()).await.unwrap().subject(), Some("canary"));
    assert_eq!(redeem(&one, sold.as_str()).await.unwrap_err().kind(), ErrorKind::InvalidTicket);

    // However many come at once, and wherever, one of them gets in.
    for _ in 0..20 {
        let sold = buy().await.unwrap();
        let crowd = (0..10).flat_map(|_| [redeem(&one, sold.as_str()), redeem(&two, sold.as_str())]).map(tokio::spawn);
        let mut let_in = 0;
        for outcome in crowd.collect::<Vec<_>>() {
            let_in += usize::from(outcome.await.unwrap().is_ok());
        }
        assert_eq!(let_in, 1);
    }

    let sold = buy().await.unwrap();
    server.stop();
    assert_eq!(redeem(&two, sold.as_str()).await.unwrap_err().kind(), ErrorKind::Unavailable, "our trouble");
    assert_eq!(buy().await.unwrap_err().kind(), ErrorKind::Unavailable);
    server.resume().await;
}

#[tokio::test]
async fn what_was_seen_is_forgotten_with_its_end() {
    let server = Server::start().await;
    let memory = server.connect().replays();
    let first = async |token: u8, until: Timestamp| match memory.first_time([token; 32], until, Timestamp::EPOCH) {
        FirstTime::Ask(answer) => answer.await.unwrap(),
        FirstTime::Known(answer) => answer.unwrap(),
        other => panic!("{other:?}"),
    };
    assert!(first(1, LATER).await && !first(1, LATER).await);
    assert!(first(2, LATER).await, "another token");
    let over = Timestamp::from_secs(1);
    assert!(first(3, over).await && first(3, over).await, "a token that has ended need not be remembered");
    assert!(first(4, Timestamp::MAX).await && !first(4, Timestamp::MAX).await);
}

/// How many are taken when both instances verify all of these at once.
async fn first_of(one: &LogoutVerifier, two: &LogoutVerifier, tokens: &[String]) -> usize {
    let asked: Vec<_> =
        tokens.iter().flat_map(|token| [one.verify(token), two.verify(token)]).map(tokio::spawn).collect();
    let mut taken = 0;
    for outcome in asked {
        taken += usize::from(outcome.await.unwrap().is_ok());
    }
    taken
}

#[tokio::test]
async fn a_record_is_replaced_only_by_who_knows_what_stands_there() {
    use token_client::SwapStore;
    let server = Server::start().await;
    let store = server.connect().refresh_tokens();
    for (expected, next, swapped) in [
        (Some("a"), Some("b"), false),
        (None, Some(""), true),
        (None, Some("b"), false),
        (Some(""), Some("a"), true),
        (Some("b"), None, false),
        (Some("a"), Some("\u{0}\r\n"), true),
        (Some("\u{0}\r\n"), None, true),
        (None, None, true),
    ] {
        let (expected, next) = (expected.map(str::as_bytes), next.map(str::as_bytes));
        assert_eq!(store.swap("n", expected, next).await, Ok(swapped), "{expected:?} {next:?}");
    }
    assert_eq!(store.load("n").await, Ok(None));
}

#[tokio::test]
async fn replicas_share_a_rotating_refresh_token_and_none_sends_a_spent_one() {
    use std::sync::Arc;
    use token_client::{Fault, RefreshSource, RefreshToken, TokenClient, TokenSource};
    use token_core::http::ReqwestClient;
    use token_test::ManualClock;

    let mut server = Server::start().await;
    let issuer = TestIssuer::start().await;
    let clock = ManualClock::default();
    let replica = || {
        let client = TokenClient::builder(issuer.token_endpoint(), "test-client")
            .secret("test-secret")
            .http(ReqwestClient::builder().allow_loopback_http().build().unwrap())
            .clock(clock.clone())
            .build()
            .unwrap();
        RefreshSource::builder(client, Arc::new(server.connect().refresh_tokens()), "ada").build()
    };
    let replicas = [replica(), replica(), replica()];
    let first = RefreshToken::new(issuer.refresh_token("ada", "test-client", "read"));
    replicas[0].keep(&first).await.unwrap();
    for round in 1..=5 {
        let (one, two, three) = tokio::join!(replicas[0].token(), replicas[1].token(), replicas[2].token());
        let one = one.unwrap();
        assert!(one == two.unwrap() && one == three.unwrap(), "round {round}");
        assert_eq!(issuer.hits(Endpoint::Token), round);
        clock.advance(Duration::from_secs(4000));
    }

    server.stop();
    let down = replicas[0].token().await.unwrap_err();
    assert_eq!(down.fault(), Fault::Outage, "{down}");
    assert_eq!(issuer.hits(Endpoint::Token), 5, "without the store nothing is sent");
}

/// An endpoint that has made up its mind when it is asked, and says so when it is let.
#[derive(Clone, Debug, Default)]
struct Slow(Arc<(AtomicBool, AtomicUsize, Notify)>);

impl OpaqueVerifier for Slow {
    fn identity(&self) -> &str {
        "endpoint"
    }

    fn ask<'a>(&'a self, _: &'a str, _: Timestamp) -> BoxFuture<'a, Result<OpaqueAnswer, OpaqueError>> {
        Box::pin(async {
            let revoked = self.0.0.load(Ordering::SeqCst);
            if self.0.1.fetch_add(1, Ordering::SeqCst) == 0 {
                self.0.2.notified().await;
            }
            let claims =
                serde_json::json!({"active": true, "aud": "api", "sub": "ada", "sid": "s", "client_id": "app"});
            Ok(if revoked { OpaqueAnswer::Inactive } else { OpaqueAnswer::Claims(claims.to_string()) })
        })
    }
}

#[tokio::test]
async fn what_one_instance_evicts_is_not_brought_back_by_a_question_under_way_on_another() {
    let server = Server::start().await;
    let evictions = [
        Evict::token("opaque"),
        Evict::subject(ISSUER, "ada"),
        Evict::session(ISSUER, "s"),
        Evict::client(ISSUER, "app"),
    ];
    for (round, evict) in evictions.into_iter().enumerate() {
        let endpoint = Slow::default();
        let namespace = format!("round-{round}");
        let instance = || {
            let store = server.connect().namespace(&*namespace).answers();
            let tokens = OpaqueTokens::verifier(endpoint.clone()).store(store).store_timeout(PATIENCE);
            let issuer = Issuer::without_keys(ISSUER, tokens).unwrap();
            ResourceServer::builder("api").trust(issuer).build().unwrap()
        };
        let (one, two) = (instance(), instance());
        let slow = tokio::spawn(two.authenticate(Presented::token("opaque")));
        while endpoint.0.1.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        endpoint.0.0.store(true, Ordering::SeqCst);
        one.evict(evict.clone()).await.unwrap();
        endpoint.0.2.notify_one();
        assert!(slow.await.unwrap().is_ok(), "it came before the eviction");
        for api in [&one, &two, &one] {
            assert_eq!(verdict(api, "opaque").await, Some(ErrorKind::Inactive), "{evict:?}");
        }
        assert_eq!(endpoint.0.1.load(Ordering::SeqCst), 2, "the new answer is kept");
    }
}

/// A request for `GET https://api.example.com/` with a bound token and its proof.
struct Bound {
    authorization: String,
    proof: String,
}

impl Bound {
    fn new(key: &TestKey, token: &str) -> Self {
        let proof = key.proof("GET", "https://api.example.com/", token).mint();
        Self { authorization: format!("DPoP {token}"), proof }
    }
}

impl RequestView for Bound {
    fn method(&self) -> &str {
        "GET"
    }
    fn path_and_query(&self) -> &str {
        "/"
    }
    fn header<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8])) {
        match name {
            "authorization" => each(self.authorization.as_bytes()),
            "dpop" => each(self.proof.as_bytes()),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_proof_is_good_once_at_all_instances_together() {
    let mut server = Server::start().await;
    let (issuer, key) = (TestIssuer::start().await, TestKey::client(Algorithm::ES256));
    let instance = || {
        let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
        let dpop = Dpop::at("https://api.example.com").unwrap().replay_memory(server.connect().replays());
        ResourceServer::builder(issuer.audience()).trust(trusted).dpop(dpop).build().unwrap()
    };
    let (one, two) = (instance(), instance());
    one.ready().await.unwrap();
    two.ready().await.unwrap();
    let token = issuer.token().bound_to(&key).mint();
    for _ in 0..50 {
        let request = Bound::new(&key, &token);
        let ask = |api: &ResourceServer| tokio::spawn(api.authenticate(Presented::request(&request)));
        let verdicts = [ask(&one), ask(&two), ask(&one), ask(&two)];
        let mut taken = 0;
        for verdict in verdicts {
            match verdict.await.unwrap() {
                Ok(_) => taken += 1,
                Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidDpopProof, "{error}"),
            }
        }
        assert_eq!(taken, 1);
    }
    server.stop();
    let request = Bound::new(&key, &token);
    let refused = one.authenticate(Presented::request(&request)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "in doubt it is refused");
}

/// The same question of a memory's, at a time of the asker's own.
async fn first(
    memory: &RedisReplays,
    (sender, proof): (u8, u8),
    until: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    match memory.first_proof([sender; 32], [proof; 32], until, now) {
        FirstTime::Ask(answer) => answer.await,
        FirstTime::Known(answer) => answer,
        _ => panic!("an answer of another kind"),
    }
}

#[tokio::test]
async fn one_key_has_its_own_room_and_what_ended_makes_some() {
    let server = Server::start().await;
    let memory = server.connect().replays().per_sender(2);
    // For the server it has ended a moment ago, for the asker when it says so.
    let until = SystemClock.now().saturating_sub(Duration::from_secs(1));
    let before = until.saturating_sub(Duration::from_secs(60));
    let ask = async |name, now| first(&memory, name, until, now).await;
    assert_eq!(
        (ask((1, 1), before).await, ask((1, 1), before).await, ask((1, 2), before).await),
        (Ok(true), Ok(false), Ok(true))
    );
    assert_eq!(ask((1, 3), before).await, Err(StoreError::Full { capacity: 2 }));
    assert_eq!((ask((1, 2), before).await, ask((2, 3), before).await), (Ok(false), Ok(true)));
    assert_eq!(ask((1, 3), until).await, Ok(true));
}

#[tokio::test]
async fn an_instance_whose_clock_is_ahead_forgets_nothing_that_is_still_good_for_others() {
    let server = Server::start().await;
    let memory = server.connect().replays().per_sender(2);
    let now = SystemClock.now();
    let until = now.saturating_add(Duration::from_secs(60));
    let ahead = until.saturating_add(Duration::from_secs(11));
    assert_eq!(first(&memory, (1, 1), until, now).await, Ok(true));
    assert_eq!(first(&memory, (1, 2), ahead, ahead).await, Ok(true), "there was room, and none was made");
    assert_eq!(first(&memory, (1, 3), ahead, ahead).await, Err(StoreError::Full { capacity: 2 }));
    assert_eq!(first(&memory, (1, 1), until, now).await, Ok(false), "a replay of the first proof");
}
