//! A security event token in, what happened to whom out (RFC 8417); and what it does to a server, with the answer to who sent it.
//!
//! A gate of its own: it takes tokens whose header says `secevent+jwt` and no others, and no other gate takes those.

mod endpoint;
mod event;
mod subject;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::answer::error::{Error, ErrorKind};
use crate::answer::maybe_ready::MaybeReady;
use crate::base::config_error::ConfigError;
use crate::base::time::{Clock, SystemClock, Timestamp};
use crate::gate::builder::ResourceServerBuilder;
use crate::gate::server::ResourceServer;
use crate::request::presented::Presented;
use crate::token::audience::Audience;
use crate::trust::compiler::Purpose;
use crate::trust::issuer::Issuer;
use crate::verify::verified::Verified;
pub use endpoint::{PushAnswer, PushRequest, Received, SecurityEventEndpoint};
pub use event::{EventKind, Reaction};
pub use subject::{Account, SubjectDirectory, SubjectIdentifier};

/// Verifies the security event tokens of one transmitter (OpenID Shared Signals Framework 1.0, RFC 8417).
///
/// # What is checked
/// The header says `secevent+jwt` (RFC 8417 section 2.3, required by Shared Signals). Signature with an algorithm agreed beforehand, `iss`, `aud`.
/// `iat` is there and not ahead; `jti` is there; `events` has at least one event, each an object. `exp`, which such tokens should not have, is
/// honoured where it is there.
///
/// # What is not checked
/// How old the event is: transmitters deliver late, and to carry an event out twice changes nothing. Whether it came before. Encrypted tokens
/// are refused.
///
/// ```
/// # async fn receive(token: &str) -> Result<(), Box<dyn std::error::Error>> {
/// use token_core::Issuer;
/// use token_core::security_events::SecurityEventVerifier;
///
/// let transmitter = Issuer::discover("https://login.example.com/")?;
/// let verifier = SecurityEventVerifier::new("https://api.example.com/events", transmitter)?;
/// let event = verifier.verify(token).await?;
/// println!("{} says: {:?}", event.issuer(), event.kinds());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SecurityEventVerifier {
    server: ResourceServer,
    clock: Arc<dyn Clock>,
}

/// At least what a transmitter's clock may be ahead.
const LEEWAY: Duration = Duration::from_secs(300);

impl SecurityEventVerifier {
    /// A verifier for the events that this transmitter sends to this audience: what the stream's configuration names in `aud`. An audience set on
    /// the issuer is not used.
    ///
    /// # Errors
    /// As [`ResourceServerBuilder::build`](crate::ResourceServerBuilder::build).
    pub fn new(audience: impl Into<Audience>, transmitter: Issuer) -> Result<Self, ConfigError> {
        Self::with_clock(audience, transmitter, SystemClock)
    }

    /// The same with another clock.
    ///
    /// # Errors
    /// As [`SecurityEventVerifier::new`].
    pub fn with_clock(
        audience: impl Into<Audience>,
        transmitter: Issuer,
        clock: impl Clock + Clone,
    ) -> Result<Self, ConfigError> {
        let server =
            ResourceServerBuilder::verifier(Purpose::SecurityEvents, audience, transmitter, None, clock.clone())?;
        Ok(Self { server, clock: Arc::new(clock) })
    }

    /// Verifies one security event token.
    ///
    /// # Errors
    /// As [`ResourceServer::authenticate`]; [`ErrorKind::ClaimsMismatch`] when a claim is not what such a token has.
    pub fn verify(&self, token: &str) -> MaybeReady<SecurityEvent> {
        let this = self.clone();
        match self.server.authenticate(Presented::token(token)).now() {
            Ok(outcome) => MaybeReady::ready(outcome.and_then(|verified| self.check(verified))),
            Err(waiting) => MaybeReady::waiting(async move { this.check(waiting.await?) }),
        }
    }

    /// Waits until the transmitter's keys are at hand.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when they cannot be had.
    pub fn ready(&self) -> impl Future<Output = Result<(), Error>> + Send + 'static {
        self.server.ready()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn check(&self, verified: Verified) -> Result<SecurityEvent, Error> {
        let refuse = |why: &'static str| Err(Error::new(ErrorKind::ClaimsMismatch, why));
        let claims = verified.claims::<Claims>()?;
        let Some(issued) = verified.issued_at() else {
            return refuse("a security event token has iat, this one does not");
        };
        if self.clock.now().saturating_add(LEEWAY) < issued {
            return Err(Error::new(ErrorKind::NotYetValid, "iat is ahead"));
        }
        if verified.token_id().is_none() {
            return refuse("a security event token has jti, this one does not");
        }
        if claims.events.is_empty() {
            return refuse("a security event token has at least one event, this one has none");
        }
        if !claims.events.values().all(Value::is_object) {
            return refuse("each event is an object, one of these is not");
        }
        Ok(SecurityEvent { verified, claims, issued })
    }
}

impl fmt::Debug for SecurityEventVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SecurityEventVerifier").field(&self.server).finish()
    }
}

#[derive(Deserialize)]
struct Claims {
    events: Map<String, Value>,
    #[serde(default)]
    sub_id: Option<Value>,
}

/// A verified security event token. Only a [`SecurityEventVerifier`] makes one.
#[derive(Clone)]
pub struct SecurityEvent {
    verified: Verified,
    claims: Arc<Claims>,
    issued: Timestamp,
}

impl SecurityEvent {
    /// The transmitter.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.verified.issuer()
    }

    /// `jti`.
    #[must_use]
    pub fn token_id(&self) -> &str {
        self.verified.token_id().expect("the verifier refuses an event without jti")
    }

    /// `iat`: when the transmitter said so.
    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        self.issued
    }

    /// The URIs of the events.
    pub fn uris(&self) -> impl Iterator<Item = &str> {
        self.claims.events.keys().map(String::as_str)
    }

    /// The events as far as they are known here.
    #[must_use]
    pub fn kinds(&self) -> Vec<EventKind> {
        self.claims.events.keys().map(|uri| EventKind::of(uri)).collect()
    }

    /// What stands under the URI of an event.
    #[must_use]
    pub fn payload(&self, uri: &str) -> Option<&Map<String, Value>> {
        self.claims.events.get(uri).and_then(Value::as_object)
    }

    /// Whom an event is about: `sub_id` of the token (RFC 9493 section 4.1), or of old transmitters `subject` of the event.
    #[must_use]
    pub fn subject(&self, uri: &str) -> Option<SubjectIdentifier> {
        let value = self.claims.sub_id.as_ref().or_else(|| self.payload(uri)?.get("subject"))?;
        Some(SubjectIdentifier::read(value))
    }

    /// When it happened: `event_timestamp` of the event (CAEP section 2), not later than [`issued_at`](Self::issued_at), which is the answer where it
    /// does not say.
    #[must_use]
    pub fn happened_at(&self, uri: &str) -> Timestamp {
        let said = self.payload(uri).and_then(|event| event.get("event_timestamp")).and_then(Value::as_f64);
        // Truncated to whole seconds, and bounded by what was signed when.
        said.map_or(self.issued, |seconds| Timestamp::from_secs(seconds as i64).min(self.issued))
    }
}

// Who it is about is nobody's business but the application's.
impl fmt::Debug for SecurityEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecurityEvent").field("issuer", &self.issuer()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
