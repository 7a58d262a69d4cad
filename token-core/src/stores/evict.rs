//! What to drop out of the caches when an issuer says that something ended (OpenID Connect Back-Channel Logout 2.5, RFC 7009).

use std::fmt;

/// Which tokens to drop out of the caches. Give it to [`ResourceServer::evict`](crate::ResourceServer::evict).
///
/// Evicting forgets, it does not deny: the next request with such a token asks the issuer again, and a JWT is verified again. To turn
/// a JWT away before its `exp`, [deny](crate::ResourceServer::deny) it.
#[derive(Clone, PartialEq, Eq)]
pub struct Evict(pub(crate) What);

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum What {
    Token(Box<str>),
    Subject { issuer: Box<str>, subject: Box<str> },
    Session { issuer: Box<str>, session: Box<str> },
    Client { issuer: Box<str>, client: Box<str> },
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
}

impl fmt::Debug for Evict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            What::Token(_) => "Evict(token)",
            What::Subject { .. } => "Evict(subject)",
            What::Session { .. } => "Evict(session)",
            What::Client { .. } => "Evict(client)",
        })
    }
}
