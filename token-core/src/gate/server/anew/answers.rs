//! What becomes of answers about tokens that were on their way while something ended: revocations, evictions, clocks that are set back.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{at, kind};
use crate::answer::error::ErrorKind;
use crate::base::http::BoxFuture;
use crate::base::time::Timestamp;
use crate::base::time::hands::Hands;
use crate::gate::server::tests::{AUDIENCE, Gate, ISSUER, NOW, issuer, token};
use crate::jose::Algorithm;
use crate::opaque::{OpaqueAnswer, OpaqueError, OpaqueTokens, OpaqueVerifier};
use crate::request::presented::Presented;
use crate::stores::followed::{Change, ChangeLog, FollowedDenyList, FollowedSettings, Follower, Mark, Next, Position};
use crate::stores::{
    AnswerKey, AnswerStore, AnswerTag, Evict, MemoryAnswers, StoreError, StoredAnswer, TokenCacheSettings,
};
use crate::trust::issuer::Issuer;
use crate::trust::static_keys::StaticKeys;

/// An endpoint that answers by the token, when it is let.
#[derive(Clone, Debug)]
struct Endpoint(Arc<(HashMap<String, Value>, Semaphore, AtomicUsize)>);

impl Endpoint {
    fn new<'a>(answers: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        let answers = answers.into_iter().map(|(token, answer)| (token.to_owned(), answer)).collect();
        Self(Arc::new((answers, Semaphore::new(0), AtomicUsize::new(0))))
    }

    fn open(&self) {
        self.0.1.add_permits(100);
    }

    fn times(&self) -> usize {
        self.0.2.load(Ordering::SeqCst)
    }

    async fn is_asked(&self) {
        while self.times() == 0 {
            tokio::task::yield_now().await;
        }
    }
}

impl OpaqueVerifier for Endpoint {
    fn identity(&self) -> &str {
        "endpoint"
    }

    fn ask<'a>(&'a self, token: &'a str, _: Timestamp) -> BoxFuture<'a, Result<OpaqueAnswer, OpaqueError>> {
        Box::pin(async move {
            self.0.2.fetch_add(1, Ordering::SeqCst);
            self.0.1.acquire().await.unwrap().forget();
            Ok(OpaqueAnswer::Claims(self.0.0[token].to_string()))
        })
    }
}

#[tokio::test]
async fn the_times_of_an_answer_about_a_jwt_count_beside_the_jwts_own() {
    for (times, expected) in [
        (json!({}), None),
        (json!({"exp": NOW + 60, "nbf": NOW}), None),
        (json!({"exp": NOW - 60}), Some(ErrorKind::Expired)),
        (json!({"nbf": NOW + 60}), Some(ErrorKind::NotYetValid)),
    ] {
        let text = token(json!({}));
        let mut answer = times.clone();
        answer["active"] = json!(true);
        let endpoint = Endpoint::new([(text.as_str(), answer)]);
        endpoint.open();
        let gate = Gate::with(issuer().opaque_tokens(OpaqueTokens::verifier(endpoint).introspect_jwts()), |b| b);
        for temperature in ["cold", "warm"] {
            assert_eq!(kind(&gate.api, &text).await, expected, "{temperature} {times}");
        }
    }
}

fn active() -> Value {
    json!({"active": true, "aud": AUDIENCE, "sub": "ada", "exp": NOW + 600})
}

#[tokio::test]
async fn an_issuer_that_is_distrusted_while_its_endpoint_is_asked_vouches_for_nothing() {
    let endpoint = Endpoint::new([("opaque", active())]);
    let gate = Gate::with(issuer().opaque_tokens(OpaqueTokens::verifier(endpoint.clone())), |builder| builder);
    let verdict = tokio::spawn(gate.api.authenticate(Presented::token("opaque")));
    endpoint.is_asked().await;
    assert!(gate.api.distrust(ISSUER));
    endpoint.open();
    assert_eq!(verdict.await.unwrap().unwrap_err().kind(), ErrorKind::UnknownIssuer);
}

/// A store that says what it is asked to write and to drop, writes nothing before it is told to, and drops nothing while the test holds that up.
#[derive(Clone, Debug)]
struct Slow(Arc<Held>);

#[derive(Debug)]
struct Held {
    answers: MemoryAnswers,
    keeps: Semaphore,
    drops: tokio::sync::Mutex<()>,
    asked: Mutex<Vec<&'static str>>,
}

impl Slow {
    fn new(permits: usize) -> Self {
        let (answers, keeps) = (MemoryAnswers::new(100, 100_000), Semaphore::new(permits));
        Self(Arc::new(Held { answers, keeps, drops: tokio::sync::Mutex::default(), asked: Mutex::default() }))
    }

    fn note(&self, what: &'static str) {
        self.0.asked.lock().unwrap().push(what);
    }

    fn asked(&self) -> Vec<&'static str> {
        self.0.asked.lock().unwrap().clone()
    }

    async fn is_asked_to(&self, what: &'static str) {
        while self.asked().last() != Some(&what) {
            tokio::task::yield_now().await;
        }
    }
}

impl AnswerStore for Slow {
    fn find(&self, key: AnswerKey, now: Timestamp) -> BoxFuture<'_, Result<Option<StoredAnswer>, StoreError>> {
        self.0.answers.find(key, now)
    }
    fn keep(&self, key: AnswerKey, answer: StoredAnswer, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.note("keep");
            self.0.keeps.acquire().await.unwrap().forget();
            self.0.answers.keep(key, answer, now).await
        })
    }
    fn generation(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.0.answers.generation()
    }
    fn drop_key(&self, key: AnswerKey) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(async move {
            self.note("drop");
            let _held_up = self.0.drops.lock().await;
            self.0.answers.drop_key(key).await
        })
    }
    fn drop_tagged(&self, tag: AnswerTag) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(async move {
            self.note("drop");
            let _held_up = self.0.drops.lock().await;
            self.0.answers.drop_tagged(tag).await
        })
    }
    // One process writes into it, and remembers what it found beside it.
    fn is_shared(&self) -> bool {
        false
    }
}

fn asking(endpoint: &Endpoint, store: &Slow) -> Gate {
    let tokens = OpaqueTokens::verifier(endpoint.clone()).store(store.clone());
    Gate::with(issuer().opaque_tokens(tokens), |builder| builder.token_cache(TokenCacheSettings::default().entries(8)))
}

#[tokio::test]
async fn an_answer_to_a_question_from_before_an_eviction_is_written_nowhere() {
    let (endpoint, store) = (Endpoint::new([("opaque", active())]), Slow::new(10));
    let gate = asking(&endpoint, &store);
    // The cache is full: whatever came in would displace one of these.
    gate.api.0.cache.as_ref().unwrap().go_by(true);
    let entries = || gate.api.0.cache.as_ref().unwrap().usage().0;
    for jti in 0..8 {
        gate.ask(&token(json!({"jti": jti.to_string()}))).unwrap();
    }
    assert_eq!(entries(), 8);
    let verdict = tokio::spawn(gate.api.authenticate(Presented::token("opaque")));
    endpoint.is_asked().await;
    gate.api.evict(Evict::token("another")).await.unwrap();
    endpoint.open();
    verdict.await.unwrap().unwrap();
    assert_eq!((store.asked(), entries()), (vec!["drop"], 8));
}

#[tokio::test]
async fn what_is_found_in_a_store_before_it_is_dropped_there_goes_into_no_cache() {
    let (endpoint, store) = (Endpoint::new([("opaque", active())]), Slow::new(10));
    endpoint.open();
    let gate = asking(&endpoint, &store);
    assert_eq!(kind(&gate.api, "opaque").await, None);
    for (round, evict) in [Evict::token("opaque"), Evict::subject(ISSUER, "ada")].into_iter().enumerate() {
        let held_up = store.0.drops.lock().await;
        let evicted = tokio::spawn(gate.api.evict(evict));
        store.is_asked_to("drop").await;
        assert_eq!(kind(&gate.api, "opaque").await, None, "nobody waits for a store that is slow to drop");
        assert_eq!(endpoint.times(), round + 1, "the store had it still");
        drop(held_up);
        evicted.await.unwrap().unwrap();
        assert_eq!(kind(&gate.api, "opaque").await, None);
        assert_eq!(endpoint.times(), round + 2, "the endpoint is asked anew");
    }
}

#[tokio::test]
async fn an_answer_that_is_evicted_while_it_is_being_written_is_taken_out_again() {
    let (endpoint, store) = (Endpoint::new([("opaque", active())]), Slow::new(0));
    endpoint.open();
    let gate = asking(&endpoint, &store);
    let verdict = tokio::spawn(gate.api.authenticate(Presented::token("opaque")));
    store.is_asked_to("keep").await;
    gate.api.evict(Evict::token("opaque")).await.unwrap();
    store.0.keeps.add_permits(1);
    verdict.await.unwrap().unwrap();
    let key = AnswerKey::new("endpoint", "opaque");
    assert!(store.find(key, Timestamp::from_secs(NOW)).await.unwrap().is_none());
}

/// A store of another process: it finds whatever was kept, and leaves the time to its reader.
#[derive(Debug, Default)]
struct Elsewhere(Mutex<HashMap<AnswerKey, StoredAnswer>>);

impl AnswerStore for Elsewhere {
    fn find(&self, key: AnswerKey, _: Timestamp) -> BoxFuture<'_, Result<Option<StoredAnswer>, StoreError>> {
        Box::pin(std::future::ready(Ok(self.0.lock().unwrap().get(&key).cloned())))
    }
    fn keep(&self, key: AnswerKey, answer: StoredAnswer, _: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        self.0.lock().unwrap().insert(key, answer);
        Box::pin(std::future::ready(Ok(())))
    }
    fn drop_key(&self, _: AnswerKey) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(std::future::ready(Ok(0)))
    }
    fn drop_tagged(&self, _: AnswerTag) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(std::future::ready(Ok(0)))
    }
}

#[tokio::test]
async fn no_answer_outlives_a_clock_that_is_set_back() {
    // What an endpoint says holds for a minute. The clock is set, and by everybody's watch that minute may be over.
    let stores: [fn(OpaqueTokens) -> OpaqueTokens; 2] =
        [|tokens| tokens, |tokens| tokens.store(Elsewhere::default()).local_life(Duration::from_secs(60))];
    for (name, with_store) in ["memory", "a shared store"].iter().zip(stores) {
        for entries in [0, 8] {
            for (seconds, questions) in [(30, 1), (59, 1), (60, 2), (-1, 1), (-121, 2), (-3600, 2), (-86_400, 2)] {
                let endpoint = Endpoint::new([("opaque", json!({"active": true, "aud": AUDIENCE, "sub": "ada"}))]);
                endpoint.open();
                let issuer = issuer().opaque_tokens(with_store(OpaqueTokens::verifier(endpoint.clone())));
                let cache = TokenCacheSettings::default().entries(entries);
                let gate = Gate::with(issuer, |builder| builder.token_cache(cache));
                for second in [0, seconds] {
                    at(&gate, second);
                    assert_eq!(kind(&gate.api, "opaque").await, None);
                }
                let asked = endpoint.times();
                assert_eq!(asked, questions, "{name}, {entries} tokens cached, {seconds} s");
            }
        }
    }
}

/// A store that drops nothing, and counts how often it was asked to.
#[derive(Clone, Debug, Default)]
struct OutOfReach(Arc<AtomicUsize>);

impl AnswerStore for OutOfReach {
    fn find(&self, _: AnswerKey, _: Timestamp) -> BoxFuture<'_, Result<Option<StoredAnswer>, StoreError>> {
        Box::pin(std::future::ready(Ok(None)))
    }
    fn keep(&self, _: AnswerKey, _: StoredAnswer, _: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }
    fn drop_key(&self, _: AnswerKey) -> BoxFuture<'_, Result<usize, StoreError>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(Err(StoreError::Unreachable("down".to_owned()))))
    }
    fn drop_tagged(&self, _: AnswerTag) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(std::future::ready(Ok(0)))
    }
}

#[tokio::test]
async fn a_store_that_is_out_of_reach_keeps_nothing_in_the_other_issuers_stores() {
    let store = OutOfReach::default();
    let asking = |issuer: Issuer, prefix: &str| {
        issuer.opaque_tokens(OpaqueTokens::verifier(Endpoint::new([])).store(store.clone()).prefix(prefix))
    };
    let other = || Issuer::with_keys("https://other.example", StaticKeys::secret(Algorithm::HS256, &[7; 32]).unwrap());
    let gate = Gate::with(asking(issuer(), "a_"), |builder| builder.trust(asking(other().unwrap(), "b_")));
    let error = gate.api.evict(Evict::token("opaque")).await.unwrap_err();
    assert_eq!((error.kind(), store.0.load(Ordering::SeqCst)), (ErrorKind::Unavailable, 2));
}

/// A log that takes everything and tells nobody.
#[derive(Debug)]
struct Deaf;

impl ChangeLog for Deaf {
    fn append(&self, _: Change) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test]
async fn what_may_have_been_evicted_in_a_gap_of_the_log_is_asked_about_again() {
    let place = |number| (Position { epoch: 1, number }, Mark([0; 8]));
    for entries in [0, 8] {
        let endpoint = Endpoint::new([("opaque", active())]);
        endpoint.open();
        let hands = Hands::at(NOW);
        let (list, mut follower) = FollowedDenyList::with(Deaf, FollowedSettings::default().clock(hands));
        let read_whole = |follower: &mut Follower, end| {
            follower.loading(end);
            let now = follower.now();
            follower.loaded(now)
        };
        read_whole(&mut follower, place(1));
        let issuer = issuer().opaque_tokens(OpaqueTokens::verifier(endpoint.clone()));
        let cache = TokenCacheSettings::default().entries(entries);
        let gate = Gate::with(issuer, |builder| builder.token_cache(cache).deny_list(list));
        for _ in 0..2 {
            assert_eq!(kind(&gate.api, "opaque").await, None);
        }
        assert_eq!(endpoint.0.2.load(Ordering::SeqCst), 1, "remembered");
        // Entry 2 is lost to this instance: it may have said that the token is to be forgotten.
        let (position, mark) = place(3);
        assert_eq!(follower.heard(position, mark, &Change::Opened.to_bytes()), Next::Load);
        read_whole(&mut follower, place(3));
        assert_eq!(kind(&gate.api, "opaque").await, None);
        assert_eq!(endpoint.0.2.load(Ordering::SeqCst), 2, "{entries} tokens cached");
    }
}
