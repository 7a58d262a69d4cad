#![doc = include_str!("../README.md")]
// Under shuttle these sources are tested from outside (`shuttle/`): nothing of them is left in a test build of their own.
#![cfg(not(all(shuttle, test)))]

// The road of a request, from the top down to the ground. A wing imports from those below it and from none above:
// CONTRIBUTING.md has the table, and `cargo xtask lint` holds the code to it.

pub mod provider; // presets: what is known of real issuers, as data

mod operate; // health, explanations, OpenAPI

mod gate; // credentials in, a verified token or an error out

pub mod policy; // a server as data

mod verify; // the checks of a JWT, in order

mod trust; // issuers, the registry, look-ups

mod opaque; // tokens that an endpoint vouches for

mod keys; // key sets: fetched, refreshed, discovered

mod stores; // deny-list, answers, replays

mod token; // kind, audience, scopes, actor

mod jose; // algorithms, headers, keys, signatures

mod request; // where the token stands in a request

mod answer; // every answer that the gate can give

mod claims; // one pass over the claims

mod base; // time, locks, HTTP, telemetry

/// Proof of possession: what binds a token to its sender (RFC 9449, RFC 7638).
pub mod possession {
    pub use crate::jose::thumbprint::{NoThumbprint, Thumbprint, access_token_hash};
}

pub use crate::answer::check::Check;
pub use crate::answer::error::{Answer, Error, ErrorKind};
pub use crate::answer::implications::Implications;
pub use crate::answer::maybe_ready::MaybeReady;
pub use crate::base::config_error::ConfigError;
pub use crate::base::time::{Clock, SystemClock, Timestamp};
pub use crate::base::{http, telemetry};
pub use crate::gate::builder::ResourceServerBuilder;
pub use crate::gate::explain::Explain;
pub use crate::gate::id_token::{IdTokenVerifier, Login, StandardClaims};
pub use crate::gate::logout::{Logout, LogoutAnswer, LogoutEndpoint, LogoutVerifier};
pub use crate::gate::outcome::{Admission, Outcome, Refusals};
pub use crate::gate::reload;
pub use crate::gate::server::ResourceServer;
pub use crate::jose::{Algorithm, Algorithms, SkippedKey, UnknownAlgorithm, UnusableKey, signing};
pub use crate::keys::discovery;
pub use crate::keys::{
    CertificateMapSource, DiscoveryKeySource, FetchError, FetchedKeys, HttpKeySource, JwkSetSummary, JwksSettings,
    JwksSettingsError, KeySource, KeyState, KeyStatus, KeySummary, KeysUnavailable, PemPerKidSource, SkippedSummary,
};
pub use crate::opaque::client_authentication;
pub use crate::opaque::{OpaqueAnswer, OpaqueError, OpaqueState, OpaqueTokens, OpaqueVerifier};
pub use crate::operate::explain::{Report, Step, StepState};
pub use crate::operate::health::{Health, IssuerHealth};
#[cfg(feature = "openapi")]
pub use crate::operate::openapi;
pub use crate::request::presented::{Presented, RequestView};
pub use crate::request::source::{CsrfRule, TokenSource};
pub use crate::stores::TokenCacheSettings;
pub use crate::stores::{
    AnswerKey, AnswerStore, AnswerTag, Deny, DenyList, DenyLookup, Evict, FirstTime, MemoryAnswers, MemoryDenyList,
    MemoryReplays, ReplayMemory, StoreError, StoredAnswer, WhenUnreachable,
};
pub use crate::token::actor::Actor;
pub use crate::token::audience::Audience;
pub use crate::token::kind::TokenKind;
pub use crate::token::mapping::{ClaimMapping, ClaimPath, GrantShape, GrantSource};
pub use crate::token::marks::Marks;
pub use crate::token::scopes::{Required, Rule, Scopes};
pub use crate::trust::claim_rule::ClaimRule;
pub use crate::trust::issuer::Issuer;
pub use crate::trust::resolver::{IssuerResolver, ResolverSettings, Unresolved};
pub use crate::trust::static_keys::StaticKeys;
pub use crate::trust::tenants::TenantResolver;
pub use crate::verify::verified::Verified;
