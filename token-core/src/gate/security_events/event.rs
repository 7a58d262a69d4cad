//! The URI and the payload of an event in, what it is and what it does by default out: one table (CAEP 1.0 section 3, RISC 1.0 section 2).

use serde_json::{Map, Value};

/// An event that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// CAEP `session-revoked`: a session ended, or all of somebody's.
    SessionRevoked,
    /// CAEP `token-claims-change`: what tokens say of somebody is no longer so.
    TokenClaimsChange,
    /// CAEP `credential-change`: a password, a key or another credential was created, updated, revoked or deleted.
    CredentialChange,
    /// CAEP `assurance-level-change`: somebody is known for surer, or less sure, than before.
    AssuranceLevelChange,
    /// RISC `account-disabled`.
    AccountDisabled,
    /// RISC `account-purged`: the account is gone for good.
    AccountPurged,
    /// RISC `sessions-revoked`: all of somebody's sessions ended. Newer transmitters say [`EventKind::SessionRevoked`].
    SessionsRevoked,
    /// RISC `credential-compromise`: somebody else knows a credential.
    CredentialCompromise,
    /// Shared Signals `verification`: the transmitter asks whether events arrive.
    Verification,
    /// Shared Signals `stream-updated`: the transmitter paused, disabled or enabled the stream.
    StreamUpdated,
    /// Any other: acknowledged, and nothing is done.
    Unknown,
}

/// What an event does to the tokens of whom it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reaction {
    /// Tokens issued until then are denied and forgotten: their owner has to get new ones.
    Deny,
    /// Cached tokens and answers are forgotten: opaque tokens are asked about again, JWTs are good until they end.
    Forget,
    /// Nothing.
    Ignore,
}

const TABLE: [(&str, EventKind); 10] = [
    ("https://schemas.openid.net/secevent/caep/event-type/session-revoked", EventKind::SessionRevoked),
    ("https://schemas.openid.net/secevent/caep/event-type/token-claims-change", EventKind::TokenClaimsChange),
    ("https://schemas.openid.net/secevent/caep/event-type/credential-change", EventKind::CredentialChange),
    ("https://schemas.openid.net/secevent/caep/event-type/assurance-level-change", EventKind::AssuranceLevelChange),
    ("https://schemas.openid.net/secevent/risc/event-type/account-disabled", EventKind::AccountDisabled),
    ("https://schemas.openid.net/secevent/risc/event-type/account-purged", EventKind::AccountPurged),
    ("https://schemas.openid.net/secevent/risc/event-type/sessions-revoked", EventKind::SessionsRevoked),
    ("https://schemas.openid.net/secevent/risc/event-type/credential-compromise", EventKind::CredentialCompromise),
    ("https://schemas.openid.net/secevent/ssf/event-type/verification", EventKind::Verification),
    ("https://schemas.openid.net/secevent/ssf/event-type/stream-updated", EventKind::StreamUpdated),
];

impl EventKind {
    /// The kind of this URI. URIs are compared as they are written.
    #[must_use]
    pub fn of(uri: &str) -> Self {
        TABLE.iter().find(|(known, _)| *known == uri).map_or(Self::Unknown, |(_, kind)| *kind)
    }

    /// The URI; `None` for [`EventKind::Unknown`].
    #[must_use]
    pub fn uri(self) -> Option<&'static str> {
        TABLE.iter().find(|(_, kind)| *kind == self).map(|(uri, _)| *uri)
    }

    /// What it does where the operator has not said otherwise. A new credential, and a higher assurance, take nothing from anybody.
    #[must_use]
    pub fn reaction(self, payload: &Map<String, Value>) -> Reaction {
        let says = |member: &str, word: &str| payload.get(member).and_then(Value::as_str) == Some(word);
        match self {
            Self::CredentialChange if says("change_type", "create") => Reaction::Forget,
            Self::AssuranceLevelChange if says("change_direction", "increase") => Reaction::Forget,
            Self::SessionRevoked
            | Self::TokenClaimsChange
            | Self::CredentialChange
            | Self::AssuranceLevelChange
            | Self::AccountDisabled
            | Self::AccountPurged
            | Self::SessionsRevoked
            | Self::CredentialCompromise => Reaction::Deny,
            Self::Verification | Self::StreamUpdated | Self::Unknown => Reaction::Ignore,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_uri_and_every_uri_one_kind() {
        for (uri, kind) in TABLE {
            assert_eq!((EventKind::of(uri), kind.uri()), (kind, Some(uri)));
        }
        assert_eq!(
            EventKind::of("https://schemas.openid.net/secevent/caep/event-type/Session-Revoked"),
            EventKind::Unknown
        );
        assert_eq!(EventKind::Unknown.uri(), None);
    }
}
