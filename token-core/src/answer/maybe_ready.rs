//! A future that is usually done before it is polled, so that a layer can go on at once and box only when a network is awaited.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::answer::error::Error;

/// The outcome of a question to the gate: there already, or on its way.
///
/// Awaiting it always works; [`MaybeReady::now`] is for those who want to do without a future when none is needed.
#[must_use = "futures do nothing unless they are awaited"]
pub struct MaybeReady<T>(State<T>);

enum State<T> {
    Ready(Option<Result<T, Error>>),
    Waiting(Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>),
}

impl<T> MaybeReady<T> {
    pub(crate) fn ready(outcome: Result<T, Error>) -> Self {
        Self(State::Ready(Some(outcome)))
    }

    pub(crate) fn waiting(future: impl Future<Output = Result<T, Error>> + Send + 'static) -> Self {
        Self(State::Waiting(Box::pin(future)))
    }

    /// The outcome if it is there already, else the future back.
    ///
    /// # Errors
    /// The future itself, when a network has to be awaited.
    pub fn now(self) -> Result<Result<T, Error>, Self> {
        match self.0 {
            State::Ready(Some(outcome)) => Ok(outcome),
            state => Err(Self(state)),
        }
    }
}

impl<T: Unpin> Future for MaybeReady<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(outcome) => Poll::Ready(outcome.take().expect("a finished future is not polled again")),
            State::Waiting(future) => future.as_mut().poll(context),
        }
    }
}

impl<T> fmt::Debug for MaybeReady<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Ready(_) => "MaybeReady(ready)",
            State::Waiting(_) => "MaybeReady(waiting)",
        })
    }
}
