//! What to drop out of the caches when an issuer says that something ended (OpenID Connect Back-Channel Logout 2.5, RFC 7009).

use std::fmt;

use super::AnswerTag;
use crate::jose::signature::sha256;

/// Which tokens to drop out of the caches. Give it to [`ResourceServer::evict`](crate::ResourceServer::evict).
///
/// Evicting forgets, it does not deny: the next request with such a token asks the issuer again, and a JWT is verified again. To turn
/// a JWT away before its `exp`, [deny](crate::ResourceServer::deny) it.
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
    /// Said by another instance.
    Named(Named),
}

/// What is to be dropped, by digest: as it travels between instances.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// SHA-256 of the token.
    Token([u8; 32]),
    /// What answers and tokens of a subject, a session or a client share.
    Tag(AnswerTag),
}

impl Named {
    pub(crate) fn of(what: &What) -> Self {
        match what {
            What::Token(token) => Self::Token(sha256(token.as_bytes())),
            What::Subject { issuer, subject } => Self::Tag(AnswerTag::subject(issuer, subject)),
            What::Session { issuer, session } => Self::Tag(AnswerTag::session(issuer, session)),
            What::Client { issuer, client } => Self::Tag(AnswerTag::client(issuer, client)),
            What::Named(named) => *named,
        }
    }
}

impl Evict {
    /// This very token, by its text.
    #[must_use]
    pub fn token(token: &str) -> Self {
        Self(What::Token(token.into()))
    }

    /// Every token that speaks of this `sub` of this issuer.
    #[must_use]
    pub fn subject(issuer: &str, subject: &str) -> Self {
        Self(What::Subject { issuer: issuer.into(), subject: subject.into() })
    }

    /// Every token of this session (`sid`) at this issuer.
    #[must_use]
    pub fn session(issuer: &str, session: &str) -> Self {
        Self(What::Session { issuer: issuer.into(), session: session.into() })
    }

    /// Every token that this client (`client_id`, or `azp`) of this issuer asked for.
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

/// The caches of one server, handed to its [deny-list](crate::revocation::DenyList::attach): what other instances evict is dropped out of them.
#[derive(Clone)]
pub struct LocalCaches(std::sync::Arc<DropOut>);

type DropOut = dyn Fn(Told) -> Option<()> + Send + Sync;

/// What caches are told.
pub(crate) enum Told {
    /// Nothing: whether they are there.
    Nothing,
    /// To drop these tokens.
    Drop(Evict),
    /// To drop everything.
    DropAll,
}

impl LocalCaches {
    /// `drop_out` answers `None` once the caches are gone.
    pub(crate) fn new(drop_out: impl Fn(Told) -> Option<()> + Send + Sync + 'static) -> Self {
        Self(std::sync::Arc::new(drop_out))
    }

    /// Drops these tokens out of the caches of this server and the stores of this process. Those that are [shared](crate::stores::AnswerStore::is_shared) were gone
    /// through by who announced it. Caches in memory have dropped them when this returns.
    pub fn drop_out(&self, what: Evict) {
        let _ = (self.0)(Told::Drop(what));
    }

    /// Drops everything out of them: something may have been evicted of which nobody has heard here.
    pub fn drop_everything(&self) {
        let _ = (self.0)(Told::DropAll);
    }

    /// Whether the server is still there.
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
