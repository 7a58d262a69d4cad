//! Verifies OAuth 2.0 and OpenID Connect tokens.

// Under shuttle these sources are tested from outside (`shuttle/`): nothing of them is left in a test build of their own.
#![cfg(not(all(shuttle, test)))]

mod actor;
mod audience;
mod bearer;
mod builder;
mod challenge;
mod check;
mod claim_rule;
mod claims;
pub mod client_authentication;
mod compiler;
mod config_error;
pub mod discovery;
mod error;
mod explain;
mod file;
mod health;
pub mod http;
mod id_token;
mod implications;
mod introspection;
mod issuer;
mod jose;
mod jwt;
mod keys;
mod kind;
mod logout;
mod mapping;
mod maybe_ready;
mod opaque;
#[cfg(feature = "openapi")]
pub mod openapi;
mod outcome;
pub mod policy;
mod presented;
pub mod provider;
mod registry;
mod resolver;
mod scopes;
mod server;
mod source;
mod static_keys;
mod stores;
mod sync;
pub mod telemetry;
mod tenants;
mod time;
mod token_cache;
mod trusted;
mod typed;
mod userinfo;
mod verified;

pub use actor::Actor;
pub use audience::Audience;
pub use builder::ResourceServerBuilder;
pub use check::Check;
pub use claim_rule::ClaimRule;
pub use config_error::ConfigError;
pub use error::{Answer, Error, ErrorKind};
pub use explain::{Explain, Report, Step, StepState};
pub use health::{Health, IssuerHealth};
pub use id_token::{IdTokenVerifier, Login, StandardClaims};
pub use implications::Implications;
pub use issuer::Issuer;
pub use jose::{Algorithm, Algorithms, SkippedKey, UnknownAlgorithm, UnusableKey, signing};
pub use keys::{
    CertificateMapSource, DiscoveryKeySource, FetchError, FetchedKeys, HttpKeySource, JwkSetSummary, JwksSettings,
    JwksSettingsError, KeySource, KeyState, KeyStatus, KeySummary, KeysUnavailable, PemPerKidSource, SkippedSummary,
};
pub use kind::TokenKind;
pub use logout::{Logout, LogoutAnswer, LogoutEndpoint, LogoutVerifier};
pub use mapping::{ClaimMapping, ClaimPath, GrantShape, GrantSource};
pub use maybe_ready::MaybeReady;
pub use opaque::{OpaqueAnswer, OpaqueError, OpaqueState, OpaqueTokens, OpaqueVerifier};
pub use outcome::{Admission, Outcome, Refusals};
pub use presented::{Presented, RequestView};
pub use resolver::{IssuerResolver, ResolverSettings, Unresolved};
pub use scopes::{Required, Rule, Scopes};
pub use server::ResourceServer;
pub use source::{CsrfRule, TokenSource};
pub use static_keys::StaticKeys;
pub use stores::{
    AnswerKey, AnswerStore, AnswerTag, Deny, DenyList, DenyLookup, Evict, FirstTime, Marks, MemoryAnswers,
    MemoryDenyList, MemoryReplays, ReplayMemory, StoreError, StoredAnswer, WhenUnreachable,
};
pub use tenants::TenantResolver;
pub use time::{Clock, SystemClock, Timestamp};
pub use token_cache::TokenCacheSettings;
pub use verified::Verified;
