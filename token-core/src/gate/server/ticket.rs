//! A request with a token in, a ticket out; a request with a ticket in, the caller that it was sold to out, once.
//!
//! What is redeemed is the token: it is judged anew, so that whatever has happened to it meanwhile counts, and its end ends streams.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use serde_json::json;

use super::ResourceServer;
use super::revocation::out_of_reach;
use crate::answer::challenge::DpopPolicy;
use crate::answer::check::Check;
use crate::answer::error::{self, Error, ErrorKind};
use crate::answer::maybe_ready::MaybeReady;
use crate::gate::tickets::callers;
use crate::gate::tickets::{self, Ticket, TicketOffice};
use crate::request::bearer::{self, Candidate};
use crate::request::presented::{Presented, RequestView, Source};
use crate::verify::verified::Verified;

impl ResourceServer {
    /// Sells a ticket for the token of this request: good once, for `path` and for the page that the request comes from (`Origin`). The request
    /// is judged as by [`authenticate`](Self::authenticate); adapters have a handler that calls this.
    ///
    /// # Errors
    /// As [`authenticate`](Self::authenticate), and [`ErrorKind::InvalidRequest`] for a path that no request has (it begins with `/`, and has no
    /// query), [`ErrorKind::WrongType`] for a token that is bound to its sender, since no proof goes with a ticket, [`ErrorKind::Unavailable`] when the
    /// store is full or out of reach, or the caller has 100 tickets at a time already, [`ErrorKind::Misconfigured`] without [tickets](crate::ResourceServerBuilder::tickets).
    pub fn sell_ticket(
        &self,
        presented: Presented<'_>,
        path: &str,
    ) -> impl Future<Output = Result<Ticket, Error>> + Send + 'static + use<> {
        let server = self.current();
        let asked = server.asked_for_ticket(presented, path);
        let verdict = server.authenticate(presented);
        async move {
            let verified = verdict.await?;
            let (office, token, path, from) = asked.map_err(|error| server.refusal(error))?;
            if verified.binding().is_some() {
                let why = "a token that is bound to its sender buys no ticket: no proof goes with one";
                return Err(server.refusal(Error::new(ErrorKind::WrongType, why).at(Check::Binding)));
            }
            let now = server.0.clock.now();
            if !office.callers.has_room(callers::caller(&verified, &token), office.life, now) {
                let why = format!(
                    "the caller has {} tickets at a time already: no caller takes the room of all others",
                    callers::MOST
                );
                return Err(server.refusal(Error::unavailable(why, office.life)));
            }
            let life = tickets::life(&office, verified.served_until(), now);
            let sold = tickets::sell(&token, &path, from, life);
            let (ticket, digest, sealed) = sold.ok_or_else(|| server.refusal(no_chance()))?;
            let kept = office.store.keep(digest, sealed, now.saturating_add(life), now).await;
            kept.map_err(|error| server.refusal(out_of_reach("the store of tickets", &error)))?;
            Ok(ticket)
        }
    }

    /// What a handler that sells tickets answers to a request with this body, `{"path": "/events"}`: 200 with `{"ticket": "…", "expires_in": 30}`, or
    /// 400 with what was expected. It is never to be cached.
    ///
    /// # Errors
    /// As [`sell_ticket`](Self::sell_ticket), but for the path.
    pub fn ticket_answer(
        &self,
        presented: Presented<'_>,
        body: &[u8],
    ) -> impl Future<Output = Result<TicketAnswer, Error>> + Send + 'static + use<> {
        let path = asked_path(body).filter(|path| tickets::is_path(path));
        let sold = path.map(|path| self.sell_ticket(presented, &path));
        async move {
            let Some(sold) = sold else { return Ok(TicketAnswer { status: 400, body: UNASKED.to_owned() }) };
            let ticket = sold.await?;
            let body = json!({"ticket": ticket.as_str(), "expires_in": ticket.expires_in().as_secs().max(1)});
            Ok(TicketAnswer { status: 200, body: body.to_string() })
        }
    }

    fn asked_for_ticket(
        &self,
        presented: Presented<'_>,
        path: &str,
    ) -> Result<(Arc<TicketOffice>, String, String, tickets::From), Error> {
        let office = self.0.tickets.clone().ok_or_else(|| {
            Error::new(ErrorKind::Misconfigured, "no tickets are sold here: call tickets(..) of the server's builder")
        })?;
        let invalid = |why: &'static str| Error::new(ErrorKind::InvalidRequest, why).at(Check::Credentials);
        if !tickets::is_path(path) {
            return Err(invalid("a ticket is for a path, without query, of at most 2048 visible characters: /events"));
        }
        let from = match presented.0 {
            Source::Request(request) => tickets::From::of(request),
            Source::Token(_) => None,
        };
        let from = from.ok_or_else(|| invalid("Origin or Sec-Fetch-Site is there twice, or the request is not"))?;
        let (_, candidate) = bearer::find_any(presented, self.0.sources.as_deref())?;
        Ok((office, candidate.token()?.to_owned(), path.to_owned(), from))
    }

    /// The road of a request where tickets are redeemed; `None` where it has none, or opens no stream: there the parameter is one of the application's.
    pub(super) fn judge_ticket(&self, presented: Presented<'_>) -> Option<MaybeReady<Verified>> {
        let office = self.0.tickets.as_ref()?;
        let Source::Request(request) = presented.0 else { return None };
        let asked = presented.1.policy;
        let policy = asked.or_else(|| self.0.possession.as_ref().map(|possession| possession.policy));
        let outcome = match tickets::in_query(request.path_and_query()) {
            Ok(None) => return None,
            _ if !tickets::opens_stream(request) => Err(self.no_stream(presented)?),
            // A ticket is a bearer's.
            Ok(Some(_)) if policy == Some(DpopPolicy::Required) => {
                let why = "no proof goes with a ticket, and tokens that are bound to a key are taken here alone";
                let came = error::Presented { as_dpop: false, policy: asked };
                Err(Error::new(ErrorKind::SenderConstrained, why).presented(came))
            }
            Ok(Some(ticket)) => self.redeem(office, request, ticket),
            Err(()) => Err(several()),
        };
        Some(outcome.unwrap_or_else(|error| MaybeReady::ready(Err(self.refusal(error.at(Check::Credentials))))))
    }

    /// What is said to a request that opens no stream, and has nothing but a parameter of that name.
    fn no_stream(&self, presented: Presented<'_>) -> Option<Error> {
        let missing = bearer::find_any(presented, self.0.sources.as_deref()).err()?;
        (missing.kind() == ErrorKind::MissingToken).then(|| Error::new(ErrorKind::MissingToken, NO_STREAM))
    }

    fn redeem(
        &self,
        office: &Arc<TicketOffice>,
        request: &dyn RequestView,
        ticket: &str,
    ) -> Result<MaybeReady<Verified>, Error> {
        let mut authorized = false;
        request.header("authorization", &mut |_| authorized = true);
        if authorized {
            return Err(several());
        }
        let (digest, open) = tickets::parse(ticket).ok_or_else(no_ticket)?;
        let from = tickets::From::of(request).ok_or_else(no_ticket)?;
        let path = tickets::path(request.target()).to_owned();
        let (server, office) = (self.clone(), Arc::clone(office));
        Ok(MaybeReady::waiting(async move {
            let refused = |error: Error| server.refusal(error.at(Check::Credentials));
            // Taken first: whoever brings it to the wrong place has used it up.
            let kept = office.store.take(digest, server.0.clock.now()).await;
            let kept = kept.map_err(|error| refused(out_of_reach("the store of tickets", &error)))?;
            let stub = kept.as_deref().and_then(open).filter(|stub| stub.is_for(&path, &from));
            let stub = stub.ok_or_else(|| refused(no_ticket()))?;
            let verified = server.judge_candidate(Candidate::Checked(&stub.token)).await?;
            if verified.binding().is_some() {
                return Err(refused(no_ticket()));
            }
            Ok(verified)
        }))
    }
}

/// The answer to a page that asks for a ticket, in JSON. It is never to be cached, and never to be logged.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TicketAnswer {
    /// HTTP status: 200 or 400.
    pub status: u16,
    /// A JSON object; with 200 it holds the ticket.
    pub body: String,
}

impl fmt::Debug for TicketAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketAnswer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// The longest body that is looked at, in bytes.
const LONGEST_BODY: usize = 4096;
const UNASKED: &str = r#"{"error":"invalid_request","error_description":"expected {\"path\": \"/events\"}, the path of the request that the ticket is for, without its query"}"#;

fn asked_path(body: &[u8]) -> Option<String> {
    if body.len() > LONGEST_BODY {
        return None;
    }
    let asked: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some(asked.as_object()?.get("path")?.as_str()?.to_owned())
}

const NO_STREAM: &str = "no token came. A ticket is looked for in requests that open a stream: with Accept: text/event-stream, or Sec-WebSocket-Version";

/// One answer for whatever is wrong with it.
fn no_ticket() -> Error {
    Error::new(ErrorKind::InvalidTicket, "the ticket is unknown, used, too old, or for another path or origin")
}

fn several() -> Error {
    Error::new(
        ErrorKind::InvalidRequest,
        "expected one ticket and nothing beside it, the request has several credentials",
    )
}

fn no_chance() -> Error {
    Error::new(ErrorKind::Misconfigured, "the system gives no random bytes, or the backend does not encrypt")
}

#[cfg(test)]
mod tests;
