//! A token that an endpoint has to vouch for goes in, the facts it holds come out: from a store, or from one question for all who ask.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tracing::Instrument;

use super::{Inner, ResourceServer, grounded};
use crate::answer::error::{Error, ErrorKind};
use crate::base::http::HttpError;
use crate::base::sync::{sleep, timeout};
use crate::base::telemetry;
use crate::base::time::Timestamp;
use crate::claims::{self, Claims, Names, Reading, Text};
use crate::jose::header::{OtherType, TokenType};
use crate::keys::{Answer, Fetched, Missing};
use crate::opaque::evictions::Moment;
use crate::opaque::flight::Unanswered;
use crate::opaque::introspection::judge;
use crate::opaque::{Found, Opaque, OpaqueAnswer, OpaqueError};
use crate::stores::{AnswerKey, AnswerTag, StoreError, StoredAnswer};
use crate::token::binding::Binding;
use crate::token::kind::TokenKind;
use crate::trust::trusted::TrustedIssuer;
use crate::verify::jwt::{self, Hurdle, Lacking};
use crate::verify::typed::Typed;
use crate::verify::verified::Facts;
use crate::verify::verified::Verified;

/// A store that takes longer is slower than asking.
const STORE_TIMEOUT: Duration = Duration::from_millis(500);
/// How much longer than queue and endpoint may take a request waits: for the store, and for a key that a signed answer needs.
const PATIENCE: Duration = Duration::from_secs(2);
/// By so much the clocks of instances that share a store may be apart.
const CLOCKS: Duration = Duration::from_secs(60);
/// How often the store is looked at for an answer that another instance asks for.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// What a client is told to wait when nothing better is known.
const SOON: Duration = Duration::from_secs(1);
/// How old a signed answer may be, beside the leeway: it was made for this question.
const ANSWER_LIFE: Duration = Duration::from_secs(60);

impl ResourceServer {
    /// The road of a token that is not verified here, or not only here. `jwt` is what was verified first.
    pub(crate) async fn ask(
        &self,
        issuer: &Arc<TrustedIssuer>,
        token: &str,
        jwt: Option<Verified>,
    ) -> Result<Verified, Error> {
        let Some(opaque) = &issuer.opaque else {
            return Err(self.refusal(Error::new(ErrorKind::Malformed, "nobody is there to be asked about this token")));
        };
        if token.len() > opaque.settings.max_token {
            let detail = format!(
                "expected at most {} bytes in a token that an endpoint is asked about",
                opaque.settings.max_token
            );
            return Err(self.refusal(Error::new(ErrorKind::Malformed, detail).about(&issuer.identifier)));
        }
        let key = AnswerKey::new(opaque.verifier.identity(), token);
        let question = || {
            let (server, issuer, opaque) = (self.clone(), Arc::clone(issuer), Arc::clone(opaque));
            let token = Box::<str>::from(token);
            async move { server.0.find_out(&issuer, &opaque, key, &token, jwt).await }
        };
        let settings = &opaque.settings;
        let patience = [settings.timeout, settings.lease.unwrap_or_default(), PATIENCE];
        let patience = patience.iter().fold(settings.queue, |sum, wait| sum.saturating_add(*wait));
        let found = match opaque.flights.join(key, opaque.evictions.count(), patience, question) {
            Ok(answer) => answer.await,
            Err(unanswered) => Err(unanswered),
        };
        let found = found.unwrap_or_else(|unanswered| match unanswered {
            Unanswered::Full | Unanswered::Lost => Found::Unavailable(SOON),
            Unanswered::Grounded(missing) => Found::Refused(grounded(missing)),
        });
        let now = self.0.clock.now();
        telemetry::asked(
            &issuer.identifier,
            match &found {
                Found::Active(_) => "active",
                Found::Inactive => "inactive",
                Found::Unavailable(_) => "unavailable",
                Found::Refused(_) => "refused",
            },
        );
        let refused = match found {
            Found::Active(verified) => match judge_facts(opaque, verified.shared_facts(), now) {
                Ok(()) => return self.admit(verified, now).await,
                Err(error) => error,
            },
            Found::Inactive => Error::new(ErrorKind::Inactive, "the issuer says that the token is not active"),
            Found::Unavailable(pause) => Error::unavailable("the endpoint that knows the token is out of reach", pause),
            Found::Refused(error) => error,
        };
        Err(self.refusal(refused.about(&issuer.identifier)))
    }
}

/// The decision, made by each who asked: facts may be shared, verdicts not.
fn judge_facts(opaque: &Opaque, facts: &Facts, now: Timestamp) -> Result<(), Error> {
    if facts.issuer.is_removed() {
        return Err(Error::new(ErrorKind::UnknownIssuer, "the issuer is trusted no more"));
    }
    match facts.key {
        Some(_) => facts.issuer.check_claims(facts.kind, &facts.text, &facts.claims, now),
        None => facts.issuer.check_answer(opaque, &facts.text, &facts.claims, now),
    }
}

/// Whose the one question of all instances is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// This instance's, until it gives it back.
    Ours,
    /// Not this one's.
    Nobody,
}

impl Inner {
    /// The one question: the store, then the endpoint. Runs in a task of its own.
    async fn find_out(
        &self,
        issuer: &Arc<TrustedIssuer>,
        opaque: &Opaque,
        key: AnswerKey,
        token: &str,
        jwt: Option<Verified>,
    ) -> Found {
        let began = opaque.evictions.now();
        let shared = opaque.settings.store.is_shared();
        let mut stored = in_time(opaque, opaque.settings.store.find(key, self.clock.now())).await.flatten();
        let mut claim = Claim::Nobody;
        if stored.is_none()
            && let Some(lease) = opaque.settings.lease
        {
            (claim, stored) = self.claim(opaque, key, lease).await;
        }
        if let Some(StoredAnswer { claims, until, .. }) = stored {
            let now = self.clock.now();
            // It was kept for no longer than this: what holds for longer is of a clock that was set back, or of one that is far ahead.
            let life = if claims.is_some() { opaque.settings.active_life } else { opaque.settings.inactive_life };
            let longest = life.saturating_add(if shared { CLOCKS } else { Timestamp::SLACK });
            if until.since(now) > longest {
                telemetry::set_back("answers");
            } else if now < until {
                let end = if shared { until.min(now.saturating_add(opaque.settings.local_life)) } else { until };
                return self.found(issuer, opaque, token, claims, jwt, (began, now, end)).0;
            }
        }

        let found = self.ask_and_keep(issuer, opaque, key, token, jwt, began).await;
        if claim == Claim::Ours {
            // Answered or not: nobody has to wait for the end of the lease.
            in_time(opaque, opaque.settings.store.release(key)).await;
        }
        found
    }

    /// The question to the endpoint, and its answer into the store.
    async fn ask_and_keep(
        &self,
        issuer: &Arc<TrustedIssuer>,
        opaque: &Opaque,
        key: AnswerKey,
        token: &str,
        jwt: Option<Verified>,
        began: Moment,
    ) -> Found {
        let shared = opaque.settings.store.is_shared();
        // What is in the store waits for nobody; from here on it is the endpoint's time that is asked for.
        let Some(_turn) = opaque.turn().await else { return Found::Unavailable(SOON) };
        // Before the endpoint is asked: what another instance drops from now on, this answer must not bring back.
        let generation = in_time(opaque, opaque.settings.store.generation()).await;
        if let Err(pause) = opaque.permit(key, self.clock.now()) {
            return Found::Unavailable(pause.max(SOON));
        }
        let span = telemetry::question_span(&issuer.identifier);
        let asked = self.question(issuer, opaque, token).instrument(span.clone()).await;
        span.record("outcome", outcome(&asked));
        let claims = match asked {
            Ok(claims) => claims,
            Err(error) => {
                opaque.failed(key, &error, self.clock.now());
                if let OpaqueError::Http(HttpError::NoRuntime(missing)) = error {
                    return Found::Refused(grounded(missing));
                }
                return Found::Unavailable(error.retry_after().unwrap_or(SOON));
            }
        };
        opaque.answered(key, claims.is_some());
        let now = self.clock.now();
        let life = if claims.is_some() { opaque.settings.active_life } else { opaque.settings.inactive_life };
        let until = now.saturating_add(life);
        let end = if shared { until.min(now.saturating_add(opaque.settings.local_life)) } else { until };
        let (found, answer) = self.found(issuer, opaque, token, claims, jwt, (began, now, end));
        if let (Some(mut answer), Some(generation)) = (answer, generation) {
            answer.generation = generation;
            answer.until = answer.until.min(until);
            if now < answer.until && opaque.evictions.none_since(began) {
                in_time(opaque, opaque.settings.store.keep(key, answer, now)).await;
                if !opaque.evictions.none_since(began) {
                    // Evicted while it was being written: take it out again.
                    in_time(opaque, opaque.settings.store.drop_key(key)).await;
                }
            }
        }
        found
    }

    /// Claims the question for this instance, or waits for who has: for the answer, or for the claim to be given back because none came. Nothing of both when that
    /// takes longer than the lease, or the store is out of reach: then everybody asks for himself.
    async fn claim(&self, opaque: &Opaque, key: AnswerKey, lease: Duration) -> (Claim, Option<StoredAnswer>) {
        let store = &opaque.settings.store;
        let claimed = async {
            match in_time(opaque, store.claim(key, lease)).await {
                Some(true) => return (Claim::Ours, None),
                Some(false) => {}
                None => return (Claim::Nobody, None),
            }
            loop {
                sleep(LOOK_AGAIN).await;
                // The claim before the answer: who had it has written the answer before it gave the claim back.
                let Some(ours) = in_time(opaque, store.claim(key, lease)).await else { return (Claim::Nobody, None) };
                let answer = in_time(opaque, store.find(key, self.clock.now())).await.flatten();
                if ours && answer.is_some() {
                    in_time(opaque, store.release(key)).await;
                } else if ours {
                    return (Claim::Ours, None);
                }
                if answer.is_some() {
                    return (Claim::Nobody, answer);
                }
            }
        };
        timeout(lease, claimed).await.unwrap_or((Claim::Nobody, None))
    }

    /// Makes facts of claims, remembers them here until `end`, and says what to keep in the store.
    fn found(
        &self,
        issuer: &Arc<TrustedIssuer>,
        opaque: &Opaque,
        token: &str,
        claims: Option<String>,
        jwt: Option<Verified>,
        (began, now, end): (Moment, Timestamp, Timestamp),
    ) -> (Found, Option<StoredAnswer>) {
        let Some(json) = claims else {
            return (Found::Inactive, Some(StoredAnswer::new(None, Timestamp::MAX)));
        };
        let reading = Reading { numeric_subject: issuer.numeric_subjects, null_is_absent: true };
        let (text, claims, _) = match claims::parse_as(json.clone(), self.kept(token), reading) {
            Ok(parsed) => parsed,
            Err(error) => {
                let error = Error::new(ErrorKind::Malformed, format!("the answer of the endpoint: {error}"));
                return (Found::Refused(error), None);
            }
        };
        // With a JWT the answer says whether it still holds, and the JWT what.
        if let Some(jwt) = &jwt
            && let Err(error) = check_times(issuer, &claims, now).and_then(|()| same_binding(jwt, &text, &claims))
        {
            return (Found::Refused(error), None);
        }
        let until = claims.expires.unwrap_or(Timestamp::MAX);
        let verified = match jwt {
            Some(verified) => verified,
            None => match self.facts(issuer, opaque, text, claims) {
                Ok(facts) => Verified::new(Arc::new(facts)),
                Err(error) => return (Found::Refused(error), None),
            },
        };
        if let Some(cache) = &self.cache {
            let tenant = self.tenant.as_ref();
            let keep = || cache.insert(cache.key(token.as_bytes(), tenant), token, &verified, now, end.min(until));
            opaque.evictions.keep(began, keep, || _ = cache.evict_token(token, tenant));
        }
        let mut answer = StoredAnswer::new(Some(json), until);
        answer.tags = tags(verified.shared_facts());
        (Found::Active(verified), Some(answer))
    }

    fn facts(&self, issuer: &Arc<TrustedIssuer>, opaque: &Opaque, text: Text, claims: Claims) -> Result<Facts, Error> {
        let extra = issuer.examine(None, || Value::Null, &text, &claims)?;
        let kind = match &extra {
            Some(extra) if opaque.kind == TokenKind::Access && extra.delegation.actor.is_some() => {
                TokenKind::Delegation
            }
            _ => opaque.kind,
        };
        Ok(Facts { text, claims, key: None, issuer: Arc::clone(issuer), kind, extra, typed: Typed::default() })
    }

    /// Asks the endpoint, and verifies the answer where it is signed. `None` is inactive.
    async fn question(
        &self,
        issuer: &Arc<TrustedIssuer>,
        opaque: &Opaque,
        token: &str,
    ) -> Result<Option<String>, OpaqueError> {
        let asked = opaque.verifier.ask(token, self.clock.now());
        let answer = timeout(opaque.settings.timeout, asked).await.map_err(|_| OpaqueError::Timeout)??;
        match answer {
            OpaqueAnswer::Inactive => Ok(None),
            OpaqueAnswer::Claims(json) => Ok(Some(json)),
            OpaqueAnswer::SignedUserInfo(jwt) => {
                let fits = |token_type| matches!(token_type, TokenType::Absent | TokenType::Jwt);
                let (text, claims) = self.signed(issuer, &jwt, fits).await?;
                if claims.issuer.map(|span| text.get(span)) != Some(&*issuer.identifier) {
                    return Err(OpaqueError::Unusable("the signed userinfo is of another issuer"));
                }
                Ok(Some(text.json().to_owned()))
            }
            OpaqueAnswer::SignedIntrospection(jwt) => {
                let fits = |token_type| token_type == TokenType::Other(OtherType::Introspection);
                let (text, claims) = self.signed(issuer, &jwt, fits).await?;
                let json = unwrap_introspection(issuer, opaque, &text, &claims, self.clock.now())?;
                match judge(&json)? {
                    OpaqueAnswer::Claims(json) => Ok(Some(json)),
                    _ => Ok(None),
                }
            }
        }
    }

    /// Verifies a signed answer with the issuer's keys, fetched if they have to be.
    pub(super) async fn signed(
        &self,
        issuer: &Arc<TrustedIssuer>,
        jwt: &str,
        fits: impl Fn(TokenType) -> bool,
    ) -> Result<(Text, Claims), OpaqueError> {
        const UNVERIFIED: OpaqueError = OpaqueError::Unusable("its signature, algorithm or type does not hold");
        let now = self.clock.now();
        let (lacking, looked) = match jwt::verify_statement(jwt, issuer, now, &fits) {
            Ok(statement) => return Ok(statement),
            Err(Hurdle::Key { lacking, looked, .. }) => (lacking, looked),
            Err(_) => return Err(UNVERIFIED),
        };
        let what = match &lacking {
            Lacking::Set => Missing::Set,
            Lacking::Kid(kid) => Missing::Kid(kid),
            Lacking::NoKid => Missing::NoKid,
            Lacking::SameKid(kid) => Missing::SameKid(kid),
        };
        let Answer::Wait(fetch) = issuer.keys.missing(what, looked, now) else { return Err(UNVERIFIED) };
        if let Fetched::Unavailable { .. } | Fetched::Grounded(_) = fetch.await {
            return Err(OpaqueError::Unusable("the keys that its signature needs are out of reach"));
        }
        jwt::verify_statement(jwt, issuer, self.clock.now(), fits).map_err(|_| UNVERIFIED)
    }
}

fn outcome(asked: &Result<Option<String>, OpaqueError>) -> &'static str {
    match asked {
        Ok(Some(_)) => "active",
        Ok(None) => "inactive",
        Err(error) => error.outcome(),
    }
}

/// RFC 9701 section 5: iss is the issuer, aud this server or its client, iat of now; the answer is inside, `sub` and `exp` are not outside.
fn unwrap_introspection(
    issuer: &TrustedIssuer,
    opaque: &Opaque,
    text: &Text,
    claims: &Claims,
    now: Timestamp,
) -> Result<String, OpaqueError> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        token_introspection: &'a RawValue,
    }
    let unusable = |why| Err(OpaqueError::Unusable(why));
    if claims.issuer.map(|span| text.get(span)) != Some(&*issuer.identifier) {
        return unusable("the signed answer is of another issuer");
    }
    let names = Names::new(text, &claims.audience);
    let for_client = opaque.client_id.as_deref().is_some_and(|id| names.iter().any(|name| name == id));
    if !for_client && !opaque.audience.accepts(names) {
        return unusable("the signed answer is for another audience");
    }
    let Some(issued) = claims.issued else { return unusable("the signed answer has no iat") };
    if now.since(issued) > ANSWER_LIFE + issuer.leeway || issued.since(now) > issuer.leeway {
        return unusable("the signed answer is not of now");
    }
    if claims.subject.is_some() || claims.expires.is_some() {
        return unusable("the signed answer looks like a token: it has sub or exp of its own");
    }
    match serde_json::from_str::<Envelope<'_>>(text.json()) {
        Ok(envelope) => Ok(envelope.token_introspection.get().to_owned()),
        Err(_) => unusable("the signed answer has no token_introspection"),
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

pub(super) fn tags(facts: &Facts) -> Vec<AnswerTag> {
    let issuer = &*facts.issuer.identifier;
    let claims = &facts.claims;
    let client = claims.client_id.or(claims.authorized_party);
    [
        facts.claim(claims.subject).map(|subject| AnswerTag::subject(issuer, subject)),
        facts.claim(claims.session_id).map(|session| AnswerTag::session(issuer, session)),
        facts.claim(client).map(|client| AnswerTag::client(issuer, client)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What the store says, unless it is slow or down: then it is as if it had nothing.
async fn in_time<T>(opaque: &Opaque, asked: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
    let answer = timeout(STORE_TIMEOUT, asked).await;
    match answer.unwrap_or_else(|_| Err(StoreError::Unreachable("no answer in time".to_owned()))) {
        Ok(value) => {
            opaque.store_answered();
            Some(value)
        }
        Err(error) => {
            opaque.store_failed(&error);
            None
        }
    }
}

#[cfg(test)]
mod tests;
