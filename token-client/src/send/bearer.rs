//! A tower layer for clients: requests to allowed origins go out with a token, and once more with a new one after a 401.

use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use pin_project_lite::pin_project;
use token_core::http::BoxFuture;
use tower_layer::Layer;
use tower_service::Service;

use super::origins::Origins;
use super::turn::{self, Next, Turns};
use crate::source::TokenSource;

/// Any error, as tower's clients use it. It contains a [`TokenError`](crate::TokenError) if no token could be obtained.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Adds a token to outgoing requests.
///
/// * Only requests to the listed [`Origins`] get a token; all others are sent unchanged. The token replaces any
///   `Authorization` and `DPoP` header.
/// * If no token can be obtained, the request fails with a [`TokenError`](crate::TokenError); it is never sent without
///   one.
/// * Redirects are not followed. If a layer *outside* this one follows them, each new URL is checked against the list
///   again.
/// * After a 401 (or gRPC's `UNAUTHENTICATED`) the token is renewed, and the request is repeated once if its body can
///   be sent again: it must be empty or an [`http_body_util::Full`]`<Bytes>`. If there is no other token, the response
///   is returned as it is.
/// * A token that is bound to a [`DpopKey`](crate::DpopKey) is sent with a proof for this request (RFC 9449). The
///   server's nonce is remembered from every response; after a 401 with the error `use_dpop_nonce` the request is
///   repeated once, under the same condition on its body. A layer that retries requests belongs *outside* this one,
///   since the same proof twice is a replay.
///
/// Tonic: a generated client must know its origin: `Client::with_origin(layer.layer(channel),
/// "https://api.example.com".parse()?)`.
///
/// ```no_run
/// # use token_client::{BearerLayer, Origins, TokenClient, TokenRequest};
/// # fn example(client: TokenClient) -> Result<(), token_client::TokenError> {
/// let source = client.source(TokenRequest::client_credentials().audience("https://billing.example.com"));
/// let layer = BearerLayer::new(source, Origins::of(["https://billing.example.com"])?);
/// # let _ = layer; Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct BearerLayer {
    source: Arc<dyn TokenSource>,
    origins: Arc<Origins>,
}

impl BearerLayer {
    /// Sends tokens from `source` to `origins` only.
    #[must_use]
    pub fn new(source: impl TokenSource, origins: Origins) -> Self {
        Self { source: Arc::new(source), origins: Arc::new(origins) }
    }
}

impl<S> Layer<S> for BearerLayer {
    type Service = Bearer<S>;

    fn layer(&self, inner: S) -> Bearer<S> {
        Bearer { inner, source: Arc::clone(&self.source), origins: Arc::clone(&self.origins) }
    }
}

/// The service that [`BearerLayer`] makes.
#[derive(Clone)]
pub struct Bearer<S> {
    inner: S,
    source: Arc<dyn TokenSource>,
    origins: Arc<Origins>,
}

impl<S> fmt::Debug for Bearer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer").field("source", &self.source).field("origins", &self.origins).finish_non_exhaustive()
    }
}

impl<S, B, R> Service<Request<B>> for Bearer<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + Default + Send + 'static,
    R: Send + 'static,
{
    type Response = Response<R>;
    type Error = BoxError;
    type Future = BearerFuture<S::Future, R>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !self.origins.allow_uri(request.uri()) {
            return BearerFuture { state: State::Passed { future: self.inner.call(request) } };
        }
        // The service that was made ready goes into the future, its clone takes the place.
        let next = self.inner.clone();
        let ready = mem::replace(&mut self.inner, next);
        let source = Arc::clone(&self.source);
        BearerFuture { state: State::Attached { future: Box::pin(exchange(ready, source, request)) } }
    }
}

async fn exchange<S, B, R>(
    mut service: S,
    source: Arc<dyn TokenSource>,
    mut request: Request<B>,
) -> Result<Response<R>, BoxError>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    B: Body + Default + 'static,
{
    let mut token = source.token().await?;
    let mut turns = Turns::new();
    loop {
        let again = if turns.may_go_on(&token) { replay(&request) } else { None };
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let sent = turn::attach(request.headers_mut(), &token, &method, &uri)?;
        let answer = service.call(request).await.map_err(Into::into)?;
        match turns.after(&token, &sent, answer.status(), answer.headers()) {
            Next::Answer => return Ok(answer),
            Next::SendAgain => {}
            Next::Renew => match turn::another(&*source, &token, again.is_some()).await {
                Some(renewed) => token = renewed,
                None => return Ok(answer),
            },
        }
        let Some(next) = again else { return Ok(answer) };
        request = next;
        poll_fn(|context| service.poll_ready(context)).await.map_err(Into::into)?;
    }
}

/// A copy of the request, if its body can be sent again.
fn replay<B: Body + Default + 'static>(request: &Request<B>) -> Option<Request<B>> {
    let body = request.body();
    let body = if body.is_end_stream() || body.size_hint().exact() == Some(0) {
        B::default()
    } else {
        let mut copy = (body as &dyn Any).downcast_ref::<Full<Bytes>>().cloned();
        (&mut copy as &mut dyn Any).downcast_mut::<Option<B>>()?.take()?
    };
    let mut again = Request::new(body);
    again.method_mut().clone_from(request.method());
    again.uri_mut().clone_from(request.uri());
    *again.version_mut() = request.version();
    again.headers_mut().clone_from(request.headers());
    again.extensions_mut().clone_from(request.extensions());
    Some(again)
}

pin_project! {
    /// The future of a response.
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct BearerFuture<F, R> {
        #[pin]
        state: State<F, R>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<F, R> {
        // To an origin that gets no token.
        Passed { #[pin] future: F },
        // Gets the token, sends, and sends again where that is due.
        Attached { future: BoxFuture<'static, Result<Response<R>, BoxError>> },
    }
}

impl<F, R> fmt::Debug for BearerFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Passed { .. } => "BearerFuture(passed)",
            State::Attached { .. } => "BearerFuture(attached)",
        })
    }
}

impl<F, E, R> Future for BearerFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response<R>, BoxError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            Projected::Passed { future } => Poll::Ready(ready!(future.poll(context)).map_err(Into::into)),
            Projected::Attached { future } => future.as_mut().poll(context),
        }
    }
}

#[cfg(test)]
mod tests;
