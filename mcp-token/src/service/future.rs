//! The road of one request behind the gate, as named states: its message arrives, it is judged, the server has it. Nothing is boxed.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use pin_project_lite::pin_project;
use token_core::Verified;
use tower_service::Service;
use tower_token::ResponseBody;

use crate::body::{McpBody, Whole};
use crate::service::{Refusal, Shared};

pin_project! {
    /// The future of [`Mcp`](crate::Mcp).
    pub struct McpFuture<S, B>
    where
        S: Service<Request<Full<Bytes>>>,
    {
        #[pin]
        state: State<S, B>,
        shared: Arc<Shared>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, B>
    where
        S: Service<Request<Full<Bytes>>>,
    {
        // The message is on its way; the service that is ready for it goes along.
        Arriving { #[pin] body: Whole<B>, waiting: Option<Waiting<S>> },
        // The server has it.
        Inner { #[pin] future: S::Future, caller: Verified },
        Refused { refusal: Option<Refusal> },
    }
}

struct Waiting<S> {
    service: S,
    parts: Parts,
    caller: Verified,
}

const ONCE: &str = "a future that has ended is not polled again";

impl<S, B> McpFuture<S, B>
where
    S: Service<Request<Full<Bytes>>>,
{
    /// For a request with a message in its body.
    pub(crate) fn arriving(shared: Arc<Shared>, service: S, parts: Parts, caller: Verified, body: Whole<B>) -> Self {
        let waiting = Some(Waiting { service, parts, caller });
        Self { state: State::Arriving { body, waiting }, shared }
    }

    /// For a request without one.
    pub(crate) fn inner(shared: Arc<Shared>, future: S::Future, caller: Verified) -> Self {
        Self { state: State::Inner { future, caller }, shared }
    }

    pub(crate) fn refused(shared: Arc<Shared>, refusal: Refusal) -> Self {
        Self { state: State::Refused { refusal: Some(refusal) }, shared }
    }
}

impl<S, B, R> Future for McpFuture<S, B>
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<McpBody<R>>>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Arriving { body, waiting } => {
                    let body = ready!(body.poll(context));
                    let Waiting { mut service, parts, caller } = waiting.take().expect(ONCE);
                    match this.shared.judge_message(body, &caller) {
                        Ok(body) => {
                            let future = service.call(Request::from_parts(parts, Full::new(body)));
                            State::Inner { future, caller }
                        }
                        Err(refusal) => State::Refused { refusal: Some(refusal) },
                    }
                }
                StateProj::Inner { future, caller } => {
                    let response = ready!(future.poll(context))?;
                    return Poll::Ready(Ok(this.shared.answer(response, caller)));
                }
                StateProj::Refused { refusal } => return Poll::Ready(Ok(refusal.take().expect(ONCE).response())),
            };
            this.state.set(next);
        }
    }
}

impl<S, B> fmt::Debug for McpFuture<S, B>
where
    S: Service<Request<Full<Bytes>>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Arriving { .. } => "McpFuture(arriving)",
            State::Inner { .. } => "McpFuture(inner)",
            State::Refused { .. } => "McpFuture(refused)",
        })
    }
}
