//! An authorization server inside your test.
//!
//! [`TestIssuer`] serves discovery documents, a JWK Set and a token endpoint over real HTTP on the loopback interface, mints
//! tokens that are good or wrong in one chosen way, rotates its keys and fails on command. Keys are pre-made: it
//! starts in about a millisecond.
//!
//! ```
//! use token_test::{Endpoint, TestIssuer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let issuer = TestIssuer::start().await;
//! // Point the API under test at `issuer.url()` and `issuer.audience()`, then send it tokens:
//! let good = issuer.token().subject("ada").scope("read:users").mint();
//! let expired = issuer.token().subject("ada").expired().mint();
//! let forged = issuer.token().subject("ada").forged().mint();
//! # assert_eq!([good, expired, forged].map(|token| token.split('.').count()), [3; 3]);
//!
//! // It is a real server:
//! let document = reqwest::get(format!("{}/.well-known/openid-configuration", issuer.url())).await?;
//! assert!(document.text().await?.contains(&issuer.jwks_uri()));
//! assert_eq!(issuer.hits(Endpoint::Discovery), 1);
//!
//! // What does the API do when the keys change, and when they cannot be had?
//! issuer.rotate();
//! issuer.faults().at(Endpoint::Jwks).down();
//! issuer.heal();
//! # Ok(())
//! # }
//! ```
//!
//! # What it is not
//!
//! Everybody has its private keys and secrets, and it asks nobody for a password: it is for tests and for
//! demonstrations on one machine. It speaks plain HTTP, so whatever fetches its keys must be told that loopback
//! addresses may be spoken to without TLS.

pub mod attacks;
mod builder;
mod client;
mod clock;
mod compact;
pub mod drill;
mod endpoints;
mod faults;
mod grants;
mod gzip;
mod in_memory;
mod issuer;
mod keys;
mod like;
mod mint;
mod own;
mod parts;
mod port;
mod pre_made;
mod proof;
mod registered;
mod serve;
mod sign_in;
mod status_list;
mod tenant;
mod traffic;
mod verified;

pub use builder::IssuerBuilder;
pub use clock::{ManualClock, RuntimeClock};
pub use faults::Faults;
pub use in_memory::InMemory;
pub use issuer::TestIssuer;
pub use keys::TestKey;
pub use like::Lookalike;
pub use mint::TokenBuilder;
pub use port::HeldPort;
pub use proof::ProofBuilder;
pub use registered::RegisteredClient;
pub use status_list::TestStatusList;
pub use traffic::Endpoint;
pub use verified::{VerifiedBuilder, verified};
