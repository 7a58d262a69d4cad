//! A small guarded server with tools, behind axum or actix-web, on a port of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mcp_token::{Caller, McpLayer};
use rmcp::model::{Extensions, ServerCapabilities, ServerConfig};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, tool, tool_handler, tool_router};
use token_core::{Issuer, ResourceServer};
use token_test::TestIssuer;
use tower_layer::Layer;

pub(crate) const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Framework {
    Axum,
    Actix,
}

impl Framework {
    pub(crate) const ALL: [Self; 2] = [Self::Axum, Self::Actix];

    #[allow(dead_code, reason = "where nothing is reported")]
    /// As the report calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Axum => "axum",
            Self::Actix => "actix-web",
        }
    }
}

#[derive(Clone)]
struct Notes {
    calls: Arc<AtomicUsize>,
}

#[tool_router]
impl Notes {
    #[tool(description = "Who is calling")]
    async fn whoami(&self, Caller(token): Caller, extensions: Extensions) -> String {
        let parts = extensions.get::<http::request::Parts>().unwrap();
        let secret = token.token().unwrap();
        let seen = parts.headers.values().any(|value| value.to_str().is_ok_and(|value| value.contains(secret)));
        let seen = if seen { "a token in sight" } else { "no token in sight" };
        format!("{}, {seen}", token.subject().unwrap_or_default())
    }

    #[tool(description = "Throws all notes away")]
    async fn clear(&self) -> String {
        self.calls.fetch_add(1, Ordering::Relaxed);
        "gone".to_owned()
    }

    #[tool(description = "For nobody")]
    async fn secret(&self) -> String {
        self.calls.fetch_add(1, Ordering::Relaxed);
        "told".to_owned()
    }
}

#[tool_handler]
impl ServerHandler for Notes {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }
}

/// The server, for as long as this value lives.
pub(crate) struct Served {
    pub(crate) url: String,
    /// Another resource of the same issuer.
    pub(crate) other: String,
    calls: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Served {
    pub(crate) async fn start(framework: Framework, issuer: &TestIssuer) -> Self {
        Self::behind(framework, |_| issuer.url().to_owned()).await
    }

    /// For tokens of the issuer that `issuer` names, once it has been told the server's URL.
    pub(crate) async fn behind(framework: Framework, issuer: impl FnOnce(&str) -> String) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let url = format!("{origin}/mcp");
        let trusted = Issuer::discover(issuer(&url)).unwrap().allow_loopback_http();
        let api = ResourceServer::resource(&url).trust(trusted).build().unwrap();
        api.ready().await.unwrap();
        let guard = McpLayer::builder(api.clone())
            .scope("notes:read")
            .tool("whoami", "notes:read")
            .tool("clear", "notes:write")
            .method("resources/list", "notes:list")
            .max_body(64 * 1024)
            .build()
            .unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let notes = Notes { calls: Arc::clone(&calls) };
        let server = StreamableHttpService::new(
            move || Ok(notes.clone()),
            Arc::new(LocalSessionManager::default()),
            StreamableHttpServerConfig::default(),
        );
        let guarded = guard.layer(server);
        let task = match framework {
            Framework::Axum => {
                let metadata = axum_token::Metadata::of([&api]).unwrap();
                let app = axum::Router::new().route_service("/mcp", guarded).layer(metadata);
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::spawn(async move { axum::serve(listener, app).await.unwrap() })
            }
            Framework::Actix => {
                let metadata = actix_token::Metadata::of([&api]).unwrap();
                let factory = move || {
                    let app = actix_web::App::new().service(metadata.clone());
                    app.service(mcp_token::actix::resource("/mcp", guarded.clone()))
                };
                let server = actix_web::HttpServer::new(factory).workers(1).disable_signals().listen(listener).unwrap();
                let server = server.run();
                let handle = server.handle();
                tokio::spawn(async move {
                    let _stop = Stop(handle);
                    server.await.unwrap();
                })
            }
        };
        Self { other: format!("{origin}/other"), url, calls, task }
    }

    /// How often a tool was called that needs more than `notes:read`.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    pub(crate) async fn post(&self, token: Option<&str>, fields: &[(String, String)], body: &str) -> reqwest::Response {
        self.send(http::Method::POST, token, fields, body).await
    }

    pub(crate) async fn send(
        &self,
        method: http::Method,
        token: Option<&str>,
        fields: &[(String, String)],
        body: &str,
    ) -> reqwest::Response {
        let accept =
            if method == http::Method::GET { "text/event-stream" } else { "application/json, text/event-stream" };
        let mut request = reqwest::Client::new().request(method, &self.url).header("accept", accept);
        request = request.header("content-type", "application/json").body(body.to_owned());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        for (name, value) in fields {
            request = request.header(name, value);
        }
        request.send().await.unwrap()
    }

    /// Opens a session, and is done with the handshake.
    pub(crate) async fn open(&self, token: &str) -> String {
        let answer = self.post(Some(token), &[], INITIALIZE).await;
        let session = answer.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        answer.text().await.unwrap();
        let inside = [("mcp-session-id".to_owned(), session.clone())];
        assert_eq!(self.post(Some(token), &inside, INITIALIZED).await.status(), 202);
        session
    }
}

/// Stops the workers of actix-web when its task is aborted.
struct Stop(actix_web::dev::ServerHandle);

impl Drop for Stop {
    fn drop(&mut self) {
        // The command is sent at once; the future only waits for its end.
        drop(self.0.stop(false));
    }
}
