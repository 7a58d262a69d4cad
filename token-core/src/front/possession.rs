//! Proof of possession: what binds a token to its sender (RFC 9449, RFC 7638).

pub use crate::jose::thumbprint::{NoThumbprint, Thumbprint, access_token_hash};
