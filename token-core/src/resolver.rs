//! Issuers that are looked up when their first token comes: an unverified `iss` in, a trusted issuer or nobody out, and how much of
//! that strangers can cause (RFC 8725 section 3.10).

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::Instrument;

use crate::http::BoxFuture;
use crate::issuer::Issuer;
use crate::registry::Naming;
use crate::server::ResourceServer;
use crate::telemetry;
use crate::{Error, Timestamp};

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
    /// How many looked-up issuers are trusted at once; past that the one that came first has to be looked up again. Default 1,000.
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

    /// How long one look-up may take. Default 3 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// The longest `iss` that is looked up, in bytes.
const LONGEST: usize = 2048;
/// Look-ups under way at once, of different names.
const AT_ONCE: usize = 16;
const STRANGERS: usize = 1024;
const SOON: Duration = Duration::from_secs(1);

/// How a look-up ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Landed {
    Trusted,
    Stranger,
    Unavailable,
}

impl Landed {
    fn name(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Stranger => "stranger",
            Self::Unavailable => "unavailable",
        }
    }
}

pub(crate) struct Resolving {
    resolver: Arc<dyn IssuerResolver>,
    settings: ResolverSettings,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    /// Those that were looked up and are trusted, in the order they came.
    trusted: VecDeque<Box<str>>,
    strangers: HashMap<Box<str>, Timestamp>,
    flights: HashMap<Box<str>, watch::Receiver<Option<Landed>>>,
}

impl Resolving {
    pub(crate) fn new(resolver: Arc<dyn IssuerResolver>, settings: ResolverSettings) -> Self {
        Self { resolver, settings, books: Mutex::default() }
    }

    /// Begins to look `issuer` up, or joins those who have.
    pub(crate) fn begin(&self, server: &ResourceServer, issuer: &str, now: Timestamp) -> Lookup {
        if issuer.len() > LONGEST {
            return Lookup::Known(Landed::Stranger);
        }
        let mut books = self.books();
        if books.strangers.get(issuer).is_some_and(|until| now < *until) {
            return Lookup::Known(Landed::Stranger);
        }
        if let Some(flight) = books.flights.get(issuer) {
            return Lookup::Wait(flight.clone());
        }
        let Ok(runtime) = Handle::try_current() else { return Lookup::Known(Landed::Unavailable) };
        if books.flights.len() >= AT_ONCE {
            return Lookup::Known(Landed::Unavailable);
        }
        let (sender, receiver) = watch::channel(None);
        books.flights.insert(issuer.into(), receiver.clone());
        drop(books);
        let flight = Flight { server: server.clone(), issuer: issuer.into(), sender, landed: Landed::Unavailable };
        runtime.spawn(flight.fly(Arc::clone(&self.resolver), self.settings.timeout));
        Lookup::Wait(receiver)
    }

    /// Writes down how it ended. Returns whom to trust no more to stay within bounds.
    fn land(&self, issuer: &str, landed: Landed, now: Timestamp) -> Option<Box<str>> {
        let mut books = self.books();
        books.flights.remove(issuer);
        match landed {
            Landed::Trusted => {
                books.trusted.push_back(issuer.into());
                if books.trusted.len() > self.settings.most { books.trusted.pop_front() } else { None }
            }
            Landed::Stranger => {
                if books.strangers.len() >= STRANGERS {
                    books.strangers.retain(|_, until| now < *until);
                }
                // Where there is no room it is looked up again; the number of look-ups at once is bounded anyway.
                if books.strangers.len() < STRANGERS {
                    books.strangers.insert(issuer.into(), now.saturating_add(self.settings.stranger_life));
                }
                None
            }
            Landed::Unavailable => None,
        }
    }

    /// An operator has spoken about this name: what is remembered of it does not count.
    pub(crate) fn forget(&self, issuer: &str) {
        let mut books = self.books();
        books.strangers.remove(issuer);
        books.trusted.retain(|one| **one != *issuer);
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Resolving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Resolving").field(&self.resolver).finish()
    }
}

/// A look-up, or what is known already.
pub(crate) enum Lookup {
    Known(Landed),
    Wait(watch::Receiver<Option<Landed>>),
}

impl Lookup {
    pub(crate) async fn landed(self) -> Landed {
        match self {
            Self::Known(landed) => landed,
            Self::Wait(mut flight) => {
                flight.wait_for(Option::is_some).await.ok().and_then(|landed| *landed).unwrap_or(Landed::Unavailable)
            }
        }
    }
}

pub(crate) fn unavailable() -> Error {
    Error::unavailable("the token's issuer could not be looked up", SOON)
}

/// One look-up. Whatever becomes of it, a panic included, it lands.
struct Flight {
    server: ResourceServer,
    issuer: Box<str>,
    sender: watch::Sender<Option<Landed>>,
    landed: Landed,
}

impl Flight {
    async fn fly(mut self, resolver: Arc<dyn IssuerResolver>, timeout: Duration) {
        let span = telemetry::lookup_span();
        let looked_up = tokio::time::timeout(timeout, resolver.resolve(&self.issuer)).instrument(span.clone()).await;
        self.landed = match looked_up {
            Ok(Ok(Some(issuer))) => self.trust(issuer),
            Ok(Ok(None)) => Landed::Stranger,
            Ok(Err(error)) => {
                tracing::warn!(name: "token.resolver.failed", %error, "an issuer could not be looked up");
                Landed::Unavailable
            }
            Err(_) => {
                tracing::warn!(name: "token.resolver.timeout", "an issuer was not looked up in time");
                Landed::Unavailable
            }
        };
        span.record("outcome", self.landed.name());
    }

    fn trust(&self, issuer: Issuer) -> Landed {
        if issuer.identifier != *self.issuer || issuer.naming != Naming::Exact {
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
}

impl Drop for Flight {
    fn drop(&mut self) {
        let Some(resolving) = self.server.resolving() else { return };
        let gone = resolving.land(&self.issuer, self.landed, self.server.now());
        if let Some(gone) = gone {
            self.server.remove(&gone);
        }
        let _ = self.sender.send(Some(self.landed));
    }
}

#[cfg(test)]
mod tests;
