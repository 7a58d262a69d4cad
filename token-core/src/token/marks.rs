//! By what a token can be denied: issuer, `jti`, `sub` with `iat`, `sid` (OpenID Connect Back-Channel Logout 2.5).

use std::fmt;
use std::io::Write as _;

use crate::base::time::Timestamp;
use crate::jose::signature::sha256;

/// What a token is known by: the claims that a deny-list can be asked about.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Marks<'a> {
    /// The issuer, as it stands in the registry. The other marks mean something only together with it.
    pub issuer: &'a str,
    /// `jti`.
    pub token_id: Option<&'a str>,
    /// `sub`.
    pub subject: Option<&'a str>,
    /// `sid`.
    pub session_id: Option<&'a str>,
    /// `iat`.
    pub issued_at: Option<Timestamp>,
}

impl<'a> Marks<'a> {
    /// A token of this issuer of which nothing else is known: for tests of a deny-list.
    #[must_use]
    pub fn of(issuer: &'a str) -> Self {
        Self { issuer, token_id: None, subject: None, session_id: None, issued_at: None }
    }

    /// The same with a `jti`.
    #[must_use]
    pub fn token_id(mut self, token_id: &'a str) -> Self {
        self.token_id = Some(token_id);
        self
    }

    /// The same with a `sub` and an `iat`.
    #[must_use]
    pub fn subject(mut self, subject: &'a str, issued_at: Option<Timestamp>) -> Self {
        (self.subject, self.issued_at) = (Some(subject), issued_at);
        self
    }

    /// The same with a `sid`.
    #[must_use]
    pub fn session_id(mut self, session_id: &'a str) -> Self {
        self.session_id = Some(session_id);
        self
    }

    /// The [digest](crate::revocation::Deny::digest) of an entry that denies this one token.
    #[must_use]
    pub fn token_id_digest(&self) -> Option<[u8; 32]> {
        self.token_id.map(|name| digest("jti", self.issuer, name))
    }

    /// The [digest](crate::revocation::Deny::digest) of an entry that denies tokens of this subject.
    #[must_use]
    pub fn subject_digest(&self) -> Option<[u8; 32]> {
        self.subject.map(|name| digest("sub", self.issuer, name))
    }

    /// The [digest](crate::revocation::Deny::digest) of an entry that denies this session.
    #[must_use]
    pub fn session_digest(&self) -> Option<[u8; 32]> {
        self.session_id.map(|name| digest("sid", self.issuer, name))
    }
}

impl fmt::Debug for Marks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Marks").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// The length keeps ("a", "bc") and ("ab", "c") apart.
pub(crate) fn digest(kind: &str, issuer: &str, name: &str) -> [u8; 32] {
    // Asked on every request where a deny-list is followed: no memory is asked for where the names are of a usual length.
    let mut room = [0; 256];
    let mut rest = &mut room[..];
    if write!(rest, "{kind} {}:{issuer} {name}", issuer.len()).is_ok() {
        let left = rest.len();
        return sha256(&room[..room.len() - left]);
    }
    sha256(format!("{kind} {}:{issuer} {name}", issuer.len()).as_bytes())
}
