//! The context of a tool, a prompt or a notification goes in, the verified caller comes out (rmcp's extensions hold the HTTP request's).

use rmcp::ErrorData;
use rmcp::handler::server::common::{AsRequestContext, FromContextPart};
use rmcp::model::Extensions;
use token_core::Verified;

/// The verified caller, as an argument of a tool or prompt.
///
/// ```
/// use mcp_token::Caller;
/// use rmcp::{tool, tool_router};
///
/// struct Files;
///
/// #[tool_router]
/// impl Files {
///     #[tool(description = "Who is calling")]
///     async fn whoami(&self, Caller(token): Caller) -> String {
///         token.subject().unwrap_or("a client").to_owned()
///     }
/// }
/// ```
///
/// # Errors
/// An internal error of the server, when there is no [`McpLayer`](crate::McpLayer) around it; the log names it.
#[derive(Clone, Debug)]
pub struct Caller(pub Verified);

impl<C: AsRequestContext> FromContextPart<C> for Caller {
    fn from_context_part(context: &mut C) -> Result<Self, ErrorData> {
        caller(&context.as_request_context().extensions).cloned().map(Self)
    }
}

/// The verified caller behind the extensions of an rmcp request or notification: `context.extensions`.
///
/// # Errors
/// An internal error of the server, when there is no [`McpLayer`](crate::McpLayer) around it; the log names it.
pub fn caller(extensions: &Extensions) -> Result<&Verified, ErrorData> {
    let missing = || {
        token_core::Error::missing_layer("McpLayer").log();
        ErrorData::internal_error("the server is misconfigured", None)
    };
    let parts = extensions.get::<http::request::Parts>().ok_or_else(missing)?;
    let outcome = tower_token::outcome(&parts.extensions).map_err(|_| missing())?;
    outcome.verified().map_err(|_| missing())
}
