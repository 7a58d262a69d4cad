//! Verified access tokens as arguments of actix-web handlers.
//!
//! ```no_run
//! use actix_web::{App, HttpServer, get};                         // actix-token: the same words, the same answers
//! use actix_token::{Claims, Issuer, ResourceServer, TokenMiddleware};
//!
//! # #[derive(serde::Deserialize)] struct User { sub: String, email: Option<String> }
//! #[get("/me")] async fn me(Claims(user): Claims<User>) -> String { user.sub.clone() }
//!
//! #[actix_web::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let api = ResourceServer::builder("https://api.example.com").trust(Issuer::discover("https://login.example.com/")?).build()?;
//!     HttpServer::new(move || App::new().wrap(TokenMiddleware::new(api.clone())).service(me))
//!         .bind(("127.0.0.1", 8080))?.run().await?;
//!     Ok(())
//! }
//! ```
//!
//! What the callers of such an application get:
//!
//! ```
//! # use actix_web::{App, get, test};
//! # use actix_token::{Algorithm, Claims, Issuer, ResourceServer, StandardClaims, StaticKeys, TokenMiddleware};
//! # #[derive(serde::Deserialize)] struct User { sub: String }
//! # #[get("/me")] async fn me(Claims(user): Claims<User>) -> String { user.sub.clone() }
//! # #[actix_web::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let secret = [7; 32];
//! let keys = StaticKeys::secret(Algorithm::HS256, &secret)?;
//! let api = ResourceServer::builder("https://api.example.com")
//!     .trust(Issuer::with_keys("https://login.example.com/", keys)?)
//!     .build()?;
//! let app = test::init_service(App::new().wrap(TokenMiddleware::new(api)).service(me)).await;
//!
//! # let signer = actix_token::token_core::jose::signing::SigningKey::from_secret(Algorithm::HS256, None, &secret)?;
//! # let token = signer.sign_jwt(
//! #     r#"{"alg":"HS256"}"#,
//! #     r#"{"iss":"https://login.example.com/","aud":"https://api.example.com","sub":"ada","exp":4102444800}"#,
//! # )?;
//! let request = test::TestRequest::with_uri("/me").insert_header(("authorization", format!("Bearer {token}")));
//! let response = test::call_service(&app, request.to_request()).await;
//! assert_eq!(test::read_body(response).await, "ada");
//!
//! let stranger = test::call_service(&app, test::TestRequest::with_uri("/me").to_request()).await;
//! assert_eq!(stranger.status(), 401);
//! assert_eq!(stranger.headers().get("www-authenticate").unwrap(), "Bearer");
//! # Ok(()) }
//! ```
//!
//! # Where the middleware goes
//!
//! Around the `App`, a scope or a resource. `App::wrap` covers paths that do not exist, too, so strangers get a 401 there. A handler whose extractor
//! finds no middleware answers 500 and the log says so; nobody is let in by mistake.
//!
//! Public routes are those outside the wrapped scope. For a route that is for both, see [`TokenMiddleware::allow_anonymous`] and
//! [`MaybeAuthenticated`].
//!
//! `Cors` goes outside, which with `wrap` means added later: preflight requests carry no token, and a page can read a 401 only with the
//! CORS fields on it.
//!
//! # An API that clients can find
//!
//! [`ResourceServer::resource`] in place of `builder` names the API by its URL. Challenges then point to a metadata document (RFC 9728) that says
//! who may vouch for callers; [`Metadata`] serves it.
//!
//! # Rules
//!
//! 1. The gate is asked once for each request. What it says is written into the request's extensions as one value, an [`Outcome`].
//! 2. A request that does not pass never reaches the inner service.
//! 3. Statuses, `WWW-Authenticate` and `Retry-After` come from the table of [`ErrorKind`]; the body is a problem document (RFC 9457) unless
//!    [`TokenMiddleware::rejection`] writes another. The [`Error`] is in the response's extensions.
//! 4. Each refusal is logged once, by the [`TokenMiddleware`], also where an extractor, a guard or a handler refuses.

#[cfg(feature = "client")]
mod client;
mod extract;
mod future;
mod health;
mod logout;
mod metadata;
mod middleware;
mod rejection;
mod scope;
mod security_events;
#[cfg(test)]
mod tests;
mod view;
#[cfg(feature = "ws")]
mod ws;

#[doc(no_inline)]
pub use token_core;
#[doc(no_inline)]
pub use token_core::{
    Algorithm, Audience, ConfigError, Error, ErrorKind, Issuer, Required, ResourceServer, Rule, StandardClaims,
    StaticKeys, Verified,
    adapter::Outcome,
    revocation::{LogoutEndpoint, LogoutVerifier},
    scopes,
};

#[cfg(feature = "client")]
pub use client::{ClientRejection, FederatedToken, OnBehalfOf};
pub use extract::{Authenticated, Bound, Claims, IdTokenClaims, MaybeAuthenticated, Scoped, outcome};
pub use future::TokenFuture;
pub use health::health;
pub use logout::logout;
pub use metadata::{Metadata, MetadataFuture, MetadataService};
pub use middleware::{TokenMiddleware, TokenService};
pub use rejection::Rejection;
pub use scope::{ScopeFuture, ScopeMiddleware, ScopeService};
pub use security_events::security_events;
pub use view::View;
#[cfg(feature = "ws")]
pub use ws::while_valid;

/// Guards a scope or a resource with a rule, inside the [`TokenMiddleware`].
///
/// It answers as [`Scoped`] does, before the handler's other arguments are looked at.
///
/// ```
/// use actix_token::{Required, require, scopes};
/// use actix_web::{App, web};
///
/// scopes!(pub Admin = "admin");
///
/// let app = App::new()
///     .service(web::scope("/admin").wrap(require(Admin::RULE)).route("/", web::get().to(async || "…")))
///     .service(web::resource("/books").wrap(require("read:books")).get(async || "…"));
/// ```
pub fn require(rule: impl Into<Rule>) -> ScopeMiddleware {
    ScopeMiddleware::new(rule)
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
