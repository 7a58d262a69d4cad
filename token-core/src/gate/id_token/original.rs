//! The ID token of a login in, what a refreshed one has to agree with out (OpenID Connect Core section 12.2).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::LoginClaims;
use crate::answer::error::{Error, ErrorKind};
use crate::verify::verified::Verified;

/// What has to be kept of the ID token of a login to check those that come with refreshes: for
/// [`Login::refreshed`](crate::login::Login::refreshed). It can be written into a session and read again.
///
/// ```
/// use token_core::login::{IdTokenVerifier, Login, OriginalIdToken};
///
/// # async fn example(verifier: IdTokenVerifier, first: &str, nonce: &str, second: &str) -> Result<(), token_core::Error> {
/// let id_token = verifier.verify(first, Login::with_nonce(nonce)).await?;
/// let original = OriginalIdToken::of(&id_token)?;
/// // … and with each refresh that brings an ID token:
/// let refreshed = verifier.verify(second, Login::refreshed(&original)).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct OriginalIdToken {
    iss: String,
    sub: Option<String>,
    aud: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    azp: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auth_time: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) nonce: Option<String>,
}

impl OriginalIdToken {
    /// Of the ID token of the login, verified.
    ///
    /// # Errors
    /// [`ErrorKind::ClaimsMismatch`] when a claim of it is of another type than the specification says.
    pub fn of(id_token: &Verified) -> Result<Self, Error> {
        let claims = LoginClaims::of(id_token)?;
        Ok(Self {
            iss: id_token.issuer().to_owned(),
            sub: id_token.subject().map(str::to_owned),
            aud: id_token.audience().map(str::to_owned).collect(),
            azp: claims.azp.clone(),
            iat: id_token.issued_at().map(|issued| issued.as_secs()),
            auth_time: claims.auth_time,
            nonce: claims.nonce.clone(),
        })
    }

    /// The list of section 12.2, but for the nonce.
    pub(super) fn check(&self, refreshed: &Verified, claims: &LoginClaims) -> Result<(), Error> {
        let refuse = |why: &'static str| Err(Error::new(ErrorKind::ClaimsMismatch, why));
        if refreshed.issuer() != self.iss {
            return refuse("expected iss to be that of the original ID token");
        }
        if refreshed.subject() != self.sub.as_deref() {
            return refuse("expected sub to be that of the original ID token");
        }
        if refreshed.issued_at().map(|issued| issued.as_secs()) < self.iat {
            return refuse("expected iat to be of the refresh, it is before that of the original ID token");
        }
        if !self.aud.iter().all(|original| refreshed.audience().any(|now| now == original)) {
            return refuse("expected aud to name all that the original ID token is for");
        }
        if let (Some(now), Some(original)) = (claims.auth_time, self.auth_time)
            && now != original
        {
            return refuse("expected auth_time to be that of the original authentication");
        }
        match (&claims.azp, &self.azp) {
            (Some(now), Some(original)) if now == original => Ok(()),
            (None, None) => Ok(()),
            (Some(_), None) => refuse("expected no azp, the original ID token has none"),
            _ => refuse("expected azp to be that of the original ID token"),
        }
    }
}

// What a client knows of a login is secret, and claims are claims.
impl fmt::Debug for OriginalIdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OriginalIdToken").field("iss", &self.iss).finish_non_exhaustive()
    }
}
