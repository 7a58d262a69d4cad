//! A pushed event in, tokens denied and forgotten and the answer to the transmitter out (RFC 8935 section 2).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::event::{EventKind, Reaction};
use super::subject::{Account, SubjectDirectory, SubjectIdentifier};
use super::{SecurityEvent, SecurityEventVerifier};
use crate::answer::error::{Error, ErrorKind};
use crate::base::time::Timestamp;
use crate::gate::server::ResourceServer;
use crate::jose::signature::sha256;
use crate::stores::{Deny, Evict};

/// The only type of body that is taken.
const MEDIA_TYPE: &str = "application/secevent+jwt";

/// What a transmitter's events do to an API: the tokens of whom they are about are denied where there is a deny-list, and forgotten by the
/// caches. With a [followed deny-list](crate::revocation::followed) that is so on every instance.
///
/// A transmitter speaks for the issuer of its own name, and for those it was [said to speak for](Self::speaks_for). What it says of
/// somebody else's subjects is acknowledged, and nobody is touched.
#[derive(Clone, Debug)]
pub struct SecurityEventEndpoint {
    verifier: SecurityEventVerifier,
    server: ResourceServer,
    issuers: Vec<String>,
    directory: Option<Arc<dyn SubjectDirectory>>,
    longest_life: Duration,
    reactions: Vec<(EventKind, Reaction)>,
    /// SHA-256 of the `Authorization` field that the transmitter has to send.
    authorization: Option<Agreed>,
}

/// A digest of a secret, which is nobody's to read either.
#[derive(Clone, PartialEq, Eq)]
struct Agreed([u8; 32]);

impl fmt::Debug for Agreed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Agreed")
    }
}

/// What an adapter reads of a request.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "it holds a secret and a token")]
pub struct PushRequest<'a> {
    /// The field `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// The field `Authorization`.
    pub authorization: Option<&'a [u8]>,
    /// The body.
    pub body: &'a [u8],
}

/// The answer to a push, in the words every adapter can convert. It is never to be cached; a body is JSON, in English (`Content-Language: en`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushAnswer {
    /// HTTP status: 202 when the event is taken, 400 when it is not believed, 503 when we are in trouble and want it again, 500 when this server is set up
    /// wrongly.
    pub status: u16,
    /// The error of RFC 8935 section 2.3 with 400; else empty.
    pub body: &'static str,
    /// Value of `Retry-After` in whole seconds, at least one; with 503.
    pub retry_after: Option<u64>,
}

/// What became of one event.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Received {
    /// The event, for an application with sessions of its own to end.
    pub event: SecurityEvent,
    /// Of how many subjects and sessions tokens were denied or forgotten. Nobody where the event or its subject is not known here.
    pub touched: usize,
}

impl SecurityEventEndpoint {
    /// Carries out in `server` what `verifier` believes.
    #[must_use]
    pub fn new(verifier: SecurityEventVerifier, server: ResourceServer) -> Self {
        Self {
            verifier,
            server,
            issuers: Vec::new(),
            directory: None,
            longest_life: Duration::from_secs(24 * 3600),
            reactions: Vec::new(),
            authorization: None,
        }
    }

    /// Believes the transmitter about the subjects of this issuer, too: the one whose tokens the server takes, where it is another.
    #[must_use]
    pub fn speaks_for(mut self, issuer: impl Into<String>) -> Self {
        self.issuers.push(issuer.into());
        self
    }

    /// Who knows whose e-mail address, telephone number or account an event names.
    #[must_use]
    pub fn directory(mut self, directory: impl SubjectDirectory) -> Self {
        self.directory = Some(Arc::new(directory));
        self
    }

    /// How long the issuer's access tokens live at most; for so long subjects and sessions stay denied. Default 24 h.
    #[must_use]
    pub fn longest_token_life(mut self, life: Duration) -> Self {
        self.longest_life = life;
        self
    }

    /// What an event does, in place of [the default](EventKind::reaction).
    #[must_use]
    pub fn on(mut self, event: EventKind, reaction: Reaction) -> Self {
        self.reactions.insert(0, (event, reaction));
        self
    }

    /// The whole `Authorization` field that the transmitter has to send with each push, as `Bearer …`: what the stream's configuration says. Without it
    /// whoever has a token that the transmitter signed may push it.
    #[must_use]
    pub fn authorization(mut self, field: impl AsRef<str>) -> Self {
        self.authorization = Some(Agreed(sha256(field.as_ref().as_bytes())));
        self
    }

    /// Verifies an event and carries it out. To do it twice changes nothing.
    ///
    /// # Errors
    /// As [`SecurityEventVerifier::verify`]; [`ErrorKind::Unavailable`] when the deny-list, a shared store or the directory is full or out of reach:
    /// the event has to come again.
    pub async fn receive(&self, token: &str) -> Result<Received, Error> {
        let event = self.verifier.verify(token).await?;
        let mut touched = 0;
        for uri in event.uris() {
            let Some(payload) = event.payload(uri) else { continue };
            let kind = EventKind::of(uri);
            let told = self.reactions.iter().find(|(known, _)| *known == kind).map(|(_, reaction)| *reaction);
            let reaction = told.unwrap_or_else(|| kind.reaction(payload));
            if reaction == Reaction::Ignore || kind == EventKind::Unknown {
                continue;
            }
            let Some(subject) = event.subject(uri) else { continue };
            let targets = self.targets(event.issuer(), kind, &subject).await?;
            touched += targets.len();
            for target in targets {
                self.carry_out(target, reaction, event.happened_at(uri)).await?;
            }
        }
        if touched == 0 {
            tracing::debug!(name: "token.event.untouched", issuer = event.issuer(), "a security event is about nobody known here, or of no known kind");
        }
        Ok(Received { event, touched })
    }

    /// Does as [`receive`](Self::receive) with a pushed request, and says what to answer. Refusals are logged.
    pub async fn answer(&self, request: PushRequest<'_>) -> PushAnswer {
        let refuse = |body| PushAnswer { status: 400, body, retry_after: None };
        let refuse_unread = |body, why: &'static str| {
            Error::new(ErrorKind::InvalidRequest, why).log();
            refuse(body)
        };
        if let Some(expected) = &self.authorization
            && request.authorization.map(|field| Agreed(sha256(field))).as_ref() != Some(expected)
        {
            return refuse_unread(
                AUTHENTICATION_FAILED,
                "a security event came without the Authorization field that was agreed",
            );
        }
        let is_event = request
            .content_type
            .and_then(|value| std::str::from_utf8(value).ok())
            .is_some_and(|value| value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(MEDIA_TYPE));
        let Some(token) = std::str::from_utf8(request.body).ok().filter(|_| is_event) else {
            return refuse_unread(INVALID_REQUEST, "expected a security event as application/secevent+jwt");
        };
        let error = match self.receive(token.trim_ascii()).await {
            Ok(_) => return PushAnswer { status: 202, body: "", retry_after: None },
            Err(error) => error,
        };
        error.log();
        match error.kind() {
            kind if kind.is_server_fault() => {
                let (status, wait) = (kind.status(), error.retry_after_seconds());
                PushAnswer { status, body: "", retry_after: (status == 503).then_some(wait) }
            }
            kind => refuse(Self::complaint(kind)),
        }
    }

    /// The error of RFC 8935 section 2.4 for a token that was refused: as JSON, and the code alone as RFC 8936 wants it.
    pub(crate) fn complaint(kind: ErrorKind) -> &'static str {
        match kind {
            ErrorKind::UnknownIssuer => INVALID_ISSUER,
            ErrorKind::WrongAudience => INVALID_AUDIENCE,
            ErrorKind::UnknownKey | ErrorKind::BadSignature | ErrorKind::AlgorithmNotAllowed => INVALID_KEY,
            _ => INVALID_REQUEST,
        }
    }

    /// The same as one code, for who [polls](https://www.rfc-editor.org/rfc/rfc8936#section-2.4) and reports what it could not take.
    #[must_use]
    pub fn error_code(kind: ErrorKind) -> &'static str {
        match Self::complaint(kind) {
            INVALID_ISSUER => "invalid_issuer",
            INVALID_AUDIENCE => "invalid_audience",
            INVALID_KEY => "invalid_key",
            _ => "invalid_request",
        }
    }

    fn is_spoken_for(&self, transmitter: &str, issuer: &str) -> bool {
        transmitter == issuer || self.issuers.iter().any(|known| known == issuer)
    }

    /// The issuers whose sessions an opaque name may be of.
    fn spoken_for<'a>(&'a self, transmitter: &'a str) -> impl Iterator<Item = &'a str> {
        [transmitter].into_iter().chain(self.issuers.iter().map(String::as_str))
    }

    /// Whom this is about, as tokens name them. Nobody where that is not known, or not the transmitter's to say.
    async fn targets(
        &self,
        transmitter: &str,
        kind: EventKind,
        subject: &SubjectIdentifier,
    ) -> Result<Vec<Target>, Error> {
        let sessions_of = |subject: &SubjectIdentifier| -> Vec<Target> {
            let ids = subject.names().iter().filter_map(|name| match name {
                SubjectIdentifier::Opaque(id) => Some(id),
                _ => None,
            });
            let of_each = |id: &String| {
                let id = id.clone();
                self.spoken_for(transmitter).map(move |issuer| Target::Session(issuer.to_owned(), id.clone()))
            };
            ids.flat_map(of_each).collect()
        };
        match subject {
            SubjectIdentifier::Complex { session: Some(session), user, .. } => {
                // A session that cannot be told from the others: all of its user's.
                match (sessions_of(session), user) {
                    (sessions, None) => Ok(sessions),
                    (sessions, Some(_)) if !sessions.is_empty() => Ok(sessions),
                    (_, Some(user)) => self.accounts(transmitter, user).await,
                }
            }
            SubjectIdentifier::Complex { session: None, user: Some(user), .. } => {
                self.accounts(transmitter, user).await
            }
            SubjectIdentifier::Complex { .. } | SubjectIdentifier::Unknown => Ok(Vec::new()),
            other => match self.accounts(transmitter, other).await? {
                // A name that the transmitter made up is a session's, unless the application knows whose it is.
                nobody if nobody.is_empty() && kind == EventKind::SessionRevoked => Ok(sessions_of(other)),
                accounts => Ok(accounts),
            },
        }
    }

    async fn accounts(&self, transmitter: &str, subject: &SubjectIdentifier) -> Result<Vec<Target>, Error> {
        let mut targets = Vec::new();
        for name in subject.names() {
            match name {
                SubjectIdentifier::IssuerSubject { issuer, subject } if self.is_spoken_for(transmitter, issuer) => {
                    targets.push(Target::Account(Account::new(issuer, subject)));
                }
                SubjectIdentifier::Opaque(_) | SubjectIdentifier::Named { .. } => {
                    let Some(directory) = &self.directory else { continue };
                    let found = directory.accounts(transmitter, name).await.map_err(|error| {
                        Error::unavailable(format!("the directory of subjects: {error}"), Duration::from_secs(60))
                    })?;
                    // Whomever the directory knows by that name: a transmitter speaks for its own issuers' subjects and for nobody else's.
                    let theirs = found.into_iter().filter(|account| self.is_spoken_for(transmitter, &account.issuer));
                    targets.extend(theirs.map(Target::Account));
                }
                _ => {}
            }
        }
        Ok(targets)
    }

    async fn carry_out(&self, target: Target, reaction: Reaction, happened: Timestamp) -> Result<(), Error> {
        let (deny, evict) = match &target {
            Target::Session(issuer, session) => (Deny::session(issuer, session), Evict::session(issuer, session)),
            Target::Account(Account { issuer, subject }) => {
                (Deny::subject(issuer, subject, happened), Evict::subject(issuer, subject))
            }
        };
        let deny = Some(deny).filter(|_| reaction == Reaction::Deny);
        self.server.end_early(deny, evict, self.verifier.now(), self.longest_life).await
    }
}

enum Target {
    Session(String, String),
    Account(Account),
}

const INVALID_REQUEST: &str =
    r#"{"err":"invalid_request","description":"expected a security event token as application/secevent+jwt"}"#;
const INVALID_KEY: &str =
    r#"{"err":"invalid_key","description":"the signature does not verify with a key that is known here"}"#;
const INVALID_ISSUER: &str =
    r#"{"err":"invalid_issuer","description":"this issuer is not the transmitter that was agreed"}"#;
const INVALID_AUDIENCE: &str = r#"{"err":"invalid_audience","description":"the event is for somebody else"}"#;
const AUTHENTICATION_FAILED: &str =
    r#"{"err":"authentication_failed","description":"expected the authorization that was agreed"}"#;
