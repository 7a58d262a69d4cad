//! An ID token in, the login it tells of out: the client's own checks (OpenID Connect Core section 3.1.3.7).

mod original;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::answer::error::{Error, ErrorKind};
use crate::answer::maybe_ready::MaybeReady;
use crate::base::config_error::ConfigError;
use crate::base::time::{Clock, SystemClock, Timestamp};
use crate::gate::builder::ResourceServerBuilder;
use crate::gate::server::ResourceServer;
use crate::jose::encryption::EncryptedTokens;
use crate::jose::signature::digest_of;
use crate::jose::{Algorithm, base64url};
use crate::request::presented::Presented;
use crate::trust::compiler::Purpose;
use crate::trust::issuer::Issuer;
use crate::verify::jwt;
use crate::verify::verified::Verified;

pub use original::OriginalIdToken;

/// Verifies the ID tokens that an issuer gives to one client, and nothing else: an access token is refused here.
///
/// # What is checked
/// The numbers are the steps of OpenID Connect Core section 3.1.3.7; the tests go by them. 2: `iss`. 3: `aud` holds the client. 4 and 5: `azp`
/// is there where `aud` holds several, and is the client. 6 and 7: signature, with an algorithm agreed beforehand. 8: HMAC with the
/// client's secret only, see [`StaticKeys::secret`](crate::StaticKeys::secret) and
/// [`StaticKeys::base64url_secret`](crate::StaticKeys::base64url_secret). 9: `exp`. 10: `iat` is there and not ahead. 11: `nonce`. 12:
/// `acr`. 13: `auth_time`. Section 3.1.3.8 and 3.3.2.11: `at_hash` and `c_hash`.
///
/// # What is not checked
/// Whether a nonce was used before is the client's to know. Encrypted ID tokens (step 1) are refused unless the verifier is made by
/// [`encrypted`](Self::encrypted).
///
/// ```
/// use std::time::Duration;
/// use token_core::{login::{IdTokenVerifier, Login}, Issuer};
///
/// # async fn callback(token: &str, nonce: &str, access_token: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let verifier = IdTokenVerifier::new("my-client-id", Issuer::discover("https://login.example.com/")?)?;
/// let login = Login::with_nonce(nonce).access_token(access_token).max_age(Duration::from_secs(3600));
/// let id_token = verifier.verify(token, login).await?;
/// println!("hello {:?}", id_token.claims::<token_core::StandardClaims>()?.name);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct IdTokenVerifier {
    pub(crate) server: ResourceServer,
    clock: std::sync::Arc<dyn Clock>,
}

impl IdTokenVerifier {
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
    /// As [`IdTokenVerifier::new`].
    pub fn with_clock(
        client_id: impl Into<String>,
        issuer: Issuer,
        clock: impl Clock + Clone,
    ) -> Result<Self, ConfigError> {
        Self::made(client_id.into(), issuer, None, clock)
    }

    /// A verifier for a client that has registered for encrypted ID tokens (`id_token_encrypted_response_alg`, OpenID Connect Registration section 2): they
    /// are opened with these keys, and every check above is made of the signed token within. One that is signed only is refused (step 1), unless the keys
    /// are [optional](EncryptedTokens::optional). What is accepted is described at [`encryption`](crate::jose::encryption).
    ///
    /// The [token](Verified::token) of the outcome is the signed one, which is what an issuer takes as `id_token_hint` (RP-Initiated Logout section 2).
    ///
    /// ```
    /// use token_core::jose::encryption::{DecryptionKey, EncryptedTokens, KeyManagement};
    /// use token_core::{login::IdTokenVerifier, Issuer};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # if cfg!(not(feature = "aws-lc-rs")) { return Ok(()) }
    /// let key = DecryptionKey::generate(KeyManagement::EcdhEs, Some("2026-11"))?; // or from_pem, from_jwk, direct
    /// let issuer = Issuer::discover("https://login.example.com/")?;
    /// let verifier = IdTokenVerifier::encrypted("my-client-id", issuer, EncryptedTokens::with([key]))?;
    /// # let _ = verifier; Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`IdTokenVerifier::new`]; no key, or more than eight.
    pub fn encrypted(client_id: impl Into<String>, issuer: Issuer, keys: EncryptedTokens) -> Result<Self, ConfigError> {
        Self::encrypted_with_clock(client_id, issuer, keys, SystemClock)
    }

    /// The same with another clock.
    ///
    /// # Errors
    /// As [`IdTokenVerifier::encrypted`].
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
        let server = ResourceServerBuilder::verifier(Purpose::Client, client_id, issuer, keys, clock.clone())?;
        Ok(Self { server, clock: std::sync::Arc::new(clock) })
    }

    /// Verifies an ID token that came with `login`.
    ///
    /// # Errors
    /// As [`ResourceServer::authenticate`]; [`ErrorKind::ClaimsMismatch`] when the token is not that of this login.
    pub fn verify(&self, token: &str, login: Login) -> MaybeReady<Verified> {
        let clock = std::sync::Arc::clone(&self.clock);
        let check = move |verified: Verified| {
            // Of the token that was signed, whatever it came in.
            let algorithm = verified.token().and_then(jwt::algorithm);
            let algorithm = algorithm.ok_or_else(|| Error::new(ErrorKind::Malformed, "the ID token is no JWT"))?;
            login.check(&verified, algorithm, clock.now()).map(|()| verified)
        };
        match self.server.authenticate(Presented::token(token)).now() {
            Ok(outcome) => MaybeReady::ready(outcome.and_then(check)),
            Err(waiting) => MaybeReady::waiting(async move { check(waiting.await?) }),
        }
    }
}

/// What a client knows of the login that an ID token has to be of.
#[derive(Clone)]
#[must_use = "a login is checked by `IdTokenVerifier::verify`"]
pub struct Login {
    nonce: Option<String>,
    original: Option<OriginalIdToken>,
    access_token: Option<String>,
    code: Option<String>,
    hashes_required: bool,
    max_age: Option<Duration>,
    acr: Option<Vec<String>>,
    issued_within: Option<Duration>,
    leeway: Duration,
}

impl Login {
    /// The `nonce` that the client sent with its authentication request.
    pub fn with_nonce(nonce: impl Into<String>) -> Self {
        Self { nonce: Some(nonce.into()), ..Self::without_nonce() }
    }

    /// A refresh that brought an ID token again (OpenID Connect Core section 12.2): `iss`, `sub`, `azp` and `auth_time` have to be those of
    /// the original one, `aud` has to name all that it named, `iat` is not before its own, and the nonce is the same one or none.
    pub fn refreshed(original: &OriginalIdToken) -> Self {
        Self { original: Some(original.clone()), ..Self::without_nonce() }
    }

    /// A request that had no nonce, as from the code flow with PKCE. A token that has one all the same is refused: it is of
    /// another login.
    pub fn without_nonce() -> Self {
        Self {
            nonce: None,
            original: None,
            access_token: None,
            code: None,
            hashes_required: false,
            max_age: None,
            acr: None,
            issued_within: None,
            leeway: Duration::from_secs(30),
        }
    }

    /// The access token that came along: `at_hash` has to be its hash, if the token has one.
    pub fn access_token(mut self, token: impl Into<String>) -> Self {
        self.access_token = Some(token.into());
        self
    }

    /// The authorization code that came along: `c_hash` has to be its hash, if the token has one.
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Wants `at_hash` and `c_hash` to be there for what came along, as the implicit and the hybrid flow do.
    pub fn require_hashes(mut self) -> Self {
        self.hashes_required = true;
        self
    }

    /// The `max_age` that the client sent: `auth_time` has to be there, not longer ago and not ahead.
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// The authentication context classes that will do, as the client asked for them: `acr` has to be one of these. Of none, nothing will do.
    pub fn acr<A: Into<String>>(mut self, classes: impl IntoIterator<Item = A>) -> Self {
        self.acr = Some(classes.into_iter().map(Into::into).collect());
        self
    }

    /// Refuses a token that was issued longer ago, whatever its `exp`.
    pub fn issued_within(mut self, time: Duration) -> Self {
        self.issued_within = Some(time);
        self
    }

    fn check(&self, token: &Verified, algorithm: Algorithm, now: Timestamp) -> Result<(), Error> {
        let claims = LoginClaims::of(token)?;
        let refuse = |why: &'static str| Err(Error::new(ErrorKind::ClaimsMismatch, why));
        // 10, second half: not issued too long ago.
        if let (Some(limit), Some(issued)) = (self.issued_within, token.issued_at())
            && now.since(issued) > limit.saturating_add(self.leeway)
        {
            return refuse("the ID token was issued too long ago");
        }
        if let Some(original) = &self.original {
            original.check(token, &claims)?;
        }
        // 11
        let sent = self.original.as_ref().map_or(&self.nonce, |original| &original.nonce);
        match (sent, &claims.nonce) {
            (_, None) if self.original.is_some() => {}
            (Some(sent), Some(came)) if same(sent, came) => {}
            (None, None) => {}
            (Some(_), Some(_)) => return refuse("nonce is not the one that was sent"),
            (Some(_), None) => return refuse("nonce was sent and did not come back"),
            (None, Some(_)) => return refuse("nonce came back and none was sent"),
        }
        // 12
        if self.acr.as_ref().is_some_and(|wanted| !claims.acr.as_ref().is_some_and(|acr| wanted.contains(acr))) {
            return refuse("acr is none of those that were asked for");
        }
        // 13
        if let Some(max_age) = self.max_age {
            match claims.auth_time {
                None => return refuse("max_age was sent and auth_time is not there"),
                Some(seconds) => {
                    let authenticated = Timestamp::from_millis((seconds * 1000.0) as i64);
                    if now.saturating_add(self.leeway) < authenticated {
                        return refuse("auth_time is ahead");
                    }
                    if now.since(authenticated) > max_age.saturating_add(self.leeway) {
                        return refuse("the login is longer ago than max_age");
                    }
                }
            }
        }
        // 3.1.3.8 and 3.3.2.11
        self.check_hash("at_hash", self.access_token.as_deref(), claims.at_hash.as_deref(), algorithm)?;
        self.check_hash("c_hash", self.code.as_deref(), claims.c_hash.as_deref(), algorithm)
    }

    fn check_hash(
        &self,
        claim: &str,
        came_along: Option<&str>,
        hash: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::new(ErrorKind::ClaimsMismatch, why));
        match (came_along, hash) {
            (None, _) => Ok(()),
            (Some(_), None) if self.hashes_required => refuse(format!("{claim} is not there, and it is required")),
            (Some(_), None) => Ok(()),
            (Some(text), Some(hash)) if same(&left_half(algorithm, text), hash) => Ok(()),
            (Some(_), Some(_)) => refuse(format!("{claim} is not the hash of what came along")),
        }
    }
}

/// The left half of the digest, as base64url.
pub(crate) fn left_half(algorithm: Algorithm, text: &str) -> String {
    let digest = digest_of(algorithm.hash(), text.as_bytes());
    base64url::encode(&digest[..digest.len() / 2])
}

/// Compares without telling by its duration how much was right.
fn same(ours: &str, theirs: &str) -> bool {
    let (ours, theirs) = (ours.as_bytes(), theirs.as_bytes());
    ours.len() == theirs.len() && ours.iter().zip(theirs).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

// What a client knows of a login is secret.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("max_age", &self.max_age).field("acr", &self.acr).finish_non_exhaustive()
    }
}

/// A claim of the wrong type is refused, never taken for absent.
#[derive(Deserialize)]
struct LoginClaims {
    nonce: Option<String>,
    azp: Option<String>,
    acr: Option<String>,
    at_hash: Option<String>,
    c_hash: Option<String>,
    auth_time: Option<f64>,
}

impl LoginClaims {
    fn of(token: &Verified) -> Result<std::sync::Arc<Self>, Error> {
        token.claims_of("OpenID Connect")
    }
}

/// The claims about a person that OpenID Connect names (Core section 5.1). A claim that was not asked for, or that the issuer does not
/// know, is `None`. For more than these, write a struct of your own.
///
/// `sub` is the only one that identifies somebody; e-mail addresses change hands.
#[derive(Clone, Deserialize)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the claim of its name")]
pub struct StandardClaims {
    pub sub: String,
    pub name: Option<String>,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    pub middle_name: Option<String>,
    pub nickname: Option<String>,
    pub preferred_username: Option<String>,
    pub profile: Option<String>,
    pub picture: Option<String>,
    pub website: Option<String>,
    pub email: Option<String>,
    /// Whether the issuer has made sure of the address. Some issuers write the word in place of the boolean.
    #[serde(default, deserialize_with = "boolean_or_its_name")]
    pub email_verified: bool,
    pub gender: Option<String>,
    pub birthdate: Option<String>,
    pub zoneinfo: Option<String>,
    pub locale: Option<String>,
    pub phone_number: Option<String>,
    #[serde(default, deserialize_with = "boolean_or_its_name")]
    pub phone_number_verified: bool,
    pub address: Option<serde_json::Value>,
    pub acr: Option<String>,
    /// How the person proved who they are (RFC 8176).
    #[serde(default)]
    pub amr: Vec<String>,
}

impl fmt::Debug for StandardClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StandardClaims(..)")
    }
}

fn boolean_or_its_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Boolean(bool),
        Text(String),
        Nothing(()),
    }
    match Either::deserialize(deserializer)? {
        Either::Boolean(value) => Ok(value),
        Either::Text(text) if text == "true" => Ok(true),
        Either::Text(text) if text == "false" => Ok(false),
        Either::Text(_) => Err(serde::de::Error::custom("expected true or false")),
        Either::Nothing(()) => Ok(false),
    }
}

#[cfg(test)]
mod tests;
