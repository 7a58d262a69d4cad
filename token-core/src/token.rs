//! What a verified token is: its kind, audience, scopes, actor and claims.

pub(crate) mod actor;
pub(crate) mod audience;
pub(crate) mod authentication;
pub(crate) mod authorization_details;
pub(crate) mod binding;
pub(crate) mod kind;
pub(crate) mod mapping;
pub(crate) mod marks;
pub(crate) mod naming;
pub(crate) mod rule;
pub(crate) mod scopes;
