//! A request in, what the API answered out: in this process, without a network.

use std::fmt::Display;
use std::future::poll_fn;

use bytes::Bytes;
use http::{Request, Response};

/// The body of the requests that [`Attacks::run`](super::Attacks::run) sends.
pub type Body = axum::body::Body;

/// An API that requests can be sent to. It is asked one request after the other.
pub trait Target {
    /// Sends one request and reads its answer whole.
    ///
    /// # Errors
    /// Why there was no answer. It counts as a refusal for giants alone, and is a fault otherwise.
    fn send(&mut self, request: Request<Bytes>) -> impl Future<Output = Result<Response<Bytes>, String>>;
}

/// A tower service as a [`Target`].
pub fn service<S, R>(app: S) -> impl Target + Clone
where
    S: tower_service::Service<Request<Body>, Response = Response<R>> + Clone,
    S::Error: Display,
    R: http_body::Body,
    R::Error: Display,
{
    Service(app)
}

#[derive(Clone)]
struct Service<S>(S);

impl<S, R> Target for Service<S>
where
    S: tower_service::Service<Request<Body>, Response = Response<R>> + Clone,
    S::Error: Display,
    R: http_body::Body,
    R::Error: Display,
{
    async fn send(&mut self, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        // The very service that became ready is the one that is called.
        poll_fn(|cx| self.0.poll_ready(cx)).await.map_err(|error| error.to_string())?;
        let clone = self.0.clone();
        let mut ready = std::mem::replace(&mut self.0, clone);
        let response = ready.call(request.map(Body::from)).await.map_err(|error| error.to_string())?;
        let (parts, body) = response.into_parts();
        let mut body = std::pin::pin!(body);
        // Nobody reads what it says, but a body that is not read may hold the handler up.
        while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            frame.map_err(|error| error.to_string())?;
        }
        Ok(Response::from_parts(parts, Bytes::new()))
    }
}

/// For tests whose framework has types of its own: a closure that sends.
impl<F, O> Target for F
where
    F: FnMut(Request<Bytes>) -> O,
    O: Future<Output = Result<Response<Bytes>, String>>,
{
    async fn send(&mut self, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        self(request).await
    }
}
