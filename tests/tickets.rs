//! Tickets: bought with a token, good once, for one place; the caller that they bring is the token's own, in tower, axum and actix-web.

use std::time::Duration;

use actix_token::TokenMiddleware;
use actix_web::{App, test, web};
use axum::Router;
use axum::body::Body;
use axum::routing::post;
use http::Request;
use serde_json::{Value, json};
use token_core::policy::Policy;
use token_core::possession::{Dpop, DpopPolicy};
use token_core::reload::{Reload, Reloaded};
use token_core::revocation::{Deny, MemoryDenyList};
use token_core::streams::Tickets;
use token_core::{Algorithm, ErrorKind, Issuer, Presented, ResourceServer, ResourceServerBuilder};
use token_test::{ManualClock, TestIssuer, TestKey};
use token_tests::{Ask, Reply, Via, ask};
use tower::ServiceExt;
use tower_token::{TokenLayer, View};

const APP: &str = "https://app.example.com";
/// What an `EventSource` accepts.
const EVENTS: &str = "text/event-stream";

fn builder(issuer: &TestIssuer) -> ResourceServerBuilder {
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    ResourceServer::builder(issuer.audience()).trust(trusted)
}

async fn server(issuer: &TestIssuer) -> ResourceServer {
    let server = builder(issuer).tickets(Tickets::in_memory()).build().unwrap();
    server.ready().await.unwrap();
    server
}

/// A request for a ticket, as a page of the application sends it.
fn purchase(token: &str, origin: Option<&str>) -> Request<()> {
    let mut request = Request::post("/tickets").header("authorization", format!("Bearer {token}"));
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    request.body(()).unwrap()
}

async fn buy(server: &ResourceServer, token: &str, path: &str) -> String {
    let request = purchase(token, Some(APP));
    let sold = server.sell_ticket(Presented::request(&View::from(&request)), path).await;
    sold.unwrap().as_str().to_owned()
}

async fn redeem(via: Via, server: &ResourceServer, target: String, origin: Option<&str>) -> Reply {
    let mut request = Ask::of(target).header("accept", EVENTS);
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    ask(via, server, false, &request).await
}

#[actix_web::test]
async fn a_ticket_brings_the_caller_it_was_sold_to_once_to_one_place_in_every_framework() {
    let issuer = TestIssuer::start().await;
    let server = server(&issuer).await;
    let token = issuer.token().subject("ada").scope("read:users").mint();
    for via in Via::ALL {
        let ticket = buy(&server, &token, "/me").await;
        let target = || format!("/me?page=2&ticket={ticket}");
        let reply = redeem(via, &server, target(), Some(APP)).await;
        assert_eq!((reply.status, &*reply.body), (200, "ada"), "{via:?}");
        let again = redeem(via, &server, target(), Some(APP)).await;
        assert_eq!(again.status, 401, "{via:?}");
        assert!(again.body.contains(ErrorKind::InvalidTicket.public_text()), "{via:?} {again:?}");
        // Its scopes are the token's.
        let ticket = buy(&server, &token, "/users").await;
        assert_eq!(redeem(via, &server, format!("/users?ticket={ticket}"), Some(APP)).await.status, 200, "{via:?}");
        let poor = buy(&server, &issuer.token().mint(), "/users").await;
        assert_eq!(redeem(via, &server, format!("/users?ticket={poor}"), Some(APP)).await.status, 403, "{via:?}");

        for (name, path, target, origin) in [
            ("for another path", "/users", "/me", Some(APP)),
            ("for another page", "/me", "/me", Some("https://evil.example")),
            ("for no page at all", "/me", "/me", None),
        ] {
            let ticket = buy(&server, &token, path).await;
            let reply = redeem(via, &server, format!("{target}?ticket={ticket}"), origin).await;
            assert_eq!(reply.status, 401, "{name} {via:?}");
            // And it is used up.
            let reply = redeem(via, &server, format!("{path}?ticket={ticket}"), Some(APP)).await;
            assert_eq!(reply.status, 401, "{name} {via:?}");
        }
        for (name, target) in [
            ("made up", format!("/me?ticket={}", "A".repeat(43))),
            ("empty", "/me?ticket=".to_owned()),
            ("the token in its place", format!("/me?ticket={token}")),
        ] {
            let reply = redeem(via, &server, target, Some(APP)).await;
            assert!(reply.status == 401 && !format!("{reply:?}").contains(&token), "{name} {via:?}");
        }
        let ticket = buy(&server, &token, "/me").await;
        let twice = redeem(via, &server, format!("/me?ticket={ticket}&ticket={ticket}"), Some(APP)).await;
        assert_eq!(twice.status, 400, "{via:?}");
        let beside =
            Ask::of(format!("/me?ticket={ticket}")).header("accept", EVENTS).header("origin", APP).bearer(&token);
        assert_eq!(ask(via, &server, false, &beside).await.status, 400, "{via:?}");
    }
}

#[actix_web::test]
async fn the_parameter_is_one_of_the_application_s_where_no_stream_is_opened() {
    let issuer = TestIssuer::start().await;
    let server = server(&issuer).await;
    let token = issuer.token().subject("ada").mint();
    for via in Via::ALL {
        let concert = Ask::of("/me?ticket=row-7&ticket=row-8").bearer(&token);
        assert_eq!(ask(via, &server, false, &concert).await.status, 200, "{via:?}");
        let ticket = buy(&server, &token, "/me").await;
        let target = || format!("/me?ticket={ticket}");
        // A link, a script, a picture: nobody gets in, and the ticket is still good.
        for (field, value) in [("accept", "text/html"), ("accept", "*/*"), ("upgrade", "h2c")] {
            let reply = ask(via, &server, false, &Ask::of(target()).header(field, value).header("origin", APP)).await;
            assert_eq!(reply.status, 401, "{via:?} {field}");
            assert!(reply.body.contains(ErrorKind::MissingToken.public_text()), "{via:?} {reply:?}");
        }
        let public = ask(via, &server, true, &Ask::of(format!("/maybe?ticket={ticket}"))).await;
        assert_eq!(
            (public.status, &*public.body),
            (200, "nobody"),
            "{via:?}: an anonymous request, where those may pass"
        );
        let socket = Ask::of(target()).header("sec-websocket-version", "13").header("origin", APP);
        assert_eq!(ask(via, &server, false, &socket).await.body, "ada", "{via:?}");
    }
    // The operator reads why.
    let request = Request::get("/me?ticket=x").body(()).unwrap();
    let refused = server.authenticate(Presented::request(&View::from(&request))).await.unwrap_err();
    assert!(refused.detail().contains("Accept: text/event-stream"), "{refused}");
}

#[actix_web::test]
async fn a_page_that_sends_no_origin_redeems_at_the_host_it_has_bought_at() {
    let issuer = TestIssuer::start().await;
    let server = server(&issuer).await;
    let token = issuer.token().subject("ada").mint();
    let own = "https://app.example.com";
    for via in Via::ALL {
        for (host, status) in [("app.example.com", 200), ("App.example.com", 200), ("other.example.com", 401)] {
            let bought = Request::post("/tickets")
                .header("authorization", format!("Bearer {token}"))
                .header("host", "app.example.com")
                .header("origin", own)
                .header("sec-fetch-site", "same-origin")
                .body(())
                .unwrap();
            let ticket = server.sell_ticket(Presented::request(&View::from(&bought)), "/me").await.unwrap();
            let target = format!("/me?ticket={}", ticket.as_str());
            let opened = Ask::of(target).header("accept", EVENTS).header("host", host);
            let reply = ask(via, &server, false, &opened.header("sec-fetch-site", "same-origin")).await;
            assert_eq!(reply.status, status, "{via:?} {host}");
        }
    }
}

#[tokio::test]
async fn one_caller_does_not_take_the_room_of_the_others() {
    let clock = ManualClock::default();
    let issuer = TestIssuer::builder().clock(clock.clone()).start().await;
    let server = builder(&issuer).clock(clock.clone()).tickets(Tickets::in_memory()).build().unwrap();
    server.ready().await.unwrap();
    let ask = async |token: &str| {
        let request = purchase(token, Some(APP));
        server.sell_ticket(Presented::request(&View::from(&request)), "/events").await.err().map(|error| error.kind())
    };
    let greedy = [issuer.token().subject("eve").mint(), issuer.token().subject("eve").mint()];
    for number in 0..100 {
        assert_eq!(ask(&greedy[number % 2]).await, None, "{number}");
    }
    assert_eq!(ask(&greedy[0]).await, Some(ErrorKind::Unavailable));
    assert_eq!(ask(&issuer.token().subject("ada").mint()).await, None);
    clock.advance(Duration::from_secs(30));
    assert_eq!(ask(&greedy[0]).await, None, "the first ones have expired");
}

#[tokio::test]
async fn of_many_who_come_with_one_ticket_one_gets_in() {
    let issuer = TestIssuer::start().await;
    let server = server(&issuer).await;
    let ticket = buy(&server, &issuer.token().subject("ada").mint(), "/events").await;
    let many = (0..64).map(|_| {
        let (server, target) = (server.clone(), format!("/events?ticket={ticket}"));
        tokio::spawn(async move {
            let request = Request::get(target).header("accept", EVENTS).header("origin", APP).body(()).unwrap();
            server.authenticate(Presented::request(&View::from(&request))).await.is_ok()
        })
    });
    let let_in = futures_util::future::join_all(many).await.into_iter().filter(|outcome| *outcome.as_ref().unwrap());
    assert_eq!(let_in.count(), 1);
}

#[tokio::test]
async fn what_happens_to_the_token_happens_to_its_tickets() {
    let clock = ManualClock::default();
    let issuer = TestIssuer::builder().clock(clock.clone()).start().await;
    let denied = MemoryDenyList::new();
    let server = builder(&issuer).clock(clock.clone()).deny_list(denied.clone()).tickets(Tickets::in_memory());
    let server = server.build().unwrap();
    server.ready().await.unwrap();
    let redeem = async |ticket: String| {
        let request = Request::get(format!("/events?ticket={ticket}"))
            .header("accept", EVENTS)
            .header("origin", APP)
            .body(())
            .unwrap();
        server.authenticate(Presented::request(&View::from(&request))).await
    };
    let token = issuer.token().subject("ada").claim("jti", "1").expires_in(Duration::from_secs(600)).mint();
    let bought = buy(&server, &token, "/events").await;
    let caller = redeem(bought).await.unwrap();
    let with_token = server.authenticate(Presented::token(&token)).await.unwrap();
    assert_eq!(caller.expires_at(), with_token.expires_at(), "streams end with the token");

    let late = buy(&server, &token, "/events").await;
    clock.advance(Duration::from_secs(29));
    let in_time = buy(&server, &token, "/events").await;
    clock.advance(Duration::from_secs(1));
    assert_eq!(redeem(late).await.unwrap_err().kind(), ErrorKind::InvalidTicket, "after 30 s");
    assert!(redeem(in_time).await.is_ok());

    let revoked = buy(&server, &token, "/events").await;
    server.deny(Deny::token_id(issuer.url(), "1"), token_core::Timestamp::from_secs(4_000_000_000)).await.unwrap();
    assert_eq!(redeem(revoked).await.unwrap_err().kind(), ErrorKind::Inactive, "revoked meanwhile");
}

#[tokio::test]
async fn a_ticket_that_was_sold_before_a_change_of_the_policy_is_redeemed_once_after_it() {
    let issuer = TestIssuer::start().await;
    let path = std::env::temp_dir().join(format!("tickets-{}.json", std::process::id()));
    let write = |leeway: &str| {
        let trusted = json!({"issuer": issuer.url(), "allow_loopback_http": true, "leeway": leeway});
        let policy = json!({"audience": issuer.audience(), "issuers": [trusted], "tickets": {}});
        std::fs::write(&path, policy.to_string()).unwrap();
    };
    write("10s");
    let reload = Reload::start(&path, |builder| builder).unwrap();
    let server = reload.server();
    server.ready().await.unwrap();
    let ticket = buy(&server, &issuer.token().mint(), "/events").await;
    write("20s");
    let changed = reload.check().await;
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(changed, Reloaded::Changed(_)), "{changed:?}");
    for expected in [None, Some(ErrorKind::InvalidTicket)] {
        let request = Request::get(format!("/events?ticket={ticket}"))
            .header("accept", EVENTS)
            .header("origin", APP)
            .body(())
            .unwrap();
        let verdict = server.authenticate(Presented::request(&View::from(&request))).await;
        assert_eq!(verdict.err().map(|error| error.kind()), expected);
    }
}

#[tokio::test]
async fn a_route_that_takes_proofs_alone_takes_no_ticket_in_their_place() {
    let issuer = TestIssuer::start().await;
    let dpop = |policy| Dpop::at("https://api.example.com").unwrap().policy(policy);
    for (server_takes, route_takes, expected) in [
        (DpopPolicy::BearerOrDpop, None, None),
        (DpopPolicy::BearerOrDpop, Some(DpopPolicy::Required), Some(ErrorKind::SenderConstrained)),
        (DpopPolicy::Required, None, Some(ErrorKind::SenderConstrained)),
        (DpopPolicy::Required, Some(DpopPolicy::BearerOrDpop), None),
    ] {
        let server = builder(&issuer).tickets(Tickets::in_memory()).dpop(dpop(server_takes)).build().unwrap();
        server.ready().await.unwrap();
        // Sold on a route that takes bearer tokens.
        let request = purchase(&issuer.token().mint(), Some(APP));
        let (view, bearer) = (View::from(&request), DpopPolicy::BearerOrDpop);
        let sold = server.sell_ticket(Presented::request(&view).dpop(bearer), "/events").await.unwrap();
        let target = format!("/events?ticket={}", sold.as_str());
        let request = Request::get(target).header("accept", EVENTS).header("origin", APP).body(()).unwrap();
        let view = View::from(&request);
        let presented = Presented::request(&view);
        let presented = route_takes.map_or(presented, |policy| presented.dpop(policy));
        let verdict = server.authenticate(presented).await.err().map(|error| error.kind());
        assert_eq!(verdict, expected, "{server_takes:?} {route_takes:?}");
    }
}

#[actix_web::test]
async fn the_handlers_of_both_frameworks_sell_to_whoever_has_a_token_and_say_what_they_expect() {
    let issuer = TestIssuer::start().await;
    let server = server(&issuer).await;
    let token = issuer.token().subject("ada").mint();
    let bad = issuer.token().forged().mint();
    let router = Router::new().route("/tickets", post(axum_token::ticket(server.clone())));
    let app = App::new().route("/tickets", web::post().to(actix_token::ticket(server.clone())));
    let app = test::init_service(app).await;
    for (name, token, body, expected) in [
        ("a good one", Some(&token), r#"{"path": "/me"}"#, 200),
        ("no token", None, r#"{"path": "/me"}"#, 401),
        ("a bad token", Some(&bad), r#"{"path": "/me"}"#, 401),
        ("no path", Some(&token), "{}", 400),
        ("nothing", Some(&token), "", 400),
        ("an array", Some(&token), r#"["/me"]"#, 400),
        ("a path that is a number", Some(&token), r#"{"path": 1}"#, 400),
        ("a path with a query", Some(&token), r#"{"path": "/me?x=1"}"#, 400),
        ("another server's", Some(&token), r#"{"path": "https://evil.example/"}"#, 400),
    ] {
        let mut by_axum = Request::post("/tickets").header("origin", APP);
        let mut by_actix = test::TestRequest::post().uri("/tickets").append_header(("origin", APP));
        if let Some(token) = token {
            by_axum = by_axum.header("authorization", format!("Bearer {token}"));
            by_actix = by_actix.append_header(("authorization", format!("Bearer {token}")));
        }
        let answer = router.clone().oneshot(by_axum.body(Body::from(body)).unwrap()).await.unwrap();
        assert_eq!(answer.status(), expected, "axum: {name}");
        let uncached = |value: Option<&[u8]>| value == Some(b"no-store");
        assert!(uncached(answer.headers().get("cache-control").map(|value| value.as_bytes())), "axum: {name}");
        let first = axum::body::to_bytes(answer.into_body(), 4096).await.unwrap();
        let answer = test::call_service(&app, by_actix.set_payload(body).to_request()).await;
        assert_eq!(answer.status(), expected, "actix-web: {name}");
        assert!(uncached(answer.headers().get("cache-control").map(|value| value.as_bytes())), "actix-web: {name}");
        let second = test::read_body(answer).await;
        if expected != 200 {
            assert_eq!(first, second, "{name}");
            continue;
        }
        for (via, sold) in [(Via::Axum, first), (Via::Actix, second)] {
            let sold: Value = serde_json::from_slice(&sold).unwrap();
            assert_eq!(sold["expires_in"], 30);
            let target = format!("/me?ticket={}", sold["ticket"].as_str().unwrap());
            assert_eq!(redeem(via, &server, target, Some(APP)).await.body, "ada");
        }
    }
}

#[actix_web::test]
async fn behind_a_layer_that_has_looked_at_the_proof_a_bound_token_is_told_that_it_buys_no_ticket() {
    let issuer = TestIssuer::start().await;
    let dpop = Dpop::at("https://api.example.com").unwrap();
    let server = builder(&issuer).tickets(Tickets::in_memory()).dpop(dpop).build().unwrap();
    server.ready().await.unwrap();
    let key = TestKey::client(Algorithm::ES256);
    let token = issuer.token().subject("ada").bound_to(&key).mint();
    let proof = || key.proof("POST", "https://api.example.com/tickets", &token).mint();
    let bound = ("authorization", format!("DPoP {token}"));
    let body = r#"{"path": "/me"}"#;

    let router = Router::new().route("/tickets", post(axum_token::ticket(server.clone())));
    let request = Request::post("/tickets").header(bound.0, &bound.1).header("dpop", proof());
    let answer = router.layer(TokenLayer::new(server.clone())).oneshot(request.body(Body::from(body)).unwrap()).await;
    let by_axum = axum::body::to_bytes(answer.unwrap().into_body(), 4096).await.unwrap();

    let app = App::new().route("/tickets", web::post().to(actix_token::ticket(server.clone())));
    let app = test::init_service(app.wrap(TokenMiddleware::new(server))).await;
    let request = test::TestRequest::post().uri("/tickets").append_header(bound).append_header(("dpop", proof()));
    let answer = test::call_service(&app, request.set_payload(body).to_request()).await;
    let by_actix = test::read_body(answer).await;

    let expected = ErrorKind::WrongType.public_text();
    assert!(String::from_utf8_lossy(&by_axum).contains(expected), "{by_axum:?}");
    assert_eq!(by_axum, by_actix);
}

#[actix_web::test]
async fn a_token_that_lives_by_the_leeway_alone_buys_a_ticket_for_what_is_left_of_it() {
    let issuer = TestIssuer::start().await;
    let server = server(&issuer).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    // 30 s of leeway, of which 5 are over.
    let token = issuer.token().subject("ada").claim("exp", now - 5).mint();
    let request = purchase(&token, Some(APP));
    let ticket = server.sell_ticket(Presented::request(&View::from(&request)), "/me").await.unwrap();
    assert!((1..=25).contains(&ticket.expires_in().as_secs()), "{:?}", ticket.expires_in());
    let target = format!("/me?ticket={}", ticket.as_str());
    assert_eq!(redeem(Via::Axum, &server, target, Some(APP)).await.body, "ada");
}

#[tokio::test]
async fn what_cannot_be_is_refused_when_the_server_is_built_and_nothing_is_sold_unasked() {
    let issuer = TestIssuer::start().await;
    let plain = builder(&issuer).build().unwrap();
    plain.ready().await.unwrap();
    let token = issuer.token().mint();
    let request = purchase(&token, None);
    let refused = plain.sell_ticket(Presented::request(&View::from(&request)), "/events").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Misconfigured);
    // Where none are sold, the parameter is one like any other.
    let request =
        Request::get("/me?ticket=cinema").header("authorization", format!("Bearer {token}")).body(()).unwrap();
    assert!(plain.authenticate(Presented::request(&View::from(&request))).await.is_ok());
    for life in [0, 301] {
        let tickets = Tickets::in_memory().life(Duration::from_secs(life));
        assert!(builder(&issuer).tickets(tickets).build().is_err(), "{life}");
    }
    let mut policy = serde_json::to_value(&*plain.policy()).unwrap();
    policy["tickets"] = serde_json::json!({"life": "20s"});
    let own = Policy::from_json(&policy.to_string()).unwrap();
    assert!(own.to_string().contains("once and for 20 s") && own.server().is_ok(), "{own}");
    policy["tickets"] = serde_json::json!({"store": "shared"});
    let shared = Policy::from_json(&policy.to_string()).unwrap();
    assert!(shared.lint().is_empty() || shared.lint().iter().all(|finding| finding.rule != "cannot-be-built"));
    assert!(shared.server().unwrap_err().to_string().contains("ticket_store"));
    let handed_over = shared.builder().unwrap().ticket_store(token_core::stores::MemoryTickets::new());
    assert!(handed_over.build().is_ok());
}
