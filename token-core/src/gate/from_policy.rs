//! A policy in, a builder or a server out; what the policy says is what the builder is told, and nothing else.

use std::collections::BTreeMap;

use crate::base::config_error::ConfigError;
use crate::gate::builder::ResourceServerBuilder;
use crate::gate::possession::{Dpop, MutualTls};
use crate::gate::server::ResourceServer;
use crate::gate::tickets::Tickets;
use crate::opaque::Kind;
use crate::policy::{
    CONTRADICTION, IssuerPolicy, NOBODY_KNOWS, Policy, PolicyError, RESOURCE_AND_AUDIENCE, SEVERAL_KEYS,
};
use crate::token::audience::Audience;
use crate::trust::issuer::Issuer;
use crate::trust::static_keys::StaticKeys;

impl Policy {
    /// The builder with all of this said to it, for what no text can say: a clock, an HTTP client.
    ///
    /// # Errors
    /// [`PolicyError`] when an issuer is no URL, names several sources of keys, or its keys cannot be read.
    pub fn builder(&self) -> Result<ResourceServerBuilder, PolicyError> {
        if self.resource.is_some() && (self.dangerously_unchecked_audience || !self.audience.is_empty()) {
            return Err(PolicyError::new(RESOURCE_AND_AUDIENCE));
        }
        let audience = match (self.dangerously_unchecked_audience, self.audience.as_slice()) {
            (true, []) => Audience::dangerously_unchecked(),
            (true, _) => {
                return Err(PolicyError::new(CONTRADICTION));
            }
            // Each issuer may name its own; the builder refuses the one that does not.
            (false, names) => Audience::any_of(names.iter().cloned()),
        };
        let builder = match &self.resource {
            Some(uri) => ResourceServer::resource(uri.clone()),
            None => ResourceServer::builder(audience),
        };
        let mut builder = builder.metadata(self.metadata.clone()).token_cache(self.token_cache.into());
        builder = builder
            .scope_challenge(self.scope_challenge)
            .log_refusals(self.log_refusals)
            .several_tokens(self.several_tokens);
        if self.record_caller {
            builder = builder.record_caller();
        }
        if let Some(rule) = &self.require {
            builder = builder.require(rule.clone());
        }
        if let Some(realm) = &self.realm {
            builder = builder.realm(realm.clone());
        }
        if let Some(url) = &self.resource_metadata {
            builder = builder.resource_metadata(url.clone());
        }
        if let Some(sources) = &self.token_locations {
            builder = builder.token_locations(sources.iter().cloned());
        }
        if let Some(encrypted) = &self.encrypted_tokens {
            builder = builder.encrypted_tokens_of(encrypted)?;
        }
        if let Some(bytes) = self.max_token_bytes {
            builder = builder.max_token_bytes(bytes);
        }
        if let Some(tickets) = &self.tickets {
            builder = builder.tickets(Tickets::of(tickets));
        }
        if let Some(proofs) = &self.dpop {
            builder = builder.dpop(Dpop::of(proofs)?);
        }
        if let Some(certificates) = &self.mutual_tls {
            builder = builder.mutual_tls(MutualTls::of(certificates)?);
        }
        for (scope, implied) in BTreeMap::from(self.implies.clone()) {
            builder = builder.implies(&scope, implied);
        }
        for issuer in &self.issuers {
            builder = builder.trust(issuer.issuer()?);
        }
        Ok(builder)
    }

    /// The server.
    ///
    /// # Errors
    /// As [`builder`](Self::builder) and [`ResourceServerBuilder::build`].
    pub fn server(&self) -> Result<ResourceServer, PolicyError> {
        if self.issuers.is_empty() {
            return Err(PolicyError::new("no issuer is trusted: issuers is empty"));
        }
        Ok(self.builder()?.build()?)
    }
}

impl IssuerPolicy {
    /// The issuer as the builder takes it.
    ///
    /// # Errors
    /// [`PolicyError`] as [`Policy::builder`].
    pub fn issuer(&self) -> Result<Issuer, PolicyError> {
        let refuse = |why: &dyn std::fmt::Display| PolicyError::new(format!("issuer {}: {why}", self.issuer));
        if self.key_sources() > 1 {
            return Err(refuse(&SEVERAL_KEYS));
        }
        if self.dangerously_unchecked_audience && !self.audience.is_empty() {
            return Err(refuse(&CONTRADICTION));
        }
        if self.keys_from_code {
            return Err(refuse(&"its keys were handed over in code, the policy does not hold them"));
        }
        let issuer = self.with_keys().map_err(|error| refuse(&error))?;
        let issuer = if self.tenants.is_empty() { issuer } else { issuer.tenants(self.tenants.iter().cloned())? };
        let issuer = match &self.introspection {
            Some(asked) if !self.without_keys => issuer.opaque_tokens(asked.tokens().map_err(|error| refuse(&error))?),
            _ => issuer,
        };
        let issuer = match &self.ca_file {
            Some(file) => issuer.ca_file(file),
            None => issuer,
        };
        let issuer = match &self.proxy {
            Some(url) => issuer.proxy(url)?,
            None => issuer,
        };
        let issuer = match &self.token_review {
            Some(_) if self.introspection.is_some() || self.api_keys.is_some() => {
                return Err(refuse(
                    &"token_review and introspection or api_keys contradict each other: one of them knows the tokens",
                ));
            }
            Some(review) if !self.without_keys => {
                issuer.opaque_tokens(review.tokens().map_err(|error| refuse(&error))?)
            }
            _ => issuer,
        };
        let issuer = match &self.bearer_token_file {
            Some(file) => issuer.bearer_token_file(file),
            None => issuer,
        };
        let issuer = match &self.metadata_url {
            Some(url) => issuer.metadata_url(url)?,
            None => issuer,
        };
        let issuer = match &self.reached_at {
            Some(origin) => issuer.reached_at(origin)?,
            None => issuer,
        };
        Ok(self.with_rules(issuer))
    }

    fn with_keys(&self) -> Result<Issuer, ConfigError> {
        let name = self.issuer.clone();
        if let Some(own) = &self.api_keys {
            if self.introspection.is_some() {
                return Err(ConfigError::new("api_keys are known here, and introspection is for tokens that are not"));
            }
            return Issuer::with_api_keys(name, own.prefix.clone(), Kind::StaticApiKeys(own.keys()?));
        }
        if self.without_keys {
            let tokens = match (&self.introspection, &self.token_review) {
                (Some(asked), _) => asked.tokens()?,
                (None, Some(review)) => review.tokens()?,
                (None, None) => return Err(ConfigError::new(NOBODY_KNOWS)),
            };
            return Issuer::without_keys(name, tokens);
        }
        match (&self.jwks_uri, &self.jwks_file, &self.secret) {
            (Some(uri), ..) if name.contains('{') => Issuer::template(name, uri.clone()),
            (Some(uri), ..) => Issuer::with_jwks_uri(name, uri.clone()),
            (_, Some(file), _) => {
                let keys = StaticKeys::published_jwk_set_file(file)?;
                if name.contains('{') { Issuer::template_with_keys(name, keys) } else { Issuer::with_keys(name, keys) }
            }
            (_, _, Some(secret)) => {
                let bytes = secret.kept().read()?;
                Issuer::with_keys(name, StaticKeys::secret(secret.algorithm, &bytes)?)
            }
            _ => Issuer::discover(name),
        }
    }

    fn with_rules(&self, mut issuer: Issuer) -> Issuer {
        issuer = issuer.leeway(self.leeway).jwks_settings(self.jwks.clone());
        if self.dangerously_unchecked_audience {
            issuer = issuer.audience(Audience::dangerously_unchecked());
        } else if !self.audience.is_empty() {
            issuer = issuer.audience(Audience::any_of(self.audience.iter().cloned()));
        }
        if let Some(algorithms) = self.algorithms {
            issuer = issuer.algorithms(algorithms.iter());
        }
        type Switch = fn(Issuer) -> Issuer;
        if !self.accept_id_tokens_for.is_empty() {
            issuer = issuer.accept_id_tokens(Audience::any_of(self.accept_id_tokens_for.iter().cloned()));
        }
        if let Some(lists) = &self.status_lists {
            issuer = issuer.status_lists(lists.clone());
        }
        issuer = issuer.mapping(self.mapping.clone());
        issuer = self.require_claims.iter().cloned().fold(issuer, Issuer::require_claim);
        let switches: [(bool, Switch); 12] = [
            (self.match_key_issuer, Issuer::match_key_issuer),
            (self.accept_padding, Issuer::accept_padding),
            (self.accept_nonce_in_access_tokens, Issuer::accept_nonce_in_access_tokens),
            (self.accept_numeric_subjects, Issuer::accept_numeric_subjects),
            (self.accept_several_keys_of_one_kid, Issuer::accept_several_keys_of_one_kid),
            (self.accept_keys_in_base64, Issuer::accept_keys_in_base64),
            (self.rfc9068, Issuer::rfc9068),
            (self.strict, Issuer::strict),
            (self.dangerously_accept_tokens_without_expiry, Issuer::dangerously_accept_tokens_without_expiry),
            (self.allow_loopback_http, Issuer::allow_loopback_http),
            (self.allow_private_addresses, Issuer::allow_private_addresses),
            (self.dangerously_allow_plain_http, Issuer::dangerously_allow_plain_http),
        ];
        switches.into_iter().filter(|(on, _)| *on).fold(issuer, |issuer, (_, switch)| switch(issuer))
    }
}
