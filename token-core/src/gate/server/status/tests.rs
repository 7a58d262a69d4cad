//! Tokens with a status, and the lists that say it: good ones, bad ones, late ones and none.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use http::Response;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::super::tests::{AUDIENCE, Gate, ISSUER, NOW, issuer, sign, token};
use super::*;
use crate::base::http::{BoxFuture, HttpClient, HttpError};
use crate::gate::logout::LogoutVerifier;
use crate::gate::security_events::SecurityEventVerifier;
use crate::jose::base64url;
use crate::opaque::status_lists::StatusLists;
use crate::request::presented::Presented;
use crate::trust::issuer::Issuer;

const LIST: &str = "https://issuer.example/lists/1";

/// What lies where, and who asked for it.
#[derive(Clone, Debug, Default)]
struct Web(Arc<Mutex<Shelf>>, Arc<Mutex<Vec<String>>>, Option<Arc<Semaphore>>);

type Shelf = HashMap<String, (u16, Vec<(&'static str, String)>, String)>;

impl Web {
    fn holds(&self, uri: &str, body: String) {
        self.answers(uri, 200, &[], body);
    }

    fn answers(&self, uri: &str, status: u16, headers: &[(&'static str, String)], body: String) {
        self.0.lock().unwrap().insert(uri.to_owned(), (status, headers.to_vec(), body));
    }

    fn hits(&self) -> usize {
        self.1.lock().unwrap().len()
    }
}

impl HttpClient for Web {
    fn send(&self, request: Request<Bytes>, limits: Limits) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        Box::pin(async move {
            assert_eq!((request.method().as_str(), limits.max_body), ("GET", LARGEST_TOKEN));
            assert_eq!(request.headers()[ACCEPT], "application/statuslist+jwt");
            self.1.lock().unwrap().push(request.uri().to_string());
            if let Some(open) = &self.2 {
                open.acquire().await.unwrap().forget();
            }
            let shelf = self.0.lock().unwrap();
            let Some((status, headers, body)) = shelf.get(&request.uri().to_string()) else {
                return Err(HttpError::Connect("refused".into()));
            };
            let mut response = Response::builder().status(*status);
            for (name, value) in headers {
                response = response.header(*name, value);
            }
            Ok(response.body(Bytes::from(body.clone())).unwrap())
        })
    }
}

/// The claims of a list with two bits a token: at 0 valid, at 1 invalid, at 2 suspended, at 3 an application's own.
fn claims(more: Value) -> Value {
    let packed = miniz_oxide::deflate::compress_to_vec_zlib(&[0b1110_0100], 9);
    let mut claims = json!({
        "iss": ISSUER, "sub": LIST, "iat": NOW, "ttl": 60,
        "status_list": {"bits": 2, "lst": base64url::encode(&packed)},
    });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
    }
    claims
}

fn list(more: Value) -> String {
    sign(&json!({"alg": "HS256", "typ": "statuslist+jwt"}), &claims(more))
}

fn pointing(index: u64, uri: &str) -> String {
    token(json!({"status": {"status_list": {"idx": index, "uri": uri}}}))
}

fn gate(web: &Web, lists: StatusLists) -> Gate {
    Gate::with(with(web, lists), |builder| builder)
}

fn with(web: &Web, lists: StatusLists) -> Issuer {
    issuer().http_client(Arc::new(web.clone())).status_lists(lists)
}

impl Gate {
    async fn says(&self, token: &str) -> Result<(), Error> {
        self.api.authenticate(Presented::token(token)).await.map(drop)
    }

    async fn refuses(&self, token: &str) -> Option<ErrorKind> {
        self.says(token).await.err().map(|error| error.kind())
    }

    fn it_is(&self, seconds: i64) {
        self.clock.0.store(NOW + seconds, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_token_is_let_in_where_its_list_says_valid_and_nowhere_else() {
    let web = Web::default();
    web.holds(LIST, list(json!({})));
    let gate = gate(&web, StatusLists::new());
    for temperature in ["cold", "warm"] {
        for (index, expected) in [
            (0, None),
            (1, Some(ErrorKind::Inactive)),
            (2, Some(ErrorKind::Inactive)),
            (3, Some(ErrorKind::Inactive)),
            (4, Some(ErrorKind::ClaimsMismatch)),
            (u64::MAX, Some(ErrorKind::ClaimsMismatch)),
        ] {
            assert_eq!(gate.refuses(&pointing(index, LIST)).await, expected, "{temperature} {index}");
        }
    }
    assert_eq!(web.hits(), 1, "one list, fetched once");
    assert_eq!(gate.refuses(&token(json!({}))).await, None, "a token without a status needs none");
    assert!(
        gate.api.authenticate(Presented::token(&pointing(0, LIST))).now().is_ok(),
        "a list at hand needs no waiting"
    );
}

#[tokio::test]
async fn without_the_switch_a_status_is_not_looked_at() {
    let web = Web::default();
    let gate = Gate::with(issuer().http_client(Arc::new(web.clone())), |builder| builder);
    assert_eq!((gate.refuses(&pointing(1, LIST)).await, web.hits()), (None, 0));
}

#[tokio::test]
async fn with_it_a_status_of_another_kind_is_refused_and_one_may_be_required() {
    let web = Web::default();
    for (lists, claims, expected) in [
        (StatusLists::new(), json!({}), None),
        (StatusLists::new().required(), json!({}), Some(ErrorKind::ClaimsMismatch)),
        (StatusLists::new(), json!({"status": {}}), Some(ErrorKind::ClaimsMismatch)),
        (StatusLists::new(), json!({"status": null}), Some(ErrorKind::ClaimsMismatch)),
        (StatusLists::new(), json!({"status": {"other": {"id": 1}}}), Some(ErrorKind::ClaimsMismatch)),
        (
            StatusLists::new(),
            json!({"status": {"status_list": {"idx": -1, "uri": LIST}}}),
            Some(ErrorKind::ClaimsMismatch),
        ),
    ] {
        assert_eq!(gate(&web, lists).refuses(&token(claims.clone())).await, expected, "{claims}");
    }
    assert_eq!(web.hits(), 0);
}

#[tokio::test]
async fn each_rule_of_a_status_list_token_makes_it_as_good_as_none() {
    let header = |typ: &str| json!({"alg": "HS256", "typ": typ});
    let mut forged = list(json!({}));
    forged.replace_range(forged.len() - 4.., "AAAA");
    for (what, body) in [
        ("forged", forged),
        ("no token at all", "nothing".to_owned()),
        ("empty", String::new()),
        ("another algorithm", sign(&json!({"alg": "HS512", "typ": "statuslist+jwt"}), &claims(json!({})))),
        ("an access token", sign(&header("at+jwt"), &claims(json!({"aud": AUDIENCE, "exp": NOW + 60})))),
        ("no type", sign(&json!({"alg": "HS256"}), &claims(json!({})))),
        ("JWT", sign(&header("JWT"), &claims(json!({})))),
        ("an event", sign(&header("secevent+jwt"), &claims(json!({})))),
        ("CWT", sign(&header("statuslist+cwt"), &claims(json!({})))),
        ("of another list", list(json!({"sub": "https://issuer.example/lists/2"}))),
        ("of no list", list(json!({"sub": null}))),
        ("without iat", list(json!({"iat": null}))),
        ("of tomorrow", list(json!({"iat": NOW + 3600}))),
        ("expired", list(json!({"exp": NOW}))),
        ("no list in it", list(json!({"status_list": null}))),
        ("three bits", list(json!({"status_list": {"bits": 3, "lst": "eNrbuRgAAhcBXQ"}}))),
        ("not compressed", list(json!({"status_list": {"bits": 1, "lst": "AAAA"}}))),
        ("a ttl of nothing", list(json!({"ttl": 0}))),
    ] {
        let web = Web::default();
        web.holds(LIST, body);
        let gate = gate(&web, StatusLists::new());
        let error = gate.says(&pointing(0, LIST)).await.unwrap_err();
        assert_eq!((error.kind(), error.kind().status()), (ErrorKind::Unavailable, 503), "{what}");
        assert!(error.retry_after().is_some(), "{what}");
    }
    let web = Web::default();
    web.holds(LIST, list(json!({"iss": "https://other.example"})));
    let other = gate(&web, StatusLists::new()).refuses(&pointing(0, LIST)).await;
    assert_eq!(other, Some(ErrorKind::ClaimsMismatch), "another issuer's list says nothing of this token");
    web.holds(LIST, list(json!({"iss": null})));
    assert_eq!(gate(&web, StatusLists::new()).refuses(&pointing(0, LIST)).await, None, "iss need not be there");
}

#[tokio::test]
async fn a_status_list_token_opens_no_door() {
    let web = Web::default();
    web.holds(LIST, list(json!({})));
    let more = json!({"aud": AUDIENCE, "exp": NOW + 60, "sub": "ada", "jti": "1", "client_id": "c", "sid": "s"});
    let gate = gate(&web, StatusLists::new());
    let wrong = Some(ErrorKind::WrongType);
    assert_eq!(gate.refuses(&list(more.clone())).await, wrong);
    let clock = gate.clock.clone();
    let logout = LogoutVerifier::with_clock(AUDIENCE, with(&web, StatusLists::new()), clock.clone()).unwrap();
    assert_eq!(logout.verify(&list(more.clone())).await.err().map(|error| error.kind()), wrong);
    let events = SecurityEventVerifier::with_clock(AUDIENCE, with(&web, StatusLists::new()), clock).unwrap();
    assert_eq!(events.verify(&list(more)).await.err().map(|error| error.kind()), wrong);
}

#[tokio::test]
async fn a_list_lies_at_the_issuers_origin_or_where_the_operator_says() {
    let elsewhere = "https://status.example/lists/1";
    for (at, uri, asked) in [
        (None, LIST, true),
        (None, "https://issuer.example/", true),
        (None, elsewhere, false),
        (None, "https://issuer.example:8443/lists/1", false),
        (None, "https://issuer.example.evil.example/lists/1", false),
        (None, "https://user@issuer.example/lists/1", false),
        (None, "http://issuer.example/lists/1", false),
        (None, "https://issuer.example/lists/1#there", false),
        (None, "file:///etc/passwd", false),
        (None, "lists/1", false),
        (None, "", false),
        (Some("https://status.example/lists/"), elsewhere, true),
        (Some("https://status.example/lists/1"), elsewhere, true),
        (Some("https://status.example/lists/1"), "https://status.example/lists/10", false),
        (Some("https://status.example/lists/"), "https://status.example/lists/../private", false),
        (Some("https://status.example/lists/"), "https://status.example/lists/%2e%2e/private", false),
        (Some("https://status.example/lists/"), "https://status.example/other", false),
    ] {
        let web = Web::default();
        web.holds(uri, list(json!({"sub": uri})));
        let lists = at.map_or_else(StatusLists::new, |at| StatusLists::new().at(at));
        let refused = gate(&web, lists).refuses(&pointing(0, uri)).await;
        assert_eq!(
            (refused, web.hits()),
            if asked { (None, 1) } else { (Some(ErrorKind::ClaimsMismatch), 0) },
            "{at:?} {uri}"
        );
    }
}

#[tokio::test]
async fn a_revoked_token_passes_no_longer_than_its_list_is_kept() {
    let web = Web::default();
    let valid = json!({"status_list": {"bits": 8, "lst": base64url::encode(&miniz_oxide::deflate::compress_to_vec_zlib(&[0], 9))}});
    let max_age = ("cache-control", "max-age=40".to_owned());
    for (more, headers, fresh) in [
        (json!({"ttl": 60}), vec![], 60),
        (json!({"ttl": 60, "exp": NOW + 30}), vec![], 30),
        (json!({"ttl": null}), vec![], 300),
        (json!({"ttl": null}), vec![max_age.clone()], 40),
        (json!({"ttl": 20}), vec![max_age], 20),
        (json!({"ttl": 1e300, "exp": null}), vec![], 24 * 3600),
    ] {
        let mut claims = valid.clone();
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let gate = gate(&web, StatusLists::new());
        // One that outlives the day.
        let token = token(json!({"exp": NOW + 48 * 3600, "status": {"status_list": {"idx": 0, "uri": LIST}}}));
        web.answers(LIST, 200, &headers, list(claims));
        assert_eq!(gate.refuses(&token).await, None);
        web.answers(LIST, 500, &[], String::new());
        gate.it_is(fresh - 1);
        assert_eq!(gate.refuses(&token).await, None, "{more}");
        gate.it_is(fresh + 120);
        assert_eq!(gate.refuses(&token).await, Some(ErrorKind::Unavailable), "{more}");
        gate.it_is(-fresh);
        assert_eq!(gate.refuses(&token).await, Some(ErrorKind::Unavailable), "a clock set back makes nothing fresh");
    }
}

#[tokio::test]
async fn a_list_is_fetched_ahead_of_its_end_by_nobody_who_waits_for_it() {
    let mut web = Web::default();
    let open = Arc::new(Semaphore::new(1));
    web.2 = Some(Arc::clone(&open));
    web.holds(LIST, list(json!({})));
    let gate = gate(&web, StatusLists::new());
    let token = pointing(1, LIST);
    assert_eq!(gate.refuses(&token).await, Some(ErrorKind::Inactive));
    gate.it_is(40);
    assert!(gate.api.authenticate(Presented::token(&token)).now().is_ok());
    tokio::task::yield_now().await;
    assert_eq!(web.hits(), 1, "not yet");
    gate.it_is(55);
    web.holds(LIST, list(json!({"iat": NOW + 55, "status_list": {"bits": 1, "lst": "eNrbuRgAAhcBXQ"}})));
    for _ in 0..100 {
        assert!(
            gate.api.authenticate(Presented::token(&token)).now().is_ok(),
            "while it is fetched the old one serves"
        );
        tokio::task::yield_now().await;
    }
    assert_eq!(web.hits(), 2, "one fetch for all");
    open.add_permits(1);
    while gate.refuses(&token).await.is_some() {
        tokio::task::yield_now().await;
    }
    gate.it_is(100);
    assert_eq!(gate.refuses(&token).await, None, "the new one is in force, and for its own time");
}

#[tokio::test]
async fn an_older_list_does_not_take_the_place_of_a_newer_one() {
    let web = Web::default();
    web.holds(LIST, list(json!({})));
    let gate = gate(&web, StatusLists::new());
    let token = pointing(0, LIST);
    assert_eq!(gate.refuses(&token).await, None);
    // Whoever can replay what was served once could make a revoked token good again.
    web.holds(LIST, list(json!({"iat": NOW - 1})));
    gate.it_is(61);
    assert_eq!(gate.refuses(&token).await, Some(ErrorKind::Unavailable));
}

#[tokio::test]
async fn a_list_that_cannot_be_had_is_asked_for_less_and_less_and_found_again() {
    let web = Web::default();
    web.answers(LIST, 503, &[("retry-after", "30".to_owned())], String::new());
    let gate = gate(&web, StatusLists::new());
    let token = pointing(0, LIST);
    for _ in 0..10 {
        let error = gate.says(&token).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
    }
    assert_eq!(web.hits(), 1);
    web.answers(LIST, 404, &[], String::new());
    for (seconds, hits) in [(29, 1), (30, 2), (31, 2), (32, 3), (35, 3), (36, 4)] {
        gate.it_is(seconds);
        assert_eq!((gate.refuses(&token).await, web.hits()), (Some(ErrorKind::Unavailable), hits), "{seconds}");
    }
    web.holds(LIST, list(json!({})));
    gate.it_is(44);
    assert_eq!(gate.refuses(&token).await, None);
}

#[tokio::test]
async fn a_hundred_who_need_a_list_are_one_fetch_even_if_the_first_leaves() {
    let mut web = Web::default();
    let open = Arc::new(Semaphore::new(0));
    web.2 = Some(Arc::clone(&open));
    web.holds(LIST, list(json!({})));
    let gate = gate(&web, StatusLists::new());
    let token = pointing(0, LIST);
    drop(gate.api.authenticate(Presented::token(&token)));
    let waiting: Vec<_> = (0..100).map(|_| gate.api.authenticate(Presented::token(&token))).collect();
    open.add_permits(1);
    for answer in waiting {
        assert!(answer.await.is_ok());
    }
    assert_eq!(web.hits(), 1);
}

#[tokio::test]
async fn a_body_that_is_compressed_or_a_redirect_is_none() {
    for (status, headers) in [
        (200, vec![("content-encoding", "gzip".to_owned())]),
        (302, vec![("location", LIST.to_owned())]),
        (204, vec![]),
    ] {
        let web = Web::default();
        web.answers(LIST, status, &headers, list(json!({})));
        assert_eq!(gate(&web, StatusLists::new()).refuses(&pointing(0, LIST)).await, Some(ErrorKind::Unavailable));
        assert_eq!(web.hits(), 1);
    }
}

#[test]
fn an_issuer_without_keys_or_place_has_no_lists() {
    use crate::gate::server::ResourceServer;
    use crate::trust::static_keys::StaticKeys;
    let keys = || StaticKeys::secret(crate::jose::Algorithm::HS256, super::super::tests::SECRET).unwrap();
    let template = Issuer::template_with_keys("https://login.example/{tenantid}/", keys()).unwrap();
    let build = |issuer: Issuer| ResourceServer::builder(AUDIENCE).trust(issuer).build();
    let error = build(template.clone().status_lists(StatusLists::new())).unwrap_err().to_string();
    assert!(error.contains("name their place"), "{error}");
    let told = StatusLists::new().at("https://status.example/");
    assert!(build(template.status_lists(told)).is_ok());
}
