//! The question put to a deny-list on every request, warm hits included, and the words to ask it in (RFC 7519 4.1.7, RFC 7009).
//!
//! Never by a token's text: an ECDSA signature (r, s) has a twin (r, n − s), so one JWT has two texts.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Evict, LocalCaches, StoreError};
use crate::base::http::BoxFuture;
use crate::base::time::Timestamp;
use crate::token::marks::{Marks, digest};

/// What to turn away from now on.
///
/// ```
/// use token_core::{revocation::Deny, Timestamp};
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

    /// See [`Deny::Subject`]. `issued_until` counts to the end of its second: an issuer may write `iat` in fractions or in whole seconds, and a
    /// token of that very second is one from before.
    #[must_use]
    pub fn subject(issuer: &str, subject: &str, issued_until: Timestamp) -> Self {
        let second = issued_until.as_millis().div_euclid(1000);
        let issued_until = Timestamp::from_millis(second.saturating_mul(1000).saturating_add(999));
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
/// [`MemoryDenyList`](super::memory_deny_list::MemoryDenyList) answers at once; one that is shared by several instances may need a network.
pub trait DenyList: fmt::Debug + Send + Sync + 'static {
    /// Whether the token is on the list. Called once per request, so an answer that is at hand should not allocate.
    fn look_up(&self, token: &Marks<'_>, now: Timestamp) -> DenyLookup;

    /// Puts something on the list until `until`: the latest `exp` that a token it concerns can have, and the leeway.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written; the token is then not denied.
    fn deny(&self, what: Deny, until: Timestamp) -> BoxFuture<'static, Result<(), StoreError>>;

    /// Tells other instances what this one [evicts](crate::ResourceServer::evict). `None` where nobody is told: the default.
    ///
    /// # Errors
    /// [`StoreError`] when they could not be told.
    fn announce(&self, what: &Evict) -> Option<BoxFuture<'static, Result<(), StoreError>>> {
        let _ = what;
        None
    }

    /// Takes the caches of a server that asks this list, to drop out of them what other instances announce. Does nothing by default.
    fn attach(&self, caches: LocalCaches) {
        drop(caches);
    }
}

/// What a deny-list says.
#[non_exhaustive]
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

/// What becomes of a request while the deny-list, or the memory of proofs, is out of reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WhenUnreachable {
    /// 503: nobody passes who might be denied, and no proof that may have come before. The default.
    #[default]
    Refuse,
    /// Tokens pass as if nothing were denied or had come before, and an event says so each time. A revoked token works, and so does a proof that was
    /// overheard, until the store is back.
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
