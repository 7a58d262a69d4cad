//! A request to the issuer in, its answer out without a network: for tests whose time stands still (`HttpClient` of `token-core`).

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as _;
use token_core::http::{BoxFuture, HttpClient, HttpError, Limits};
use tower_service::Service;

use crate::serve::CloseWithoutAnswer;

/// An HTTP client that reaches one issuer, without a socket, and nothing else. Returned by
/// [`TestIssuer::in_memory`](crate::TestIssuer::in_memory).
#[derive(Clone, Debug)]
pub struct InMemory {
    pub(crate) router: Router,
    /// The host and port of the issuer's identifier.
    pub(crate) authority: String,
}

impl HttpClient for InMemory {
    fn send(&self, request: Request<Bytes>, limits: Limits) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        let ours = request.uri().authority().is_some_and(|authority| authority.as_str() == self.authority);
        let answer = self.router.clone().call(request.map(Body::from));
        Box::pin(async move {
            if !ours {
                return Err(HttpError::Connect("only the embedded issuer is reached in memory".to_owned()));
            }
            match tokio::time::timeout(limits.timeout, whole(answer, limits.max_body)).await {
                Ok(answer) => answer,
                Err(_) => Err(HttpError::Timeout),
            }
        })
    }
}

async fn whole(
    answer: impl Future<Output = Result<Response<Body>, std::convert::Infallible>>,
    limit: usize,
) -> Result<Response<Bytes>, HttpError> {
    let Ok(response) = answer.await;
    if response.extensions().get::<CloseWithoutAnswer>().is_some() {
        return Err(HttpError::Broken("closed without an answer".to_owned()));
    }
    let (parts, mut body) = response.into_parts();
    let mut read = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await {
        let data = frame.map_err(|error| HttpError::Broken(error.to_string()))?.into_data().unwrap_or_default();
        if read.len() + data.len() > limit {
            return Err(HttpError::TooLarge { limit });
        }
        read.extend_from_slice(&data);
    }
    Ok(Response::from_parts(parts, Bytes::from(read)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Endpoint, TestIssuer};

    async fn get(issuer: &TestIssuer, uri: &str, limits: Limits) -> Result<Response<Bytes>, HttpError> {
        issuer.in_memory().send(Request::get(uri).body(Bytes::new()).unwrap(), limits).await
    }

    #[tokio::test(start_paused = true)]
    async fn it_answers_fails_and_is_slow_as_the_issuer_is() {
        let issuer = TestIssuer::start().await;
        let limits = Limits::default();
        let keys = get(&issuer, &issuer.jwks_uri(), limits).await.unwrap();
        assert!(keys.status() == 200 && keys.body().starts_with(b"{\"keys\""));
        assert_eq!(issuer.hits(Endpoint::Jwks), 1);

        issuer.faults().at(Endpoint::Jwks).slow(Duration::from_secs(6));
        assert_eq!(get(&issuer, &issuer.jwks_uri(), limits).await.unwrap_err(), HttpError::Timeout);
        issuer.heal();
        issuer.faults().at(Endpoint::Jwks).down();
        assert!(matches!(get(&issuer, &issuer.jwks_uri(), limits).await, Err(HttpError::Broken(_))));
        issuer.faults().at(Endpoint::Jwks).oversized();
        let limit = limits.max_body;
        assert_eq!(get(&issuer, &issuer.jwks_uri(), limits).await.unwrap_err(), HttpError::TooLarge { limit });
        assert!(matches!(get(&issuer, "http://127.0.0.1:1/jwks", limits).await, Err(HttpError::Connect(_))));
    }
}
