//! The deny-list, which is asked on every request, cached tokens included, and what can be denied (RFC 7519 section
//! 4.1.7, RFC 7009).
//!
//! Tokens are never denied by their text: an ECDSA signature (r, s) has a twin (r, n − s), so one JWT has two valid
//! texts.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Evict, LocalCaches, StoreError};
use crate::base::http::BoxFuture;
use crate::base::time::Timestamp;
use crate::token::marks::{Marks, digest};

/// Which tokens to refuse from now on.
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
    /// The single token with this `jti`.
    TokenId {
        /// The issuer of the token.
        issuer: Box<str>,
        /// The `jti`.
        token_id: Box<str>,
    },
    /// Every token of this `sub` that was issued at or before a given time. A token without `iat` counts as issued
    /// before.
    Subject {
        /// The issuer of the tokens.
        issuer: Box<str>,
        /// The `sub`.
        subject: Box<str>,
        /// The last second of issue that is refused.
        issued_until: Timestamp,
    },
    /// Every token of this session (`sid`).
    Session {
        /// The issuer of the tokens.
        issuer: Box<str>,
        /// The `sid`.
        session: Box<str>,
    },
}

impl Deny {
    /// Denies one token; see [`Deny::TokenId`].
    #[must_use]
    pub fn token_id(issuer: &str, token_id: &str) -> Self {
        Self::TokenId { issuer: issuer.into(), token_id: token_id.into() }
    }

    /// Denies a subject; see [`Deny::Subject`]. The whole second of `issued_until` is included: issuers write `iat` in
    /// whole seconds or in fractions, and a token of that second counts as issued before.
    #[must_use]
    pub fn subject(issuer: &str, subject: &str, issued_until: Timestamp) -> Self {
        let second = issued_until.as_millis().div_euclid(1000);
        let issued_until = Timestamp::from_millis(second.saturating_mul(1000).saturating_add(999));
        Self::Subject { issuer: issuer.into(), subject: subject.into(), issued_until }
    }

    /// Denies a session; see [`Deny::Session`].
    #[must_use]
    pub fn session(issuer: &str, session: &str) -> Self {
        Self::Session { issuer: issuer.into(), session: session.into() }
    }
}

impl Deny {
    /// The SHA-256 of what is denied (without the time of issue): a key of fixed length for stores, from which claims
    /// cannot be read.
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

/// A list of tokens to refuse before they expire. It is asked on every request, for JWTs and opaque tokens alike.
///
/// [`MemoryDenyList`](super::memory_deny_list::MemoryDenyList) answers immediately. A list shared by several instances
/// may need a network request.
pub trait DenyList: fmt::Debug + Send + Sync + 'static {
    /// Looks a token up. This is called once per request; an answer that is already in memory should not allocate.
    fn look_up(&self, token: &Marks<'_>, now: Timestamp) -> DenyLookup;

    /// Adds an entry that ends at `until`: the latest `exp` of any token concerned, plus the leeway.
    ///
    /// # Errors
    /// [`StoreError`] if the entry could not be written. The token is not denied in that case.
    fn deny(&self, what: Deny, until: Timestamp) -> BoxFuture<'static, Result<(), StoreError>>;

    /// Announces to other instances what this one [evicts](crate::ResourceServer::evict). Returns `None` if nobody is
    /// told, which is the default.
    ///
    /// # Errors
    /// [`StoreError`] if the others could not be told.
    fn announce(&self, what: &Evict) -> Option<BoxFuture<'static, Result<(), StoreError>>> {
        let _ = what;
        None
    }

    /// Receives the caches of a server that uses this list. The list drops from them what other instances announce. The
    /// default implementation does nothing.
    fn attach(&self, caches: LocalCaches) {
        drop(caches);
    }
}

/// The answer of a deny-list.
#[non_exhaustive]
pub enum DenyLookup {
    /// The token is not on the list.
    Absent,
    /// The token is on the list, and is refused as inactive.
    Denied,
    /// The answer needs I/O: the future returns `true` if the token is on the list.
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

/// What happens to a request while the deny-list, or the memory of used proofs, is unreachable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WhenUnreachable {
    /// The request is refused with 503, since the token may be denied or the proof used before. The default.
    #[default]
    Refuse,
    /// The request is allowed, and each time an event is logged. Until the store is back, a revoked token is accepted,
    /// and so is an intercepted proof.
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
