#![doc = include_str!("../README.md")]

#[cfg(feature = "client")]
mod client;
mod extract;
mod health;
mod logout;
mod rejection;
mod security_events;
#[cfg(test)]
mod tests;
mod ticket;
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
pub use ticket::ticket;
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
