//! Tokens that an endpoint vouches for: held to the same rules as a JWT, asked about once, and our trouble when nobody answers.

mod shared;
mod shown;
mod signed;

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
