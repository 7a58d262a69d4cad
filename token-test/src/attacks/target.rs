//! A request in, what the API answered out: in this process, without a network.

use std::fmt::Display;
use std::future::poll_fn;

use bytes::{Buf, Bytes, BytesMut};
use http::{Request, Response};

/// The body of the requests that [`Attacks::run`](super::Attacks::run) sends.
pub type Body = axum::body::Body;

/// An API that requests can be sent to. It is asked one request after the other.
pub trait Target {
    /// Sends one request and reads its answer whole, unless its [head suffices](head_suffices). Of bodies, those alone are looked at that hold a ticket.
    ///
    /// # Errors
    /// Why there was no answer. It counts as a refusal for giants alone, and is a fault otherwise.
    fn send(&mut self, request: Request<Bytes>) -> impl Future<Output = Result<Response<Bytes>, String>>;

    /// What it puts before the path of each request: a ticket is for the path as a whole.
    fn prefix(&self) -> &str {
        ""
    }
}

/// Whether the status of the answer is all that counts: its body may never end, where a ticket opens a stream of events.
#[must_use]
pub fn head_suffices(request: &Request<Bytes>) -> bool {
    request.extensions().get::<HeadSuffices>().is_some()
}

/// Marks a request whose answer may go on for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadSuffices;

/// How much of a body is kept.
pub(super) const MOST: usize = 64 * 1024;

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
        let head_suffices = head_suffices(&request);
        let response = ready.call(request.map(Body::from)).await.map_err(|error| error.to_string())?;
        let (parts, body) = response.into_parts();
        let (mut body, mut kept) = (std::pin::pin!(body), BytesMut::new());
        // Read to its end even where nobody wants it: a body that is not read may hold the handler up.
        while !head_suffices && let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            if let Ok(mut data) = frame.map_err(|error| error.to_string())?.into_data() {
                let more = data.remaining().min(MOST - kept.len());
                kept.extend_from_slice(&data.copy_to_bytes(more));
            }
        }
        Ok(Response::from_parts(parts, kept.freeze()))
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
