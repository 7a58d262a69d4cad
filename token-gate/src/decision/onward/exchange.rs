//! A caller's token in, a token of the service's out, as the policy says where and for whom (RFC 8693, RFC 7523).

use http::HeaderValue;
use token_client::{Delegation, Downstream, Refusal as NoToken, TokenClient, TokenRequest};
use token_core::Verified;
use token_core::http::ReqwestClient;
use token_core::policy::gate::{ExchangePolicy, ExchangeStyle};

use crate::decision::refusal::Refusal;

/// The one service behind the gate; the policy says what it is called.
struct Service;

impl Downstream for Service {
    const AUDIENCE: &'static str = "";
}

/// One exchange a token, however many requests come with it; never good for longer than that token.
#[derive(Debug)]
pub(crate) struct Exchange(Delegation<Service>);

impl Exchange {
    /// # Errors
    /// What in the policy cannot be.
    pub(crate) fn new(policy: &ExchangePolicy) -> Result<Self, String> {
        let mut http = ReqwestClient::builder();
        if policy.allow_loopback_http {
            http = http.allow_loopback_http();
        }
        if policy.allow_private_addresses {
            http = http.allow_private_addresses();
        }
        let http = http.build().map_err(|error| error.to_string())?;
        let authentication = policy.client_authentication().map_err(|error| error.to_string())?;
        let client = TokenClient::builder(&policy.token_endpoint, &policy.client_id)
            .authentication(authentication)
            .http(http)
            .timeout(policy.timeout)
            .build()
            .map_err(|error| error.to_string())?;
        let exchange = match policy.style {
            ExchangeStyle::OnBehalfOf => Delegation::on_behalf_of(client),
            _ => Delegation::exchange(client),
        };
        let (audience, resource, scope) = (policy.audience.clone(), policy.resource.clone(), policy.scope.clone());
        Ok(Self(exchange.shape(move |request| {
            let request = audience.iter().fold(request, TokenRequest::audience);
            let request = resource.iter().fold(request, TokenRequest::resource);
            scope.iter().fold(request, |request, scope| request.scope(scope))
        })))
    }

    /// # Errors
    /// What a client is told of an exchange that failed: our trouble (500, 503 with `Retry-After`), but where the authorization server no longer
    /// knows the caller's token (401), or wants the user to act (403).
    pub(crate) async fn token(&self, caller: &Verified) -> Result<HeaderValue, Refusal> {
        match self.0.for_caller(caller).await {
            Ok(token) => Ok(token.header()),
            Err(error) => Err(match error.refusal() {
                NoToken::Gate(error) => caller.refusal(error).into(),
                NoToken::User { status, body } => Refusal::User { kind: error.kind().name(), status, body },
                _ => Refusal::Unsigned("the exchange of the caller's token failed"),
            }),
        }
    }
}
