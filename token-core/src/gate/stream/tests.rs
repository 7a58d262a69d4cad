use std::sync::Arc;
use std::sync::Mutex;
use std::task::Waker;

use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::base::http::BoxFuture;
use crate::base::time::Clock;
use crate::gate::server::tests::{ISSUER, NOW, issuer, token};
use crate::stores::memory_deny_list::MemoryDenyList;
use crate::stores::{Deny, DenyList, DenyLookup, StoreError};
use crate::token::marks::Marks;
use crate::{Presented, ResourceServerBuilder};

/// A clock that goes with tokio's paused time.
#[derive(Debug)]
struct Paused(Instant);

impl Clock for Paused {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(NOW).saturating_add(self.0.elapsed())
    }
}

fn server(more: impl FnOnce(ResourceServerBuilder) -> ResourceServerBuilder) -> ResourceServer {
    let builder = ResourceServer::builder(crate::gate::server::tests::AUDIENCE).trust(issuer());
    more(builder.clock(Paused(Instant::now()))).build().unwrap()
}

async fn verified(api: &ResourceServer, text: &str) -> Verified {
    api.authenticate(Presented::token(text)).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_at_the_very_moment_at_which_the_gate_refuses_its_token() {
    let api = server(|builder| builder);
    // One that has time left, and one that lives by the leeway alone.
    for (exp, left) in [(NOW + 600, 630), (NOW - 10, 20)] {
        let (text, start) = (token(json!({"exp": exp})), Instant::now());
        let api = if exp < NOW { server(|builder| builder) } else { api.clone() };
        let end = verified(&api, &text).await.until_expiry().await;
        assert_eq!((end.error().kind(), start.elapsed().as_secs()), (ErrorKind::Expired, left));
        assert_eq!(end.reason(), "the access token expired");
        let refused = api.authenticate(Presented::token(&text)).await.expect_err("whoever comes back is refused");
        assert_eq!(refused.kind(), ErrorKind::Expired);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_soon_after_its_token_is_denied_or_its_issuer_trusted_no_more() {
    type End = fn(&ResourceServer);
    let rows: [(End, ErrorKind); 2] = [
        (|api| drop(api.deny(Deny::token_id(ISSUER, "7"), Timestamp::MAX)), ErrorKind::Inactive),
        (|api| assert!(api.distrust(ISSUER)), ErrorKind::UnknownIssuer),
    ];
    for (end_it, expected) in rows {
        let api = server(|builder| builder.deny_list(MemoryDenyList::new()));
        let token = verified(&api, &token(json!({"jti": "7"}))).await;
        let start = Instant::now();
        let mut ended = Box::pin(token.until_expiry().checking_every(Duration::from_secs(5)));
        let early = tokio::time::timeout(Duration::from_secs(60), &mut ended).await;
        assert!(early.is_err(), "it goes on while nothing is said");
        end_it(&api);
        let end = ended.await;
        assert_eq!(end.error().kind(), expected);
        assert!(start.elapsed() <= Duration::from_secs(66), "{:?}", start.elapsed());
    }
}

/// Out of reach, whoever asks; after the first question.
#[derive(Debug, Default)]
struct Unreachable(Arc<Mutex<u32>>);

impl DenyList for Unreachable {
    fn look_up(&self, _: &Marks<'_>, _: Timestamp) -> DenyLookup {
        let mut asked = self.0.lock().unwrap();
        *asked += 1;
        if *asked == 1 {
            return DenyLookup::Absent;
        }
        DenyLookup::Ask(Box::pin(async { Err(StoreError::Unreachable("down".to_owned())) }))
    }
    fn deny(&self, _: Deny, _: Timestamp) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_deny_list_ends_no_stream_before_its_time() {
    let asked = Arc::default();
    let list = Unreachable(Arc::clone(&asked));
    let api = server(|builder| builder.deny_list(list));
    let start = Instant::now();
    let end = verified(&api, &token(json!({}))).await.until_expiry().await;
    assert_eq!((end.error().kind(), start.elapsed().as_secs()), (ErrorKind::Expired, 630));
    assert_eq!(*asked.lock().unwrap(), 1 + 20, "every 30 s");
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_the_policy_of_its_server_is_replaced() {
    let front = ResourceServer::followed(server(|builder| builder));
    let token = verified(&front, &token(json!({}))).await;
    front.succeed(server(|builder| builder));
    let start = Instant::now();
    assert_eq!(token.until_expiry().await.error().kind(), ErrorKind::Inactive);
    assert_eq!(start.elapsed().as_secs(), 30);
}

/// One item a second.
struct Ticks(Pin<Box<tokio::time::Sleep>>, u32);

impl Stream for Ticks {
    type Item = String;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<String>> {
        ready!(self.0.as_mut().poll(context));
        self.0 = Box::pin(tokio::time::sleep(Duration::from_secs(1)));
        self.1 += 1;
        Poll::Ready(Some(self.1.to_string()))
    }
}

async fn all<S: Stream>(stream: S) -> Vec<S::Item> {
    let (mut stream, mut items) = (Box::pin(stream), Vec::new());
    while let Some(item) = std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await {
        items.push(item);
    }
    let again = stream.as_mut().poll_next(&mut Context::from_waker(Waker::noop()));
    assert!(again.is_ready(), "an ended stream stays ended");
    items
}

#[tokio::test(start_paused = true)]
async fn the_items_of_a_stream_end_with_the_token_and_the_last_one_says_why() {
    let api = server(|builder| builder);
    let ticks = || Ticks(Box::pin(tokio::time::sleep(Duration::from_millis(1500))), 0);
    let token = verified(&api, &token(json!({"exp": NOW - 25}))).await;
    let items = all(token.while_valid(ticks()).and_last(|end| end.reason().to_owned())).await;
    assert_eq!(items, ["1", "2", "3", "4", "the access token expired"]);
    assert_eq!(all(token.while_valid(ticks())).await, Vec::<String>::new(), "whose token has ended gets nothing");
}
