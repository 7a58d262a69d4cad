//! A token of an issuer that is not known yet in, an issuer in the registry or a stranger out: the look-up, with what it returns put in its place.

use std::fmt;
use std::sync::Arc;

use crate::base::http::BoxFuture;
use crate::base::time::Timestamp;
use crate::gate::server::ResourceServer;
use crate::token::naming::Naming;
use crate::trust::issuer::Issuer;
use crate::trust::resolver::{Directory, IssuerResolver, Landed, Lookup, Lookups, ResolverSettings, Unresolved};

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

    /// An operator has spoken about this name: what is remembered of it does not count, and in the same step `take_out` takes it out.
    pub(crate) fn forget<R>(&self, issuer: &str, take_out: impl FnOnce() -> R) -> R {
        self.lookups.forget(issuer, take_out)
    }
}

impl fmt::Debug for Resolving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Resolving").field(&self.resolver).finish()
    }
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
