//! A refusal of the token endpoint: status, error code and description (RFC 6749 section 5.2).

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

/// Why a request to the token endpoint (or one like it) got nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OAuthError {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
}

impl OAuthError {
    pub(super) const fn invalid_request(description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: "invalid_request", description }
    }

    pub(super) const fn invalid_client() -> Self {
        let description = "unknown client or wrong secret";
        Self { status: StatusCode::UNAUTHORIZED, error: "invalid_client", description }
    }

    /// To the user of an authorization request, who proves nothing: no status of a client that failed to.
    pub(super) const fn unknown_client() -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: "invalid_client", description: "unknown client" }
    }

    pub(super) const fn invalid_target() -> Self {
        let description = "the resource is no absolute URI without a fragment, or not one that was granted";
        Self { status: StatusCode::BAD_REQUEST, error: "invalid_target", description }
    }

    pub(super) const fn invalid_redirect_uri() -> Self {
        let description =
            "redirect_uris are missing, or one is neither https, nor http to a loopback host, nor of a private scheme";
        Self { status: StatusCode::BAD_REQUEST, error: "invalid_redirect_uri", description }
    }

    pub(super) const fn invalid_client_metadata(description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: "invalid_client_metadata", description }
    }

    /// A public client cannot act for itself (RFC 6749 section 4.4).
    pub(super) const fn unauthorized_client() -> Self {
        let description = "a public client has no credentials to be granted anything for";
        Self { status: StatusCode::BAD_REQUEST, error: "unauthorized_client", description }
    }

    pub(super) const fn unsupported_response_type() -> Self {
        let description = "the only response type is code";
        Self { status: StatusCode::BAD_REQUEST, error: "unsupported_response_type", description }
    }

    pub(super) const fn invalid_scope() -> Self {
        let description = "the scope is malformed or not for this client";
        Self { status: StatusCode::BAD_REQUEST, error: "invalid_scope", description }
    }

    pub(super) const fn invalid_grant(description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: "invalid_grant", description }
    }

    pub(super) const fn access_denied(description: &'static str) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, error: "access_denied", description }
    }

    pub(super) const fn unsupported_grant_type() -> Self {
        let description = "this grant type is not served here";
        Self { status: StatusCode::BAD_REQUEST, error: "unsupported_grant_type", description }
    }
}

impl OAuthError {
    pub(super) const fn code(&self) -> &'static str {
        self.error
    }

    pub(super) const fn text(&self) -> &'static str {
        self.description
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let mut response =
            super::json(self.status, &json!({ "error": self.error, "error_description": self.description }));
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"token endpoint\""));
        }
        response
    }
}
