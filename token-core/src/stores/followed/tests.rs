//! The list as a server asks it, and a log in memory that says what the test wants said.

use super::*;
use crate::base::telemetry::listener::Listener;
use crate::base::time::Clock;

const ISSUER: &str = "https://issuer.example";
const LATER: Timestamp = Timestamp::from_secs(4_000_000_000);
const START: Place = (Position { epoch: 1, number: 1 }, Mark([0; 8]));

#[derive(Clone, Debug, Default)]
struct Log(Arc<std::sync::Mutex<Vec<Change>>>);

impl ChangeLog for Log {
    fn append(&self, change: Change) -> BoxFuture<'static, Result<(), StoreError>> {
        self.0.lock().unwrap().push(change);
        Box::pin(ready(Ok(())))
    }
}

#[derive(Clone, Debug, Default)]
struct Hands(Arc<std::sync::atomic::AtomicI64>);

impl Hands {
    fn set(&self, millis: i64) {
        self.0.store(millis, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(std::sync::atomic::Ordering::Relaxed))
    }
}

fn list(capacity: usize) -> (FollowedDenyList, Follower, Log, Hands) {
    let (log, hands) = (Log::default(), Hands::default());
    let settings = FollowedSettings::default().capacity(capacity).clock(hands.clone());
    let (list, follower) = FollowedDenyList::with(log.clone(), settings);
    (list, follower, log, hands)
}

fn read_whole(follower: &mut Follower, entries: &[Deny]) {
    follower.loading(START);
    entries.iter().for_each(|what| follower.entry(&DenyEntry::new(what).to_bytes(), LATER));
    let now = follower.now();
    follower.loaded(now);
}

/// Nothing new, by the time it is now.
fn quiet(follower: &mut Follower) -> Next {
    let now = follower.now();
    follower.quiet(now, Some(START))
}

fn says(list: &FollowedDenyList, token: Marks<'_>, hands: &Hands) -> &'static str {
    match list.look_up(&token, hands.now()) {
        DenyLookup::Absent => "absent",
        DenyLookup::Denied => "denied",
        DenyLookup::Ask(_) => "out of reach",
    }
}

#[test]
fn a_list_answers_once_it_was_read_and_no_longer_than_its_bound_but_what_is_denied_stays_denied() {
    let (list, mut follower, _, hands) = list(10);
    let (bad, good) = (Marks::of(ISSUER).session_id("bad"), Marks::of(ISSUER).session_id("good"));
    assert_eq!(says(&list, good, &hands), "out of reach", "never read");
    read_whole(&mut follower, &[Deny::session(ISSUER, "bad")]);
    for (millis, expected) in [(0, "absent"), (1_999, "absent"), (2_000, "out of reach"), (-2_000, "out of reach")] {
        hands.set(millis);
        assert_eq!((says(&list, good, &hands), says(&list, bad, &hands)), (expected, "denied"), "{millis} ms");
    }
    hands.set(5_000);
    quiet(&mut follower);
    assert_eq!(says(&list, good, &hands), "absent", "and fresh again");
}

#[tokio::test]
async fn each_entry_denies_its_own_as_the_list_of_one_process_does() {
    let (list, mut follower, _, hands) = list(10);
    let over = Timestamp::from_secs(1);
    read_whole(&mut follower, &[]);
    list.deny(Deny::token_id(ISSUER, "7"), LATER).await.unwrap();
    list.deny(Deny::token_id(ISSUER, "over"), over).await.unwrap();
    list.deny(Deny::session(ISSUER, "s"), Timestamp::MAX).await.unwrap();
    list.deny(Deny::subject(ISSUER, "ada", Timestamp::from_secs(1000)), LATER).await.unwrap();
    list.deny(Deny::subject(ISSUER, "ada", Timestamp::from_secs(10)), over).await.unwrap();
    hands.set(1_000);
    quiet(&mut follower);
    let at = |secs| Some(Timestamp::from_secs(secs));
    let token = Marks::of(ISSUER);
    for (name, token, expected) in [
        ("the jti", token.token_id("7"), "denied"),
        ("another jti", token.token_id("8"), "absent"),
        ("another issuer's", Marks::of("https://other.example").token_id("7"), "absent"),
        ("an entry that is over", token.token_id("over"), "absent"),
        ("a subject that is spelt like the jti", token.subject("7", at(1)), "absent"),
        ("the session", token.session_id("s"), "denied"),
        ("issued before", token.subject("ada", at(1000)), "denied"),
        ("issued after", token.subject("ada", at(1001)), "absent"),
        ("issued nobody knows when", token.subject("ada", None), "denied"),
        ("a good subject in a bad session", token.subject("bob", at(1)).session_id("s"), "denied"),
        ("nothing to go by", token, "absent"),
    ] {
        assert_eq!(says(&list, token, &hands), expected, "{name}");
    }
}

#[test]
fn an_entry_without_room_puts_the_list_out_of_reach_until_there_is_room() {
    let (list, mut follower, _, hands) = list(1);
    let good = Marks::of(ISSUER).session_id("good");
    read_whole(&mut follower, &[Deny::session(ISSUER, "1"), Deny::session(ISSUER, "2")]);
    assert_eq!(says(&list, good, &hands), "out of reach");
    assert_eq!(says(&list, Marks::of(ISSUER).session_id("1"), &hands), "denied");
    quiet(&mut follower);
    assert_eq!(says(&list, good, &hands), "out of reach", "hearing nothing new does not mend it");
    assert_eq!((list.state().left_out, list.state().fresh), (1, false));
    hands.set(LATER.as_millis());
    read_whole(&mut follower, &[]);
    assert_eq!(follower.purge(), 1);
    assert_eq!(says(&list, good, &hands), "absent");
}

#[test]
fn a_list_that_is_far_too_small_says_so_once_and_looks_for_room_once() {
    let heard = Listener::all();
    let said = || heard.events().iter().filter(|event| event.name == "token.deny_list.full").count();
    tracing::subscriber::with_default(heard.clone(), || {
        let (list, mut follower, _, hands) = list(1_000);
        let entries: Vec<_> = (0..3_000).map(|number| Deny::session(ISSUER, &number.to_string())).collect();
        for (time, said_by_then) in [(0, 1), (1_000, 2)] {
            hands.set(time);
            read_whole(&mut follower, &entries);
            assert_eq!((follower.is_short(), said()), (true, said_by_then));
        }
        assert_eq!((list.state().left_out, list.state().entries), (4_000, 1_000));
        // One that ended makes room, as soon as the list is read anew.
        hands.set(LATER.as_millis());
        read_whole(&mut follower, &[]);
        follower.entry(&DenyEntry::new(&Deny::session(ISSUER, "new")).to_bytes(), Timestamp::MAX);
        assert_eq!((follower.is_short(), list.state().entries, said()), (false, 1, 2));
    });
}

#[tokio::test]
async fn a_slow_store_holds_up_nobody_who_reads_the_log_and_a_shared_one_is_left_to_who_announced_it() {
    use crate::gate::server::ResourceServer;
    use crate::opaque::{OpaqueAnswer, OpaqueError, OpaqueTokens, OpaqueVerifier};
    use crate::stores::{AnswerKey, AnswerStore, AnswerTag, StoredAnswer};
    use crate::token::audience::Audience;
    use crate::trust::issuer::Issuer;
    use std::sync::atomic::{AtomicUsize, Ordering as Order};

    #[derive(Debug)]
    struct Nobody;
    impl OpaqueVerifier for Nobody {
        fn identity(&self) -> &str {
            "nobody"
        }
        fn ask<'a>(&'a self, _: &'a str, _: Timestamp) -> BoxFuture<'a, Result<OpaqueAnswer, OpaqueError>> {
            Box::pin(ready(Ok(OpaqueAnswer::Inactive)))
        }
    }
    /// Never done with a drop; how many it was asked for.
    #[derive(Clone, Debug)]
    struct Slow(Arc<AtomicUsize>, bool);
    impl AnswerStore for Slow {
        fn find(&self, _: AnswerKey, _: Timestamp) -> BoxFuture<'_, Result<Option<StoredAnswer>, StoreError>> {
            Box::pin(ready(Ok(None)))
        }
        fn keep(&self, _: AnswerKey, _: StoredAnswer, _: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
            Box::pin(ready(Ok(())))
        }
        fn drop_key(&self, _: AnswerKey) -> BoxFuture<'_, Result<usize, StoreError>> {
            Box::pin(std::future::pending())
        }
        fn drop_tagged(&self, _: AnswerTag) -> BoxFuture<'_, Result<usize, StoreError>> {
            self.0.fetch_add(1, Order::Relaxed);
            Box::pin(std::future::pending())
        }
        fn is_shared(&self) -> bool {
            self.1
        }
    }
    for (shared, expected) in [(false, 1), (true, 0)] {
        let (list, mut follower, ..) = list(10);
        let store = Slow(Arc::default(), shared);
        let tokens = OpaqueTokens::verifier(Nobody).audience(Audience::any_of(["api"])).store(store.clone());
        let issuer = Issuer::without_keys(ISSUER, tokens).unwrap();
        let _api = ResourceServer::builder("api").trust(issuer).deny_list(list).build().unwrap();
        read_whole(&mut follower, &[]);
        let change = Change::Evict(EvictDigest::of(&Evict::subject(ISSUER, "ada")));
        let position = Position { epoch: 1, number: 2 };
        assert_eq!(follower.heard(position, Mark([0; 8]), &change.to_bytes()), Next::Read(position));
        tokio::task::yield_now().await;
        assert_eq!(store.0.load(Order::Relaxed), expected, "shared: {shared}");
    }
}

#[tokio::test]
async fn junk_replays_and_gaps_in_the_log_deny_nobody_and_lose_nothing() {
    let (list, mut follower, _, hands) = list(10);
    read_whole(&mut follower, &[]);
    let at = |number| Position { epoch: 1, number };
    let good = Change::Deny(DenyEntry::new(&Deny::session(ISSUER, "bad")), LATER).to_bytes();
    for junk in [&b""[..], b"\x01", b"junk", &good[..20], &[9; 50]] {
        let number = follower.held().unwrap().number + 1;
        assert_eq!(follower.heard(at(number), Mark([0; 8]), junk), Next::Read(at(number)));
    }
    assert_eq!((list.state().unreadable, list.state().entries), (5, 0));
    assert_eq!(follower.heard(at(7), Mark([0; 8]), &good), Next::Read(at(7)));
    assert_eq!(follower.heard(at(7), Mark([0; 8]), &good), Next::Read(at(7)), "a replay");
    assert_eq!(says(&list, Marks::of(ISSUER).session_id("bad"), &hands), "denied");
    assert_eq!(follower.heard(at(9), Mark([0; 8]), &good), Next::Load, "8 is missing");
    assert_eq!(list.state().gaps, 1);
}

#[tokio::test]
async fn what_one_server_evicts_is_announced_and_dropped_by_the_others() {
    use crate::gate::server::ResourceServer;
    use crate::jose::Algorithm;
    use crate::jose::signing::SigningKey;
    use crate::request::presented::Presented;
    use crate::trust::issuer::Issuer;
    use crate::trust::static_keys::StaticKeys;

    const SECRET: &[u8] = b"a secret of more than thirty-two bytes";
    let (list, mut follower, log, hands) = list(10);
    let issuer = || Issuer::with_keys(ISSUER, StaticKeys::secret(Algorithm::HS256, SECRET).unwrap()).unwrap();
    let server = |list: FollowedDenyList| {
        ResourceServer::builder("api").trust(issuer()).deny_list(list).clock(hands.clone()).build().unwrap()
    };
    let (api, gone) = (server(list.clone()), server(list.clone()));
    drop(gone);
    read_whole(&mut follower, &[]);
    let claims =
        r#"{"iss":"https://issuer.example","aud":"api","sub":"ada","sid":"s","client_id":"app","exp":4000000000}"#;
    let key = SigningKey::from_secret(Algorithm::HS256, None, SECRET).unwrap();
    let token = key.sign_jwt(r#"{"alg":"HS256"}"#, claims).unwrap();
    let evictions = [
        Evict::token(&token),
        Evict::subject(ISSUER, "ada"),
        Evict::session(ISSUER, "s"),
        Evict::client(ISSUER, "app"),
    ];
    for (number, evict) in (2..).zip(evictions) {
        api.authenticate(Presented::token(&token)).await.unwrap();
        // As another instance would have said it.
        let change = Change::Evict(EvictDigest::of(&evict));
        follower.heard(Position { epoch: 1, number }, Mark([0; 8]), &change.to_bytes());
        assert_eq!(api.evict(evict.clone()).await.unwrap(), 0, "{evict:?} was dropped already");
        assert_eq!(log.0.lock().unwrap().pop(), Some(change), "{evict:?} is announced");
    }
    assert!(log.0.lock().unwrap().is_empty(), "what was heard is not announced again");
}

#[tokio::test]
async fn a_start_can_wait_until_the_list_is_whole() {
    let (list, mut follower, _, _) = list(10);
    let waiting = tokio::spawn({
        let list = list.clone();
        async move { list.whole().await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    read_whole(&mut follower, &[]);
    waiting.await.unwrap();
    list.whole().await;
    assert!(follower.is_wanted());
    drop(list);
    assert!(!follower.is_wanted());
}
