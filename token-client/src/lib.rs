//! The tokens a server obtains: for itself, for its users, on behalf of a request's caller.
//!
//! ```
//! use token_client::{TokenClient, TokenRequest, TokenSource};
//! use token_core::http::ReqwestClient;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let issuer = token_test::TestIssuer::start().await;
//! # let token_endpoint = issuer.token_endpoint();
//! let client = TokenClient::builder(token_endpoint, "test-client")
//!     .secret("test-secret")
//!     .http(ReqwestClient::builder().allow_loopback_http().build()?) // in production: ReqwestClient::new(), the default
//!     .build()?;
//! let billing = client.source(TokenRequest::client_credentials().audience("https://billing.example.com"));
//!
//! let token = billing.token().await?;                  // asks the server
//! assert_eq!(billing.token().await?, token);           // remembers
//! # assert_eq!(issuer.hits(token_test::Endpoint::Token), 1);
//! assert!(!format!("{token:?} {billing:?}").contains(token.expose()));
//! # Ok(())
//! # }
//! ```
//!
//! # What is here
//!
//! | to have | use |
//! | --- | --- |
//! | a token for ourselves | [`TokenClient::source`] with [`TokenRequest::client_credentials`] |
//! | a user's tokens, for as long as the refresh token lives | [`RefreshSource`] over a [`SwapStore`] |
//! | a token for the next service, on behalf of our caller | [`Delegation`] |
//! | the user's token at Google, GitHub … | [`FederatedSource`] over one of three [`FederatedTokens`] |
//! | tokens for an API of which only the URL is known | [`ProtectedApi`] |
//! | any of them on each outgoing request | [`BearerLayer`] for tower and tonic, `BearerClient` for `reqwest-middleware` |
//! | tokens that are good for nothing without a key (DPoP, RFC 9449) | [`TokenClientBuilder::dpop`] with a [`DpopKey`] |
//! | tokens that are good for nothing without a certificate (mutual TLS, RFC 8705) | [`TokenClientBuilder::client_identity`] |
//! | one request to a token endpoint and nothing else | [`TokenClient::obtain`]; apart from sending, [`process_token_response`] |
//! | security events, where they cannot be pushed | [`SecurityEventPoller`] |
//! | what Auth0 has beside OAuth | [`auth0`] |
//!
//! # What every source promises
//!
//! * While a token is good, asking costs one atomic load. It is renewed in the background 60 s before its end, or a tenth of its life if that is
//!   less, with jitter.
//! * However many ask while there is none, one request is made, by a task that belongs to none of them: a caller that goes away
//!   neither stops nor repeats it.
//! * A failure is remembered for 1 s, doubling up to 30 s, or for what `Retry-After` says up to a minute; while a token is still good it is served.
//! * Errors say [who has to act](Fault). None holds a token, a secret or what the server wrote.
//!
//! # Tokens that are bound to a key
//!
//! A client with a [`DpopKey`] proves with each request to the token endpoint, and with each request that carries one of its tokens, that it has
//! the key (RFC 9449). There is nothing else to do: [`BearerLayer`] and `BearerClient` make the proofs, remember the nonces of authorization
//! server and resources by origin, and try once more when a nonce is asked for.
//!
//! ```no_run
//! use token_client::{BearerLayer, DpopKey, Origins, TokenClient, TokenRequest};
//! use token_core::Algorithm;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = TokenClient::builder("https://login.example.com/token", "orders")
//!     .secret("from the environment")
//!     .dpop(DpopKey::generate(Algorithm::ES256)?)
//!     .build()?;
//! let billing = client.source(TokenRequest::client_credentials().audience("https://billing.example.com"));
//! let layer = BearerLayer::new(billing, Origins::of(["https://billing.example.com"])?);
//! # let _ = layer; Ok(()) }
//! ```
//!
//! # What is not checked
//!
//! What is inside the tokens: that is for those who get them, and for `token-core` where an ID token comes back. Whether the scopes that were granted
//! are those that were asked for. That a bound token holds our thumbprint: what binds it is the server's word, `token_type`.
//!
//! With the feature `metrics` renewals are counted, by the names that `token_core::telemetry` lists together with spans and events.
//!
//! With the feature `zeroize` secrets are overwritten when their last clone is dropped. Copies on their way out, in headers and bodies of
//! requests, are not.
//!
//! This crate holds secrets that mint. A server that only verifies has no need of it.

// Under shuttle these sources are tested from outside (`shuttle/`): nothing of them is left in a test build of their own.
#![cfg(not(all(shuttle, test)))]

mod acquire;
mod api;
pub mod auth0;
mod builder;
mod cells;
mod client;
mod delegation;
mod dpop;
mod error;
mod federated;
mod fetch;
mod flight;
mod grant;
mod identity;
mod patience;
mod pkce;
mod random;
mod record;
mod refresh;
mod refusal;
mod renewal;
mod response;
mod secret;
mod security_events;
mod send;
mod source;
mod store;
mod sync;
mod telemetry;
mod token;
mod token_type;

pub use acquire::Acquire;
pub use api::authorization::AuthorizationRequest;
pub use api::challenge::Challenge;
pub use api::registration::ClientMetadata;
pub use api::resource_metadata::{ResourceMetadata, process_resource_metadata, resource_metadata_urls};
pub use api::server_metadata::{ServerMetadata, process_server_metadata, server_metadata_urls};
pub use api::{Attempt, CrossApp, ProtectedApi, ProtectedApiBuilder, UserAgent};
pub use builder::TokenClientBuilder;
pub use client::{Revoke, TokenClient};
pub use delegation::{Delegated, DelegatedSource, Delegation, Downstream};
pub use dpop::key::DpopKey;
pub use error::{Fault, TokenError, TokenErrorKind};
pub use federated::{
    Auth0Identities, Auth0TokenVault, Facebook, Federated, FederatedSource, FederatedTokens, FederatedUser, GitHub,
    Google, KeycloakBroker, Microsoft, Provider,
};
pub use grant::TokenRequest;
pub use identity::ClientIdentity;
pub use pkce::PkceVerifier;
pub use refresh::{OnRotate, RefreshSource, RefreshSourceBuilder};
pub use refusal::Refusal;
pub use renewal::RenewalSettings;
pub use response::{Expected, TokenResponse, process_token_response};
pub use secret::{AccessToken, Assertion, AuthorizationCode, IdToken, RefreshToken};
pub use security_events::{Polled, SecurityEventPoller};
pub use send::bearer::{Bearer, BearerFuture, BearerLayer, BoxError};
pub use send::origins::Origins;
#[cfg(feature = "reqwest-middleware")]
pub use send::reqwest_middleware::BearerClient;
pub use source::{CachedSource, FixedSource, TokenSource};
pub use store::{MemoryStore, SwapStore};
pub use token::Token;
#[doc(inline)]
pub use token_core::opaque::client_authentication::{ClientAuthentication, ClientSecret};
#[doc(no_inline)]
pub use token_core::stores::StoreError;
pub use token_type::TokenType;
