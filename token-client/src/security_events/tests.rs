//! A transmitter that says what the test wants said, and writes down what it is told.

use std::collections::VecDeque;
use std::sync::Mutex;

use http::Response;
use serde_json::{Value, json};
use token_core::http::BoxFuture;
use token_core::jose::signing::SigningKey;
use token_core::revocation::{Deny, DenyList, DenyLookup, Marks, MemoryDenyList};
use token_core::security_events::SecurityEventVerifier;
use token_core::stores::StoreError;
use token_core::{Algorithm, Issuer, Presented, ResourceServer, StaticKeys, Timestamp};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;

use super::*;
use crate::DpopKey;
use crate::source::FixedSource;
use crate::token::Token;

const SECRET: &[u8] = b"a secret of more than thirty-two bytes";
const DISABLED: &str = "https://schemas.openid.net/secevent/risc/event-type/account-disabled";

type Said = Result<(u16, String), HttpError>;

/// What it will say, and what it was told.
#[derive(Clone, Debug, Default)]
struct Transmitter(Arc<Mutex<(VecDeque<Said>, Vec<Value>)>>);

impl Transmitter {
    fn will_say(&self, answer: Said) {
        self.0.lock().unwrap().0.push_back(answer);
    }

    /// The last poll's acknowledgements and errors.
    fn told(&self) -> (Value, Value) {
        let last = self.0.lock().unwrap().1.last().cloned().unwrap_or_default();
        (last["ack"].clone(), last["setErrs"].clone())
    }
}

impl HttpClient for Transmitter {
    fn send(&self, request: Request<Bytes>, _: Limits) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        let credentials = request.headers()[AUTHORIZATION].to_str().unwrap();
        assert!(
            credentials == "Bearer canary" || (credentials == "DPoP canary" && request.headers().contains_key("dpop"))
        );
        let mut inner = self.0.lock().unwrap();
        inner.1.push(serde_json::from_slice(request.body()).unwrap());
        let answer = inner.0.pop_front().unwrap_or(Err(HttpError::Timeout));
        let answer = answer.map(|(status, body)| {
            let mut response = Response::new(Bytes::from(body));
            *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
            response
        });
        Box::pin(std::future::ready(answer))
    }
}

/// A deny-list that can be out of reach.
#[derive(Clone, Debug, Default)]
struct Flaky(MemoryDenyList, Arc<std::sync::atomic::AtomicBool>);

impl DenyList for Flaky {
    fn look_up(&self, token: &Marks<'_>, now: Timestamp) -> DenyLookup {
        self.0.look_up(token, now)
    }
    fn deny(&self, what: Deny, until: Timestamp) -> BoxFuture<'static, Result<(), StoreError>> {
        match self.1.load(std::sync::atomic::Ordering::Relaxed) {
            true => Box::pin(async { Err(StoreError::Unreachable("on purpose".to_owned())) }),
            false => self.0.deny(what, until),
        }
    }
}

fn issuer() -> Issuer {
    Issuer::with_keys("https://i/", StaticKeys::secret(Algorithm::HS256, SECRET).unwrap()).unwrap()
}

fn sign(typ: &str, claims: &Value) -> String {
    let key = SigningKey::from_secret(Algorithm::HS256, None, SECRET).unwrap();
    key.sign_jwt(&json!({"alg": "HS256", "typ": typ}).to_string(), &claims.to_string()).unwrap()
}

fn event(jti: &str, subject: &str) -> String {
    let sub_id = json!({"format": "iss_sub", "iss": "https://i/", "sub": subject});
    let claims = json!({"iss": "https://i/", "aud": "me", "iat": 4_000_000_000i64 - 3_000_000_000, "jti": jti,
        "sub_id": sub_id, "events": {DISABLED: {}}});
    sign("secevent+jwt", &claims)
}

fn sets(sets: &Value) -> Said {
    Ok((200, json!({"sets": sets}).to_string()))
}

#[tokio::test]
async fn what_is_carried_out_is_acknowledged_what_is_not_believed_reported_and_what_met_trouble_comes_again() {
    let (transmitter, list) = (Transmitter::default(), Flaky::default());
    let api = ResourceServer::builder("api").trust(issuer()).deny_list(list.clone()).build().unwrap();
    let endpoint = SecurityEventEndpoint::new(SecurityEventVerifier::new("me", issuer()).unwrap(), api.clone());
    let tokens = FixedSource::new(Token::bearer("canary", None).unwrap());
    let mut poller = SecurityEventPoller::new("https://i/poll", transmitter.clone(), tokens, endpoint).unwrap();
    let access = sign(
        "at+jwt",
        &json!({"iss": "https://i/", "aud": "api", "sub": "ada", "iat": 900_000_000, "exp": 4_000_000_000i64}),
    );
    let admitted = || api.authenticate(Presented::token(&access)).now().unwrap().is_ok();

    transmitter.will_say(Err(HttpError::Timeout));
    transmitter.will_say(sets(&json!({})));
    assert_eq!(poller.poll().await.unwrap(), Polled::default(), "it holds polls open for longer, and is there");
    assert_eq!(transmitter.0.lock().unwrap().1.last().unwrap()["returnImmediately"], true);
    assert_eq!(poller.poll().await.unwrap_err().kind(), TokenErrorKind::Unreachable, "it is not there");
    transmitter.will_say(sets(&json!({"1": event("1", "ada"), "2": "junk", "3": event("other", "bob"), "4": access})));
    assert!(admitted());
    let polled = poller.poll().await.unwrap();
    assert_eq!((polled.taken, polled.refused, polled.postponed), (1, 3, 0));
    assert!(!admitted());

    // It does not hear of it, and is told again.
    transmitter.will_say(Err(HttpError::Connect("refused".to_owned())));
    poller.poll().await.unwrap_err();
    list.1.store(true, std::sync::atomic::Ordering::Relaxed);
    transmitter.will_say(sets(&json!({"5": event("5", "bob")})));
    assert_eq!(poller.poll().await.unwrap().postponed, 1);
    let (acknowledged, errors) = transmitter.told();
    assert_eq!(acknowledged, json!(["1"]));
    let codes: Vec<_> = ["2", "3", "4"].iter().map(|jti| errors[jti]["err"].as_str().unwrap()).collect();
    assert_eq!(codes, ["invalid_request"; 3]);

    list.1.store(false, std::sync::atomic::Ordering::Relaxed);
    transmitter.will_say(sets(&json!({"5": event("5", "bob")})));
    assert_eq!(poller.poll().await.unwrap().taken, 1);
    assert_eq!(
        transmitter.told(),
        (Value::Null, Value::Null),
        "what met trouble was neither acknowledged nor reported"
    );
    transmitter.will_say(sets(&json!({})));
    poller.poll().await.unwrap();
    assert_eq!(transmitter.told(), (json!(["5"]), Value::Null));
    assert!(!format!("{poller:?}").contains("canary"));
}

#[tokio::test]
async fn an_answer_that_is_none_is_an_error_that_says_whose() {
    let endpoint = || {
        let api = ResourceServer::builder("api").trust(issuer()).build().unwrap();
        SecurityEventEndpoint::new(SecurityEventVerifier::new("me", issuer()).unwrap(), api)
    };
    for (status, body, expected) in [
        (200, "junk", TokenErrorKind::Malformed),
        (200, r#"{"sets": []}"#, TokenErrorKind::Malformed),
        (200, "{}", TokenErrorKind::Malformed),
        (401, "", TokenErrorKind::InvalidClient),
        (404, "", TokenErrorKind::Refused),
        (429, "", TokenErrorKind::RateLimited),
        (503, "", TokenErrorKind::ServerError),
    ] {
        let transmitter = Transmitter::default();
        transmitter.will_say(Ok((status, body.to_owned())));
        let tokens = FixedSource::new(Token::bearer("canary", None).unwrap());
        let mut poller = SecurityEventPoller::new("https://i/poll", transmitter, tokens, endpoint()).unwrap();
        assert_eq!(poller.poll().await.unwrap_err().kind(), expected, "{status} {body}");
    }
    for url in ["", "not a url", "/poll"] {
        let tokens = FixedSource::new(Token::bearer("canary", None).unwrap());
        assert!(SecurityEventPoller::new(url, Transmitter::default(), tokens, endpoint()).is_err(), "{url}");
    }
}

/// Answers every poll at once, in these words.
#[derive(Clone, Debug)]
struct Parrot(Arc<Mutex<u32>>, String);

impl HttpClient for Parrot {
    fn send(&self, _: Request<Bytes>, _: Limits) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        *self.0.lock().unwrap() += 1;
        let response = Response::new(Bytes::from(self.1.clone()));
        Box::pin(std::future::ready(Ok(response)))
    }
}

fn poller(http: impl HttpClient, token: Token) -> SecurityEventPoller {
    let api = ResourceServer::builder("api").trust(issuer()).build().unwrap();
    let endpoint = SecurityEventEndpoint::new(SecurityEventVerifier::new("me", issuer()).unwrap(), api);
    SecurityEventPoller::new("https://i/poll", http, FixedSource::new(token), endpoint).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_transmitter_that_answers_at_once_is_not_asked_without_end() {
    for (what, sets, more) in [
        ("nothing", json!({}), false),
        ("nothing, and more of it", json!({}), true),
        ("the same event again, acknowledged or not", json!({"1": event("1", "ada")}), true),
        ("the same junk again, reported or not", json!({"1": "junk"}), true),
    ] {
        let parrot = Parrot(Arc::default(), json!({"sets": sets, "moreAvailable": more}).to_string());
        let mut poller = poller(parrot.clone(), Token::bearer("canary", None).unwrap());
        let _ = tokio::time::timeout(Duration::from_secs(600), poller.run()).await;
        let polls = *parrot.0.lock().unwrap();
        assert!((60..70).contains(&polls), "{what}: {polls} polls in ten minutes");
    }
}

#[tokio::test]
async fn a_bound_token_polls_with_a_proof_and_the_transmitters_nonce() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    #[derive(Debug)]
    struct Strict(Arc<Mutex<Vec<(String, String)>>>);
    impl HttpClient for Strict {
        fn send(&self, request: Request<Bytes>, _: Limits) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
            let field = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
            let mut heard = self.0.lock().unwrap();
            heard.push((field("authorization"), field("dpop")));
            let response = match heard.len() {
                1 => Response::builder()
                    .status(401)
                    .header("www-authenticate", r#"DPoP error="use_dpop_nonce""#)
                    .header("dpop-nonce", "n-1"),
                _ => Response::builder(),
            };
            let response = response.body(Bytes::from_static(br#"{"sets": {}}"#)).unwrap();
            Box::pin(std::future::ready(Ok(response)))
        }
    }
    let key = DpopKey::generate(Algorithm::ES256).unwrap();
    let token = Token::dpop("canary", None, &key).unwrap();
    let mut poller = poller(Strict(Arc::clone(&heard)), token);
    assert_eq!(poller.poll().await.unwrap(), Polled::default());
    let heard = heard.lock().unwrap();
    let claims = |at: usize| {
        let part = heard[at].1.split('.').nth(1).unwrap().to_owned();
        serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert!(heard.len() == 2 && heard.iter().all(|(credentials, _)| credentials == "DPoP canary"));
    assert_eq!((claims(0)["htm"].as_str(), claims(0)["htu"].as_str()), (Some("POST"), Some("https://i/poll")));
    assert_eq!((claims(0).get("nonce"), claims(1)["nonce"].as_str()), (None, Some("n-1")));
    assert_ne!(claims(0)["jti"], claims(1)["jti"]);
}

#[test]
fn an_event_that_a_server_set_up_wrongly_could_not_verify_is_not_reported_as_the_transmitters_fault() {
    let transmitter = Transmitter::default();
    let api = ResourceServer::builder("api").trust(issuer()).build().unwrap();
    // Its keys have to be fetched, which takes a runtime with timers.
    let far = Issuer::discover("https://i/").unwrap();
    let endpoint = SecurityEventEndpoint::new(SecurityEventVerifier::new("me", far).unwrap(), api);
    let tokens = FixedSource::new(Token::bearer("canary", None).unwrap());
    let mut poller = SecurityEventPoller::new("https://i/poll", transmitter.clone(), tokens, endpoint).unwrap();
    let key = SigningKey::generate(Algorithm::ES256, Some("k")).unwrap();
    let claims = json!({"iss": "https://i/", "aud": "me", "iat": 1_000_000_000, "jti": "1", "events": {DISABLED: {}}});
    let token = key.sign_jwt(r#"{"alg":"ES256","kid":"k","typ":"secevent+jwt"}"#, &claims.to_string()).unwrap();
    transmitter.will_say(sets(&json!({"1": token})));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let polled = runtime.block_on(poller.poll()).unwrap();
    assert_eq!((polled.taken, polled.refused, polled.postponed), (0, 0, 1));
}
