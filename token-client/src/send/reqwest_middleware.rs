//! A `reqwest-middleware` client that attaches tokens: to allowed origins only, and with redirects switched off.

use std::sync::Arc;

use async_trait::async_trait;
use http::Uri;
use reqwest::redirect::Policy;
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, Error, Middleware, Next as Rest};

use super::origins::Origins;
use super::turn::{self, Next, Turns};
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

    /// A client with these settings, but for redirects; other middleware can be added to it. If the source has a
    /// [certificate](crate::ClientIdentity), the client shows it to whoever asks for one.
    ///
    /// # Errors
    /// What `reqwest` says about the settings.
    pub fn client(&self, mut settings: reqwest::ClientBuilder) -> Result<ClientBuilder, reqwest::Error> {
        if let Some(identity) = self.source.identity() {
            settings = settings.identity(reqwest::Identity::from_pem(identity.expose_pem().as_bytes())?);
        }
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
