//! Access tokens for MCP servers written with [rmcp](https://docs.rs/rmcp).
//!
//! ```
//! use std::sync::Arc;
//!
//! use axum_token::{Issuer, Metadata, ResourceServer};
//! use mcp_token::{Caller, McpLayer};
//! use rmcp::handler::server::wrapper::Parameters;
//! use rmcp::model::{ServerCapabilities, ServerConfig};
//! use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
//! use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
//! use rmcp::{ServerHandler, tool, tool_handler, tool_router};
//! use tower_layer::Layer;
//!
//! struct Notes;
//!
//! #[tool_router]
//! impl Notes {
//!     #[tool(description = "Your notes")]
//!     async fn list(&self, Caller(token): Caller) -> String {
//!         format!("the notes of {}", token.subject().unwrap_or("a client"))
//!     }
//!
//!     #[tool(description = "Throws all of them away")]
//!     async fn clear(&self) -> String {
//!         "gone".to_owned()
//!     }
//! }
//!
//! #[tool_handler]
//! impl ServerHandler for Notes {
//!     fn get_info(&self) -> ServerConfig {
//!         ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let api = ResourceServer::resource("https://notes.example.com/mcp").trust(Issuer::discover("https://login.example.com")?).build()?;
//! let guard = McpLayer::builder(api.clone()).scope("notes:read").tool("list", "notes:read").tool("clear", "notes:write").build()?;
//! let config = StreamableHttpServerConfig::default().with_allowed_hosts(["notes.example.com"]);
//! let server = StreamableHttpService::new(|| Ok(Notes), Arc::new(LocalSessionManager::default()), config);
//! let app = axum::Router::new()
//!     .route_service("/mcp", guard.layer(server))
//!     .layer(Metadata::of([&api])?);          // who may vouch for callers: clients start here
//! # let _: axum::Router = app; Ok(()) }
//! ```
//!
//! # What happens to a request
//!
//! 1. Its token is verified by the [`ResourceServer`](token_core::ResourceServer): that of its issuer, for this server, good now. Without one the
//!    answer is 401, with the place of the metadata and, where [`McpLayerBuilder::scope`] names one, the scope to ask for.
//! 2. The token is taken out of the request. A tool gets the verified [`Caller`] and nothing that it could pass on; what it needs
//!    elsewhere it obtains on behalf of the caller, with `token-client`'s `Delegation`.
//! 3. `Mcp-Session-Id` is opened: identifiers that leave through the layer carry a tag over the session and who opened it (issuer,
//!    subject and client), so they are good for that caller, with whatever token, and 404 for everybody else. A token that names neither
//!    subject nor client gets no session.
//! 4. The body is read, up to [`McpLayerBuilder::max_body`], and looked at strictly: a member that is there twice, positional parameters
//!    or a call without a name are refused, since the server behind might read them in another way. Header fields that mirror the body
//!    (`Mcp-Method`, `Mcp-Name`) are not believed.
//! 5. The rule of each call is asked: of tools and prompts by their names, to the letter, of other methods by theirs. What a token lacks is
//!    answered with 403 and a challenge that names all that this request needs (RFC 6750 section 3.1). A batch passes whole or not at all.
//! 6. An answer that is a stream of events ends with the caller's token, and within half a minute of its revocation. The client comes back with a new one.
//!
//! # What is not checked
//!
//! `Origin` and `Host`: that is rmcp's `with_allowed_origins` and `with_allowed_hosts`. Arguments of a tool: a tool asks
//! [`Verified::require`](token_core::Verified::require) itself, but then it is too late for a 403. Whose a task or a resource URI is. CORS: put its
//! layer outside.
//!
//! # Features
//!
//! `actix-web`: the guarded server as a resource of actix-web, see [`actix`](https://docs.rs/mcp-token/latest/mcp_token/actix/).

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
