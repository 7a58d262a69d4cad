//! Who is trusted, and by which rules: issuers, the registry, and look-ups of both.

pub(crate) mod claim_rule;
pub(crate) mod compiler;
pub(crate) mod home;
pub(crate) mod issuer;
pub(crate) mod registry;
pub(crate) mod resolver;
mod routes;
pub(crate) mod static_keys;
pub(crate) mod tenants;
pub(crate) mod trusted;
