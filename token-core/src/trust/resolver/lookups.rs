//! A name that a stranger may have made up in, one question about it however many wait, and a bounded memory of how it ended.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tracing::Instrument;

use super::{ResolverSettings, Unresolved};
use crate::base::http::BoxFuture;
use crate::base::patience::within;
use crate::base::runtime::{NoRuntime, at_hand};
use crate::base::sync::{Mutex, MutexGuard, timeout, watch};
use crate::base::telemetry;
use crate::base::time::Timestamp;

/// By so much who waits is more patient than the one who carries a look-up out.
const GRACE: Duration = Duration::from_millis(250);
/// The longest name that is looked up, in bytes.
const LONGEST: usize = 2048;
/// Look-ups under way at once, of different names.
pub(crate) const AT_ONCE: usize = 16;
const STRANGERS: usize = 1024;

/// How a look-up ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Landed {
    Trusted,
    Stranger,
    Unavailable,
    /// It did not begin: there was nobody to carry it out.
    Grounded(NoRuntime),
}

impl Landed {
    fn name(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Stranger => "stranger",
            Self::Unavailable => "unavailable",
            Self::Grounded(_) => "grounded",
        }
    }
}

/// Who is asked about names, and where the answers go.
pub(crate) trait Directory: Send + Sync + 'static {
    type Found: Send;

    fn lookups(&self) -> &Lookups;
    fn now(&self) -> Timestamp;
    fn ask<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Self::Found>, Unresolved>>;
    /// Takes an answer in. While it runs, nobody forgets a name.
    fn install(&self, name: &str, found: Self::Found) -> Landed;
    /// Takes out what makes room for others.
    fn uninstall(&self, name: &str);
}

#[derive(Debug)]
pub(crate) struct Lookups {
    settings: ResolverSettings,
    books: Arc<Mutex<Books>>,
}

#[derive(Debug, Default)]
pub(crate) struct Books {
    /// Those that were looked up and are trusted, in the order they came.
    trusted: VecDeque<Box<str>>,
    /// Each with when that was found out.
    strangers: HashMap<Box<str>, Timestamp>,
    flights: HashMap<Box<str>, watch::Receiver<Option<Landed>>>,
}

impl Lookups {
    pub(crate) fn new(settings: ResolverSettings) -> Self {
        Self { settings, books: Arc::default() }
    }

    /// Begins to look `name` up, or joins those who have.
    pub(crate) fn begin<D: Directory>(&self, name: &str, now: Timestamp, directory: impl FnOnce() -> D) -> Lookup {
        if name.len() > LONGEST {
            return Lookup::Known(Landed::Stranger);
        }
        let mut books = self.books();
        if let Some(found) = books.strangers.get(name) {
            if now.is_within(*found, self.stranger_life()) {
                return Lookup::Known(Landed::Stranger);
            }
            if now.is_before(*found) {
                telemetry::set_back("lookups");
            }
        }
        if let Some(flight) = books.flights.get(name) {
            return self.wait(name, flight.clone());
        }
        // It landed since the caller looked.
        if books.trusted.iter().any(|one| **one == *name) {
            return Lookup::Known(Landed::Trusted);
        }
        let runtime = match at_hand() {
            Ok(runtime) => runtime,
            Err(missing) => return Lookup::Known(Landed::Grounded(missing)),
        };
        if books.flights.len() >= AT_ONCE {
            return Lookup::Known(Landed::Unavailable);
        }
        let (sender, receiver) = watch::channel(None);
        books.flights.insert(name.into(), receiver.clone());
        drop(books);
        let flight = Flight {
            directory: directory(),
            name: name.into(),
            sender,
            receiver: receiver.clone(),
            landed: Landed::Unavailable,
        };
        runtime.spawn(flight.fly());
        self.wait(name, receiver)
    }

    fn wait(&self, name: &str, flight: watch::Receiver<Option<Landed>>) -> Lookup {
        let patience = self.settings.timeout.saturating_add(GRACE);
        Lookup::Wait { flight, patience, name: name.into(), books: Arc::clone(&self.books) }
    }

    fn stranger_life(&self) -> u64 {
        u64::try_from(self.settings.stranger_life.as_millis()).unwrap_or(u64::MAX)
    }

    /// An operator has spoken about this name: what is remembered of it does not count, nor what a look-up under way will say. `take_out` takes out what was
    /// installed, in the same step: a look-up that lands in between would be taken out and remembered as there.
    pub(crate) fn forget<R>(&self, name: &str, take_out: impl FnOnce() -> R) -> R {
        let mut books = self.books();
        books.strangers.remove(name);
        books.flights.remove(name);
        books.trusted.retain(|one| **one != *name);
        take_out()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    /// Writes down how it ended. Returns whom to trust no more to stay within bounds.
    fn land(&mut self, name: &str, landed: Landed, settings: &ResolverSettings, now: Timestamp) -> Option<Box<str>> {
        match landed {
            Landed::Trusted => {
                self.trusted.push_back(name.into());
                if self.trusted.len() > settings.most { self.trusted.pop_front() } else { None }
            }
            Landed::Stranger => {
                if self.strangers.len() >= STRANGERS {
                    let life = u64::try_from(settings.stranger_life.as_millis()).unwrap_or(u64::MAX);
                    self.strangers.retain(|_, found| now.is_within(*found, life));
                }
                // Where there is no room it is looked up again; the number of look-ups at once is bounded anyway.
                if self.strangers.len() < STRANGERS {
                    self.strangers.insert(name.into(), now);
                }
                None
            }
            Landed::Unavailable | Landed::Grounded(_) => None,
        }
    }
}

/// A look-up, or what is known already.
pub(crate) enum Lookup {
    Known(Landed),
    Wait { flight: watch::Receiver<Option<Landed>>, patience: Duration, name: Box<str>, books: Arc<Mutex<Books>> },
}

impl Lookup {
    pub(crate) async fn landed(self) -> Landed {
        match self {
            Self::Known(landed) => landed,
            Self::Wait { mut flight, patience, name, books } => {
                let landed = within(patience, flight.wait_for(Option::is_some)).await;
                match landed.map(|landed| landed.ok().and_then(|landed| *landed)) {
                    Some(landed) => landed.unwrap_or(Landed::Unavailable),
                    // It would have said so itself by now: the runtime that carries it out stands still. The next who asks begins anew.
                    None => {
                        let mut books = books.lock().unwrap_or_else(PoisonError::into_inner);
                        if books.flights.get(&name).is_some_and(|under_way| under_way.same_channel(&flight)) {
                            books.flights.remove(&name);
                        }
                        Landed::Unavailable
                    }
                }
            }
        }
    }
}

/// One look-up. Whatever becomes of it, a panic included, it lands.
struct Flight<D: Directory> {
    directory: D,
    name: Box<str>,
    sender: watch::Sender<Option<Landed>>,
    receiver: watch::Receiver<Option<Landed>>,
    landed: Landed,
}

impl<D: Directory> Flight<D> {
    async fn fly(mut self) {
        let (patience, span) = (self.directory.lookups().settings.timeout, telemetry::lookup_span());
        let looked_up = timeout(patience, self.directory.ask(&self.name)).instrument(span.clone()).await;
        self.landed = match looked_up {
            Ok(Ok(Some(found))) => self.install(found),
            Ok(Ok(None)) => Landed::Stranger,
            Ok(Err(error)) => {
                tracing::warn!(name: "token.resolver.failed", %error, "an issuer or tenant could not be looked up");
                Landed::Unavailable
            }
            Err(_) => {
                tracing::warn!(name: "token.resolver.timeout", "an issuer or tenant was not looked up in time");
                Landed::Unavailable
            }
        };
        span.record("outcome", self.landed.name());
    }

    /// Under the lock that [`Lookups::forget`] takes: an answer from before the operator's word is not installed after it.
    fn install(&self, found: D::Found) -> Landed {
        let books = self.directory.lookups().books();
        if !self.is_awaited(&books) {
            return Landed::Unavailable;
        }
        self.directory.install(&self.name, found)
    }

    fn is_awaited(&self, books: &Books) -> bool {
        books.flights.get(&self.name).is_some_and(|flight| flight.same_channel(&self.receiver))
    }
}

impl<D: Directory> Drop for Flight<D> {
    fn drop(&mut self) {
        let lookups = self.directory.lookups();
        let mut books = lookups.books();
        // Forgotten meanwhile: what was installed has been taken out by whoever forgot it.
        if self.is_awaited(&books) {
            books.flights.remove(&self.name);
            if let Some(gone) = books.land(&self.name, self.landed, &lookups.settings, self.directory.now()) {
                self.directory.uninstall(&gone);
            }
        }
        drop(books);
        let _ = self.sender.send(Some(self.landed));
    }
}
