//! Issuers that are looked up when their first token comes: an unverified `iss` in, a trusted issuer or nobody out, and how much of
//! that strangers can cause (RFC 8725 section 3.10).

pub(crate) mod lookups;

use std::fmt;
use std::time::Duration;

use crate::answer::error::Error;
use crate::base::http::BoxFuture;
use crate::trust::issuer::Issuer;
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

pub(crate) fn unavailable() -> Error {
    Error::unavailable("the token's issuer could not be looked up", SOON)
}
