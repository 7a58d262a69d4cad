//! A token that an endpoint has to vouch for goes in, a verdict comes out: one question for all who ask, and a decision by each of them.

mod question;
mod signed;

use std::sync::Arc;
use std::time::Duration;

use self::question::Question;
use super::{ResourceServer, grounded};
use crate::answer::error::{Error, ErrorKind};
use crate::base::telemetry;
use crate::base::time::Timestamp;
use crate::opaque::flight::Unanswered;
use crate::opaque::{Found, Opaque};
use crate::stores::{AnswerKey, AnswerTag, NameMark};
use crate::trust::trusted::TrustedIssuer;
use crate::verify::verified::{Facts, Verified};

/// How much longer than queue and endpoint may take a request waits, at the least: for four commands of the store, and for a key that a signed answer needs.
const PATIENCE: Duration = Duration::from_secs(2);
/// What a client is told to wait when nothing better is known.
const SOON: Duration = Duration::from_secs(1);

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
        let key = AnswerKey::of(opaque.identity, token);
        let question = || {
            let (server, issuer, opaque) = (self.clone(), Arc::clone(issuer), Arc::clone(opaque));
            let token = Box::from(token);
            async move { Question::new(server, issuer, opaque, key, token, jwt).answer().await }
        };
        let settings = &opaque.settings;
        let store = PATIENCE.max(settings.store_timeout.saturating_mul(4));
        let patience = [settings.timeout, settings.lease.unwrap_or_default(), store];
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

/// By what an answer about these facts can be evicted from a store.
pub(super) fn tags(facts: &Facts) -> Vec<AnswerTag> {
    let issuer = match &facts.issuer.opaque {
        Some(opaque) => opaque.issuer_mark,
        None => NameMark::from(&*facts.issuer.identifier),
    };
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

#[cfg(test)]
mod tests;
