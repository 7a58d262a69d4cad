//! One endpoint at run time: its settings, the questions under way, its breaker, and what an operator sees of it.

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::breaker::Breaker;
use super::evictions::Evictions;
use super::flight::Flights;
use super::settings::Compiled;
use super::{OpaqueError, OpaqueVerifier};
use crate::answer::error::Error;
use crate::base::limits::{FetchLimits, Turn};
use crate::base::sync::{Mutex, MutexGuard, Semaphore, timeout};
use crate::base::time::Timestamp;
use crate::stores::{AnswerKey, NameMark, StoreError};
use crate::token::audience::Audience;
use crate::token::kind::TokenKind;
use crate::verify::verified::Verified;

pub(crate) struct Opaque {
    pub(crate) issuer_name: Arc<str>,
    /// The same for the tags of answers.
    pub(crate) issuer_mark: NameMark,
    pub(crate) verifier: Arc<dyn OpaqueVerifier>,
    /// The verifier's identity, for the keys of answers.
    pub(crate) identity: NameMark,
    pub(crate) audience: Audience,
    pub(crate) prefixes: Vec<Box<str>>,
    /// Whether tokens without a known prefix are shown to it; not where only an issuer's own JWTs are.
    pub(crate) takes_opaque: bool,
    /// Whether they are API keys of this server, which nobody else could issue.
    pub(crate) are_own_keys: bool,
    pub(crate) jwts_too: bool,
    /// What the tokens are that it vouches for.
    pub(crate) kind: TokenKind,
    /// Whom a signed answer may be for, beside the audience.
    pub(crate) client_id: Option<Box<str>>,
    pub(crate) settings: Compiled,
    pub(crate) flights: Flights<Found>,
    /// A turn for each question that may be under way at once.
    turns: Arc<Semaphore>,
    limits: FetchLimits,
    pub(crate) evictions: Arc<Evictions>,
    books: Mutex<Books>,
}

/// How many tokens are remembered that were good: one of them is asked about first when an endpoint may be well again.
const GOOD: usize = 64;

struct Books {
    breaker: Breaker,
    good: [u64; GOOD],
    next_good: usize,
    answered: u64,
    failed: u64,
    store_failures: u64,
    last_error: Option<String>,
    last_store_error: Option<String>,
}

impl Default for Books {
    fn default() -> Self {
        Self {
            breaker: Breaker::default(),
            good: [0; GOOD],
            next_good: 0,
            answered: 0,
            failed: 0,
            store_failures: 0,
            last_error: None,
            last_store_error: None,
        }
    }
}

/// Tells tokens apart without keeping them.
fn mark(token: AnswerKey) -> u64 {
    let (mark, _) = token.as_bytes().split_first_chunk().expect("a digest has 32 bytes");
    u64::from_le_bytes(*mark)
}

/// What a question brought, for all who asked it.
#[derive(Clone)]
pub(crate) enum Found {
    /// Facts; the decision is everybody's own.
    Active(Verified),
    Inactive,
    Unavailable(Duration),
    Refused(Error),
}

/// An issuer's endpoint for opaque tokens as a readiness endpoint or a metric shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OpaqueState {
    /// Whether the breaker holds questions back, so that requests get 503 at once.
    pub resting: bool,
    /// Questions that were answered, whatever the answer.
    pub answered: u64,
    /// Questions that were not.
    pub failed: u64,
    /// Times the store was out of reach; verification goes on without it.
    pub store_failures: u64,
    /// Why the last question that failed did; `None` once one succeeded.
    pub last_error: Option<String>,
    /// Why the store failed last; `None` once it answered.
    pub last_store_error: Option<String>,
}

impl Opaque {
    pub(crate) fn new(
        issuer: &str,
        verifier: Arc<dyn OpaqueVerifier>,
        audience: Audience,
        settings: Compiled,
        limits: FetchLimits,
    ) -> Self {
        let most = settings.questions;
        Self {
            issuer_name: issuer.into(),
            issuer_mark: issuer.into(),
            identity: verifier.identity().into(),
            verifier,
            audience,
            prefixes: Vec::new(),
            takes_opaque: true,
            are_own_keys: false,
            jwts_too: false,
            kind: TokenKind::Access,
            client_id: None,
            settings,
            // As many again may wait for their turn.
            flights: Flights::new(most.saturating_mul(2)),
            turns: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            limits,
            evictions: Arc::default(),
            books: Mutex::default(),
        }
    }

    /// The turn of one question, if it comes within the time that questions may wait.
    pub(crate) async fn turn(&self) -> Option<Turn> {
        timeout(self.settings.queue, self.limits.question_turn(&self.turns)).await.ok()
    }

    pub(crate) fn permit(&self, token: AnswerKey, now: Timestamp) -> Result<(), Duration> {
        let mut books = self.books();
        let was_good = books.good.contains(&mark(token));
        books.breaker.permit(now, was_good)
    }

    /// The endpoint has answered; `active` where it vouches for the token.
    pub(crate) fn answered(&self, token: AnswerKey, active: bool) {
        let mut books = self.books();
        let (mark, at) = (mark(token), books.next_good);
        if active && !books.good.contains(&mark) {
            books.good[at] = mark;
            books.next_good = (at + 1) % GOOD;
        }
        books.breaker.succeeded();
        books.answered += 1;
        books.last_error = None;
    }

    pub(crate) fn failed(&self, token: AnswerKey, error: &OpaqueError, now: Timestamp) {
        let mut books = self.books();
        if error.is_outage() {
            // Without a connection no token was shown: each time counts.
            let mark = if error.is_of_the_connection() { u64::MAX - books.failed } else { mark(token) };
            books.breaker.failed(now, mark, error.retry_after());
        } else {
            books.breaker.undecided(now);
        }
        books.failed += 1;
        books.last_error = Some(error.to_string());
        drop(books);
        let outcome = error.outcome();
        tracing::warn!(name: "token.opaque.failed", issuer = &*self.issuer_name, outcome, error = %error, "a token could not be asked about");
    }

    pub(crate) fn store_answered(&self) {
        self.books().last_store_error = None;
    }

    pub(crate) fn store_failed(&self, error: &StoreError) {
        let mut books = self.books();
        books.store_failures += 1;
        books.last_store_error = Some(error.to_string());
        drop(books);
        tracing::warn!(name: "token.opaque.store_failed", issuer = &*self.issuer_name, error = %error, "the store of answers is out of reach; going on without it");
    }

    pub(crate) fn state(&self) -> OpaqueState {
        let books = self.books();
        OpaqueState {
            resting: !matches!(books.breaker, Breaker::Closed { .. }),
            answered: books.answered,
            failed: books.failed,
            store_failures: books.store_failures,
            last_error: books.last_error.clone(),
            last_store_error: books.last_store_error.clone(),
        }
    }

    /// Held for a look, never across an await; nothing panics under it.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opaque")
            .field("issuer", &self.issuer_name)
            .field("verifier", &self.verifier)
            .finish_non_exhaustive()
    }
}
