//! Issuers that are not known at start-up: looked up when the first token of theirs arrives.
//!
//! An [`IssuerResolver`] is asked for an issuer by its name; a [`TenantResolver`] is asked which tenant a request belongs to, before any token is looked at.
//! Look-ups are bounded in number, time and rate by [`ResolverSettings`], and what a look-up found is remembered, refusals too.

pub use crate::trust::resolver::{IssuerResolver, ResolverSettings, Unresolved};
pub use crate::trust::tenants::TenantResolver;
