//! What a refusal says: the error table, the checks in order, and the challenge (RFC 6750 section 3).

pub(crate) mod challenge;
pub(crate) mod check;
pub(crate) mod error;
pub(crate) mod implications;
pub(crate) mod maybe_ready;
pub(crate) mod refusals;
pub(crate) mod resource;
