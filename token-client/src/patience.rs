//! A wait and a bound in, what came within it out. On a runtime without timers the wait alone, and no panic in a request.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use token_core::http::NoRuntime;

use crate::sync::timeout;

/// What `awaited` comes to within `limit`, where there is one. The timer runs where this is awaited, whoever brings the outcome about.
pub(crate) async fn within<F: Future>(limit: Option<Duration>, awaited: F) -> Option<F::Output> {
    let mut awaited = pin!(awaited);
    // Under shuttle, where limits run out in any order, no runtime stands still: this bound is longer than those of whatever it watches over.
    let limit = limit.filter(|_| !cfg!(shuttle) && NoRuntime::find().is_none());
    let mut timer = limit.map(|limit| Box::pin(timeout(limit, pending::<()>())));
    poll_fn(|cx| match (awaited.as_mut().poll(cx), &mut timer) {
        (Poll::Ready(outcome), _) => Poll::Ready(Some(outcome)),
        (Poll::Pending, Some(timer)) => timer.as_mut().poll(cx).map(|_| None),
        (Poll::Pending, None) => Poll::Pending,
    })
    .await
}
