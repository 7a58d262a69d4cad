//! A question about one token in, the facts it holds out: from a store, or from the endpoint, whose answer is then kept.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tracing::Instrument;

use super::signed::unwrap_introspection;
use super::{SOON, tags};
use crate::answer::error::{Error, ErrorKind};
use crate::base::chance::number;
use crate::base::http::HttpError;
use crate::base::sync::{sleep, timeout};
use crate::base::telemetry;
use crate::base::time::Timestamp;
use crate::claims::{self, Claims, Reading, Text};
use crate::gate::server::{Inner, ResourceServer, grounded};
use crate::jose::header::{OtherType, TokenType};
use crate::opaque::evictions::Moment;
use crate::opaque::introspection::judge;
use crate::opaque::{Found, Opaque, OpaqueAnswer, OpaqueError};
use crate::stores::{AnswerKey, StoreError, StoredAnswer};
use crate::token::binding::Binding;
use crate::token::kind::TokenKind;
use crate::trust::trusted::TrustedIssuer;
use crate::verify::typed::Typed;
use crate::verify::verified::{Facts, Verified};

/// By so much the clocks of instances that share a store may be apart.
const CLOCKS: Duration = Duration::from_secs(60);
/// How often the store is looked at for an answer that another instance asks for.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What is asked about one token, by whom. It owns what it needs: it runs in a task of its own and outlives those who wait for it.
pub(super) struct Question {
    server: ResourceServer,
    issuer: Arc<TrustedIssuer>,
    opaque: Arc<Opaque>,
    key: AnswerKey,
    token: Box<str>,
    /// What was verified first, where the token is a JWT.
    jwt: Option<Verified>,
    began: Moment,
}

/// Whose the one question of all instances is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// This instance's, until it gives it back.
    Ours(u64),
    /// Not this one's.
    Nobody,
}

impl Question {
    /// A question that begins now.
    pub(super) fn new(
        server: ResourceServer,
        issuer: Arc<TrustedIssuer>,
        opaque: Arc<Opaque>,
        key: AnswerKey,
        token: Box<str>,
        jwt: Option<Verified>,
    ) -> Self {
        let began = opaque.evictions.now();
        Self { server, issuer, opaque, key, token, jwt, began }
    }

    /// Asks the store, and then the endpoint.
    pub(super) async fn answer(&self) -> Found {
        let settings = &self.opaque.settings;
        let mut stored = self.in_time(settings.store.find(self.key, self.now())).await.flatten();
        let mut claim = Claim::Nobody;
        if stored.is_none()
            && let Some(lease) = settings.lease
        {
            (claim, stored) = self.claim(lease).await;
        }
        if let Some(StoredAnswer { claims, until, .. }) = stored {
            let now = self.now();
            // It was kept for no longer than this: what holds for longer is of a clock that was set back, or of one that is far ahead.
            let skew = if settings.store.is_shared() { CLOCKS } else { Timestamp::SLACK };
            if until.since(now) > self.life(claims.is_some()).saturating_add(skew) {
                telemetry::set_back("answers");
            } else if now < until {
                return self.found(claims, now, self.end_here(until, now)).0;
            }
        }

        let found = self.ask_and_keep().await;
        if let Claim::Ours(number) = claim {
            // Answered or not: nobody has to wait for the end of the lease.
            self.in_time(settings.store.release(self.key, number)).await;
        }
        found
    }

    /// Claims the question for this instance, or waits for who has: for the answer, or for the claim to be given back because none came. Neither of both
    /// when that takes longer than the lease, or the store is out of reach: then each instance asks for itself.
    async fn claim(&self, lease: Duration) -> (Claim, Option<StoredAnswer>) {
        let (store, number) = (&self.opaque.settings.store, number());
        let claimed = async {
            match self.in_time(store.claim(self.key, number, lease)).await {
                Some(true) => return (Claim::Ours(number), None),
                Some(false) => {}
                None => return (Claim::Nobody, None),
            }
            loop {
                sleep(LOOK_AGAIN).await;
                // The claim before the answer: who had it has written the answer before it gave the claim back.
                let Some(ours) = self.in_time(store.claim(self.key, number, lease)).await else {
                    return (Claim::Nobody, None);
                };
                let answer = self.in_time(store.find(self.key, self.now())).await.flatten();
                if ours && answer.is_some() {
                    self.in_time(store.release(self.key, number)).await;
                } else if ours {
                    return (Claim::Ours(number), None);
                }
                if answer.is_some() {
                    return (Claim::Nobody, answer);
                }
            }
        };
        timeout(lease, claimed).await.unwrap_or((Claim::Nobody, None))
    }

    /// The question to the endpoint, and its answer into the store.
    async fn ask_and_keep(&self) -> Found {
        let (opaque, store) = (&self.opaque, &self.opaque.settings.store);
        // What is in the store waits for nobody; from here on it is the endpoint's time that is asked for.
        let Some(_turn) = opaque.turn().await else { return Found::Unavailable(SOON) };
        // Before the endpoint is asked: what another instance drops from now on, this answer must not bring back.
        let generation = self.in_time(store.generation()).await;
        if let Err(pause) = opaque.permit(self.key, self.now()) {
            return Found::Unavailable(pause.max(SOON));
        }
        let span = telemetry::question_span(&self.issuer.identifier);
        let asked = self.ask().instrument(span.clone()).await;
        span.record("outcome", outcome(&asked));
        let claims = match asked {
            Ok(claims) => claims,
            Err(error) => {
                opaque.failed(self.key, &error, self.now());
                if let OpaqueError::Http(HttpError::NoRuntime(missing)) = error {
                    return Found::Refused(grounded(missing));
                }
                return Found::Unavailable(error.retry_after().unwrap_or(SOON));
            }
        };
        opaque.answered(self.key, claims.is_some());
        let now = self.now();
        let until = now.saturating_add(self.life(claims.is_some()));
        let (found, answer) = self.found(claims, now, self.end_here(until, now));
        if let (Some(mut answer), Some(generation)) = (answer, generation) {
            answer.generation = generation;
            answer.until = answer.until.min(until);
            if now < answer.until && opaque.evictions.none_since(self.began) {
                self.in_time(store.keep(self.key, answer, now)).await;
                if !opaque.evictions.none_since(self.began) {
                    // Evicted while it was being written: take it out again.
                    self.in_time(store.drop_key(self.key)).await;
                }
            }
        }
        found
    }

    /// Asks the endpoint, and verifies the answer where it is signed. `None` is inactive.
    async fn ask(&self) -> Result<Option<String>, OpaqueError> {
        let (opaque, issuer, inner) = (&self.opaque, &self.issuer, self.inner());
        let asked = opaque.verifier.ask(&self.token, self.now());
        let answer = timeout(opaque.settings.timeout, asked).await.map_err(|_| OpaqueError::Timeout)??;
        match answer {
            OpaqueAnswer::Inactive => Ok(None),
            OpaqueAnswer::Claims(json) => Ok(Some(json)),
            OpaqueAnswer::SignedUserInfo(jwt) => {
                let fits = |token_type| matches!(token_type, TokenType::Absent | TokenType::Jwt);
                let (text, claims) = inner.signed(issuer, &jwt, fits).await?;
                if claims.issuer.map(|span| text.get(span)) != Some(&*issuer.identifier) {
                    return Err(OpaqueError::Unusable("the signed userinfo is of another issuer"));
                }
                Ok(Some(text.json().to_owned()))
            }
            OpaqueAnswer::SignedIntrospection(jwt) => {
                let fits = |token_type| token_type == TokenType::Other(OtherType::Introspection);
                let (text, claims) = inner.signed(issuer, &jwt, fits).await?;
                let json = unwrap_introspection(issuer, opaque, &text, &claims, self.now())?;
                match judge(&json)? {
                    OpaqueAnswer::Claims(json) => Ok(Some(json)),
                    _ => Ok(None),
                }
            }
        }
    }

    /// Makes facts of claims, remembers them in this process until `end`, and says what to keep in the store.
    fn found(&self, claims: Option<String>, now: Timestamp, end: Timestamp) -> (Found, Option<StoredAnswer>) {
        let Some(json) = claims else {
            return (Found::Inactive, Some(StoredAnswer::new(None, Timestamp::MAX)));
        };
        let (issuer, inner, token) = (&self.issuer, self.inner(), &*self.token);
        let reading = Reading { numeric_subject: issuer.numeric_subjects, null_is_absent: true };
        let (text, claims, _) = match claims::read(json.clone(), if inner.keep_tokens { token } else { "" }, reading) {
            Ok(parsed) => parsed,
            Err(error) => {
                let error = Error::new(ErrorKind::Malformed, format!("the answer of the endpoint: {error}"));
                return (Found::Refused(error), None);
            }
        };
        // With a JWT the answer says whether it still holds, and the JWT what.
        if let Some(jwt) = &self.jwt
            && let Err(error) = check_times(issuer, &claims, now).and_then(|()| same_binding(jwt, &text, &claims))
        {
            return (Found::Refused(error), None);
        }
        let until = claims.expires.unwrap_or(Timestamp::MAX);
        let verified = match &self.jwt {
            Some(verified) => verified.clone(),
            None => match self.facts(text, claims) {
                Ok(facts) => Verified::new(Arc::new(facts)),
                Err(error) => return (Found::Refused(error), None),
            },
        };
        if let Some(cache) = &inner.cache {
            let tenant = inner.tenant.as_ref();
            let keep =
                || cache.insert(cache.key(token.as_bytes(), tenant), token.as_bytes(), &verified, now, end.min(until));
            self.opaque.evictions.keep(self.began, keep, || _ = cache.evict_token(token, tenant));
        }
        let mut answer = StoredAnswer::new(Some(json), until);
        answer.tags = tags(verified.shared_facts());
        (Found::Active(verified), Some(answer))
    }

    fn facts(&self, text: Text, claims: Claims) -> Result<Facts, Error> {
        let extra = self.issuer.examine(None, || Value::Null, &text, &claims)?;
        let kind = match &extra {
            Some(extra) if self.opaque.kind == TokenKind::Access && extra.delegation.actor.is_some() => {
                TokenKind::Delegation
            }
            _ => self.opaque.kind,
        };
        let issuer = Arc::clone(&self.issuer);
        Ok(Facts { text, claims, key: None, issuer, kind, extra, typed: Typed::default() })
    }

    /// What the store says, unless it is slow or down: then it is as if it had nothing.
    async fn in_time<T>(&self, asked: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
        let answer = timeout(self.opaque.settings.store_timeout, asked).await;
        match answer.unwrap_or_else(|_| Err(StoreError::Unreachable("no answer in time".to_owned()))) {
            Ok(value) => {
                self.opaque.store_answered();
                Some(value)
            }
            Err(error) => {
                self.opaque.store_failed(&error);
                None
            }
        }
    }

    fn inner(&self) -> &Inner {
        &self.server.0
    }

    fn now(&self) -> Timestamp {
        self.inner().clock.now()
    }

    /// For how long an answer is kept.
    fn life(&self, is_active: bool) -> Duration {
        let settings = &self.opaque.settings;
        if is_active { settings.active_life } else { settings.inactive_life }
    }

    /// Until when this process keeps an answer that the store keeps `until` then.
    fn end_here(&self, until: Timestamp, now: Timestamp) -> Timestamp {
        let settings = &self.opaque.settings;
        if settings.store.is_shared() { until.min(now.saturating_add(settings.local_life)) } else { until }
    }
}

fn outcome(asked: &Result<Option<String>, OpaqueError>) -> &'static str {
    match asked {
        Ok(Some(_)) => "active",
        Ok(None) => "inactive",
        Err(error) => error.outcome(),
    }
}

fn check_times(issuer: &TrustedIssuer, claims: &Claims, now: Timestamp) -> Result<(), Error> {
    if claims.expires.is_some() { issuer.check_times(claims, now) } else { issuer.check_start(claims, now) }
}

/// A binding that only the answer knows of is one that nobody would ask a proof for.
fn same_binding(jwt: &Verified, text: &Text, claims: &Claims) -> Result<(), Error> {
    if !claims.confirmation || Some(Binding::read(text.json())?) == jwt.binding().copied() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::SenderConstrained,
        "the endpoint says that the token is bound otherwise (cnf) than the token does",
    ))
}
