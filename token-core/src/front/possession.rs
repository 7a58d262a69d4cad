//! Proof of possession: what binds a token to its sender (RFC 9449, RFC 8705, RFC 7638).
//!
//! A bearer token that leaks can be used by whoever finds it. A token that is bound to a key of its sender is good only with a proof, made
//! anew for each request. [`ResourceServerBuilder::dpop`](crate::ResourceServerBuilder::dpop) takes such tokens; without it they are refused.
//!
//! ```
//! use token_core::possession::Dpop;
//! use token_core::{Issuer, ResourceServer};
//!
//! # fn main() -> Result<(), token_core::ConfigError> {
//! let api = ResourceServer::builder("https://api.example.com")
//!     .trust(Issuer::discover("https://login.example.com/")?)
//!     .dpop(Dpop::at("https://api.example.com")?)      // where clients reach this server
//!     .build()?;
//! # Ok(()) }
//! ```

pub use crate::answer::challenge::DpopPolicy;
pub use crate::gate::possession::{Dpop, MutualTls};
pub use crate::jose::thumbprint::{NoThumbprint, Thumbprint, access_token_hash};
pub use crate::request::address::ExternalUrl;
pub use crate::request::forwarded::ForwardedField;
pub use crate::request::network::Network;
pub use crate::token::binding::Binding;
pub use crate::verify::possession::certificate::CertificateField;
pub use crate::verify::possession::nonce::NonceKeys;
