//! What callers may count on: one request however many ask, no caller owns it, failures pass, refused tokens are replaced.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use token_test::ManualClock;
use tokio::sync::Semaphore;

use super::*;
use crate::error::TokenErrorKind;

/// Issues `t1`, `t2`, … good for 1000 s, one per permit.
#[derive(Debug)]
struct Server {
    clock: ManualClock,
    asked: AtomicUsize,
    answers: Semaphore,
    failing: std::sync::atomic::AtomicBool,
}

impl Server {
    fn start(answers: usize) -> (Arc<Self>, Arc<Cell>, ManualClock) {
        let clock = ManualClock::default();
        let server = Arc::new(Self {
            clock: clock.clone(),
            asked: AtomicUsize::new(0),
            answers: Semaphore::new(answers),
            failing: false.into(),
        });
        let cell = Cell::new(Arc::clone(&server), Arc::new(clock.clone()), RenewalSettings::default());
        (server, cell, clock)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn fail(&self, failing: bool) {
        self.failing.store(failing, Ordering::SeqCst);
    }
}

impl Fetch for Arc<Server> {
    fn patience(&self) -> Option<Duration> {
        Some(Duration::from_secs(60))
    }

    fn fetch(&self, _: Option<Token>) -> BoxFuture<'_, Result<Token, TokenError>> {
        Box::pin(async {
            let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
            self.answers.acquire().await.expect("never closed").forget();
            if self.failing.load(Ordering::SeqCst) {
                return Err(TokenError::new(TokenErrorKind::ServerError, "down"));
            }
            Token::bearer(format!("t{number}"), Some(self.clock.now().saturating_add(Duration::from_secs(1000))))
        })
    }

    fn asks(&self) -> Asks<'_> {
        Asks { client: "orders", grant: "client_credentials" }
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Lets every task go as far as it can.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_thousand_askers_on_an_expired_token_cause_one_request() {
    let (server, cell, clock) = Server::start(1);
    assert_eq!(cell.ask().await.unwrap().expose(), "t1");
    clock.advance(secs(2000));

    let askers: Vec<_> = (0..1000).map(|_| tokio::spawn(cell.ask())).collect();
    settle().await;
    server.answers.add_permits(1);
    for asker in askers {
        assert_eq!(asker.await.unwrap().unwrap().expose(), "t2");
    }
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn the_first_asker_may_be_dropped_without_anybody_noticing() {
    let (server, cell, _) = Server::start(0);
    let first = tokio::spawn(cell.ask());
    settle().await;
    assert_eq!(server.asked(), 1);
    let others: Vec<_> = (0..999).map(|_| tokio::spawn(cell.ask())).collect();
    settle().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());

    server.answers.add_permits(1);
    for other in others {
        assert_eq!(other.await.unwrap().unwrap().expose(), "t1");
    }
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn when_every_asker_is_dropped_the_token_is_kept_for_the_next() {
    let (server, cell, _) = Server::start(0);
    drop(cell.ask());
    settle().await;
    server.answers.add_permits(1);
    settle().await;
    assert_eq!(cell.ask().now().unwrap().unwrap().expose(), "t1");
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn a_token_near_its_end_is_served_while_it_is_renewed_in_the_background() {
    let (server, cell, clock) = Server::start(1);
    cell.ask().await.unwrap();
    clock.advance(secs(945));
    for _ in 0..3 {
        assert_eq!(cell.ask().now().unwrap().unwrap().expose(), "t1", "served at once");
    }
    settle().await;
    assert_eq!(server.asked(), 2);
    server.answers.add_permits(1);
    settle().await;
    assert_eq!(cell.ask().now().unwrap().unwrap().expose(), "t2");
}

#[tokio::test]
async fn a_failed_renewal_does_not_take_the_good_token_away() {
    let (server, cell, clock) = Server::start(10);
    cell.ask().await.unwrap();
    server.fail(true);
    clock.advance(secs(945));
    for _ in 0..5 {
        assert_eq!(cell.ask().now().unwrap().unwrap().expose(), "t1");
        settle().await;
    }
    assert_eq!(server.asked(), 2, "one attempt, then the back-off");
}

#[tokio::test]
async fn a_failure_is_remembered_for_a_short_while_only() {
    let (server, cell, clock) = Server::start(10);
    server.fail(true);
    assert_eq!(cell.ask().await.unwrap_err().kind(), TokenErrorKind::ServerError);
    for _ in 0..5 {
        let error = cell.ask().now().unwrap().unwrap_err();
        assert!(error.wait().is_some_and(|wait| wait > Duration::ZERO && wait <= Duration::from_millis(1200)));
    }
    assert_eq!(server.asked(), 1);
    server.fail(false);
    clock.advance(Duration::from_millis(1201));
    assert_eq!(cell.ask().await.unwrap().expose(), "t2");
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_and_not_over_and_over() {
    let (server, cell, clock) = Server::start(10);
    let refused = cell.ask().await.unwrap();
    assert_eq!(cell.ask_again(&refused).now().unwrap().unwrap(), refused, "it is only moments old");
    clock.advance(secs(10));
    let askers: Vec<_> = (0..100).map(|_| cell.ask_again(&refused)).collect();
    for asker in askers {
        assert_eq!(asker.await.unwrap().expose(), "t2");
    }
    assert_eq!(cell.ask_again(&refused).await.unwrap().expose(), "t2", "there is a newer one already");
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn a_token_that_is_forgotten_for_more_scopes_takes_no_failure_along() {
    let (server, cell, clock) = Server::start(10);
    cell.ask().await.unwrap();
    server.fail(true);
    clock.advance(secs(950));
    cell.ask().await.unwrap();
    settle().await;
    assert_eq!(server.asked(), 2, "renewed ahead of time, without success");
    for _ in 0..5 {
        cell.forget_token();
        let error = cell.ask().now().unwrap().unwrap_err();
        assert!(error.wait().is_some(), "the server is not asked more often for it");
    }
    assert_eq!(server.asked(), 2);
    server.fail(false);
    clock.advance(secs(2));
    assert_eq!(cell.ask().await.unwrap().expose(), "t3");
}

#[tokio::test]
async fn what_was_asked_for_before_a_sign_out_is_not_kept_after_it() {
    let (server, cell, _) = Server::start(0);
    let before = tokio::spawn(cell.ask());
    settle().await;
    cell.clear();
    let after = tokio::spawn(cell.ask());
    settle().await;
    assert_eq!(server.asked(), 2, "the one after does not join the one before");
    server.answers.add_permits(1);
    assert_eq!(before.await.unwrap().unwrap().expose(), "t1");
    assert!(cell.ask().now().is_err(), "and what the one before got is served to nobody else");
    server.answers.add_permits(1);
    assert_eq!(after.await.unwrap().unwrap().expose(), "t2");
    assert_eq!(cell.ask().now().unwrap().unwrap().expose(), "t2");
}

#[derive(Debug)]
struct Panics;

impl Fetch for Panics {
    fn patience(&self) -> Option<Duration> {
        Some(Duration::from_secs(60))
    }

    fn fetch(&self, _: Option<Token>) -> BoxFuture<'_, Result<Token, TokenError>> {
        Box::pin(async { panic!("on purpose") })
    }

    fn asks(&self) -> Asks<'_> {
        Asks { client: "", grant: "other" }
    }
}

#[tokio::test]
async fn a_task_that_dies_strands_nobody() {
    let cell = Cell::new(Panics, Arc::new(ManualClock::default()), RenewalSettings::default());
    for _ in 0..2 {
        assert_eq!(cell.ask().await.unwrap_err().kind(), TokenErrorKind::Misconfigured);
    }
}

#[test]
fn outside_of_a_runtime_the_server_is_asked_where_the_token_is_awaited_and_what_is_missing_is_said() {
    let (server, cell, _) = Server::start(1);
    let polled = pin!(cell.ask()).poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Err(error)) = polled else { panic!("{polled:?}") };
    assert_eq!(error.kind(), TokenErrorKind::Misconfigured);
    assert!(error.to_string().contains("no tokio runtime"), "{error}");
    let asked = cell.ask();
    assert_eq!(server.asked.load(Ordering::SeqCst), 0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    assert!(runtime.block_on(asked).is_ok());
}
