//! A transmitter's poll endpoint in; security events carried out and acknowledged out (RFC 8936). For transmitters that
//! do not push.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, Uri};
use serde::{Deserialize, Serialize};
use token_core::http::{HttpClient, HttpError, Limits, NoRuntime};
use token_core::security_events::SecurityEventEndpoint;
use tokio::time::Instant;

use crate::error::{TokenError, TokenErrorKind, misconfigured};
use crate::send::turn::{self, Next, Turns};
use crate::source::TokenSource;

/// The largest response that is read, in bytes: a hundred events of the largest size that is verified.
const LARGEST: usize = 2 * 1024 * 1024;
/// The pause after a failure; doubled each time, up to the second value.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// The pause after an immediate response without news, for transmitters that do not hold polls open.
const IDLE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// A response that takes longer counts as held open.
const AT_ONCE: Duration = Duration::from_millis(500);
/// How much longer than a poll is held open its response may take.
const GRACE: Duration = Duration::from_secs(5);

/// Polls one transmitter for security events, hands each to an endpoint, and acknowledges what was carried out.
///
/// An event that fails verification is reported with its error (RFC 8936), and the transmitter does not send it again.
/// An event that could not be carried out, for example because the deny-list was unreachable, is neither acknowledged
/// nor reported, so it arrives again with a later poll. An acknowledgement that did not arrive is repeated; carrying
/// out an event twice is harmless.
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

/// The result of one poll.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Polled {
    /// Events that were carried out. They are acknowledged with the next poll.
    pub taken: usize,
    /// Events that failed verification. They are reported with the next poll.
    pub refused: usize,
    /// Events that could not be carried out now, and will arrive again.
    pub postponed: usize,
    /// How many of the events had been received before, and are acknowledged or reported by this very poll.
    pub repeated: usize,
    /// Whether the transmitter has more events.
    pub more: bool,
}

impl Polled {
    /// Whether there was an event that had not been received before.
    fn is_news(&self) -> bool {
        self.taken + self.refused + self.postponed > self.repeated
    }
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
    /// Polls this URL, with tokens from this source, on behalf of this endpoint.
    ///
    /// # Errors
    /// [`TokenErrorKind::Misconfigured`] if the URL is not valid.
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

    /// Sets how many events are requested at once. Default: 100.
    #[must_use]
    pub fn max_events(mut self, most: usize) -> Self {
        self.most = most.max(1);
        self
    }

    /// Sets how long the transmitter may hold a poll open until there is an event. Default: 30 s. If a response takes 5
    /// s longer than that, the next poll asks for an immediate one, to distinguish a transmitter that holds polls open
    /// longer from one that is unreachable.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Polls forever, without a pause while there are new events. After a failure it pauses for 1 s, doubled with each
    /// further one up to a minute, and logs an event. If the transmitter answers immediately without events, the pause
    /// is 1 s, doubled up to 10 s. Without a tokio runtime with timers it logs an event and returns.
    pub async fn run(&mut self) {
        let (mut pause, mut idle) = (PAUSE.0, IDLE.0);
        loop {
            if let Some(missing) = NoRuntime::find() {
                tracing::error!(name: "token.runtime.missing", "security events are not fetched: {missing}");
                return;
            }
            let asked = Instant::now();
            let next = match self.poll().await {
                Ok(polled) if polled.postponed > 0 => Err(Duration::ZERO),
                Ok(polled) => Ok(polled.is_news() || asked.elapsed() >= AT_ONCE),
                Err(error) => {
                    tracing::warn!(name: "token.client.poll_failed", %error, "security events could not be fetched; it is tried again");
                    Err(error.wait().unwrap_or_default())
                }
            };
            match next {
                Ok(true) => (pause, idle) = (PAUSE.0, IDLE.0),
                Ok(false) => {
                    tokio::time::sleep(idle).await;
                    (pause, idle) = (PAUSE.0, (idle * 2).min(IDLE.1));
                }
                Err(wait) => {
                    tokio::time::sleep(pause.max(wait.min(PAUSE.1))).await;
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
    }

    /// Polls once: acknowledges the events received before, and carries out new ones. A bound token is sent with a
    /// proof (RFC 9449); a refused token is renewed, and the poll repeated once.
    ///
    /// # Errors
    /// [`TokenError`] if there is no token, or no valid response. The acknowledgements are then repeated with the next
    /// poll.
    pub async fn poll(&mut self) -> Result<Polled, TokenError> {
        let answer = match self.ask(false, self.wait.saturating_add(GRACE)).await? {
            Some(answer) => answer,
            // It may be holding the poll open still, or be gone: one without delay tells.
            None => self.ask(true, GRACE).await?.ok_or_else(|| {
                TokenError::new(TokenErrorKind::Unreachable, "the transmitter does not answer in time")
            })?,
        };
        match answer.status().as_u16() {
            200 => {}
            401 => {
                return Err(TokenError::new(TokenErrorKind::InvalidClient, "the transmitter does not take our token"));
            }
            429 => return Err(TokenError::new(TokenErrorKind::RateLimited, "status 429")),
            status @ 500.. => return Err(TokenError::new(TokenErrorKind::ServerError, format!("status {status}"))),
            status => return Err(TokenError::new(TokenErrorKind::Refused, format!("status {status}"))),
        }
        let answer: Answer = serde_json::from_slice(answer.body()).map_err(|_| {
            TokenError::new(TokenErrorKind::Malformed, "expected an object with sets, by jti, as RFC 8936 says")
        })?;
        let said = |jti: &String| self.acknowledged.contains(jti) || self.refused.contains_key(jti);
        let repeated = answer.sets.keys().filter(|jti| said(jti)).count();
        self.acknowledged.clear();
        self.refused.clear();
        Ok(Polled { repeated, ..self.take(answer).await })
    }

    /// One poll, repeated with another token or the receiver's nonce if necessary. `None` if there was no response in
    /// time.
    async fn ask(&self, at_once: bool, timeout: Duration) -> Result<Option<Response<Bytes>>, TokenError> {
        let poll = Poll {
            max_events: self.most,
            return_immediately: at_once,
            ack: &self.acknowledged,
            set_errs: &self.refused,
        };
        let body = serde_json::to_vec(&poll).map_err(|_| misconfigured("the poll cannot be written as JSON"))?;
        let body = Bytes::from(body);
        let mut token = self.tokens.token().await?;
        let mut turns = Turns::new();
        loop {
            let mut request = Request::new(body.clone());
            *request.method_mut() = Method::POST;
            *request.uri_mut() = self.uri.clone();
            let headers = request.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
            let sent = turn::attach(headers, &token, &Method::POST, &self.uri)?;
            let limits = Limits::default().timeout(timeout).max_body(LARGEST);
            let answer = match self.http.send(request, limits).await {
                Ok(answer) => answer,
                Err(HttpError::Timeout) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            match turns.after(&token, &sent, answer.status(), answer.headers()) {
                Next::Answer => return Ok(Some(answer)),
                Next::SendAgain => {}
                Next::Renew => match self.tokens.renew(&token).await {
                    Ok(renewed) if renewed != token => token = renewed,
                    // There is no other token: what the transmitter said stands.
                    _ => return Ok(Some(answer)),
                },
            }
        }
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
                Err(error) if error.kind().is_server_fault() => {
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
