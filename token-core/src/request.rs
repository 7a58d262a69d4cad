//! From the fields of a request to the one token in it (RFC 6750 section 2).

pub(crate) mod address;
pub(crate) mod bearer;
pub(crate) mod choice;
pub(crate) mod forwarded;
pub(crate) mod grammar;
pub(crate) mod network;
pub(crate) mod presented;
#[cfg(test)]
pub(crate) mod sent;
pub(crate) mod source;
