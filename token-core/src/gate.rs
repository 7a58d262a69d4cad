//! The gate: credentials go in once, a verified token or an error comes out once.

pub(crate) mod builder;
pub(crate) mod id_token;
pub(crate) mod logout;
pub(crate) mod maybe_ready;
pub(crate) mod outcome;
pub(crate) mod server;
pub(crate) mod token_cache;
