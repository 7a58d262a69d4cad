//! What to drop from the caches when an issuer says that something has ended (OpenID Connect Back-Channel Logout
//! section 2.5, RFC 7009).

use std::fmt;

use super::AnswerTag;
use crate::jose::signature::sha256;

/// Selects the tokens to drop from the caches. Pass it to [`ResourceServer::evict`](crate::ResourceServer::evict).
///
/// Evicting a token does not deny it: on the next request with the token, the issuer is asked again, and a JWT is
/// verified again. To refuse a JWT before its `exp`, [deny](crate::ResourceServer::deny) it.
#[derive(Clone, PartialEq, Eq)]
pub struct Evict(pub(crate) What);

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum What {
    Token(Box<str>),
    Subject {
        issuer: Box<str>,
        subject: Box<str>,
    },
    Session {
        issuer: Box<str>,
        session: Box<str>,
    },
    Client {
        issuer: Box<str>,
        client: Box<str>,
    },
    /// Announced by another instance.
    Named(Named),
}

/// What is to be dropped, as a digest, which is how it is sent between instances.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// The SHA-256 of the token.
    Token([u8; 32]),
    /// The label that the answers and tokens of a subject, session or client share.
    Tag(AnswerTag),
}

impl Named {
    pub(crate) fn of(what: &What) -> Self {
        match what {
            What::Token(token) => Self::Token(sha256(token.as_bytes())),
            What::Subject { issuer, subject } => Self::Tag(AnswerTag::subject(&**issuer, subject)),
            What::Session { issuer, session } => Self::Tag(AnswerTag::session(&**issuer, session)),
            What::Client { issuer, client } => Self::Tag(AnswerTag::client(&**issuer, client)),
            What::Named(named) => *named,
        }
    }
}

impl Evict {
    /// The token with exactly this text.
    #[must_use]
    pub fn token(token: &str) -> Self {
        Self(What::Token(token.into()))
    }

    /// Every token with this `sub` from this issuer.
    #[must_use]
    pub fn subject(issuer: &str, subject: &str) -> Self {
        Self(What::Subject { issuer: issuer.into(), subject: subject.into() })
    }

    /// Every token of this session (`sid`) from this issuer.
    #[must_use]
    pub fn session(issuer: &str, session: &str) -> Self {
        Self(What::Session { issuer: issuer.into(), session: session.into() })
    }

    /// Every token that was issued to this client (`client_id`, or `azp`) by this issuer.
    #[must_use]
    pub fn client(issuer: &str, client: &str) -> Self {
        Self(What::Client { issuer: issuer.into(), client: client.into() })
    }

    pub(crate) fn named(named: Named) -> Self {
        Self(What::Named(named))
    }
}

impl fmt::Debug for Evict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            What::Token(_) => "Evict(token)",
            What::Subject { .. } => "Evict(subject)",
            What::Session { .. } => "Evict(session)",
            What::Client { .. } => "Evict(client)",
            What::Named(_) => "Evict(by digest)",
        })
    }
}

/// The caches of one server, which its [deny-list](crate::revocation::DenyList::attach) receives in order to drop what
/// other instances evict.
#[derive(Clone)]
pub struct LocalCaches(std::sync::Arc<DropOut>);

type DropOut = dyn Fn(Told) -> Option<()> + Send + Sync;

/// A request to the caches.
pub(crate) enum Told {
    /// No change; only asks whether the server still exists.
    Nothing,
    /// Drop these tokens.
    Drop(Evict),
    /// Drop everything.
    DropAll,
}

impl LocalCaches {
    /// `drop_out` returns `None` once the server is gone.
    pub(crate) fn new(drop_out: impl Fn(Told) -> Option<()> + Send + Sync + 'static) -> Self {
        Self(std::sync::Arc::new(drop_out))
    }

    /// Drops these tokens from the caches of this server and the stores of this process. In-memory caches have dropped
    /// them when this returns. [Shared](crate::stores::AnswerStore::is_shared) stores are left alone: the instance that
    /// announced the eviction has updated them.
    pub fn drop_out(&self, what: Evict) {
        let _ = (self.0)(Told::Drop(what));
    }

    /// Drops everything from the caches, for when evictions may have been missed.
    pub fn drop_everything(&self) {
        let _ = (self.0)(Told::DropAll);
    }

    /// Whether the server still exists.
    #[must_use]
    pub fn are_there(&self) -> bool {
        (self.0)(Told::Nothing).is_some()
    }
}

impl fmt::Debug for LocalCaches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalCaches")
    }
}
