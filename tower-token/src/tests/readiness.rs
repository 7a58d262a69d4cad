//! The contract of `poll_ready`: a service that was not ready is not called, and one that is not called holds no place.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use tower::buffer::BufferLayer;
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use super::support::{SlowIssuer, api, bare, get, token};
use crate::TokenLayer;

/// Panics when it is called without having been ready; a clone is not ready.
#[derive(Default)]
struct Strict {
    calls: Arc<AtomicUsize>,
    ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { calls: Arc::clone(&self.calls), ready: false }
    }
}

impl Service<Request<String>> for Strict {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without having been ready");
        self.calls.fetch_add(1, Ordering::Relaxed);
        ready(Ok(Response::new(String::new())))
    }
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_request_that_need_not_wait_reaches_the_inner_service_before_anything_is_polled() {
    let strict = Strict::default();
    let mut service = TokenLayer::new(api()).layer(strict.clone());
    let future = service.ready().await.unwrap().call(get(&token("")));
    assert_eq!(strict.calls.load(Ordering::Relaxed), 1);
    assert_eq!(future.await.unwrap().status(), 200);
}

#[tokio::test]
async fn no_service_is_called_that_was_not_ready() {
    let issuer = SlowIssuer::new(true);
    issuer.answer();
    let strict = Strict::default();
    let mut service = TokenLayer::new(issuer.api()).layer(strict.clone());
    for (request, status) in [
        (get(&token("")), 200),
        (bare(), 401),
        (get(&SlowIssuer::token()), 200),
        (get("junk"), 401),
        (get(&SlowIssuer::token()), 200),
    ] {
        let response = service.ready().await.unwrap().call(request).await.unwrap();
        assert_eq!(response.status(), status);
    }
    assert_eq!(strict.calls.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn neither_a_refused_nor_a_waiting_request_takes_the_place_of_a_good_one() {
    let issuer = SlowIssuer::new(true);
    let one_at_a_time = ServiceBuilder::new()
        .layer(TokenLayer::new(issuer.api()))
        .layer(ConcurrencyLimitLayer::new(1))
        .service(Strict::default());

    let (mut refusing, mut holding, mut good) = (one_at_a_time.clone(), one_at_a_time.clone(), one_at_a_time);
    assert!(has_place(&mut refusing));
    let refused = refusing.call(bare());
    assert!(has_place(&mut holding), "the only place is taken by a request that was refused");
    let mut waiting = pin!(holding.call(get(&SlowIssuer::token())));
    assert!(poll_once(waiting.as_mut()).is_pending());
    assert!(has_place(&mut good), "the only place is taken by a request that waits for a key");
    let running = good.call(get(&token("")));

    // The key comes while the place is taken: the waiting request queues up and gets in afterwards.
    issuer.answer();
    tokio::select! {
        biased;
        _ = waiting.as_mut() => panic!("two are inside where one may be"),
        () = settle() => {}
    }
    assert_eq!(running.await.unwrap().status(), 200);
    drop(good);
    assert_eq!(waiting.await.unwrap().status(), 200);
    assert_eq!(refused.await.unwrap().status(), 401);
}

fn has_place<S: Service<Request<String>>>(service: &mut S) -> bool {
    service.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// Lets every task that can run do so.
async fn settle() {
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn it_works_around_and_inside_a_buffer() {
    let issuer = SlowIssuer::new(true);
    issuer.answer();
    let service = ServiceBuilder::new()
        .layer(BufferLayer::new(4))
        .layer(TokenLayer::new(issuer.api()))
        .layer(BufferLayer::new(1))
        .layer(ConcurrencyLimitLayer::new(1))
        .service(service_fn(|_: Request<String>| async { Ok::<_, Infallible>(Response::new(String::new())) }));
    for _ in 0..3 {
        for (request, status) in [(bare(), 401), (get(&SlowIssuer::token()), 200), (get(&token("")), 200)] {
            assert_eq!(service.clone().oneshot(request).await.unwrap().status(), status);
        }
    }
}
