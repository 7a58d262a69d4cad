//! Claims in; a verified token out, without an issuer: for unit tests of handlers.

use serde_json::{Value, json};
use token_core::{Algorithm, Clock, Issuer, Presented, ResourceServer, StaticKeys, SystemClock, Verified};

use crate::compact::compact;
use crate::keys::TestKey;
use crate::parts::Parts;
use crate::pre_made;

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "https://api.example.com";

/// Builds a verified token for a test, without a server, network or keys.
///
/// Only the gate can make a [`Verified`]. The claims are signed with a secret of this crate and verified by a gate that
/// trusts nothing else, which takes some microseconds. So a handler is never tested with a token that could not reach
/// it.
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

/// A [`Verified`] to be built. Returned by [`verified`].
#[derive(Clone, Debug)]
#[must_use = "nothing is made until `build` is called"]
pub struct VerifiedBuilder {
    claims: Parts,
}

impl VerifiedBuilder {
    /// Sets `sub`. Default: `test-user`.
    pub fn subject(self, subject: &str) -> Self {
        self.claim("sub", subject)
    }

    /// Sets `scope`: scopes separated by spaces. Default: no such claim.
    pub fn scope(self, scope: &str) -> Self {
        self.claim("scope", scope)
    }

    /// Sets `aud`. Default: `https://api.example.com`.
    pub fn audience(self, audience: &str) -> Self {
        self.claim("aud", audience)
    }

    /// Sets `client_id`. Default: `test-client`.
    pub fn client_id(self, client_id: &str) -> Self {
        self.claim("client_id", client_id)
    }

    /// Sets `iss`, an absolute URL. Default: `https://issuer.example`.
    pub fn issuer(self, issuer: &str) -> Self {
        self.claim("iss", issuer)
    }

    /// Sets any claim to any value.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.set(name, value.into());
        self
    }

    /// Removes this claim.
    pub fn without(mut self, claim: &str) -> Self {
        self.claims.remove(claim);
        self
    }

    /// Builds the verified token.
    ///
    /// # Panics
    /// If the gate refuses the claims, for example because `exp` has passed or a claim has the wrong JSON type. The
    /// message says why.
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
