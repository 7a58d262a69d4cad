//! A user's grant as it is stored: the refresh token, the last access token, and who is renewing it (JSON text).

use std::fmt;

use serde::{Deserialize, Serialize};
use token_core::Timestamp;

use crate::error::{TokenError, TokenErrorKind};
use crate::response::TokenResponse;

/// The record. `serial` makes every version a different text, so that a swap cannot mistake an old version for the
/// current one.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Record {
    pub(crate) serial: u64,
    pub(crate) refresh_token: String,
    /// The server has rejected the refresh token for good. It is never sent again.
    #[serde(default)]
    pub(crate) spent: bool,
    /// The thumbprint of the proof key to which a public client's refresh token is bound (RFC 9449 section 5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) jkt: Option<String>,
    #[serde(default)]
    pub(crate) access: Option<Access>,
    #[serde(default)]
    pub(crate) claim: Option<Claim>,
}

/// The access token from the last refresh, for the processes that did not do it.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Access {
    pub(crate) token: String,
    /// Milliseconds since 1970.
    pub(crate) expires_at: Option<i64>,
    pub(crate) obtained_at: i64,
    pub(crate) scope: Option<String>,
    pub(crate) id_token: Option<String>,
    /// The request that it answers, since one refresh token may serve several audiences.
    pub(crate) shape: String,
    /// Whether it is bound to the proof key named in `shape`.
    #[serde(default)]
    pub(crate) dpop: bool,
}

/// A process is renewing the grant. Until `until`, no other process sends the refresh token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Claim {
    pub(crate) by: String,
    /// Milliseconds since 1970.
    pub(crate) until: i64,
}

impl Record {
    pub(crate) fn first(refresh_token: &str, jkt: Option<String>) -> Self {
        Self { serial: 0, refresh_token: refresh_token.to_owned(), spent: false, jkt, access: None, claim: None }
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, TokenError> {
        serde_json::from_slice(bytes)
            .map_err(|_| TokenError::new(TokenErrorKind::Store, "the stored record is not one of this crate's"))
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are JSON")
    }

    fn next(&self) -> Self {
        Self { serial: self.serial.wrapping_add(1), claim: None, ..self.clone() }
    }

    pub(crate) fn claimed(&self, by: &str, until: Timestamp) -> Self {
        Self { claim: Some(Claim { by: by.to_owned(), until: until.as_millis() }), ..self.next() }
    }

    pub(crate) fn released(&self) -> Self {
        self.next()
    }

    pub(crate) fn spent(&self) -> Self {
        Self { spent: true, access: None, ..self.next() }
    }

    /// The record after a refresh: with the new refresh token, bound to the key `jkt`, or the old one if the server
    /// does not rotate.
    pub(crate) fn renewed(&self, response: &TokenResponse, shape: &str, jkt: Option<String>, now: Timestamp) -> Self {
        let access = Access {
            token: response.access_token.expose().to_owned(),
            expires_at: response.expires_at.map(Timestamp::as_millis),
            obtained_at: now.as_millis(),
            scope: response.scope.clone(),
            id_token: response.id_token.as_ref().map(|token| token.expose().to_owned()),
            shape: shape.to_owned(),
            dpop: response.dpop_bound,
        };
        let (refresh_token, jkt) = match &response.refresh_token {
            Some(token) => (token.expose().to_owned(), jkt),
            None => (self.refresh_token.clone(), self.jkt.clone()),
        };
        Self { refresh_token, jkt, access: Some(access), ..self.next() }
    }

    pub(crate) fn claimed_at(&self, now: Timestamp) -> bool {
        self.claim.as_ref().is_some_and(|claim| now < Timestamp::from_millis(claim.until))
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("serial", &self.serial).field("claim", &self.claim).finish_non_exhaustive()
    }
}
