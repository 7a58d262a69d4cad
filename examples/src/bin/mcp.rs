//! An MCP server that asks for tokens, beside a development issuer that hands them out to whoever consents.
//!
//! `cargo run --bin mcp`, then point any MCP client to the URL that it prints: it finds the issuer, registers itself and asks you.

#![allow(clippy::print_stdout, reason = "a program that says where it serves")]

use std::sync::Arc;

use axum_token::{Issuer, Metadata, ResourceServer};
use mcp_token::{Caller, McpLayer};
use rmcp::model::{ServerCapabilities, ServerConfig};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, tool, tool_handler, tool_router};
use token_test::TestIssuer;
use tokio::net::TcpListener;
use tower_layer::Layer;

struct Notes;

#[tool_router]
impl Notes {
    #[tool(description = "Your notes")]
    async fn list(&self, Caller(token): Caller) -> String {
        format!("the notes of {}", token.subject().unwrap_or("a client"))
    }

    #[tool(description = "Throws all of them away")]
    async fn clear(&self) -> String {
        "gone".to_owned()
    }
}

#[tool_handler]
impl ServerHandler for Notes {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(8000), |port| port.parse())?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let url = format!("http://{}/mcp", listener.local_addr()?);
    let issuer = TestIssuer::start().await; // in production: your issuer, at an https URL, which needs no permission
    let trusted = Issuer::discover(issuer.url())?.allow_loopback_http();

    let api = ResourceServer::resource(&url).trust(trusted).build()?;
    let guard = McpLayer::builder(api.clone())
        .scope("notes:read") // every request, and what a 401 tells the client to ask for
        .tool("list", "notes:read")
        .tool("clear", "notes:write") // a client without it gets a 403 and asks its user for more
        .build()?;
    let server = StreamableHttpService::new(
        || Ok(Notes),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    );
    let app = axum::Router::new().route_service("/mcp", guard.layer(server)).layer(Metadata::of([&api])?);
    println!("server  {url}\nissuer  {}", issuer.url());
    axum::serve(listener, app).await?;
    Ok(())
}
