//! Issuers that are looked up when their first token comes: an unverified `iss` in, a trusted issuer or nobody out, and how much of
//! that strangers can cause (RFC 8725 section 3.10).

mod lookups;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::answer::error::Error;
use crate::base::http::BoxFuture;
use crate::base::time::Timestamp;
use crate::gate::server::ResourceServer;
use crate::trust::issuer::Issuer;
use crate::trust::registry::Naming;
pub(crate) use lookups::{Directory, Landed, Lookup, Lookups};

/// Looks issuers up: in a database of tenants, say.
///
/// Anybody can send a token with any `iss`, so anybody can have this asked. Compare the text with what you know; never fetch from it,
/// and never make an issuer of it that you would not have made without.
pub trait IssuerResolver: fmt::Debug + Send + Sync + 'static {
    /// The issuer of this name with its rules, or `None` for a stranger.
    ///
    /// It runs in a task of its own, once for all who wait for the same name. What it returns has to bear the name, byte by byte.
    ///
    /// # Errors
    /// [`Unresolved`] when it cannot be said: our trouble, 503, not remembered.
    fn resolve<'a>(&'a self, untrusted_issuer: &'a str) -> BoxFuture<'a, Result<Option<Issuer>, Unresolved>>;
}

/// An issuer could not be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved(String);

impl Unresolved {
    /// With the reason, for operators; without secrets.
    #[must_use]
    pub fn because(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unresolved {}

/// How much strangers can cause. All bounds hold whatever tokens come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResolverSettings {
    most: usize,
    stranger_life: Duration,
    timeout: Duration,
}

impl Default for ResolverSettings {
    fn default() -> Self {
        Self { most: 1000, stranger_life: Duration::from_secs(30), timeout: Duration::from_secs(3) }
    }
}

impl ResolverSettings {
    /// How many looked-up issuers, or tenants, are trusted at once; past that the one that came first has to be looked up again. Set it
    /// above the number there is. Default 1,000.
    #[must_use]
    pub fn most(mut self, issuers: usize) -> Self {
        self.most = issuers.max(1);
        self
    }

    /// For how long a stranger is remembered as one. Default 30 s; 1,024 strangers at most.
    #[must_use]
    pub fn remember_strangers(mut self, time: Duration) -> Self {
        self.stranger_life = time;
        self
    }

    /// How long one look-up may take. Default 3 s; 16 of different names at once, past that 503.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

const SOON: Duration = Duration::from_secs(1);

/// Looks issuers up for a server, within bounds.
#[derive(Clone)]
pub(crate) struct Resolving {
    resolver: Arc<dyn IssuerResolver>,
    lookups: Arc<Lookups>,
}

impl Resolving {
    pub(crate) fn new(resolver: Arc<dyn IssuerResolver>, settings: ResolverSettings) -> Self {
        Self { resolver, lookups: Arc::new(Lookups::new(settings)) }
    }

    /// Begins to look `issuer` up, or joins those who have.
    pub(crate) fn begin(&self, server: &ResourceServer, issuer: &str, now: Timestamp) -> Lookup {
        self.lookups.begin(issuer, now, || Issuers { server: server.clone(), resolving: self.clone() })
    }

    /// An operator has spoken about this name: what is remembered of it does not count.
    pub(crate) fn forget(&self, issuer: &str) {
        self.lookups.forget(issuer);
    }
}

impl fmt::Debug for Resolving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Resolving").field(&self.resolver).finish()
    }
}

pub(crate) fn unavailable() -> Error {
    Error::unavailable("the token's issuer could not be looked up", SOON)
}

/// The resolver is asked, the server's registry takes the answers.
struct Issuers {
    server: ResourceServer,
    resolving: Resolving,
}

impl Directory for Issuers {
    type Found = Issuer;

    fn lookups(&self) -> &Lookups {
        &self.resolving.lookups
    }

    fn now(&self) -> Timestamp {
        self.server.now()
    }

    fn ask<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Issuer>, Unresolved>> {
        self.resolving.resolver.resolve(name)
    }

    fn install(&self, name: &str, issuer: Issuer) -> Landed {
        if issuer.identifier != name || issuer.naming != Naming::Exact {
            tracing::error!(name: "token.resolver.mismatch", "the resolver answered with another issuer than it was asked for");
            return Landed::Stranger;
        }
        match self.server.add(issuer) {
            Ok(()) => Landed::Trusted,
            Err(error) => {
                tracing::error!(name: "token.resolver.unusable", %error, "the resolver answered with an issuer that cannot be trusted");
                Landed::Unavailable
            }
        }
    }

    fn uninstall(&self, name: &str) {
        self.server.remove(name);
    }
}

#[cfg(test)]
mod tests;
