//! Servers of protected resources in, a service and a middleware that serve their metadata documents out (RFC 9728 section 3).

use std::fmt;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{AppService, HttpServiceFactory, Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::header::{HeaderValue, IF_NONE_MATCH};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error as ActixError, HttpRequest, HttpResponse, Resource, web};
use pin_project_lite::pin_project;
use token_core::metadata::{MetadataAnswer, MetadataEndpoint};
use token_core::{ConfigError, ResourceServer};

/// Serves the metadata documents of protected resources (RFC 9728), each where its identifier says.
///
/// As a middleware it answers requests for those places and passes all others on. It goes *outside* the
/// [`TokenMiddleware`](crate::TokenMiddleware), which with `wrap` means added later: whoever asks where to get a token has none.
///
/// As a service of an `App` whose guard is around a scope alone, it answers requests for those places.
///
/// Only method, path and query of a request are looked at, never its `Host`. `GET` and `HEAD` get the document, with `Cache-Control` and for pages of every
/// origin; `OPTIONS` gets what a preflight request asks for.
///
/// ```
/// use actix_token::{Issuer, Metadata, ResourceServer, TokenMiddleware};
/// use actix_web::{App, web};
///
/// # fn main() -> Result<(), actix_token::ConfigError> {
/// let api = ResourceServer::resource("https://api.example.com/books").trust(Issuer::discover("https://login.example.com/")?).build()?;
/// let metadata = Metadata::of([&api])?;
///
/// let app = App::new()
///     .wrap(TokenMiddleware::new(api.clone()))
///     .wrap(metadata.clone())                               // added later, so outside
///     .route("/books", web::get().to(async || "…"));
///
/// let app = App::new()
///     .service(metadata)
///     .service(web::scope("/books").wrap(TokenMiddleware::new(api)).route("", web::get().to(async || "…")));
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

    fn answer(&self, request: &HttpRequest) -> Option<HttpResponse> {
        let place = request.uri().path_and_query().map_or("/", |place| place.as_str());
        // actix-web writes the length of a body of its own accord, and leaves the body away where the request is HEAD.
        let method = if request.method() == Method::HEAD { "GET" } else { request.method().as_str() };
        let answer = self.endpoint.answer(method, place)?;
        Some(respond(answer.if_none_match(request.headers().get_all(IF_NONE_MATCH).map(HeaderValue::as_bytes))))
    }
}

fn respond(answer: MetadataAnswer) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).expect("200, 204, 304, 404 and 405 are statuses");
    let mut response = HttpResponse::build(status);
    for (name, value) in answer.headers {
        response.insert_header((name, value));
    }
    response.body(answer.body)
}

impl HttpServiceFactory for Metadata {
    fn register(self, config: &mut AppService) {
        // Everything under the place of such documents, so that a resource of a policy file may change its path.
        let root = MetadataEndpoint::PLACE;
        let places = [root.to_owned(), format!("{root}/{{place:.*}}")];
        let answer = move |request: HttpRequest| {
            ready(self.answer(&request).unwrap_or_else(|| respond(MetadataAnswer::not_found())))
        };
        Resource::new(places).route(web::to(answer)).register(config);
    }
}

impl<S, B> Transform<S, ServiceRequest> for Metadata
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = ActixError>,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = ActixError;
    type InitError = ();
    type Transform = MetadataService<S>;
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(MetadataService { inner, metadata: self.clone() }))
    }
}

/// The service that [`Metadata`] makes as a middleware.
#[derive(Debug)]
pub struct MetadataService<S> {
    inner: S,
    metadata: Metadata,
}

impl<S, B> Service<ServiceRequest> for MetadataService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = ActixError>,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = ActixError;
    type Future = MetadataFuture<S::Future>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let state = match self.metadata.answer(request.request()) {
            None => State::Inner { future: self.inner.call(request) },
            Some(response) => State::Answered { response: Some(request.into_response(response)) },
        };
        MetadataFuture { state }
    }
}

pin_project! {
    /// The future of [`MetadataService`].
    pub struct MetadataFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Inner { #[pin] future: F },
        Answered { response: Option<ServiceResponse> },
    }
}

impl<F, B> Future for MetadataFuture<F>
where
    F: Future<Output = Result<ServiceResponse<B>, ActixError>>,
    B: MessageBody,
{
    type Output = Result<ServiceResponse<EitherBody<B>>, ActixError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Inner { future } => future.poll(context).map_ok(ServiceResponse::map_into_left_body),
            StateProj::Answered { response } => {
                let response = response.take().expect("a future that has ended is not polled again");
                Poll::Ready(Ok(response.map_into_right_body()))
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
