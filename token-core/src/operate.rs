//! For those who run it: health, why a token was refused, and OpenAPI documents.

pub(crate) mod explain;
pub(crate) mod health;
pub mod metadata;
#[cfg(feature = "openapi")]
pub mod openapi;
