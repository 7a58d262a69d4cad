//! What the operator says of a guarded server goes in, a layer comes out (MCP authorization, 2025-11-25 and 2026-07-28).

use std::collections::HashMap;
use std::sync::Arc;

use token_core::{ConfigError, Error, ErrorKind, ResourceServer, Rule};
use tower_layer::Layer;
use tower_token::{Token, TokenLayer};

use crate::rules::{Names, Rules};
use crate::seal::Seal;
use crate::service::{Mcp, Shared};

/// The largest body that is read when nothing else is said: what rmcp reads at most, too.
const MOST: usize = 4 * 1024 * 1024;

/// Lets callers of an MCP server in with a token of its own, and judges each call before it is dispatched.
///
/// It goes around rmcp's `StreamableHttpService`; the crate's documentation has the whole server.
///
/// ```
/// use mcp_token::McpLayer;
/// use token_core::{Issuer, ResourceServer};
///
/// # fn main() -> Result<(), token_core::ConfigError> {
/// let api = ResourceServer::resource("https://files.example.com/mcp").trust(Issuer::discover("https://login.example.com")?).build()?;
/// let layer = McpLayer::builder(api)
///     .scope("files:read")                        // every request, and what a 401 tells the client to ask for
///     .tool("read_file", "files:read")
///     .tool("write_file", "files:write")          // 403 and a challenge that names files:write
///     .build()?;
/// # let _ = layer; Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct McpLayer {
    gate: TokenLayer,
    shared: Arc<Shared>,
}

impl McpLayer {
    /// A layer that lets in callers with a token which `server` accepts.
    pub fn builder(server: ResourceServer) -> McpLayerBuilder {
        McpLayerBuilder {
            server,
            every: None,
            tools: Names::default(),
            prompts: Names::default(),
            methods: HashMap::new(),
            most: MOST,
            session_key: None,
        }
    }
}

impl<S> Layer<S> for McpLayer {
    type Service = Token<Mcp<S>>;

    fn layer(&self, inner: S) -> Self::Service {
        self.gate.layer(Mcp::new(inner, Arc::clone(&self.shared)))
    }
}

/// The settings of an [`McpLayer`]. Names are compared to the letter.
#[derive(Clone, Debug)]
#[must_use]
pub struct McpLayerBuilder {
    server: ResourceServer,
    every: Option<Rule>,
    tools: Names,
    prompts: Names,
    methods: HashMap<Box<str>, Rule>,
    most: usize,
    session_key: Option<Vec<u8>>,
}

impl McpLayerBuilder {
    /// What every request asks for, whatever it calls. A 401 names it, so that clients ask their authorization server for it in the first
    /// place. Default: any good token will do, and a 401 names no scope.
    pub fn scope(mut self, rule: impl Into<Rule>) -> Self {
        self.every = Some(rule.into());
        self
    }

    /// What calling this tool asks for, beside what every request does. Once one tool is named, tools that are not are refused: say
    /// [`other_tools`](Self::other_tools) to open them.
    pub fn tool(mut self, name: impl Into<String>, rule: impl Into<Rule>) -> Self {
        self.tools.known.insert(name.into().into(), rule.into());
        self
    }

    /// What calling any other tool asks for.
    pub fn other_tools(mut self, rule: impl Into<Rule>) -> Self {
        self.tools.others = Some(rule.into());
        self
    }

    /// What getting this prompt asks for. Once one prompt is named, prompts that are not are refused.
    pub fn prompt(mut self, name: impl Into<String>, rule: impl Into<Rule>) -> Self {
        self.prompts.known.insert(name.into().into(), rule.into());
        self
    }

    /// What getting any other prompt asks for.
    pub fn other_prompts(mut self, rule: impl Into<Rule>) -> Self {
        self.prompts.others = Some(rule.into());
        self
    }

    /// What this method asks for, `resources/read` say. For `tools/call` and `prompts/get` it counts where no tool and no prompt is named.
    pub fn method(mut self, name: impl Into<String>, rule: impl Into<Rule>) -> Self {
        self.methods.insert(name.into().into(), rule.into());
        self
    }

    /// The largest body of a request, in bytes. Larger ones are answered with 413, and no byte past the bound is kept. Default 4 MiB, as
    /// rmcp has it: whichever is smaller counts.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.most = bytes;
        self
    }

    /// The key behind sessions: 32 random bytes, the same in every instance that shares sessions. Default: one of this process, so that no
    /// session outlives it.
    pub fn session_key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.session_key = Some(key.into());
        self
    }

    /// Puts the layer together.
    ///
    /// # Errors
    /// [`ConfigError`] when the server has no metadata to point to or takes tokens in the query, a rule asks for `offline_access`, or the session
    /// key is too short.
    pub fn build(self) -> Result<McpLayer, ConfigError> {
        let challenge = self.server.refusal(Error::new(ErrorKind::MissingToken, "")).challenge().unwrap_or_default();
        if !challenge.contains("resource_metadata=") {
            return Err(ConfigError::new(
                "MCP clients find their authorization server through the server's metadata (RFC 9728): build the server with \
                 `ResourceServer::resource`, or say where the document is with `resource_metadata`",
            ));
        }
        if self.server.policy().token_locations.iter().flatten().any(|location| location.field_name().is_none()) {
            return Err(ConfigError::new(
                "MCP forbids tokens in the query, where logs and handlers see them: leave `dangerously_query` out of the server's token \
                 locations (`token_locations` in a policy file)",
            ));
        }
        let rules = Rules::new(self.every, self.tools, self.prompts, self.methods)?;
        let seal = Seal::new(self.session_key.as_deref())?;
        let gate = TokenLayer::new(self.server.clone()).challenge_scope(rules.every.would_satisfy());
        Ok(McpLayer { gate, shared: Arc::new(Shared { rules, seal, most: self.most, server: self.server }) })
    }
}
