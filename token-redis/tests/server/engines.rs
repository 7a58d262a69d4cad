//! The engines as they are run: Sentinels, a Cluster, TLS and users. Each store and the followed list, before and after the master is gone.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use token_core::revocation::followed::{FollowedDenyList, FollowedSettings};
use token_core::{
    Clock as _, SystemClock, Timestamp,
    revocation::{Deny, DenyList, DenyLookup, Evict, Marks},
    stores::{FirstTime, ReplayMemory, StoreError},
};
use token_redis::{Redis, RedisSettings};
use token_test::HeldPort;

use crate::engine::{Cluster, Node, PATIENCE, Watched, until};
use crate::{ISSUER, LATER};

/// For how long a master may be silent, having no processor say, without being taken for dead.
const SILENCE: Duration = Duration::from_secs(4);

fn session(name: &str) -> Deny {
    Deny::session(ISSUER, name)
}

async fn denied(list: &impl DenyList, name: &str) -> Result<bool, StoreError> {
    match list.look_up(&Marks::of(ISSUER).session_id(name).token_id("x").subject("y", None), SystemClock.now()) {
        DenyLookup::Absent => Ok(false),
        DenyLookup::Denied => Ok(true),
        DenyLookup::Ask(answer) => answer.await,
        other => panic!("{other:?}"),
    }
}

async fn first_time(redis: &Redis, token: [u8; 32]) -> Result<bool, StoreError> {
    match redis.replays().first_time(token, LATER, Timestamp::EPOCH) {
        FirstTime::Known(answer) => answer,
        FirstTime::Ask(answer) => answer.await,
        other => panic!("{other:?}"),
    }
}

/// Every store once: commands with several keys, scripts, transactions.
async fn every_store_works(redis: &Redis, round: u8) {
    // Where these keys are, and not just anywhere: a connection of before a fail-over finds out at its first command.
    until("whoever has these keys answers", async || first_time(redis, [round ^ 0xff; 32]).await.is_ok()).await;
    let issuer = token_test::TestIssuer::start().await;
    let api = crate::instance(&issuer, redis);
    let token = issuer.token().subject("ada").claim("sid", "s").mint_opaque();
    assert_eq!(crate::verdict(&api, &token).await, None, "round {round}");
    assert!(api.evict(Evict::subject(issuer.url(), "ada")).await.unwrap() >= 1, "round {round}");
    api.deny(Deny::session(issuer.url(), "s"), LATER).await.unwrap();
    assert!(crate::verdict(&api, &token).await.is_some(), "round {round}");
    assert_eq!(first_time(redis, [round; 32]).await, Ok(true), "round {round}");
    assert_eq!(first_time(redis, [round; 32]).await, Ok(false), "round {round}");
}

async fn follow(redis: &Redis) -> FollowedDenyList {
    let list = redis.follow_deny_list(FollowedSettings::default());
    tokio::time::timeout(Duration::from_secs(120), list.whole()).await.unwrap();
    list
}

/// Waits until it is denied, or until it is not and the list can say so.
async fn becomes(list: &FollowedDenyList, name: &str, is_denied: bool) {
    until(name, async || denied(list, name).await == Ok(is_denied)).await;
}

/// Asks a list without a pause whether a session is denied that is, and counts how often it was let in.
fn watch(list: &FollowedDenyList, name: &'static str) -> (Arc<AtomicBool>, Arc<AtomicUsize>) {
    let (stop, admitted) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let (list, still, count) = (list.clone(), Arc::clone(&stop), Arc::clone(&admitted));
    tokio::spawn(async move {
        while !still.load(Ordering::Relaxed) {
            if denied(&list, name).await == Ok(false) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    (stop, admitted)
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_name_the_master_and_a_fail_over_loses_nothing_that_was_acknowledged() {
    let mut watched = Watched::start(SILENCE).await;
    let redis = || Redis::with(watched.settings()).unwrap();
    every_store_works(&redis(), 1).await;
    let (writer, reader) = (follow(&redis()).await, follow(&redis()).await);
    until("a replica has it", async || writer.deny(session("before"), LATER).await.is_ok()).await;
    becomes(&reader, "before", true).await;
    let (stop, admitted) = watch(&reader, "before");

    let other = redis();
    watched.master.kill();
    let killed = Instant::now();
    until("a new master takes what is denied, with nobody there to acknowledge it", async || {
        matches!(writer.deny(session("after"), LATER).await, Err(StoreError::Unreachable(why)) if why.contains("replicas"))
    })
    .await;
    // And it is followed, and fresh.
    becomes(&reader, "after", true).await;
    eprintln!("a fail-over took {} ms", killed.elapsed().as_millis());
    becomes(&reader, "good", false).await;
    every_store_works(&other, 2).await;
    assert!(watched.replica.cli(&["ROLE"]).contains("master"));

    // The old one comes back as a replica: then there is one to acknowledge again.
    watched.master.start();
    until("what is denied is acknowledged", async || writer.deny(session("last"), LATER).await.is_ok()).await;
    becomes(&reader, "last", true).await;
    assert_eq!(denied(&follow(&other).await, "before").await, Ok(true), "who comes late");
    stop.store(true, Ordering::Relaxed);
    assert_eq!(admitted.load(Ordering::Relaxed), 0, "nobody who was denied was let in meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_is_alone_with_a_minority_is_not_believed() {
    let watched = Watched::start(SILENCE).await;
    let list = follow(&Redis::with(watched.settings()).unwrap()).await;
    becomes(&list, "good", false).await;
    for sentinel in &watched.sentinels[..2] {
        sentinel.signal("STOP");
    }
    until("the list is out of reach", async || denied(&list, "good").await.is_err()).await;
    assert!(list.deny(session("x"), LATER).await.is_err(), "nor written to");
    watched.sentinels[0].signal("CONT");
    // Two of three are enough.
    becomes(&list, "good", false).await;
    until("it is written to", async || list.deny(session("x"), LATER).await.is_ok()).await;
    assert_eq!(denied(&list, "x").await, Ok(true));
    watched.sentinels[1].signal("CONT");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_used_without_a_key_in_another_slot_and_goes_on_when_a_master_is_gone() {
    let mut cluster = Cluster::start().await;
    let urls: Vec<_> = cluster.nodes.iter().map(Node::url).collect();
    // Namespaces that lie in different slots: the node asked first has hardly ever the keys (MOVED).
    for (round, namespace) in (0..).zip(["a", "b", "c", "d"]) {
        let settings = RedisSettings::cluster([&urls[0]]).unwrap().namespace(namespace).timeout(PATIENCE);
        every_store_works(&Redis::with(settings).unwrap(), round).await;
    }
    let settings = RedisSettings::cluster(&urls).unwrap().namespace("a").timeout(Duration::from_secs(5));
    let redis = Redis::with(settings).unwrap();
    let (writer, reader) = (follow(&redis).await, follow(&redis).await);
    writer.deny(session("before"), LATER).await.unwrap();
    becomes(&reader, "before", true).await;
    let (stop, admitted) = watch(&reader, "before");
    cluster.owner("{a}:denied:log").kill();
    until("its replica takes what is denied", async || writer.deny(session("after"), LATER).await.is_ok()).await;
    // And it is followed, and fresh.
    becomes(&reader, "after", true).await;
    becomes(&reader, "good", false).await;
    every_store_works(&redis, 9).await;
    assert_eq!(denied(&follow(&redis).await, "before").await, Ok(true), "who comes late");
    stop.store(true, Ordering::Relaxed);
    assert_eq!(admitted.load(Ordering::Relaxed), 0, "nobody who was denied was let in meanwhile");
}

/// The commands and keys that an application needs, and no more.
const USER: &str = "app on >canary ~{token}:* +ping +role +eval +get +mget +set +del +pexpire +zadd +zrem +zrange +zremrangebyscore +zscan +xadd +xread +xrange +xrevrange +time +incr +pexpiretime";

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_as_a_user_with_no_more_rights_than_it_needs() {
    let (authority, loopback) = (tls("authority"), tls("loopback"));
    let mut words = vec!["--tls-port", "PORT", "--port", "0", "--tls-ca-cert-file", &authority];
    words.extend(["--tls-cert-file", &loopback, "--tls-key-file", &loopback, "--tls-auth-clients", "no"]);
    words.extend(["--user", "default", "off", "--user"]);
    words.extend(USER.split(' '));
    let server = Node::spawn(&words);
    all_works_over_tls(server.port).await;
}

/// Where the server is built without TLS, as the Valkey that there is to install: HAProxy ends it.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_where_another_program_ends_tls_in_front_of_the_server() {
    let mut words = vec!["--user", "default", "off", "--user"];
    words.extend(USER.split(' '));
    let server = Node::spawn(&words);
    let port = HeldPort::new().unwrap();
    let file = std::env::temp_dir().join(format!("token-redis-haproxy-{}", port.port()));
    let (front, crt, behind) = (port.address(), tls("loopback"), server.port);
    let text = format!(
        "defaults\n mode tcp\n timeout connect 20s\n timeout client 60s\n timeout server 60s\nlisten tls\n bind {front} ssl crt {crt}\n server redis 127.0.0.1:{behind}\n"
    );
    std::fs::write(&file, text).unwrap();
    let program = Command::new("haproxy").arg("-db").arg("-f").arg(&file).stderr(Stdio::null()).spawn();
    let _haproxy = Ended(program.expect("haproxy is installed: `cargo xtask test` does that"));
    all_works_over_tls(port.port()).await;
    std::fs::remove_file(file).unwrap();
}

/// A process that lives as long as this value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The path of a file of certificates.
fn tls(name: &str) -> String {
    format!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/tls/{}.pem"), name)
}

async fn all_works_over_tls(port: u16) {
    let pem = std::fs::read(tls("authority")).unwrap();
    let url = |user: &str| format!("rediss://{user}127.0.0.1:{port}/");
    let with = |user: &str| RedisSettings::server(&url(user)).unwrap().root_certificates(pem.clone()).timeout(PATIENCE);
    let trusting = with("app:canary@");
    let redis = Redis::with(trusting.clone()).unwrap();
    until("the server answers", async || redis.ping().await.is_ok()).await;
    every_store_works(&redis, 1).await;
    let (writer, reader) = (follow(&redis).await, follow(&redis).await);
    writer.deny(session("s"), LATER).await.unwrap();
    becomes(&reader, "s", true).await;

    let strangers = [
        ("another namespace", trusting.clone().namespace("other")),
        ("a wrong password", trusting.clone().credentials("app", "canary2")),
        ("no user", RedisSettings::server(&url("")).unwrap().root_certificates(pem.clone())),
        ("no authority", RedisSettings::server(&url("app:canary@")).unwrap()),
        ("no TLS", RedisSettings::server(&url("app:canary@").replace("rediss", "redis")).unwrap()),
    ];
    for (name, settings) in strangers {
        let stranger = Redis::with(settings).unwrap();
        let error = denied(&stranger.deny_list(), "s").await.unwrap_err();
        assert!(!format!("{error} {error:?} {stranger:?}").contains("canary"), "{name}: {error}");
    }
}
