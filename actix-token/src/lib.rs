#![doc = include_str!("../README.md")]

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
mod ticket;
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
pub use ticket::ticket;
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
