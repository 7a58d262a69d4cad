//! A guarded MCP server as a resource of actix-web: requests of one `http` go in as those of the other, answers come back as streams.

use std::fmt::Display;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::StatusCode as ActixStatus;
use actix_web::http::header::{HeaderName as ActixName, HeaderValue as ActixValue};
use actix_web::web::{self, Payload};
use actix_web::{HttpRequest, HttpResponse, Resource};
use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::{Body, Frame, SizeHint};
use token_core::adapter::{ClientCertificate, PeerAddress};
use tokio::sync::mpsc;
use tower_service::Service;

/// The guarded server at this path.
///
/// ```
/// use std::sync::Arc;
///
/// use actix_web::App;
/// use mcp_token::{McpLayer, actix};
/// use rmcp::ServerHandler;
/// use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
/// use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
/// use token_core::{Issuer, ResourceServer};
/// use tower_layer::Layer;
///
/// struct Notes;
/// impl ServerHandler for Notes {}
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let api = ResourceServer::resource("https://notes.example.com/mcp").trust(Issuer::discover("https://login.example.com")?).build()?;
/// let config = StreamableHttpServerConfig::default().with_allowed_hosts(["notes.example.com"]);
/// let server = StreamableHttpService::new(|| Ok(Notes), Arc::new(LocalSessionManager::default()), config);
/// let guarded = McpLayer::builder(api).scope("notes:read").build()?.layer(server);
/// // In the factory of `HttpServer::new`, beside `actix_token::Metadata`:
/// let app = App::new().service(actix::resource("/mcp", guarded.clone()));
/// # let _ = app; Ok(()) }
/// ```
pub fn resource<S, R>(path: &str, service: S) -> Resource
where
    S: Service<Request<Incoming>, Response = Response<R>> + Clone + 'static,
    S::Error: Display,
    R: Body<Data = Bytes> + 'static,
    R::Error: Display,
{
    web::resource(path).to(move |request: HttpRequest, payload: Payload| {
        let mut service = service.clone();
        async move {
            let Some(request) = convert(&request, payload) else { return HttpResponse::BadRequest().finish() };
            let ready = std::future::poll_fn(|context| service.poll_ready(context)).await;
            let answer = match ready {
                Ok(()) => service.call(request).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(response) => respond(response),
                Err(_) => HttpResponse::InternalServerError().finish(),
            }
        }
    })
}

fn convert(request: &HttpRequest, payload: Payload) -> Option<Request<Incoming>> {
    let mut converted = Request::new(Incoming::of(payload, request));
    *converted.method_mut() = Method::from_bytes(request.method().as_str().as_bytes()).ok()?;
    *converted.uri_mut() = Uri::try_from(request.uri().to_string()).ok()?;
    *converted.version_mut() = match request.version() {
        actix_web::http::Version::HTTP_10 => Version::HTTP_10,
        actix_web::http::Version::HTTP_2 => Version::HTTP_2,
        _ => Version::HTTP_11,
    };
    for (name, value) in request.headers() {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
        converted.headers_mut().append(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
    }
    // Who is believed about the client's address and certificate, and the certificate of the connection, are not in the head.
    if let Some(address) = request.peer_addr() {
        converted.extensions_mut().insert(PeerAddress(address.ip()));
    }
    if let Some(certificate) = request.conn_data::<ClientCertificate>() {
        converted.extensions_mut().insert(certificate.clone());
    }
    Some(converted)
}

fn respond<R>(response: Response<R>) -> HttpResponse
where
    R: Body<Data = Bytes> + 'static,
    R::Error: Display,
{
    let (parts, body) = response.into_parts();
    let status = ActixStatus::from_u16(parts.status.as_u16()).unwrap_or(ActixStatus::INTERNAL_SERVER_ERROR);
    let mut converted = HttpResponse::build(status);
    for (name, value) in &parts.headers {
        let name = ActixName::from_bytes(name.as_str().as_bytes());
        if let (Ok(name), Ok(value)) = (name, ActixValue::from_bytes(value.as_bytes())) {
            converted.append_header((name, value));
        }
    }
    if parts.status == StatusCode::NO_CONTENT {
        return converted.finish();
    }
    converted.body(Outgoing(Box::pin(body)))
}

/// The body of an actix-web request, for services that may run on another thread. One chunk of it is held at a time.
#[derive(Debug)]
pub struct Incoming {
    chunks: mpsc::Receiver<Result<Bytes, Broken>>,
    length: Option<u64>,
}

/// The connection broke off.
#[derive(Clone, Copy, Debug)]
pub struct Broken;

impl Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the request's body broke off")
    }
}

impl std::error::Error for Broken {}

impl Incoming {
    fn of(mut payload: Payload, request: &HttpRequest) -> Self {
        let (sender, chunks) = mpsc::channel(1);
        // The payload belongs to this thread. The task ends with the body, or when nobody wants the rest of it.
        actix_web::rt::spawn(async move {
            loop {
                let chunk = tokio::select! {
                    () = sender.closed() => break,
                    chunk = payload.next() => chunk,
                };
                let Some(chunk) = chunk else { break };
                let last = chunk.is_err();
                if sender.send(chunk.map_err(|_| Broken)).await.is_err() || last {
                    break;
                }
            }
        });
        let length = request.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
        Self { chunks, length }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.chunks.poll_recv(context).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        // Only until the first chunk is taken does it hold; nobody asks later.
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

struct Outgoing<R>(Pin<Box<R>>);

impl<R> MessageBody for Outgoing<R>
where
    R: Body<Data = Bytes>,
    R::Error: Display,
{
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.0.size_hint().exact().map_or(BodySize::Stream, BodySize::Sized)
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        loop {
            let frame = std::task::ready!(self.0.as_mut().poll_frame(context));
            match frame {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.to_string().into()))),
                // Trailers have no place in an answer of actix-web.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
            }
        }
    }
}
