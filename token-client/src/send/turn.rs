//! A request and a token in, the request with credentials out; the response in, what to do next out (RFC 6750 section
//! 2.1, RFC 9449 sections 7.1 and 9).

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, StatusCode, Uri};

use super::is_refusal;
use crate::dpop::challenge::{Complaint, complaint};
use crate::dpop::prover::{DPOP, Proof};
use crate::error::TokenError;
use crate::source::TokenSource;
use crate::token::Token;

/// The attempts at one request: at most one more for a nonce, and at most one more for another token.
#[derive(Debug)]
pub(crate) struct Turns {
    nonce: bool,
    renewal: bool,
}

/// What was added to one attempt.
#[derive(Debug)]
pub(crate) struct Sent(Option<Proof>);

/// What to do after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Return it.
    Answer,
    /// Repeat the request with the same token: the server has sent a nonce for the proof.
    SendAgain,
    /// The token was refused: renew it, and repeat the request if there is another one.
    Renew,
}

/// Replaces any credentials by the token and, if it is bound to a key, its proof.
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

/// Renews a refused token. `None` if the response is final: the request cannot be repeated, or there is no other token.
pub(crate) async fn another(source: &dyn TokenSource, refused: &Token, can_send_again: bool) -> Option<Token> {
    // Asked for in any case: the next request needs it.
    let renewed = source.renew(refused);
    if !can_send_again {
        return None;
    }
    renewed.await.ok().filter(|renewed| renewed != refused)
}

impl Sent {
    /// Stores the nonce of the response, if there is one. Returns whether it differs from the one that was sent.
    pub(crate) fn learn(&self, token: &Token, answer: &HeaderMap) -> bool {
        token.prover().zip(self.0.as_ref()).is_some_and(|(prover, proof)| prover.learn(proof, answer))
    }
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self { nonce: true, renewal: true }
    }

    /// Whether the request may have to be repeated.
    pub(crate) fn may_go_on(&self, token: &Token) -> bool {
        self.renewal || (self.nonce && token.is_dpop_bound())
    }

    /// Examines a response. Its nonce is stored in any case.
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
