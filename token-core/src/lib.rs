#![doc = include_str!("../README.md")]
// Under shuttle these sources are tested from outside (`shuttle/`): nothing of them is left in a test build of their own.
#![cfg(not(all(shuttle, test)))]

// The road of a request, from the top down to the ground. A wing imports from those below it and from none above:
// CONTRIBUTING.md has the table, and `cargo xtask lint` holds the code to it.

mod front; // the pages below: names by subject, for those who read the documentation

pub mod provider; // presets: what is known of real issuers, as data

mod operate; // health, explanations, OpenAPI

mod gate; // credentials in, a verified token or an error out

pub mod policy; // a server as data

mod verify; // the checks of a JWT, in order

mod trust; // issuers, the registry, look-ups

pub mod opaque; // tokens that an endpoint vouches for

pub mod keys; // key sets: fetched, refreshed, discovered

pub mod stores; // deny-list, answers, replays

mod token; // kind, audience, scopes, actor

pub mod jose; // algorithms, headers, keys, signatures

mod request; // where the token stands in a request

mod answer; // every answer that the gate can give

mod claims; // one pass over the claims

mod base; // time, locks, HTTP, telemetry

// What a newcomer writes. Everything else is on the page of its subject.
pub use crate::answer::error::{Answer, Error, ErrorKind};
pub use crate::base::config_error::ConfigError;
pub use crate::base::http;
pub use crate::base::time::{Clock, SystemClock, Timestamp};
pub use crate::front::{adapter, explain, login, mapping, possession, revocation, rules, streams, telemetry, tenants};
pub use crate::gate::builder::ResourceServerBuilder;
pub use crate::gate::id_token::StandardClaims;
pub use crate::gate::reload;
pub use crate::gate::security_events;
pub use crate::gate::server::ResourceServer;
pub use crate::jose::algorithm::Algorithm;
pub use crate::operate::metadata;
#[cfg(feature = "openapi")]
pub use crate::operate::openapi;
pub use crate::request::presented::Presented;
pub use crate::request::source::{CsrfRule, TokenLocation};
pub use crate::token::actor::Actor;
pub use crate::token::audience::Audience;
pub use crate::token::kind::TokenKind;
pub use crate::token::rule::{Required, Rule};
pub use crate::token::scopes::Scopes;
pub use crate::trust::claim_rule::ClaimRule;
pub use crate::trust::issuer::Issuer;
pub use crate::trust::static_keys::StaticKeys;
pub use crate::verify::verified::Verified;
