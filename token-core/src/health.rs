//! A server in, how it is out: a value that serde writes, for readiness endpoints and people.

use serde::Serialize;

use crate::{KeyState, KeyStatus, ResourceServer};

/// How a server is: ready when every issuer's keys are at hand. It names issuers and what their servers answered: show it to
/// operators, not to the world.
///
/// ```
/// use token_core::{Health, Issuer, ResourceServer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let api = ResourceServer::builder("https://api.example.com").trust(Issuer::discover("https://login.example.com/")?).build()?;
/// let health = Health::of(&api);
/// assert_eq!((health.ready, health.status()), (false, 503)); // nothing has been fetched yet
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// Whether tokens of every issuer can be verified.
    pub ready: bool,
    /// Each issuer's keys, in the order of the identifiers.
    pub issuers: Vec<IssuerHealth>,
}

/// How one issuer's keys are.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct IssuerHealth {
    /// The issuer, as it stands in the registry.
    pub issuer: String,
    /// Its keys.
    pub keys: KeyState,
}

impl Health {
    /// How `server` is now. Nothing is fetched and nothing waits.
    #[must_use]
    pub fn of(server: &ResourceServer) -> Self {
        let issuers: Vec<_> = server.health().into_iter().map(|(issuer, keys)| IssuerHealth { issuer, keys }).collect();
        Self { ready: issuers.iter().all(|issuer| issuer.keys.status != KeyStatus::Empty), issuers }
    }

    /// The HTTP status that says it: 200 when ready, else 503.
    #[must_use]
    pub fn status(&self) -> u16 {
        if self.ready { 200 } else { 503 }
    }

    /// The value as JSON text.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("health is text, numbers and lists of them")
    }
}
