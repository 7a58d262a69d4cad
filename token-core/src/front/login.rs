//! ID tokens where they are meant to go: to the client that a user signs in at (OpenID Connect Core 1.0, sections 3.1.3.7 and 12.2).
//!
//! An [`IdTokenVerifier`] takes the ID token of a [`Login`] and holds it against what the client sent: nonce, age, hashes. After a refresh it compares the new
//! ID token with the [`OriginalIdToken`]. An API takes ID tokens only where its operator said so, with
//! [`Issuer::accept_id_tokens`](crate::Issuer::accept_id_tokens).

pub use crate::gate::id_token::{IdTokenVerifier, Login, OriginalIdToken};
