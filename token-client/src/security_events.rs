//! Security events fetched where they cannot be pushed: a transmitter's poll endpoint in, events carried out and acknowledged out (RFC 8936).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Uri};
use serde::{Deserialize, Serialize};
use token_core::ErrorKind;
use token_core::http::{HttpClient, HttpError, Limits};
use token_core::security_events::SecurityEventEndpoint;

use crate::error::{TokenError, TokenErrorKind, misconfigured};
use crate::source::TokenSource;

/// The largest answer that is read: a hundred events of the largest size that is verified.
const LARGEST: usize = 2 * 1024 * 1024;
/// After a failure: doubled each time, up to the most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Polls one transmitter for security events, hands each to an endpoint, and acknowledges what was carried out.
///
/// An event that is not believed is reported with its error, as the RFC says, and not sent again. One that met trouble of ours (a deny-list
/// out of reach) is neither acknowledged nor reported: the transmitter keeps it, and it comes with a later poll. An acknowledgement that
/// did not arrive is sent again; to carry an event out twice changes nothing.
///
/// ```no_run
/// # async fn start(tokens: token_client::CachedSource, endpoint: token_core::security_events::SecurityEventEndpoint)
/// # -> Result<(), Box<dyn std::error::Error>> {
/// use token_client::SecurityEventPoller;
/// use token_core::http::ReqwestClient;
///
/// let mut poller =
///     SecurityEventPoller::new("https://login.example.com/ssf/poll", ReqwestClient::new()?, tokens, endpoint)?;
/// tokio::spawn(async move { poller.run().await });
/// # Ok(()) }
/// ```
pub struct SecurityEventPoller {
    uri: Uri,
    http: Arc<dyn HttpClient>,
    tokens: Arc<dyn TokenSource>,
    endpoint: SecurityEventEndpoint,
    most: usize,
    wait: Duration,
    acknowledged: Vec<String>,
    refused: BTreeMap<String, Complaint>,
}

/// What one poll brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Polled {
    /// Events that were carried out; they are acknowledged with the next poll.
    pub taken: usize,
    /// Events that are not believed; they are reported with the next poll.
    pub refused: usize,
    /// Events that met trouble of ours, and will come again.
    pub postponed: usize,
    /// Whether the transmitter has more.
    pub more: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Poll<'a> {
    max_events: usize,
    return_immediately: bool,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    ack: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    set_errs: &'a BTreeMap<String, Complaint>,
}

#[derive(Clone, Serialize)]
struct Complaint {
    err: &'static str,
    description: &'static str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    sets: BTreeMap<String, String>,
    #[serde(default)]
    more_available: bool,
}

impl SecurityEventPoller {
    /// Polls this URL, with a token of this source, for this endpoint.
    ///
    /// # Errors
    /// [`TokenErrorKind::Misconfigured`] when the URL is not one.
    pub fn new(
        url: &str,
        http: impl HttpClient,
        tokens: impl TokenSource,
        endpoint: SecurityEventEndpoint,
    ) -> Result<Self, TokenError> {
        let uri: Uri = url.parse().map_err(|_| misconfigured("the poll endpoint is not a URL"))?;
        if uri.host().is_none() {
            return Err(misconfigured("the poll endpoint is not a URL"));
        }
        Ok(Self {
            uri,
            http: Arc::new(http),
            tokens: Arc::new(tokens),
            endpoint,
            most: 100,
            wait: Duration::from_secs(30),
            acknowledged: Vec::new(),
            refused: BTreeMap::new(),
        })
    }

    /// How many events are asked for at once. Default 100.
    #[must_use]
    pub fn max_events(mut self, most: usize) -> Self {
        self.most = most.max(1);
        self
    }

    /// How long the transmitter may hold a poll open until there is an event. Default 30 s.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Polls for ever. After a failure it pauses for 1 s, doubled with each up to a minute; each failure is an event.
    pub async fn run(&mut self) {
        let mut pause = PAUSE.0;
        loop {
            match self.poll().await {
                Ok(polled) if polled.postponed == 0 => {
                    pause = PAUSE.0;
                    continue;
                }
                Ok(_) => {}
                Err(error) => {
                    let wait = error.wait().unwrap_or_default();
                    pause = pause.max(wait.min(PAUSE.1));
                    tracing::warn!(name: "token.client.poll_failed", %error, "security events could not be fetched; it is tried again");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    /// Polls once: acknowledges what was taken before, and carries out what comes. A poll that the transmitter held open until its end without an
    /// event is one that brought nothing.
    ///
    /// # Errors
    /// [`TokenError`] when there is no token to poll with, or no answer that is one.
    pub async fn poll(&mut self) -> Result<Polled, TokenError> {
        let token = self.tokens.token().await?;
        let poll =
            Poll { max_events: self.most, return_immediately: false, ack: &self.acknowledged, set_errs: &self.refused };
        let body = serde_json::to_vec(&poll).map_err(|_| misconfigured("the poll cannot be written as JSON"))?;
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(AUTHORIZATION, token.header());
        let limits = Limits::default().timeout(self.wait + Duration::from_secs(5)).max_body(LARGEST);
        let answer = match self.http.send(request, limits).await {
            Ok(answer) => answer,
            // Whether it heard of what was acknowledged is not known: that is said again.
            Err(HttpError::Timeout) => return Ok(Polled::default()),
            Err(error) => return Err(error.into()),
        };
        match answer.status().as_u16() {
            200 => {}
            401 => {
                drop(self.tokens.renew(&token));
                return Err(TokenError::new(TokenErrorKind::InvalidClient, "the transmitter does not take our token"));
            }
            429 => return Err(TokenError::new(TokenErrorKind::RateLimited, "status 429")),
            status @ 500.. => return Err(TokenError::new(TokenErrorKind::ServerError, format!("status {status}"))),
            status => return Err(TokenError::new(TokenErrorKind::Refused, format!("status {status}"))),
        }
        let answer: Answer = serde_json::from_slice(answer.body()).map_err(|_| {
            TokenError::new(TokenErrorKind::Malformed, "expected an object with sets, by jti, as RFC 8936 says")
        })?;
        self.acknowledged.clear();
        self.refused.clear();
        Ok(self.take(answer).await)
    }

    async fn take(&mut self, answer: Answer) -> Polled {
        let mut polled = Polled { more: answer.more_available, ..Polled::default() };
        for (name, token) in answer.sets {
            match self.endpoint.receive(&token).await {
                Ok(received) if received.event.token_id() == name => {
                    polled.taken += 1;
                    self.acknowledged.push(name);
                }
                Ok(_) => {
                    polled.refused += 1;
                    let description = "the token's jti is not the name it was sent under";
                    self.refused.insert(name, Complaint { err: "invalid_request", description });
                }
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    error.log();
                    polled.postponed += 1;
                }
                Err(error) => {
                    error.log();
                    polled.refused += 1;
                    let (err, description) =
                        (SecurityEventEndpoint::error_code(error.kind()), error.kind().public_text());
                    self.refused.insert(name, Complaint { err, description });
                }
            }
        }
        polled
    }
}

impl fmt::Debug for SecurityEventPoller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecurityEventPoller").field("uri", &self.uri).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
