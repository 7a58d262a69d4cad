//! The settings of a builder in; a resource server, or the reason why no safe one can be built from them, out.

use std::sync::Arc;

use super::ResourceServerBuilder;
use crate::answer::refusals::RefusalLog;
use crate::answer::resource::Resource;
use crate::base::config_error::ConfigError;
use crate::base::sync::ArcSwap;
use crate::gate::possession::Possession;
use crate::gate::server::{Inner, ResourceServer};
use crate::gate::token_cache::TokenCache;
use crate::policy::{METADATA_WITHOUT_RESOURCE, Metadata, RESOURCE_AND_METADATA};
use crate::request::choice::Agreed;
use crate::request::source::TokenLocation;
use crate::trust::compiler::{Clients, Compiler};
use crate::trust::registry::Registry;

impl ResourceServerBuilder {
    /// Builds the server. Inside a tokio runtime it starts to fetch keys at once, in the background; elsewhere with the first request.
    ///
    /// It does not wait for keys: an issuer that is down does not stop your program from starting. Until its keys are there its tokens are answered with 503. To wait
    /// for keys, use [`ResourceServer::ready`]; to report on them, [`ResourceServer::health`].
    ///
    /// # Errors
    /// [`ConfigError`] when settings are missing or contradict each other: no issuer, no audience, an issuer named twice, a resource that is not a URL, an algorithm that does
    /// not fit the kind of keys, a leeway over 5 min, an address with plain http that was not allowed. Its text says which setting, and how to mend it.
    pub fn build(self) -> Result<ResourceServer, ConfigError> {
        let server = self.check()?;
        // Only once nothing can go wrong any more: a refused configuration must not have talked to anybody.
        server.0.registry.load().iter().for_each(|issuer| issuer.keys.start());
        Ok(server)
    }

    /// The server as [`build`](Self::build) makes it, but for the keys: nothing is fetched yet.
    pub(crate) fn check(self) -> Result<ResourceServer, ConfigError> {
        self.check_for_contradictions()?;
        let policy = Arc::new(self.policy());
        let mut protection = self.protection;
        protection.refusals = (self.log_refusals > 0).then(|| Arc::new(RefusalLog::new(self.log_refusals)));
        match &self.resource {
            Some(_) if protection.resource_metadata.is_some() => return Err(ConfigError::new(RESOURCE_AND_METADATA)),
            Some(uri) => {
                self.metadata.check()?;
                protection.own_scopes.clone_from(&self.metadata.scopes_supported);
                let resource = Resource::parse(uri)?;
                protection.resource_metadata = Some(resource.metadata_url().to_owned());
                protection.resource = Some(resource);
            }
            None if self.metadata != Metadata::default() || self.metadata_key.is_some() => {
                return Err(ConfigError::new(METADATA_WITHOUT_RESOURCE));
            }
            None => {}
        }
        let former = self.inherited.as_ref();
        let possession = match (&self.dpop, &self.certificates) {
            (None, None) => None,
            (dpop, certificates) => {
                let former = former.and_then(|former| former.0.possession.as_deref());
                let made = Possession::new(dpop.as_ref(), certificates.as_ref(), &self.clock, former)?;
                Some(Arc::new(made))
            }
        };
        let sold = former.and_then(|former| former.0.tickets.as_deref());
        let tickets = self.tickets.map(|tickets| tickets.check(sold)).transpose()?.map(Arc::new);
        protection.dpop = possession.as_ref().and_then(|possession| possession.offer());
        let protection = Arc::new(protection);
        let compiler = Compiler {
            audience: self.audience,
            purpose: self.purpose,
            clock: self.clock,
            protection: Arc::clone(&protection),
            clients: Clients::default(),
            home: Arc::default(),
            limits: self.limits,
            proofs: possession.is_some(),
        };
        let home = Arc::clone(&compiler.home);
        let mut registry = Registry::default();
        for issuer in self.issuers {
            registry.add(Arc::new(compiler.compile(issuer)?))?;
        }
        let server = ResourceServer::new(Inner {
            registry: ArcSwap::from_pointee(registry),
            clock: Arc::clone(&compiler.clock),
            compiler: Arc::new(compiler),
            protection,
            resolving: self.resolving,
            tenants: self.tenants,
            tenant: None,
            sources: self.sources.map(|places| Arc::new(Agreed::new(places, self.several))),
            encrypted: self.encrypted.map(|(keys, _)| Arc::new(keys)),
            max_token: self.max_token,
            keep_tokens: !self.cache.are_digests(),
            cache: TokenCache::new(self.cache).map(Arc::new),
            policy,
            metadata_key: self.metadata_key,
            require: self.require.map(Arc::new),
            home,
            explain: self.explain,
            follows: None,
            looks_further: possession.is_some() || tickets.is_some(),
            tickets,
            possession,
            deny_list: self.deny_list,
            when_unreachable: self.when_unreachable,
        });
        server.attach();
        Ok(server)
    }

    /// Refuses settings that are missing or contradict each other, as far as they show it by themselves.
    fn check_for_contradictions(&self) -> Result<(), ConfigError> {
        if self.tenants.is_some() && (!self.issuers.is_empty() || self.resolving.is_some()) {
            return Err(ConfigError::new("issuers are trusted beside tenants: have the tenants' resolver return them"));
        }
        if self.tickets.is_some() && self.tenants.is_some() {
            return Err(ConfigError::new("tickets beside tenants: which tenant a ticket is for is not kept"));
        }
        if self.issuers.is_empty() && self.resolving.is_none() && self.tenants.is_none() {
            return Err(ConfigError::new("no issuer is trusted: call trust(Issuer::discover(..)?)"));
        }
        match self.sources.as_deref() {
            Some([]) => return Err(ConfigError::new("no token source is named, so no token could be found")),
            sources => {
                if let Some(flaw) = sources.into_iter().flatten().find_map(TokenLocation::flaw) {
                    return Err(ConfigError::new(format!("token source: {flaw}")));
                }
            }
        }
        if let Some(flaw) = self.encrypted.as_ref().and_then(|(keys, _)| keys.flaw()) {
            return Err(ConfigError::new(format!("encrypted tokens: {flaw}")));
        }
        Ok(())
    }
}
