//! A deny-list that several instances hold in memory and follow: what one says all refuse, whatever happens to the server in between.

use std::time::Duration;

use token_core::opaque::client_authentication::ClientAuthentication;
use token_core::revocation::followed::{FollowedDenyList, FollowedSettings};
use token_core::{
    ErrorKind, Issuer, Presented, ResourceServer, Timestamp,
    opaque::OpaqueTokens,
    revocation::{Deny, DenyList, DenyLookup, Evict, Marks, WhenUnreachable},
    stores::StoreError,
};
use token_redis::Redis;
use token_test::{Endpoint, TestIssuer};

use crate::engine::{Node, Wire, until};
use crate::{ISSUER, LATER, verdict};

async fn follow(redis: &Redis) -> FollowedDenyList {
    followed(redis, FollowedSettings::default()).await
}

async fn followed(redis: &Redis, settings: FollowedSettings) -> FollowedDenyList {
    let list = redis.follow_deny_list(settings);
    tokio::time::timeout(Duration::from_secs(120), list.whole()).await.unwrap();
    list
}

/// For a machine that has too much to do: nothing is out of reach because a thread had to wait for its turn.
fn patient() -> FollowedSettings {
    FollowedSettings::default().staleness(Duration::from_secs(60))
}

fn session(name: &str) -> Deny {
    Deny::session(ISSUER, name)
}

/// What a request with a token of this session would hear at this moment, by the list alone.
fn says(list: &FollowedDenyList, name: &str) -> &'static str {
    let now = Timestamp::from(std::time::SystemTime::now());
    match list.look_up(&Marks::of(ISSUER).session_id(name), now) {
        DenyLookup::Absent => "absent",
        DenyLookup::Denied => "denied",
        _ => "out of reach",
    }
}

async fn hears(list: &FollowedDenyList, name: &str) -> Duration {
    until("the other instance heard of it", async || says(list, name) == "denied").await
}

/// An entry that was heard of is there a moment before the list is called whole again: who is not denied may have to wait for that.
async fn admits(list: &FollowedDenyList, name: &str) -> Duration {
    until("the list is whole, and lets in who is not denied", async || says(list, name) == "absent").await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_instance_denies_the_others_refuse_from_memory() {
    let (server, issuer) = (Node::ready(&[]).await, TestIssuer::start().await);
    let instance = async || {
        let list = followed(&server.connect(), patient()).await;
        let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
        let api = ResourceServer::builder(issuer.audience()).trust(trusted).deny_list(list).build().unwrap();
        api.ready().await.unwrap();
        api
    };
    let (one, two) = (instance().await, instance().await);
    let token = issuer.token().claim("sid", "s").mint();
    assert_eq!(verdict(&two, &token).await, None);
    one.deny(Deny::session(issuer.url(), "s"), LATER).await.unwrap();
    assert_eq!(verdict(&one, &token).await, Some(ErrorKind::Inactive), "at once where it was said");
    until("the other one refuses", async || verdict(&two, &token).await == Some(ErrorKind::Inactive)).await;
    // Requests ask memory: the server hears of nothing but the followers.
    let calls = || {
        server
            .cli(&["INFO", "commandstats"])
            .lines()
            .filter(|line| !["xread", "xrange", "xrevrange", "role", "info"].iter().any(|own| line.contains(own)))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let before = calls();
    for _ in 0..1_000 {
        assert!(two.authenticate(Presented::token(&token)).now().is_ok(), "nothing to wait for");
    }
    assert_eq!(calls(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_late_or_comes_back_misses_nothing() {
    let server = Node::ready(&[]).await;
    let wire = Wire::to(server.port).await;
    let (one, cut_off) = (follow(&server.connect()).await, follow(&wire.connect()).await);
    one.deny(session("before"), LATER).await.unwrap();
    hears(&cut_off, "before").await;
    assert_eq!(says(&follow(&server.connect()).await, "before"), "denied", "who comes late");

    wire.cut().await;
    one.deny(session("meanwhile"), LATER).await.unwrap();
    until("it no longer answers for what it cannot know", async || says(&cut_off, "meanwhile") == "out of reach").await;
    assert_eq!(says(&cut_off, "before"), "denied", "what it knows it knows");
    wire.mend();
    hears(&cut_off, "meanwhile").await;
    admits(&cut_off, "good").await;
    assert_eq!(cut_off.state().loads, 1, "the log had it all");

    wire.cut().await;
    one.deny(session("trimmed"), LATER).await.unwrap();
    server.cli(&["XTRIM", "{token}:denied:log", "MAXLEN", "0"]);
    one.deny(session("after"), LATER).await.unwrap();
    wire.mend();
    hears(&cut_off, "trimmed").await;
    hears(&cut_off, "after").await;
    until("the list was read, for the log had not had it", async || cut_off.state().loads == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_bound_the_operators_choice_applies() {
    let (server, issuer) = (Node::ready(&[]).await, TestIssuer::start().await);
    let wire = Wire::to(server.port).await;
    let list = follow(&wire.connect()).await;
    let instance = |choice| {
        let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
        let builder = ResourceServer::builder(issuer.audience()).trust(trusted).deny_list(list.clone());
        builder.when_deny_list_is_unreachable(choice).build().unwrap()
    };
    let (strict, lenient) = (instance(WhenUnreachable::Refuse), instance(WhenUnreachable::Admit));
    strict.ready().await.unwrap();
    lenient.ready().await.unwrap();
    let (good, bad) = (issuer.token().claim("sid", "good").mint(), issuer.token().claim("sid", "bad").mint());
    strict.deny(Deny::session(issuer.url(), "bad"), LATER).await.unwrap();
    for (stage, expected) in [("well", None), ("cut", Some(ErrorKind::Unavailable)), ("mended", None)] {
        match stage {
            "cut" => wire.cut().await,
            "mended" => wire.mend(),
            _ => {}
        }
        until(stage, async || verdict(&strict, &good).await == expected).await;
        assert_eq!(verdict(&lenient, &good).await, None, "{stage}");
        for api in [&strict, &lenient] {
            assert_eq!(verdict(api, &bad).await, Some(ErrorKind::Inactive), "{stage}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_instance_evicts_is_gone_from_the_memory_of_all() {
    let (server, issuer) = (Node::ready(&[]).await, TestIssuer::start().await);
    let instance = async || {
        let secret = ClientAuthentication::Basic("test-secret".into());
        // Each has answers of its own, in memory.
        let tokens = OpaqueTokens::introspection(issuer.introspection_endpoint(), "test-client", secret).unwrap();
        let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
        let builder = ResourceServer::builder(issuer.audience()).trust(trusted.opaque_tokens(tokens));
        builder.deny_list(followed(&server.connect(), patient()).await).build().unwrap()
    };
    let (one, two) = (instance().await, instance().await);
    let evictions: [fn(&TestIssuer, &str) -> Evict; 4] = [
        |_, token| Evict::token(token),
        |issuer, _| Evict::subject(issuer.url(), "ada"),
        |issuer, _| Evict::session(issuer.url(), "s"),
        |issuer, _| Evict::client(issuer.url(), "app"),
    ];
    for evict in evictions {
        issuer.forget_hits();
        let token = issuer.token().subject("ada").client_id("app").claim("sid", "s").mint_opaque();
        for api in [&one, &two, &two] {
            assert_eq!(verdict(api, &token).await, None);
        }
        assert_eq!(issuer.hits(Endpoint::Introspection), 2, "each asked once");
        issuer.revoke(&token);
        let evict = evict(&issuer, &token);
        one.evict(evict.clone()).await.unwrap();
        until("the other one forgot", async || verdict(&two, &token).await.is_some()).await;
        assert_eq!(verdict(&two, &token).await, Some(ErrorKind::Inactive), "{evict:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn junk_a_wiped_server_and_a_full_list_let_nobody_in() {
    let server = Node::ready(&[]).await;
    let (one, two) = (follow(&server.connect()).await, follow(&server.connect()).await);
    one.deny(session("1"), LATER).await.unwrap();
    hears(&two, "1").await;
    server.cli(&["XADD", "{token}:denied:log", "*", "c", "junk"]);
    until("the junk was seen, as a log of somebody else's", async || two.state().gaps > 0).await;
    one.deny(session("2"), LATER).await.unwrap();
    hears(&two, "2").await;

    server.cli(&["FLUSHALL"]);
    one.deny(session("3"), LATER).await.unwrap();
    hears(&two, "3").await;
    assert_eq!((says(&two, "1"), says(&two, "2")), ("denied", "denied"));
    admits(&two, "good").await;

    let small = server.connect().follow_deny_list(FollowedSettings::default().capacity(1));
    one.deny(session("4"), LATER).await.unwrap();
    until("there is an entry without room", async || small.state().left_out > 0).await;
    for name in ["3", "4", "good"] {
        assert_ne!(says(&small, name), "absent", "{name}");
    }
    drop(small);
    // A type that is none of ours stands where the list should: nothing can be known of it.
    server.cli(&["DEL", "{token}:denied:list"]);
    server.cli(&["SET", "{token}:denied:list", "junk"]);
    let stranger = server.connect().follow_deny_list(FollowedSettings::default());
    until("the list was asked for in vain", async || server.cli(&["INFO", "errorstats"]).contains("WRONGTYPE")).await;
    assert_eq!(says(&stranger, "good"), "out of reach");
    assert!(matches!(one.deny(session("5"), LATER).await, Err(StoreError::Unreachable(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_slow_full_read_only_or_loading_is_our_trouble_and_says_so() {
    let mut server = Node::ready(&["--appendonly", "yes", "--enable-debug-command", "local"]).await;
    let (one, two) = (follow(&server.connect()).await, follow(&server.connect()).await);
    let impatient = follow(&server.connect_hasty()).await;
    let refused = async |list: &FollowedDenyList, name: &str| match list.deny(session(name), LATER).await {
        Err(StoreError::Unreachable(why)) => why,
        outcome => panic!("{name}: {outcome:?}"),
    };
    let well = async || {
        until("all is well", async || one.deny(session("well"), LATER).await.is_ok() && says(&two, "good") == "absent")
            .await
    };
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(refused(&one, "full").await, "OOM");
    // It can be read.
    admits(&two, "good").await;
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    well().await;

    server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    assert!(refused(&one, "read-only").await.contains("READONLY"));
    until("a replica is not followed", async || says(&two, "good") == "out of reach").await;
    server.cli(&["REPLICAOF", "NO", "ONE"]);
    well().await;

    server.signal("STOP");
    assert_eq!(refused(&impatient, "slow").await, "no answer in time");
    until("nothing was heard", async || says(&two, "good") == "out of reach").await;
    server.signal("CONT");
    well().await;

    server.restart();
    well().await;
    // What was refused was not written.
    admits(&two, "full").await;

    let loading = Redis::new(&format!("redis://127.0.0.1:{}/", crate::engine::loading().await)).unwrap();
    assert_eq!(loading.ping().await, Err(StoreError::Unreachable("LOADING".to_owned())));
    let list = loading.follow_deny_list(FollowedSettings::default());
    assert_eq!(list.deny(session("x"), LATER).await, Err(StoreError::Unreachable("LOADING".to_owned())));
    assert_eq!(says(&list, "good"), "out of reach");
}
