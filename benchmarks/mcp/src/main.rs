//! Calls of a tool: the rmcp server on its own, the same once more (what differs is noise), and behind the guard with a token that is remembered.
//! First without a network, so that the guard has nothing to hide behind; then over HTTP on loopback, as clients meet it. `ROUNDS` in the environment says how many rounds.
//! Prints a table and writes it to `benchmarks/MCP.md`; with `--dry` it only prints.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use bytes::Bytes;
use harness::{AUDIENCE, Alg, Case, Fixture, ISSUER, Rounds, Table};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use mcp_token::McpLayer;
use rmcp::model::{ServerCapabilities, ServerConfig};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, tool, tool_handler, tool_router};
use token_core::{Issuer, ResourceServer, StaticKeys};
use tower_layer::Layer;
use tower_service::Service;

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list","arguments":{}}}"#;
const BARE: &str = "no guard";
const AGAIN: &str = "no guard, once more";
const GUARDED: &str = "guarded, warm";

struct Notes;

#[tool_router]
impl Notes {
    #[tool(description = "Your notes")]
    async fn list(&self) -> String {
        "none".to_owned()
    }
}

#[tool_handler]
impl ServerHandler for Notes {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }
}

fn server(sessions: bool) -> StreamableHttpService<Notes, LocalSessionManager> {
    let config = StreamableHttpServerConfig::default().with_legacy_session_mode(sessions).with_json_response(!sessions);
    StreamableHttpService::new(|| Ok(Notes), Arc::new(LocalSessionManager::default()), config)
}

fn guard(fixture: &Fixture) -> McpLayer {
    let keys = StaticKeys::jwk_set(&fixture.jwks()).expect("the fixture's keys are good");
    let issuer = Issuer::with_keys(ISSUER, keys).expect("the issuer has a name").audience(AUDIENCE);
    let api = ResourceServer::resource("https://notes.example.com/mcp").trust(issuer).build().expect("sound settings");
    // The fixture's tokens carry this scope.
    McpLayer::builder(api).scope("openid").tool("list", "openid").build().expect("sound settings")
}

/// A client that has its token, and a session where the server has some.
struct Client<S> {
    service: S,
    token: String,
    session: Option<String>,
}

impl<S, B> Client<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone,
    S::Error: std::fmt::Debug,
    B: http_body::Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    async fn new(service: S, token: &str, sessions: bool) -> Self {
        let mut client = Self { service, token: token.to_owned(), session: None };
        if sessions {
            let answer = client.post(INITIALIZE).await;
            client.session = Some(answer.headers()["mcp-session-id"].to_str().expect("text").to_owned());
            answer.into_body().collect().await.expect("an answer");
            assert_eq!(client.post(INITIALIZED).await.status(), 202);
        }
        client
    }

    async fn post(&mut self, body: &'static str) -> Response<B> {
        let mut request = Request::post("/mcp")
            .header("host", "localhost")
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .header("mcp-protocol-version", "2025-11-25")
            // The bare server gets it, too, and does not look at it.
            .header("authorization", format!("Bearer {}", self.token));
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session);
        }
        let request = request.body(Full::from(body)).expect("a request");
        std::future::poll_fn(|context| self.service.poll_ready(context)).await.expect("ready");
        self.service.call(request).await.expect("an answer")
    }

    async fn call(&mut self) -> bool {
        let answer = self.post(CALL).await;
        let good = answer.status() == 200;
        let body = answer.into_body().collect().await.expect("a whole answer").to_bytes();
        good && body.windows(4).any(|part| part == b"none")
    }
}

/// A client with a connection of its own to a server that has a thread of its own.
struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Connection {
    fn to<S, B>(service: S, token: &str) -> Self
    where
        S: Service<axum::extract::Request, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        listener.set_nonblocking(true).expect("for tokio");
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("it listens");
                axum::serve(listener, axum::Router::new().route_service("/mcp", service)).await
            })
        });
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\naccept: application/json, text/event-stream\r\ncontent-type: application/json\r\n\
             mcp-protocol-version: 2025-11-25\r\nauthorization: Bearer {token}\r\ncontent-length: {}\r\n\r\n",
            CALL.len()
        );
        Self { stream, request: [head.as_bytes(), CALL.as_bytes()].concat(), answer: Vec::new() }
    }

    /// One call; the answer is read as far as it says.
    fn call(&mut self) -> bool {
        self.stream.write_all(&self.request).expect("it is read");
        self.answer.clear();
        let mut room = [0; 4096];
        loop {
            let length = self.stream.read(&mut room).expect("it answers");
            self.answer.extend_from_slice(&room[..length]);
            let text = String::from_utf8_lossy(&self.answer);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let all = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                if body.len() >= all.expect("an answer that says its length") {
                    return head.starts_with("HTTP/1.1 200") && body.contains("none");
                }
            }
            assert!(length > 0, "the connection stays");
        }
    }
}

fn show(name: &str, table: &Table, text: &mut String) {
    for case in [BARE, AGAIN, GUARDED] {
        // Times over times are calls per second the other way round.
        *text += &format!("| {name}: {case} | {:.0} | {:.3} |\n", 1e9 / table.ns(case), table.ratio(BARE, case));
    }
}

fn main() {
    let fixture = Fixture::new();
    let token = fixture.token(Alg::RS256, 1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let rounds = Rounds::from_env();
    let mut text = format!(
        "# A guarded MCP server\n\nWritten by `cargo xtask mcp-bench`: {} interleaved rounds; calls of a tool that answers at once, one after the other, \
         rmcp's streamable HTTP server with and without `McpLayer`, one token (RS256) that is remembered. *Once more* is the server without a guard against itself: so much is chance. \
         The goal is 0.95 of the calls.\n\n| server | calls/s | of those without a guard |\n|---|---|---|\n",
        rounds.rounds
    );
    for (sessions, name) in [(true, "sessions, answers as events"), (false, "no sessions, answers as JSON")] {
        let start = || runtime.block_on(Client::new(server(sessions), &token, sessions));
        let (mut bare, mut again) = (start(), start());
        let mut guarded = runtime.block_on(Client::new(guard(&fixture).layer(server(sessions)), &token, sessions));
        let cases = vec![
            Case::new(BARE, || runtime.block_on(bare.call())),
            Case::new(AGAIN, || runtime.block_on(again.call())),
            Case::new(GUARDED, || runtime.block_on(guarded.call())),
        ];
        let table = rounds.run(cases);
        show(&format!("{name}, no network"), &table, &mut text);
    }
    let [mut bare, mut again] = [(); 2].map(|()| Connection::to(server(false), &token));
    let mut guarded = Connection::to(guard(&fixture).layer(server(false)), &token);
    let cases = vec![
        Case::new(BARE, || bare.call()),
        Case::new(AGAIN, || again.call()),
        Case::new(GUARDED, || guarded.call()),
    ];
    show("no sessions, answers as JSON, one connection over HTTP", &rounds.run(cases), &mut text);
    print!("{text}");
    if !std::env::args().any(|word| word == "--dry") {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../MCP.md");
        std::fs::write(file, text).expect("benchmarks/MCP.md can be written");
    }
}
