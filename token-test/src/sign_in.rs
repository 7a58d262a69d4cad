//! What the issuer remembers of users who sign in: requests that wait for consent, and the codes that came of them (RFC 6749 section 4.1).

use std::collections::HashMap;
use std::time::Duration;

use token_core::Timestamp;

/// How long a code is good for (RFC 6749 section 4.1.2 recommends ten minutes at most).
const CODE_LIFE: Duration = Duration::from_secs(60);
/// How many requests and codes are kept. A development issuer that runs for weeks need not grow.
const KEPT: usize = 10_000;

/// A checked authorization request: everything that the consent page and the code need to know.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) state: Option<String>,
    pub(crate) nonce: Option<String>,
    pub(crate) scope: String,
    pub(crate) resources: Vec<String>,
    /// RFC 7636, S256.
    pub(crate) challenge: String,
}

/// A code and what it is good for.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub(crate) asked: Asked,
    pub(crate) subject: String,
    pub(crate) scope: String,
    issued_at: Timestamp,
    /// The refresh token that the code was redeemed for: a code that comes twice ends its family (RFC 9700 section 4.2.4).
    redeemed: Option<Option<String>>,
}

/// What became of a code that was presented.
#[derive(Debug)]
pub(crate) enum Redeemed {
    Good(Box<Code>),
    Unknown,
    /// It was redeemed before; here is the refresh token it yielded then.
    Again(Option<String>),
}

/// Requests that wait for consent, and codes.
#[derive(Debug, Default)]
pub(crate) struct SignIns {
    /// Who signs in without being asked.
    pub(crate) at_once: Option<String>,
    waiting: HashMap<String, Asked>,
    codes: HashMap<String, Code>,
}

impl SignIns {
    pub(crate) fn wait(&mut self, ticket: String, asked: Asked) {
        if self.waiting.len() >= KEPT {
            self.waiting.clear();
        }
        self.waiting.insert(ticket, asked);
    }

    /// The request that a ticket of the consent page stands for. Each is good for one answer.
    pub(crate) fn take(&mut self, ticket: &str) -> Option<Asked> {
        self.waiting.remove(ticket)
    }

    pub(crate) fn issue(&mut self, code: String, asked: Asked, subject: &str, scope: String, now: Timestamp) {
        if self.codes.len() >= KEPT {
            self.codes.retain(|_, code| now.since(code.issued_at) <= CODE_LIFE);
        }
        let subject = subject.to_owned();
        self.codes.insert(code, Code { asked, subject, scope, issued_at: now, redeemed: None });
    }

    /// Uses a code up, if this client may have it.
    pub(crate) fn redeem(&mut self, code: &str, client_id: &str, now: Timestamp) -> Redeemed {
        match self.codes.get_mut(code) {
            Some(found) if found.asked.client_id == client_id => {
                if let Some(refresh) = &found.redeemed {
                    return Redeemed::Again(refresh.clone());
                }
                found.redeemed = Some(None);
                if now.since(found.issued_at) > CODE_LIFE {
                    return Redeemed::Unknown;
                }
                Redeemed::Good(Box::new(found.clone()))
            }
            _ => Redeemed::Unknown,
        }
    }

    /// Remembers the refresh token that a code yielded.
    pub(crate) fn yielded(&mut self, code: &str, refresh: &str) {
        if let Some(found) = self.codes.get_mut(code) {
            found.redeemed = Some(Some(refresh.to_owned()));
        }
    }
}
