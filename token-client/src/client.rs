//! A token request in, one exchange with the token endpoint, tokens out (RFC 6749 section 3.2, RFC 7009, RFC 9449
//! section 5).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, Uri};
use sha2::{Digest, Sha256};
use token_core::Clock;
use token_core::http::{HttpClient, Limits};

use token_core::opaque::client_authentication::ClientAuthentication;
use tracing::Instrument;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::dpop::Binding;
use crate::dpop::key::DpopKey;
use crate::dpop::prover::{DPOP, Prover};
use crate::error::{TokenError, TokenErrorKind, misconfigured};
use crate::grant::TokenRequest;
use crate::identity::ClientIdentity;
use crate::renewal::RenewalSettings;
use crate::response::{self, Expected, TokenResponse, process_token_response};
use crate::telemetry::{self, Asks};
use crate::token::Token;

/// An OAuth 2.0 client at one authorization server. A clone costs one `Arc`.
///
/// It caches nothing itself: [`obtain`](Self::obtain) sends a request each time. A source that caches and renews a token is made by [`source`](Self::source).
///
/// ```no_run
/// use std::sync::Arc;
/// use token_client::{TokenClient, TokenRequest, TokenSource};
/// use token_core::http::ReqwestClient;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = TokenClient::builder("https://login.example.com/token", "orders")
///     .secret("from the environment")
///     .http(ReqwestClient::new()?)
///     .build()?;
/// let billing = client.source(TokenRequest::client_credentials().audience("https://billing.example.com"));
/// let token = billing.token().await?;
/// # let _ = token; Ok(()) }
/// ```
#[derive(Clone)]
pub struct TokenClient(Arc<Inner>);

/// The settings of a client.
#[derive(Clone)]
pub(crate) struct Inner {
    pub(crate) client_id: String,
    pub(crate) token_endpoint: Url,
    pub(crate) revocation_endpoint: Option<Url>,
    pub(crate) authentication: ClientAuthentication,
    pub(crate) http: Arc<dyn HttpClient>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Limits,
    pub(crate) renewal: RenewalSettings,
    pub(crate) binding: Binding,
    pub(crate) prover: Option<Arc<Prover>>,
    pub(crate) identity: Option<ClientIdentity>,
}

struct Form {
    body: Bytes,
    header: Option<HeaderValue>,
}

impl TokenClient {
    pub(crate) fn of(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// The same client with another DPoP key: for a source whose tokens are bound to a key of their own.
    ///
    /// ```
    /// # use token_client::{DpopKey, TokenClient, TokenRequest};
    /// # use token_core::Algorithm;
    /// # fn example(client: TokenClient) -> Result<(), token_client::TokenError> {
    /// let billing = client.with_dpop(DpopKey::generate(Algorithm::ES256)?).source(TokenRequest::client_credentials().scope("billing"));
    /// # let _ = billing; Ok(()) }
    /// ```
    #[must_use]
    pub fn with_dpop(&self, key: DpopKey) -> Self {
        let mut inner = (*self.0).clone();
        inner.prover = Some(Arc::new(Prover::new(key, Arc::clone(&inner.clock))));
        if inner.binding == Binding::Bearer {
            inner.binding = Binding::Dpop;
        }
        Self(Arc::new(inner))
    }

    /// The key that the client's tokens are bound to, if it has one.
    #[must_use]
    pub fn dpop_key(&self) -> Option<&DpopKey> {
        self.0.prover.as_deref().map(Prover::key)
    }

    /// Sends one request to the token endpoint, without a cache and without retries. Only if the server asks for a DPoP nonce (RFC 9449 section 8) is the request sent
    /// again, with that nonce: the server has done nothing else yet.
    ///
    /// # Errors
    /// Every [`Fault`](crate::Fault); see [`TokenErrorKind`].
    pub async fn obtain(&self, request: &TokenRequest) -> Result<TokenResponse, TokenError> {
        self.obtain_expecting(request, &request.expected()).await
    }

    pub(crate) async fn obtain_expecting(
        &self,
        request: &TokenRequest,
        expected: &Expected,
    ) -> Result<TokenResponse, TokenError> {
        let expected = expected.clone().bound_by(self.0.binding);
        let span = Asks { client: &self.0.client_id, grant: request.grant_name() }.span();
        let answer = self.ask(request).instrument(span.clone()).await;
        let outcome = answer.and_then(|answer| {
            process_token_response(&expected, answer.status(), answer.headers(), answer.body(), self.0.clock.now())
        });
        let outcome = outcome.map_err(|error| self.with_way_out(error));
        span.record("outcome", telemetry::outcome(&outcome));
        outcome
    }

    /// Makes a [`Token`] of an answer of the token endpoint, with this client's key if the token is bound to one.
    ///
    /// # Errors
    /// [`TokenErrorKind::Misconfigured`] when the token is bound to a key and this client has none.
    pub fn token(&self, response: TokenResponse) -> Result<Token, TokenError> {
        Token::issued(response, None, self.prover())
    }

    pub(crate) fn prover(&self) -> Option<&Arc<Prover>> {
        self.0.prover.as_ref()
    }

    /// The certificate of the client, if it has one.
    #[must_use]
    pub fn identity(&self) -> Option<&ClientIdentity> {
        self.0.identity.as_ref()
    }

    /// Whether refresh tokens are bound to the proof key: those of public clients are (RFC 9449 section 5).
    pub(crate) fn binds_refresh_tokens(&self) -> bool {
        self.0.prover.is_some() && matches!(self.0.authentication, ClientAuthentication::None)
    }

    /// Revokes a token (RFC 7009 section 2). It is no error if the server does not know the token.
    ///
    /// # Errors
    /// [`TokenErrorKind::Misconfigured`] without a revocation endpoint; else as for [`obtain`](Self::obtain).
    pub async fn revoke(&self, token: Revoke<'_>) -> Result<(), TokenError> {
        let Some(endpoint) = &self.0.revocation_endpoint else {
            return Err(TokenError::new(TokenErrorKind::Misconfigured, "the client was given no revocation endpoint"));
        };
        let (text, hint) = match token {
            Revoke::Refresh(token) => (token.expose(), "refresh_token"),
            Revoke::Access(token) => (token.expose(), "access_token"),
        };
        let form = self.revocation_form(text, hint)?;
        let span = Asks { client: &self.0.client_id, grant: "revocation" }.span();
        let answer = self.post(&target(endpoint)?, form, None).instrument(span.clone()).await;
        let outcome = answer.and_then(|answer| {
            response::check_status(answer.status(), answer.headers(), answer.body(), self.0.clock.now())
        });
        let outcome = outcome.map_err(|error| self.with_way_out(error));
        span.record("outcome", telemetry::outcome(&outcome));
        outcome
    }

    /// Adds a hint to the error if correct credentials may have been refused because of their encoding.
    fn with_way_out(&self, error: TokenError) -> TokenError {
        let of_credentials = match error.kind() {
            TokenErrorKind::InvalidClient => true,
            TokenErrorKind::Refused | TokenErrorKind::InvalidGrant => error.http_status() == Some(401),
            _ => false,
        };
        match self.0.authentication.refusal_hint(&self.0.client_id) {
            Some(hint) if of_credentials => error.hinted(hint),
            _ => error,
        }
    }

    /// One exchange with the token endpoint; two if it asks for a nonce in the proof (RFC 9449 section 8). Each has its
    /// own assertion and proof.
    async fn ask(&self, request: &TokenRequest) -> Result<Response<Bytes>, TokenError> {
        let endpoint = target(&self.0.token_endpoint)?;
        let Some(prover) = self.0.prover.as_deref() else {
            return self.post(&endpoint, self.request_form(request)?, None).await;
        };
        let mut again = true;
        loop {
            let form = self.request_form(request)?;
            let proof = prover.proof(&Method::POST, &endpoint, None)?;
            let answer = self.post(&endpoint, form, Some(proof.field.clone())).await?;
            let renewed = prover.learn(&proof, answer.headers());
            if again && renewed && response::asks_for_nonce(answer.status(), answer.body()) {
                again = false;
                continue;
            }
            return Ok(answer);
        }
    }

    fn request_form(&self, request: &TokenRequest) -> Result<Form, TokenError> {
        let mut form = Serializer::new(String::new());
        request.each_parameter(&mut |name, value| {
            form.append_pair(name, value);
        });
        self.sign(form)
    }

    fn revocation_form(&self, token: &str, hint: &str) -> Result<Form, TokenError> {
        let mut form = Serializer::new(String::new());
        form.append_pair("token", token).append_pair("token_type_hint", hint);
        self.sign(form)
    }

    /// Adds the client's credentials to a form, or finds the header that goes with it.
    fn sign(&self, mut form: Serializer<'_, String>) -> Result<Form, TokenError> {
        let inner = &self.0;
        let endpoint = inner.token_endpoint.as_str();
        let credentials = inner
            .authentication
            .credentials(&inner.client_id, endpoint, inner.clock.now())
            .map_err(|error| misconfigured(error.to_string()))?;
        for (name, value) in &credentials.form {
            form.append_pair(name, value.expose());
        }
        Ok(Form { body: form.finish().into(), header: credentials.header })
    }

    async fn post(
        &self,
        endpoint: &Uri,
        form: Form,
        proof: Option<HeaderValue>,
    ) -> Result<Response<Bytes>, TokenError> {
        let mut request = Request::new(form.body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = endpoint.clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(value) = form.header {
            headers.insert(AUTHORIZATION, value);
        }
        if let Some(proof) = proof {
            headers.insert(DPOP, proof);
        }
        Ok(self.0.http.send(request, self.0.limits).await?)
    }

    /// A hash that identifies a request: endpoint, client, proof key, certificate, tenant and the whole form.
    pub(crate) fn cache_key(&self, request: &TokenRequest) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut add = |part: &str| {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        };
        add(self.0.token_endpoint.as_str());
        add(&self.0.client_id);
        add(self.0.authentication.method());
        let key = self.dpop_key().map(|key| key.thumbprint().to_string());
        add(key.as_deref().unwrap_or("no key"));
        add(self.0.identity.as_ref().map_or("no certificate", ClientIdentity::thumbprint));
        add(request.tenant_name().map_or("none", |_| "some"));
        add(request.tenant_name().unwrap_or_default());
        request.each_parameter(&mut |name, value| {
            add(name);
            add(value);
        });
        hash.finalize().into()
    }

    /// The URL of the token endpoint.
    #[must_use]
    pub fn token_endpoint(&self) -> &str {
        self.0.token_endpoint.as_str()
    }

    /// The client identifier.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.0.client_id
    }

    /// How long an exchange may take at most. With a proof there may be two requests, the second one with the server's
    /// nonce.
    pub(crate) fn longest(&self) -> Duration {
        self.timeout().saturating_mul(if self.0.prover.is_some() { 2 } else { 1 })
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.0.limits.timeout
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    pub(crate) fn renewal(&self) -> &RenewalSettings {
        &self.0.renewal
    }
}

impl fmt::Debug for TokenClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenClient")
            .field("client_id", &self.0.client_id)
            .field("token_endpoint", &self.0.token_endpoint.as_str())
            .field("authentication", &self.0.authentication.method())
            .field("dpop", &self.dpop_key())
            .finish_non_exhaustive()
    }
}

/// The token to revoke.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Revoke<'a> {
    /// A refresh token. Most servers then revoke every token of its grant.
    Refresh(&'a crate::RefreshToken),
    /// One access token.
    Access(&'a crate::AccessToken),
}

fn target(endpoint: &Url) -> Result<Uri, TokenError> {
    endpoint.as_str().parse().map_err(|_| misconfigured("the endpoint is not an absolute URL"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TokenType;
    use token_core::http::{BoxFuture, HttpError};

    #[derive(Debug)]
    struct Nowhere;
    impl HttpClient for Nowhere {
        fn send(&self, _: Request<Bytes>, _: Limits) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
            Box::pin(std::future::ready(Err(HttpError::Connect("refused".to_owned()))))
        }
    }

    /// Answers everything with 401, as a server does that did not recognise the client.
    #[derive(Debug)]
    struct Stranger(&'static str);
    impl HttpClient for Stranger {
        fn send(&self, _: Request<Bytes>, _: Limits) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
            let response = Response::builder().status(401).body(Bytes::from_static(self.0.as_bytes()));
            Box::pin(std::future::ready(Ok(response.expect("a response"))))
        }
    }

    #[tokio::test]
    async fn a_client_that_may_be_refused_for_the_form_of_its_secret_is_told_of_the_other_form() {
        let coded = r#"{"error":"invalid_client"}"#;
        for (authentication, body, hinted) in [
            (ClientAuthentication::Basic("canary!".into()), coded, true),
            (ClientAuthentication::Basic("canary!".into()), "", true),
            (ClientAuthentication::Basic("canary!".into()), r#"{"error":"invalid_scope"}"#, false),
            (ClientAuthentication::Basic("plain-canary".into()), coded, false),
            (ClientAuthentication::BasicUnencoded("canary!".into()), coded, false),
        ] {
            let client = TokenClient::builder("https://a.example/token", "app").authentication(authentication);
            let client = client.http(Stranger(body)).build().unwrap();
            let error = client.obtain(&TokenRequest::client_credentials()).await.unwrap_err().to_string();
            assert_eq!(error.contains("client_secret_basic_unencoded"), hinted, "{body}: {error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn whatever_can_change_a_token_is_in_the_key_it_is_cached_under() {
        let client = |endpoint: &str, id: &str, authentication| {
            TokenClient::builder(endpoint, id).authentication(authentication).http(Nowhere).build().unwrap()
        };
        let public = || ClientAuthentication::None;
        let usual = client("https://a.example/token", "app", public());
        let request = || TokenRequest::exchange("subject", TokenType::ACCESS_TOKEN);
        let keys = [
            ("as it is", usual.cache_key(&request())),
            ("endpoint", client("https://b.example/token", "app", public()).cache_key(&request())),
            ("client", client("https://a.example/token", "other", public()).cache_key(&request())),
            (
                "authentication",
                client("https://a.example/token", "app", ClientAuthentication::Basic("s".into())).cache_key(&request()),
            ),
            ("tenant", usual.cache_key(&request().tenant("a"))),
            ("another tenant", usual.cache_key(&request().tenant("b"))),
            ("a tenant without a name", usual.cache_key(&request().tenant(""))),
            ("subject", usual.cache_key(&TokenRequest::exchange("other", TokenType::ACCESS_TOKEN))),
            ("type", usual.cache_key(&TokenRequest::exchange("subject", TokenType::ID_TOKEN))),
            ("requested type", usual.cache_key(&request().requested_type(TokenType::JWT))),
            ("actor", usual.cache_key(&request().actor("us", TokenType::ACCESS_TOKEN))),
            ("audience", usual.cache_key(&request().audience("x"))),
            ("resource", usual.cache_key(&request().resource("x"))),
            ("scope", usual.cache_key(&request().scope("x"))),
            ("parameter", usual.cache_key(&request().parameter("x", ""))),
            ("its value", usual.cache_key(&request().parameter("x", "y"))),
        ];
        for (at, (what, key)) in keys.iter().enumerate() {
            let twin = keys[..at].iter().find(|(_, earlier)| earlier == key);
            assert!(twin.is_none(), "{what} and {twin:?}");
        }
        assert_eq!(usual.cache_key(&request().scope("b a")), usual.cache_key(&request().scope("a").scope("b")));
    }
}
