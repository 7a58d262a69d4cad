//! Why a request did not pass in, what the operator reads and the client gets out (RFC 6750 section 3.1, RFC 9110 section 15).
//!
//! Two readers, two texts: the operator reads [`Error`]'s `Display`, which says which check failed and what it expected;
//! the client gets the one fixed sentence of the kind. Neither ever holds a token, a secret or the value of a claim.

mod answer;
pub(crate) mod kind;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::answer::challenge::{Challenge, DpopOffer, DpopPolicy, Protection};
use crate::answer::check::Check;
use crate::answer::refusals::RefusalLog;

use answer::problem;

pub use answer::Answer;
pub use kind::ErrorKind;

/// Why a request was refused. A clone costs one `Arc`.
///
/// It has two readers. The operator reads `Display`: the kind and a detail, which says what was expected. The client gets [`answer`](Self::answer): status,
/// challenge and one fixed sentence for the kind. Neither holds a token, a secret or the value of a claim.
///
/// ```
/// use token_core::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Expired, "expired 3 min ago");
/// assert_eq!(error.to_string(), "expired: expired 3 min ago");
/// assert_eq!(error.answer().status, 401);
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    detail: Cow<'static, str>,
    check: Option<Check>,
    issuer: Option<Arc<str>>,
    explanation: Option<Box<str>>,
    retry_after: Option<Duration>,
    scope: Option<Box<str>>,
    step_up: Option<Box<StepUp>>,
    protection: Option<Arc<Protection>>,
    presented: Presented,
    /// Whether good claims do not fit a type of the program's.
    misfit: bool,
    logged: AtomicBool,
}

/// How the credentials came, which says how the answer is worded.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Presented {
    /// With the scheme `DPoP`.
    pub(crate) as_dpop: bool,
    /// What the route takes, where that is not what the server takes.
    pub(crate) policy: Option<DpopPolicy>,
}

/// How the user would have to sign in (RFC 9470 section 3).
#[derive(Clone)]
struct StepUp {
    acr_values: Option<Box<str>>,
    max_age: Option<Duration>,
}

// A copy that is edited is an error of its own, which nobody has logged yet.
impl Clone for Inner {
    fn clone(&self) -> Self {
        Self {
            kind: self.kind,
            detail: self.detail.clone(),
            check: self.check,
            issuer: self.issuer.clone(),
            explanation: self.explanation.clone(),
            retry_after: self.retry_after,
            scope: self.scope.clone(),
            step_up: self.step_up.clone(),
            protection: self.protection.clone(),
            presented: self.presented,
            misfit: self.misfit,
            logged: AtomicBool::new(false),
        }
    }
}

impl Error {
    /// An error of this kind; `detail` is for the operator: lower case, expected values, nothing taken from a token.
    #[must_use]
    pub fn new(kind: ErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        let (detail, logged) = (detail.into(), AtomicBool::new(false));
        let (check, issuer, explanation, retry_after, scope) = (None, None, None, None, None);
        let (step_up, protection) = (None, None);
        let presented = Presented::default();
        Self(Arc::new(Inner {
            kind,
            detail,
            check,
            issuer,
            explanation,
            retry_after,
            scope,
            step_up,
            protection,
            presented,
            misfit: false,
            logged,
        }))
    }

    /// The token cannot be checked right now: 503. `retry_after` tells the client when to try again; it is sent in whole seconds, at least one.
    #[must_use]
    pub fn unavailable(detail: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        let mut error = Self::new(ErrorKind::Unavailable, detail);
        error.edit().retry_after = Some(retry_after);
        error
    }

    /// The token is good, but a service that the handler needs is unreachable: 503. `retry_after` tells the client when to try again.
    #[must_use]
    pub fn downstream_unavailable(detail: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        let mut error = Self::new(ErrorKind::DownstreamUnavailable, detail);
        error.edit().retry_after = Some(retry_after);
        error
    }

    /// The token is good but lacks a scope: 403. `scope` holds the scopes that would be enough, separated by spaces (RFC 6750 section 3). Leave it empty where
    /// no scope would help.
    #[must_use]
    pub fn insufficient_scope(scope: impl Into<Box<str>>) -> Self {
        let mut error = Self::new(ErrorKind::InsufficientScope, "the token's scopes do not satisfy the rule");
        let scope = scope.into();
        error.edit().scope = (!scope.is_empty()).then_some(scope);
        error
    }

    /// The token is good, but the user must sign in again or by another method: 401 (RFC 9470 section 3). `acr_values` are the methods that are accepted,
    /// separated by spaces, best first. `max_age` is how long ago the user may have signed in; challenges name it in whole seconds.
    #[must_use]
    pub fn insufficient_user_authentication(acr_values: Option<&str>, max_age: Option<Duration>) -> Self {
        let detail = match (acr_values, max_age) {
            (Some(values), None) => format!("expected acr to be one of {values}"),
            (Some(values), Some(age)) => {
                format!("expected acr to be one of {values}, and auth_time at most {} s ago", age.as_secs())
            }
            (None, Some(age)) => format!("expected auth_time at most {} s ago", age.as_secs()),
            (None, None) => "expected another way to sign in".to_owned(),
        };
        let mut error = Self::new(ErrorKind::InsufficientUserAuthentication, detail);
        let acr_values = acr_values.map(Into::into);
        error.edit().step_up = Some(Box::new(StepUp { acr_values, max_age }));
        error
    }

    /// The same error with the scopes that a token should have, separated by spaces. The challenge names them (RFC 6750 section 3), and clients ask for a token
    /// with these scopes after a 401.
    #[must_use]
    pub fn asking_for(mut self, scope: impl Into<Box<str>>) -> Self {
        let scope = scope.into();
        self.edit().scope = (!scope.is_empty()).then_some(scope);
        self
    }

    /// An extractor was used on a route without the layer that verifies tokens: 500. The log names `layer`; the client does not learn it.
    #[must_use]
    pub fn missing_layer(layer: &'static str) -> Self {
        Self::new(
            ErrorKind::Misconfigured,
            format!("no verified token in this request: is {layer} missing around this route?"),
        )
    }

    /// The same error with the scopes to ask for in its challenge, separated by blanks (RFC 6750 section 3); none where that is empty.
    #[must_use]
    pub(crate) fn naming(mut self, scope: &str) -> Self {
        if !scope.is_empty() {
            self.edit().scope = Some(scope.into());
        }
        self
    }

    /// The same error, as the finding of this check.
    #[must_use]
    pub(crate) fn at(mut self, check: Check) -> Self {
        self.edit().check = Some(check);
        self
    }

    /// The same error: good claims, and a type of the program's that they do not fit.
    #[must_use]
    pub(crate) fn misfit(mut self) -> Self {
        self.edit().misfit = true;
        self
    }

    /// The same error, about a token of this issuer of the registry.
    #[must_use]
    pub(crate) fn about(mut self, issuer: &Arc<str>) -> Self {
        self.edit().issuer = Some(Arc::clone(issuer));
        self
    }

    /// The same error with an explanation for the response, as only the operator of a development server asks for.
    #[must_use]
    pub(crate) fn explained(mut self, explanation: impl Into<Box<str>>) -> Self {
        self.edit().explanation = Some(explanation.into());
        self
    }

    /// The same error, answered in the name of this resource server.
    #[must_use]
    pub(crate) fn within(mut self, protection: &Arc<Protection>) -> Self {
        self.edit().protection = Some(Arc::clone(protection));
        self
    }

    /// The same error, about credentials that came like this.
    #[must_use]
    pub(crate) fn presented(mut self, presented: Presented) -> Self {
        self.edit().presented = presented;
        self
    }

    fn edit(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }

    /// The kind of error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// More about the reason, for the operator: what was expected. It never holds a token, a secret or the value of a claim.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The check that failed, for errors that come from verification.
    #[must_use]
    pub fn check(&self) -> Option<Check> {
        self.0.check
    }

    /// The issuer that the token names, if it is one of those that this server trusts. The text comes from the configuration and never from the caller, so it
    /// can serve as a label of metrics. It does not mean that the token really is from this issuer: a forged token can name it, too.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.0.issuer.as_deref()
    }

    /// The same, to be kept without a copy.
    #[cfg(feature = "metrics")]
    pub(crate) fn shared_issuer(&self) -> Option<&Arc<str>> {
        self.0.issuer.as_ref()
    }

    /// The scopes that would satisfy the rule that failed, separated by spaces.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.0.scope.as_deref()
    }

    /// After what time the client may try again, for [`ErrorKind::Unavailable`] and [`ErrorKind::DownstreamUnavailable`].
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The same as the field says it: whole seconds, at least one.
    pub(crate) fn retry_after_seconds(&self) -> u64 {
        self.retry_after().unwrap_or_default().as_secs().max(1)
    }

    /// The value of the `WWW-Authenticate` field (RFC 6750 section 3), for answers with 400, 401 or 403.
    #[must_use]
    pub fn challenge(&self) -> Option<String> {
        let kind = self.kind();
        if !matches!(kind.status(), 400 | 401 | 403) {
            return None;
        }
        let protection = self.0.protection.as_deref();
        let said = |mut challenge: Challenge| {
            if let Some(code) = kind.code() {
                challenge = challenge.param("error", code).param("error_description", kind.public_text());
            }
            if let Some(scope) = self.scope() {
                challenge = challenge.param("scope", scope);
            }
            if let Some(values) = self.0.step_up.as_ref().and_then(|step_up| step_up.acr_values.as_deref()) {
                challenge = challenge.param("acr_values", values);
            }
            if let Some(age) = self.0.step_up.as_ref().and_then(|step_up| step_up.max_age) {
                challenge = challenge.param("max_age", &age.as_secs().to_string());
            }
            challenge.finish()
        };
        let Some((offer, policy)) = self.dpop() else { return Some(said(Challenge::bearer(protection))) };
        // The scheme that was used comes first, with what went wrong: clients of DPoP look for theirs at the beginning, and clients
        // that have sent nothing yet for `Bearer` with the metadata.
        let dpop = Challenge::dpop(protection, offer);
        Some(match (policy, self.0.presented.as_dpop) {
            (DpopPolicy::Required, _) => said(dpop),
            (_, true) => format!("{}, {}", said(dpop), Challenge::bearer(protection).finish()),
            (_, false) => format!("{}, {}", said(Challenge::bearer(protection)), dpop.finish()),
        })
    }

    /// What is said of DPoP, where it is taken at all.
    fn dpop(&self) -> Option<(&DpopOffer, DpopPolicy)> {
        let offer = self.0.protection.as_ref()?.dpop.as_ref()?;
        let policy = self.0.presented.policy.unwrap_or(offer.policy);
        (policy != DpopPolicy::Bearer).then_some((offer, policy))
    }

    /// A fresh nonce for whoever shows proofs.
    fn dpop_nonce(&self) -> Option<String> {
        let (offer, policy) = self.dpop()?;
        let shows_proofs = self.0.presented.as_dpop || policy == DpopPolicy::Required;
        offer.nonces.as_ref().filter(|_| shows_proofs && self.kind().status() == 401)?.fresh()
    }

    /// The HTTP answer for the client as plain values, for any framework.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let kind = self.kind();
        Answer {
            status: kind.status(),
            www_authenticate: self.challenge(),
            retry_after: self.retry_after().is_some().then(|| self.retry_after_seconds()),
            explanation: self.0.explanation.as_deref().map(Into::into),
            dpop_nonce: self.dpop_nonce(),
            exposed: self.dpop().map(|_| Answer::EXPOSED),
            content_type: Answer::CONTENT_TYPE,
            body: problem(kind),
        }
    }

    /// Logs the error through `tracing`, as the event `token.refused` with the fields `kind`, `check`, `issuer` and `detail`. An error is logged once, however many
    /// layers call this.
    ///
    /// The level says who has to act: `ERROR` for a server that is set up wrongly, `WARN` for something unreachable, `DEBUG` for a mistake of the caller. Where
    /// [`log_refusals`](crate::ResourceServerBuilder::log_refusals) is set, that many refused tokens a minute are logged at `INFO`. Claims that do not fit a
    /// handler's type are always logged at `INFO`, at most 60 a minute in the whole process.
    pub fn log(&self) {
        if self.0.logged.swap(true, Ordering::Relaxed) {
            return;
        }
        let (kind, detail, check) = (self.kind().name(), self.detail(), self.check().map(Check::name));
        let issuer = self.issuer();
        match self.kind().status() {
            500 => tracing::error!(name: "token.refused", kind, check, issuer, detail, "request refused"),
            503 => tracing::warn!(name: "token.refused", kind, check, issuer, detail, "request refused"),
            _ => match self.shown() {
                Some(left_out) => {
                    tracing::info!(name: "token.refused", kind, check, issuer, detail, left_out, "request refused");
                }
                None => tracing::debug!(name: "token.refused", kind, check, issuer, detail, "request refused"),
            },
        }
    }

    /// Whether a refusal that is the caller's affair is shown at `info`; with it how many were not since the last one.
    fn shown(&self) -> Option<u64> {
        if self.0.misfit {
            return RefusalLog::misfits().room();
        }
        // Whoever sends no token at all is no news.
        let asked_for =
            self.0.protection.as_ref()?.refusals.as_ref().filter(|_| self.kind() != ErrorKind::MissingToken);
        asked_for?.room()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind().name(), self.detail())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error").field("kind", &self.kind()).field("detail", &self.detail()).finish_non_exhaustive()
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::telemetry::listener::Listener;

    #[test]
    fn the_table_is_the_one_that_is_promised() {
        let rows: Vec<_> = ErrorKind::ALL.iter().map(|kind| (kind.status(), kind.code())).collect();
        for (row, kind) in rows.iter().zip(ErrorKind::ALL) {
            let expected = match kind {
                ErrorKind::MissingToken => (401, None),
                ErrorKind::InvalidRequest | ErrorKind::CrossSite => (400, Some("invalid_request")),
                ErrorKind::InsufficientScope | ErrorKind::InsufficientDetails => (403, Some("insufficient_scope")),
                ErrorKind::InsufficientUserAuthentication => (401, Some("insufficient_user_authentication")),
                ErrorKind::Unavailable | ErrorKind::DownstreamUnavailable => (503, None),
                ErrorKind::Misconfigured => (500, None),
                ErrorKind::InvalidDpopProof => (401, Some("invalid_dpop_proof")),
                ErrorKind::DpopNonceRequired => (401, Some("use_dpop_nonce")),
                _ => (401, Some("invalid_token")),
            };
            assert_eq!(*row, expected, "{kind}");
        }
    }

    #[test]
    fn every_body_is_json_with_the_status_inside() {
        for kind in ErrorKind::ALL {
            let body: serde_json::Value = serde_json::from_str(&problem(*kind)).unwrap();
            assert_eq!(body["status"], kind.status());
            assert_eq!(body["error"].as_str(), kind.code());
        }
    }

    #[test]
    fn a_missing_token_gets_a_bare_challenge_and_a_bad_one_a_code() {
        let missing = Error::new(ErrorKind::MissingToken, "no credentials").challenge();
        assert_eq!(missing.as_deref(), Some("Bearer"));
        let expired = Error::new(ErrorKind::Expired, "expired").challenge().unwrap();
        assert_eq!(expired, "Bearer error=\"invalid_token\", error_description=\"the access token expired\"");
    }

    #[test]
    fn our_trouble_is_answered_without_a_challenge_and_with_a_time_to_come_back() {
        let answer = Error::unavailable("no key set yet", Duration::from_millis(10)).answer();
        assert_eq!((answer.status, answer.www_authenticate, answer.retry_after), (503, None, Some(1)));
    }

    fn levels(heard: &Listener) -> Vec<tracing::Level> {
        heard.events().iter().map(|event| event.level).collect()
    }

    #[test]
    fn refusals_are_shown_where_the_operator_asks_for_it_and_so_many_a_minute() {
        let keys = crate::StaticKeys::secret(crate::Algorithm::HS256, &[7; 32]).unwrap();
        let issuer = || crate::Issuer::with_keys("https://a.example", keys.clone()).unwrap();
        let refuse = |server: &crate::ResourceServer, token: &str| {
            let verdict = server.authenticate(crate::Presented::token(token)).now();
            verdict.unwrap_or_else(|_| panic!("nothing is fetched")).unwrap_err()
        };
        for (per_minute, shown) in [(0, 0), (2, 2)] {
            let server =
                crate::ResourceServer::builder("api").trust(issuer()).log_refusals(per_minute).build().unwrap();
            let heard = Listener::all();
            let _guard = tracing::subscriber::set_default(heard.clone());
            for _ in 0..10 {
                refuse(&server, "not.a.token").log();
            }
            let seen = levels(&heard);
            let at = |level| seen.iter().filter(|seen| **seen == level).count();
            assert_eq!((at(tracing::Level::INFO), seen.len()), (shown, 10), "{seen:?}");
        }
    }

    #[test]
    fn claims_that_do_not_fit_a_handlers_type_are_shown_without_being_asked_for() {
        let heard = Listener::all();
        let _guard = tracing::subscriber::set_default(heard.clone());
        Error::new(ErrorKind::ClaimsMismatch, "the claim age is a string, User expected u8").misfit().log();
        assert_eq!(levels(&heard), [tracing::Level::INFO]);
    }

    #[test]
    fn an_error_is_logged_once_at_the_level_of_the_one_who_has_to_act() {
        for kind in ErrorKind::ALL {
            let heard = Listener::all();
            let _guard = tracing::subscriber::set_default(heard.clone());
            let error = Error::new(*kind, "why");
            let copy = error.clone();
            error.log();
            copy.log();
            let expected = match kind {
                ErrorKind::Unavailable | ErrorKind::DownstreamUnavailable => tracing::Level::WARN,
                ErrorKind::Misconfigured => tracing::Level::ERROR,
                _ => tracing::Level::DEBUG,
            };
            assert_eq!(levels(&heard), [expected], "{kind}");
        }
    }
}
