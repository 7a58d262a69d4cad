//! A token that is available already, or will be: a named future that costs nothing in the first case.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use token_core::http::BoxFuture;

use crate::error::TokenError;
use crate::token::Token;

/// The result of asking a [`TokenSource`](crate::TokenSource) for a token. Dropping it does not cancel the request for
/// others who wait.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Acquire<'a>(State<'a>);

enum State<'a> {
    Ready(Option<Result<Token, TokenError>>),
    Waiting(BoxFuture<'a, Result<Token, TokenError>>),
}

impl<'a> Acquire<'a> {
    /// A result that is known already.
    pub fn ready(outcome: Result<Token, TokenError>) -> Self {
        Self(State::Ready(Some(outcome)))
    }

    /// A result that must be awaited.
    pub fn waiting(future: impl Future<Output = Result<Token, TokenError>> + Send + 'a) -> Self {
        Self(State::Waiting(Box::pin(future)))
    }

    /// Returns the result if it is known already, otherwise the future.
    ///
    /// # Errors
    /// The future itself, if it must be awaited.
    pub fn now(self) -> Result<Result<Token, TokenError>, Self> {
        match self.0 {
            State::Ready(Some(outcome)) => Ok(outcome),
            state => Err(Self(state)),
        }
    }
}

impl Future for Acquire<'_> {
    type Output = Result<Token, TokenError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(outcome) => Poll::Ready(outcome.take().expect("a finished future is not polled again")),
            State::Waiting(future) => future.as_mut().poll(context),
        }
    }
}

impl fmt::Debug for Acquire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Ready(_) => "Acquire(ready)",
            State::Waiting(_) => "Acquire(waiting)",
        })
    }
}
