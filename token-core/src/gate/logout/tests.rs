//! Logout tokens, good and bad, by the steps of OpenID Connect Back-Channel Logout section 2.6.

#[cfg(feature = "aws-lc-rs")]
mod encrypted;

use serde_json::{Value, json};

use super::*;
use crate::base::time::hands::Hands;
use crate::jose::Algorithm;
use crate::jose::signing::SigningKey;
use crate::trust::static_keys::StaticKeys;

const SECRET: &[u8] = b"a secret of more than thirty-two bytes";
const NOW: i64 = 1_800_000_000;

fn verifier() -> LogoutVerifier {
    let issuer = Issuer::with_keys("https://i/", StaticKeys::secret(Algorithm::HS256, SECRET).unwrap()).unwrap();
    LogoutVerifier::with_clock("app", issuer, Hands::at(NOW)).unwrap()
}

fn token(typ: Option<&str>, more: Value) -> String {
    let mut claims = json!({
        "iss": "https://i/", "aud": "app", "sub": "ada", "sid": "s1", "iat": NOW, "exp": NOW + 120, "jti": "1",
        "events": {EVENT: {}},
    });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
    }
    let mut header = json!({"alg": "HS256"});
    if let Some(typ) = typ {
        header["typ"] = typ.into();
    }
    let key = SigningKey::from_secret(Algorithm::HS256, None, SECRET).unwrap();
    key.sign_jwt(&header.to_string(), &claims.to_string()).unwrap()
}

fn ask(verifier: &LogoutVerifier, token: &str) -> Result<Logout, Error> {
    let form = format!("state=x&logout_token={token}");
    verifier.receive(form.as_bytes()).now().expect("nothing to wait for")
}

#[test]
fn each_step_of_the_specification_refuses_on_its_own() {
    use ErrorKind::*;
    for (step, typ, more, expected) in [
        ("good", Some("logout+jwt"), json!({}), None),
        ("good", Some("JWT"), json!({}), None),
        ("good", None, json!({"sub": null}), None),
        ("good", None, json!({"sid": null, "typ": "Logout"}), None),
        ("typ", Some("at+jwt"), json!({}), Some(WrongType)),
        ("typ", Some("secevent+jwt"), json!({}), Some(WrongType)),
        ("4", None, json!({"iss": "https://j/"}), Some(UnknownIssuer)),
        ("4", None, json!({"aud": "other"}), Some(WrongAudience)),
        ("4", None, json!({"iat": null}), Some(ClaimsMismatch)),
        ("4", None, json!({"iat": NOW + 600}), Some(NotYetValid)),
        ("4", None, json!({"exp": NOW - 60}), Some(Expired)),
        ("4", None, json!({"exp": null}), Some(ClaimsMismatch)),
        ("5", None, json!({"sub": null, "sid": null}), Some(ClaimsMismatch)),
        ("6", None, json!({"events": {}}), Some(ClaimsMismatch)),
        ("6", None, json!({"events": {EVENT: true}}), Some(ClaimsMismatch)),
        (
            "6",
            None,
            json!({"events": {"https://schemas.openid.net/event/backchannel-logout": {}}}),
            Some(ClaimsMismatch),
        ),
        ("6", None, json!({"events": []}), Some(ClaimsMismatch)),
        ("6", None, json!({"events": null}), Some(WrongType)),
        ("7", None, json!({"nonce": "n"}), Some(WrongType)),
        ("8", None, json!({"jti": null}), Some(ClaimsMismatch)),
    ] {
        let outcome = ask(&verifier(), &token(typ, more.clone()));
        assert_eq!(outcome.err().map(|error| error.kind()), expected, "step {step}: {typ:?} {more}");
    }
}

#[test]
fn a_logout_token_is_good_once() {
    let verifier = verifier();
    let logout = ask(&verifier, &token(None, json!({}))).unwrap();
    assert_eq!((logout.issuer(), logout.subject(), logout.session_id()), ("https://i/", Some("ada"), Some("s1")));
    let again = token(Some("logout+jwt"), json!({"iat": NOW - 1}));
    assert_eq!(ask(&verifier, &again).unwrap_err().kind(), ErrorKind::Inactive, "the same jti in another token");
    assert!(ask(&verifier, &token(None, json!({"jti": "2"}))).is_ok());
}

#[test]
fn a_request_without_one_token_is_a_bad_request() {
    let good = token(None, json!({}));
    for form in ["", "token=x", &format!("logout_token={good}&logout_token={good}")] {
        let error = verifier().receive(form.as_bytes()).now().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    }
}

/// A store that many instances share, which answers only when it is told to.
#[derive(Clone, Debug, Default)]
struct Shared {
    memory: MemoryReplays,
    down: Arc<std::sync::atomic::AtomicBool>,
}

impl ReplayMemory for Shared {
    fn first_time(&self, token: [u8; 32], until: Timestamp, now: Timestamp) -> FirstTime {
        let this = self.clone();
        FirstTime::Ask(Box::pin(async move {
            if this.down.load(std::sync::atomic::Ordering::Relaxed) {
                return Err(StoreError::Unreachable("on purpose".to_owned()));
            }
            match this.memory.first_time(token, until, now) {
                FirstTime::Known(answer) => answer,
                FirstTime::Ask(answer) => answer.await,
            }
        }))
    }
}

#[tokio::test]
async fn a_token_that_one_instance_took_is_refused_by_another_that_shares_its_memory() {
    let shared = Shared::default();
    let (one, two) = (verifier().replay_memory(shared.clone()), verifier().replay_memory(shared.clone()));
    let first = token(None, json!({}));
    assert!(one.verify(&first).await.is_ok());
    assert_eq!(two.verify(&first).await.unwrap_err().kind(), ErrorKind::Inactive);
    assert!(verifier().verify(&first).await.is_ok(), "one that shares nothing knows nothing of it");

    shared.down.store(true, std::sync::atomic::Ordering::Relaxed);
    let second = token(None, json!({"jti": "2"}));
    assert_eq!(two.verify(&second).await.unwrap_err().kind(), ErrorKind::Unavailable, "in doubt it is refused");
    shared.down.store(false, std::sync::atomic::Ordering::Relaxed);
    assert!(two.verify(&second).await.is_ok());
}

#[test]
fn a_memory_without_room_refuses_as_our_trouble() {
    let verifier = verifier().replay_memory(MemoryReplays::with_capacity(1));
    assert!(ask(&verifier, &token(None, json!({}))).is_ok());
    assert_eq!(ask(&verifier, &token(None, json!({"jti": "2"}))).unwrap_err().kind(), ErrorKind::Unavailable);
}

#[test]
fn a_logout_token_without_expiry_is_good_for_a_day_and_remembered_for_longer() {
    let issuer = || {
        Issuer::with_keys("https://i/", StaticKeys::secret(Algorithm::HS256, SECRET).unwrap())
            .unwrap()
            .dangerously_accept_tokens_without_expiry()
    };
    let hands = Hands::at(NOW);
    let verifier = LogoutVerifier::with_clock("app", issuer(), hands.clone()).unwrap();
    let endless = token(None, json!({"exp": null}));
    assert!(ask(&verifier, &endless).is_ok());
    for (later, expected) in [(301, ErrorKind::Inactive), (86_400, ErrorKind::Inactive), (86_701, ErrorKind::Expired)] {
        hands.set(NOW + later);
        assert_eq!(ask(&verifier, &endless).unwrap_err().kind(), expected, "{later} s later");
    }
}
