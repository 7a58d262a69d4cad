//! The server that the conformance suite's scenarios for servers ask for, as far as they pass through a guard: answers of every kind, streams,
//! and questions back to the client. Once guarded, once not, on one port.

#![expect(deprecated, reason = "the suite asks older revisions, too, for what the newest no longer has")]

use std::sync::Arc;

use mcp_token::McpLayer;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, GetPromptRequestParams, GetPromptResponse,
    GetPromptResult, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ServerCapabilities,
    ServerConfig, SetLevelRequestParams, SubscribeRequestParams, UnsubscribeRequestParams,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use token_core::{Issuer, ResourceServer};
use token_test::TestIssuer;
use tower_layer::Layer;

/// One pixel, and a moment of silence.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAESsAACJWAAACABAAZGF0YQAAAAA=";

const TOOLS: &[&str] = &[
    "test_simple_text",
    "test_image_content",
    "test_audio_content",
    "test_embedded_resource",
    "test_multiple_content_types",
    "test_error_handling",
    "test_tool_with_progress",
    "test_tool_with_logging",
    "test_sampling",
];
const PROMPTS: &[&str] = &[
    "test_simple_prompt",
    "test_prompt_with_arguments",
    "test_prompt_with_embedded_resource",
    "test_prompt_with_image",
];

#[derive(Clone)]
struct Everything;

/// The protocol's own JSON as rmcp's type.
fn said<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).expect("as the protocol has it")
}

/// A result that is whole: since revision 2026-07-28 it says so.
fn whole<T: DeserializeOwned>(mut json: Value) -> T {
    json["resultType"] = "complete".into();
    said(json)
}

fn text(text: impl Into<String>) -> Value {
    json!({ "type": "text", "text": text.into() })
}

fn image() -> Value {
    json!({ "type": "image", "data": PNG, "mimeType": "image/png" })
}

fn embedded(uri: &str) -> Value {
    json!({ "type": "resource", "resource": { "uri": uri, "mimeType": "text/plain", "text": "an embedded resource" } })
}

impl ServerHandler for Everything {
    fn get_info(&self) -> ServerConfig {
        let all = ServerCapabilities::builder().enable_tools().enable_prompts().enable_resources();
        ServerConfig::new(all.enable_resources_subscribe().enable_completions().enable_logging().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tool = |name: &&str| json!({ "name": name, "description": name, "inputSchema": { "type": "object" } });
        Ok(whole(json!({ "tools": TOOLS.iter().map(tool).collect::<Vec<_>>() })))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let content = match &*request.name {
            "test_simple_text" => vec![text("This is a simple text response for testing.")],
            "test_image_content" => vec![image()],
            "test_audio_content" => vec![json!({ "type": "audio", "data": WAV, "mimeType": "audio/wav" })],
            "test_embedded_resource" => vec![embedded("test://embedded-resource")],
            "test_multiple_content_types" => {
                vec![text("Multiple content types test:"), image(), embedded("test://mixed-content-resource")]
            }
            "test_error_handling" => {
                let error = json!({ "content": [text("This tool intentionally returns an error for testing")], "isError": true });
                return Ok(CallToolResponse::Complete(whole::<CallToolResult>(error)));
            }
            "test_tool_with_progress" => {
                let meta = serde_json::to_value(&context.meta).unwrap_or_default();
                for progress in [0, 50, 100] {
                    let token = meta["progressToken"].clone();
                    let notification = said(json!({ "progressToken": token, "progress": progress, "total": 100 }));
                    let _ = context.peer.notify_progress(notification).await;
                }
                vec![text("done")]
            }
            "test_tool_with_logging" => {
                for what in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
                    let _ = context.peer.notify_logging_message(said(json!({ "level": "info", "data": what }))).await;
                }
                vec![text("done")]
            }
            // A question back to the client, on the stream that answers it.
            "test_sampling" => {
                let prompt = request.arguments.as_ref().and_then(|arguments| arguments.get("prompt")?.as_str());
                let question = json!({ "messages": [{ "role": "user", "content": text(prompt.unwrap_or_default()) }], "maxTokens": 100 });
                let answer = context.peer.create_message(said(question)).await;
                let answer = answer.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
                vec![text(format!("LLM response: {}", serde_json::to_value(&answer).unwrap_or_default()))]
            }
            _ => return Err(ErrorData::invalid_params("no such tool", None)),
        };
        Ok(CallToolResponse::Complete(whole::<CallToolResult>(json!({ "content": content }))))
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let prompt = |name: &&str| json!({ "name": name, "description": name });
        Ok(whole(json!({ "prompts": PROMPTS.iter().map(prompt).collect::<Vec<_>>() })))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let arguments = serde_json::to_value(&request.arguments).unwrap_or_default();
        let argument = |name: &str| arguments[name].as_str().unwrap_or_default().to_owned();
        let contents = match &*request.name {
            "test_simple_prompt" => vec![text("This is a simple prompt for testing.")],
            "test_prompt_with_arguments" => {
                vec![text(format!("Prompt with arguments: arg1='{}', arg2='{}'", argument("arg1"), argument("arg2")))]
            }
            "test_prompt_with_embedded_resource" => vec![embedded(&argument("resourceUri")), text("Process it.")],
            "test_prompt_with_image" => vec![image(), text("Look at it.")],
            _ => return Err(ErrorData::invalid_params("no such prompt", None)),
        };
        let messages: Vec<_> =
            contents.into_iter().map(|content| json!({ "role": "user", "content": content })).collect();
        Ok(GetPromptResponse::Complete(whole::<GetPromptResult>(json!({ "messages": messages }))))
    }

    async fn set_level(&self, _: SetLevelRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn subscribe(&self, _: SubscribeRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(&self, _: UnsubscribeRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(whole(json!({ "resources": [
            { "uri": "test://static-text", "name": "text", "description": "text", "mimeType": "text/plain" },
            { "uri": "test://static-binary", "name": "image", "description": "image", "mimeType": "image/png" },
        ] })))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(whole(json!({ "resourceTemplates": [{ "uriTemplate": "test://template/{id}/data", "name": "template" }] })))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = &*request.uri;
        let contents = match uri {
            "test://static-text" => {
                json!({ "uri": uri, "mimeType": "text/plain", "text": "This is the content of the static text resource." })
            }
            "test://static-binary" => json!({ "uri": uri, "mimeType": "image/png", "blob": PNG }),
            "test://template/123/data" => {
                json!({ "uri": uri, "mimeType": "application/json", "text": r#"{"id":"123","templateTest":true,"data":"Data for ID: 123"}"# })
            }
            _ => return Err(ErrorData::resource_not_found("no such resource", Some(json!({ "uri": uri })))),
        };
        Ok(ReadResourceResponse::Complete(whole::<ReadResourceResult>(json!({ "contents": [contents] }))))
    }
}

/// Both servers, for as long as this value lives.
pub(super) struct Both {
    pub(super) guarded: String,
    pub(super) open: String,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Both {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Both {
    pub(super) async fn start(issuer: &TestIssuer) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (guarded, open) = (format!("{origin}/mcp"), format!("{origin}/open"));
        let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
        let api = ResourceServer::resource(&guarded).trust(trusted).build().unwrap();
        api.ready().await.unwrap();
        // Rules that look into every message.
        let named = TOOLS
            .iter()
            .fold(McpLayer::builder(api.clone()).scope("notes:read"), |guard, tool| guard.tool(*tool, "notes:read"));
        let guard =
            named.other_tools("notes:read").prompt("test_simple_prompt", "notes:read").other_prompts("notes:read");
        let guard = guard.method("resources/read", "notes:read").build().unwrap();
        let server = || {
            let sessions = Arc::new(LocalSessionManager::default());
            StreamableHttpService::new(|| Ok(Everything), sessions, StreamableHttpServerConfig::default())
        };
        let app = axum::Router::new()
            .route_service("/mcp", guard.layer(server()))
            .route_service("/open", server())
            .layer(axum_token::Metadata::of([&api]).unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { guarded, open, task }
    }
}
