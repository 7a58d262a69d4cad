//! Servers of protected resources in, a layer and a service that serve their metadata documents out (RFC 9728 section 3).

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::IF_NONE_MATCH;
use http::{HeaderValue, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use token_core::metadata::{MetadataAnswer, MetadataEndpoint};
use token_core::{ConfigError, ResourceServer};
use tower_layer::Layer;
use tower_service::Service;

use crate::body::ResponseBody;
use crate::service::release;

/// Serves the metadata documents of protected resources (RFC 9728), each where its identifier says.
///
/// As a layer it answers requests for those places and passes all others on. It goes *outside* the [`TokenLayer`](crate::TokenLayer): whoever asks
/// where to get a token has none.
///
/// As a service it answers requests for those places, and 404 to all others.
///
/// Only method, path and query of a request are looked at, never its `Host`. `GET` and `HEAD` get the document, with `Cache-Control` and for pages of every
/// origin; `OPTIONS` gets what a preflight request asks for.
///
/// ```
/// use http::Request;
/// use token_core::{Issuer, ResourceServer};
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
/// use tower_token::{Metadata, TokenLayer};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let api = ResourceServer::resource("https://api.example.com/books").trust(Issuer::discover("https://login.example.com/")?).build()?;
/// let mut service = ServiceBuilder::new()
///     .layer(Metadata::of([&api])?)
///     .layer(TokenLayer::new(api))
///     .service(service_fn(async |_: Request<()>| Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))));
///
/// let refused = service.ready().await?.call(Request::get("/books/1").body(())?).await?;
/// assert_eq!(
///     refused.headers()["www-authenticate"],
///     r#"Bearer resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/books""#
/// );
/// let found = service.ready().await?.call(Request::get("/.well-known/oauth-protected-resource/books").body(())?).await?;
/// assert_eq!(found.status(), 200);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Metadata {
    endpoint: MetadataEndpoint,
}

impl Metadata {
    /// Serves the documents of these servers.
    ///
    /// # Errors
    /// As [`MetadataEndpoint::of`].
    pub fn of<'a>(servers: impl IntoIterator<Item = &'a ResourceServer>) -> Result<Self, ConfigError> {
        Ok(Self { endpoint: MetadataEndpoint::of(servers)? })
    }

    /// The paths of the documents, queries left out: for routers that want to know them beforehand.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = Vec::new();
        for place in self.endpoint.paths() {
            let path = place.split_once('?').map_or(&*place, |(path, _)| path);
            if !paths.iter().any(|known| known == path) {
                paths.push(path.to_owned());
            }
        }
        paths
    }

    fn answer<B>(&self, request: &Request<B>) -> Option<MetadataAnswer> {
        let uri = request.uri();
        let place = uri.path_and_query().map_or("/", |place| place.as_str());
        let answer = self.endpoint.answer(request.method().as_str(), place)?;
        Some(answer.if_none_match(request.headers().get_all(IF_NONE_MATCH).iter().map(HeaderValue::as_bytes)))
    }
}

fn respond<R>(answer: MetadataAnswer) -> Response<ResponseBody<R>> {
    let mut response = Response::new(ResponseBody::text(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).expect("200, 204, 304, 404 and 405 are statuses");
    for (name, value) in answer.headers {
        let value =
            HeaderValue::try_from(value).expect("media types, numbers and names of methods are printable ASCII");
        response.headers_mut().insert(name, value);
    }
    response
}

impl<B> Service<Request<B>> for Metadata {
    type Response = Response<ResponseBody<String>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(respond(self.answer(&request).unwrap_or_else(MetadataAnswer::not_found))))
    }
}

impl<S> Layer<S> for Metadata {
    type Service = WithMetadata<S>;

    fn layer(&self, inner: S) -> WithMetadata<S> {
        WithMetadata { inner, metadata: self.clone() }
    }
}

/// The service that [`Metadata`] makes as a layer.
#[derive(Clone, Debug)]
pub struct WithMetadata<S> {
    inner: S,
    metadata: Metadata,
}

impl<S, B, R> Service<Request<B>> for WithMetadata<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = MetadataFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let state = match self.metadata.answer(&request) {
            None => State::Inner { future: self.inner.call(request) },
            Some(answer) => {
                release(&mut self.inner);
                State::Answered { answer: Some(answer) }
            }
        };
        MetadataFuture { state }
    }
}

pin_project! {
    /// The future of [`WithMetadata`].
    pub struct MetadataFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Inner { #[pin] future: F },
        Answered { answer: Option<MetadataAnswer> },
    }
}

impl<F, R, E> Future for MetadataFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<ResponseBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Inner { future } => future.poll(context).map_ok(|response| response.map(ResponseBody::inner)),
            StateProj::Answered { answer } => {
                Poll::Ready(Ok(respond(answer.take().expect("a future that has ended is not polled again"))))
            }
        }
    }
}

impl<F> fmt::Debug for MetadataFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Inner { .. } => "MetadataFuture(inner)",
            State::Answered { .. } => "MetadataFuture(answered)",
        })
    }
}
