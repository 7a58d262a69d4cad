//! A request in, the gate asked, the inner service called with the outcome or a refusal out.

use std::future::{Ready, ready};
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::header::HeaderName;
use actix_web::{Error as ActixError, HttpMessage};
use token_core::adapter::ProofMark;
use token_core::possession::{DpopPolicy, ExternalUrl};
use token_core::{Error, Presented, ResourceServer, adapter::Admission};

use crate::future::TokenFuture;
use crate::view::View;

/// Verifies the token of each request. Requests with a good token reach the handler, the others are answered with status and challenge.
///
/// Put it around an `App`, a scope or a resource with `wrap`. A refusal is a response and not an error of the service, so a CORS middleware outside adds its
/// header fields to it.
///
/// ```
/// use actix_token::{Issuer, ResourceServer, TokenMiddleware};
///
/// # fn main() -> Result<(), actix_token::ConfigError> {
/// let api = ResourceServer::builder("https://api.example.com").trust(Issuer::discover("https://login.example.com/")?).build()?;
/// let middleware = TokenMiddleware::new(api)
///     .allow_anonymous()
///     .rejection(|error| ("application/json", format!(r#"{{"code":"{}"}}"#, error.kind())));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until something is wrapped in it"]
pub struct TokenMiddleware {
    admission: Admission,
}

impl TokenMiddleware {
    /// A middleware that requires a token which `server` accepts. Each worker makes its own; clones of `server` share keys and caches.
    pub fn new(server: ResourceServer) -> Self {
        Self { admission: Admission::new(server) }
    }

    /// Lets requests without credentials pass, as [`Outcome::Anonymous`](crate::Outcome::Anonymous). Bad credentials are still refused, and a handler that asks
    /// for a token is still not called without one.
    pub fn allow_anonymous(mut self) -> Self {
        self.admission = self.admission.allow_anonymous();
        self
    }

    /// Records the caller in the application's own span around the request, in those of the fields `token.subject`, `token.client_id` and `token.issuer`
    /// ([`CALLER_FIELDS`](token_core::telemetry::CALLER_FIELDS)) that the span declares. Off by default: the subject is personal data.
    pub fn record_caller(mut self) -> Self {
        self.admission = self.admission.record_caller();
        self
    }

    /// Accepts other kinds of credentials on these routes than the server does elsewhere: only DPoP, for example, with [`DpopPolicy::Required`]. The server must
    /// have [DPoP](token_core::ResourceServerBuilder::dpop) configured. Two layers around the same route count the proof of a request once.
    pub fn dpop(mut self, policy: DpopPolicy) -> Self {
        self.admission = self.admission.dpop(policy);
        self
    }

    /// The URL under which clients reach these routes, if it differs from the server's. It is compared with `htu` of DPoP proofs (RFC 9449 section 4.2).
    pub fn external_url(mut self, url: ExternalUrl) -> Self {
        self.admission = self.admission.external_url(url);
        self
    }

    /// Names these scopes, separated by spaces, in the challenge of each 401 (RFC 6750 section 3): the scopes that a client should ask its authorization server
    /// for.
    pub fn challenge_scope(mut self, scope: impl Into<String>) -> Self {
        self.admission = self.admission.challenge_scope(scope.into());
        self
    }

    /// Replaces the body of refusals. `body` returns its media type and its text.
    ///
    /// It is called for each refusal that passes this middleware, also for those of extractors, of [`require`](crate::require), and of handlers that return the
    /// error. Status, `WWW-Authenticate` and `Retry-After` cannot be changed.
    ///
    /// The client reads what you write: use [`ErrorKind::public_text`](crate::ErrorKind::public_text), not the error's `Display`.
    pub fn rejection<T: Into<String>>(
        mut self,
        body: impl Fn(&Error) -> (&'static str, T) + Send + Sync + 'static,
    ) -> Self {
        self.admission = self.admission.rejection(body);
        self
    }
}

impl<S, B> Transform<S, ServiceRequest> for TokenMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = ActixError> + 'static,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = ActixError;
    type InitError = ();
    type Transform = TokenService<S>;
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(TokenService { inner: Rc::new(service), admission: self.admission.clone() }))
    }
}

/// The service that a [`TokenMiddleware`] makes.
#[derive(Debug)]
pub struct TokenService<S> {
    inner: Rc<S>,
    admission: Admission,
}

impl<S, B> Service<ServiceRequest> for TokenService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = ActixError> + 'static,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = ActixError;
    type Future = TokenFuture<S>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let mark = if self.admission.takes_proofs() { prepare(&self.admission, &mut request) } else { None };
        let admitted = self.admission.admit(Presented::request(&View::with_mark(request.request(), mark.as_ref())));
        let refusals = self.admission.refusals().clone();
        match admitted.now() {
            Ok(Ok(outcome)) => {
                let nonce = outcome.dpop_nonce();
                request.extensions_mut().insert(outcome);
                TokenFuture::inner(self.inner.call(request), refusals, nonce)
            }
            Ok(Err(error)) => TokenFuture::refused(error, request, refusals),
            Err(waiting) => TokenFuture::waiting(waiting, Rc::clone(&self.inner), request, refusals),
        }
    }
}

/// The mark of a request that brings a proof, kept with it for a middleware inside. A certificate that was not passed on by who may is taken out.
fn prepare(admission: &Admission, request: &mut ServiceRequest) -> Option<ProofMark> {
    let peer = request.peer_addr().map(|address| address.ip());
    if let Some(name) = admission.foreign_field(peer, |name| request.headers().contains_key(name))
        && let Ok(name) = HeaderName::try_from(&*name)
    {
        request.headers_mut().remove(name);
    }
    if !request.headers().contains_key("dpop") {
        return None;
    }
    if let Some(mark) = request.extensions().get::<ProofMark>() {
        return Some(mark.clone());
    }
    let mark = ProofMark::default();
    request.extensions_mut().insert(mark.clone());
    Some(mark)
}
