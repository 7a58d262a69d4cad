//! A request that the gate let in goes in, the server's answer or a refusal comes out: session, body, rule, in this order
//! (MCP streamable HTTP, JSON-RPC 2.0, RFC 6750 section 3.1).

pub(crate) mod future;

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use http_body_util::Full;
use token_core::{Error, ErrorKind, ResourceServer, TokenLocation, Verified};
use tower_service::Service;
use tower_token::ResponseBody;

use crate::body::{McpBody, Unread, Whole};
use crate::look::{Call, Unreadable, look};
use crate::rules::{Rules, all};
use crate::seal::{Owner, Seal};
use crate::service::future::McpFuture;

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const DPOP: HeaderName = HeaderName::from_static("dpop");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
const EVENTS: &[u8] = b"text/event-stream";

/// What all services of one layer share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) rules: Rules,
    pub(crate) seal: Seal,
    pub(crate) most: usize,
    /// Who has let the callers in: it knows where their tokens are.
    pub(crate) server: ResourceServer,
}

/// The service that an [`McpLayer`](crate::McpLayer) makes, inside the one that asks for tokens.
#[derive(Clone, Debug)]
pub struct Mcp<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Mcp<S> {
    pub(crate) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl<S, B, R> Service<Request<B>> for Mcp<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone,
    B: Body,
{
    type Response = Response<ResponseBody<McpBody<R>>>;
    type Error = S::Error;
    type Future = McpFuture<S, B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        let (parts, body, caller) = match shared.prepare(request) {
            Ok(prepared) => prepared,
            Err(refusal) => return McpFuture::refused(shared, refusal),
        };
        if parts.method != Method::POST {
            let future = self.inner.call(Request::from_parts(parts, Full::default()));
            return McpFuture::inner(shared, future, caller);
        }
        // The one that is ready goes along; the clone in its stead is asked for readiness before it is called.
        let fresh = self.inner.clone();
        let service = std::mem::replace(&mut self.inner, fresh);
        let body = Whole::new(body, shared.most);
        McpFuture::arriving(shared, service, parts, caller, body)
    }
}

/// Why a request does not reach the server.
pub(crate) enum Refusal {
    /// As the table of the gate has it.
    Gate(Error),
    /// As JSON-RPC has it: status, code, message.
    Rpc(StatusCode, i32, &'static str),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Gate(error)
    }
}

impl Shared {
    /// The request as the server may see it: without the token, its session opened. What every call asks for does not depend on the body:
    /// without it none is read.
    fn prepare<B>(&self, request: Request<B>) -> Result<(Parts, B, Verified), Refusal> {
        let caller = tower_token::outcome(request.extensions())?.verified()?.clone();
        let (mut parts, body) = request.into_parts();
        self.hide_credentials(&mut parts);
        self.open_session(&parts.method, &mut parts.headers, &caller)?;
        caller.require(&self.rules.every)?;
        Ok((parts, body, caller))
    }

    /// Takes the caller's credentials out of the request, wherever the gate looks for them: what a tool does not have it does not pass on
    /// (MCP "token passthrough").
    fn hide_credentials(&self, parts: &mut Parts) {
        parts.headers.remove(header::AUTHORIZATION);
        parts.headers.remove(DPOP);
        let policy = self.server.policy();
        for location in policy.token_locations.iter().flatten() {
            match location.field_name() {
                Some(name) => hide_field(&mut parts.headers, name, location),
                None => hide_query(&mut parts.uri, location),
            }
        }
    }

    /// Nobody uses another one's session, and nobody reads events of which it is not known whose they are.
    fn open_session(&self, method: &Method, headers: &mut HeaderMap, caller: &Verified) -> Result<(), Refusal> {
        let mut fields = headers.get_all(SESSION).iter();
        match (fields.next(), fields.next()) {
            (Some(field), None) => {
                // A session of somebody else, one that was made up and one that is long gone: one answer.
                let unknown = Refusal::Rpc(StatusCode::NOT_FOUND, -32001, "session not found");
                let owner = Owner::of(caller);
                let opened = owner.and_then(|owner| self.seal.open(field.to_str().ok()?, owner)).ok_or(unknown)?;
                let opened = HeaderValue::from_str(opened).expect("a part of a field fits into one");
                headers.insert(SESSION, opened);
                Ok(())
            }
            (Some(_), Some(_)) => Err(Refusal::Rpc(StatusCode::BAD_REQUEST, -32600, "more than one session named")),
            (None, _) if method == Method::GET && headers.contains_key(LAST_EVENT) => {
                Err(Refusal::Rpc(StatusCode::METHOD_NOT_ALLOWED, -32600, "events are resumed inside of a session only"))
            }
            (None, _) => Ok(()),
        }
    }

    /// The message as the server may have it: whole, and allowed.
    pub(crate) fn judge_message(&self, body: Result<Bytes, Unread>, caller: &Verified) -> Result<Bytes, Refusal> {
        let body = body.map_err(|unread| match unread {
            Unread::TooLarge => {
                Refusal::Rpc(StatusCode::PAYLOAD_TOO_LARGE, -32600, "the message is larger than the server takes")
            }
            Unread::Broken => Refusal::Rpc(StatusCode::BAD_REQUEST, -32700, "the message broke off"),
        })?;
        if !self.rules.are_the_same_for_all() {
            self.judge_calls(&body, caller)?;
        }
        Ok(body)
    }

    /// All calls of a body, or none of them: a batch with one that is not allowed is refused whole, and the challenge names what all of
    /// them ask for.
    fn judge_calls(&self, body: &[u8], caller: &Verified) -> Result<(), Refusal> {
        let (mut count, mut rules, mut unnamed) = (0_usize, Vec::new(), false);
        let mut first_refusal = None;
        let looked = look(body, |call: Call<'_>| {
            count += 1;
            match self.rules.of(&call) {
                None => unnamed = true,
                Some(rule) => {
                    if let Err(error) = caller.require(rule) {
                        first_refusal.get_or_insert(error);
                        rules.push(rule.clone());
                    }
                }
            }
        });
        looked.map_err(|unreadable| match unreadable {
            Unreadable::Parse => Refusal::Rpc(StatusCode::BAD_REQUEST, -32700, "the body is not JSON"),
            Unreadable::Invalid => Refusal::Rpc(
                StatusCode::BAD_REQUEST,
                -32600,
                "the body is no JSON-RPC message with its members once and by name",
            ),
        })?;
        if unnamed {
            // No scope would help, so the challenge names none.
            let error = Error::new(
                ErrorKind::InsufficientScope,
                "a tool or prompt without a rule: name it with `tool` or `prompt`, or open all others with `other_tools` or `other_prompts`",
            );
            return Err(caller.refusal(error).into());
        }
        match (first_refusal, rules.len()) {
            (None, _) => Ok(()),
            (Some(error), 1) => Err(error.into()),
            (Some(error), _) => Err(caller.require(&all(rules)).err().unwrap_or(error).into()),
        }
    }

    /// The server's answer, with its session sealed for the caller, and no stream of events longer than the caller's token.
    pub(crate) fn answer<R>(&self, mut response: Response<R>, caller: &Verified) -> Response<ResponseBody<McpBody<R>>> {
        if let Some(session) = response.headers_mut().remove(SESSION)
            && let (Ok(session), Some(owner)) = (session.to_str(), Owner::of(caller))
        {
            let sealed = self.seal.close(session, owner);
            let sealed = HeaderValue::try_from(sealed).expect("a part of a field, a dot and base64url fit into one");
            response.headers_mut().insert(SESSION, sealed);
        }
        let media_type = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let events = media_type.get(..EVENTS.len()).is_some_and(|start| start.eq_ignore_ascii_case(EVENTS));
        let end = events.then(|| caller.until_expiry());
        response.map(|body| ResponseBody::inner(McpBody::new(body, end)))
    }
}

impl Refusal {
    pub(crate) fn response<R>(self) -> Response<ResponseBody<R>> {
        match self {
            Self::Gate(error) => tower_token::rejection(&error).map(ResponseBody::text),
            Self::Rpc(status, code, message) => {
                // No `id`: of a message that was not understood, or not looked at, none is known.
                let body = format!(r#"{{"jsonrpc":"2.0","error":{{"code":{code},"message":"{message}"}}}}"#);
                let mut response = Response::new(ResponseBody::text(body));
                *response.status_mut() = status;
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                if status == StatusCode::METHOD_NOT_ALLOWED {
                    headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
                }
                response
            }
        }
    }
}

fn hide_field(headers: &mut HeaderMap, name: &str, location: &TokenLocation) {
    let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { return };
    let values: Vec<HeaderValue> = headers.get_all(&name).iter().cloned().collect();
    headers.remove(&name);
    for value in values {
        let left = match location.without_token(value.as_bytes()) {
            None => Some(value),
            Some(rest) if rest.is_empty() => None,
            Some(rest) => HeaderValue::from_bytes(&rest).ok(),
        };
        if let Some(left) = left {
            headers.append(&name, left);
        }
    }
}

fn hide_query(uri: &mut Uri, location: &TokenLocation) {
    let Some(rest) = uri.query().and_then(|query| location.without_token(query.as_bytes())) else { return };
    let mut parts = uri.clone().into_parts();
    let target = [uri.path().as_bytes(), if rest.is_empty() { b"" } else { b"?" }, &rest].concat();
    // Parts of a target make a target. If they did not, it would rather be none than one with the token.
    parts.path_and_query = Some(PathAndQuery::try_from(target).unwrap_or_else(|_| PathAndQuery::from_static("/")));
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

#[cfg(test)]
mod tests;
