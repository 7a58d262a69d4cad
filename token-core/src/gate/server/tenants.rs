//! A request in, the gate of its tenant out: one registry a tenant, all else shared.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, Weak};

use crate::answer::check::Check;
use crate::answer::error::{Error, ErrorKind};
use crate::base::http::BoxFuture;
use crate::base::sync::{ArcSwap, Mutex, MutexGuard};
use crate::base::time::Timestamp;
use crate::gate::server::{Inner, ResourceServer, grounded};
use crate::request::presented::{Presented, Source};
use crate::trust::issuer::Issuer;
use crate::trust::resolver::{self, Directory, Landed, Lookup, Lookups, ResolverSettings, Unresolved};
use crate::trust::tenants::TenantResolver;

/// A tenant that had to make room, by its name; its server lives while somebody holds it.
type Displaced = (Arc<str>, Weak<Inner>);

/// The tenants of a server.
#[derive(Clone)]
pub(crate) struct Tenants {
    resolver: Arc<dyn TenantResolver>,
    lookups: Arc<Lookups>,
    known: Arc<ArcSwap<HashMap<Arc<str>, ResourceServer>>>,
    /// Those that had to make room, for as long as somebody holds their server: an operator's word reaches them, too.
    displaced: Arc<Mutex<Vec<Displaced>>>,
}

impl Tenants {
    pub(crate) fn new(resolver: Arc<dyn TenantResolver>, settings: ResolverSettings) -> Self {
        Self { resolver, lookups: Arc::new(Lookups::new(settings)), known: Arc::default(), displaced: Arc::default() }
    }

    /// The tenant that was presented to. A bare token is presented to none.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownIssuer`], [`ErrorKind::Misconfigured`].
    pub(crate) fn name<'a>(&self, presented: Presented<'a>) -> Result<Cow<'a, str>, Error> {
        let Source::Request(request) = presented.0 else {
            let why = "a token without a request is for no tenant: ask tenant(name) for that tenant's server";
            return Err(Error::new(ErrorKind::Misconfigured, why));
        };
        self.resolver.tenant(request).ok_or_else(no_such_tenant)
    }

    pub(crate) fn known(&self, name: &str) -> Option<ResourceServer> {
        self.known.load().get(name).cloned()
    }

    /// Every server that may still be asked: those that are known, and those that had to make room and are held by somebody.
    pub(crate) fn all(&self) -> Vec<ResourceServer> {
        let displaced = self.displaced();
        let displaced = displaced.iter().filter_map(|(_, server)| Some(ResourceServer(server.upgrade()?)));
        self.known.load().values().cloned().chain(displaced).collect()
    }

    /// Held for a look, never across an await.
    fn displaced(&self) -> MutexGuard<'_, Vec<Displaced>> {
        self.displaced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to look a tenant up that is not known, or joins those who have.
    pub(crate) fn look_up(&self, front: &ResourceServer, name: &str, now: Timestamp) -> Lookup {
        self.lookups.begin(name, now, || Gates { front: front.clone(), tenants: self.clone() })
    }

    /// The tenant's server, now that the look-up has landed.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownIssuer`], [`ErrorKind::Unavailable`].
    pub(crate) fn landed(&self, name: &str, landed: Landed) -> Result<ResourceServer, Error> {
        match (landed, self.known(name)) {
            (Landed::Trusted, Some(server)) => Ok(server),
            (Landed::Stranger, _) => Err(no_such_tenant()),
            (Landed::Grounded(missing), _) => Err(grounded(missing)),
            // Forgotten, or out of room, since a moment.
            (Landed::Trusted | Landed::Unavailable, _) => Err(resolver::unavailable()),
        }
    }

    fn forget(&self, name: &str) -> bool {
        let (gone, held) = self.lookups.forget(name, || {
            let gone = self.known(name);
            self.take_out(name);
            // Requests under way hold the server, and so may the application; they are refused, too.
            let mut held = Vec::new();
            self.displaced().retain(|(tenant, server)| {
                let concerned = **tenant == *name;
                held.extend(server.upgrade().filter(|_| concerned).map(ResourceServer));
                !concerned
            });
            (gone, held)
        });
        let closed = gone.into_iter().chain(held).inspect(ResourceServer::close).count();
        closed > 0
    }

    fn take_out(&self, name: &str) {
        self.known.rcu(|known| {
            let mut fewer = HashMap::clone(known);
            fewer.remove(name);
            fewer
        });
    }
}

impl fmt::Debug for Tenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tenants").field(&self.resolver).finish()
    }
}

fn no_such_tenant() -> Error {
    Error::new(ErrorKind::UnknownIssuer, "the request is for no tenant that the resolver knows").at(Check::Credentials)
}

/// The resolver is asked, the answers become servers.
struct Gates {
    front: ResourceServer,
    tenants: Tenants,
}

impl Directory for Gates {
    type Found = Vec<Issuer>;

    fn lookups(&self) -> &Lookups {
        &self.tenants.lookups
    }

    fn now(&self) -> Timestamp {
        self.front.now()
    }

    fn ask<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Vec<Issuer>>, Unresolved>> {
        self.tenants.resolver.issuers(name)
    }

    fn install(&self, name: &str, issuers: Vec<Issuer>) -> Landed {
        let name = Arc::<str>::from(name);
        match self.front.for_tenant(&name, issuers) {
            Ok(server) => {
                self.tenants.known.rcu(|known| {
                    let mut more = HashMap::clone(known);
                    more.insert(Arc::clone(&name), server.clone());
                    more
                });
                Landed::Trusted
            }
            Err(error) => {
                tracing::error!(name: "token.resolver.unusable", %error, "the resolver answered with issuers that cannot be trusted");
                Landed::Unavailable
            }
        }
    }

    fn uninstall(&self, name: &str) {
        if let Some(server) = self.tenants.known(name) {
            let mut displaced = self.tenants.displaced();
            displaced.retain(|(_, server)| server.strong_count() > 0);
            displaced.push((name.into(), Arc::downgrade(&server.0)));
        }
        self.tenants.take_out(name);
    }
}

impl ResourceServer {
    /// The server of one tenant, for tokens that come without a request: from a message queue, say. It stands for the tenant as it
    /// is now; once the tenant is [forgotten](Self::forget_tenant) it refuses everything.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownIssuer`] when there is no such tenant, [`ErrorKind::Unavailable`] when that could not be found out,
    /// [`ErrorKind::Misconfigured`] without a [tenant resolver](crate::ResourceServerBuilder::tenants).
    pub async fn tenant(&self, name: &str) -> Result<Self, Error> {
        let server = self.current();
        let Some(tenants) = &server.0.tenants else {
            return Err(Error::new(
                ErrorKind::Misconfigured,
                "this server has no tenants: hand a resolver to tenants()",
            ));
        };
        if let Some(known) = tenants.known(name) {
            return Ok(known);
        }
        let landed = tenants.look_up(&server, name, server.now()).landed().await;
        tenants.landed(name, landed).map_err(|error| server.refusal(error))
    }

    /// Forgets what was looked up of a tenant: one that is gone, or new, or has changed. Its tokens, cached ones too, are refused by who
    /// knew it; the next request looks it up anew. Returns whether it was known. Other processes have to be told on their own.
    pub fn forget_tenant(&self, name: &str) -> bool {
        self.current().0.tenants.as_ref().is_some_and(|tenants| tenants.forget(name))
    }
}

#[cfg(test)]
mod tests;
