//! A change of the list, or something to evict, in; its bytes in the log and in the list out; and the reverse.

use std::fmt;

use crate::base::time::Timestamp;
use crate::stores::evict::Named;
use crate::stores::{AnswerTag, Deny, Evict};
use crate::token::marks::Marks;

/// What an entry denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    TokenId = 1,
    Subject = 2,
    Session = 3,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::TokenId, Self::Subject, Self::Session];

    /// The digest of the token's value of this kind.
    pub(crate) fn digest(self, token: &Marks<'_>) -> Option<[u8; 32]> {
        match self {
            Self::TokenId => token.token_id_digest(),
            Self::Subject => token.subject_digest(),
            Self::Session => token.session_digest(),
        }
    }
}

/// One entry of the list: the [digest](crate::revocation::Deny::digest) of what is denied, and for a subject the last
/// time of issue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DenyEntry {
    pub(crate) kind: Kind,
    pub(crate) digest: [u8; 32],
    /// The last time of issue that is refused; [`Timestamp::MAX`] if it does not matter.
    pub(crate) issued_until: Timestamp,
}

/// The first byte of each format. Other values are left for future versions.
const DENY: u8 = 1;
const EVICT: u8 = 2;
const OPENED: u8 = 3;

impl DenyEntry {
    /// The length of an entry in a list, in bytes.
    pub const LEN: usize = 42;

    /// The entry that denies this.
    #[must_use]
    pub fn new(what: &Deny) -> Self {
        let (kind, issued_until) = match what {
            Deny::TokenId { .. } => (Kind::TokenId, Timestamp::MAX),
            Deny::Session { .. } => (Kind::Session, Timestamp::MAX),
            Deny::Subject { issued_until, .. } => (Kind::Subject, *issued_until),
        };
        Self { kind, digest: what.digest(), issued_until }
    }

    /// The entry as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        (bytes[0], bytes[1]) = (DENY, self.kind as u8);
        bytes[2..34].copy_from_slice(&self.digest);
        bytes[34..].copy_from_slice(&self.issued_until.as_millis().to_be_bytes());
        bytes
    }

    /// Reads an entry; `None` if the format is unknown.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::LEN] = bytes.try_into().ok()?;
        let [DENY, kind, rest @ ..] = bytes else { return None };
        let kind = *Kind::ALL.iter().find(|known| **known as u8 == *kind)?;
        let (digest, issued) = rest.split_first_chunk::<32>()?;
        let issued_until = Timestamp::from_millis(i64::from_be_bytes(issued.try_into().ok()?));
        Some(Self { kind, digest: *digest, issued_until })
    }
}

/// One entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// An entry was added to the deny-list; it ends at the given time.
    Deny(DenyEntry, Timestamp),
    /// Every instance must drop this from its caches.
    Evict(EvictDigest),
    /// No change. It is the first entry of a new log, so that a log is never empty.
    Opened,
}

/// What an [`Evict`] selects, as digests from which claims cannot be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EvictDigest(pub(crate) Named);

impl EvictDigest {
    /// The digest of what `evict` selects.
    #[must_use]
    pub fn of(evict: &Evict) -> Self {
        Self(Named::of(&evict.0))
    }

    /// What is to be dropped, for [`ResourceServer::evict`](crate::ResourceServer::evict).
    #[must_use]
    pub fn evict(&self) -> Evict {
        Evict::named(self.0)
    }
}

impl Change {
    /// The change as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Deny(entry, until) => [&entry.to_bytes()[..], &until.as_millis().to_be_bytes()].concat(),
            Self::Evict(EvictDigest(Named::Token(digest))) => [&[EVICT, 0], &digest[..]].concat(),
            Self::Evict(EvictDigest(Named::Tag(tag))) => [&[EVICT, 1], &tag.as_bytes()[..]].concat(),
            Self::Opened => vec![OPENED],
        }
    }

    /// Reads a change; `None` if the format is unknown.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [EVICT, 0, digest @ ..] => Some(Self::Evict(EvictDigest(Named::Token(digest.try_into().ok()?)))),
            [EVICT, 1, tag @ ..] => {
                Some(Self::Evict(EvictDigest(Named::Tag(AnswerTag::from_digest(tag.try_into().ok()?)))))
            }
            [DENY, ..] => {
                let (entry, until) = bytes.split_last_chunk::<8>()?;
                let until = Timestamp::from_millis(i64::from_be_bytes(*until));
                Some(Self::Deny(DenyEntry::from_bytes(entry)?, until))
            }
            [OPENED] => Some(Self::Opened),
            _ => None,
        }
    }
}

impl fmt::Debug for DenyEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DenyEntry").field(&self.kind).finish()
    }
}

impl fmt::Debug for EvictDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EvictDigest")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_change_is_read_as_it_was_written() {
        let end = Timestamp::from_secs(2_000);
        for what in [
            Deny::token_id("i", "7"),
            Deny::session("i", "s"),
            Deny::subject("i", "ada", Timestamp::from_secs(1_000)),
            Deny::subject("i", "ada", Timestamp::MAX),
        ] {
            let entry = DenyEntry::new(&what);
            assert_eq!(DenyEntry::from_bytes(&entry.to_bytes()), Some(entry));
            let change = Change::Deny(entry, end);
            assert_eq!(Change::from_bytes(&change.to_bytes()), Some(change));
        }
        for what in [Evict::token("t"), Evict::subject("i", "ada"), Evict::session("i", "s"), Evict::client("i", "app")]
        {
            let change = Change::Evict(EvictDigest::of(&what));
            assert_eq!(Change::from_bytes(&change.to_bytes()), Some(change));
        }
    }

    proptest! {
        #[test]
        fn whatever_stands_in_a_log_is_read_or_refused_and_what_is_read_is_written_the_same(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(change) = Change::from_bytes(&bytes) {
                prop_assert_eq!(change.to_bytes(), bytes);
            }
        }

        #[test]
        fn a_change_that_was_cut_off_is_none(cut in 0usize..50) {
            let entry = DenyEntry::new(&Deny::session("i", "s"));
            let bytes = Change::Deny(entry, Timestamp::from_secs(1)).to_bytes();
            prop_assert_eq!(Change::from_bytes(&bytes[..cut.min(bytes.len() - 1)]), None);
        }
    }
}
