//! A token that was obtained, ready to be sent: one `Arc`, with its header value made once (RFC 6750 section 2.1).

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;
use token_core::Timestamp;

use crate::TokenError;
use crate::response::{TokenResponse, malformed};
use crate::secret::{AccessToken, IdToken};
use crate::token_type::TokenType;

/// A token from a [`TokenSource`](crate::TokenSource). Cloning it clones one `Arc`.
#[derive(Clone)]
pub struct Token(Arc<Inner>);

struct Inner {
    text: AccessToken,
    header: HeaderValue,
    expires_at: Option<Timestamp>,
    scope: Option<String>,
    id_token: Option<IdToken>,
    issued_type: Option<TokenType>,
}

impl Token {
    /// A token that was issued somewhere else, to be sent as a bearer token.
    ///
    /// # Errors
    /// [`Malformed`](crate::TokenErrorKind::Malformed) when its text does not fit into a header field.
    pub fn bearer(text: impl Into<AccessToken>, expires_at: Option<Timestamp>) -> Result<Self, TokenError> {
        Self::new(text.into(), expires_at, None, None, None)
    }

    fn new(
        text: AccessToken,
        expires_at: Option<Timestamp>,
        scope: Option<String>,
        id_token: Option<IdToken>,
        issued_type: Option<TokenType>,
    ) -> Result<Self, TokenError> {
        let mut header = HeaderValue::from_str(&format!("Bearer {}", text.expose()))
            .map_err(|_| malformed("the token does not fit into a header field"))?;
        header.set_sensitive(true);
        Ok(Self(Arc::new(Inner { text, header, expires_at, scope, id_token, issued_type })))
    }

    /// What a token endpoint issued, never good for longer than `cap`.
    pub(crate) fn issued(response: TokenResponse, cap: Option<Timestamp>) -> Result<Self, TokenError> {
        let expires_at = match (response.expires_at, cap) {
            (Some(expires_at), Some(cap)) => Some(expires_at.min(cap)),
            (expires_at, cap) => expires_at.or(cap),
        };
        Self::new(response.access_token, expires_at, response.scope, response.id_token, response.issued_token_type)
    }

    /// The token's text.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.text.expose()
    }

    /// The token as a secret of its own type.
    #[must_use]
    pub fn access_token(&self) -> &AccessToken {
        &self.0.text
    }

    /// The value of an `Authorization` header, marked as sensitive.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        self.0.header.clone()
    }

    /// When the token ends, as far as that is known.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.0.expires_at
    }

    /// The scopes that were granted, where the server said so.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.0.scope.as_deref()
    }

    /// The ID token that came with it, not verified.
    #[must_use]
    pub fn id_token(&self) -> Option<&IdToken> {
        self.0.id_token.as_ref()
    }

    /// The type of token that an exchange issued.
    #[must_use]
    pub fn issued_type(&self) -> Option<&TokenType> {
        self.0.issued_type.as_ref()
    }
}

impl PartialEq for Token {
    /// Whether both are the same text.
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires_at", &self.0.expires_at).finish_non_exhaustive()
    }
}
