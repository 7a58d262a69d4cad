//! Verified access tokens as arguments of axum handlers.
//!
//! ```no_run
//! use axum::{Router, routing::get};                              // axum-token
//! use axum_token::{Claims, Issuer, ResourceServer, Scoped, TokenLayer, scopes};
//!
//! #[derive(serde::Deserialize)] struct User { sub: String, email: Option<String> }
//! scopes!(ReadUsers = "read:users");
//!
//! async fn me(Claims(user): Claims<User>) -> String { user.sub.clone() }
//! async fn list(_: Scoped<ReadUsers>) -> &'static str { "…" }     // 403 + challenge naming read:users, without a line of code
//!
//! #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let api = ResourceServer::builder("https://api.example.com")       // who we are: the audience
//!         .trust(Issuer::discover("https://login.example.com/")?)        // whom we believe
//!         .build()?;
//!     let app = Router::new().route("/me", get(me)).route("/users", get(list)).layer(TokenLayer::new(api));
//!     axum::serve(tokio::net::TcpListener::bind("127.0.0.1:3000").await?, app).await?;
//!     Ok(())
//! }
//! ```
//!
//! What the two callers of such a router get:
//!
//! ```
//! # use axum::{Router, body::Body, http::Request, routing::get};
//! # use axum_token::{Algorithm, Issuer, ResourceServer, Scoped, StandardClaims, StaticKeys, TokenLayer, scopes};
//! # use tower::ServiceExt;
//! # scopes!(ReadUsers = "read:users");
//! # async fn list(_: Scoped<ReadUsers>) -> &'static str { "…" }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let secret = [7; 32];
//! let keys = StaticKeys::secret(Algorithm::HS256, &secret)?;
//! let api = ResourceServer::builder("https://api.example.com")
//!     .trust(Issuer::with_keys("https://login.example.com/", keys)?)
//!     .build()?;
//! let app = Router::new().route("/users", get(list)).layer(TokenLayer::new(api));
//!
//! # let signer = axum_token::token_core::jose::signing::SigningKey::from_secret(Algorithm::HS256, None, &secret)?;
//! # let token = |scope: &str| signer.sign_jwt(
//! #     r#"{"alg":"HS256"}"#,
//! #     &format!(r#"{{"iss":"https://login.example.com/","aud":"https://api.example.com","exp":4102444800,"scope":"{scope}"}}"#),
//! # );
//! let ask = |token| Request::get("/users").header("authorization", format!("Bearer {token}")).body(Body::empty());
//!
//! let reader = app.clone().oneshot(ask(token("read:users")?)?).await?;
//! assert_eq!(reader.status(), 200);
//!
//! let writer = app.oneshot(ask(token("write:users")?)?).await?;
//! assert_eq!(writer.status(), 403);
//! assert!(writer.headers()["www-authenticate"].to_str()?.ends_with(r#"scope="read:users""#));
//! # Ok(()) }
//! ```
//!
//! # Where the layer goes
//!
//! `Router::layer` covers the routes that were added *before* it, and none added after it. A handler whose extractor finds no layer answers 500 and
//! the log says so; nobody is let in by mistake. `Router::layer` also covers paths that do not exist, so strangers get a 401 there; with
//! `Router::route_layer` they get the 404.
//!
//! Public routes are those of a router without the layer; [`Router::merge`](https://docs.rs/axum/0.8/axum/struct.Router.html#method.merge)
//! puts the two together. For a route that is for both, see [`TokenLayer::allow_anonymous`] and `Option<`[`Authenticated`]`>`.
//!
//! A CORS layer goes outside, which for `Router::layer` means added later: preflight requests carry no token, and a page can
//! read a 401 only with the CORS fields on it. What else holds for the layer stands in [`tower_token`].

//!
//! # An API that clients can find
//!
//! [`ResourceServer::resource`] in place of `builder` names the API by its URL. Challenges then point to a metadata document (RFC 9728) that says
//! who may vouch for callers, and [`Metadata`] serves it, outside the layer that asks for tokens:
//!
//! ```
//! use axum::{Router, routing::get};
//! use axum_token::{Issuer, Metadata, ResourceServer, TokenLayer};
//!
//! # fn main() -> Result<(), axum_token::ConfigError> {
//! let api = ResourceServer::resource("https://api.example.com/books").trust(Issuer::discover("https://login.example.com/")?).build()?;
//! let app: Router = Router::new()
//!     .route("/books", get(async || "…"))
//!     .layer(TokenLayer::new(api.clone()))
//!     .layer(Metadata::of([&api])?);                       // added later, so outside
//! # Ok(()) }
//! ```
//!
//! It is a service, too, for `Router::route_service` at one of its [`paths`](Metadata::paths). A router that is nested sees its paths without the prefix:
//! put it on the outermost one.

#[cfg(feature = "client")]
mod client;
mod extract;
mod health;
mod logout;
mod rejection;
mod security_events;
#[cfg(test)]
mod tests;
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
#[doc(inline)]
pub use tower_token::{Metadata, ScopeLayer, TokenLayer};

#[cfg(feature = "client")]
pub use client::{ClientRejection, FederatedToken, OnBehalfOf};
pub use extract::{Authenticated, Bound, Claims, IdTokenClaims, Scoped};
pub use health::health;
pub use logout::logout;
pub use rejection::Rejection;
pub use security_events::security_events;
#[cfg(feature = "ws")]
pub use ws::while_valid;

/// Guards a whole route or router with a rule: for `route_layer` and `MethodRouter::layer`, inside the [`TokenLayer`].
///
/// It answers as [`Scoped`] does, before the handler's other arguments are looked at.
///
/// ```
/// use axum::{Router, routing::{delete, get}};
/// use axum_token::{Required, require, scopes};
///
/// scopes!(pub Admin = "admin");
///
/// let app: Router = Router::new()
///     .route("/users/{id}", delete(async || "gone"))
///     .route_layer(require(Admin::RULE))                     // every route above
///     .route("/books", get(async || "…").layer(require("read:books")));
/// ```
pub fn require(rule: impl Into<Rule>) -> ScopeLayer {
    ScopeLayer::new(rule)
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
