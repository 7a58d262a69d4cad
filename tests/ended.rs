//! Tokens that end before their time, in every framework: by the issuer's status lists, and by security events that are pushed over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use serde_json::json;
use token_core::http::BoxFuture;
use token_core::policy::Policy;
use token_core::revocation::StatusLists;
use token_core::revocation::{Deny, DenyList, DenyLookup, LogoutEndpoint, LogoutVerifier, Marks, MemoryDenyList};
use token_core::security_events::{SecurityEventEndpoint, SecurityEventVerifier};
use token_core::stores::StoreError;
use token_core::{ErrorKind, Issuer, Presented, ResourceServer, Timestamp};
use token_test::{Endpoint, TestIssuer, TestStatusList};
use token_tests::{Ask, Via, ask};

use crate::cases::{CANARY, Case, case, check};

fn table(issuer: &TestIssuer, list: &TestStatusList) -> Vec<Case> {
    use ErrorKind::*;
    let token = || issuer.token().subject("ada").claim("note", CANARY);
    let me = |token: &str| Ask::of("/me").bearer(token);
    let pointing = |uri: &str| token().claim("status", json!({"status_list": {"idx": 0, "uri": uri}})).mint();
    let place = |idx: serde_json::Value| {
        token().claim("status", json!({"status_list": {"idx": idx, "uri": list.uri()}})).mint()
    };
    let missing = format!("{}9", list.uri());
    vec![
        case("status: valid", me(&token().status(list, 0).mint()), Ok("ada")),
        case("status: invalid", me(&token().status(list, 1).mint()), Err(Inactive)),
        case("status: suspended", me(&token().status(list, 2).mint()), Err(Inactive)),
        case("status: an application's own", me(&token().status(list, 3).mint()), Err(Inactive)),
        case("status: beyond the end", me(&token().status(list, 1_000_000).mint()), Err(ClaimsMismatch)),
        case("status: none where one is required", me(&token().mint()), Err(ClaimsMismatch)),
        case("status: null", me(&token().claim("status", json!(null)).mint()), Err(ClaimsMismatch)),
        case("status: of another kind", me(&token().claim("status", json!({"other": 1})).mint()), Err(ClaimsMismatch)),
        case("status: before the start", me(&place(json!(-1))), Err(ClaimsMismatch)),
        case("status: a place that is a text", me(&place(json!("0"))), Err(ClaimsMismatch)),
        case("status: elsewhere", me(&pointing("https://elsewhere.example/lists/1")), Err(ClaimsMismatch)),
        case("status: inside the network", me(&pointing("http://169.254.169.254/latest/")), Err(ClaimsMismatch)),
        case("status: a file", me(&pointing("file:///etc/passwd")), Err(ClaimsMismatch)),
        case("status: of no list", me(&pointing(&missing)), Err(Unavailable)),
        case("status: of what is no list", me(&pointing(&issuer.jwks_uri())), Err(Unavailable)),
        case("status: expired and valid", me(&token().expired().status(list, 0).mint()), Err(Expired)),
        case("a status list token", me(&list.token().mint()), Err(WrongType)),
        case(
            "a status list token with all that an access token has",
            me(&token().header("typ", "statuslist+jwt").status(list, 0).mint()),
            Err(WrongType),
        ),
    ]
}

#[actix_web::test]
async fn a_status_list_is_heeded_in_every_framework_from_code_and_from_a_policy() {
    let issuer = TestIssuer::start().await;
    let list = issuer.status_list();
    for status in 0..4 {
        list.set(usize::from(status), status);
    }
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let lists = StatusLists::new().required();
    let from_code = ResourceServer::builder(issuer.audience()).trust(trusted.status_lists(lists)).realm("tests");
    let policy = json!({"audience": issuer.audience(), "realm": "tests", "issuers": [
        {"issuer": issuer.url(), "allow_loopback_http": true, "status_lists": {"required": true}},
    ]});
    let from_policy = Policy::from_json(&policy.to_string()).unwrap().server().unwrap();
    for api in [from_code.build().unwrap(), from_policy] {
        api.ready().await.unwrap();
        issuer.forget_hits();
        for _ in ["cold", "warm"] {
            for case in table(&issuer, &list) {
                for via in Via::ALL {
                    let reply = ask(via, &api, case.anonymous, &case.ask).await;
                    match case.expect {
                        // Our trouble has no challenge, and says when to come back.
                        Err(ErrorKind::Unavailable) => {
                            let said = (reply.status, &reply.challenge, reply.retry_after.is_some());
                            assert_eq!(said, (503, &None, true), "{} {via:?}", case.name);
                        }
                        _ => check(&case, via, &reply),
                    }
                }
            }
        }
        // The list, and once each what is none of ours.
        assert!((2..=4).contains(&issuer.hits(Endpoint::StatusList)), "{}", issuer.hits(Endpoint::StatusList));
    }
}

#[tokio::test]
async fn a_token_that_was_revoked_ends_when_its_list_does_and_comes_back_when_it_was_suspended() {
    let clock = token_test::ManualClock::new(Timestamp::from_secs(1_800_000_000));
    let issuer = TestIssuer::builder().clock(clock.clone()).start().await;
    let list = issuer.status_list();
    list.ttl(Some(Duration::from_secs(60)));
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http().status_lists(StatusLists::new());
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).clock(clock.clone()).build().unwrap();
    let token = issuer.token().status(&list, 5).mint();
    let verdict = async || api.authenticate(Presented::token(&token)).await.err().map(|error| error.kind());
    let mut seen = vec![verdict().await];
    for (status, broken) in [
        (TestStatusList::SUSPENDED, false),
        (TestStatusList::VALID, true),
        (TestStatusList::VALID, false),
        (TestStatusList::INVALID, false),
    ] {
        list.set(5, status);
        if broken {
            list.serve("junk")
        } else {
            list.heal()
        }
        clock.advance(Duration::from_secs(100));
        seen.push(verdict().await);
    }
    use ErrorKind::{Inactive, Unavailable};
    assert_eq!(seen, [None, Some(Inactive), Some(Unavailable), None, Some(Inactive)]);
}

/// A deny-list that can be out of reach.
#[derive(Clone, Debug)]
struct Flaky(MemoryDenyList, Arc<AtomicBool>);

impl DenyList for Flaky {
    fn look_up(&self, token: &Marks<'_>, now: Timestamp) -> DenyLookup {
        self.0.look_up(token, now)
    }
    fn deny(&self, what: Deny, until: Timestamp) -> BoxFuture<'static, Result<(), StoreError>> {
        match self.1.load(Ordering::Relaxed) {
            true => Box::pin(async { Err(StoreError::Unreachable("on purpose".to_owned())) }),
            false => self.0.deny(what, until),
        }
    }
}

const REVOKED: &str = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// A receiver with both its doors, in axum and in actix-web, on ports of their own.
async fn receivers(events: SecurityEventEndpoint, logout: LogoutEndpoint) -> [String; 2] {
    let app = Router::new()
        .route("/events", post(axum_token::security_events(events.clone())))
        .route("/logout", post(axum_token::logout(logout.clone())));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let axum = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let server = actix_web::HttpServer::new(move || {
        actix_web::App::new()
            .route("/events", actix_web::web::post().to(actix_token::security_events(events.clone())))
            .route("/logout", actix_web::web::post().to(actix_token::logout(logout.clone())))
    });
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let actix = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    [format!("http://{axum}"), format!("http://{actix}")]
}

#[actix_web::test]
async fn a_pushed_event_gets_the_same_answer_over_http_in_both_frameworks_and_ends_the_session() {
    let issuer = TestIssuer::start().await;
    let trusted = || Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let list = Flaky(MemoryDenyList::new(), Arc::default());
    let api = ResourceServer::builder(issuer.audience()).trust(trusted()).deny_list(list.clone()).build().unwrap();
    let verifier = SecurityEventVerifier::new("https://api.example.com/events", trusted()).unwrap();
    let events = SecurityEventEndpoint::new(verifier, api.clone()).authorization("Bearer agreed");
    let logout = LogoutEndpoint::new(LogoutVerifier::new("test-client", trusted()).unwrap(), api.clone());
    let both = receivers(events, logout).await;
    let http = reqwest::Client::new();
    let event = |session: &str| {
        let sub_id = json!({"format": "opaque", "id": session});
        issuer
            .token()
            .header("typ", "secevent+jwt")
            .audience("https://api.example.com/events")
            .claim("sub_id", sub_id)
            .claim("events", json!({REVOKED: {}}))
    };
    let set = "application/secevent+jwt";
    let json = Some("application/json");
    let good = |at: &str| event(at).mint();
    let mut answers = Vec::new();
    for (at, receiver) in both.iter().enumerate() {
        let session = format!("s{at}");
        let token = issuer.token().claim("sid", session.as_str()).mint();
        let admitted = async || api.authenticate(Presented::token(&token)).await.is_ok();
        assert!(admitted().await);
        for (name, content_type, authorization, body, down, status, error) in [
            ("the list is down", set, "Bearer agreed", good(&session), true, 503, ""),
            ("good", set, "Bearer agreed", good(&session), false, 202, ""),
            ("again", set, "Bearer agreed", good(&session), false, 202, ""),
            ("not agreed", set, "Bearer other", good("x"), false, 400, "authentication_failed"),
            ("of another type", "application/jwt", "Bearer agreed", good("x"), false, 400, "invalid_request"),
            ("junk", set, "Bearer agreed", "junk".to_owned(), false, 400, "invalid_request"),
            ("nothing", set, "Bearer agreed", String::new(), false, 400, "invalid_request"),
            ("forged", set, "Bearer agreed", event("x").forged().mint(), false, 400, "invalid_key"),
            ("an access token", set, "Bearer agreed", token.clone(), false, 400, "invalid_request"),
            ("for another", set, "Bearer agreed", event("x").audience("y").mint(), false, 400, "invalid_audience"),
            (
                "of another",
                set,
                "Bearer agreed",
                event("x").issuer("https://y.example").mint(),
                false,
                400,
                "invalid_issuer",
            ),
            ("too large", set, "Bearer agreed", "a".repeat(100_000), false, 400, "invalid_request"),
        ] {
            list.1.store(down, Ordering::Relaxed);
            let request = http.post(format!("{receiver}/events")).header("content-type", content_type);
            let answer = request.header("authorization", authorization).body(body).send().await.unwrap();
            let field = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(answer.status(), status, "{receiver} {name}");
            assert_eq!(field("cache-control").as_deref(), Some("no-store"), "{receiver} {name}");
            assert_eq!(field("retry-after").is_some(), status == 503, "{receiver} {name}");
            assert_eq!(field("content-type").as_deref(), json.filter(|_| !error.is_empty()), "{receiver} {name}");
            assert_eq!(field("content-language").as_deref(), Some("en").filter(|_| !error.is_empty()), "{name}");
            let fields = (field("retry-after"), field("content-type"));
            let body = answer.text().await.unwrap();
            let said = serde_json::from_str::<serde_json::Value>(&body).ok().map(|body| body["err"].clone());
            assert_eq!(said, Some(json!(error)).filter(|_| !error.is_empty()), "{receiver} {name}");
            answers.push((at, name, status, fields, body));
            if name == "the list is down" {
                assert!(admitted().await, "{receiver}: nothing was done, and it comes again");
            }
        }
        assert!(!admitted().await, "{receiver}: the session is over");
        list.1.store(true, Ordering::Relaxed);
        let logout = issuer.id_token().claim("events", json!({LOGOUT: {}})).claim("jti", session.as_str());
        let form = [("logout_token", logout.claim("sid", "another").mint())];
        let answer = http.post(format!("{receiver}/logout")).form(&form).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &"1".parse().unwrap()));
        list.1.store(false, Ordering::Relaxed);
        let answer = http.post(format!("{receiver}/logout")).form(&form).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers().get("retry-after")), (204, None));
    }
    let (axum, actix) = answers.split_at(answers.len() / 2);
    for (one, other) in axum.iter().zip(actix) {
        assert_eq!((one.1, one.2, &one.3, &one.4), (other.1, other.2, &other.3, &other.4));
    }
}
