//! A back-channel logout request in; sessions denied and forgotten, and the answer to the issuer out (OpenID Connect Back-Channel Logout 2.5 to 2.8).

use std::time::Duration;

use super::{Logout, LogoutVerifier, Proof};
use crate::answer::error::Error;
use crate::gate::server::ResourceServer;
use crate::stores::{Deny, Evict};

/// What a logout request does to an API: the session's tokens are denied where there is a deny-list, and forgotten by the caches.
///
/// Without a [deny-list](crate::ResourceServerBuilder::deny_list) a JWT of the session that is sent again is verified again, and good until
/// its `exp`; opaque tokens are asked about again either way.
///
/// A logout token with `sid` ends that session: tokens with the same `sid`. Many issuers write no `sid` into access tokens, which then
/// cannot be told from those of the person's other sessions; see [`every_session`](Self::every_session).
#[derive(Clone, Debug)]
pub struct LogoutEndpoint {
    verifier: LogoutVerifier,
    server: ResourceServer,
    longest_life: Duration,
    every_session: bool,
}

/// The answer to a logout request, in the words every adapter can convert. It is never to be cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogoutAnswer {
    /// HTTP status: 204 when the person is logged out, 400 when the request is not believed, 503 when we are in trouble, 500 when this server is set up wrongly.
    pub status: u16,
    /// A JSON object; empty with 204.
    pub body: &'static str,
    /// Value of `Retry-After` in whole seconds, at least one; with 503.
    pub retry_after: Option<u64>,
}

impl LogoutEndpoint {
    /// Logs people out of `server` whom `verifier` says to.
    #[must_use]
    pub fn new(verifier: LogoutVerifier, server: ResourceServer) -> Self {
        Self { verifier, server, longest_life: Duration::from_secs(24 * 3600), every_session: false }
    }

    /// How long the issuer's access tokens live at most; for so long a session stays denied. Default 24 h.
    #[must_use]
    pub fn longest_token_life(mut self, life: Duration) -> Self {
        self.longest_life = life;
        self
    }

    /// Ends all sessions of the person, whichever the logout token names, where it names the person: for issuers whose access tokens
    /// have no `sid`. Their tokens issued until now are denied.
    #[must_use]
    pub fn every_session(mut self) -> Self {
        self.every_session = true;
        self
    }

    /// Verifies the form of a request and logs out. For an application with sessions of its own to end, too.
    ///
    /// # Errors
    /// As [`LogoutVerifier::receive`], but that a token which came before is carried out again and gets the same answer;
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when the deny-list or a shared store is full or out of reach. The issuer may send the same request again.
    pub async fn receive(&self, form: &[u8]) -> Result<Logout, Error> {
        let Proof { logout, digest, until: remembered } = self.verifier.receive_unremembered(form).await?;
        let now = self.verifier.now();
        let issuer = logout.issuer();
        let session =
            logout.session_id().map(|session| (Deny::session(issuer, session), Evict::session(issuer, session)));
        let everything = self.every_session || session.is_none();
        let subject = logout.subject().filter(|_| everything);
        let subject =
            subject.map(|name| (Deny::subject(issuer, name, logout.issued_at()), Evict::subject(issuer, name)));
        for (deny, evict) in session.into_iter().chain(subject) {
            self.server.end_early(Some(deny), evict, now, self.longest_life).await?;
        }
        // Last of all: a logout that was cut off, or that the deny-list did not take, has to be good when the issuer sends it again. A
        // token that came before has been carried out once more, which changes nothing, and gets the answer that it got.
        self.verifier.remember(digest, remembered).await?;
        Ok(logout)
    }

    /// Does as [`receive`](Self::receive) and says what to answer. Refusals are logged.
    pub async fn answer(&self, form: &[u8]) -> LogoutAnswer {
        let error = match self.receive(form).await {
            Ok(_) => return LogoutAnswer { status: 204, body: "", retry_after: None },
            Err(error) => error,
        };
        error.log();
        match error.kind().status() {
            503 => {
                let body = r#"{"error":"temporarily_unavailable"}"#;
                LogoutAnswer { status: 503, body, retry_after: Some(error.retry_after_seconds()) }
            }
            status if error.kind().is_server_fault() => {
                LogoutAnswer { status, body: r#"{"error":"server_error"}"#, retry_after: None }
            }
            _ => LogoutAnswer { status: 400, body: r#"{"error":"invalid_request"}"#, retry_after: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::answer::error::ErrorKind;

    use super::*;
    use crate::base::http::BoxFuture;
    use crate::base::time::Clock as _;
    use crate::base::time::SystemClock;
    use crate::base::time::Timestamp;
    use crate::jose::Algorithm;
    use crate::jose::signing::SigningKey;
    use crate::request::presented::Presented;
    use crate::stores::StoreError;
    use crate::stores::memory_deny_list::MemoryDenyList;
    use crate::trust::issuer::Issuer;
    use crate::trust::static_keys::StaticKeys;

    const SECRET: &[u8] = b"a secret of more than thirty-two bytes";

    fn issuer() -> Issuer {
        Issuer::with_keys("https://i/", StaticKeys::secret(Algorithm::HS256, SECRET).unwrap()).unwrap()
    }

    fn sign(claims: &serde_json::Value) -> String {
        let key = SigningKey::from_secret(Algorithm::HS256, None, SECRET).unwrap();
        key.sign_jwt(r#"{"alg":"HS256"}"#, &claims.to_string()).unwrap()
    }

    #[tokio::test]
    async fn a_session_that_ended_is_over_at_once_and_others_go_on() {
        let list = MemoryDenyList::default();
        let api = ResourceServer::builder("api").trust(issuer()).deny_list(list).build().unwrap();
        let endpoint = LogoutEndpoint::new(LogoutVerifier::new("app", issuer()).unwrap(), api.clone());
        let now = SystemClock.now().as_secs();
        let access = |sub: &str, sid: &str| {
            sign(&json!({"iss": "https://i/", "aud": "api", "sub": sub, "sid": sid, "iat": now - 5, "exp": now + 600}))
        };
        let logout = |jti: &str, who: serde_json::Value| {
            let mut claims = json!({
                "iss": "https://i/", "aud": "app", "iat": now, "exp": now + 60, "jti": jti,
                "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
            });
            claims.as_object_mut().unwrap().extend(who.as_object().unwrap().clone());
            format!("logout_token={}", sign(&claims))
        };
        let (ada1, ada2, bob) = (access("ada", "1"), access("ada", "2"), access("bob", "3"));
        for token in [&ada1, &ada2, &bob] {
            api.authenticate(Presented::token(token)).await.unwrap();
        }
        let kind = async |token: &str| api.authenticate(Presented::token(token)).await.err().map(|error| error.kind());
        let form = logout("a", json!({"sid": "1"}));
        assert_eq!(endpoint.answer(form.as_bytes()).await.status, 204);
        assert_eq!((kind(&ada1).await, kind(&ada2).await, kind(&bob).await), (Some(ErrorKind::Inactive), None, None));
        let replayed = endpoint.answer(form.as_bytes()).await;
        assert_eq!((replayed.status, replayed.body), (204, ""), "the same proof gets the same answer");
        assert_eq!(endpoint.answer(logout("b", json!({"sub": "ada"})).as_bytes()).await.status, 204);
        assert_eq!((kind(&ada2).await, kind(&bob).await), (Some(ErrorKind::Inactive), None));
        assert_eq!(endpoint.answer(b"logout_token=x").await.status, 400);

        // The session of a token without sid is nobody's: only the person can be logged out of it.
        let silent = sign(&json!({"iss": "https://i/", "aud": "api", "sub": "bob", "iat": now - 5, "exp": now + 600}));
        let both = |jti: &str| logout(jti, json!({"sub": "bob", "sid": "4"}));
        assert_eq!(endpoint.answer(both("c").as_bytes()).await.status, 204);
        assert_eq!((kind(&bob).await, kind(&silent).await), (None, None));
        assert_eq!(endpoint.clone().every_session().answer(both("d").as_bytes()).await.status, 204);
        assert_eq!((kind(&bob).await, kind(&silent).await), (Some(ErrorKind::Inactive), Some(ErrorKind::Inactive)));
    }

    #[test]
    fn a_server_that_cannot_ask_for_keys_at_all_does_not_say_that_the_request_is_at_fault() {
        // Outside of a runtime: nobody is there to carry a request out.
        let far = || Issuer::discover("https://login.example/").unwrap();
        let api = ResourceServer::builder("api").trust(issuer()).build().unwrap();
        let endpoint = LogoutEndpoint::new(LogoutVerifier::new("app", far()).unwrap(), api);
        let key = SigningKey::generate(Algorithm::ES256, Some("k")).unwrap();
        let claims = json!({"iss": "https://login.example/", "aud": "app", "sid": "1", "iat": 1, "exp": 9_999_999_999_i64, "jti": "a",
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}}});
        let form =
            format!("logout_token={}", key.sign_jwt(r#"{"alg":"ES256","kid":"k"}"#, &claims.to_string()).unwrap());
        let mut answer = Box::pin(endpoint.answer(form.as_bytes()));
        let polled = answer.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        let std::task::Poll::Ready(answer) = polled else { panic!("it waits for nobody") };
        assert_eq!((answer.status, answer.body), (500, r#"{"error":"server_error"}"#));
    }

    /// A deny-list that can be out of reach.
    #[derive(Clone, Debug, Default)]
    struct Flaky(MemoryDenyList, std::sync::Arc<std::sync::atomic::AtomicBool>);

    impl crate::stores::DenyList for Flaky {
        fn look_up(&self, token: &crate::token::marks::Marks<'_>, now: Timestamp) -> crate::stores::DenyLookup {
            self.0.look_up(token, now)
        }
        fn deny(&self, what: Deny, until: Timestamp) -> BoxFuture<'static, Result<(), StoreError>> {
            if self.1.load(std::sync::atomic::Ordering::Relaxed) {
                return Box::pin(async { Err(StoreError::Unreachable("on purpose".to_owned())) });
            }
            self.0.deny(what, until)
        }
    }

    #[tokio::test]
    async fn a_logout_that_was_not_carried_out_is_good_when_it_comes_again() {
        let list = Flaky::default();
        let api = ResourceServer::builder("api").trust(issuer()).deny_list(list.clone()).build().unwrap();
        let endpoint = LogoutEndpoint::new(LogoutVerifier::new("app", issuer()).unwrap(), api.clone());
        let now = SystemClock.now().as_secs();
        let access =
            sign(&json!({"iss": "https://i/", "aud": "api", "sub": "ada", "sid": "1", "iat": now, "exp": now + 600}));
        let form = format!(
            "logout_token={}",
            sign(&json!({"iss": "https://i/", "aud": "app", "sid": "1", "iat": now, "exp": now + 60, "jti": "a",
                "events": {"http://schemas.openid.net/event/backchannel-logout": {}}}))
        );
        list.1.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(endpoint.answer(form.as_bytes()).await.status, 503);
        assert!(api.authenticate(Presented::token(&access)).await.is_ok());
        // Cut off before it was through: polled once and dropped.
        list.1.store(false, std::sync::atomic::Ordering::Relaxed);
        drop(Box::pin(endpoint.answer(form.as_bytes())));
        for attempt in ["the issuer's second try", "its third: the answer was lost"] {
            assert_eq!(endpoint.answer(form.as_bytes()).await.status, 204, "{attempt}");
            assert!(api.authenticate(Presented::token(&access)).await.is_err(), "{attempt}");
        }
    }
}
