//! A request and a token go in, the request with its credentials comes out; the answer goes in, what to do next comes out (RFC 6750 2.1, RFC 9449 7.1 and 9).

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, StatusCode, Uri};

use super::is_refusal;
use crate::dpop::challenge::{Complaint, complaint};
use crate::dpop::prover::{DPOP, Proof};
use crate::error::TokenError;
use crate::source::TokenSource;
use crate::token::Token;

/// The attempts at one request: at most one more for the nonce of its receiver, and at most one more for another token.
#[derive(Debug)]
pub(crate) struct Turns {
    nonce: bool,
    renewal: bool,
}

/// What was put into one attempt.
#[derive(Debug)]
pub(crate) struct Sent(Option<Proof>);

/// What to do after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It is the answer.
    Answer,
    /// Send again with the same token: its receiver has given a nonce for the proof.
    SendAgain,
    /// The token was refused: renew it, and send again if there is another one.
    Renew,
}

/// Puts the token and, where it is bound to a key, its proof in the place of whatever credentials were there.
pub(crate) fn attach(headers: &mut HeaderMap, token: &Token, method: &Method, uri: &Uri) -> Result<Sent, TokenError> {
    let prover = token.prover();
    let proof = prover.map(|prover| prover.proof(method, uri, Some(token.expose()))).transpose()?;
    match &proof {
        Some(proof) => headers.insert(DPOP, proof.field.clone()),
        None => headers.remove(DPOP),
    };
    headers.insert(AUTHORIZATION, token.header());
    Ok(Sent(proof))
}

/// Renews a token that was refused. `None` where the answer stays what it was: the request cannot be sent again, or there is no other token.
pub(crate) async fn another(source: &dyn TokenSource, refused: &Token, can_send_again: bool) -> Option<Token> {
    // Asked for in any case: the next request needs it.
    let renewed = source.renew(refused);
    if !can_send_again {
        return None;
    }
    renewed.await.ok().filter(|renewed| renewed != refused)
}

impl Sent {
    /// Remembers the nonce of the answer, if it brought one. Whether it is another one than was sent.
    pub(crate) fn learn(&self, token: &Token, answer: &HeaderMap) -> bool {
        token.prover().zip(self.0.as_ref()).is_some_and(|(prover, proof)| prover.learn(proof, answer))
    }
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self { nonce: true, renewal: true }
    }

    /// Whether the request may have to be sent once more.
    pub(crate) fn may_go_on(&self, token: &Token) -> bool {
        self.renewal || (self.nonce && token.is_dpop_bound())
    }

    /// Looks at an answer. The nonce in it is remembered, whatever else it says.
    pub(crate) fn after(&mut self, token: &Token, sent: &Sent, status: StatusCode, headers: &HeaderMap) -> Next {
        let renewed = sent.learn(token, headers);
        if !is_refusal(status, headers) {
            return Next::Answer;
        }
        match if token.is_dpop_bound() { complaint(headers) } else { Complaint::Other } {
            Complaint::Nonce if renewed && self.nonce => {
                self.nonce = false;
                Next::SendAgain
            }
            // Another token would be refused with the same words.
            Complaint::Nonce | Complaint::Proof => Next::Answer,
            Complaint::Other if self.renewal => {
                self.renewal = false;
                Next::Renew
            }
            Complaint::Other => Next::Answer,
        }
    }
}
