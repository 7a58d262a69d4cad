#![doc = include_str!("../README.md")]

mod body;
mod future;
mod grpc;
mod layer;
mod metadata;
mod rejection;
mod scope;
mod service;
#[cfg(test)]
mod tests;
mod view;

use http::Extensions;
#[doc(no_inline)]
pub use token_core;
use token_core::Error;
#[doc(no_inline)]
pub use token_core::{ResourceServer, Rule, Verified, adapter::Outcome};

pub use body::ResponseBody;
pub use future::ResponseFuture;
pub use layer::TokenLayer;
pub use metadata::{Metadata, MetadataFuture, WithMetadata};
pub use rejection::rejection;
pub use scope::{Scope, ScopeFuture, ScopeLayer};
pub use service::Token;
pub use view::View;

/// What the [`TokenLayer`] around this request has written into its extensions.
///
/// # Errors
/// [`ErrorKind::Misconfigured`](token_core::ErrorKind::Misconfigured) when there is no such layer, which the log is told too.
pub fn outcome(extensions: &Extensions) -> Result<&Outcome, Error> {
    extensions.get().ok_or_else(|| {
        let error = Error::missing_layer("TokenLayer");
        error.log();
        error
    })
}
