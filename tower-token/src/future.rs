//! The road of one request through the layer, as named states. Only a request that waits for a network is boxed.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use token_core::adapter::{MaybeReady, Outcome, Refusals};
use tower_service::Service;

use crate::body::ResponseBody;
use crate::rejection::{Refusal, pass, renew};

pin_project! {
    /// The future of [`Token`](crate::Token).
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B>,
        refusals: Refusals,
        // For the response to a request that came with a proof of possession.
        nonce: Option<String>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, B>
    where
        S: Service<Request<B>>,
    {
        // The inner service has the request.
        Inner { #[pin] future: S::Future },
        // The gate waits for a network.
        Waiting { gate: MaybeReady<Outcome>, parked: Option<Box<Parked<S, B>>> },
        // The gate has let the request in; the inner service has no place for it yet.
        Queued { parked: Option<Box<Parked<S, B>>> },
        // The gate has refused the request.
        Refused { refusal: Option<Refusal> },
    }
}

/// A request that waits, and the service it waits for. The service was not asked for readiness yet, so that a request which
/// waits for a network takes no place from one that does not.
struct Parked<S, B> {
    service: S,
    request: Request<B>,
}

const ONCE: &str = "a future that has ended is not polled again";

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    pub(crate) fn inner(future: S::Future, refusals: Refusals, nonce: Option<String>) -> Self {
        Self { state: State::Inner { future }, refusals, nonce }
    }

    pub(crate) fn refused(refusal: Refusal, refusals: Refusals) -> Self {
        Self { state: State::Refused { refusal: Some(refusal) }, refusals, nonce: None }
    }

    pub(crate) fn waiting(gate: MaybeReady<Outcome>, service: S, request: Request<B>, refusals: Refusals) -> Self {
        let parked = Some(Box::new(Parked { service, request }));
        Self { state: State::Waiting { gate, parked }, refusals, nonce: None }
    }
}

impl<S, B, R> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Inner { future } => {
                    return Poll::Ready(ready!(future.poll(context)).map(|response| {
                        let mut response = pass(response, this.refusals);
                        if let Some(nonce) = this.nonce.take() {
                            renew(&nonce, response.headers_mut());
                        }
                        response
                    }));
                }
                StateProj::Waiting { gate, parked } => {
                    let outcome = ready!(Pin::new(gate).poll(context));
                    let mut parked = parked.take().expect(ONCE);
                    match outcome {
                        Ok(outcome) => {
                            *this.nonce = outcome.dpop_nonce();
                            parked.request.extensions_mut().insert(outcome);
                            State::Queued { parked: Some(parked) }
                        }
                        Err(error) => {
                            let refusal = Some(Refusal::new(error, &parked.request));
                            State::Refused { refusal }
                        }
                    }
                }
                StateProj::Queued { parked } => {
                    ready!(parked.as_mut().expect(ONCE).service.poll_ready(context))?;
                    let Parked { mut service, request } = *parked.take().expect(ONCE);
                    State::Inner { future: service.call(request) }
                }
                StateProj::Refused { refusal } => {
                    let refusal = refusal.take().expect(ONCE);
                    refusal.log();
                    return Poll::Ready(Ok(refusal.response(this.refusals)));
                }
            };
            this.state.set(next);
        }
    }
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Inner { .. } => "ResponseFuture(inner)",
            State::Waiting { .. } => "ResponseFuture(waiting)",
            State::Queued { .. } => "ResponseFuture(queued)",
            State::Refused { .. } => "ResponseFuture(refused)",
        })
    }
}
