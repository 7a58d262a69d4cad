use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::super::tests::{AUDIENCE, Gate, ISSUER, NOW, issuer, sign, token};
use crate::answer::error::{Error, ErrorKind};
use crate::base::http::{BoxFuture, HttpClient, HttpError, Limits};
use crate::base::time::Timestamp;
use crate::opaque::client_authentication::ClientAuthentication;
use crate::opaque::{OpaqueAnswer, OpaqueError, OpaqueTokens, OpaqueVerifier};
use crate::request::presented::Presented;
use crate::stores::Deny;
use crate::stores::TokenCacheSettings;
use crate::stores::memory_deny_list::MemoryDenyList;
use crate::stores::{AnswerKey, AnswerStore, AnswerTag, Evict, MemoryAnswers, StoreError, StoredAnswer};
use crate::token::audience::Audience;
use crate::trust::issuer::Issuer;
use crate::verify::verified::Verified;

const ENDPOINT: &str = "https://issuer.example/introspect";

/// An endpoint with a script: tokens and what it says of them.
#[derive(Clone, Debug)]
struct Endpoint(Arc<Script>);

#[derive(Debug)]
struct Script {
    answers: Mutex<HashMap<String, (u16, &'static str, String)>>,
    requests: Mutex<Vec<String>>,
    hits: AtomicUsize,
    open: Semaphore,
}

impl Endpoint {
    fn new() -> Self {
        let open = Semaphore::new(Semaphore::MAX_PERMITS);
        Self(Arc::new(Script {
            answers: Mutex::default(),
            requests: Mutex::default(),
            hits: AtomicUsize::new(0),
            open,
        }))
    }

    fn says(&self, token: &str, claims: &Value) -> &Self {
        self.answers(token, 200, "application/json", claims.to_string())
    }

    fn answers(&self, token: &str, status: u16, media_type: &'static str, body: String) -> &Self {
        self.0.answers.lock().unwrap().insert(token.to_owned(), (status, media_type, body));
        self
    }

    fn hits(&self) -> usize {
        self.0.hits.load(Ordering::Relaxed)
    }
}

impl HttpClient for Endpoint {
    fn send(&self, request: Request<Bytes>, _: Limits) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        Box::pin(async move {
            self.0.hits.fetch_add(1, Ordering::Relaxed);
            let body = std::str::from_utf8(request.body()).unwrap().to_owned();
            self.0.requests.lock().unwrap().push(format!("{} {} {body}", request.method(), request.uri()));
            self.0.open.acquire().await.unwrap().forget();
            let pairs: HashMap<_, _> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
            let answers = self.0.answers.lock().unwrap();
            let Some((status, media_type, body)) = answers.get(&pairs["token"]) else {
                return Err(HttpError::Connect("refused".into()));
            };
            let response = Response::builder().status(*status).header("content-type", *media_type);
            Ok(response.body(Bytes::from(body.clone())).unwrap())
        })
    }
}

fn active(more: Value) -> Value {
    let mut claims =
        json!({"active": true, "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "scope": "a b", "exp": NOW + 600});
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn introspection(endpoint: &Endpoint) -> OpaqueTokens {
    OpaqueTokens::introspection(ENDPOINT, "my-api", ClientAuthentication::Basic("secret".into()))
        .unwrap()
        .http_client(Arc::new(endpoint.clone()))
}

fn gate(endpoint: &Endpoint, change: impl FnOnce(OpaqueTokens) -> OpaqueTokens) -> Gate {
    Gate::new_with(issuer().opaque_tokens(change(introspection(endpoint))))
}

impl Gate {
    fn new_with(issuer: Issuer) -> Self {
        Self::with(issuer, |builder| builder)
    }

    async fn verdict(&self, token: &str) -> Result<Verified, Error> {
        self.api.authenticate(Presented::token(token)).await
    }

    async fn refusal(&self, token: &str) -> Option<ErrorKind> {
        self.verdict(token).await.err().map(|error| error.kind())
    }

    fn at(&self, seconds: i64) {
        self.clock.0.store(NOW + seconds, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_handler_cannot_tell_an_opaque_token_from_a_jwt() {
    let endpoint = Endpoint::new();
    endpoint.says("opaque", &active(json!({"client_id": "app", "jti": "7"})));
    let gate = gate(&endpoint, |tokens| tokens);
    for text in ["opaque".to_owned(), token(json!({"client_id": "app", "jti": "7"}))] {
        for _ in 0..3 {
            let verified = gate.verdict(&text).await.unwrap();
            assert_eq!((verified.subject(), verified.issuer()), (Some("ada"), ISSUER));
            assert_eq!((verified.client_id(), verified.token_id()), (Some("app"), Some("7")));
            assert_eq!(verified.scopes().iter().collect::<Vec<_>>(), ["a", "b"]);
            assert_eq!(verified.token(), Some(&*text));
            assert_eq!(verified.claims::<Value>().unwrap()["sub"], "ada");
        }
    }
    assert_eq!(endpoint.hits(), 1, "three times the opaque token, and never the JWT");
    let asked = endpoint.0.requests.lock().unwrap().join(" ");
    assert_eq!(asked, format!("POST {ENDPOINT} token=opaque&token_type_hint=access_token"));
    assert!(gate.api.authenticate(Presented::token("opaque")).now().is_ok(), "a warm one needs no waiting");
}

#[tokio::test]
async fn an_answer_is_held_to_the_same_rules_as_a_jwt() {
    use ErrorKind::*;
    let endpoint = Endpoint::new();
    let table = [
        (json!({}), None),
        (json!({"aud": ["x", AUDIENCE]}), None),
        (json!({"aud": "https://other.example"}), Some(WrongAudience)),
        (json!({"aud": []}), Some(WrongAudience)),
        (json!({"aud": 7}), Some(Malformed)),
        (json!({"iss": "https://other.example"}), Some(UnknownIssuer)),
        (json!({"iss": 7}), Some(Malformed)),
        (json!({"exp": NOW - 29}), None),
        (json!({"exp": NOW - 30}), Some(Expired)),
        (json!({"exp": format!("{}", NOW + 600)}), Some(Malformed)),
        (json!({"exp": NOW as f64 + 600.5}), None),
        (json!({"nbf": NOW + 31}), Some(NotYetValid)),
        (json!({"cnf": {"jkt": "x"}}), Some(SenderConstrained)),
        (json!({"cnf": null}), Some(SenderConstrained)),
        (json!({"token_type": "refresh_token"}), Some(Inactive)),
        (json!({"token_use": "refresh_token"}), Some(WrongType)),
        (json!({"token_use": "access_token"}), None),
        (json!({"typ": "Refresh"}), Some(WrongType)),
        (json!({"active": false}), Some(Inactive)),
        (json!({"active": "true"}), Some(Unavailable)),
        (json!({"active": null}), Some(Unavailable)),
    ];
    let gate = gate(&endpoint, |tokens| tokens);
    for (index, (more, expected)) in table.into_iter().enumerate() {
        let token = format!("token-{index}");
        endpoint.says(&token, &active(more.clone()));
        for temperature in ["cold", "warm"] {
            assert_eq!(gate.refusal(&token).await, expected, "{temperature} {more}");
        }
    }
    let mut lean = active(json!({}));
    lean.as_object_mut().unwrap().retain(|name, _| !["iss", "exp", "scope"].contains(&name.as_str()));
    endpoint.says("lean", &lean);
    assert_eq!(gate.refusal("lean").await, None, "iss, exp and scope may be absent from an answer");
    endpoint.answers("twice", 200, "application/json", format!(r#"{{"active":true,"aud":"x","aud":"{AUDIENCE}"}}"#));
    assert_eq!(gate.refusal("twice").await, Some(Malformed));
}

#[tokio::test]
async fn facts_are_cached_and_decisions_made_again() {
    for cache in [TokenCacheSettings::default(), TokenCacheSettings::default().entries(0)] {
        let endpoint = Endpoint::new();
        endpoint.says("short", &active(json!({"exp": NOW + 20}))).says("long", &active(json!({})));
        endpoint.says("dead", &json!({"active": false}));
        let gate = Gate::with(issuer().opaque_tokens(introspection(&endpoint)), |builder| builder.token_cache(cache));
        for text in ["short", "long", "dead"] {
            let _ = gate.verdict(text).await;
        }
        assert_eq!(endpoint.hits(), 3);
        gate.at(9);
        for (text, expected) in [("short", None), ("long", None), ("dead", Some(ErrorKind::Inactive))] {
            assert_eq!(gate.refusal(text).await, expected, "{text}");
        }
        assert_eq!(endpoint.hits(), 3, "all of it from the cache");
        gate.at(10);
        gate.refusal("dead").await;
        assert_eq!(endpoint.hits(), 4, "an inactive answer holds 10 s");
        gate.at(20);
        gate.refusal("short").await;
        assert_eq!(endpoint.hits(), 5, "no answer outlives exp");
        gate.at(59);
        assert_eq!(gate.refusal("long").await, None);
        assert_eq!(endpoint.hits(), 5);
        gate.at(60);
        endpoint.says("long", &json!({"active": false}));
        assert_eq!(gate.refusal("long").await, Some(ErrorKind::Inactive));
        assert_eq!(endpoint.hits(), 6, "an active answer holds 60 s");
    }
}

#[tokio::test]
async fn a_hundred_requests_with_one_token_are_one_question_though_the_first_leaves() {
    let endpoint = Endpoint::new();
    endpoint.says("opaque", &active(json!({})));
    endpoint.0.open.forget_permits(Semaphore::MAX_PERMITS);
    let gate = gate(&endpoint, |tokens| tokens);
    let mut first = Box::pin(gate.verdict("opaque"));
    assert!(futures_poll(&mut first).is_pending());
    drop(first);
    let requests: Vec<_> = (0..100).map(|_| gate.api.authenticate(Presented::token("opaque"))).collect();
    let waiting: Vec<_> = requests.into_iter().map(tokio::spawn).collect();
    while endpoint.hits() == 0 {
        tokio::task::yield_now().await;
    }
    endpoint.0.open.add_permits(100);
    for request in waiting {
        assert_eq!(request.await.unwrap().unwrap().subject(), Some("ada"));
    }
    assert_eq!(endpoint.hits(), 1);
}

fn futures_poll<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

#[tokio::test]
async fn trouble_is_503_is_not_cached_and_ends_by_itself() {
    let endpoint = Endpoint::new();
    let gate = gate(&endpoint, |tokens| tokens);
    let error = gate.verdict("opaque").await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Unavailable, Some(Duration::from_secs(1))));
    endpoint.says("opaque", &active(json!({})));
    assert_eq!(gate.refusal("opaque").await, None, "the next request tries again");
}

#[tokio::test]
async fn after_repeated_failures_nobody_is_asked_until_a_probe_succeeds() {
    let endpoint = Endpoint::new();
    let gate = gate(&endpoint, |tokens| tokens);
    for _ in 0..20 {
        assert_eq!(gate.refusal("opaque").await, Some(ErrorKind::Unavailable));
    }
    assert_eq!(endpoint.hits(), 5);
    assert!(gate.api.opaque_health()[0].1.resting);
    endpoint.says("opaque", &active(json!({})));
    gate.at(1);
    assert_eq!(gate.refusal("opaque").await, Some(ErrorKind::Unavailable), "a stranger is not the first probe");
    gate.at(2);
    assert_eq!(gate.refusal("opaque").await, None);
    let (issuer, state) = gate.api.opaque_health().remove(0);
    assert_eq!((&*issuer, state.resting, state.answered, state.failed), (ISSUER, false, 1, 5));
    assert_eq!(state.last_error, None);
}

#[tokio::test]
async fn what_tokens_bring_about_themselves_never_stops_the_questions_about_others() {
    for (case, status, body) in [
        ("a header too large", 431, String::new()),
        ("a firewall", 403, "<html>".into()),
        ("a body too large", 413, String::new()),
        ("not the protocol", 200, "<html>".into()),
    ] {
        let endpoint = Endpoint::new();
        let gate = gate(&endpoint, |tokens| tokens);
        endpoint.says("good", &active(json!({})));
        for odd in 0..20 {
            let odd = format!("odd{odd}");
            endpoint.answers(&odd, status, "application/json", body.clone());
            assert!(gate.refusal(&odd).await.is_some());
        }
        assert_eq!(endpoint.hits(), 20, "{case}");
        assert_eq!(gate.refusal("good").await, None, "{case}");
    }
    // A server error, again and again for one token, is that token's; for many tokens it is the endpoint's.
    let endpoint = Endpoint::new();
    let gate = gate(&endpoint, |tokens| tokens);
    endpoint.says("good", &active(json!({}))).answers("bad", 500, "text/plain", String::new());
    for _ in 0..20 {
        assert_eq!(gate.refusal("bad").await, Some(ErrorKind::Unavailable));
    }
    assert_eq!(gate.refusal("good").await, None);
    for token in 0..20 {
        let token = format!("t{token}");
        endpoint.answers(&token, 500, "text/plain", String::new());
        gate.refusal(&token).await;
    }
    assert!(gate.api.opaque_health()[0].1.resting, "distinct tokens");
}

#[tokio::test]
async fn a_client_that_may_be_refused_for_the_form_of_its_secret_is_told_of_the_other_form() {
    for (secret, status, hinted) in
        [("canary!", 401, true), ("canary!", 400, true), ("canary!", 500, false), ("plain-canary", 401, false)]
    {
        let endpoint = Endpoint::new();
        endpoint.answers("t", status, "application/json", r#"{"error":"invalid_client"}"#.into());
        let tokens = OpaqueTokens::introspection(ENDPOINT, "my-api", ClientAuthentication::Basic(secret.into()));
        let gate = Gate::new_with(issuer().opaque_tokens(tokens.unwrap().http_client(Arc::new(endpoint))));
        assert_eq!(gate.refusal("t").await, Some(ErrorKind::Unavailable));
        let said = gate.api.opaque_health()[0].1.last_error.clone().unwrap();
        assert_eq!(said.contains("client_secret_basic_unencoded"), hinted, "{secret} {status}: {said}");
        assert!(!said.contains("canary"), "{said}");
    }
}

#[tokio::test]
async fn a_token_that_no_header_has_room_for_is_refused_without_asking() {
    let endpoint = Endpoint::new();
    let small = gate(&endpoint, |tokens| tokens.max_token_bytes(16));
    let usual = gate(&endpoint, |tokens| tokens);
    assert_eq!(small.refusal(&"a".repeat(17)).await, Some(ErrorKind::Malformed));
    assert_eq!(usual.refusal(&"a".repeat(8 * 1024 + 1)).await, Some(ErrorKind::Malformed));
    assert_eq!(endpoint.hits(), 0);
    assert_eq!(small.refusal(&"a".repeat(16)).await, Some(ErrorKind::Unavailable), "nobody answers, but it was asked");
    assert_eq!(endpoint.hits(), 1);
}

#[tokio::test]
async fn a_token_that_the_endpoint_chokes_on_takes_nobody_else_with_it() {
    let endpoint = Endpoint::new();
    endpoint.answers("odd", 400, "application/json", r#"{"error":"invalid_request"}"#.into());
    endpoint.says("good", &active(json!({})));
    let gate = gate(&endpoint, |tokens| tokens);
    for _ in 0..20 {
        assert_eq!(gate.refusal("odd").await, Some(ErrorKind::Unavailable));
    }
    assert_eq!(gate.refusal("good").await, None);
}

#[tokio::test]
async fn a_jwt_is_shown_to_nobody_but_its_own_issuer() {
    let endpoint = Endpoint::new();
    let gate = gate(&endpoint, |tokens| tokens);
    let foreign = token(json!({"iss": "https://other.example"}));
    let nameless = sign(&json!({"alg": "HS256"}), &json!({"aud": AUDIENCE, "sub": "ada", "exp": NOW + 600}));
    let forged = format!("{}AAAA", &token(json!({}))[..80]);
    for text in [&foreign, &nameless, &forged, &format!("{foreign}.x"), &format!("{foreign}.x.y")] {
        assert!(gate.verdict(text).await.is_err());
    }
    assert_eq!(endpoint.hits(), 0);
}

#[tokio::test]
async fn prefixes_pick_the_endpoint_and_what_has_none_is_refused() {
    let (eu, us) = (Endpoint::new(), Endpoint::new());
    eu.says("ory_at_eu_1", &active(json!({"iss": "https://eu.example"})));
    us.says("ory_at_1", &active(json!({"iss": "https://us.example"})));
    let of = |name: &str, endpoint: &Endpoint, prefix: &str| {
        Issuer::without_keys(name, introspection(endpoint).prefix(prefix)).unwrap()
    };
    let gate = Gate::with(of("https://us.example", &us, "ory_at_"), |builder| {
        builder.trust(of("https://eu.example", &eu, "ory_at_eu_"))
    });
    assert_eq!(gate.verdict("ory_at_eu_1").await.unwrap().issuer(), "https://eu.example");
    assert_eq!(gate.verdict("ory_at_1").await.unwrap().issuer(), "https://us.example");
    assert_eq!(gate.refusal("other_1").await, Some(ErrorKind::Malformed));
    assert_eq!((eu.hits(), us.hits()), (1, 1));
}

#[tokio::test]
async fn what_another_service_marked_as_its_own_is_not_shown_around_unless_told_so() {
    let endpoint = Endpoint::new();
    let rest = gate(&endpoint, |tokens| tokens);
    for foreign in ["ya29.1", "gho_1", "github_pat_1", "ory_rt_1"] {
        assert_eq!(rest.refusal(foreign).await, Some(ErrorKind::WrongType), "{foreign}");
    }
    assert_eq!(endpoint.hits(), 0);
    endpoint.says("ya29.1", &active(json!({})));
    assert_eq!(gate(&endpoint, |tokens| tokens.prefix("ya29.")).refusal("ya29.1").await, None);
}

#[tokio::test]
async fn an_issuer_that_is_trusted_no_more_is_not_asked_and_its_warm_tokens_die() {
    let endpoint = Endpoint::new();
    endpoint.says("opaque", &active(json!({})));
    let gate = gate(&endpoint, |tokens| tokens);
    gate.api.trust(Issuer::without_keys("https://other.example", introspection(&endpoint)).unwrap()).unwrap_err();
    assert_eq!(gate.refusal("opaque").await, None);
    assert!(gate.api.distrust(ISSUER));
    assert_eq!(gate.refusal("opaque").await, Some(ErrorKind::Malformed));
    gate.api.trust(Issuer::without_keys(ISSUER, introspection(&endpoint)).unwrap()).unwrap();
    assert_eq!(gate.refusal("opaque").await, None);
    assert_eq!(endpoint.hits(), 2);
}

#[tokio::test]
async fn an_issuer_without_keys_is_asked_about_its_jwts_and_one_with_keys_only_where_told_so() {
    let endpoint = Endpoint::new();
    let text = token(json!({"jti": "7"}));
    let tampered = format!("{}A", text.strip_suffix(text.chars().last().unwrap()).unwrap());
    endpoint.says(&text, &active(json!({})));
    let keyless = Gate::new_with(Issuer::without_keys(ISSUER, introspection(&endpoint)).unwrap());
    assert_eq!(keyless.refusal(&text).await, None);
    assert_eq!(endpoint.hits(), 1);

    let both = gate(&endpoint, |tokens| tokens.introspect_jwts());
    let verified = both.verdict(&text).await.unwrap();
    assert_eq!((verified.token_id(), endpoint.hits()), (Some("7"), 2), "the JWT's own claims");
    assert!(both.verdict(&tampered).await.is_err());
    assert_eq!(endpoint.hits(), 2, "what is not signed well is shown to nobody");
    endpoint.says(&text, &json!({"active": false}));
    both.at(60);
    assert_eq!(both.refusal(&text).await, Some(ErrorKind::Inactive), "revoked");
}

#[tokio::test]
async fn an_encrypted_token_is_shown_to_the_issuer_it_names_and_to_no_other() {
    let endpoint = Endpoint::new();
    let jwe = |issuer: &str| {
        let header = json!({"alg": "dir", "enc": "A256GCM", "iss": issuer}).to_string();
        format!("{}..a.b.c", crate::jose::base64url::encode(header.as_bytes()))
    };
    endpoint.says(&jwe(ISSUER), &active(json!({})));
    let gate = gate(&endpoint, |tokens| tokens);
    assert_eq!(gate.refusal(&jwe(ISSUER)).await, None);
    assert_eq!(gate.refusal(&jwe("https://other.example")).await, Some(ErrorKind::WrongType));
    assert_eq!(endpoint.hits(), 1);
}

/// A signed answer, with this header type and these changes to the envelope.
fn signed(typ: &str, envelope: Value, answer: Value) -> String {
    let mut claims = json!({"iss": ISSUER, "aud": "my-api", "iat": NOW, "token_introspection": answer});
    for (name, value) in envelope.as_object().unwrap() {
        claims[name] = value.clone();
    }
    sign(&json!({"alg": "HS256", "typ": typ}), &claims)
}

#[tokio::test]
async fn a_signed_answer_is_verified_before_it_is_believed() {
    use ErrorKind::*;
    const TYP: &str = "token-introspection+jwt";
    const MEDIA: &str = "application/token-introspection+jwt";
    let good = || active(json!({}));
    let table = [
        ("good", signed(TYP, json!({}), good()), None),
        ("for the audience", signed(TYP, json!({"aud": [AUDIENCE]}), good()), None),
        ("inactive", signed(TYP, json!({}), json!({"active": false})), Some(Inactive)),
        ("an access token's type", signed("at+jwt", json!({}), good()), Some(Unavailable)),
        ("no type", signed("JWT", json!({}), good()), Some(Unavailable)),
        ("another issuer", signed(TYP, json!({"iss": "https://other.example"}), good()), Some(Unavailable)),
        ("another audience", signed(TYP, json!({"aud": "other"}), good()), Some(Unavailable)),
        ("of yesterday", signed(TYP, json!({"iat": NOW - 86_400}), good()), Some(Unavailable)),
        ("of tomorrow", signed(TYP, json!({"iat": NOW + 86_400}), good()), Some(Unavailable)),
        ("a token's claims outside", signed(TYP, json!({"sub": "ada"}), good()), Some(Unavailable)),
        ("nothing inside", signed(TYP, json!({"token_introspection": 7}), good()), Some(Unavailable)),
        ("a lie inside", signed(TYP, json!({}), active(json!({"active": "true"}))), Some(Unavailable)),
        ("another audience inside", signed(TYP, json!({}), active(json!({"aud": "x"}))), Some(WrongAudience)),
        ("tampered", format!("{}AAAA", signed(TYP, json!({}), good())), Some(Unavailable)),
        ("not a JWT", "x".to_owned(), Some(Unavailable)),
    ];
    for (name, jwt, expected) in table {
        let endpoint = Endpoint::new();
        endpoint.answers("opaque", 200, MEDIA, jwt);
        let gate = gate(&endpoint, |tokens| tokens.require_signed_answers());
        assert_eq!(gate.refusal("opaque").await, expected, "{name}");
    }
    let endpoint = Endpoint::new();
    endpoint.says("opaque", &good());
    assert_eq!(gate(&endpoint, |tokens| tokens.require_signed_answers()).refusal("opaque").await, Some(Unavailable));
}

/// Answers with one signed userinfo response, whatever the token.
#[derive(Debug)]
struct SignedUserInfo(String);

impl OpaqueVerifier for SignedUserInfo {
    fn identity(&self) -> &str {
        "userinfo"
    }

    fn ask<'a>(&'a self, _: &'a str, _: Timestamp) -> BoxFuture<'a, Result<OpaqueAnswer, OpaqueError>> {
        Box::pin(std::future::ready(Ok(OpaqueAnswer::SignedUserInfo(self.0.clone()))))
    }
}

#[tokio::test]
async fn signed_userinfo_is_verified_and_is_no_other_kind_of_token() {
    let of = |typ: Option<&str>, more: Value| {
        let mut header = json!({"alg": "HS256"});
        if let Some(typ) = typ {
            header["typ"] = json!(typ);
        }
        let mut claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "ada"});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        sign(&header, &claims)
    };
    for (name, jwt, expected) in [
        ("good", of(None, json!({})), None),
        ("type JWT", of(Some("JWT"), json!({})), None),
        ("for another client", of(None, json!({"aud": "other"})), Some(ErrorKind::WrongAudience)),
        ("of another issuer", of(None, json!({"iss": "https://other.example"})), Some(ErrorKind::Unavailable)),
        ("an access token", of(Some("at+jwt"), json!({})), Some(ErrorKind::Unavailable)),
        ("a logout token", of(Some("logout+jwt"), json!({})), Some(ErrorKind::Unavailable)),
        ("tampered", format!("{}AAAA", of(None, json!({}))), Some(ErrorKind::Unavailable)),
        ("expired", of(None, json!({"exp": NOW - 60})), Some(ErrorKind::Expired)),
    ] {
        let gate = Gate::new_with(issuer().opaque_tokens(OpaqueTokens::verifier(SignedUserInfo(jwt))));
        assert_eq!(gate.refusal("opaque").await, expected, "{name}");
    }
}

/// A shared store that can go down.
#[derive(Clone, Debug, Default)]
struct Shared(Arc<(MemoryAnswers, Mutex<bool>)>);

impl Shared {
    fn down(&self, down: bool) {
        *self.0.1.lock().unwrap() = down;
    }

    fn reach(&self) -> Result<&MemoryAnswers, StoreError> {
        if *self.0.1.lock().unwrap() { Err(StoreError::Unreachable("refused".into())) } else { Ok(&self.0.0) }
    }
}

impl AnswerStore for Shared {
    fn find(&self, key: AnswerKey, now: Timestamp) -> BoxFuture<'_, Result<Option<StoredAnswer>, StoreError>> {
        Box::pin(async move { self.reach()?.find(key, now).await })
    }
    fn keep(&self, key: AnswerKey, answer: StoredAnswer, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.reach()?.keep(key, answer, now).await })
    }
    fn generation(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move { self.reach()?.generation().await })
    }
    fn drop_key(&self, key: AnswerKey) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(async move { self.reach()?.drop_key(key).await })
    }
    fn drop_tagged(&self, tag: AnswerTag) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(async move { self.reach()?.drop_tagged(tag).await })
    }
}

#[tokio::test]
async fn what_one_instance_found_serves_all_and_what_one_evicts_is_gone_for_all() {
    let (endpoint, store) = (Endpoint::new(), Shared::default());
    endpoint.says("opaque", &active(json!({"sid": "s", "client_id": "app"})));
    let (one, two) =
        (gate(&endpoint, |tokens| tokens.store(store.clone())), gate(&endpoint, |tokens| tokens.store(store.clone())));
    for evict in [
        Evict::token("opaque"),
        Evict::subject(ISSUER, "ada"),
        Evict::session(ISSUER, "s"),
        Evict::client(ISSUER, "app"),
    ] {
        endpoint.says("opaque", &active(json!({"sid": "s", "client_id": "app"})));
        let before = endpoint.hits();
        one.verdict("opaque").await.unwrap();
        two.verdict("opaque").await.unwrap();
        assert_eq!(endpoint.hits(), before + 1, "found once");
        endpoint.says("opaque", &json!({"active": false}));
        assert_eq!(one.api.evict(evict.clone()).await.unwrap(), 1, "{evict:?}");
        assert_eq!(two.refusal("opaque").await, Some(ErrorKind::Inactive), "{evict:?}");
        two.api.evict(Evict::token("opaque")).await.unwrap();
    }
}

#[tokio::test]
async fn without_its_store_verification_goes_on_and_says_so() {
    let (endpoint, store) = (Endpoint::new(), Shared::default());
    endpoint.says("opaque", &active(json!({})));
    let gate = gate(&endpoint, |tokens| tokens.store(store.clone()));
    store.down(true);
    for _ in 0..3 {
        assert_eq!(gate.refusal("opaque").await, None);
    }
    assert_eq!(endpoint.hits(), 3);
    let state = gate.api.opaque_health().remove(0).1;
    assert!(state.store_failures >= 3 && state.last_store_error.is_some());
    assert_eq!(gate.api.evict(Evict::token("opaque")).await.unwrap_err().kind(), ErrorKind::Unavailable);
    store.down(false);
    assert_eq!(gate.refusal("opaque").await, None);
    assert_eq!(gate.api.opaque_health().remove(0).1.last_store_error, None);
}

#[tokio::test]
async fn what_is_evicted_while_it_is_asked_about_is_not_kept() {
    let endpoint = Endpoint::new();
    endpoint.says("opaque", &active(json!({})));
    endpoint.0.open.forget_permits(Semaphore::MAX_PERMITS);
    let gate = gate(&endpoint, |tokens| tokens);
    let request = tokio::spawn(gate.api.authenticate(Presented::token("opaque")));
    while endpoint.hits() == 0 {
        tokio::task::yield_now().await;
    }
    gate.api.evict(Evict::token("opaque")).await.unwrap();
    endpoint.0.open.add_permits(10);
    request.await.unwrap().unwrap();
    endpoint.says("opaque", &json!({"active": false}));
    assert_eq!(gate.refusal("opaque").await, Some(ErrorKind::Inactive), "asked anew");
}

#[tokio::test]
async fn what_one_instance_evicts_is_not_brought_back_by_a_question_under_way_on_another() {
    for evict in [
        Evict::token("opaque"),
        Evict::subject(ISSUER, "ada"),
        Evict::session(ISSUER, "s"),
        Evict::client(ISSUER, "app"),
    ] {
        let (endpoint, store) = (Endpoint::new(), Shared::default());
        endpoint.says("opaque", &active(json!({"sid": "s", "client_id": "app"})));
        endpoint.0.open.forget_permits(Semaphore::MAX_PERMITS);
        let instance = || gate(&endpoint, |tokens| tokens.store(store.clone()));
        let (one, two) = (instance(), instance());
        let slow = tokio::spawn(two.api.authenticate(Presented::token("opaque")));
        while endpoint.hits() == 0 {
            tokio::task::yield_now().await;
        }
        one.api.evict(evict.clone()).await.unwrap();
        endpoint.0.open.add_permits(10);
        assert!(slow.await.unwrap().is_ok(), "it came before the eviction");
        endpoint.says("opaque", &json!({"active": false}));
        for gate in [&one, &two] {
            assert_eq!(gate.refusal("opaque").await, Some(ErrorKind::Inactive), "{evict:?}");
        }
    }
}

#[tokio::test]
async fn the_deny_list_is_asked_about_opaque_tokens_too() {
    let endpoint = Endpoint::new();
    endpoint.says("opaque", &active(json!({"jti": "7"})));
    let list = MemoryDenyList::new();
    let gate = Gate::with(issuer().opaque_tokens(introspection(&endpoint)), |builder| builder.deny_list(list.clone()));
    assert_eq!(gate.refusal("opaque").await, None);
    list.insert(Deny::token_id(ISSUER, "7"), Timestamp::MAX).unwrap();
    assert_eq!(gate.refusal("opaque").await, Some(ErrorKind::Inactive));
}

#[test]
fn no_gate_is_built_that_could_not_be_safe() {
    let endpoint = Endpoint::new();
    let build = |first: Issuer, second: Option<Issuer>| {
        let builder = crate::ResourceServer::builder(AUDIENCE).trust(first);
        let builder = second.into_iter().fold(builder, crate::ResourceServerBuilder::trust);
        builder.build().map(drop).unwrap_err().to_string()
    };
    let of = |name: &str, tokens: OpaqueTokens| Issuer::without_keys(name, tokens).unwrap();
    let userinfo = || OpaqueTokens::userinfo("https://issuer.example/userinfo").unwrap();
    let plain = OpaqueTokens::introspection("http://issuer.example/i", "app", ClientAuthentication::None).unwrap();
    for (seen, expected) in [
        (build(of("a", introspection(&endpoint)), Some(of("b", introspection(&endpoint)))), "prefix"),
        (
            build(of("a", introspection(&endpoint).prefix("x_")), Some(of("b", introspection(&endpoint).prefix("x_")))),
            "one issuer's",
        ),
        (build(of("a", introspection(&endpoint).prefix("eyJ")), None), "how a JWT starts"),
        (build(of("a", introspection(&endpoint).prefix("")), None), "not empty"),
        (build(of("a", userinfo()), None), "says nothing about the audience"),
        (build(of("a", introspection(&endpoint).audience(Audience::any_of::<&str>([]))), None), "no audience"),
        (build(of("a", introspection(&endpoint).require_signed_answers()), None), "need the issuer's keys"),
        (build(of("a", introspection(&endpoint).timeout(Duration::ZERO)), None), "no time"),
        (build(of("a", plain), None), "expected https"),
        (OpaqueTokens::userinfo("nowhere").unwrap_err().to_string(), "absolute URL"),
        (
            OpaqueTokens::introspection(ENDPOINT, "", ClientAuthentication::None).unwrap_err().to_string(),
            "the id of the client",
        ),
    ] {
        assert!(seen.contains(expected), "expected {expected:?} in {seen:?}");
    }
}

#[tokio::test]
async fn nothing_prints_a_secret_or_a_token() {
    let endpoint = Endpoint::new();
    endpoint.answers("canary-token", 500, "text/html", "canary-body".into());
    let tokens = introspection(&endpoint);
    let printed = format!("{tokens:?}");
    let gate = Gate::new_with(issuer().opaque_tokens(tokens));
    let error = gate.verdict("canary-token").await.unwrap_err();
    let all = format!("{printed} {error} {error:?} {:?} {:?}", error.answer(), gate.api.opaque_health());
    assert!(!all.contains("canary") && !all.contains("\"secret"), "{all}");
}

#[tokio::test(start_paused = true)]
async fn questions_wait_for_their_turn_so_long_and_so_many_and_answers_at_hand_do_not() {
    let endpoint = Endpoint::new();
    for name in ["known", "first", "second", "third"] {
        endpoint.says(name, &active(json!({})));
    }
    let cache = TokenCacheSettings::default().entries(0);
    let ask = |wait| {
        let tokens = introspection(&endpoint).questions(1).queue_wait(Duration::from_secs(wait));
        Gate::with(issuer().opaque_tokens(tokens), |builder| builder.token_cache(cache))
    };
    let impatient = ask(0);
    assert_eq!(impatient.refusal("known").await, None);
    let held = endpoint.0.open.forget_permits(usize::MAX);
    let first = tokio::spawn(impatient.api.authenticate(Presented::token("first")));
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    assert_eq!(impatient.refusal("second").await, Some(ErrorKind::Unavailable), "no turn, and no wait");
    assert_eq!(impatient.refusal("known").await, None, "an answer at hand needs no turn");

    endpoint.0.open.add_permits(1);
    assert!(first.await.unwrap().is_ok());
    let patient = ask(2);
    let waiting = ["first", "second"].map(|name| tokio::spawn(patient.api.authenticate(Presented::token(name))));
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    assert_eq!(
        patient.refusal("third").await,
        Some(ErrorKind::Unavailable),
        "one is asked and one waits: no room for more"
    );
    endpoint.0.open.add_permits(2);
    for outcome in waiting {
        assert!(outcome.await.unwrap().is_ok());
    }
    endpoint.0.open.add_permits(held.min(100));
}
