//! A store that instances share: one answers for all, what one evicts is gone for all, and without it each goes on alone.

use super::*;

/// A shared store that can go down.
#[derive(Clone, Debug, Default)]
struct Shared(Arc<(MemoryAnswers, Mutex<bool>)>);

impl Shared {
    fn down(&self, down: bool) {
        *self.0.1.lock().unwrap() = down;
    }

    fn reach(&self) -> Result<&MemoryAnswers, StoreError> {
        if *self.0.1.lock().unwrap() { Err(StoreError::Unreachable("refused".into())) } else { Ok(&self.0.0) }
    }
}

impl AnswerStore for Shared {
    fn find(&self, key: AnswerKey, now: Timestamp) -> BoxFuture<'_, Result<Option<StoredAnswer>, StoreError>> {
        Box::pin(async move { self.reach()?.find(key, now).await })
    }
    fn keep(&self, key: AnswerKey, answer: StoredAnswer, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.reach()?.keep(key, answer, now).await })
    }
    fn generation(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move { self.reach()?.generation().await })
    }
    fn drop_key(&self, key: AnswerKey) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(async move { self.reach()?.drop_key(key).await })
    }
    fn drop_tagged(&self, tag: AnswerTag) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(async move { self.reach()?.drop_tagged(tag).await })
    }
}

/// A store that answers after this long.
#[derive(Clone, Debug)]
struct Distant(Arc<MemoryAnswers>, Duration);

impl AnswerStore for Distant {
    fn find(&self, key: AnswerKey, now: Timestamp) -> BoxFuture<'_, Result<Option<StoredAnswer>, StoreError>> {
        Box::pin(async move {
            tokio::time::sleep(self.1).await;
            self.0.find(key, now).await
        })
    }
    fn keep(&self, key: AnswerKey, answer: StoredAnswer, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            tokio::time::sleep(self.1).await;
            self.0.keep(key, answer, now).await
        })
    }
    fn generation(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            tokio::time::sleep(self.1).await;
            self.0.generation().await
        })
    }
    fn drop_key(&self, key: AnswerKey) -> BoxFuture<'_, Result<usize, StoreError>> {
        self.0.drop_key(key)
    }
    fn drop_tagged(&self, tag: AnswerTag) -> BoxFuture<'_, Result<usize, StoreError>> {
        self.0.drop_tagged(tag)
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_further_away_is_waited_for_where_that_is_said_and_else_counts_as_empty() {
    for (bound, asked) in [(None, 2), (Some(Duration::from_secs(2)), 1), (Some(Duration::from_millis(800)), 2)] {
        let (endpoint, store) = (Endpoint::new(), Distant(Arc::default(), Duration::from_secs(1)));
        endpoint.says("opaque", &active(json!({})));
        let instance = || {
            gate(&endpoint, |tokens| {
                let tokens = tokens.store(store.clone()).local_life(Duration::ZERO);
                bound.into_iter().fold(tokens, OpaqueTokens::store_timeout)
            })
        };
        for _ in 0..2 {
            instance().verdict("opaque").await.unwrap();
        }
        assert_eq!(endpoint.hits(), asked, "{bound:?}");
    }
}

#[tokio::test]
async fn what_one_instance_found_serves_all_and_what_one_evicts_is_gone_for_all() {
    let (endpoint, store) = (Endpoint::new(), Shared::default());
    endpoint.says("opaque", &active(json!({"sid": "s", "client_id": "app"})));
    let (one, two) =
        (gate(&endpoint, |tokens| tokens.store(store.clone())), gate(&endpoint, |tokens| tokens.store(store.clone())));
    for evict in [
        Evict::token("opaque"),
        Evict::subject(ISSUER, "ada"),
        Evict::session(ISSUER, "s"),
        Evict::client(ISSUER, "app"),
    ] {
        endpoint.says("opaque", &active(json!({"sid": "s", "client_id": "app"})));
        let before = endpoint.hits();
        one.verdict("opaque").await.unwrap();
        two.verdict("opaque").await.unwrap();
        assert_eq!(endpoint.hits(), before + 1, "found once");
        endpoint.says("opaque", &json!({"active": false}));
        assert_eq!(one.api.evict(evict.clone()).await.unwrap(), 1, "{evict:?}");
        assert_eq!(two.refusal("opaque").await, Some(ErrorKind::Inactive), "{evict:?}");
        two.api.evict(Evict::token("opaque")).await.unwrap();
    }
}

#[tokio::test]
async fn without_its_store_verification_goes_on_and_says_so() {
    let (endpoint, store) = (Endpoint::new(), Shared::default());
    endpoint.says("opaque", &active(json!({})));
    let gate = gate(&endpoint, |tokens| tokens.store(store.clone()));
    store.down(true);
    for _ in 0..3 {
        assert_eq!(gate.refusal("opaque").await, None);
    }
    assert_eq!(endpoint.hits(), 3);
    let state = gate.api.opaque_health().remove(0).1;
    assert!(state.store_failures >= 3 && state.last_store_error.is_some());
    assert_eq!(gate.api.evict(Evict::token("opaque")).await.unwrap_err().kind(), ErrorKind::Unavailable);
    store.down(false);
    assert_eq!(gate.refusal("opaque").await, None);
    assert_eq!(gate.api.opaque_health().remove(0).1.last_store_error, None);
}

#[tokio::test]
async fn what_is_evicted_while_it_is_asked_about_is_not_kept() {
    let endpoint = Endpoint::new();
    endpoint.says("opaque", &active(json!({})));
    endpoint.0.open.forget_permits(Semaphore::MAX_PERMITS);
    let gate = gate(&endpoint, |tokens| tokens);
    let request = tokio::spawn(gate.api.authenticate(Presented::token("opaque")));
    while endpoint.hits() == 0 {
        tokio::task::yield_now().await;
    }
    gate.api.evict(Evict::token("opaque")).await.unwrap();
    endpoint.0.open.add_permits(10);
    request.await.unwrap().unwrap();
    endpoint.says("opaque", &json!({"active": false}));
    assert_eq!(gate.refusal("opaque").await, Some(ErrorKind::Inactive), "asked anew");
}

#[tokio::test]
async fn what_one_instance_evicts_is_not_brought_back_by_a_question_under_way_on_another() {
    for evict in [
        Evict::token("opaque"),
        Evict::subject(ISSUER, "ada"),
        Evict::session(ISSUER, "s"),
        Evict::client(ISSUER, "app"),
    ] {
        let (endpoint, store) = (Endpoint::new(), Shared::default());
        endpoint.says("opaque", &active(json!({"sid": "s", "client_id": "app"})));
        endpoint.0.open.forget_permits(Semaphore::MAX_PERMITS);
        let instance = || gate(&endpoint, |tokens| tokens.store(store.clone()));
        let (one, two) = (instance(), instance());
        let slow = tokio::spawn(two.api.authenticate(Presented::token("opaque")));
        while endpoint.hits() == 0 {
            tokio::task::yield_now().await;
        }
        one.api.evict(evict.clone()).await.unwrap();
        endpoint.0.open.add_permits(10);
        assert!(slow.await.unwrap().is_ok(), "it came before the eviction");
        endpoint.says("opaque", &json!({"active": false}));
        for gate in [&one, &two] {
            assert_eq!(gate.refusal("opaque").await, Some(ErrorKind::Inactive), "{evict:?}");
        }
    }
}
