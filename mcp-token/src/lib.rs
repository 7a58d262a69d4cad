#![doc = include_str!("../README.md")]

#[cfg(feature = "actix-web")]
pub mod actix;
mod body;
mod caller;
mod layer;
mod look;
mod rules;
mod seal;
mod service;

pub use body::McpBody;
pub use caller::{Caller, caller};
pub use layer::{McpLayer, McpLayerBuilder};
pub use service::Mcp;
pub use service::future::McpFuture;
