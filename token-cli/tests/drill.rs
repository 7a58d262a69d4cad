//! `token drill` against services on loopback, in real time: one that holds keys through an outage, and one that asks for them each time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::net::SocketAddr;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use support::run;
use token_core::{Issuer, Presented, ResourceServer};
use token_test::HeldPort;

fn gate(issuer: SocketAddr) -> ResourceServer {
    let trusted = Issuer::discover(format!("http://{issuer}")).unwrap().allow_loopback_http();
    ResourceServer::builder("https://api.example.com").trust(trusted).build().unwrap()
}

/// A service that trusts the issuer on that port. A forgetful one holds no keys, and blames the caller.
async fn serve(issuer: &HeldPort, forgetful: bool) -> String {
    let issuer = issuer.address();
    let held = gate(issuer);
    let guard = move |request: Request, next: Next| {
        let api = if forgetful { gate(issuer) } else { held.clone() };
        async move {
            let field = request.headers().get("authorization").and_then(|field| field.to_str().ok());
            let token = field.and_then(|field| field.strip_prefix("Bearer ")).ok_or(StatusCode::UNAUTHORIZED)?;
            match api.authenticate(Presented::token(token)).await {
                Ok(_) => Ok(next.run(request).await),
                Err(_) if forgetful => Err(StatusCode::UNAUTHORIZED),
                Err(error) => Err(StatusCode::from_u16(error.answer().status).unwrap()),
            }
        }
    };
    let app = Router::new().route("/users", get(async || "everybody")).layer(from_fn(guard));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, app).into_future());
    url
}

/// Runs it with this script; how long answers take is a matter of the machine's load here.
async fn drill(name: &str, url: &str, port: &HeldPort, script: &str, more: &[&str]) -> (support::Seen, String) {
    let folder = std::env::temp_dir().join(format!("token-drill-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("script"), script).unwrap();
    let port = port.port().to_string();
    let words = ["drill", url, "--route", "GET /users", "--port", &port, "--script", "script", "--plot", "plot.svg"];
    let words = [&words[..], &["--answers-within", "12000"], more].concat();
    let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    tokio::task::spawn_blocking(move || {
        let seen = run(&folder, &words.iter().map(String::as_str).collect::<Vec<_>>(), b"");
        let plot = std::fs::read_to_string(folder.join("plot.svg")).unwrap_or_default();
        std::fs::remove_dir_all(&folder).unwrap();
        (seen, plot)
    })
    .await
    .unwrap()
}

/// Five seconds lie between the new key and the outage: it has to be fetched by then, on a machine with too much to do as well.
const SCRIPT: &str = "at 1 rotate\nat 6 down 3 # and nobody notices\nat 7 run 0 served echo amid it > ran\nat 10 end\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_holds_its_keys_keeps_every_promise() {
    let port = HeldPort::new().unwrap();
    let url = serve(&port, false).await;
    let (seen, plot) = drill("kept", &url, &port, SCRIPT, &[]).await;
    assert_eq!(seen.code, 0, "{}\n{}", seen.stdout, seen.stderr);
    assert!(seen.stdout.contains("at     6  issuer down, for 3 s"), "{}", seen.stdout);
    assert!(seen.stderr.contains("answers in 10 s, 0 findings"), "{}", seen.stderr);
    assert!(plot.starts_with("<svg") && plot.contains("every promise kept"), "{plot}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_forgetful_service_breaks_is_said_with_its_second_for_people_and_for_machines() {
    let port = HeldPort::new().unwrap();
    let url = serve(&port, true).await;
    let (seen, plot) = drill("broken", &url, &port, SCRIPT, &["--format", "junit"]).await;
    assert_eq!(seen.code, 1, "{}\n{}", seen.stdout, seen.stderr);
    assert!(
        seen.stdout.contains("<testcase classname=\"drill\" name=\"token seen before\"><failure message=\"second"),
        "{}",
        seen.stdout
    );
    assert!(seen.stdout.contains("refused (401); expected: let in"), "{}", seen.stdout);
    assert!(plot.contains("findings</text>") && plot.contains("class=\"wrong\""), "{plot}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_played_is_said() {
    let port = HeldPort::new().unwrap();
    let (seen, _) = drill("unread", "http://127.0.0.1:1", &port, "at 5 explode", &[]).await;
    assert_eq!(seen.code, 2, "{}", seen.stderr);
    assert!(seen.stderr.contains("script: line 1: expected `every SECONDS`, or `at SECOND`"), "{}", seen.stderr);
    let (seen, plot) = drill("nobody", "http://127.0.0.1:1", &HeldPort::new().unwrap(), SCRIPT, &["--wait", "0"]).await;
    assert_eq!((seen.code, plot.as_str()), (3, ""), "{}", seen.stderr);
    assert!(seen.stderr.contains("a good token of the development issuer is not let in"), "{}", seen.stderr);
}
