//! The road of one request through the middleware, as named states. Only a request that waits for a network is boxed.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::{Error as ActixError, HttpMessage};
use pin_project_lite::pin_project;
use token_core::{
    Error,
    adapter::{MaybeReady, Outcome, Refusals},
};

use crate::rejection::{Rejection, pass, renew, respond};

pin_project! {
    /// The future of [`TokenService`](crate::TokenService).
    pub struct TokenFuture<S>
    where
        S: Service<ServiceRequest>,
    {
        #[pin]
        state: State<S>,
        refusals: Refusals,
        // For the response to a request that came with a proof of possession.
        nonce: Option<String>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S>
    where
        S: Service<ServiceRequest>,
    {
        // The inner service has the request.
        Inner { #[pin] future: S::Future },
        // The gate waits for a network.
        Waiting { gate: MaybeReady<Outcome>, parked: Option<Box<Parked<S>>> },
        // The gate has let the request in; the inner service has no place for it yet.
        Queued { parked: Option<Box<Parked<S>>> },
        // The gate has refused the request.
        Refused { refusal: Option<(Error, ServiceRequest)> },
    }
}

/// A request that waits, and the service it waits for.
struct Parked<S> {
    service: Rc<S>,
    request: ServiceRequest,
}

const ONCE: &str = "a future that has ended is not polled again";

impl<S> TokenFuture<S>
where
    S: Service<ServiceRequest>,
{
    pub(crate) fn inner(future: S::Future, refusals: Refusals, nonce: Option<String>) -> Self {
        Self { state: State::Inner { future }, refusals, nonce }
    }

    pub(crate) fn refused(error: Error, request: ServiceRequest, refusals: Refusals) -> Self {
        Self { state: State::Refused { refusal: Some((error, request)) }, refusals, nonce: None }
    }

    pub(crate) fn waiting(
        gate: MaybeReady<Outcome>,
        service: Rc<S>,
        request: ServiceRequest,
        refusals: Refusals,
    ) -> Self {
        let parked = Some(Box::new(Parked { service, request }));
        Self { state: State::Waiting { gate, parked }, refusals, nonce: None }
    }
}

impl<S, B> Future for TokenFuture<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = ActixError>,
    B: MessageBody,
{
    type Output = Result<ServiceResponse<EitherBody<B>>, ActixError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Inner { future } => {
                    let ended = ready!(future.poll(context));
                    return Poll::Ready(match ended {
                        Ok(response) => {
                            let mut response = pass(response, this.refusals);
                            if let Some(nonce) = this.nonce.take() {
                                renew(&nonce, response.headers_mut());
                            }
                            Ok(response)
                        }
                        // A middleware inside has refused with an error of the service, which becomes a response further out.
                        Err(error) => {
                            if let Some(rejection) = error.as_error::<Rejection>() {
                                rejection.error().log();
                            }
                            Err(error)
                        }
                    });
                }
                StateProj::Waiting { gate, parked } => {
                    let outcome = ready!(Pin::new(gate).poll(context));
                    let parked = parked.take().expect(ONCE);
                    match outcome {
                        Ok(outcome) => {
                            *this.nonce = outcome.dpop_nonce();
                            parked.request.extensions_mut().insert(outcome);
                            State::Queued { parked: Some(parked) }
                        }
                        Err(error) => State::Refused { refusal: Some((error, parked.request)) },
                    }
                }
                StateProj::Queued { parked } => {
                    ready!(parked.as_mut().expect(ONCE).service.poll_ready(context))?;
                    let Parked { service, request } = *parked.take().expect(ONCE);
                    State::Inner { future: service.call(request) }
                }
                StateProj::Refused { refusal } => {
                    let (error, request) = refusal.take().expect(ONCE);
                    error.log();
                    let response = respond(&error, this.refusals);
                    return Poll::Ready(Ok(request.into_response(response).map_into_right_body()));
                }
            };
            this.state.set(next);
        }
    }
}

impl<S> fmt::Debug for TokenFuture<S>
where
    S: Service<ServiceRequest>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Inner { .. } => "TokenFuture(inner)",
            State::Waiting { .. } => "TokenFuture(waiting)",
            State::Queued { .. } => "TokenFuture(queued)",
            State::Refused { .. } => "TokenFuture(refused)",
        })
    }
}
