//! What every adapter does alike: from a request to an [`Outcome`] it carries on, from an [`Error`] to the [`Answer`] of RFC 6750 section 3.

use std::fmt;
use std::sync::Arc;

use crate::answer::error::Answer;
use crate::answer::error::{Error, ErrorKind};
use crate::answer::maybe_ready::MaybeReady;
use crate::gate::server::ResourceServer;
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
    refusals: Refusals,
}

impl Admission {
    /// Every request must carry a token that `server` accepts.
    #[must_use]
    pub fn new(server: ResourceServer) -> Self {
        Self { server, anonymous: false, refusals: Refusals::default() }
    }

    /// Lets requests without credentials pass as [`Outcome::Anonymous`]. Credentials that are there and bad are refused all the same.
    #[must_use]
    pub fn allow_anonymous(mut self) -> Self {
        self.anonymous = true;
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
        match self.server.authenticate(presented).now() {
            Ok(Ok(verified)) => MaybeReady::ready(Ok(Outcome::Verified(verified))),
            Ok(Err(error)) if self.anonymous && error.kind() == ErrorKind::MissingToken => {
                MaybeReady::ready(Ok(Outcome::Anonymous(self.server.clone())))
            }
            Ok(Err(error)) => MaybeReady::ready(Err(error)),
            // Where there is something to wait for there were credentials, so this is nobody anonymous.
            Err(waiting) => MaybeReady::waiting(async { waiting.await.map(Outcome::Verified) }),
        }
    }

    /// How refusals are written.
    #[must_use]
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
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
    use crate::trust::issuer::Issuer;
    use crate::trust::static_keys::StaticKeys;

    fn admission() -> Admission {
        let keys = StaticKeys::secret(Algorithm::HS256, &[7; 32]).unwrap();
        let issuer = Issuer::with_keys("https://issuer.example", keys).unwrap();
        Admission::new(ResourceServer::builder("https://api.example").realm("books").trust(issuer).build().unwrap())
    }

    struct Fields(&'static [&'static str]);

    impl crate::request::presented::RequestView for Fields {
        fn method(&self) -> &str {
            "GET"
        }
        fn path_and_query(&self) -> &str {
            "/"
        }
        fn header<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8])) {
            if name == "authorization" {
                self.0.iter().for_each(|value| each(value.as_bytes()));
            }
        }
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
                let outcome = admission.admit(Presented::request(&Fields(fields))).now().unwrap();
                assert_eq!(outcome.as_ref().err().map(Error::kind), refused, "{fields:?}");
                if let Ok(outcome) = outcome {
                    let error = outcome.verified().unwrap_err();
                    assert_eq!(error.challenge().as_deref(), Some(r#"Bearer realm="books""#));
                }
            }
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
