//! A verified token in, what the service gets in its place out: the same, nothing, one obtained on the caller's behalf, or one that the gate signs.

mod exchange;
mod sign;

use http::HeaderValue;
use token_core::Verified;
use token_core::policy::gate::{TokenFate, UpstreamPolicy};

use super::refusal::Refusal;
use exchange::Exchange;
use sign::Signer;

/// What becomes of the client's token.
#[derive(Debug)]
pub(crate) enum Onward {
    Forward,
    Remove,
    Exchange(Exchange),
    Sign(Box<Signer>),
}

/// What the service is to see as `Authorization`.
#[derive(Debug)]
pub(crate) enum Authorization {
    /// What the client sent.
    Kept,
    /// Nothing.
    Removed,
    /// This, whatever the client sent.
    Replaced(HeaderValue),
}

impl Onward {
    /// # Errors
    /// Which member of `gate.upstream` cannot be, and why.
    pub(crate) fn new(policy: &UpstreamPolicy) -> Result<Self, String> {
        policy.check().map_err(|error| error.to_string())?;
        match (policy.token, &policy.exchange, &policy.sign) {
            (TokenFate::Forward, ..) => Ok(Self::Forward),
            (TokenFate::Exchange, Some(exchange), _) => {
                Exchange::new(exchange).map(Self::Exchange).map_err(|why| format!("gate.upstream.exchange: {why}"))
            }
            (TokenFate::Sign, _, Some(sign)) => {
                Signer::new(sign).map(Box::new).map(Self::Sign).map_err(|why| format!("gate.upstream.sign: {why}"))
            }
            // Whatever a later version may call it: a service is shown no token that it was not meant to see.
            _ => Ok(Self::Remove),
        }
    }

    /// Where nobody called, nothing is obtained or signed.
    pub(crate) async fn authorization(&self, token: Option<&Verified>) -> Result<Authorization, Refusal> {
        Ok(match (self, token) {
            (Self::Forward, _) => Authorization::Kept,
            (Self::Exchange(exchange), Some(token)) => Authorization::Replaced(exchange.token(token).await?),
            (Self::Sign(signer), Some(token)) => Authorization::Replaced(signer.token(token)?),
            (Self::Remove, _) | (Self::Exchange(_) | Self::Sign(_), None) => Authorization::Removed,
        })
    }

    /// The public halves of the keys that tokens for the service are signed with.
    pub(crate) fn jwk_set(&self) -> Option<&str> {
        match self {
            Self::Sign(signer) => Some(signer.jwk_set()),
            _ => None,
        }
    }
}
