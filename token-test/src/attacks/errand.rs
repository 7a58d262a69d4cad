//! An attack that takes several requests in, what the API answered to the last of them out: buying a ticket, waiting, revoking.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use tokio::time::{Instant, sleep_until};

use super::list::Attack;
use super::target::Target;
use crate::ManualClock;

/// How long a ticket is good where the shop does not say.
const LIFE: Duration = Duration::from_secs(30);

/// A request that is made once the ticket is known; empty where none was bought.
type WithTicket = Box<dyn Fn(&str) -> Request<Bytes>>;

/// What comes before the request that counts.
pub(crate) enum Step {
    /// The answer holds a ticket. A refusal ends the errand: the attacker has nothing.
    Buy(WithTicket),
    /// Whatever comes of it.
    Try(WithTicket),
    /// It has to be done, or nothing is shown.
    Do(Box<Request<Bytes>>),
    Wait(Wait),
}

/// How long to wait after a purchase.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// To a second past the end of the ticket.
    PastTheTicket,
    For(Duration),
}

/// Several requests, of which the last one counts.
pub(crate) struct Errand {
    /// Its name, class and clause.
    pub(crate) attack: Attack,
    pub(crate) steps: Vec<Step>,
    pub(crate) last: WithTicket,
}

/// What the API answered; an error says why that shows nothing.
pub(crate) type Answer = Result<Response<Bytes>, String>;

impl Errand {
    /// Runs it to its end. Time passes on the clock where the API reads it, and is waited for elsewhere.
    pub(crate) async fn run(&self, target: &mut impl Target, clock: Option<&ManualClock>) -> Answer {
        let (mut ticket, mut life, mut bought) = (String::new(), LIFE, Instant::now());
        for step in &self.steps {
            match step {
                Step::Buy(request) => {
                    let answer = target.send(request(&ticket)).await?;
                    if !answer.status().is_success() {
                        return Ok(answer);
                    }
                    (ticket, life) = sold(answer.body()).ok_or(UNSOLD)?;
                    bought = Instant::now();
                }
                Step::Try(request) => {
                    let _ = target.send(request(&ticket)).await;
                }
                Step::Do(request) => {
                    let status = target.send(Request::clone(request)).await?.status();
                    if !status.is_success() {
                        return Err(format!("{} {} answered {status}", request.method(), request.uri().path()));
                    }
                }
                Step::Wait(wait) => {
                    let long = match wait {
                        Wait::PastTheTicket => life + Duration::from_secs(1),
                        Wait::For(long) => *long,
                    };
                    match clock {
                        Some(clock) => clock.advance(long),
                        None => sleep_until(bought + long).await,
                    }
                }
            }
        }
        target.send((self.last)(&ticket)).await
    }
}

const UNSOLD: &str = r#"it sold no ticket: expected JSON, {"ticket": "…", "expires_in": 30}"#;

/// The ticket in an answer, and how long it is good.
fn sold(body: &[u8]) -> Option<(String, Duration)> {
    let sold: serde_json::Value = serde_json::from_slice(body).ok()?;
    let ticket = sold["ticket"].as_str().filter(|ticket| is_ticket(ticket))?.to_owned();
    Some((ticket, sold["expires_in"].as_u64().map_or(LIFE, Duration::from_secs)))
}

/// What can stand in a query, and in a field, as it is (RFC 3986 section 2.3).
fn is_ticket(text: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    !text.is_empty() && text.len() <= 4096 && text.bytes().all(unreserved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_read_out_of_what_a_shop_answers() {
        for (body, expected) in [
            (r#"{"ticket":"a-._~9","expires_in":5}"#, Some(("a-._~9", 5))),
            (r#"{"ticket":"a"}"#, Some(("a", 30))),
            (r#"{"ticket":"a","expires_in":-1}"#, Some(("a", 30))),
            (r#"{"ticket":""}"#, None),
            (r#"{"ticket":"a b"}"#, None),
            (r#"{"ticket":1}"#, None),
            (r#"{"token":"a"}"#, None),
            (r#"["a"]"#, None),
            ("a", None),
            ("", None),
        ] {
            let expected = expected.map(|(ticket, life)| (ticket.to_owned(), Duration::from_secs(life)));
            assert_eq!(sold(body.as_bytes()), expected, "{body}");
        }
    }
}
