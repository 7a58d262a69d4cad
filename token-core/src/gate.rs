//! The gate: credentials go in once, a verified token or an error comes out once.

pub(crate) mod builder;
pub(crate) mod explain;
mod from_policy;
pub(crate) mod id_token;
pub(crate) mod logout;
pub(crate) mod outcome;
pub(crate) mod possession;
pub mod reload;
pub mod security_events;
pub(crate) mod server;
pub(crate) mod stream;
pub(crate) mod tickets;
pub(crate) mod token_cache;
pub(crate) mod verdicts;
