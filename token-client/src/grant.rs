//! A request to a token endpoint as data, and the form it becomes (RFC 6749 section 4, RFC 7523, RFC 8693 section 2.1,
//! RFC 8707).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use crate::pkce::PkceVerifier;
use crate::response::{Expected, Issued};
use crate::secret::{Assertion, AuthorizationCode, RefreshToken, Secret};
use crate::token_type::TokenType;

/// One request to a token endpoint, without the client's credentials.
///
/// ```
/// use token_client::{TokenRequest, TokenType};
///
/// let machine = TokenRequest::client_credentials().audience("https://billing.example.com").scope("read write");
/// let delegated = TokenRequest::exchange("the user's token", TokenType::ACCESS_TOKEN)
///     .actor("our own token", TokenType::ACCESS_TOKEN)
///     .resource("https://billing.example.com/");
/// assert!(!format!("{machine:?} {delegated:?}").contains("the user's token"));
/// ```
#[derive(Clone, PartialEq, Eq)]
#[must_use]
pub struct TokenRequest {
    grant: Grant,
    audience: Vec<String>,
    resource: Vec<String>,
    scopes: BTreeSet<String>,
    extra: Vec<(Cow<'static, str>, Secret)>,
    /// Not sent: separates cached tokens that the form alone would not distinguish.
    tenant: Option<String>,
}

#[derive(Clone, PartialEq, Eq)]
enum Grant {
    ClientCredentials,
    Refresh(RefreshToken),
    Code { code: AuthorizationCode, redirect_uri: Option<String>, verifier: PkceVerifier },
    JwtBearer { assertion: Assertion, on_behalf_of: bool },
    Exchange { subject: (Assertion, TokenType), actor: Option<(Assertion, TokenType)>, requested: Option<TokenType> },
    Other(Cow<'static, str>),
}

impl TokenRequest {
    fn new(grant: Grant) -> Self {
        Self {
            grant,
            audience: Vec::new(),
            resource: Vec::new(),
            scopes: BTreeSet::new(),
            extra: Vec::new(),
            tenant: None,
        }
    }

    /// Requests a token for the client itself (RFC 6749 section 4.4).
    pub fn client_credentials() -> Self {
        Self::new(Grant::ClientCredentials)
    }

    /// Requests new tokens for a refresh token (RFC 6749 section 6, OpenID Connect Core section 12). If the server
    /// rotates refresh tokens, this request uses the token up; see [`RefreshSource`](crate::RefreshSource) for the
    /// consequences.
    pub fn refresh(token: impl Into<RefreshToken>) -> Self {
        Self::new(Grant::Refresh(token.into()))
    }

    /// Redeems an authorization code (RFC 6749 section 4.1.3) with its PKCE verifier (RFC 7636 section 4.5).
    ///
    /// A client with a [`DpopKey`](crate::DpopKey) may send its [thumbprint](crate::DpopKey::thumbprint) as `dpop_jkt`
    /// in the authorization request (RFC 9449 section 10); it must then redeem the code with the same key.
    pub fn authorization_code(code: impl Into<AuthorizationCode>, verifier: PkceVerifier) -> Self {
        Self::new(Grant::Code { code: code.into(), redirect_uri: None, verifier })
    }

    /// Uses an assertion as the grant (RFC 7523 section 2.1).
    pub fn jwt_bearer(assertion: impl Into<Assertion>) -> Self {
        Self::new(Grant::JwtBearer { assertion: assertion.into(), on_behalf_of: false })
    }

    /// Uses Entra's on-behalf-of flow: the user's token as the assertion, with `requested_token_use=on_behalf_of`.
    pub fn on_behalf_of(user_token: impl Into<Assertion>) -> Self {
        Self::new(Grant::JwtBearer { assertion: user_token.into(), on_behalf_of: true })
    }

    /// Exchanges a token for another one (RFC 8693 section 2.1).
    pub fn exchange(subject_token: impl Into<Assertion>, subject_type: TokenType) -> Self {
        Self::new(Grant::Exchange { subject: (subject_token.into(), subject_type), actor: None, requested: None })
    }

    /// Uses another grant type, whose parameters are added with [`parameter`](Self::parameter).
    pub fn other(grant_type: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Grant::Other(grant_type.into()))
    }

    /// Sets who acts for the subject of an exchange. Has no effect on other grants.
    pub fn actor(mut self, token: impl Into<Assertion>, token_type: TokenType) -> Self {
        if let Grant::Exchange { actor, .. } = &mut self.grant {
            *actor = Some((token.into(), token_type));
        }
        self
    }

    /// Sets the type of token that an exchange must issue. Without it, an access token or a JWT is accepted. Has no
    /// effect on other grants.
    pub fn requested_type(mut self, token_type: TokenType) -> Self {
        if let Grant::Exchange { requested, .. } = &mut self.grant {
            *requested = Some(token_type);
        }
        self
    }

    /// Sets the redirect URI of the authorization request, if one was sent. Has no effect on other grants.
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        if let Grant::Code { redirect_uri, .. } = &mut self.grant {
            *redirect_uri = Some(uri.into());
        }
        self
    }

    /// Adds the logical name of a service that the token is for; may be called several times.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience.push(audience.into());
        self
    }

    /// Adds the URI of a service that the token is for (RFC 8707); may be called several times.
    pub fn resource(mut self, uri: impl Into<String>) -> Self {
        self.resource.push(uri.into());
        self
    }

    /// Adds scopes, separated by spaces; may be called several times. They are sent sorted and without duplicates.
    pub fn scope(mut self, scopes: &str) -> Self {
        self.scopes.extend(scopes.split_ascii_whitespace().map(str::to_owned));
        self
    }

    /// Adds another parameter. Its value is treated as a secret.
    pub fn parameter(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.extra.push((name.into(), Secret::new(value)));
        self
    }

    /// Separates this tenant's cached tokens from those of others. It is not sent.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// The same request with this refresh token as its grant.
    pub(crate) fn with_refresh_token(&self, token: &str) -> Self {
        Self { grant: Grant::Refresh(RefreshToken::new(token)), ..self.clone() }
    }

    pub(crate) fn tenant_name(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// Whether the grant can be used only once, so that a failed attempt must not be repeated.
    #[must_use]
    pub fn is_single_use(&self) -> bool {
        matches!(self.grant, Grant::Refresh(_) | Grant::Code { .. })
    }

    pub(crate) fn grant_type(&self) -> &str {
        match &self.grant {
            Grant::ClientCredentials => "client_credentials",
            Grant::Refresh(_) => "refresh_token",
            Grant::Code { .. } => "authorization_code",
            Grant::JwtBearer { .. } => "urn:ietf:params:oauth:grant-type:jwt-bearer",
            Grant::Exchange { .. } => "urn:ietf:params:oauth:grant-type:token-exchange",
            Grant::Other(name) => name,
        }
    }

    /// The grant as one of a fixed set of names, for metrics and spans.
    pub(crate) fn grant_name(&self) -> &'static str {
        match &self.grant {
            Grant::ClientCredentials => "client_credentials",
            Grant::Refresh(_) => "refresh_token",
            Grant::Code { .. } => "authorization_code",
            Grant::JwtBearer { on_behalf_of: false, .. } => "jwt_bearer",
            Grant::JwtBearer { on_behalf_of: true, .. } => "on_behalf_of",
            Grant::Exchange { .. } => "token_exchange",
            Grant::Other(_) => "other",
        }
    }

    /// Calls `each` with every parameter of the form, in an order that depends only on the request.
    pub(crate) fn each_parameter(&self, each: &mut dyn FnMut(&str, &str)) {
        each("grant_type", self.grant_type());
        match &self.grant {
            Grant::ClientCredentials | Grant::Other(_) => {}
            Grant::Refresh(token) => each("refresh_token", token.expose()),
            Grant::Code { code, redirect_uri, verifier } => {
                each("code", code.expose());
                if let Some(uri) = redirect_uri {
                    each("redirect_uri", uri);
                }
                each("code_verifier", verifier.expose());
            }
            Grant::JwtBearer { assertion, on_behalf_of } => {
                each("assertion", assertion.expose());
                if *on_behalf_of {
                    each("requested_token_use", "on_behalf_of");
                }
            }
            Grant::Exchange { subject, actor, requested } => {
                each("subject_token", subject.0.expose());
                each("subject_token_type", subject.1.as_str());
                if let Some((token, token_type)) = actor {
                    each("actor_token", token.expose());
                    each("actor_token_type", token_type.as_str());
                }
                if let Some(token_type) = requested {
                    each("requested_token_type", token_type.as_str());
                }
            }
        }
        self.audience.iter().for_each(|audience| each("audience", audience));
        self.resource.iter().for_each(|resource| each("resource", resource));
        if !self.scopes.is_empty() {
            let scopes: Vec<&str> = self.scopes.iter().map(String::as_str).collect();
            each("scope", &scopes.join(" "));
        }
        self.extra.iter().for_each(|(name, value)| each(name, value.expose()));
    }

    /// What the response must contain.
    pub(crate) fn expected(&self) -> Expected {
        let issued = match &self.grant {
            Grant::Exchange { requested: Some(requested), .. } => Issued::Exactly(requested.clone()),
            Grant::Exchange { requested: None, .. } => Issued::AccessTokenOrJwt,
            _ => Issued::Unsaid,
        };
        Expected { issued, refreshes: self.grant_type() == "refresh_token", ..Expected::access_token() }
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRequest")
            .field("grant_type", &self.grant_type())
            .field("audience", &self.audience)
            .field("resource", &self.resource)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(request: &TokenRequest) -> String {
        let mut pairs = Vec::new();
        request.each_parameter(&mut |name, value| pairs.push(format!("{name}={value}")));
        pairs.join("&")
    }

    #[test]
    fn every_grant_becomes_the_form_of_its_rfc() {
        let verifier = PkceVerifier::parse(&"v".repeat(43)).unwrap();
        let table = [
            (
                TokenRequest::client_credentials().scope("b a b").audience("x").resource("https://y/"),
                "grant_type=client_credentials&audience=x&resource=https://y/&scope=a b".to_owned(),
            ),
            (TokenRequest::refresh("r1"), "grant_type=refresh_token&refresh_token=r1".to_owned()),
            (
                TokenRequest::authorization_code("c1", verifier).redirect_uri("https://app/cb"),
                format!(
                    "grant_type=authorization_code&code=c1&redirect_uri=https://app/cb&code_verifier={}",
                    "v".repeat(43)
                ),
            ),
            (
                TokenRequest::on_behalf_of("u"),
                "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion=u&requested_token_use=on_behalf_of"
                    .to_owned(),
            ),
            (
                TokenRequest::exchange("u", TokenType::ACCESS_TOKEN)
                    .actor("me", TokenType::JWT)
                    .requested_type(TokenType::ACCESS_TOKEN),
                "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=u\
                 &subject_token_type=urn:ietf:params:oauth:token-type:access_token\
                 &actor_token=me&actor_token_type=urn:ietf:params:oauth:token-type:jwt\
                 &requested_token_type=urn:ietf:params:oauth:token-type:access_token"
                    .to_owned(),
            ),
            (TokenRequest::other("urn:x").parameter("p", "q").tenant("t"), "grant_type=urn:x&p=q".to_owned()),
        ];
        for (request, expected) in table {
            assert_eq!(form(&request), expected);
        }
    }
}
