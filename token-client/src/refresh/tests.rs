//! Several processes, one refresh token, a server that rotates and detects reuse: who sends what, and what is lost when one dies.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::json;
use token_core::http::{HttpClient, HttpError, Limits};
use token_test::ManualClock;
use tokio::sync::Semaphore;

use super::*;
use crate::store::MemoryStore;

/// An authorization server that rotates `r0`, `r1`, … and knows every token it has seen.
#[derive(Debug)]
struct Server {
    state: Mutex<State>,
    answers: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    current: usize,
    received: Vec<String>,
    reused: bool,
    broken: bool,
    rotating: bool,
}

impl Server {
    fn start() -> Arc<Self> {
        let state = State { rotating: true, ..State::default() };
        Arc::new(Self { state: Mutex::new(state), answers: Semaphore::new(1000) })
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    fn received(&self) -> Vec<String> {
        self.state.lock().unwrap().received.clone()
    }
}

#[derive(Clone, Debug)]
struct Wire(Arc<Server>);

impl HttpClient for Wire {
    fn send(&self, request: Request<Bytes>, _: Limits) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        Box::pin(async move {
            let form: Vec<(String, String)> = url::form_urlencoded::parse(request.body()).into_owned().collect();
            let token = form.into_iter().find(|(name, _)| name == "refresh_token").unwrap().1;
            self.0.answers.acquire().await.unwrap().forget();
            let mut state = self.0.state.lock().unwrap();
            state.received.push(token.clone());
            if state.broken {
                return Err(HttpError::Connect("refused".to_owned()));
            }
            let (status, body) = if token == format!("r{}", state.current) && !state.reused {
                let number = state.received.len();
                let mut body =
                    json!({ "access_token": format!("a{number}"), "token_type": "Bearer", "expires_in": 1000 });
                if state.rotating {
                    state.current += 1;
                    body["refresh_token"] = json!(format!("r{}", state.current));
                }
                (StatusCode::OK, body)
            } else {
                state.reused = true;
                let body = json!({ "error": "invalid_grant", "error_description": "reuse detected, family revoked" });
                (StatusCode::BAD_REQUEST, body)
            };
            Ok(Response::builder().status(status).body(Bytes::from(body.to_string())).unwrap())
        })
    }
}

/// A store that can be told to refuse writes.
#[derive(Debug, Default)]
struct Shaky {
    store: MemoryStore,
    refusing: AtomicBool,
    /// Swaps that go through before it starts to refuse.
    healthy_swaps: std::sync::atomic::AtomicUsize,
}

impl SwapStore for Shaky {
    fn load<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Bytes>, StoreError>> {
        self.store.load(name)
    }

    fn swap<'a>(
        &'a self,
        name: &'a str,
        expected: Option<&'a [u8]>,
        next: Option<&'a [u8]>,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        if self.refusing.load(Ordering::SeqCst) {
            let left = self.healthy_swaps.load(Ordering::SeqCst);
            if left == 0 {
                return Box::pin(std::future::ready(Err(StoreError::Unreachable("the store is read-only".to_owned()))));
            }
            self.healthy_swaps.store(left - 1, Ordering::SeqCst);
        }
        self.store.swap(name, expected, next)
    }
}

struct World {
    server: Arc<Server>,
    store: Arc<Shaky>,
    clock: ManualClock,
}

impl World {
    async fn new() -> Self {
        let world = Self { server: Server::start(), store: Arc::default(), clock: ManualClock::default() };
        world.replica().keep(&"r0".into()).await.unwrap();
        world
    }

    fn builder(&self) -> RefreshSourceBuilder {
        let client = TokenClient::builder("https://as/token", "me")
            .secret("canary")
            .http(Wire(Arc::clone(&self.server)))
            .clock(self.clock.clone())
            .build()
            .unwrap();
        RefreshSource::builder(client, Arc::clone(&self.store) as _, "ada")
    }

    fn replica(&self) -> RefreshSource {
        self.builder().build()
    }

    fn later(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_replica_never_sends_a_spent_refresh_token() {
    let world = World::new().await;
    let replicas = [world.replica(), world.replica(), world.replica()];
    for round in 1..=20 {
        let asks: Vec<_> = replicas
            .iter()
            .flat_map(|replica| std::iter::repeat_n(replica, 10))
            .map(|replica| {
                let replica = replica.clone();
                tokio::spawn(async move { replica.token().await })
            })
            .collect();
        for ask in asks {
            assert_eq!(ask.await.unwrap().unwrap().expose(), format!("a{round}"), "all share one token");
        }
        world.later(2000);
    }
    let expected: Vec<String> = (0..20).map(|number| format!("r{number}")).collect();
    assert_eq!(world.server.received(), expected, "each refresh token once, in order");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_mid_rotation_loses_nothing() {
    let world = World::new().await;
    let source = world.replica();
    world.server.answers.forget_permits(1000);
    let caller = tokio::spawn({
        let source = source.clone();
        async move { source.token().await }
    });
    while world.server.answers.available_permits() == 0 && !caller.is_finished() {
        tokio::task::yield_now().await;
        if source.cell.ask().now().is_err() {
            break;
        }
    }
    caller.abort();
    let _ = caller.await;
    world.server.answers.add_permits(10);
    assert_eq!(source.token().await.unwrap().expose(), "a1");
    world.later(2000);
    assert_eq!(world.replica().token().await.unwrap().expose(), "a2");
    assert_eq!(world.server.received(), ["r0", "r1"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_a_token_whose_rotation_is_not_written() {
    let world = World::new().await;
    let source = world.replica();
    world.store.healthy_swaps.store(1, Ordering::SeqCst); // the claim, and then no more
    world.store.refusing.store(true, Ordering::SeqCst);
    assert_eq!(source.token().await.unwrap_err().kind(), TokenErrorKind::Store);
    assert_eq!(world.server.received(), ["r0"]);

    world.later(2);
    assert_eq!(source.token().await.unwrap_err().kind(), TokenErrorKind::Store);
    world.store.refusing.store(false, Ordering::SeqCst);
    world.later(5);
    assert_eq!(source.token().await.unwrap().expose(), "a1", "written late, and not asked for again");
    assert_eq!(world.server.received(), ["r0"]);
    world.later(2000);
    assert_eq!(world.replica().token().await.unwrap().expose(), "a2");
}

#[tokio::test(start_paused = true)]
async fn a_process_killed_before_it_wrote_costs_that_one_grant_and_no_more() {
    let world = World::new().await;
    world.store.healthy_swaps.store(1, Ordering::SeqCst);
    world.store.refusing.store(true, Ordering::SeqCst);
    let killed = world.replica();
    killed.token().await.unwrap_err();
    drop(killed); // with what it had not written
    world.store.refusing.store(false, Ordering::SeqCst);

    world.later(31); // the claim of the dead ends by itself
    let survivor = world.replica();
    assert_eq!(survivor.token().await.unwrap_err().kind(), TokenErrorKind::Reused);
    for _ in 0..3 {
        world.later(60);
        assert_eq!(survivor.token().await.unwrap_err().fault(), Fault::Terminal);
    }
    assert_eq!(world.server.received(), ["r0", "r0"], "a token that was refused is never sent again");

    world.server.change(|state| (state.reused, state.current) = (false, 7));
    survivor.keep(&"r7".into()).await.unwrap();
    assert!(survivor.token().await.is_ok(), "a new sign-in mends it");
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_waited_for_and_not_overrun() {
    let world = World::new().await;
    world.server.answers.forget_permits(1000);
    let (first, second) = (world.replica(), world.replica());
    let ask = |source: &RefreshSource| {
        let source = source.clone();
        tokio::spawn(async move { source.token().await })
    };
    let one = ask(&first);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let two = ask(&second);
    tokio::time::sleep(Duration::from_secs(3)).await;
    world.server.answers.add_permits(10);
    assert_eq!(one.await.unwrap().unwrap(), two.await.unwrap().unwrap());
    assert_eq!(world.server.received(), ["r0"]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_not_the_end_of_the_grant() {
    let world = World::new().await;
    let (one, two) = (world.replica(), world.replica());
    world.server.change(|state| state.broken = true);
    assert_eq!(one.token().await.unwrap_err().fault(), Fault::Outage);
    world.server.change(|state| state.broken = false);
    assert_eq!(two.token().await.unwrap().expose(), "a2", "the claim was given back");
    world.later(2);
    assert_eq!(one.token().await.unwrap().expose(), "a2");
    assert_eq!(world.server.received(), ["r0", "r0"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_rotate_keeps_its_refresh_token() {
    let world = World::new().await;
    world.server.change(|state| state.rotating = false);
    let source = world.replica();
    for round in 1..=3 {
        assert_eq!(source.token().await.unwrap().expose(), format!("a{round}"));
        world.later(2000);
    }
    assert_eq!(world.server.received(), ["r0", "r0", "r0"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_access_token_is_not_taken_from_the_record_again() {
    let world = World::new().await;
    let (one, two) = (world.replica(), world.replica());
    let refused = one.token().await.unwrap();
    assert_eq!(two.token().await.unwrap(), refused);
    world.later(11);
    assert_eq!(one.renew(&refused).await.unwrap().expose(), "a2");
    assert_eq!(two.renew(&refused).await.unwrap().expose(), "a2", "the other replica finds it there");
    assert_eq!(world.server.received(), ["r0", "r1"]);
}

#[tokio::test(start_paused = true)]
async fn one_refresh_token_serves_several_audiences_without_mixing_them_up() {
    let world = World::new().await;
    let mail = world.builder().shape(|request| request.audience("mail")).build();
    let files = world.builder().shape(|request| request.audience("files")).build();
    assert_eq!(mail.token().await.unwrap().expose(), "a1");
    assert_eq!(files.token().await.unwrap().expose(), "a2");
    assert_eq!(world.server.received(), ["r0", "r1"]);
}

/// Notes each rotation, or refuses it.
#[derive(Clone, Debug, Default)]
struct Hook(Arc<Notes>);

#[derive(Debug, Default)]
struct Notes {
    refusing: AtomicBool,
    rotations: Mutex<Vec<[String; 2]>>,
}

impl OnRotate for Hook {
    fn rotated<'a>(&'a self, old: &'a RefreshToken, new: &'a RefreshToken) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            if self.0.refusing.load(Ordering::SeqCst) {
                return Err(StoreError::Unreachable("the disk is full".to_owned()));
            }
            self.0.rotations.lock().unwrap().push([old, new].map(|token| token.expose().to_owned()));
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn the_hook_hears_of_a_rotation_before_the_waiters_and_until_it_has_taken_it() {
    let world = World::new().await;
    let hook = Hook::default();
    hook.0.refusing.store(true, Ordering::SeqCst);
    let source = world.builder().on_rotate(hook.clone()).build();
    assert_eq!(source.token().await.unwrap_err().kind(), TokenErrorKind::Store);
    hook.0.refusing.store(false, Ordering::SeqCst);
    world.later(2);
    assert_eq!(source.token().await.unwrap().expose(), "a1");
    assert_eq!(*hook.0.rotations.lock().unwrap(), [["r0", "r1"]]);
    assert_eq!(world.server.received(), ["r0"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_record_the_user_has_to_sign_in() {
    let world = World::new().await;
    let source = world.replica();
    source.forget().await.unwrap();
    assert_eq!(source.token().await.unwrap_err().fault(), Fault::Terminal);
    assert_eq!(world.server.received(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_record_of_somebody_else_is_an_error_that_does_not_quote_it() {
    let world = World::new().await;
    let before = world.store.load("ada").await.unwrap().unwrap();
    assert!(world.store.swap("ada", Some(&before), Some(b"canary")).await.unwrap());
    let error = world.replica().token().await.unwrap_err();
    assert_eq!(error.kind(), TokenErrorKind::Store);
    assert!(!format!("{error} {error:?} {:?}", world.replica()).contains("canary"));
}

#[tokio::test(start_paused = true)]
async fn the_same_refresh_token_put_again_is_not_sent_a_second_time_while_it_is_being_spent() {
    let world = World::new().await;
    world.server.answers.forget_permits(1000);
    let (one, two) = (world.replica(), world.replica());
    let asked = tokio::spawn({
        let one = one.clone();
        async move { one.token().await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    // A process that starts, and one that signs in with what it has from its own database.
    two.keep(&"r0".into()).await.unwrap();
    one.keep(&"r0".into()).await.unwrap();
    let other = tokio::spawn(async move { two.token().await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.server.answers.add_permits(10);
    assert_eq!((asked.await.unwrap().unwrap().expose(), other.await.unwrap().unwrap().expose()), ("a1", "a1"));
    assert_eq!(world.server.received(), ["r0"]);
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_that_the_store_did_not_take_loses_no_rotation() {
    let world = World::new().await;
    let source = world.replica();
    world.store.healthy_swaps.store(1, Ordering::SeqCst); // the claim, and then no more
    world.store.refusing.store(true, Ordering::SeqCst);
    assert_eq!(source.token().await.unwrap_err().kind(), TokenErrorKind::Store);
    assert_eq!(source.keep(&"r7".into()).await.unwrap_err().kind(), TokenErrorKind::Store);
    world.store.refusing.store(false, Ordering::SeqCst);
    world.later(2);
    assert_eq!(source.token().await.unwrap().expose(), "a1", "r0 was spent: what it brought is all there is");
    assert_eq!(world.server.received(), ["r0"]);
}

#[tokio::test(start_paused = true)]
async fn the_hook_is_not_told_of_a_rotation_of_the_grant_before_a_sign_in() {
    // Refused by the hook before the sign-in, and under way during it.
    let world = World::new().await;
    let hook = Hook::default();
    hook.0.refusing.store(true, Ordering::SeqCst);
    let source = world.builder().on_rotate(hook.clone()).build();
    assert_eq!(source.token().await.unwrap_err().kind(), TokenErrorKind::Store);
    hook.0.refusing.store(false, Ordering::SeqCst);
    world.server.answers.forget_permits(1000);
    world.later(5000);
    let under_way = tokio::spawn({
        let source = source.clone();
        async move { source.token().await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    source.keep(&"r2".into()).await.unwrap();
    let after = tokio::spawn({
        let source = source.clone();
        async move { source.token().await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.server.answers.add_permits(1);
    assert_eq!(under_way.await.unwrap().unwrap().expose(), "a2", "who asked before the sign-in");
    world.server.answers.add_permits(1);
    assert_eq!(after.await.unwrap().unwrap().expose(), "a3");
    assert_eq!(world.server.received(), ["r0", "r1", "r2"]);
    assert_eq!(*hook.0.rotations.lock().unwrap(), [["r2", "r3"]]);
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_that_is_dropped_or_fails_leaves_no_token_of_the_grant_before_in_its_place() {
    let world = World::new().await;
    let source = world.replica();
    assert_eq!(source.token().await.unwrap().expose(), "a1");
    // Somebody else signed in, here the process itself: its write went through, the answer to it did not come.
    let before = world.store.load("ada").await.unwrap().unwrap();
    let signed_in = Record::first("r1", None).to_bytes();
    assert!(world.store.swap("ada", Some(&before), Some(&signed_in)).await.unwrap());
    world.store.refusing.store(true, Ordering::SeqCst);
    assert_eq!(source.keep(&"r2".into()).await.unwrap_err().kind(), TokenErrorKind::Store);
    world.store.refusing.store(false, Ordering::SeqCst);
    assert_eq!(source.token().await.unwrap().expose(), "a2");
    assert_eq!(world.server.received(), ["r0", "r1"]);
}
