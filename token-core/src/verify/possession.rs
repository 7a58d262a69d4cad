//! Whether the sender of a request holds the key or the certificate that its token is bound to: pure decisions (RFC 9449, RFC 8705).

pub(crate) mod certificate;
pub(crate) mod keys;
mod members;
pub(crate) mod nonce;
pub(crate) mod proof;
