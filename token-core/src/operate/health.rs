//! A server in, how it is out: a value that serde writes, for readiness endpoints and people.

use serde::Serialize;

use crate::gate::server::ResourceServer;
use crate::keys::{KeyState, KeyStatus};
use crate::opaque::OpaqueState;

/// How a server is: ready when tokens of every issuer can be judged, by keys at hand or by an endpoint that answers. It names issuers and what their servers answered: show it to
/// operators, not to the world.
///
/// ```
/// use token_core::{telemetry::Health, Issuer, ResourceServer};
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
    /// Whether its tokens can be judged: its keys are at hand, or it has none and its endpoint answers.
    pub ready: bool,
    /// Its keys.
    pub keys: KeyState,
    /// The endpoint that its opaque tokens are asked about, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opaque: Option<OpaqueState>,
}

impl Health {
    /// How `server` is now. Nothing is fetched and nothing waits.
    #[must_use]
    pub fn of(server: &ResourceServer) -> Self {
        let server = server.current();
        let (now, registry) = (server.0.clock.now(), server.0.registry.load());
        let mut issuers: Vec<_> = registry
            .iter()
            .map(|issuer| {
                let (keys, opaque) = (issuer.keys.state(now), issuer.opaque.as_ref().map(|opaque| opaque.state()));
                let ready = match (issuer.keyless, &opaque) {
                    (true, Some(endpoint)) => !endpoint.resting,
                    _ => keys.status != KeyStatus::Empty,
                };
                IssuerHealth { issuer: issuer.identifier.to_string(), ready, keys, opaque }
            })
            .collect();
        issuers.sort_by(|a, b| a.issuer.cmp(&b.issuer));
        Self { ready: issuers.iter().all(|issuer| issuer.ready), issuers }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opaque::OpaqueTokens;
    use crate::opaque::client_authentication::ClientAuthentication;
    use crate::trust::issuer::Issuer;

    #[test]
    fn an_issuer_that_is_only_asked_needs_no_keys_to_be_ready() {
        let secret = ClientAuthentication::Basic("canary".into());
        let asked = OpaqueTokens::introspection("https://a.example/introspect", "api", secret).unwrap();
        let server = ResourceServer::builder("api").trust(Issuer::without_keys("https://a.example", asked).unwrap());
        let health = Health::of(&server.build().unwrap());
        let json: serde_json::Value = serde_json::from_str(&health.json()).unwrap();
        assert_eq!((health.status(), &json["issuers"][0]["opaque"]["resting"]), (200, &false.into()), "{json}");
        assert!(!health.json().contains("canary"));
    }
}
