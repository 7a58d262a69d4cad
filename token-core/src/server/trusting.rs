//! Issuers that come and go while requests are served: by the operator's word, or looked up with their first token.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{ResourceServer, Step, no_such_issuer, unresolved};
use crate::config_error::ConfigError;
use crate::issuer::Issuer;
use crate::registry::Registry;
use crate::resolver::{Landed, Lookup, Resolving};
use crate::verified::Verified;
use crate::{Error, Timestamp};

impl ResourceServer {
    /// Trusts one more issuer from now on; its keys are fetched in the background, or with its first token. Requests under way
    /// go on with the registry they began with.
    ///
    /// # Errors
    /// As [`ResourceServerBuilder::build`](crate::ResourceServerBuilder::build), for this issuer.
    pub fn trust(&self, issuer: Issuer) -> Result<(), ConfigError> {
        let identifier = issuer.identifier.clone();
        self.add(issuer)?;
        if let Some(resolving) = self.resolving() {
            resolving.forget(&identifier);
        }
        Ok(())
    }

    pub(crate) fn add(&self, issuer: Issuer) -> Result<(), ConfigError> {
        let issuer = Arc::new(self.current().0.compiler.compile(issuer)?);
        let mut outcome = Ok(());
        self.current().0.registry.rcu(|registry| {
            let mut changed = Registry::clone(registry);
            outcome = changed.add(Arc::clone(&issuer));
            changed
        });
        outcome.map(|()| issuer.keys.start())
    }

    /// Trusts an issuer no more: its tokens are refused from now on, those in the cache too. `identifier` is what it was trusted
    /// under. Returns whether it was there. One that a [resolver](crate::IssuerResolver) knows is looked up again with its next token.
    pub fn distrust(&self, identifier: &str) -> bool {
        if let Some(resolving) = self.resolving() {
            resolving.forget(identifier);
        }
        self.remove(identifier)
    }

    pub(crate) fn resolving(&self) -> Option<&Resolving> {
        self.0.resolving.as_ref()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn remove(&self, identifier: &str) -> bool {
        let mut gone = Vec::new();
        self.current().0.registry.rcu(|registry| {
            let mut changed = Registry::clone(registry);
            gone = changed.remove(identifier);
            changed
        });
        // Cached verdicts ask their entry on each use; the memory they take is given back at once.
        gone.iter().for_each(|issuer| issuer.removed.store(true, Ordering::Relaxed));
        if let Some(cache) = self.current().0.cache.as_ref().filter(|_| !gone.is_empty()) {
            cache.evict(|facts| facts.issuer.is_removed());
        }
        !gone.is_empty()
    }

    pub(super) fn look_up(&self, issuer: &str, now: Timestamp) -> Lookup {
        self.0
            .resolving
            .as_ref()
            .map_or(Lookup::Known(Landed::Stranger), |resolving| resolving.begin(self, issuer, now))
    }

    /// The look at a token whose issuer has been looked up.
    pub(super) async fn resolved(&self, landed: Landed, token: &str) -> Result<Verified, Error> {
        if landed != Landed::Trusted {
            return Err(self.refusal(unresolved(landed)));
        }
        let now = self.0.clock.now();
        match self.0.look_again(token, now) {
            Ok(verified) => self.admit(verified, now).await,
            Err(Step::Refused(error)) => Err(self.refusal(error)),
            Err(Step::Wait(fetch, _, issuer)) => self.after(fetch, &issuer, token).await,
            Err(Step::Ask(issuer, jwt)) => self.ask(&issuer, token, jwt).await,
            Err(Step::Resolve(_)) => Err(self.refusal(no_such_issuer())),
        }
    }
}
