//! Security event tokens of all kinds, good and bad, and what each does to whose tokens.

use serde_json::json;

use super::*;
use crate::base::http::BoxFuture;
use crate::base::time::hands::Hands;
use crate::gate::id_token::IdTokenVerifier;
use crate::gate::logout::LogoutVerifier;
use crate::jose::Algorithm;
use crate::jose::signing::SigningKey;
use crate::stores::StoreError;
use crate::stores::memory_deny_list::MemoryDenyList;
use crate::trust::static_keys::StaticKeys;

const SECRET: &[u8] = b"a secret of more than thirty-two bytes";
const NOW: i64 = 1_800_000_000;
const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/";
const RISC: &str = "https://schemas.openid.net/secevent/risc/event-type/";

fn issuer(name: &str) -> Issuer {
    Issuer::with_keys(name, StaticKeys::secret(Algorithm::HS256, SECRET).unwrap()).unwrap()
}

fn verifier() -> SecurityEventVerifier {
    SecurityEventVerifier::with_clock("receiver", issuer("https://i/"), Hands::at(NOW)).unwrap()
}

fn sign(typ: Option<&str>, claims: &Value) -> String {
    let mut header = json!({"alg": "HS256"});
    if let Some(typ) = typ {
        header["typ"] = typ.into();
    }
    let key = SigningKey::from_secret(Algorithm::HS256, None, SECRET).unwrap();
    key.sign_jwt(&header.to_string(), &claims.to_string()).unwrap()
}

/// A good session-revoked event about ada, with other claims in place; `null` takes one out.
fn event(more: &Value) -> Value {
    let mut claims = json!({
        "iss": "https://i/", "aud": "receiver", "iat": NOW, "jti": "1",
        "sub_id": {"format": "iss_sub", "iss": "https://i/", "sub": "ada"},
        "events": {format!("{CAEP}session-revoked"): {"event_timestamp": NOW}},
    });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
    }
    claims
}

#[test]
fn each_rule_of_a_security_event_token_refuses_on_its_own() {
    use ErrorKind::*;
    let secevent = Some("secevent+jwt");
    for (typ, more, expected) in [
        (secevent, json!({}), None),
        (Some("application/secevent+jwt"), json!({}), None),
        (secevent, json!({"exp": NOW + 60}), None),
        (secevent, json!({"iat": NOW - 3 * 24 * 3600}), None),
        (secevent, json!({"aud": ["other", "receiver"]}), None),
        (None, json!({}), Some(WrongType)),
        (Some("JWT"), json!({}), Some(WrongType)),
        (Some("at+jwt"), json!({}), Some(WrongType)),
        (Some("logout+jwt"), json!({}), Some(WrongType)),
        (secevent, json!({"nonce": "n"}), Some(WrongType)),
        (secevent, json!({"token_use": "access"}), Some(WrongType)),
        (secevent, json!({"iss": "https://j/"}), Some(UnknownIssuer)),
        (secevent, json!({"aud": "other"}), Some(WrongAudience)),
        (secevent, json!({"aud": null}), Some(WrongAudience)),
        (secevent, json!({"exp": NOW - 60}), Some(Expired)),
        (secevent, json!({"iat": null}), Some(ClaimsMismatch)),
        (secevent, json!({"iat": NOW + 600}), Some(NotYetValid)),
        (secevent, json!({"jti": null}), Some(ClaimsMismatch)),
        (secevent, json!({"events": null}), Some(Malformed)),
        (secevent, json!({"events": {}}), Some(ClaimsMismatch)),
        (secevent, json!({"events": []}), Some(Malformed)),
        (secevent, json!({"events": {"urn:x": true}}), Some(ClaimsMismatch)),
        (secevent, json!({"cnf": {"jkt": "x"}}), Some(SenderConstrained)),
    ] {
        let outcome = verifier().verify(&sign(typ, &event(&more))).now().unwrap();
        let kind = outcome.err().map(|error| error.kind());
        if expected == Some(Malformed) {
            assert!(kind.is_some(), "{typ:?} {more}");
        } else {
            assert_eq!(kind, expected, "{typ:?} {more}");
        }
    }
    let mut forged = sign(secevent, &event(&json!({})));
    forged.replace_range(forged.len() - 4.., "AAAA");
    assert_eq!(verifier().verify(&forged).now().unwrap().unwrap_err().kind(), BadSignature);
}

#[test]
fn no_gate_takes_the_token_of_another() {
    let api = ResourceServer::builder("receiver").trust(issuer("https://i/")).clock(Hands::at(NOW)).build().unwrap();
    let client = IdTokenVerifier::with_clock("receiver", issuer("https://i/"), Hands::at(NOW)).unwrap();
    let logout = LogoutVerifier::with_clock("receiver", issuer("https://i/"), Hands::at(NOW)).unwrap();
    let more = json!({"sub": "ada", "exp": NOW + 60, "scope": "read", "client_id": "c"});
    let set = sign(Some("secevent+jwt"), &event(&more));
    let wrong = |error: Error| assert_eq!(error.kind(), ErrorKind::WrongType);
    wrong(api.authenticate(Presented::token(&set)).now().unwrap().unwrap_err());
    wrong(client.verify(&set, crate::gate::id_token::Login::without_nonce()).now().unwrap().unwrap_err());
    wrong(logout.verify(&set).now().unwrap().unwrap_err());
    assert!(verifier().verify(&set).now().unwrap().is_ok());
    // And without its type it is not taken either.
    for typ in [None, Some("JWT"), Some("at+jwt")] {
        wrong(api.authenticate(Presented::token(&sign(typ, &event(&more)))).now().unwrap().unwrap_err());
    }
}

/// An API with a deny-list, and what its tokens of three people and their sessions hear.
struct Api(ResourceServer);

impl Api {
    fn new() -> Self {
        let list = MemoryDenyList::new();
        let builder = ResourceServer::builder("api").trust(issuer("https://i/")).trust(issuer("https://j/"));
        Self(builder.deny_list(list).clock(Hands::at(NOW)).build().unwrap())
    }

    fn endpoint(&self) -> SecurityEventEndpoint {
        SecurityEventEndpoint::new(verifier(), self.0.clone())
    }

    fn admits(&self, issuer: &str, subject: &str, session: &str) -> bool {
        let claims =
            json!({"iss": issuer, "aud": "api", "sub": subject, "sid": session, "iat": NOW - 5, "exp": NOW + 600});
        self.0.authenticate(Presented::token(&sign(None, &claims))).now().unwrap().is_ok()
    }

    /// Who is left out of ada's two sessions at i, bob at i, and ada at j.
    fn refused(&self) -> Vec<&'static str> {
        let all = [
            ("ada 1", "https://i/", "ada", "1"),
            ("ada 2", "https://i/", "ada", "2"),
            ("bob", "https://i/", "bob", "3"),
            ("ada at j", "https://j/", "ada", "1"),
        ];
        all.iter().filter(|(_, issuer, sub, sid)| !self.admits(issuer, sub, sid)).map(|(name, ..)| *name).collect()
    }
}

#[tokio::test]
async fn each_event_does_to_its_subject_what_it_says_and_to_nobody_else() {
    let iss_sub = |iss: &str, sub: &str| json!({"format": "iss_sub", "iss": iss, "sub": sub});
    let ada = || iss_sub("https://i/", "ada");
    let both = vec!["ada 1", "ada 2"];
    for (uri, payload, sub_id, expected) in [
        (format!("{CAEP}session-revoked"), json!({}), ada(), both.clone()),
        (format!("{CAEP}session-revoked"), json!({}), json!({"format": "opaque", "id": "1"}), vec!["ada 1"]),
        (
            format!("{CAEP}session-revoked"),
            json!({}),
            json!({"format": "complex", "user": ada(), "session": {"format": "opaque", "id": "2"}}),
            vec!["ada 2"],
        ),
        (
            format!("{CAEP}session-revoked"),
            json!({}),
            json!({"format": "complex", "user": ada(), "device": {}}),
            both.clone(),
        ),
        (
            format!("{RISC}account-disabled"),
            json!({}),
            json!({"format": "complex", "user": {"format": "aliases", "identifiers": [{"format": "email", "email": "x@i"}, ada()]}}),
            both.clone(),
        ),
        (
            format!("{CAEP}session-revoked"),
            json!({}),
            json!({"format": "complex", "session": {"format": "aliases", "identifiers": [{"format": "opaque", "id": "2"}, {"format": "opaque", "id": "3"}]}}),
            vec!["ada 2", "bob"],
        ),
        (
            format!("{RISC}account-disabled"),
            json!({}),
            json!({"format": "complex", "user": {"format": "complex", "user": ada()}}),
            vec![],
        ),
        (format!("{CAEP}session-revoked"), json!({}), json!({"format": "complex", "device": {}}), vec![]),
        (format!("{CAEP}session-revoked"), json!({"event_timestamp": NOW - 100}), ada(), vec![]),
        (format!("{CAEP}session-revoked"), json!({"event_timestamp": 1e300}), ada(), both.clone()),
        (format!("{CAEP}token-claims-change"), json!({"claims": {"role": "x"}}), ada(), both.clone()),
        (format!("{CAEP}credential-change"), json!({"change_type": "revoke"}), ada(), both.clone()),
        (format!("{CAEP}credential-change"), json!({"change_type": "create"}), ada(), vec![]),
        (format!("{CAEP}assurance-level-change"), json!({"change_direction": "decrease"}), ada(), both.clone()),
        (format!("{CAEP}assurance-level-change"), json!({"change_direction": "increase"}), ada(), vec![]),
        (format!("{RISC}account-disabled"), json!({"reason": "hijacking"}), ada(), both.clone()),
        (format!("{RISC}account-purged"), json!({}), ada(), both.clone()),
        (format!("{RISC}account-disabled"), json!({}), iss_sub("https://j/", "ada"), vec![]),
        (format!("{RISC}account-disabled"), json!({}), iss_sub("https://i/", "nobody"), vec![]),
        (format!("{RISC}account-disabled"), json!({}), json!({"format": "opaque", "id": "1"}), vec![]),
        (format!("{RISC}account-disabled"), json!({}), json!({"format": "email", "email": "ada@i"}), vec![]),
        (format!("{RISC}account-disabled"), json!({}), json!({"format": "of-tomorrow", "sub": "ada"}), vec![]),
        (format!("{RISC}account-disabled"), json!({}), json!({"format": "iss_sub", "iss": "https://i/"}), vec![]),
        (format!("{RISC}account-disabled"), json!({}), json!("ada"), vec![]),
        (
            format!("{RISC}account-disabled"),
            json!({}),
            json!({"format": "aliases", "identifiers": [{"format": "email", "email": "b@i"}, iss_sub("https://i/", "bob")]}),
            vec!["bob"],
        ),
        (
            format!("{RISC}account-disabled"),
            json!({}),
            json!({"format": "aliases", "identifiers": [{"format": "aliases", "identifiers": [ada()]}]}),
            vec![],
        ),
        (format!("{RISC}account-enabled"), json!({}), ada(), vec![]),
        (
            "https://schemas.openid.net/secevent/ssf/event-type/verification".to_owned(),
            json!({"state": "x"}),
            ada(),
            vec![],
        ),
    ] {
        let api = Api::new();
        assert_eq!(api.refused(), Vec::<&str>::new());
        let set = sign(Some("secevent+jwt"), &event(&json!({"sub_id": sub_id, "events": {&uri: payload}})));
        for time in ["once", "again"] {
            api.endpoint().receive(&set).await.unwrap();
            assert_eq!(api.refused(), expected, "{uri} {payload} {sub_id} {time}");
        }
    }
}

#[tokio::test]
async fn a_transmitter_that_speaks_for_another_issuer_is_believed_about_its_subjects() {
    let api = Api::new();
    let about_j = json!({"sub_id": {"format": "iss_sub", "iss": "https://j/", "sub": "ada"}});
    let set = sign(Some("secevent+jwt"), &event(&about_j));
    assert_eq!(api.endpoint().receive(&set).await.unwrap().touched, 0);
    assert_eq!(api.endpoint().speaks_for("https://j/").receive(&set).await.unwrap().touched, 1);
    assert_eq!(api.refused(), ["ada at j"]);
}

#[tokio::test]
async fn what_was_written_before_there_was_an_rfc_is_understood() {
    let api = Api::new();
    let old = json!({"subject_type": "iss-sub", "iss": "https://i/", "sub": "bob"});
    let claims = json!({"sub_id": null, "events": {format!("{RISC}account-disabled"): {"subject": old}}});
    api.endpoint().receive(&sign(Some("secevent+jwt"), &event(&claims))).await.unwrap();
    assert_eq!(api.refused(), ["bob"]);
}

#[derive(Debug)]
struct People(bool);

impl SubjectDirectory for People {
    fn accounts<'a>(
        &'a self,
        transmitter: &'a str,
        name: &'a SubjectIdentifier,
    ) -> BoxFuture<'a, Result<Vec<Account>, StoreError>> {
        assert_eq!(transmitter, "https://i/");
        let found = match name {
            _ if !self.0 => Err(StoreError::Unreachable("on purpose".to_owned())),
            SubjectIdentifier::Opaque(id) if id == "bob's" => Ok(vec![Account::new("https://i/", "bob")]),
            SubjectIdentifier::Named { name, .. } if name == "bob@i" => Ok(vec![Account::new("https://i/", "bob")]),
            // A directory may know people by other issuers, too.
            SubjectIdentifier::Named { name, .. } if name == "ada@j" => Ok(vec![Account::new("https://j/", "ada")]),
            _ => Ok(Vec::new()),
        };
        Box::pin(std::future::ready(found))
    }
}

#[tokio::test]
async fn a_directory_places_names_and_an_event_that_met_trouble_is_to_come_again() {
    let api = Api::new();
    let named = |email: &str| {
        let sub_id = json!({"format": "email", "email": email});
        sign(
            Some("secevent+jwt"),
            &event(&json!({"sub_id": sub_id, "events": {format!("{RISC}account-disabled"): {}}})),
        )
    };
    let push = async |endpoint: &SecurityEventEndpoint, token: &str| {
        let content_type = Some(&b"application/secevent+jwt"[..]);
        let answer = endpoint.answer(PushRequest { content_type, authorization: None, body: token.as_bytes() }).await;
        // It says when to come again exactly where it has to.
        assert_eq!(answer.retry_after, (answer.status == 503).then_some(60));
        answer.status
    };
    let down = api.endpoint().directory(People(false));
    assert_eq!(push(&down, &named("bob@i")).await, 503);
    assert_eq!(api.refused(), Vec::<&str>::new());
    let up = api.endpoint().directory(People(true));
    assert_eq!((push(&up, &named("bob@i")).await, push(&up, &named("nobody@i")).await), (202, 202));
    assert_eq!(push(&up, &named("ada@j")).await, 202, "acknowledged, and not the transmitter's to say");
    assert_eq!(api.refused(), ["bob"]);
}

#[tokio::test]
async fn a_directory_takes_no_session_its_name() {
    let complex = |id: &str| json!({"format": "complex", "session": {"format": "opaque", "id": id}});
    let opaque = |id: &str| json!({"format": "opaque", "id": id});
    for (event_type, sub_id, expected) in [
        ("session-revoked", opaque("1"), vec!["ada 1"]),
        ("session-revoked", complex("2"), vec!["ada 2"]),
        ("session-revoked", opaque("bob's"), vec!["bob"]),
        ("credential-change", opaque("bob's"), vec!["bob"]),
        ("credential-change", opaque("1"), vec![]),
    ] {
        let api = Api::new();
        let claims = json!({"sub_id": sub_id, "events": {format!("{CAEP}{event_type}"): {}}});
        let set = sign(Some("secevent+jwt"), &event(&claims));
        api.endpoint().directory(People(true)).receive(&set).await.unwrap();
        assert_eq!(api.refused(), expected, "{event_type} {sub_id}");
    }
}

#[tokio::test]
async fn a_full_deny_list_is_our_trouble_and_not_acknowledged() {
    let server = ResourceServer::builder("api").trust(issuer("https://i/")).deny_list(MemoryDenyList::with_capacity(0));
    let endpoint = SecurityEventEndpoint::new(verifier(), server.clock(Hands::at(NOW)).build().unwrap());
    let set = sign(Some("secevent+jwt"), &event(&json!({})));
    assert_eq!(endpoint.receive(&set).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn the_operator_says_what_an_event_does() {
    let api = Api::new();
    let endpoint = api.endpoint().on(EventKind::SessionRevoked, Reaction::Ignore);
    let set = sign(Some("secevent+jwt"), &event(&json!({})));
    assert_eq!(endpoint.receive(&set).await.unwrap().touched, 0);
    assert_eq!(api.refused(), Vec::<&str>::new());
}

#[tokio::test]
async fn a_push_is_answered_as_the_rfc_says() {
    let endpoint = Api::new().endpoint();
    let guarded = endpoint.clone().authorization("Bearer canary");
    let good = sign(Some("secevent+jwt"), &event(&json!({})));
    let other = sign(Some("secevent+jwt"), &event(&json!({"iss": "https://j/"})));
    let elsewhere = sign(Some("secevent+jwt"), &event(&json!({"aud": "x"})));
    let access = sign(Some("at+jwt"), &json!({"iss": "https://i/", "aud": "receiver", "exp": NOW + 60}));
    let mut forged = good.clone();
    forged.replace_range(forged.len() - 4.., "AAAA");
    let set = Some("application/secevent+jwt");
    for (name, content_type, authorization, body, status, err) in [
        ("good", set, None, &good, 202, ""),
        ("with a parameter", Some("Application/SecEvent+JWT; charset=utf-8"), None, &good, 202, ""),
        ("another type", Some("application/jwt"), None, &good, 400, "invalid_request"),
        ("no type", None, None, &good, 400, "invalid_request"),
        ("junk", set, None, &"junk".to_owned(), 400, "invalid_request"),
        ("nothing", set, None, &String::new(), 400, "invalid_request"),
        ("an access token", set, None, &access, 400, "invalid_request"),
        ("of another issuer", set, None, &other, 400, "invalid_issuer"),
        ("for another", set, None, &elsewhere, 400, "invalid_audience"),
        ("forged", set, None, &forged, 400, "invalid_key"),
        ("guarded, with it", set, Some("Bearer canary"), &good, 202, ""),
        ("guarded, with another", set, Some("Bearer other"), &good, 400, "authentication_failed"),
    ] {
        let endpoint = if name.starts_with("guarded") { &guarded } else { &endpoint };
        let (content_type, authorization) = (content_type.map(str::as_bytes), authorization.map(str::as_bytes));
        let answer = endpoint.answer(PushRequest { content_type, authorization, body: body.as_bytes() }).await;
        assert_eq!(answer.status, status, "{name}");
        let code = serde_json::from_str::<Value>(answer.body).ok().map(|body| body["err"].clone());
        assert_eq!(code, (!err.is_empty()).then(|| json!(err)), "{name}");
    }
    assert!(!format!("{guarded:?}").contains("canary"));
}

#[test]
fn a_server_that_cannot_ask_for_keys_at_all_wants_the_event_again() {
    // Outside of a runtime: nobody is there to carry a request out.
    let far = Issuer::discover("https://login.example/").unwrap();
    let verifier = SecurityEventVerifier::with_clock("receiver", far, Hands::at(NOW)).unwrap();
    let server = ResourceServer::builder("api").trust(issuer("https://i/")).build().unwrap();
    let endpoint = SecurityEventEndpoint::new(verifier, server);
    let key = SigningKey::generate(Algorithm::ES256, Some("k")).unwrap();
    let claims = event(&json!({"iss": "https://login.example/"})).to_string();
    let token = key.sign_jwt(r#"{"alg":"ES256","kid":"k","typ":"secevent+jwt"}"#, &claims).unwrap();
    let push =
        PushRequest { content_type: Some(b"application/secevent+jwt"), authorization: None, body: token.as_bytes() };
    let mut answer = Box::pin(endpoint.answer(push));
    let polled = answer.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    let std::task::Poll::Ready(answer) = polled else { panic!("it waits for nobody") };
    assert_eq!((answer.status, answer.body, answer.retry_after), (500, "", None));
}
