//! What the operator says of a layer, and the services it makes.

use token_core::possession::{DpopPolicy, ExternalUrl};
use token_core::{Error, ResourceServer, adapter::Admission};
use tower_layer::Layer;

use crate::service::Token;

/// Lets requests in that carry a token which the resource server accepts, and answers the others.
///
/// The [`Outcome`](crate::Outcome) is written into the request's extensions; see [`outcome`](crate::outcome) for reading it.
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
    /// A layer that asks every request for a token which `server` accepts.
    pub fn new(server: ResourceServer) -> Self {
        Self { admission: Admission::new(server) }
    }

    /// Lets requests without bearer credentials pass as [`Outcome::Anonymous`](crate::Outcome::Anonymous). Credentials that are there
    /// and bad are refused all the same, and a handler that asks for a token still gets one or is not called.
    pub fn allow_anonymous(mut self) -> Self {
        self.admission = self.admission.allow_anonymous();
        self
    }

    /// Writes who the caller is into the application's own span around the request: its fields `token.subject`, `token.client_id` and `token.issuer`
    /// ([`CALLER_FIELDS`](token_core::telemetry::CALLER_FIELDS)), as far as it declares them. Off unless asked for: the subject is personal data.
    pub fn record_caller(mut self) -> Self {
        self.admission = self.admission.record_caller();
        self
    }

    /// Takes other schemes of credentials on these routes than the server does elsewhere: [`DpopPolicy::Required`], say. The server has to be
    /// told of [DPoP](token_core::ResourceServerBuilder::dpop), too. A second layer around the same route does not count its proof twice.
    pub fn dpop(mut self, policy: DpopPolicy) -> Self {
        self.admission = self.admission.dpop(policy);
        self
    }

    /// Where clients reach these routes, if it is not where they reach the server: for `htu` of proofs of possession (RFC 9449 section 4.2).
    pub fn external_url(mut self, url: ExternalUrl) -> Self {
        self.admission = self.admission.external_url(url);
        self
    }

    /// Names these scopes, separated by blanks, in the challenge of each 401 (RFC 6750 section 3): what a client without a good token should ask
    /// its authorization server for.
    pub fn challenge_scope(mut self, scope: impl Into<String>) -> Self {
        self.admission = self.admission.challenge_scope(scope.into());
        self
    }

    /// Writes the body of refusals with `body`, which returns its media type and its text.
    ///
    /// It is asked for every refusal that leaves through the layer, so also for those of extractors, of
    /// [`ScopeLayer`](crate::ScopeLayer), and of handlers that return the error. Status, `WWW-Authenticate` and
    /// `Retry-After` stay those of the table. gRPC clients get no body and so see none of it.
    ///
    /// What is written goes to the client: take [`ErrorKind::public_text`](token_core::ErrorKind::public_text), not the error's `Display`.
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
