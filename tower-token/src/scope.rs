//! The outcome that a `TokenLayer` outside has written in, the inner service or a 403 out (RFC 6750 section 3.1, insufficient_scope).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use pin_project_lite::pin_project;
use token_core::{Rule, adapter::Refusals};
use tower_layer::Layer;
use tower_service::Service;

use crate::body::ResponseBody;
use crate::outcome;
use crate::rejection::Refusal;
use crate::service::release;

/// Asks the verified token for what a rule demands. It needs a [`TokenLayer`](crate::TokenLayer) outside it; without one it answers 500
/// and the log says what is missing. An anonymous caller gets a 401, a token without the scope a 403 that names it.
///
/// ```
/// use token_core::{Required, scopes};
/// use tower_token::ScopeLayer;
///
/// scopes!(Readers = any("admin", "read:users"));
///
/// let one = ScopeLayer::new("read:users");
/// let either = ScopeLayer::new(Readers::RULE);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct ScopeLayer {
    rule: Arc<Rule>,
}

impl ScopeLayer {
    /// A layer that holds every token to `rule`.
    pub fn new(rule: impl Into<Rule>) -> Self {
        Self { rule: Arc::new(rule.into()) }
    }
}

impl<S> Layer<S> for ScopeLayer {
    type Service = Scope<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Scope { inner, rule: Arc::clone(&self.rule) }
    }
}

/// The service that a [`ScopeLayer`] makes.
#[derive(Clone, Debug)]
pub struct Scope<S> {
    inner: S,
    rule: Arc<Rule>,
}

impl<S, B, R> Service<Request<B>> for Scope<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ScopeFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let verdict = outcome(request.extensions()).and_then(|outcome| outcome.verified()?.require(&self.rule));
        let state = match verdict {
            Ok(()) => State::Inner { future: self.inner.call(request) },
            Err(error) => {
                release(&mut self.inner);
                State::Refused { refusal: Some(Refusal::new(error, &request)) }
            }
        };
        ScopeFuture { state }
    }
}

pin_project! {
    /// The future of [`Scope`].
    pub struct ScopeFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Inner { #[pin] future: F },
        Refused { refusal: Option<Refusal> },
    }
}

impl<F, R, E> Future for ScopeFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<ResponseBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Inner { future } => future.poll(context).map_ok(|response| response.map(ResponseBody::inner)),
            StateProj::Refused { refusal } => {
                let refusal = refusal.take().expect("a future that has ended is not polled again");
                Poll::Ready(Ok(refusal.response(&Refusals::default())))
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
