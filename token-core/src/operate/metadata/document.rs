//! A server and the issuers that it trusts now in, the text of its metadata document out (RFC 9728 sections 2 and 2.2).

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::answer::challenge::DpopPolicy;
use crate::base::time::Timestamp;
use crate::gate::server::ResourceServer;
use crate::jose::signing::SigningKey;
use crate::policy::is_authorization_server;
use crate::token::naming::Naming;
use crate::trust::registry::Registry;
use crate::trust::trusted::TrustedIssuer;

use super::SIGNED_ANEW;

/// The members of a document, in the order in which they are written.
#[derive(Default)]
struct Members(Vec<(String, Value)>);

impl Members {
    fn add(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.0.push((name.into(), value.into()));
    }

    /// Members without elements are left out (RFC 9728 section 3.2).
    fn add_list(&mut self, name: &str, list: Vec<String>) {
        if !list.is_empty() {
            self.add(name, list);
        }
    }

    fn text(&self) -> String {
        serde_json::to_string(self).expect("names, texts, numbers and lists of them")
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

pub(super) fn write(server: &ResourceServer, registry: &Registry, now: Timestamp) -> String {
    let (policy, mut members) = (&server.0.policy, Members::default());
    let metadata = &policy.metadata;
    if let Some(resource) = &server.0.protection.resource {
        members.add("resource", resource.uri());
    }
    members.add_list("authorization_servers", authorization_servers(server, registry));
    members.add_list("scopes_supported", metadata.scopes_supported.clone());
    members.add_list("authorization_details_types_supported", metadata.authorization_details_types_supported.clone());
    // Of all members this one may be empty: no bearer method of RFC 6750 is known here.
    members.add("bearer_methods_supported", bearer_methods(server));
    if let Some(offer) = server.0.protection.dpop.as_ref().filter(|offer| offer.policy != DpopPolicy::Bearer) {
        members.add_list("dpop_signing_alg_values_supported", offer.algs.split(' ').map(str::to_owned).collect());
        if offer.policy == DpopPolicy::Required {
            members.add("dpop_bound_access_tokens_required", true);
        }
    }
    if server.0.possession.as_ref().is_some_and(|possession| possession.certificates.is_some()) {
        members.add("tls_client_certificate_bound_access_tokens", true);
    }
    if let Some(uri) = &metadata.jwks_uri {
        members.add("jwks_uri", uri.as_str());
    }
    for (member, text) in [
        ("resource_name", &metadata.resource_name),
        ("resource_documentation", &metadata.resource_documentation),
        ("resource_policy_uri", &metadata.resource_policy_uri),
        ("resource_tos_uri", &metadata.resource_tos_uri),
    ] {
        text.members(member).for_each(|(member, text)| members.add(member, text));
    }
    if let Some(key) = &server.0.metadata_key
        && let Some(signed) = sign(server, &members, key, now)
    {
        members.add("signed_metadata", signed);
    }
    members.text()
}

/// Those whom the operator names; else the trusted issuers, in the order of the policy, then those that were added since.
fn authorization_servers(server: &ResourceServer, registry: &Registry) -> Vec<String> {
    let policy = &server.0.policy;
    if let Some(named) = &policy.metadata.authorization_servers {
        return named.clone();
    }
    let mut trusted: Vec<&TrustedIssuer> = registry.iter().map(|issuer| &**issuer).collect();
    let place = |issuer: &TrustedIssuer| policy.issuers.iter().position(|known| known.issuer == *issuer.identifier);
    // Who came by a look-up is somebody's tenant, which is nobody else's business.
    // Nobody can ask for an API key there.
    trusted.retain(|issuer| !issuer.opaque.as_ref().is_some_and(|opaque| opaque.are_own_keys));
    trusted.retain(|issuer| server.0.resolving.is_none() || place(issuer).is_some());
    trusted.sort_by_key(|issuer| (place(issuer).unwrap_or(usize::MAX), issuer.identifier.clone()));
    let mut names = Vec::new();
    for issuer in trusted {
        let own = match &issuer.naming {
            Naming::Exact => vec![issuer.identifier.to_string()],
            Naming::Template(template) => template.issuers(),
            Naming::Nameless | Naming::TrustDomain => Vec::new(),
        };
        for name in own {
            if is_authorization_server(&name) && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

fn bearer_methods(server: &ResourceServer) -> Vec<&'static str> {
    let Some(sources) = &server.0.sources else { return vec!["header"] };
    let mut methods = Vec::new();
    for method in sources.places().iter().filter_map(crate::request::source::TokenLocation::bearer_method) {
        if !methods.contains(&method) {
            methods.push(method);
        }
    }
    methods
}

/// The members once more as claims, with `iss` for the party that vouches for them: the resource itself.
fn sign(server: &ResourceServer, members: &Members, key: &SigningKey, now: Timestamp) -> Option<String> {
    let mut header = Members::default();
    header.add("alg", key.algorithm().name());
    if let Some(kid) = key.kid() {
        header.add("kid", kid);
    }
    let mut claims = Members(members.0.clone());
    let resource = server.0.protection.resource.as_ref()?;
    // As long as the document may lie in a cache, and some more.
    let life = SIGNED_ANEW * 2 + server.0.policy.metadata.cache_for;
    claims.add("iss", resource.uri());
    claims.add("iat", now.as_secs());
    claims.add("exp", now.saturating_add(life).as_secs());
    let signed = key.sign_jwt(&header.text(), &claims.text());
    if let Err(error) = &signed {
        tracing::error!(name: "token.metadata.unsigned", %error, "the metadata document goes out without its signature");
    }
    signed.ok()
}
