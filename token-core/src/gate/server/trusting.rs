//! Issuers that come and go while requests are served: by the operator's word, or looked up with their first token.

use std::sync::Arc;

use super::{Inner, ResourceServer, Step, no_such_issuer, unresolved};
use crate::answer::error::Error;
use crate::answer::maybe_ready::MaybeReady;
use crate::base::config_error::ConfigError;
use crate::base::sync::ArcSwap;
use crate::base::sync::atomic::Ordering;
use crate::base::time::Timestamp;
use crate::gate::server::tenants::Tenants;
use crate::policy::{IssuerPolicy, Policy};
use crate::request::bearer::Candidate;
use crate::request::presented::Presented;
use crate::trust::issuer::Issuer;
use crate::trust::registry::Registry;
use crate::trust::resolver::{Landed, Lookup};
use crate::trust::trusted::TrustedIssuer;
use crate::verify::verified::Verified;

impl ResourceServer {
    /// Trusts one more issuer from now on; its keys are fetched in the background, or with its first token. Requests under way
    /// go on with the registry they began with. Where a policy file is [followed](crate::reload::Reload), the next policy that comes into force
    /// decides anew: change the file, too.
    ///
    /// # Errors
    /// As [`ResourceServerBuilder::build`](crate::ResourceServerBuilder::build), for this issuer.
    pub fn trust(&self, issuer: Issuer) -> Result<(), ConfigError> {
        if self.current().0.tenants.is_some() {
            return Err(ConfigError::new(
                "the issuers of this server come from its tenants' resolver: see forget_tenant()",
            ));
        }
        let identifier = issuer.identifier.clone();
        self.add(issuer)?;
        if let Some(resolving) = &self.current().0.resolving {
            resolving.forget(&identifier, || ());
        }
        Ok(())
    }

    pub(crate) fn add(&self, issuer: Issuer) -> Result<(), ConfigError> {
        let issuer = self.current().0.compile(issuer)?;
        let mut outcome = Ok(());
        self.current().0.registry.rcu(|registry| {
            let mut changed = Registry::clone(registry);
            outcome = changed.add(Arc::clone(&issuer));
            changed
        });
        outcome.map(|()| issuer.keys.start())
    }

    /// Trusts an issuer no more: its tokens are refused from now on, those in the cache too. `identifier` is what it was trusted
    /// under. Returns whether it was there. One that a [resolver](crate::tenants::IssuerResolver) knows is looked up again with its next token.
    /// Where a policy file is [followed](crate::reload::Reload) and still names the issuer, the next policy that comes into force trusts it again: change the file, too.
    pub fn distrust(&self, identifier: &str) -> bool {
        let server = self.current();
        let tenants = server.0.tenants.iter().flat_map(Tenants::all);
        let among_tenants = tenants.filter(|tenant| tenant.remove(identifier)).count();
        let take_out = || server.remove(identifier);
        let was_there = match &server.0.resolving {
            Some(resolving) => resolving.forget(identifier, take_out),
            None => take_out(),
        };
        was_there || among_tenants > 0
    }

    /// The server of one tenant: a registry of its own, all else shared.
    pub(crate) fn for_tenant(&self, tenant: &Arc<str>, issuers: Vec<Issuer>) -> Result<Self, ConfigError> {
        let front = &self.0;
        if issuers.is_empty() {
            return Err(ConfigError::new("a tenant without issuers: expected one, or None for no such tenant"));
        }
        let policy = Policy { issuers: issuers.iter().map(IssuerPolicy::of).collect(), ..Policy::clone(&front.policy) };
        let server = Self::new(Inner {
            registry: ArcSwap::default(),
            compiler: Arc::clone(&front.compiler),
            clock: Arc::clone(&front.clock),
            protection: Arc::clone(&front.protection),
            sources: front.sources.clone(),
            encrypted: front.encrypted.clone(),
            max_token: front.max_token,
            keep_tokens: front.keep_tokens,
            cache: front.cache.clone(),
            policy: Arc::new(policy),
            require: front.require.clone(),
            home: Arc::default(),
            metadata_key: front.metadata_key.clone(),
            explain: front.explain,
            follows: None,
            resolving: None,
            tenants: None,
            tenant: Some(Arc::clone(tenant)),
            tickets: front.tickets.clone(),
            looks_further: front.looks_further,
            possession: front.possession.clone(),
            deny_list: front.deny_list.clone(),
            when_unreachable: front.when_unreachable,
        });
        let mut registry = Registry::default();
        for issuer in issuers {
            registry.add(server.0.compile(issuer)?)?;
        }
        registry.iter().for_each(|issuer| issuer.keys.start());
        server.0.registry.store(Arc::new(registry));
        Ok(server)
    }

    /// Trusts nobody any more, from now on.
    pub(crate) fn close(&self) {
        let registry = self.0.registry.swap(Arc::default());
        registry.iter().for_each(|issuer| issuer.removed.store(true, Ordering::Relaxed));
        if let Some(cache) = &self.0.cache {
            cache.evict(|facts| facts.issuer.is_removed());
        }
    }

    /// The road of a token whose tenant the request names.
    pub(super) fn judge_for_tenant(
        &self,
        tenants: &Tenants,
        presented: Presented<'_>,
        candidate: Candidate<'_>,
    ) -> MaybeReady<Verified> {
        let name = match tenants.name(presented) {
            Ok(name) => name,
            Err(error) => return MaybeReady::ready(Err(self.refusal(error))),
        };
        if let Some(server) = tenants.known(&name) {
            return server.judge_candidate(candidate);
        }
        // A look-up is for requests with something like a token.
        let token = match candidate.token() {
            Ok(token) => token,
            Err(error) => return MaybeReady::ready(Err(self.refusal(error))),
        };
        match tenants.look_up(self, &name, self.0.clock.now()) {
            Lookup::Known(landed) if !matches!(landed, Landed::Grounded(_)) => match tenants.landed(&name, landed) {
                Ok(server) => server.judge_candidate(Candidate::Checked(token)),
                Err(error) => MaybeReady::ready(Err(self.refusal(error))),
            },
            lookup => {
                let (front, tenants, token) = (self.clone(), tenants.clone(), Box::<str>::from(token));
                let name = Box::<str>::from(&*name);
                MaybeReady::waiting(async move {
                    let lookup = match lookup {
                        // Nobody was there to carry it out; there may be now.
                        Lookup::Known(_) => tenants.look_up(&front, &name, front.now()),
                        under_way => under_way,
                    };
                    match tenants.landed(&name, lookup.landed().await) {
                        Ok(server) => server.judge_candidate(Candidate::Checked(&token)).await,
                        Err(error) => Err(front.refusal(error)),
                    }
                })
            }
        }
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

impl Inner {
    fn compile(&self, issuer: Issuer) -> Result<Arc<TrustedIssuer>, ConfigError> {
        let mut issuer = self.compiler.compile(issuer)?;
        issuer.tenant.clone_from(&self.tenant);
        issuer.home = Arc::clone(&self.home);
        Ok(Arc::new(issuer))
    }
}
