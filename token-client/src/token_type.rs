//! What kind of token an exchange takes and issues (RFC 8693 section 3).

use std::borrow::Cow;

/// The type of a token in an exchange (RFC 8693 section 3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenType(Cow<'static, str>);

impl TokenType {
    /// An OAuth 2.0 access token, of whatever form.
    pub const ACCESS_TOKEN: Self = Self(Cow::Borrowed("urn:ietf:params:oauth:token-type:access_token"));
    /// A refresh token.
    pub const REFRESH_TOKEN: Self = Self(Cow::Borrowed("urn:ietf:params:oauth:token-type:refresh_token"));
    /// An OpenID Connect ID token.
    pub const ID_TOKEN: Self = Self(Cow::Borrowed("urn:ietf:params:oauth:token-type:id_token"));
    /// A JWT of any purpose.
    pub const JWT: Self = Self(Cow::Borrowed("urn:ietf:params:oauth:token-type:jwt"));
    /// A SAML 2.0 assertion.
    pub const SAML2: Self = Self(Cow::Borrowed("urn:ietf:params:oauth:token-type:saml2"));

    /// An identity assertion for another server (Identity Assertion JWT Authorization Grant): see [`CrossApp`](crate::CrossApp).
    pub const ID_JAG: Self = Self(Cow::Borrowed("urn:ietf:params:oauth:token-type:id-jag"));

    /// A type of somebody's own; a URI, which is not checked.
    #[must_use]
    pub fn new(uri: impl Into<Cow<'static, str>>) -> Self {
        Self(uri.into())
    }

    /// The URI.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
