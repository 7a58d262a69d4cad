//! What was presented in, every check and how it ended out. The verdict is the gate's own: an explanation asks the gate and
//! only then describes, so that the two cannot differ.

mod cause;
mod look;
mod trouble;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::answer::check::Check;
use crate::answer::error::{Error, ErrorKind};
use crate::answer::maybe_ready::MaybeReady;
use crate::base::time::Timestamp;
use crate::gate::explain::Explain;
use crate::gate::id_token::{IdTokenVerifier, Login};
use crate::gate::server::ResourceServer;
use crate::jose::encryption::is_sealed;
use crate::policy::Policy;
use crate::request::bearer;
use crate::request::presented::{Presented, Source};
use crate::trust::registry::Registry;
use crate::verify::verified::Verified;
use look::Look;
use trouble::Trouble;

/// Why a token is accepted or refused: the gate's checks in order, each with how it ended.
///
/// It holds values of the token's claims, which no signature may cover: it is for the one who owns the token. `Debug` leaves them
/// out; only [`Report::text`] and serde write them.
#[derive(Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Whether the gate accepts the token.
    pub accepted: bool,
    /// The kind of refusal; `None` when accepted.
    #[serde(serialize_with = "kind_name")]
    pub kind: Option<ErrorKind>,
    /// The HTTP status a client would get; 200 when accepted.
    pub status: u16,
    /// The checks, in the order of the gate.
    pub steps: Vec<Step>,
}

/// One check and how it ended.
#[derive(Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Step {
    /// Which one.
    pub check: Check,
    /// How it ended.
    pub state: StepState,
    /// The gate's own words for a failure: what it expected or found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// What the token says, unverified: control characters escaped, cut off after 200 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// The likely cause of a failure. Holds no value of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<&'static str>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepState {
    /// It passed.
    Passed,
    /// It failed, and with it the token.
    Failed,
    /// It is one for JWTs, and an endpoint of the issuer vouches for this token in its place.
    Skipped,
    /// An earlier one failed.
    NotReached,
}

fn kind_name<S: serde::Serializer>(kind: &Option<ErrorKind>, serializer: S) -> Result<S::Ok, S::Error> {
    match kind {
        Some(kind) => serializer.serialize_some(kind.name()),
        None => serializer.serialize_none(),
    }
}

impl Report {
    /// Describes the gate's `verdict` on `token`, which is `None` where not exactly one was presented.
    fn new(verdict: Result<(), &Error>, token: Option<&str>, told: &Told<'_>) -> Self {
        let look = match (token, &told.opened) {
            (Some(cover), Some(signed)) => Look::within(cover, signed),
            (token, _) => Look::new(token.unwrap_or_default()),
        };
        let look = look.with_proof(told.proof.as_deref());
        let (policy, now) = (told.policy, told.now);
        let trouble = verdict.err().and_then(|error| Trouble::of(error, &look, told));
        let failed = verdict.err().map(|error| error.check().unwrap_or_else(|| Check::usual(error.kind())));
        let steps = Check::ALL.iter().map(|check| {
            let is_opaque = look.is_opaque() && failed.is_none_or(|failed| failed > Check::Form);
            let state = match failed {
                _ if is_opaque && check.is_for_jwts() && failed != Some(*check) => StepState::Skipped,
                None => StepState::Passed,
                Some(failed) if *check < failed => StepState::Passed,
                Some(failed) if *check == failed => StepState::Failed,
                Some(_) => StepState::NotReached,
            };
            let error = verdict.err().filter(|_| state == StepState::Failed);
            Step {
                check: *check,
                state,
                finding: error.map(|error| match &trouble {
                    Some(Trouble::Keys(why)) => format!("{}: {why}", error.detail()),
                    _ => error.detail().to_owned(),
                }),
                seen: (matches!(state, StepState::Passed | StepState::Failed) && token.is_some())
                    .then(|| look.seen(*check, now))
                    .flatten(),
                cause: error.and_then(|error| {
                    let of_keys = trouble.as_ref().and_then(Trouble::cause);
                    let of_login = || told.for_client.then(|| cause::of_id_token(*check, &look)).flatten();
                    of_keys.or_else(of_login).or_else(|| cause::of(error.kind(), *check, &look, policy, now))
                }),
            }
        });
        Self {
            accepted: verdict.is_ok(),
            kind: verdict.err().map(Error::kind),
            status: verdict.err().map_or(200, |error| error.kind().status()),
            steps: steps.collect(),
        }
    }

    /// The check that failed, unless the token is accepted.
    #[must_use]
    pub fn failed(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.state == StepState::Failed)
    }

    /// One line without any value of the token: fit for logs and, on a development server, for a response header.
    #[must_use]
    pub fn summary(&self) -> String {
        let Some(step) = self.failed() else { return "accepted".to_owned() };
        let mut line = format!("{}: {}", step.check, step.finding.as_deref().unwrap_or("refused"));
        if let Some(cause) = step.cause {
            line.push_str("; likely cause: ");
            line.push_str(cause);
        }
        line.replace(|character: char| !(' '..='~').contains(&character), "?")
    }

    /// The report as people read it, one line a check, with the values the token holds.
    #[must_use]
    pub fn text(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        for step in &self.steps {
            let (mark, what) = match step.state {
                StepState::Passed => ("ok   ", step.seen.as_deref().unwrap_or("")),
                StepState::Failed => ("FAIL ", step.check.description()),
                StepState::Skipped => ("  -  ", "not for opaque tokens"),
                StepState::NotReached => ("  -  ", "not reached"),
            };
            let _ = writeln!(text, "{mark} {:<12}{what}", step.check.name());
            let lines = [("finding", step.finding.as_deref()), ("seen", step.seen.as_deref()), ("cause", step.cause)];
            for (word, line) in lines.into_iter().filter(|_| step.state == StepState::Failed) {
                if let Some(line) = line {
                    let _ = writeln!(text, "                  {word:<9} {line}");
                }
            }
        }
        let _ = match self.kind {
            None => writeln!(text, "accepted"),
            Some(kind) => writeln!(text, "refused: {kind}, a client gets status {}", self.status),
        };
        // a line never ends in blanks
        text.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report").field("kind", &self.kind).field("failed", &self.failed()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").field("check", &self.check).field("state", &self.state).finish_non_exhaustive()
    }
}

impl ResourceServer {
    /// The same verdict as ever; a refusal is explained on its way out. Asked only where the operator said so at the start.
    pub(crate) fn judge_and_explain(&self, presented: Presented<'_>) -> MaybeReady<Verified> {
        let server = self.clone();
        let (token, tenant) = (server.token_of(presented), server.tenant_of(presented));
        let explained = move |error| server.explained(error, token.as_deref(), tenant.as_deref());
        match self.judge(presented).now() {
            Ok(verdict) => MaybeReady::ready(verdict.map_err(explained)),
            Err(waiting) => MaybeReady::waiting(async move { waiting.await.map_err(explained) }),
        }
    }

    fn token_of(&self, presented: Presented<'_>) -> Option<Box<str>> {
        let found = bearer::find_any(presented, self.0.sources.as_deref()).and_then(|(_, token)| token.token()).ok();
        // Of what was pasted the report says what is wrong with it.
        let pasted = || match presented.0 {
            Source::Token(text) => Some(text),
            Source::Request(_) => None,
        };
        found.or_else(pasted).map(Into::into)
    }

    fn tenant_of(&self, presented: Presented<'_>) -> Option<Box<str>> {
        Some(self.0.tenants.as_ref()?.name(presented).ok()?.into())
    }

    /// What is expected of the tokens of this tenant, or of all where there are no tenants.
    fn policy_for(&self, tenant: Option<&str>) -> Arc<Policy> {
        let server = tenant.and_then(|tenant| self.0.tenants.as_ref()?.known(tenant));
        Arc::clone(&server.as_ref().unwrap_or(self).0.policy)
    }

    fn explained(&self, error: Error, token: Option<&str>, tenant: Option<&str>) -> Error {
        let policy = self.policy_for(tenant);
        let told = Told { opened: token.and_then(|token| self.opened(token)), ..self.told(&policy) };
        let report = Report::new(Err(&error), token, &told);
        let (kind, check) = (error.kind().name(), report.failed().map(|step| step.check.name()));
        let cause = report.failed().and_then(|step| step.cause);
        let (detail, issuer) = (error.detail(), error.issuer());
        tracing::info!(name: "token.explained", kind, check, issuer, detail, cause, "why a token was refused");
        match self.0.explain {
            Explain::LogAndHeader => error.clone().explained(report.summary()),
            Explain::Off | Explain::Log => error,
        }
    }

    /// Every check and how it ended, for what was presented: the gate is asked as by [`authenticate`](Self::authenticate), and its
    /// answer described. The report holds values of the token: it is for the one who owns it.
    ///
    /// ```
    /// use token_core::{explain::Check, Algorithm, Issuer, Presented, ResourceServer, StaticKeys};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), token_core::ConfigError> {
    /// let keys = StaticKeys::secret(Algorithm::HS256, b"at least as long as the hash: 32")?;
    /// let api = ResourceServer::builder("https://api.example.com")
    ///     .trust(Issuer::with_keys("https://login.example.com/", keys)?)
    ///     .build()?;
    /// let report = api.explain(Presented::token("not-a-jwt")).await;
    /// assert_eq!(report.failed().map(|step| step.check), Some(Check::Form));
    /// # Ok(()) }
    /// ```
    pub fn explain(&self, presented: Presented<'_>) -> impl Future<Output = Report> + Send + 'static + use<> {
        let server = self.current();
        let (token, tenant) = (server.token_of(presented), server.tenant_of(presented));
        let proof = proof_of(presented);
        let verdict = server.authenticate(presented);
        async move {
            let verdict = verdict.await;
            let verdict = verdict.as_ref().map(|_| ());
            let policy = server.policy_for(tenant.as_deref());
            let opened = token.as_deref().and_then(|token| server.opened(token));
            Report::new(verdict, token.as_deref(), &Told { opened, proof, ..server.told(&policy) })
        }
    }

    fn told<'a>(&'a self, policy: &'a Policy) -> Told<'a> {
        let registry = self.0.registry.load_full();
        Told { policy, now: self.0.clock.now(), registry, for_client: false, opened: None, proof: None }
    }

    /// The signed token in an encrypted one.
    fn opened(&self, token: &str) -> Option<String> {
        self.0.encrypted.as_ref().filter(|_| is_sealed(token.as_bytes())).and_then(|keys| keys.open(token).ok())
    }
}

/// The last `DPoP` field, for what it says of itself.
fn proof_of(presented: Presented<'_>) -> Option<Box<str>> {
    let Source::Request(request) = presented.0 else { return None };
    let mut proof = None;
    request.header("dpop", &mut |value| proof = std::str::from_utf8(value).ok().map(Into::into));
    proof
}

/// What a report is made by, beside the verdict.
struct Told<'a> {
    policy: &'a Policy,
    now: Timestamp,
    registry: Arc<Registry>,
    /// Whether an ID token is expected, by the client that it was issued to.
    for_client: bool,
    /// What was in the token, where it came encrypted.
    opened: Option<String>,
    /// The proof of possession that came with it.
    proof: Option<Box<str>>,
}

impl IdTokenVerifier {
    /// Every check and how it ended, as [`ResourceServer::explain`] says it of access tokens. Without a `login` nothing is compared with what the
    /// client remembers: `nonce`, `at_hash` and the like.
    ///
    /// ```
    /// use token_core::login::IdTokenVerifier;
    /// use token_core::{Algorithm, Issuer, StaticKeys};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), token_core::ConfigError> {
    /// let keys = StaticKeys::secret(Algorithm::HS256, b"at least as long as the hash: 32")?;
    /// let verifier = IdTokenVerifier::new("web-app", Issuer::with_keys("https://login.example.com/", keys)?)?;
    /// println!("{}", verifier.explain("not-a-jwt", None).await.text());
    /// # Ok(()) }
    /// ```
    pub fn explain(&self, token: &str, login: Option<Login>) -> impl Future<Output = Report> + Send + 'static + use<> {
        let server = self.server.current();
        let token: Box<str> = token.into();
        let verdict = match login {
            Some(login) => self.verify(&token, login),
            None => server.authenticate(Presented::token(&token)),
        };
        async move {
            let verdict = verdict.await;
            let verdict = verdict.as_ref().map(|_| ());
            let policy = server.policy_for(None);
            let opened = server.opened(&token);
            Report::new(verdict, Some(&token), &Told { for_client: true, opened, ..server.told(&policy) })
        }
    }
}

#[cfg(test)]
mod tests;
