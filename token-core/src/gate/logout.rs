//! A logout token in, who is logged out out (OpenID Connect Back-Channel Logout sections 2.4 to 2.6).

mod endpoint;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::answer::maybe_ready::MaybeReady;
use crate::base::config_error::ConfigError;
use crate::gate::builder::ResourceServerBuilder;
use crate::gate::server::ResourceServer;
use crate::jose::encryption::EncryptedTokens;
use crate::request::presented::Presented;
use crate::stores::{FirstTime, MemoryReplays, ReplayMemory, StoreError};
use crate::token::marks::Marks;
use crate::trust::compiler::Purpose;
use crate::trust::issuer::Issuer;
use crate::verify::verified::Verified;
pub use endpoint::{LogoutAnswer, LogoutEndpoint};

use crate::answer::error::{Error, ErrorKind};
use crate::base::time::{Clock, SystemClock, Timestamp};

/// Verifies the logout tokens that an issuer sends to one client when a person's session ends.
///
/// # What is checked
/// The numbers are the steps of section 2.6. 2 and 3: signature, with an algorithm agreed beforehand. 4: `iss`, `aud`, `iat`, `exp`. 5: `sub` or
/// `sid` is there. 6: `events` holds the logout event, as an object. 7: there is no `nonce`. 8: no token of this issuer with this `jti` came
/// before. The header says `logout+jwt`, `JWT` or nothing (section 2.4).
///
/// # What is not checked
/// Encrypted tokens (step 1) are refused unless the verifier is made by [`encrypted`](Self::encrypted). Whether there is such a session (steps 9 to 11) is the application's to know. What came before
/// is remembered in this process only, 10,000 tokens at most; past that tokens are answered with 503 until the oldest ends. Where
/// several processes receive logout tokens, have them share a [`ReplayMemory`](Self::replay_memory).
///
/// ```
/// # async fn receive(body: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
/// use token_core::{revocation::LogoutVerifier, Issuer};
///
/// let verifier = LogoutVerifier::new("my-client-id", Issuer::discover("https://login.example.com/")?)?;
/// let logout = verifier.receive(body).await?;
/// println!("session {:?} of {:?} ended", logout.session_id(), logout.subject());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct LogoutVerifier {
    server: ResourceServer,
    seen: Arc<dyn ReplayMemory>,
    clock: Arc<dyn Clock>,
}

impl LogoutVerifier {
    /// A verifier for the client of this id at this issuer. An audience set on the issuer is not used: it is the client.
    ///
    /// # Errors
    /// As [`ResourceServerBuilder::build`](crate::ResourceServerBuilder::build).
    pub fn new(client_id: impl Into<String>, issuer: Issuer) -> Result<Self, ConfigError> {
        Self::with_clock(client_id, issuer, SystemClock)
    }

    /// The same with another clock.
    ///
    /// # Errors
    /// As [`LogoutVerifier::new`].
    pub fn with_clock(
        client_id: impl Into<String>,
        issuer: Issuer,
        clock: impl Clock + Clone,
    ) -> Result<Self, ConfigError> {
        Self::made(client_id.into(), issuer, None, clock)
    }

    /// A verifier for a client that has registered for encrypted ID tokens: its issuer encrypts logout tokens with the same keys (section 2.4). They are opened
    /// with these, and a token that is signed only is refused (step 1), unless the keys are [optional](EncryptedTokens::optional).
    ///
    /// # Errors
    /// As [`LogoutVerifier::new`]; no key, or more than eight.
    pub fn encrypted(client_id: impl Into<String>, issuer: Issuer, keys: EncryptedTokens) -> Result<Self, ConfigError> {
        Self::encrypted_with_clock(client_id, issuer, keys, SystemClock)
    }

    /// The same with another clock.
    ///
    /// # Errors
    /// As [`LogoutVerifier::encrypted`].
    pub fn encrypted_with_clock(
        client_id: impl Into<String>,
        issuer: Issuer,
        keys: EncryptedTokens,
        clock: impl Clock + Clone,
    ) -> Result<Self, ConfigError> {
        Self::made(client_id.into(), issuer, Some(keys), clock)
    }

    fn made(
        client_id: String,
        issuer: Issuer,
        keys: Option<EncryptedTokens>,
        clock: impl Clock + Clone,
    ) -> Result<Self, ConfigError> {
        let server = ResourceServerBuilder::verifier(Purpose::Logout, client_id, issuer, keys, clock.clone())?;
        Ok(Self { server, seen: Arc::new(MemoryReplays::new()), clock: Arc::new(clock) })
    }

    /// Another memory of the tokens that came, in place of this process's own: one that all instances share, or with more room.
    /// While it is out of reach logout tokens are answered with 503.
    #[must_use]
    pub fn replay_memory(mut self, memory: impl ReplayMemory) -> Self {
        self.seen = Arc::new(memory);
        self
    }

    /// Verifies a logout request: a form with the field `logout_token` (section 2.5).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] when the field is not there exactly once; as [`LogoutVerifier::verify`].
    pub fn receive(&self, form: &[u8]) -> MaybeReady<Logout> {
        match token_of(form) {
            Ok(token) => self.verify(&token),
            Err(error) => MaybeReady::ready(Err(error)),
        }
    }

    /// Verifies a logout token, and remembers it: a second time it is refused. End the session in any case once this has answered; where that
    /// may fail, a [`LogoutEndpoint`] does both in the right order.
    ///
    /// # Errors
    /// As [`ResourceServer::authenticate`]; [`ErrorKind::ClaimsMismatch`] when a claim is not what a logout token has,
    /// [`ErrorKind::Inactive`] when it came before, [`ErrorKind::Unavailable`] when that cannot be said.
    pub fn verify(&self, token: &str) -> MaybeReady<Logout> {
        let this = self.clone();
        match self.server.authenticate(Presented::token(token)).now() {
            Ok(Ok(verified)) => self.check(verified),
            Ok(Err(error)) => MaybeReady::ready(Err(error)),
            Err(waiting) => MaybeReady::waiting(async move { this.check(waiting.await?).await }),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn check(&self, verified: Verified) -> MaybeReady<Logout> {
        let proof = match self.prove(verified) {
            Ok(proof) => proof,
            Err(error) => return MaybeReady::ready(Err(error)),
        };
        let once = |first: bool, logout: Logout| match first {
            true => Ok(logout),
            false => Err(Error::new(ErrorKind::Inactive, "a logout token with this jti came before")),
        };
        let Proof { logout, digest, until } = proof;
        match self.remember(digest, until).now() {
            Ok(answer) => MaybeReady::ready(answer.and_then(|first| once(first, logout))),
            Err(waiting) => MaybeReady::waiting(async move { once(waiting.await?, logout) }),
        }
    }

    /// Verifies the form of a logout request, but for step 8: whether its token came before is for the caller to ask, once the session
    /// has ended.
    pub(crate) async fn receive_unremembered(&self, form: &[u8]) -> Result<Proof, Error> {
        let token = token_of(form)?;
        let verified = self.server.authenticate(Presented::token(&token)).await?;
        self.prove(verified)
    }

    /// Step 8: writes down that the token came. Whether it came for the first time.
    pub(crate) fn remember(&self, digest: [u8; 32], until: Timestamp) -> MaybeReady<bool> {
        let unknown = |error: StoreError| {
            Error::unavailable(format!("the memory of logout tokens: {error}"), Duration::from_secs(60))
        };
        match self.seen.first_time(digest, until, self.clock.now()) {
            FirstTime::Known(answer) => MaybeReady::ready(answer.map_err(unknown)),
            FirstTime::Ask(question) => MaybeReady::waiting(async move { question.await.map_err(unknown) }),
        }
    }

    fn prove(&self, verified: Verified) -> Result<Proof, Error> {
        let (digest, until) = self.check_claims(&verified)?;
        Ok(Proof { logout: Logout(verified), digest, until })
    }

    /// What step 8 asks about: the token's digest, and until when it has to be remembered.
    fn check_claims(&self, verified: &Verified) -> Result<([u8; 32], Timestamp), Error> {
        let refuse = |why: &'static str| Err(Error::new(ErrorKind::ClaimsMismatch, why));
        let now = self.clock.now();
        let claims = verified.claims::<LogoutClaims>()?;
        // 4, as far as the gate does not ask it of every token.
        match verified.issued_at() {
            None => return refuse("a logout token has iat, this one does not"),
            Some(issued) if now.saturating_add(LEEWAY) < issued => {
                return Err(Error::new(ErrorKind::NotYetValid, "iat is ahead"));
            }
            Some(_) => {}
        }
        // 5
        if verified.subject().is_none() && verified.session_id().is_none() {
            return refuse("a logout token has sub or sid, this one has neither");
        }
        // 6
        if !claims.events.get(EVENT).is_some_and(serde_json::Value::is_object) {
            return refuse("events does not hold the back-channel logout event as an object");
        }
        // 7: the kind of a token that has both events and nonce is refused before it comes here.
        // 8
        let marks = verified.token_id().and_then(|id| Marks::of(verified.issuer()).token_id(id).token_id_digest());
        let Some(digest) = marks else {
            return refuse("a logout token has jti, this one does not");
        };
        // A token that never ends would have to be remembered for ever: it is one for a day.
        let end = match (verified.expires_at(), verified.issued_at()) {
            (Some(end), _) => end,
            (None, issued) => issued.unwrap_or(now).saturating_add(LONGEST_WITHOUT_EXPIRY),
        };
        if verified.expires_at().is_none() && now >= end.saturating_add(LEEWAY) {
            return Err(Error::new(ErrorKind::Expired, "a logout token without exp is good for a day after iat"));
        }
        let until = end.saturating_add(LEEWAY);
        Ok((digest, until))
    }
}

/// A logout token that is good, if it did not come before: its digest, and until when that has to be remembered.
pub(crate) struct Proof {
    pub(crate) logout: Logout,
    pub(crate) digest: [u8; 32],
    pub(crate) until: Timestamp,
}

/// The form's field `logout_token`, which has to be there exactly once.
fn token_of(form: &[u8]) -> Result<Cow<'_, str>, Error> {
    let mut tokens = url::form_urlencoded::parse(form).filter(|(name, _)| name == "logout_token");
    match (tokens.next(), tokens.next()) {
        (Some((_, token)), None) => Ok(token),
        _ => Err(Error::new(ErrorKind::InvalidRequest, "expected a form with the field logout_token, once")),
    }
}

impl fmt::Debug for LogoutVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogoutVerifier").field(&self.server).finish()
    }
}

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// At least what an issuer's own leeway may be, so that a token is never forgotten while it is still good.
const LEEWAY: Duration = Duration::from_secs(300);

/// For how long after `iat` a logout token without `exp` is good, where tokens without `exp` are accepted at all.
const LONGEST_WITHOUT_EXPIRY: Duration = Duration::from_secs(24 * 3600);

#[derive(Deserialize)]
struct LogoutClaims {
    events: serde_json::Map<String, serde_json::Value>,
}

/// A verified request to log somebody out. Only a [`LogoutVerifier`] makes one.
#[derive(Clone)]
pub struct Logout(Verified);

impl Logout {
    /// The issuer at which the session was.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.0.issuer()
    }

    /// `sub`: whose sessions end. Without [`Logout::session_id`], all of them.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.0.subject()
    }

    /// `sid`: the session that ends.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.0.session_id()
    }

    /// When the issuer said so.
    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        self.0.issued_at().expect("the verifier refuses a logout token without iat")
    }
}

// Who logs out is nobody's business but the application's.
impl fmt::Debug for Logout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logout").field("issuer", &self.issuer()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
