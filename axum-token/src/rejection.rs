//! An `Error` of the gate as an axum response, for extractors and for `?` in handlers.

use std::fmt;

use axum_core::body::Body;
use axum_core::response::{IntoResponse, Response};
use token_core::{Error, ErrorKind};

/// Why an extractor or a handler does not go on. It answers as the [`TokenLayer`](crate::TokenLayer) does, which also logs it and writes
/// its body where [`TokenLayer::rejection`](crate::TokenLayer::rejection) says how.
///
/// ```
/// use axum_token::{Authenticated, Rejection};
///
/// async fn delete(Authenticated(token): Authenticated) -> Result<&'static str, Rejection> {
///     token.require(&"delete:users".into())?;
///     Ok("gone")
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Rejection(Error);

impl Rejection {
    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind()
    }

    /// The error itself.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.0
    }
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        rejection.0
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        tower_token::rejection(&self.0).map(Body::from)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Rejection {}
