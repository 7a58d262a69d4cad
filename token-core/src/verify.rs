//! The checks of a JWT, in order (RFC 7519 section 7.2, RFC 8725).

mod answer;
pub(crate) mod jwt;
pub(crate) mod misfit;
pub(crate) mod possession;
mod requirement;
pub(crate) mod typed;
pub(crate) mod verified;
