//! A `reqwest-middleware` client that attaches tokens: to allowed origins only, and with redirects switched off.

use std::sync::Arc;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use reqwest::redirect::Policy;
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, Error, Middleware, Next};

use super::is_refusal;
use super::origins::Origins;
use crate::source::TokenSource;

/// Makes clients of [`reqwest_middleware`] that attach a token, by the rules of [`BearerLayer`](crate::BearerLayer).
///
/// There is no way to put it around a client of reqwest that follows redirects, since those would be followed below the
/// list of origins: [`client`](Self::client) builds the client itself and switches them off.
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
    /// Sends tokens of `source` to `origins` and nowhere else.
    #[must_use]
    pub fn new(source: impl TokenSource, origins: Origins) -> Self {
        Self { source: Arc::new(source), origins: Arc::new(origins) }
    }

    /// A client with these settings, but for redirects; other middleware can be added to it.
    ///
    /// # Errors
    /// What `reqwest` says about the settings.
    pub fn client(&self, settings: reqwest::ClientBuilder) -> Result<ClientBuilder, reqwest::Error> {
        let client = settings.redirect(Policy::none()).build()?;
        Ok(ClientBuilder::new(client).with(Attach(self.clone())))
    }
}

/// Private, so that it cannot be put around any other client.
#[derive(Debug)]
struct Attach(BearerClient);

#[async_trait]
impl Middleware for Attach {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut http::Extensions,
        next: Next<'_>,
    ) -> Result<Response, Error> {
        let BearerClient { source, origins } = &self.0;
        if !origins.allow(request.url().as_str()) {
            return next.run(request, extensions).await;
        }
        let token = source.token().await.map_err(Error::middleware)?;
        let again = request.try_clone();
        request.headers_mut().insert(AUTHORIZATION, token.header());
        let answer = next.clone().run(request, extensions).await?;
        if !is_refusal(answer.status(), answer.headers()) {
            return Ok(answer);
        }
        let renewed = source.renew(&token);
        let Some(mut again) = again else { return Ok(answer) };
        match renewed.await {
            Ok(renewed) if renewed != token => {
                again.headers_mut().insert(AUTHORIZATION, renewed.header());
                next.run(again, extensions).await
            }
            _ => Ok(answer),
        }
    }
}
