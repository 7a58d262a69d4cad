//! The outcome that a `TokenMiddleware` outside has written in, the inner service or a 403 out (RFC 6750 section 3.1, insufficient_scope).

use std::fmt;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::Error as ActixError;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use pin_project_lite::pin_project;
use token_core::{Rule, adapter::Refusals};

use crate::extract::outcome;
use crate::rejection::respond;

/// Asks the verified token for what a rule demands; [`require`](crate::require) makes one. It needs a
/// [`TokenMiddleware`](crate::TokenMiddleware) outside it; without one it answers 500 and the log says what is missing. An anonymous caller
/// gets a 401, a token without the scope a 403 that names it.
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until something is wrapped in it"]
pub struct ScopeMiddleware {
    rule: Arc<Rule>,
}

impl ScopeMiddleware {
    /// A middleware that holds every token to `rule`.
    pub fn new(rule: impl Into<Rule>) -> Self {
        Self { rule: Arc::new(rule.into()) }
    }
}

impl<S, B> Transform<S, ServiceRequest> for ScopeMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = ActixError>,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = ActixError;
    type InitError = ();
    type Transform = ScopeService<S>;
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(ScopeService { inner, rule: Arc::clone(&self.rule) }))
    }
}

/// The service that a [`ScopeMiddleware`] makes.
#[derive(Debug)]
pub struct ScopeService<S> {
    inner: S,
    rule: Arc<Rule>,
}

impl<S, B> Service<ServiceRequest> for ScopeService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = ActixError>,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = ActixError;
    type Future = ScopeFuture<S::Future>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let verdict = outcome(request.request()).and_then(|outcome| outcome.verified()?.require(&self.rule));
        let state = match verdict {
            Ok(()) => State::Inner { future: self.inner.call(request) },
            Err(error) => {
                let response = respond(&error, &Refusals::default());
                State::Refused { response: Some(request.into_response(response)) }
            }
        };
        ScopeFuture { state }
    }
}

pin_project! {
    /// The future of [`ScopeService`].
    pub struct ScopeFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Inner { #[pin] future: F },
        Refused { response: Option<ServiceResponse> },
    }
}

impl<F, B> Future for ScopeFuture<F>
where
    F: Future<Output = Result<ServiceResponse<B>, ActixError>>,
    B: MessageBody,
{
    type Output = Result<ServiceResponse<EitherBody<B>>, ActixError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Inner { future } => future.poll(context).map_ok(ServiceResponse::map_into_left_body),
            StateProj::Refused { response } => {
                let response = response.take().expect("a future that has ended is not polled again");
                Poll::Ready(Ok(response.map_into_right_body()))
            }
        }
    }
}

impl<F> fmt::Debug for ScopeFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Inner { .. } => "ScopeFuture(inner)",
            State::Refused { .. } => "ScopeFuture(refused)",
        })
    }
}
