//! A small MCP client made of `token-client`, for the official conformance suite to judge: it gets the server's URL as its last argument,
//! the name of the scenario and what goes with it in the environment.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr, reason = "a program for one test")]

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use token_client::{
    AuthorizationRequest, ClientAuthentication, ClientMetadata, CrossApp, DpopKey, FixedSource, ProtectedApi,
    ProtectedApiBuilder, Token, TokenClient, TokenError, TokenErrorKind, UserAgent, resource_metadata_urls,
};
use token_core::Algorithm;
use token_core::http::{BoxFuture, HttpClient, Limits, ReqwestClient};
use token_core::jose::signing::SigningKey;

/// The document that the suite knows; nobody fetches it.
const DOCUMENT: &str = "https://conformance-test.local/client-metadata.json";
const CALLBACK: &str = "http://localhost:3000/callback";

/// A user who consents to everything: the suite's servers redirect at once.
#[derive(Debug)]
struct Browser(ReqwestClient);

impl UserAgent for Browser {
    fn redirect_uri(&self) -> &str {
        CALLBACK
    }

    fn sign_in<'a>(&'a self, request: &'a AuthorizationRequest) -> BoxFuture<'a, Result<String, TokenError>> {
        Box::pin(async {
            let get = http::Request::get(request.url()).body(Bytes::new()).unwrap();
            let answer = self.0.send(get, Limits::default()).await?;
            let location = answer.headers().get("location").and_then(|value| value.to_str().ok());
            let nowhere = || TokenError::new(TokenErrorKind::AccessDenied, "the user was sent nowhere");
            Ok(location.ok_or_else(nowhere)?.to_owned())
        })
    }
}

fn http() -> ReqwestClient {
    ReqwestClient::builder().allow_loopback_http().build().unwrap()
}

/// The server that an operator would have registered the client with: the suite does not always say which.
async fn issuer_of(url: &str) -> String {
    for place in resource_metadata_urls(&url.parse().unwrap()) {
        let get = http::Request::get(place.as_str()).body(Bytes::new()).unwrap();
        let answer = http().send(get, Limits::default()).await.unwrap();
        if answer.status() == 200 {
            let metadata: Value = serde_json::from_slice(answer.body()).unwrap();
            return metadata["authorization_servers"][0].as_str().unwrap().to_owned();
        }
    }
    String::new()
}

async fn known(url: &str, context: &Value) -> ProtectedApiBuilder {
    let api = ProtectedApi::builder(url).http(http());
    let text = |name: &str| context[name].as_str().map(str::to_owned);
    let metadata = ClientMetadata::new("conformance client").redirect_uri(CALLBACK);
    let Some(client_id) = text("client_id") else {
        return api.document(DOCUMENT, ClientAuthentication::None).register(metadata).user_agent(Browser(http()));
    };
    let issuer = match text("issuer") {
        Some(issuer) => issuer,
        None => issuer_of(url).await,
    };
    let authentication = match (text("client_secret"), text("private_key_pem")) {
        (Some(secret), _) => ClientAuthentication::Basic(secret.into()),
        (None, Some(pem)) => {
            let key = SigningKey::from_pem(Algorithm::ES256, None, pem.as_bytes()).unwrap();
            ClientAuthentication::PrivateKeyJwt { key: Arc::new(key), audience: None }
        }
        (None, None) => ClientAuthentication::None,
    };
    let api = api.registered(issuer, client_id, authentication);
    match (text("idp_token_endpoint"), text("valid_jwt")) {
        (Some(endpoint), _) => {
            let provider = TokenClient::builder(endpoint, text("idp_client_id").unwrap());
            let provider = provider.authentication(ClientAuthentication::None).http(http()).build().unwrap();
            api.cross_app(CrossApp::new(provider, text("idp_id_token").unwrap()))
        }
        (None, Some(workload)) => api.workload(FixedSource::new(Token::bearer(workload, None).unwrap())),
        (None, None) if text("issuer").is_some() => api.user_agent(Browser(http())),
        (None, None) => api,
    }
}

/// The protocol's messages, in the order of a client that wants to call one tool.
async fn talk(api: &ProtectedApi, revision: &str) -> Result<(), String> {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": revision,
        "io.modelcontextprotocol/clientInfo": { "name": "conformance", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let hello = json!({ "protocolVersion": revision, "capabilities": {}, "clientInfo": { "name": "conformance", "version": "1" } });
    let stateless = revision >= "2026-07-28";
    let mut session = None;
    let mut tool = None;
    let steps = [
        ("initialize", hello),
        ("notifications/initialized", json!({})),
        ("tools/list", json!({})),
        ("tools/call", json!({})),
    ];
    for (id, (method, mut params)) in steps.into_iter().enumerate() {
        if stateless && matches!(method, "initialize" | "notifications/initialized") {
            continue;
        }
        if method == "tools/call" {
            let Some(tool) = &tool else { continue };
            params = json!({ "name": tool, "arguments": {} });
        }
        if stateless {
            params["_meta"] = meta.clone();
        }
        let mut message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        if !method.starts_with("notifications/") {
            message["id"] = json!(id);
        }
        let mut request = http::Request::post(api.url())
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", revision)
            .header("mcp-method", method);
        if let (Some(tool), "tools/call") = (&tool, method) {
            let tool: &String = tool;
            request = request.header("mcp-name", tool);
        }
        if let Some(session) = &session {
            request = request.header("mcp-session-id", session);
        }
        let answer =
            api.send(request.body(message.to_string().into()).unwrap()).await.map_err(|error| error.to_string())?;
        if !answer.status().is_success() {
            return Err(format!("{method} was answered with {}", answer.status()));
        }
        session = answer.headers().get("mcp-session-id").cloned().or(session);
        tool = first_tool(answer.body()).or(tool);
    }
    Ok(())
}

/// The name of the first tool in an answer, as JSON or as an event.
fn first_tool(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let json = text.lines().filter_map(|line| line.strip_prefix("data:")).next_back().unwrap_or(text);
    let answer: Value = serde_json::from_str(json.trim()).ok()?;
    Some(answer["result"]["tools"][0]["name"].as_str()?.to_owned())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let url = std::env::args().next_back().unwrap();
    let context = std::env::var("MCP_CONFORMANCE_CONTEXT").unwrap_or_default();
    let context: Value = serde_json::from_str(&context).unwrap_or_default();
    let revision = std::env::var("MCP_CONFORMANCE_PROTOCOL_VERSION").unwrap_or_else(|_| "2025-11-25".to_owned());
    let mut api = known(&url, &context).await;
    if std::env::var("MCP_CONFORMANCE_SCENARIO").is_ok_and(|scenario| scenario.starts_with("auth/dpop")) {
        api = api.dpop(DpopKey::generate(Algorithm::ES256).unwrap());
    }
    let api = api.build().unwrap();
    if let Err(error) = talk(&api, &revision).await {
        eprintln!("{error}");
        std::process::exit(1);
    }
}
