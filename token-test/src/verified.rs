//! Claims go in, a verified token comes out, without an issuer to start: for unit tests of handlers.

use serde_json::{Value, json};
use token_core::{Algorithm, Clock, Issuer, Presented, ResourceServer, StaticKeys, SystemClock, Verified};

use crate::compact::compact;
use crate::keys::TestKey;
use crate::parts::Parts;
use crate::pre_made;

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "https://api.example.com";

/// A verified token made up for a test: no server, no network, no keys to care about.
///
/// Only the gate makes a [`Verified`], here too: the claims are signed with a secret of this crate and go through a gate that
/// trusts nothing else, in some microseconds. So a handler is never tested with what could not reach it.
///
/// ```
/// let ada = token_test::verified().subject("ada").scope("read:users").claim("email", "ada@example.com").build();
/// assert_eq!(ada.subject(), Some("ada"));
/// assert_eq!(ada.audience().collect::<Vec<_>>(), ["https://api.example.com"]);
/// ```
pub fn verified() -> VerifiedBuilder {
    let claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "test-user", "client_id": "test-client", "jti": "test-token",
    });
    VerifiedBuilder { claims: Parts::of(claims) }
}

/// A [`Verified`] to be built. Got from [`verified`].
#[derive(Clone, Debug)]
#[must_use = "nothing is made until `build` is called"]
pub struct VerifiedBuilder {
    claims: Parts,
}

impl VerifiedBuilder {
    /// The `sub` claim. Default `test-user`.
    pub fn subject(self, subject: &str) -> Self {
        self.claim("sub", subject)
    }

    /// The `scope` claim: scopes separated by spaces. Default: no such claim.
    pub fn scope(self, scope: &str) -> Self {
        self.claim("scope", scope)
    }

    /// The `aud` claim. Default `https://api.example.com`.
    pub fn audience(self, audience: &str) -> Self {
        self.claim("aud", audience)
    }

    /// The `client_id` claim. Default `test-client`.
    pub fn client_id(self, client_id: &str) -> Self {
        self.claim("client_id", client_id)
    }

    /// The `iss` claim, an absolute URL. Default `https://issuer.example`.
    pub fn issuer(self, issuer: &str) -> Self {
        self.claim("iss", issuer)
    }

    /// Any claim with any value.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.set(name, value.into());
        self
    }

    /// Leaves this claim out.
    pub fn without(mut self, claim: &str) -> Self {
        self.claims.remove(claim);
        self
    }

    /// The verified token.
    ///
    /// # Panics
    /// If the gate refuses the claims, for example an `exp` that has passed or claims of the wrong JSON type; it says why.
    #[must_use]
    pub fn build(mut self) -> Verified {
        let now = SystemClock.now().as_secs();
        self.claims.set_default("iat", now);
        self.claims.set_default("exp", now + 3600);
        let key = TestKey::from_secret(Algorithm::HS256, None, pre_made::SECRET);
        let token = compact(r#"{"alg":"HS256","typ":"at+jwt"}"#, &self.claims.to_json(), |message| key.sign(message));
        let outcome = self.gate().authenticate(Presented::token(&token)).now();
        let verified = outcome.expect("a gate with keys of its own waits for nothing");
        verified.expect("claims that a verified token can have")
    }

    /// A gate that believes the issuer of these claims, and is whom they are for.
    fn gate(&self) -> ResourceServer {
        let issuer = self.claims.get("iss").and_then(Value::as_str).unwrap_or(ISSUER);
        let audience = match self.claims.get("aud") {
            Some(Value::Array(all)) => all.first().and_then(Value::as_str),
            one => one.and_then(Value::as_str),
        };
        let keys = StaticKeys::secret(Algorithm::HS256, pre_made::SECRET.as_bytes()).expect("a secret of 64 bytes");
        let issuer = Issuer::with_keys(issuer, keys).expect("an issuer identifier that a gate can trust");
        let gate = ResourceServer::builder(audience.unwrap_or(AUDIENCE)).trust(issuer).build();
        gate.expect("one issuer with static keys is enough")
    }
}
