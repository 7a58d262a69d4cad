#![doc = include_str!("../README.md")]
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
#[doc(no_inline)]
pub use token_core;
#[doc(inline)]
pub use token_core::opaque::client_authentication::{ClientAuthentication, ClientSecret};
#[doc(no_inline)]
pub use token_core::stores::StoreError;
pub use token_type::TokenType;
