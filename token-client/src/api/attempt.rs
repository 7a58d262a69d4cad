//! One request to a protected API: each response in, whether to send the request again out (RFC 6750 section 3.1; RFC
//! 9449 section 9; step-up authorization of the Model Context Protocol, with its limit on retries).

use http::{HeaderMap, Request, StatusCode, Uri};
use url::{Position, Url};

use super::ProtectedApi;
use super::challenge::Challenge;
use crate::dpop::challenge::{Complaint, complaint};
use crate::error::{TokenError, TokenErrorKind};
use crate::send::turn::{self, Sent};
use crate::source::TokenSource;
use crate::token::Token;

/// How many responses lead to another attempt.
const RETRIES: u8 = 3;

/// One request, from the first attempt to the response that counts. Made by [`ProtectedApi::attempt`].
///
/// ```no_run
/// # async fn example(api: token_client::ProtectedApi, client: impl AsyncFn(http::Request<()>) -> http::Response<String>) -> Result<(), Box<dyn std::error::Error>> {
/// let mut attempt = api.attempt();
/// let answer = loop {
///     let mut request = http::Request::get(api.url()).body(())?;
///     attempt.authorize(&mut request).await?;
///     let answer = client(request).await; // whatever sends your requests
///     if !attempt.answered(answer.status(), answer.headers()).await? {
///         break answer;
///     }
/// };
/// # let _ = answer; Ok(()) }
/// ```
#[derive(Debug)]
pub struct Attempt<'a> {
    api: &'a ProtectedApi,
    sent: Option<(Token, Sent)>,
    left: u8,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(api: &'a ProtectedApi) -> Self {
        Self { api, sent: None, left: RETRIES }
    }

    /// Adds the token to the request, marked as sensitive, and a proof if the token is bound to a key. If nothing is
    /// known yet, the first attempt is sent without a token; the API's response then says where to get one.
    ///
    /// # Errors
    /// [`WrongHost`](TokenErrorKind::WrongHost) for a request to anywhere but the API's URL and below; otherwise the
    /// reason why there is no token.
    pub async fn authorize<B>(&mut self, request: &mut Request<B>) -> Result<(), TokenError> {
        if !is_below(&self.api.engine.url, request.uri()) {
            let detail = "the request goes to another place than the API that the token is for";
            return Err(TokenError::new(TokenErrorKind::WrongHost, detail));
        }
        let first = self.left == RETRIES;
        // To ask the cell would send somebody off for a token at once, without the scope that the challenge is about to name.
        let token = match first && self.api.engine.knows_nothing() {
            true => None,
            false => Some(self.api.token().await?),
        };
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let attach = |token: Token| {
            let sent = turn::attach(request.headers_mut(), &token, &method, &uri)?;
            Ok::<_, TokenError>((token, sent))
        };
        self.sent = token.map(attach).transpose()?;
        Ok(())
    }

    /// Examines a response; `true` means that the request should be sent again.
    ///
    /// A 401 leads to a token, a new token, or a proof with the nonce that the API asks for. A 403 with
    /// `insufficient_scope` leads to a token with the additional scopes. If there is nothing new to try, or after the
    /// third time, the result is `false`, and the response is final.
    ///
    /// # Errors
    /// The reason why the required token cannot be obtained.
    pub async fn answered(&mut self, status: StatusCode, headers: &HeaderMap) -> Result<bool, TokenError> {
        let engine = &self.api.engine;
        let sent = self.sent.take();
        let renewed = sent.as_ref().is_some_and(|(token, sent)| sent.learn(token, headers));
        let again = match (status, sent.map(|(token, _)| token)) {
            (StatusCode::UNAUTHORIZED, Some(token))
                if token.is_dpop_bound() && complaint(headers) != Complaint::Other =>
            {
                // Another token would be refused with the same words.
                renewed && complaint(headers) == Complaint::Nonce
            }
            (StatusCode::UNAUTHORIZED, sent) => {
                let more = engine.learn(headers);
                match sent {
                    None => true,
                    Some(_) if more || engine.has_moved().await => {
                        self.api.cell.forget_token();
                        true
                    }
                    // A receiver that refuses everything gets no new token for each request.
                    Some(refused) => self.api.renew(&refused).await? != refused,
                }
            }
            (StatusCode::FORBIDDEN, Some(_)) if asks_for_more(headers) => {
                let more = engine.learn(headers);
                if more {
                    self.api.cell.forget_token();
                }
                more
            }
            _ => false,
        };
        let again = again && self.left > 0;
        self.left = self.left.saturating_sub(1);
        Ok(again)
    }
}

fn asks_for_more(headers: &HeaderMap) -> bool {
    let challenges = Challenge::read(headers);
    let ours = |one: &&Challenge| one.is("bearer") || one.is("dpop");
    challenges.iter().filter(ours).any(|one| one.parameter("error") == Some("insufficient_scope"))
}

/// Whether the URL has the same scheme, host and port, and the same path or one below it. Dot segments are resolved
/// first, as the HTTP client will do.
fn is_below(api: &Url, uri: &Uri) -> bool {
    let Ok(url) = Url::parse(&uri.to_string()) else { return false };
    let above = api.path().trim_end_matches('/');
    url[..Position::BeforePath] == api[..Position::BeforePath]
        && url.path().strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_its_api_and_below() {
        let api: Url = "https://a.example/v1/mcp".parse().unwrap();
        for (uri, goes) in [
            ("https://a.example/v1/mcp", true),
            ("https://a.example/v1/mcp?x=1", true),
            ("https://a.example/v1/mcp/tools", true),
            ("https://a.example:443/v1/mcp", true),
            ("https://a.example/v1/mcp/../../admin", false),
            ("https://a.example/v1/mcp%2f..%2f..", false),
            ("https://a.example/v1/mcpx", false),
            ("https://a.example/v1", false),
            ("http://a.example/v1/mcp", false),
            ("https://a.example.evil/v1/mcp", false),
            ("/v1/mcp", false),
        ] {
            assert_eq!(is_below(&api, &uri.parse().unwrap()), goes, "{uri}");
        }
    }
}
