//! What every adapter does alike: from a request to an [`Outcome`] it carries on, from an [`Error`] to the [`Answer`] of RFC 6750 section 3.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::answer::challenge::DpopPolicy;
use crate::answer::error::Answer;
use crate::answer::error::{Error, ErrorKind};
use crate::answer::maybe_ready::MaybeReady;
use crate::base::telemetry;
use crate::gate::server::ResourceServer;
use crate::request::address::ExternalUrl;
use crate::request::presented::Presented;
use crate::token::kind::TokenKind;
use crate::verify::verified::Verified;

/// Whom a layer has let through: the one value it writes into the request, for extractors and handlers to read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The bearer of this token.
    Verified(Verified),
    /// A caller without credentials, let through because the layer allows it. The server is there to answer in its name.
    Anonymous(ResourceServer),
}

impl Outcome {
    /// The verified access token. An ID token, where the server takes those too, is not one: it is no permission.
    ///
    /// # Errors
    /// [`ErrorKind::MissingToken`] when the caller is anonymous, [`ErrorKind::WrongType`] when there is an ID token instead.
    pub fn verified(&self) -> Result<&Verified, Error> {
        match self.any()? {
            token if token.kind() == TokenKind::Id => Err(token.wrong_kind(TokenKind::Access)),
            token => Ok(token),
        }
    }

    /// Value of the header field `DPoP-Nonce` for the response: the nonce for the next proof, where the server asks for nonces and the
    /// request came with a proof (RFC 9449 section 8.2). [`Answer::EXPOSED`] has to be exposed to scripts with it.
    #[must_use]
    pub fn dpop_nonce(&self) -> Option<String> {
        let Self::Verified(verified) = self else { return None };
        verified.dpop_nonce()
    }

    /// The verified ID token.
    ///
    /// # Errors
    /// [`ErrorKind::MissingToken`] when the caller is anonymous, [`ErrorKind::WrongType`] when there is an access token instead.
    pub fn id_token(&self) -> Result<&Verified, Error> {
        match self.any()? {
            token if token.kind() == TokenKind::Id => Ok(token),
            token => Err(token.wrong_kind(TokenKind::Id)),
        }
    }

    fn any(&self) -> Result<&Verified, Error> {
        match self {
            Self::Verified(verified) => Ok(verified),
            Self::Anonymous(server) => Err(server.refusal(Error::new(
                ErrorKind::MissingToken,
                "the layer lets anonymous callers through, this handler asks for a token",
            ))),
        }
    }
}

/// What a layer asks of its requests and how it answers those that do not pass. Each adapter's layer is one of these in the
/// words of its framework; applications use the layers.
#[derive(Clone, Debug)]
pub struct Admission {
    server: ResourceServer,
    anonymous: bool,
    recording: Recording,
    challenge_scope: Option<Arc<str>>,
    refusals: Refusals,
    proofs: bool,
    dpop: Option<DpopPolicy>,
    external_url: Option<Arc<ExternalUrl>>,
}

/// Whether the application's span is told who the caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recording {
    Never,
    /// Where the server says so that verified the token: what a policy file says may change, and tenants have servers of their own.
    AsTheServerSays,
    Always,
}

impl Admission {
    /// Every request must carry a token that `server` accepts.
    #[must_use]
    pub fn new(server: ResourceServer) -> Self {
        // One that follows a file may take them with the next change.
        let proofs = server.0.possession.is_some() || server.0.follows.is_some();
        let inner = &server.0;
        let may_record = inner.protection.records_caller || inner.follows.is_some() || inner.tenants.is_some();
        let recording = if may_record { Recording::AsTheServerSays } else { Recording::Never };
        Self {
            server,
            anonymous: false,
            recording,
            challenge_scope: None,
            refusals: Refusals::default(),
            proofs,
            dpop: None,
            external_url: None,
        }
    }

    /// Lets requests without credentials pass as [`Outcome::Anonymous`]. Credentials that are there and bad are refused all the same.
    #[must_use]
    pub fn allow_anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// Writes who the caller is into the span that the request is in, the application's own: its fields [`CALLER_FIELDS`](telemetry::CALLER_FIELDS), as
    /// far as it has them. Off unless asked for: the subject is personal data, and goes wherever spans go.
    #[must_use]
    pub fn record_caller(mut self) -> Self {
        self.recording = Recording::Always;
        self
    }

    /// Whether requests with a `DPoP` field need a [`ProofMark`](crate::adapter::ProofMark) kept with them.
    #[must_use]
    pub fn takes_proofs(&self) -> bool {
        self.proofs
    }

    /// The header field, in lower case, that this peer has no business to write: the client's certificate, which only a named proxy passes on
    /// ([`MutualTls::behind`](crate::possession::MutualTls::behind)). The adapter removes it before anybody reads it; `sent` says whether it was there,
    /// and is counted.
    #[must_use]
    pub fn foreign_field(&self, peer: Option<IpAddr>, sent: impl FnOnce(&str) -> bool) -> Option<Box<str>> {
        if !self.proofs {
            return None;
        }
        let server = self.server.current();
        let name = server.0.possession.as_ref()?.certificates.as_ref()?.foreign_field(peer)?;
        sent(name).then(|| {
            telemetry::certificate_removed(1);
            name.into()
        })
    }

    /// Takes other schemes of credentials here than the server does elsewhere.
    #[must_use]
    pub fn dpop(mut self, policy: DpopPolicy) -> Self {
        self.dpop = Some(policy);
        self
    }

    /// Where clients reach these routes, if that is not where they reach the server: for `htu` of proofs (RFC 9449 section 4.2).
    #[must_use]
    pub fn external_url(mut self, url: ExternalUrl) -> Self {
        self.external_url = Some(Arc::new(url));
        self
    }

    /// Names these scopes, separated by blanks, in the challenge of each 401 (RFC 6750 section 3): what a client without a good token should ask
    /// its authorization server for.
    #[must_use]
    pub fn challenge_scope(mut self, scope: impl Into<Arc<str>>) -> Self {
        self.challenge_scope = Some(scope.into()).filter(|scope: &Arc<str>| !scope.is_empty());
        self
    }

    /// Writes the body of refusals with `body`: its media type and its text. Status and header fields stay those of the table.
    #[must_use]
    pub fn rejection<T: Into<String>>(
        mut self,
        body: impl Fn(&Error) -> (&'static str, T) + Send + Sync + 'static,
    ) -> Self {
        self.refusals.body = Some(Arc::new(move |error| {
            let (content_type, text) = body(error);
            (content_type, text.into())
        }));
        self
    }

    /// Asks the gate. Usually done at once; see [`MaybeReady::now`].
    ///
    /// # Errors
    /// As [`ResourceServer::authenticate`].
    pub fn admit(&self, presented: Presented<'_>) -> MaybeReady<Outcome> {
        match self.server.authenticate(self.here(presented)).now() {
            Ok(Ok(verified)) => {
                if self.recording != Recording::Never {
                    self.recording.record(&verified);
                }
                MaybeReady::ready(Ok(Outcome::Verified(verified)))
            }
            Ok(Err(error)) if self.anonymous && error.kind() == ErrorKind::MissingToken => {
                MaybeReady::ready(Ok(Outcome::Anonymous(self.server.clone())))
            }
            Ok(Err(error)) => MaybeReady::ready(Err(naming(error, self.challenge_scope.as_deref()))),
            // Where there is something to wait for there were credentials, so this is nobody anonymous.
            Err(waiting) => {
                let (scope, recording) = (self.challenge_scope.clone(), self.recording);
                MaybeReady::waiting(async move {
                    let verified = waiting.await.map_err(|error| naming(error, scope.as_deref()))?;
                    recording.record(&verified);
                    Ok(Outcome::Verified(verified))
                })
            }
        }
    }

    /// With what is said of this route.
    #[inline]
    fn here<'a>(&'a self, mut presented: Presented<'a>) -> Presented<'a> {
        presented.1.policy = self.dpop.or(presented.1.policy);
        presented.1.external_url = self.external_url.as_deref().or(presented.1.external_url);
        presented
    }

    /// How refusals are written.
    #[must_use]
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }
}

impl Recording {
    /// The fields that the span lacks are left out by `tracing`. What an issuer writes there without end is cut.
    #[cold]
    fn record(self, verified: &Verified) {
        const MOST: usize = 256;
        let is_asked_for = match self {
            Self::Never => false,
            Self::AsTheServerSays => verified.shared_facts().issuer.protection.records_caller,
            Self::Always => true,
        };
        if !is_asked_for {
            return;
        }
        let span = tracing::Span::current();
        let [subject, client, issuer] = telemetry::CALLER_FIELDS;
        let values = [(subject, verified.subject()), (client, verified.client_id()), (issuer, Some(verified.issuer()))];
        for (field, value) in values {
            if let Some(value) = value {
                let end = value.char_indices().nth(MOST).map_or(value.len(), |(at, _)| at);
                span.record(field, &value[..end]);
            }
        }
    }
}

fn naming(error: Error, scope: Option<&str>) -> Error {
    match scope {
        Some(scope) if error.kind().status() == 401 => error.naming(scope),
        _ => error,
    }
}

type Body = dyn Fn(&Error) -> (&'static str, String) + Send + Sync;

/// How refusals are written. Cheap to clone.
#[derive(Clone, Default)]
pub struct Refusals {
    body: Option<Arc<Body>>,
}

impl Refusals {
    /// The answer to `error`: the table's, with the operator's body if there is one.
    #[must_use]
    pub fn answer(&self, error: &Error) -> Answer {
        let mut answer = error.answer();
        if let Some((content_type, body)) = self.body(error) {
            answer.content_type = content_type;
            answer.body = body;
        }
        answer
    }

    /// The operator's media type and body for `error`; `None` where the default body is wanted.
    #[must_use]
    pub fn body(&self, error: &Error) -> Option<(&'static str, String)> {
        self.body.as_ref().map(|body| body(error))
    }
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.body.is_some() { "Refusals(custom)" } else { "Refusals(default)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::Algorithm;
    use crate::request::sent::Sent;
    use crate::trust::issuer::Issuer;
    use crate::trust::static_keys::StaticKeys;

    fn admission() -> Admission {
        let keys = StaticKeys::secret(Algorithm::HS256, &[7; 32]).unwrap();
        let issuer = Issuer::with_keys("https://issuer.example", keys).unwrap();
        Admission::new(ResourceServer::builder("https://api.example").realm("books").trust(issuer).build().unwrap())
    }

    #[test]
    fn only_a_caller_without_credentials_may_be_anonymous_and_only_where_that_is_allowed() {
        use ErrorKind::{InvalidRequest, Malformed, MissingToken};
        for (fields, required, allowed) in [
            (&[][..], Some(MissingToken), None),
            (&["Bearer"], Some(InvalidRequest), Some(InvalidRequest)),
            (&["Bearer junk"], Some(Malformed), Some(Malformed)),
            (&["Bearer a", "Bearer a"], Some(InvalidRequest), Some(InvalidRequest)),
        ] {
            for (admission, refused) in [(admission(), required), (admission().allow_anonymous(), allowed)] {
                let request = Sent::each("authorization", fields);
                let outcome = admission.admit(Presented::request(&request)).now().unwrap();
                assert_eq!(outcome.as_ref().err().map(Error::kind), refused, "{fields:?}");
                if let Ok(outcome) = outcome {
                    let error = outcome.verified().unwrap_err();
                    assert_eq!(error.challenge().as_deref(), Some(r#"Bearer realm="books""#));
                }
            }
        }
    }

    #[test]
    fn a_401_names_the_scope_to_ask_for_and_no_other_refusal_does() {
        let admission = admission().challenge_scope("read:books");
        for (fields, expected) in [
            (&[][..], r#"Bearer realm="books", scope="read:books""#),
            (&["Bearer junk"], r#"scope="read:books""#),
            (&["Bearer"], r#"error="invalid_request""#),
        ] {
            let request = Sent::each("authorization", fields);
            let error = admission.admit(Presented::request(&request)).now().unwrap().unwrap_err();
            let challenge = error.challenge().unwrap();
            assert!(challenge.contains(expected), "{challenge}");
            assert_eq!(challenge.contains("scope="), error.kind().status() == 401, "{challenge}");
        }
    }

    #[test]
    fn the_operators_body_changes_the_body_and_nothing_else() {
        let error = Error::unavailable("no keys", std::time::Duration::from_secs(7));
        let custom = admission().rejection(|error| ("text/plain", error.kind().public_text()));
        let (plain, changed) = (admission().refusals().answer(&error), custom.refusals().answer(&error));
        assert_eq!((changed.content_type, changed.body.as_str()), ("text/plain", error.kind().public_text()));
        assert_eq!(Answer { content_type: plain.content_type, body: plain.body.clone(), ..changed }, plain);
        assert_eq!(plain, error.answer());
    }
}
