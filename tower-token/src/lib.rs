//! A tower layer that lets requests in with a verified access token and answers the others.
//!
//! ```
//! use http::{Request, Response};
//! use token_core::{Algorithm, Issuer, ResourceServer, StaticKeys};
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! use tower_token::{Outcome, TokenLayer};
//!
//! async fn hello(request: Request<()>) -> Result<Response<String>, std::convert::Infallible> {
//!     let who = match request.extensions().get::<Outcome>() {
//!         Some(Outcome::Verified(token)) => token.subject().unwrap_or("somebody").to_owned(),
//!         _ => "stranger".to_owned(),
//!     };
//!     Ok(Response::new(format!("hello {who}")))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let secret = [7; 32];
//! let keys = StaticKeys::secret(Algorithm::HS256, &secret)?;
//! let api = ResourceServer::builder("https://api.example.com")
//!     .trust(Issuer::with_keys("https://login.example.com/", keys)?)
//!     .build()?;
//! let mut service = ServiceBuilder::new().layer(TokenLayer::new(api)).service(service_fn(hello));
//!
//! # let signer = token_core::jose::signing::SigningKey::from_secret(Algorithm::HS256, None, &secret)?;
//! # let token = signer.sign_jwt(
//! #     r#"{"alg":"HS256"}"#,
//! #     r#"{"iss":"https://login.example.com/","aud":"https://api.example.com","sub":"ada","exp":4102444800}"#,
//! # )?;
//! let request = Request::get("/").header("authorization", format!("Bearer {token}")).body(())?;
//! assert_eq!(service.ready().await?.call(request).await?.status(), 200);
//!
//! let refused = service.ready().await?.call(Request::get("/").body(())?).await?;
//! assert_eq!(refused.status(), 401);
//! assert_eq!(refused.headers()["www-authenticate"], "Bearer");
//! # Ok(()) }
//! ```
//!
//! # Rules
//!
//! 1. The gate is asked once for each request. What it says is written into the request's extensions as one value, an [`Outcome`].
//! 2. A request that does not pass never reaches the inner service, and holds no place in it while a key is fetched.
//! 3. Statuses, `WWW-Authenticate` and `Retry-After` come from the table of [`ErrorKind`](token_core::ErrorKind); the body is a problem
//!    document (RFC 9457) unless [`TokenLayer::rejection`] writes another. The [`Error`] is in the response's extensions.
//! 4. A gRPC call (`content-type: application/grpc…`, POST over HTTP/2 to `/service/method`; gRPC-Web over any version) is answered as
//!    gRPC: HTTP status 200, `grpc-status` and `grpc-message`, no body. The media type alone makes no call.
//! 5. Each refusal is logged once, by the [`TokenLayer`], also where an extractor, a [`ScopeLayer`] or a handler refuses.
//!
//! # The order of layers
//!
//! CORS goes *outside*: a preflight request carries no token and has to be answered by the CORS layer, and a 401 needs the CORS
//! fields for a page to read it. With [`ServiceBuilder`](https://docs.rs/tower/latest/tower/struct.ServiceBuilder.html) outside means above;
//! with axum's `Router::layer` it means added later. Compression, tracing and timeouts go outside too; limits on
//! concurrency may go on either side, inside they count verified requests only.

mod body;
mod future;
mod grpc;
mod layer;
mod metadata;
mod rejection;
mod scope;
mod service;
#[cfg(test)]
mod tests;
mod view;

use http::Extensions;
use token_core::Error;
#[doc(no_inline)]
pub use token_core::{ResourceServer, Rule, Verified, adapter::Outcome};

pub use body::ResponseBody;
pub use future::ResponseFuture;
pub use layer::TokenLayer;
pub use metadata::{Metadata, MetadataFuture, WithMetadata};
pub use rejection::rejection;
pub use scope::{Scope, ScopeFuture, ScopeLayer};
pub use service::Token;
pub use view::View;

/// What the [`TokenLayer`] around this request has written into its extensions.
///
/// # Errors
/// [`ErrorKind::Misconfigured`](token_core::ErrorKind::Misconfigured) when there is no such layer, which the log is told too.
pub fn outcome(extensions: &Extensions) -> Result<&Outcome, Error> {
    extensions.get().ok_or_else(|| {
        let error = Error::missing_layer("TokenLayer");
        error.log();
        error
    })
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
