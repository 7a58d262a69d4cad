//! `token attack` against a service that listens on loopback: one that is guarded, and one whose guard forgives too much.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use support::run;
use token_core::{Issuer, Presented, ResourceServer};
use token_test::HeldPort;

/// A service on loopback that trusts the issuer on that port. A forgiving one takes the first of several `Authorization` fields.
async fn serve(issuer: &HeldPort, forgiving: bool) -> String {
    let trusted = Issuer::discover(format!("http://{}", issuer.address())).unwrap().allow_loopback_http();
    let api = ResourceServer::builder("https://api.example.com").trust(trusted).build().unwrap();
    let guard = move |request: Request, next: Next| {
        let api = api.clone();
        async move {
            let fields: Vec<_> = request.headers().get_all("authorization").iter().collect();
            let field = match fields[..] {
                [one] => one,
                [first, ..] if forgiving => first,
                [] => return Err(StatusCode::UNAUTHORIZED),
                _ => return Err(StatusCode::BAD_REQUEST),
            };
            let (scheme, token) =
                field.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(StatusCode::UNAUTHORIZED)?;
            if !scheme.eq_ignore_ascii_case("bearer") {
                return Err(StatusCode::UNAUTHORIZED);
            }
            let token = api.authenticate(Presented::token(token)).await;
            let token = token.map_err(|error| StatusCode::from_u16(error.answer().status).unwrap())?;
            if token.scopes().contains("read:users") { Ok(next.run(request).await) } else { Err(StatusCode::FORBIDDEN) }
        }
    };
    let app = Router::new().route("/users", get(async || "everybody")).layer(from_fn(guard));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, app).into_future());
    url
}

async fn attack(url: &str, port: &HeldPort, more: &[&str]) -> support::Seen {
    let port = port.port().to_string();
    let words = [&["attack", url, "--route", "GET /users", "--granted", "read:users", "--port", &port], more].concat();
    let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    tokio::task::spawn_blocking(move || {
        run(std::path::Path::new("."), &words.iter().map(String::as_str).collect::<Vec<_>>(), b"")
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guarded_service_refuses_every_attack() {
    let port = HeldPort::new().unwrap();
    let url = serve(&port, false).await;
    let seen = attack(&url, &port, &[]).await;
    assert_eq!(seen.code, 0, "{}\n{}", seen.stdout, seen.stderr);
    assert!(seen.stdout.lines().count() > 150 && !seen.stdout.contains("FAIL"), "{}", seen.stdout);
    assert!(seen.stderr.contains("attacks refused, 0 findings"), "{}", seen.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_forgiving_service_lets_in_is_named_for_people_and_for_machines() {
    let port = HeldPort::new().unwrap();
    let url = serve(&port, true).await;
    let seen = attack(&url, &port, &["--only", "credentials", "--format", "junit"]).await;
    assert_eq!(seen.code, 1, "{}\n{}", seen.stdout, seen.stderr);
    assert!(
        seen.stdout.contains("name=\"a good field and a forged one\"><failure message=\"let in with 200"),
        "{}",
        seen.stdout
    );
    let seen = attack(
        &url,
        &port,
        &["--only", "credentials", "--except", "a good field and a forged one", "--format", "json"],
    )
    .await;
    assert_eq!(seen.code, 0, "{}\n{}", seen.stdout, seen.stderr);
    assert!(serde_json::from_str::<serde_json::Value>(&seen.stdout).unwrap().as_array().unwrap().len() > 15);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_attacked_is_said() {
    let elsewhere = attack("https://api.example.com", &HeldPort::new().unwrap(), &[]).await;
    assert_eq!(elsewhere.code, 2);
    assert!(elsewhere.stderr.contains("loopback") && elsewhere.stderr.contains("tunnel"), "{}", elsewhere.stderr);
    let class = attack("http://127.0.0.1:1", &HeldPort::new().unwrap(), &["--only", "magic"]).await;
    assert_eq!(class.code, 2);
    assert!(class.stderr.contains("expected one of algorithm, key"), "{}", class.stderr);
    // A service that does not trust the development issuer: nothing can be said about it.
    let (trusted, port) = (HeldPort::new().unwrap(), HeldPort::new().unwrap());
    let stranger = serve(&trusted, false).await;
    let seen = attack(&stranger, &port, &["--wait", "0"]).await;
    assert_eq!(seen.code, 3, "{}", seen.stderr);
    assert!(seen.stderr.contains("it answers 401") && seen.stderr.contains("--granted"), "{}", seen.stderr);
}
