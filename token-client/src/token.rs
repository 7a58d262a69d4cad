//! A token ready to be sent: one `Arc`, with its header value made once (RFC 6750 section 2.1, RFC 9449 section 7.1).

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Uri};
use token_core::{SystemClock, Timestamp};

use crate::TokenError;
use crate::dpop::key::DpopKey;
use crate::dpop::prover::Prover;
use crate::error::misconfigured;
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
    /// Makes the proofs, if the token is bound to a key.
    prover: Option<Arc<Prover>>,
}

impl Token {
    /// A token that was issued elsewhere, to be sent as a bearer token.
    ///
    /// # Errors
    /// [`Malformed`](crate::TokenErrorKind::Malformed) if the text is not valid in a header.
    pub fn bearer(text: impl Into<AccessToken>, expires_at: Option<Timestamp>) -> Result<Self, TokenError> {
        Self::new(text.into(), expires_at, None)
    }

    /// A token that was issued elsewhere and is bound to this key (RFC 9449). It remembers the nonces of the servers
    /// that it is sent to.
    ///
    /// # Errors
    /// [`Malformed`](crate::TokenErrorKind::Malformed) if the text is not valid in a header.
    pub fn dpop(
        text: impl Into<AccessToken>,
        expires_at: Option<Timestamp>,
        key: &DpopKey,
    ) -> Result<Self, TokenError> {
        let prover = Prover::new(key.clone(), Arc::new(SystemClock));
        Self::new(text.into(), expires_at, Some(Arc::new(prover)))
    }

    fn new(text: AccessToken, expires_at: Option<Timestamp>, prover: Option<Arc<Prover>>) -> Result<Self, TokenError> {
        let scheme = if prover.is_some() { "DPoP" } else { "Bearer" };
        let mut header = HeaderValue::from_str(&format!("{scheme} {}", text.expose()))
            .map_err(|_| malformed("the token does not fit into a header field"))?;
        header.set_sensitive(true);
        let inner = Inner { text, header, expires_at, scope: None, id_token: None, issued_type: None, prover };
        Ok(Self(Arc::new(inner)))
    }

    /// The token in a token endpoint's response, never used after `cap`. `prover` belongs to the client that asked.
    pub(crate) fn issued(
        response: TokenResponse,
        cap: Option<Timestamp>,
        prover: Option<&Arc<Prover>>,
    ) -> Result<Self, TokenError> {
        let expires_at = match (response.expires_at, cap) {
            (Some(expires_at), Some(cap)) => Some(expires_at.min(cap)),
            (expires_at, cap) => expires_at.or(cap),
        };
        let prover = match (response.dpop_bound, prover) {
            (false, _) => None,
            (true, Some(prover)) => Some(Arc::clone(prover)),
            (true, None) => return Err(misconfigured("the token is bound to a key, and the client has none")),
        };
        let mut token = Self::new(response.access_token, expires_at, prover)?;
        if let Some(inner) = Arc::get_mut(&mut token.0) {
            inner.scope = response.scope;
            inner.id_token = response.id_token;
            inner.issued_type = response.issued_token_type;
        }
        Ok(token)
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

    /// The value of the `Authorization` header, marked as sensitive. If the token [is bound](Self::is_dpop_bound), the
    /// request also needs a [`proof`](Self::proof).
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        self.0.header.clone()
    }

    /// Whether the token is bound to a key (RFC 9449), and so is useless without a proof.
    #[must_use]
    pub fn is_dpop_bound(&self) -> bool {
        self.0.prover.is_some()
    }

    /// The value of the `DPoP` header for one request with this token, marked as sensitive; `None` for a bearer token.
    ///
    /// Only needed for requests that you send yourself: [`BearerLayer`](crate::BearerLayer) and `BearerClient` add
    /// proofs on their own. Each request needs a new proof, also when it is repeated. The proof contains the last nonce
    /// from the origin of `uri` that [`learn_nonce`](Self::learn_nonce) was told of.
    ///
    /// ```
    /// use http::{Method, Request};
    /// use token_client::{DpopKey, Token};
    /// use token_core::Algorithm;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let token = Token::dpop("the token", None, &DpopKey::generate(Algorithm::ES256)?)?;
    /// let mut request = Request::get("https://api.example.com/invoices?page=2").body(())?;
    /// if let Some(proof) = token.proof(request.method(), request.uri())? {
    ///     request.headers_mut().insert("dpop", proof);
    /// }
    /// request.headers_mut().insert("authorization", token.header());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Misconfigured`](crate::TokenErrorKind::Misconfigured) if `uri` is not an absolute http or https URL, or the
    /// key cannot sign.
    pub fn proof(&self, method: &Method, uri: &Uri) -> Result<Option<HeaderValue>, TokenError> {
        let prover = self.0.prover.as_deref();
        prover.map(|prover| Ok(prover.proof(method, uri, Some(self.expose()))?.field)).transpose()
    }

    /// Remembers the nonce in the response to a request to `uri`, for later proofs (RFC 9449 section 8.2). Returns
    /// whether it is new. If so, repeat a request that got a 401 with the error `use_dpop_nonce`.
    pub fn learn_nonce(&self, uri: &Uri, answer: &HeaderMap) -> bool {
        self.0.prover.as_deref().is_some_and(|prover| prover.learn_from(uri, answer))
    }

    pub(crate) fn prover(&self) -> Option<&Prover> {
        self.0.prover.as_deref()
    }

    /// When the token expires, if known.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.0.expires_at
    }

    /// The granted scopes, if the server listed them.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.0.scope.as_deref()
    }

    /// The ID token from the same response. It has not been verified.
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
    /// Whether both have the same text.
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
