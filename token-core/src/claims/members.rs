//! The name of a claim in, whether it is one that is looked at and whether it was there before out (RFC 7519 section 4).

use std::borrow::Cow;
use std::collections::HashSet;

/// The members that are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    Iss,
    Sub,
    Aud,
    Exp,
    Nbf,
    Iat,
    Jti,
    ClientId,
    Azp,
    Sid,
    Scope,
    Scp,
    Permissions,
    Roles,
    Groups,
    TokenUse,
    TokenClass,
    TokenType,
    Type,
    Typ,
    Cnf,
    Events,
    Act,
    MayAct,
    Nonce,
    AtHash,
    CHash,
    Other,
}

/// The strongest of the marks of ID tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum IdTokenMark {
    #[default]
    Absent,
    /// `nonce` alone, which some issuers write into access tokens, too.
    Nonce,
    /// `at_hash` or `c_hash`.
    Hash,
}

impl Member {
    /// What the member says of the kind, where it is one of an ID token's.
    pub(super) fn id_token_mark(self) -> IdTokenMark {
        match self {
            Self::Nonce => IdTokenMark::Nonce,
            Self::AtHash | Self::CHash => IdTokenMark::Hash,
            _ => IdTokenMark::Absent,
        }
    }

    pub(super) fn of(name: &[u8]) -> Self {
        match name {
            b"iss" => Self::Iss,
            b"sub" => Self::Sub,
            b"aud" => Self::Aud,
            b"exp" => Self::Exp,
            b"nbf" => Self::Nbf,
            b"iat" => Self::Iat,
            b"jti" => Self::Jti,
            b"client_id" => Self::ClientId,
            b"azp" => Self::Azp,
            b"sid" => Self::Sid,
            b"scope" => Self::Scope,
            b"scp" => Self::Scp,
            b"permissions" => Self::Permissions,
            b"roles" => Self::Roles,
            b"groups" => Self::Groups,
            b"token_use" => Self::TokenUse,
            b"token_class" => Self::TokenClass,
            b"token_type" => Self::TokenType,
            b"type" => Self::Type,
            b"typ" => Self::Typ,
            b"cnf" => Self::Cnf,
            b"events" => Self::Events,
            b"act" => Self::Act,
            b"may_act" => Self::MayAct,
            b"nonce" => Self::Nonce,
            b"at_hash" => Self::AtHash,
            b"c_hash" => Self::CHash,
            _ => Self::Other,
        }
    }

    /// Which of the claims that say a kind it is; asked of no others.
    pub(super) fn kind_claim(self) -> KindClaim {
        match self {
            Self::TokenClass => KindClaim::TokenClass,
            Self::TokenType => KindClaim::TokenType,
            Self::Type => KindClaim::Type,
            _ => KindClaim::TokenUse,
        }
    }
}

/// The claim that an issuer writes its own word for the kind of token into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum KindClaim {
    /// Cognito, Hydra.
    #[default]
    TokenUse,
    /// Servers on idpyoidc.
    TokenClass,
    /// Simple JWT (Django).
    TokenType,
    /// Flask-JWT-Extended.
    Type,
}

impl KindClaim {
    /// Whether this value of it says a kind. All but `token_use` are used for other things, too.
    pub(super) fn says_kind(self, value: &[u8]) -> bool {
        match self {
            Self::TokenUse => true,
            Self::TokenClass if value == b"authorization_code" => true,
            _ => matches!(value, b"access" | b"access_token" | b"refresh" | b"refresh_token" | b"id_token"),
        }
    }
}

/// How many names are compared one by one.
const FEW: usize = 16;

/// The names met so far: a bit for each that is looked at, the others themselves. Those are few, and comparing beats hashing, up to a
/// point.
#[derive(Default)]
pub(super) struct Seen<'a> {
    known: u32,
    few: [&'a str; FEW],
    count: usize,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Seen<'a> {
    /// Whether the name is new.
    pub(super) fn insert(&mut self, member: Member, name: Cow<'a, str>) -> bool {
        if member != Member::Other {
            let bit = 1 << member as u32;
            let new = self.known & bit == 0;
            self.known |= bit;
            return new;
        }
        if self.few[..self.count].contains(&name.as_ref()) {
            return false;
        }
        match name {
            Cow::Borrowed(name) if self.count < FEW && !self.many.contains(name) => {
                self.few[self.count] = name;
                self.count += 1;
                true
            }
            name => self.many.insert(name),
        }
    }
}
