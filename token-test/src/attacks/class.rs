//! The classes of attacks, and their names.

/// What an attack goes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Class {
    /// No attack: a request that has to be let in.
    Good,
    /// The algorithm is the attacker's choice.
    Algorithm,
    /// The key is, or there is no signature.
    Key,
    /// Somebody else's token.
    Issuer,
    /// A token for somebody else.
    Audience,
    /// A token of another kind: ID token, logout token, refresh token, proof.
    Kind,
    /// Claims of wrong types, twice, or missing.
    Claim,
    /// Too late or too early.
    Time,
    /// Other spellings of a token.
    Encoding,
    /// Header members that demand something.
    Header,
    /// Credentials in other places, several, or none.
    Credentials,
    /// Other spellings of the path and of the method.
    Path,
    /// Scopes that are nearly right.
    Scope,
    /// Tokens that are bound to somebody else's key.
    Binding,
    /// What was judged before.
    Cache,
    /// Tokens that their status list says are not good; tried where [`status_lists`](super::Attacks::status_lists) says so.
    Status,
    /// Encrypted tokens that are not what they seem; most are tried where [`encrypted_to`](super::Attacks::encrypted_to) names a key.
    Encryption,
    /// Tickets that are used, forged, misplaced or too old; tried where [`tickets`](super::Attacks::tickets) says where they are sold.
    Tickets,
}

impl Class {
    /// Every class but [`Good`](Self::Good).
    pub const ALL: &'static [Self] = &[
        Self::Algorithm,
        Self::Key,
        Self::Issuer,
        Self::Audience,
        Self::Kind,
        Self::Claim,
        Self::Time,
        Self::Encoding,
        Self::Header,
        Self::Credentials,
        Self::Path,
        Self::Scope,
        Self::Binding,
        Self::Cache,
        Self::Status,
        Self::Encryption,
        Self::Tickets,
    ];

    /// Its name, in small letters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Algorithm => "algorithm",
            Self::Key => "key",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Kind => "kind",
            Self::Claim => "claim",
            Self::Time => "time",
            Self::Encoding => "encoding",
            Self::Header => "header",
            Self::Credentials => "credentials",
            Self::Path => "path",
            Self::Scope => "scope",
            Self::Binding => "binding",
            Self::Cache => "cache",
            Self::Status => "status",
            Self::Encryption => "encryption",
            Self::Tickets => "tickets",
        }
    }
}
