//! A `reqwest-middleware` client that adds tokens: to allowed origins only, and with redirects turned off.

use std::sync::Arc;

use async_trait::async_trait;
use http::Uri;
use reqwest::redirect::Policy;
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, Error, Middleware, Next as Rest};

use super::origins::Origins;
use super::turn::{self, Next, Turns};
use crate::source::TokenSource;

/// Builds clients of [`reqwest_middleware`] that add a token, by the rules of [`BearerLayer`](crate::BearerLayer).
///
/// It cannot wrap an existing reqwest client: if that followed redirects, the new URLs would not be checked against the
/// list of origins. [`client`](Self::client) therefore builds the client and turns redirects off.
///
/// ```no_run
/// # use token_client::{BearerClient, Origins, TokenClient, TokenRequest};
/// # async fn example(client: TokenClient) -> Result<(), Box<dyn std::error::Error>> {
/// let source = client.source(TokenRequest::client_credentials());
/// let bearer = BearerClient::new(source, Origins::of(["https://billing.example.com"])?);
/// let http = bearer.client(reqwest::Client::builder())?.build();
/// http.get("https://billing.example.com/invoices").send().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct BearerClient {
    source: Arc<dyn TokenSource>,
    origins: Arc<Origins>,
}

impl BearerClient {
    /// Sends tokens from `source` to `origins` only.
    #[must_use]
    pub fn new(source: impl TokenSource, origins: Origins) -> Self {
        Self { source: Arc::new(source), origins: Arc::new(origins) }
    }

    /// Builds a client with these settings, except for redirects; other middleware can be added to it. If the source
    /// has a [certificate](crate::ClientIdentity), the client presents it to servers that ask for one.
    ///
    /// # Errors
    /// The error of `reqwest` about the settings.
    pub fn client(&self, mut settings: reqwest::ClientBuilder) -> Result<ClientBuilder, reqwest::Error> {
        if let Some(identity) = self.source.identity() {
            settings = settings.identity(reqwest::Identity::from_pem(identity.expose_pem().as_bytes())?);
        }
        let client = settings.redirect(Policy::none()).build()?;
        Ok(ClientBuilder::new(client).with(Attach(self.clone())))
    }
}

/// Private, so that it cannot be added to any other client.
#[derive(Debug)]
struct Attach(BearerClient);

#[async_trait]
impl Middleware for Attach {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut http::Extensions,
        next: Rest<'_>,
    ) -> Result<Response, Error> {
        let BearerClient { source, origins } = &self.0;
        if !origins.allow(request.url().as_str()) {
            return next.run(request, extensions).await;
        }
        let uri: Uri = request.url().as_str().parse().map_err(Error::middleware)?;
        let method = request.method().clone();
        let mut token = source.token().await.map_err(Error::middleware)?;
        let mut turns = Turns::new();
        loop {
            let again = if turns.may_go_on(&token) { request.try_clone() } else { None };
            let sent = turn::attach(request.headers_mut(), &token, &method, &uri).map_err(Error::middleware)?;
            let answer = next.clone().run(request, extensions).await?;
            match turns.after(&token, &sent, answer.status(), answer.headers()) {
                Next::Answer => return Ok(answer),
                Next::SendAgain => {}
                Next::Renew => match turn::another(&**source, &token, again.is_some()).await {
                    Some(renewed) => token = renewed,
                    None => return Ok(answer),
                },
            }
            let Some(retried) = again else { return Ok(answer) };
            request = retried;
        }
    }
}
