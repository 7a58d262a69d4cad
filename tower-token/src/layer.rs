//! What the operator says of a layer, and the services it makes.

use token_core::possession::{DpopPolicy, ExternalUrl};
use token_core::{Error, ResourceServer, adapter::Admission};
use tower_layer::Layer;

use crate::service::Token;

/// Verifies the token of each request. Requests with a good token reach the inner service, the others are answered with status and challenge.
///
/// The [`Outcome`](crate::Outcome) is written into the request's extensions; read it with [`outcome`](crate::outcome).
///
/// ```
/// use token_core::{Issuer, ResourceServer};
/// use tower_token::TokenLayer;
///
/// # fn main() -> Result<(), token_core::ConfigError> {
/// let api = ResourceServer::builder("https://api.example.com").trust(Issuer::discover("https://login.example.com/")?).build()?;
/// let layer = TokenLayer::new(api)
///     .allow_anonymous()
///     .rejection(|error| ("application/json", format!(r#"{{"code":"{}"}}"#, error.kind())));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct TokenLayer {
    admission: Admission,
}

impl TokenLayer {
    /// A layer that requires a token which `server` accepts.
    pub fn new(server: ResourceServer) -> Self {
        Self { admission: Admission::new(server) }
    }

    /// Lets requests without credentials pass, as [`Outcome::Anonymous`](crate::Outcome::Anonymous). Bad credentials are still refused, and a handler that asks
    /// for a token is still not called without one.
    pub fn allow_anonymous(mut self) -> Self {
        self.admission = self.admission.allow_anonymous();
        self
    }

    /// Records the caller in the application's own span around the request, in those of the fields `token.subject`, `token.client_id` and `token.issuer`
    /// ([`CALLER_FIELDS`](token_core::telemetry::CALLER_FIELDS)) that the span declares. Off by default: the subject is personal data.
    pub fn record_caller(mut self) -> Self {
        self.admission = self.admission.record_caller();
        self
    }

    /// Accepts other kinds of credentials on these routes than the server does elsewhere: only DPoP, for example, with [`DpopPolicy::Required`]. The server must
    /// have [DPoP](token_core::ResourceServerBuilder::dpop) configured. Two layers around the same route count the proof of a request once.
    pub fn dpop(mut self, policy: DpopPolicy) -> Self {
        self.admission = self.admission.dpop(policy);
        self
    }

    /// The URL under which clients reach these routes, if it differs from the server's. It is compared with `htu` of DPoP proofs (RFC 9449 section 4.2).
    pub fn external_url(mut self, url: ExternalUrl) -> Self {
        self.admission = self.admission.external_url(url);
        self
    }

    /// Names these scopes, separated by spaces, in the challenge of each 401 (RFC 6750 section 3): the scopes that a client should ask its authorization server
    /// for.
    pub fn challenge_scope(mut self, scope: impl Into<String>) -> Self {
        self.admission = self.admission.challenge_scope(scope.into());
        self
    }

    /// Replaces the body of refusals. `body` returns its media type and its text.
    ///
    /// It is called for each refusal that passes this layer, also for those of extractors, of [`ScopeLayer`](crate::ScopeLayer), and of handlers that return the
    /// error. Status, `WWW-Authenticate` and `Retry-After` cannot be changed. Answers to gRPC calls have no body.
    ///
    /// The client reads what you write: use [`ErrorKind::public_text`](token_core::ErrorKind::public_text), not the error's `Display`.
    pub fn rejection<T: Into<String>>(
        mut self,
        body: impl Fn(&Error) -> (&'static str, T) + Send + Sync + 'static,
    ) -> Self {
        self.admission = self.admission.rejection(body);
        self
    }
}

impl<S> Layer<S> for TokenLayer {
    type Service = Token<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Token::new(inner, self.admission.clone())
    }
}
