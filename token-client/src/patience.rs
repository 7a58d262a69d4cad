//! A wait and a bound in, what came within it out. On a runtime without timers the wait alone, and no panic in a request.

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::sync::timeout;

/// What `awaited` comes to within `limit`, where there is one. The timer runs where this is awaited, whoever brings the outcome about.
pub(crate) async fn within<F: Future>(limit: Option<Duration>, awaited: F) -> Option<F::Output> {
    let mut awaited = pin!(awaited);
    // To make a timer is what panics where there are none. Under shuttle, where limits run out in any order, no runtime stands still: this bound is
    // longer than those of whatever it watches over.
    let timer = |limit| catch_unwind(AssertUnwindSafe(|| Box::pin(timeout(limit, pending::<()>())))).ok();
    let mut timer = limit.filter(|_| !cfg!(shuttle)).and_then(timer);
    poll_fn(|cx| match (awaited.as_mut().poll(cx), &mut timer) {
        (Poll::Ready(outcome), _) => Poll::Ready(Some(outcome)),
        (Poll::Pending, Some(timer)) => timer.as_mut().poll(cx).map(|_| None),
        (Poll::Pending, None) => Poll::Pending,
    })
    .await
}
