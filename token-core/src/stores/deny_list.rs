//! The question put to a deny-list on every request, warm hits included, and the words to ask it in (RFC 7519 4.1.7, RFC 7009).
//!
//! Never by a token's text: an ECDSA signature (r, s) has a twin (r, n − s), so one JWT has two texts.

use std::fmt;

use super::StoreError;
use crate::base::http::BoxFuture;
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

    /// The [digest](Deny::digest) of an entry that denies this one token.
    #[must_use]
    pub fn token_id_digest(&self) -> Option<[u8; 32]> {
        self.token_id.map(|name| digest("jti", self.issuer, name))
    }

    /// The [digest](Deny::digest) of an entry that denies tokens of this subject.
    #[must_use]
    pub fn subject_digest(&self) -> Option<[u8; 32]> {
        self.subject.map(|name| digest("sub", self.issuer, name))
    }

    /// The [digest](Deny::digest) of an entry that denies this session.
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

/// What to turn away from now on.
///
/// ```
/// use token_core::{Deny, Timestamp};
///
/// // What the blacklist of an issuer's management API names:
/// let one = Deny::token_id("https://login.example.com/", "the jti");
/// // After a password change: everything issued until now.
/// let all = Deny::subject("https://login.example.com/", "ada", Timestamp::from_secs(1_800_000_000));
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deny {
    /// The one token of this `jti`.
    TokenId {
        /// Whose token.
        issuer: Box<str>,
        /// Its `jti`.
        token_id: Box<str>,
    },
    /// Every token of this `sub` that was issued at this time or before; one that does not say when it was issued (`iat`) counts as
    /// issued before.
    Subject {
        /// Whose subject.
        issuer: Box<str>,
        /// The `sub`.
        subject: Box<str>,
        /// The last second of issue that is turned away.
        issued_until: Timestamp,
    },
    /// Every token of this session (`sid`).
    Session {
        /// Whose session.
        issuer: Box<str>,
        /// The `sid`.
        session: Box<str>,
    },
}

impl Deny {
    /// See [`Deny::TokenId`].
    #[must_use]
    pub fn token_id(issuer: &str, token_id: &str) -> Self {
        Self::TokenId { issuer: issuer.into(), token_id: token_id.into() }
    }

    /// See [`Deny::Subject`].
    #[must_use]
    pub fn subject(issuer: &str, subject: &str, issued_until: Timestamp) -> Self {
        Self::Subject { issuer: issuer.into(), subject: subject.into(), issued_until }
    }

    /// See [`Deny::Session`].
    #[must_use]
    pub fn session(issuer: &str, session: &str) -> Self {
        Self::Session { issuer: issuer.into(), session: session.into() }
    }
}

impl Deny {
    /// SHA-256 over what is denied (not since when): a name of fixed length for stores, in which no claim can be read.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        match self {
            Self::TokenId { issuer, token_id } => digest("jti", issuer, token_id),
            Self::Subject { issuer, subject, .. } => digest("sub", issuer, subject),
            Self::Session { issuer, session } => digest("sid", issuer, session),
        }
    }
}

/// The length keeps ("a", "bc") and ("ab", "c") apart.
fn digest(kind: &str, issuer: &str, name: &str) -> [u8; 32] {
    sha256(format!("{kind} {}:{issuer} {name}", issuer.len()).as_bytes())
}

impl fmt::Debug for Deny {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TokenId { .. } => "Deny(token id)",
            Self::Subject { .. } => "Deny(subject)",
            Self::Session { .. } => "Deny(session)",
        })
    }
}

/// A list of what to turn away before its time, asked on every request: JWTs and opaque tokens alike.
///
/// [`MemoryDenyList`](super::MemoryDenyList) answers at once; one that is shared by several instances may need a network.
pub trait DenyList: fmt::Debug + Send + Sync + 'static {
    /// Whether the token is on the list. Called once per request, so an answer that is at hand should not allocate.
    fn look_up(&self, token: &Marks<'_>, now: Timestamp) -> DenyLookup;

    /// Puts something on the list until `until`: the latest `exp` that a token it concerns can have, and the leeway.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written; the token is then not denied.
    fn deny(&self, what: Deny, until: Timestamp) -> BoxFuture<'static, Result<(), StoreError>>;
}

/// What a deny-list says.
pub enum DenyLookup {
    /// Not on the list.
    Absent,
    /// On the list: the token is refused as inactive.
    Denied,
    /// Somebody else has to be asked. `true` is denied.
    Ask(BoxFuture<'static, Result<bool, StoreError>>),
}

impl fmt::Debug for DenyLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::Denied => "Denied",
            Self::Ask(_) => "Ask",
        })
    }
}

/// What becomes of a request while the deny-list is out of reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenUnreachable {
    /// 503: nobody passes who might be denied. The default.
    #[default]
    Refuse,
    /// Tokens pass as if nothing were denied, and an event says so each time. A revoked token works until the list is back.
    Admit,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_and_the_token_it_denies_have_one_digest_and_no_other_token_has_it() {
        let marks = Marks::of("a").token_id("b").subject("c", None).session_id("d");
        assert_eq!(Some(Deny::token_id("a", "b").digest()), marks.token_id_digest());
        assert_eq!(Some(Deny::subject("a", "c", Timestamp::EPOCH).digest()), marks.subject_digest());
        assert_eq!(Some(Deny::session("a", "d").digest()), marks.session_digest());
        assert_ne!(Deny::token_id("a", "b c").digest(), Deny::token_id("a b", "c").digest());
        assert_ne!(Deny::token_id("a", "b").digest(), Deny::session("a", "b").digest());
    }
}
