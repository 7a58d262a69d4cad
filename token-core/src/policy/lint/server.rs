//! What a policy says of the server itself in, the traps in that out: where it is, how tokens are presented, what goes on behind it.

use std::time::Duration;

use super::{Findings, Severity};
use crate::answer::resource::Resource;
use crate::policy::encryption::EncryptedTokensPolicy;
use crate::policy::{
    METADATA_WITHOUT_RESOURCE, Metadata, Policy, RESOURCE_AND_AUDIENCE, RESOURCE_AND_METADATA, ReplayMemoryPolicy,
};
use crate::request::choice::SeveralTokens;

impl Policy {
    pub(super) fn lint_gate(&self, found: &mut Findings) {
        let upstream = &self.gate.upstream;
        if let Err((member, why)) = upstream.flaw() {
            found.error("gate-upstream", format!("gate.upstream.{member}"), why);
        }
        let Some(sign) = &upstream.sign else { return };
        if self.issuers.iter().any(|issuer| issuer.issuer == sign.issuer) {
            found.error(
                "signs-as-an-issuer",
                "gate.upstream.sign.issuer",
                "it is an issuer that is trusted here: a token of the gate's would be taken for one of that issuer. Take a name of the gate's own",
            );
        }
        if sign.audience.iter().any(|name| self.audience.contains(name) || self.resource.as_ref() == Some(name)) {
            found.warn(
                "signs-for-itself",
                "gate.upstream.sign.audience",
                "it is the audience of tokens from outside: whoever trusts both issuers cannot tell a call through the gate from one past it",
            );
        }
    }

    pub(super) fn lint_resource(&self, found: &mut Findings) {
        match &self.resource {
            None if self.metadata != Metadata::default() => {
                found.error("contradiction", "metadata", METADATA_WITHOUT_RESOURCE);
            }
            None => {}
            Some(_) if !self.audience.is_empty() || self.dangerously_unchecked_audience => {
                found.error("contradiction", "resource", RESOURCE_AND_AUDIENCE);
            }
            Some(_) if self.resource_metadata.is_some() => {
                found.error("contradiction", "resource_metadata", RESOURCE_AND_METADATA);
            }
            Some(uri) => {
                if let Err(error) = Resource::parse(uri) {
                    found.error("resource", "resource", error.to_string());
                }
                if let Err(error) = self.metadata.check() {
                    found.error("metadata", "metadata", error.to_string());
                }
                for named in self.metadata.authorization_servers.iter().flatten() {
                    if self.issuer(named).is_none() {
                        let why = format!(
                            "{named} is none of the issuers: its tokens are refused unless it issues them in the name of one"
                        );
                        found.warn("stranger-named", "metadata.authorization_servers", why);
                    }
                }
            }
        }
    }

    pub(super) fn lint_tokens(&self, found: &mut Findings) {
        if self.max_token_bytes.is_some_and(|bytes| bytes < 2048) {
            found.warn(
                "small-tokens",
                "max_token_bytes",
                "access tokens of 1 to 4 KiB are common and would be refused",
            );
        }
        if self.several_tokens == SeveralTokens::FirstLocation
            && self.token_locations.as_ref().is_none_or(|places| places.len() < 2)
        {
            found.warn(
                "one-location",
                "several_tokens",
                "tokens are looked for in one place, so there is no first one: name several in token_locations, or remove this",
            );
        }
        for (path, rule, why, error) in self.encrypted_tokens.iter().flat_map(EncryptedTokensPolicy::findings) {
            found.add(if error { Severity::Error } else { Severity::Warning }, rule, path, why);
        }
        self.lint_possession(found);
        if self.token_cache.entries != Some(0) && self.token_cache.life > Duration::from_secs(3600) {
            found.warn(
                "long-cache",
                "token_cache.life",
                "a verified token is not parsed again for more than an hour; nothing is gained after some minutes",
            );
        }
    }

    fn lint_possession(&self, found: &mut Findings) {
        const EVERYBODY: &str =
            "everybody is in this network, so that a client can write the field itself: name the proxies";
        if self.mutual_tls.as_ref().is_some_and(|tls| tls.proxies.iter().any(|proxy| proxy.is_everybody())) {
            found.error("every-proxy", "mutual_tls.proxies", EVERYBODY);
        }
        let Some(dpop) = &self.dpop else { return };
        match &dpop.forwarded {
            None if dpop.external_url.is_none() => found.warn(
                "requested-host",
                "dpop.external_url",
                "proofs are compared with the host that the request names: another server that takes the same tokens can have its proofs used here",
            ),
            Some(forwarded) if forwarded.proxies.iter().any(|proxy| proxy.is_everybody()) => {
                found.error("every-proxy", "dpop.forwarded.proxies", EVERYBODY);
            }
            _ => {}
        }
        if dpop.nonce_secrets.iter().any(|secret| secret.value.is_some()) {
            found.warn(
                "secret-in-policy",
                "dpop.nonce_secrets",
                "whoever can read the policy can make nonces: name a file or an environment variable instead",
            );
        }
        if dpop.replay_memory == ReplayMemoryPolicy::Shared && dpop.require_nonces && dpop.nonce_secrets.is_empty() {
            found.warn(
                "own-nonces",
                "dpop.require_nonces",
                "there are several instances, and each refuses the nonces of the others: give them nonce_secrets",
            );
        }
        if let Some(at) = dpop.nonce_secrets.iter().position(|secret| !secret.is_in_one_place()) {
            found.error(
                "secret-place",
                format!("dpop.nonce_secrets[{at}]"),
                "expected exactly one of env, file and value",
            );
        }
    }
}
