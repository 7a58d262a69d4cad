//! The attacks on tickets: our adapters refuse them all with the same status, in process and over connections, and a shop with one flaw is found out by name.

mod careless;

use std::convert::Infallible;
use std::time::Duration;

use actix_web::{App, HttpServer, test, web};
use axum::Router;
use axum::body::Body;
use axum::response::sse::{Event, Sse};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use token_core::possession::{Dpop, DpopPolicy};
use token_core::revocation::{Deny, MemoryDenyList};
use token_core::streams::Tickets;
use token_core::{Issuer, Presented, ResourceServer, Timestamp};
use token_test::attacks::{Attacks, Class, Loopback, Report, Verdict, attacks, head_suffices};
use token_test::{ManualClock, TestIssuer};
use token_tests::evidence::note;
use tower::{Layer, ServiceExt, service_fn};
use tower_token::{ScopeLayer, View};

/// Each attack, and the status with which all refuse it.
const ROWS: &[(&str, u16)] = &[
    ("a ticket for the second time", 401),
    ("a used ticket beside another parameter", 401),
    ("a used ticket with another last letter", 401),
    ("a used ticket, padded", 401),
    ("a used ticket, a letter as an escape", 401),
    ("a ticket without its last letter", 401),
    ("a ticket with a letter more", 401),
    ("a ticket backwards", 401),
    ("a ticket in the other case", 401),
    ("a ticket with a zero byte after it", 401),
    ("the parameter in capitals", 401),
    ("the parameter with an escape", 401),
    ("the parameter as a list", 401),
    ("the parameter after a semicolon", 401),
    ("a ticket twice", 400),
    ("a ticket and a made-up one", 400),
    ("a made-up ticket and a good one", 400),
    ("a ticket as a bearer token", 401),
    ("a ticket in the parameter of tokens", 401),
    ("a ticket in a cookie", 401),
    ("a ticket in a field", 401),
    ("no ticket", 401),
    ("a ticket that is empty", 401),
    ("a ticket without a value", 401),
    ("a made-up ticket", 401),
    ("a ticket of one letter", 401),
    ("a ticket that is a star", 401),
    ("a ticket that is a path", 401),
    ("a ticket that is two lines", 401),
    ("a ticket that is not UTF-8", 401),
    ("a ticket that is a token", 401),
    ("a ticket of 16 KiB", 401),
    ("a ticket beside a token", 400),
    ("a ticket beside a forged token", 400),
    ("a made-up ticket beside a token", 400),
    ("a ticket for another path", 401),
    ("a ticket for a part of the path", 401),
    ("a ticket for a path below it", 401),
    ("a ticket for the path with a slash at the end", 401),
    ("a ticket for the path in capitals", 401),
    ("a ticket for the root", 401),
    ("a ticket for all paths", 401),
    ("a ticket for no path", 400),
    ("a ticket for the path at another server", 400),
    ("a ticket at another route", 401),
    ("a ticket of a token without the scope", 403),
    ("a ticket where proofs alone are taken", 401),
    ("a ticket from another page", 401),
    ("a ticket from a page whose origin begins alike", 401),
    ("a ticket from a page whose origin ends alike", 401),
    ("a ticket from a page of another scheme", 401),
    ("a ticket from a page of another port", 401),
    ("a ticket from a page without an origin", 401),
    ("a ticket from a page of the origin null", 401),
    ("a ticket from two pages", 401),
    ("a ticket of no page, from a page", 401),
    ("a ticket of a page of the origin null", 401),
    ("a ticket of a page of the same origin, from another site", 401),
    ("a ticket bought with nothing", 401),
    ("a ticket bought with a forged token", 401),
    ("a ticket bought with a token without a signature", 401),
    ("a ticket bought with an expired token", 401),
    ("a ticket bought with a token of another issuer", 401),
    ("a ticket bought with a token for another API", 401),
    ("a ticket bought with an ID token", 401),
    ("a ticket bought with a token that is bound to a key", 401),
    ("a ticket bought with a token that is bound to a certificate", 401),
    ("a ticket bought with a good token and a forged one", 400),
    ("a ticket bought by who they say they are", 401),
    ("a ticket bought with a ticket", 401),
    ("a ticket whose token was revoked since", 401),
    ("a ticket whose token has ended since", 401),
    ("a ticket a second past its end", 401),
];

async fn issuer(clock: &ManualClock) -> TestIssuer {
    TestIssuer::builder().clock(clock.clone()).start().await
}

fn gate(issuer: &TestIssuer, clock: &ManualClock) -> ResourceServer {
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).clock(clock.clone());
    let api = api.tickets(Tickets::in_memory()).deny_list(MemoryDenyList::new());
    api.dpop(Dpop::at("https://api.example.com").unwrap().policy(DpopPolicy::BearerOrDpop)).build().unwrap()
}

fn list<'i>(issuer: &'i TestIssuer, clock: &ManualClock) -> Attacks<'i> {
    let list = attacks(issuer).route("GET /users").granted("read:users").clock(clock.clone());
    let list = list.tickets("POST /tickets", "GET /events").revoked_at("POST /logout").proofs_alone_at("GET /payments");
    list.only(Class::Tickets).only(Class::Cache).only(Class::Binding)
}

/// All refused, each with the status of its row.
fn held(name: &str, report: &Report) {
    report.assert_all_refused();
    let mut seen = Vec::new();
    for row in report.rows().iter().filter(|row| row.class == Class::Tickets) {
        let Verdict::Refused(status) = row.verdict else { panic!("{name}: {}", row.name) };
        seen.push((row.name, status));
    }
    assert_eq!(seen, ROWS, "{name}");
    let tried = report.rows().iter().filter(|row| row.class != Class::Good).count();
    let name = format!("{name}, tickets");
    note("attacks", &name, &[&name, &tried.to_string(), "0"]);
}

async fn log_out(api: ResourceServer, request: Request<()>) -> u16 {
    match api.authenticate(Presented::request(&View::from(&request))).await {
        Ok(caller) => {
            let (issuer, id) = (caller.issuer().to_owned(), caller.token_id().unwrap().to_owned());
            api.deny(Deny::token_id(&issuer, &id), Timestamp::from_secs(4_000_000_000)).await.map_or(503, |()| 204)
        }
        Err(error) => error.answer().status,
    }
}

fn router(api: &ResourceServer) -> Router {
    let for_log_out = api.clone();
    // A stream of events that never ends.
    let events = async || Sse::new(futures_util::stream::pending::<Result<Event, axum::Error>>());
    let payments = Router::new()
        .route("/payments", get(async || "paid"))
        .layer(axum_token::TokenLayer::new(api.clone()).dpop(DpopPolicy::Required));
    let log_out = move |request: axum::extract::Request| {
        let status = log_out(for_log_out, request.map(|_| ()));
        async { axum::http::StatusCode::from_u16(status.await).unwrap() }
    };
    Router::new()
        .route("/users", get(async || "everybody").layer(axum_token::require("read:users")))
        .route("/events", get(events))
        .route("/tickets", post(axum_token::ticket(api.clone())))
        .layer(axum_token::TokenLayer::new(api.clone()))
        .route("/logout", post(log_out))
        .merge(payments)
}

#[tokio::test]
async fn no_ticket_opens_what_it_is_not_for_in_an_axum_router() {
    let clock = ManualClock::default();
    let issuer = issuer(&clock).await;
    let report = list(&issuer, &clock).run(router(&gate(&issuer, &clock))).await;
    held("axum", &report);
}

#[tokio::test]
async fn nor_in_one_under_a_prefix_over_a_real_connection() {
    let clock = ManualClock::default();
    let issuer = issuer(&clock).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api", listener.local_addr().unwrap());
    // The layers see the path that the page asks for.
    let api = gate(&issuer, &clock);
    let app = Router::new().nest("/api", router(&api));
    let server = tokio::spawn(axum::serve(listener, app).into_future());
    held("axum, over HTTP/1.1", &list(&issuer, &clock).run_against(Loopback::at(&url).unwrap()).await);
    server.abort();
}

/// A tower service without a router: whatever path is asked for, the gate alone says no.
fn service(
    api: &ResourceServer,
) -> impl tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static
{
    let layer = tower_token::TokenLayer::new(api.clone());
    let guarded = layer.clone().layer(ScopeLayer::new("read:users").layer(service_fn(answer)));
    let (open, proofs) =
        (layer.clone().layer(service_fn(answer)), layer.dpop(DpopPolicy::Required).layer(service_fn(answer)));
    let api = api.clone();
    service_fn(move |request: Request<Body>| {
        let (api, guarded, open, proofs) = (api.clone(), guarded.clone(), open.clone(), proofs.clone());
        async move {
            let plain =
                |status: u16, body: String| Ok(Response::builder().status(status).body(Body::from(body)).unwrap());
            match request.uri().path() {
                "/users" => guarded.oneshot(request).await.map(|answer| answer.map(Body::new)),
                "/payments" => proofs.oneshot(request).await.map(|answer| answer.map(Body::new)),
                "/logout" => plain(log_out(api, request.map(|_| ())).await, String::new()),
                "/tickets" => {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    match api.ticket_answer(Presented::request(&View::from(&parts)), &body).await {
                        Ok(sold) => plain(sold.status, sold.body),
                        Err(error) => plain(error.answer().status, String::new()),
                    }
                }
                _ => open.oneshot(request).await.map(|answer| answer.map(Body::new)),
            }
        }
    })
}

async fn answer(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let caller = tower_token::outcome(request.extensions()).and_then(|caller| caller.verified().map(|_| ()));
    Ok(match caller {
        Ok(()) => Response::new(Body::from("in")),
        Err(error) => tower_token::rejection(&error).map(Body::from),
    })
}

#[tokio::test]
async fn nor_in_a_tower_service_that_looks_at_no_path() {
    let clock = ManualClock::default();
    let issuer = issuer(&clock).await;
    held("tower", &list(&issuer, &clock).run(service(&gate(&issuer, &clock))).await);
}

#[tokio::test]
async fn nor_in_that_one_over_a_real_connection() {
    let clock = ManualClock::default();
    let issuer = issuer(&clock).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = tower::make::Shared::new(service(&gate(&issuer, &clock)));
    let server = tokio::spawn(axum::serve(listener, service).into_future());
    held("tower, over HTTP/1.1", &list(&issuer, &clock).run_against(Loopback::at(&url).unwrap()).await);
    server.abort();
}

macro_rules! application {
    ($api:expr) => {{
        let api: ResourceServer = $api;
        let proofs = actix_token::TokenMiddleware::new(api.clone()).dpop(DpopPolicy::Required);
        let for_log_out = api.clone();
        let end = move |request: actix_web::HttpRequest| {
            let mut plain = Request::post("/logout");
            for (name, value) in request.headers() {
                plain = plain.header(name.as_str(), value.as_bytes());
            }
            let status = log_out(for_log_out.clone(), plain.body(()).unwrap());
            async { actix_web::HttpResponse::build(status.await.try_into().unwrap()).finish() }
        };
        let users = web::resource("/users").wrap(actix_token::require("read:users")).to(async || "everybody");
        App::new()
            .route("/logout", web::post().to(end))
            .service(web::resource("/payments").wrap(proofs).to(async || "paid"))
            .service(
                web::scope("")
                    .wrap(actix_token::TokenMiddleware::new(api.clone()))
                    .service(users)
                    .route("/events", web::get().to(async || "what happens"))
                    .route("/tickets", web::post().to(actix_token::ticket(api))),
            )
    }};
}

#[actix_web::test]
async fn nor_in_an_actix_application() {
    let clock = ManualClock::default();
    let issuer = issuer(&clock).await;
    let app = test::init_service(application!(gate(&issuer, &clock))).await;
    let app = std::rc::Rc::new(app);
    let send = |request: Request<Bytes>| {
        let app = std::rc::Rc::clone(&app);
        async move {
            // Of another major version of `http` than ours.
            let method = actix_web::http::Method::from_bytes(request.method().as_str().as_bytes()).unwrap();
            let mut asked = test::TestRequest::with_uri(&request.uri().to_string()).method(method);
            for (name, value) in request.headers() {
                asked = asked.append_header((name.as_str(), value.as_bytes()));
            }
            let head_suffices = head_suffices(&request);
            let answer = test::call_service(&*app, asked.set_payload(request.into_body()).to_request()).await;
            let status = answer.status().as_u16();
            let body = if head_suffices { Bytes::new() } else { test::read_body(answer).await };
            Response::builder().status(status).body(body).map_err(|error| error.to_string())
        }
    };
    held("actix-web", &list(&issuer, &clock).run_against(send).await);
}

#[actix_web::test]
async fn nor_in_that_one_over_a_real_connection_either() {
    let clock = ManualClock::default();
    let issuer = issuer(&clock).await;
    let api = gate(&issuer, &clock);
    let server = HttpServer::new(move || application!(api.clone())).workers(1).disable_signals();
    let server = server.bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", server.addrs()[0]);
    let server = server.run();
    let handle = server.handle();
    let running = actix_web::rt::spawn(server);
    held("actix-web, over HTTP/1.1", &list(&issuer, &clock).run_against(Loopback::at(&url).unwrap()).await);
    handle.stop(false).await;
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_shop_with_one_flaw_is_found_out_by_name() {
    let strict = async |flaw| {
        let clock = ManualClock::default();
        let issuer = issuer(&clock).await;
        list(&issuer, &clock).run_against(careless::api(&issuer, clock.clone(), flaw)).await
    };
    strict(None).await.assert_all_refused();
    for (flaw, expected) in careless::FLAWS {
        let report = strict(Some(*flaw)).await;
        let names: Vec<_> = report.findings().iter().map(|row| row.name).collect();
        assert!(names.contains(expected), "{flaw:?}: expected {expected:?} among {names:?}");
        let flaw = format!("{flaw:?}");
        note("attacks-found", &flaw, &[&flaw, expected, &names.len().to_string()]);
    }
    assert!(careless::FLAWS.len() >= 25);
}

/// The shop's own time goes with the runtime's, which is paused: the list waits as long as the ticket is good.
#[tokio::test(start_paused = true)]
async fn without_a_clock_the_end_of_a_ticket_is_waited_for() {
    let issuer = TestIssuer::start().await;
    for (good_for, found) in [(20, false), (22, true)] {
        let (bought, started) = (std::cell::Cell::new(None), tokio::time::Instant::now());
        let shop = |request: Request<Bytes>| {
            let sold = request.uri().path() == "/tickets";
            if sold {
                bought.set(Some(tokio::time::Instant::now()));
            }
            let old = bought.get().is_none_or(|at| at.elapsed() > Duration::from_secs(good_for));
            let status = if old && !sold { 401 } else { 200 };
            let body = Bytes::from_static(if sold { br#"{"ticket": "abc", "expires_in": 20}"# } else { b"" });
            std::future::ready(Response::builder().status(status).body(body).map_err(|error| error.to_string()))
        };
        let list = attacks(&issuer).tickets("/tickets", "/events").only(Class::Tickets);
        let report = list.run_against(shop).await;
        let late = report.rows().iter().find(|row| row.name == "a ticket a second past its end").unwrap();
        assert_eq!(!late.is_right(), found, "good for {good_for} s: {:?}", late.verdict);
        assert!(started.elapsed() >= Duration::from_secs(21));
    }
}

#[tokio::test]
async fn a_shop_that_sells_nothing_passes_nothing() {
    let issuer = TestIssuer::start().await;
    for (status, body) in [(404, ""), (200, ""), (200, r#"{"token": "abc"}"#), (500, "")] {
        let shop = |request: Request<Bytes>| {
            let (status, body) = if request.uri().path() == "/tickets" { (status, body) } else { (200, "") };
            let body = Bytes::from_static(body.as_bytes());
            std::future::ready(Response::builder().status(status).body(body).map_err(|error| error.to_string()))
        };
        let report = attacks(&issuer).tickets("POST /tickets", "/events").only(Class::Tickets).run_against(shop).await;
        let found = report.findings();
        assert!(found.iter().any(|row| row.name == "a ticket" && row.class == Class::Good), "{status} {body}");
        if status == 200 {
            assert!(
                found.iter().any(|row| matches!(&row.verdict, Verdict::Broke(why) if why.contains("sold no ticket")))
            );
        }
    }
    let unable = |request: Request<Bytes>| {
        let status = if request.uri().path() == "/logout" { 404 } else { 200 };
        std::future::ready(Response::builder().status(status).body(Bytes::new()).map_err(|error| error.to_string()))
    };
    let report = attacks(&issuer).revoked_at("POST /logout").only(Class::Cache).run_against(unable).await;
    let row = report.rows().iter().find(|row| row.name == "a token seen before, revoked since").unwrap();
    assert_eq!(row.verdict, Verdict::Broke("POST /logout answered 404 Not Found".to_owned()));
}
