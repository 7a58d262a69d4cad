//! A key, a message and a signature in; whether they belong together out (RFC 7515 section 5.2 step 8). Only what lies
//! below this file calls cryptography, and no process-wide provider is ever read.

#[cfg(feature = "aws-lc-rs")]
pub(super) mod aws_lc;
#[cfg(feature = "rust-crypto")]
#[cfg_attr(all(feature = "aws-lc-rs", not(test)), allow(dead_code))]
pub(super) mod rust_crypto;

#[cfg(not(any(feature = "aws-lc-rs", feature = "rust-crypto")))]
compile_error!("token-core needs a crypto backend: turn on the feature `aws-lc-rs` or `rust-crypto`");

#[cfg(feature = "aws-lc-rs")]
use aws_lc as backend;
#[cfg(all(feature = "rust-crypto", not(feature = "aws-lc-rs")))]
use rust_crypto as backend;

pub(crate) use backend::{Signer, Verifier, digest_of, generate_pkcs8, random, sha256};
