//! The attack list of `token-test`: our adapters let nothing of it in, and an API with one check taken out is found out by name.

mod rows;
mod sloppy;
mod tickets;

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use actix_web::{App, test, web};
use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, Response, Version};
use token_core::{Issuer, ResourceServer};
use token_test::TestIssuer;
use token_test::attacks::{Body, Class, Loopback, Report, Verdict, attacks};
use token_tests::evidence::note;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_token::{ScopeLayer, TokenLayer};

fn gate(issuer: &TestIssuer) -> ResourceServer {
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    ResourceServer::builder(issuer.audience()).trust(trusted).build().unwrap()
}

fn router(issuer: &TestIssuer) -> Router {
    let users = get(async || "everybody").layer(axum_token::require("read:users"));
    Router::new().route("/users", users).layer(axum_token::TokenLayer::new(gate(issuer)))
}

fn noted(name: &str, report: &Report) {
    let tried = report.rows().iter().filter(|row| row.class != Class::Good).count();
    note("attacks", name, &[name, &tried.to_string(), &report.findings().len().to_string()]);
    report.assert_all_refused();
}

#[tokio::test]
async fn nothing_of_the_list_gets_into_an_axum_router() {
    let issuer = TestIssuer::start().await;
    let report = attacks(&issuer).route("GET /users").granted("read:users").run(router(&issuer)).await;
    assert!(report.rows().len() >= 150, "{}", report.rows().len());
    noted("axum", &report);
}

#[tokio::test]
async fn nor_what_a_status_list_revokes_where_lists_are_looked_at() {
    let issuer = TestIssuer::start().await;
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let trusted = trusted.status_lists(token_core::revocation::StatusLists::new().required());
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).build().unwrap();
    let app = Router::new().route("/", get(async || "in")).layer(axum_token::TokenLayer::new(api));
    let report = attacks(&issuer).status_lists().only(Class::Status).only(Class::Kind).run(app).await;
    assert!(report.rows().iter().filter(|row| row.class == Class::Status).count() >= 15);
    noted("axum, with status lists", &report);
    // And where they are not, the list finds it out.
    let careless = attacks(&issuer).route("/users").granted("read:users").status_lists().only(Class::Status);
    let careless = careless.run(router(&issuer)).await;
    assert!(!careless.findings().is_empty());
}

#[tokio::test]
async fn nor_over_a_real_connection() {
    let issuer = TestIssuer::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(axum::serve(listener, router(&issuer)).into_future());
    let target = Loopback::at(&url).unwrap();
    noted("axum, over HTTP/1.1", &attacks(&issuer).route("/users").granted("read:users").run_against(target).await);
    server.abort();
}

#[actix_web::test]
async fn nor_into_an_actix_application() {
    let issuer = TestIssuer::start().await;
    let users = web::resource("/users").wrap(actix_token::require("read:users")).to(async || "everybody");
    let app = App::new().wrap(actix_token::TokenMiddleware::new(gate(&issuer))).service(users);
    let app = Rc::new(test::init_service(app).await);
    let send = |request: Request<Bytes>| {
        let app = Rc::clone(&app);
        async move {
            // Of another major version of `http` than ours.
            let method = actix_web::http::Method::from_bytes(request.method().as_str().as_bytes()).unwrap();
            let mut asked = test::TestRequest::with_uri(&request.uri().to_string()).method(method);
            for (name, value) in request.headers() {
                asked = asked.append_header((name.as_str(), value.as_bytes()));
            }
            let answer = test::call_service(&*app, asked.to_request()).await;
            Response::builder().status(answer.status().as_u16()).body(Bytes::new()).map_err(|error| error.to_string())
        }
    };
    noted("actix-web", &attacks(&issuer).route("/users").granted("read:users").run_against(send).await);
}

#[tokio::test]
async fn nor_into_a_service_that_speaks_grpc() {
    let issuer = TestIssuer::start().await;
    let api = gate(&issuer);
    let send = |request: Request<Bytes>| {
        let api = &api;
        async move {
            let status = match grpc(api, request).await {
                Ok(0) => 200,
                Ok(16) => 401,
                Ok(7) => 403,
                Ok(3) => 400,
                Ok(_) => 500,
                Err(status) => status,
            };
            Response::builder().status(status).body(Bytes::new()).map_err(|error| error.to_string())
        }
    };
    noted(
        "tower, gRPC",
        &attacks(&issuer).route("POST /health.v1/Check").granted("read:users").run_against(send).await,
    );
}

/// The status that gRPC gives to this request: 0 where it was let in. An error is the status of HTTP, where the path is none of a call.
async fn grpc(api: &ResourceServer, request: Request<Bytes>) -> Result<u8, u16> {
    let inner = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(axum::body::Body::empty())));
    let layers = ServiceBuilder::new().layer(TokenLayer::new(api.clone())).layer(ScopeLayer::new("read:users"));
    let (mut parts, body) = request.into_parts();
    parts.version = Version::HTTP_2;
    parts.headers.insert("content-type", "application/grpc".parse().unwrap());
    let answer = layers.service(inner).oneshot(Request::from_parts(parts, Body::from(body))).await.unwrap();
    // A refused call is HTTP 200, too.
    match answer.headers().get("grpc-status") {
        Some(status) => Ok(status.to_str().unwrap().parse().unwrap()),
        None if answer.status() == 200 => Ok(0),
        None => Err(answer.status().as_u16()),
    }
}

#[tokio::test]
async fn an_api_with_one_check_taken_out_is_found_out_by_name() {
    let issuer = TestIssuer::start().await;
    let strict = attacks(&issuer).route("/users").granted("read:users").run_against(sloppy::api(&issuer, None)).await;
    strict.assert_all_refused();
    for (flaw, expected) in sloppy::FLAWS {
        // Its keys are those of before, so a run has an issuer of its own.
        let issuer = TestIssuer::start().await;
        let report =
            attacks(&issuer).route("/users").granted("read:users").run_against(sloppy::api(&issuer, Some(*flaw))).await;
        let names: Vec<_> = report.findings().iter().map(|row| row.name).collect();
        assert!(names.contains(expected), "{flaw:?}: expected {expected:?} among {names:?}");
        note("attacks-found", &format!("{flaw:?}"), &[&format!("{flaw:?}"), expected, &names.len().to_string()]);
    }
    assert!(sloppy::FLAWS.len() >= 25);
}

#[tokio::test(start_paused = true)]
async fn an_api_that_comes_to_know_a_new_key_late_is_given_the_time_it_is_said_to_need() {
    let issuer = TestIssuer::start().await;
    // Four good requests come first. It knows the new key 20 s after them.
    let first_of_a_new_key = async |longest: u64| {
        let (asked, start) = (std::cell::Cell::new(0), tokio::time::Instant::now());
        let late = |_: Request<Bytes>| {
            asked.set(asked.get() + 1);
            let knows = asked.get() <= 4 || start.elapsed() >= Duration::from_secs(20);
            let status = if knows { 200 } else { 401 };
            std::future::ready(Response::builder().status(status).body(Bytes::new()).map_err(|error| error.to_string()))
        };
        let list = attacks(&issuer).only(Class::Algorithm).rotation_within(Duration::from_secs(longest));
        let report = list.run_against(late).await;
        report.rows()[4].clone()
    };
    let told = first_of_a_new_key(30).await;
    assert_eq!((told.name, told.verdict), ("the first token of a new key", Verdict::LetIn(200)));
    assert_eq!(first_of_a_new_key(10).await.verdict, Verdict::Refused(401));
    assert_eq!(first_of_a_new_key(0).await.verdict, Verdict::Refused(401));
}

#[tokio::test]
async fn an_api_that_refuses_everything_or_breaks_passes_nothing() {
    let issuer = TestIssuer::start().await;
    let wall =
        async |_: Request<Bytes>| Response::builder().status(401).body(Bytes::new()).map_err(|error| error.to_string());
    let report = attacks(&issuer).run_against(wall).await;
    assert!(report.findings().iter().all(|row| row.class == Class::Good) && !report.findings().is_empty());
    let broken = async |_: Request<Bytes>| Err("gone".to_owned());
    let report = attacks(&issuer).only(Class::Algorithm).run_against(broken).await;
    assert_eq!(report.findings().len(), report.rows().len());
    let left_out = attacks(&issuer).only(Class::Credentials).except("no credentials").run_against(wall).await;
    assert!(left_out.rows().iter().all(|row| row.name != "no credentials"));
}
