#![doc = include_str!("../README.md")]
// Under shuttle these sources are tested from outside (`shuttle/`): nothing of them is left in a test build of their own.
#![cfg(not(all(shuttle, test)))]

// The wings, from the top down to the ground. A wing imports from those below it and from none above: CONTRIBUTING.md has the table, and
// `cargo xtask lint` checks it.
//
// A request goes in at `gate::server` and takes this road: `request` finds the token in it, the gate's cache may know the token, `verify` checks a JWT
// (`opaque` asks about any other), `trust` has the issuer and its rules, `keys` the issuer's keys, `jose` checks the signature, `claims` reads what was
// signed. A `Verified` comes out, or an `Error` of `answer`.

mod front; // the public pages of names by subject: nothing is defined here

pub mod provider; // presets: a provider's facts in, an `Issuer` out

mod operate; // a server in; its health, its metadata, why it refused a token and its OpenAPI schemes out

mod gate; // credentials in, a verified token or an error out; and the builder of it all

pub mod policy; // a server as data: read, written, checked for traps, compared

mod verify; // a token and its issuer in, the checks in order, a `Verified` out

mod trust; // what an operator says of issuers in, the closed registry of them out; look-ups of more

pub mod opaque; // a token in, what an endpoint says of it out: introspection, userinfo, reviews, status lists

pub mod keys; // an issuer in, its current key set out: discovered, fetched, refreshed

pub mod stores; // what outlives a request and may be shared: deny-list, answers, replays, tickets

mod token; // what a token says, typed: kind, audience, scopes, actor, and the rules that ask for it

pub mod jose; // bytes, a key and an algorithm in, whether the signature holds out; encrypted tokens

mod request; // a request in, the one token in it out

mod answer; // a refusal in; status, challenge and body out: every answer that the gate can give

mod claims; // the JSON of a claims set in, its registered claims out, in one pass

mod base; // the ground, which knows no tokens: time, locks, files, HTTP, telemetry

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
