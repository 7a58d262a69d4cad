//! The same routes in tower, axum and actix-web, each asked in process with the same request.

mod actix;
mod axum;
mod tower;

use std::borrow::Cow;

use http::Method;
use token_core::{Answer, ResourceServer};

axum_token::scopes! {
    /// What `/users` asks for.
    pub ReadUsers = "read:users",
}

/// A request, as plain values.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// `/me` needs claims, `/users` the scope `read:users`, `/any` a token, `/maybe` takes anonymous callers,
    /// `/id` needs an ID token.
    pub path: Cow<'static, str>,
    /// GET unless said.
    pub method: Method,
    /// Header fields in order; values are raw bytes.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Ask {
    /// Asks for `path` with nothing else.
    pub fn of(path: impl Into<Cow<'static, str>>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    /// The same with one more header field.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// The same with a bearer token.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }
}

/// A response, as plain values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `WWW-Authenticate`.
    pub challenge: Option<String>,
    /// `Retry-After`.
    pub retry_after: Option<String>,
    /// `Token-Explanation`.
    pub explanation: Option<String>,
    /// `DPoP-Nonce`.
    pub dpop_nonce: Option<String>,
    /// `Access-Control-Expose-Headers`.
    pub exposed: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// The whole body as text.
    pub body: String,
}

impl Reply {
    /// Whether the body is the problem document of a refusal.
    pub fn is_problem(&self) -> bool {
        self.content_type.as_deref() == Some(Answer::CONTENT_TYPE)
    }
}

/// A framework.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// `tower-token` around a plain service.
    Tower,
    /// `axum-token`.
    Axum,
    /// `actix-token`.
    Actix,
}

impl Via {
    /// Every framework.
    pub const ALL: [Self; 3] = [Self::Tower, Self::Axum, Self::Actix];
}

/// Sends `request` to the API in that framework. With `anonymous`, the layer lets requests without credentials pass.
pub async fn ask(via: Via, api: &ResourceServer, anonymous: bool, request: &Ask) -> Reply {
    match via {
        Via::Tower => tower::ask(api, anonymous, request).await,
        Via::Axum => axum::ask(api, anonymous, request).await,
        Via::Actix => actix::ask(api, anonymous, request).await,
    }
}
