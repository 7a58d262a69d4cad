//! A request in, the gate asked, the inner service called with the outcome or not at all.

use std::task::{Context, Poll};

use http::{Request, Response};
use token_core::adapter::ProofMark;
use token_core::{Presented, adapter::Admission};
use tower_service::Service;

use crate::body::ResponseBody;
use crate::future::ResponseFuture;
use crate::rejection::Refusal;
use crate::view::{View, peer};

/// The service that a [`TokenLayer`](crate::TokenLayer) makes.
#[derive(Clone, Debug)]
pub struct Token<S> {
    inner: S,
    admission: Admission,
}

impl<S> Token<S> {
    pub(crate) fn new(inner: S, admission: Admission) -> Self {
        Self { inner, admission }
    }
}

impl<S, B, R> Service<Request<B>> for Token<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if self.admission.takes_proofs() {
            prepare(&self.admission, &mut request);
        }
        let view = View::from(&request);
        let admitted = self.admission.admit(Presented::request(&view));
        let refusals = self.admission.refusals().clone();
        match admitted.now() {
            Ok(Ok(outcome)) => {
                let nonce = outcome.dpop_nonce();
                request.extensions_mut().insert(outcome);
                ResponseFuture::inner(self.inner.call(request), refusals, nonce)
            }
            Ok(Err(error)) => {
                release(&mut self.inner);
                ResponseFuture::refused(Refusal::new(error, &request), refusals)
            }
            Err(waiting) => {
                release(&mut self.inner);
                ResponseFuture::waiting(waiting, self.inner.clone(), request, refusals)
            }
        }
    }
}

/// Keeps a mark with a request that brings a proof, unless a layer outside has done so; and takes out a certificate that was not passed on by
/// who may.
fn prepare<B>(admission: &Admission, request: &mut Request<B>) {
    let peer = peer(request.extensions());
    if let Some(name) = admission.foreign_field(peer, |name| request.headers().contains_key(name)) {
        request.headers_mut().remove(&*name);
    }
    if request.headers().contains_key("dpop") && request.extensions().get::<ProofMark>().is_none() {
        request.extensions_mut().insert(ProofMark::default());
    }
}

/// Gives back what `poll_ready` reserved in a service that is not called now, a concurrency permit say: a caller without a good
/// token must not hold a place that others wait for. The clone in its stead is polled before it is called.
pub(crate) fn release<S: Clone>(inner: &mut S) {
    let fresh = inner.clone();
    *inner = fresh;
}
