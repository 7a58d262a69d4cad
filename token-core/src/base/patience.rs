//! A wait and a bound in, what came within it out. On a runtime without timers the wait alone, and no panic in a request.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::runtime::at_hand;
use super::sync::timeout;

/// What `awaited` comes to within `limit`. The timer runs where this is awaited, whoever brings the outcome about.
pub(crate) async fn within<F: Future>(limit: Duration, awaited: F) -> Option<F::Output> {
    let mut awaited = pin!(awaited);
    // Under shuttle, where limits run out in any order, no runtime stands still: this bound is longer than those of whatever it watches over.
    let is_bounded = !cfg!(shuttle) && at_hand().is_ok();
    let mut timer = is_bounded.then(|| Box::pin(timeout(limit, pending::<()>())));
    poll_fn(|cx| match (awaited.as_mut().poll(cx), &mut timer) {
        (Poll::Ready(outcome), _) => Poll::Ready(Some(outcome)),
        (Poll::Pending, Some(timer)) => timer.as_mut().poll(cx).map(|_| None),
        (Poll::Pending, None) => Poll::Pending,
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_with_its_outcome_or_with_its_bound() {
        let second = Duration::from_secs(1);
        assert_eq!(within(second, ready(1)).await, Some(1));
        assert_eq!(within(second, pending::<u8>()).await, None);
        assert_eq!(within(Duration::ZERO, ready(1)).await, Some(1));
    }

    #[test]
    fn without_timers_there_is_no_bound_and_no_panic() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(within(Duration::ZERO, tokio::task::yield_now())), Some(()));
    }
}
