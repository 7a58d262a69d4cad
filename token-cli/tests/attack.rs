//! `token attack` against a service that listens on loopback: one that is guarded, and one whose guard forgives too much.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use support::run;
use token_core::jose::encryption::{DecryptionKey, EncryptedTokens, KeyManagement};
use token_core::streams::Tickets;
use token_core::{Issuer, Presented, ResourceServer, ResourceServerBuilder};
use token_test::HeldPort;
use token_test::attacks::{Loopback, Target};
use tokio::io::{AsyncBufReadExt, BufReader};

/// A service on loopback that trusts the issuer on that port. A forgiving one takes the first of several `Authorization` fields.
async fn serve(issuer: &HeldPort, forgiving: bool) -> String {
    serve_as(issuer, forgiving, |api| api).await
}

async fn serve_as(
    issuer: &HeldPort,
    forgiving: bool,
    more: impl FnOnce(ResourceServerBuilder) -> ResourceServerBuilder,
) -> String {
    let trusted = Issuer::discover(format!("http://{}", issuer.address())).unwrap().allow_loopback_http();
    let api = more(ResourceServer::builder("https://api.example.com").trust(trusted)).build().unwrap();
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
    tokio::task::spawn_blocking(move || run(Path::new("."), &words.iter().map(String::as_str).collect::<Vec<_>>(), b""))
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
    let class = attack("http://127.0.0.1:1", &HeldPort::new().unwrap(), &["--only", "magic"]).await;
    assert_eq!(class.code, 2);
    assert!(class.stderr.contains("expected one of algorithm, key"), "{}", class.stderr);
    // Somebody listens where the issuer should: a development issuer that was not stopped, as a rule.
    let port = HeldPort::new().unwrap();
    let _listening = port.listen().unwrap();
    let taken = attack("http://127.0.0.1:1", &port, &[]).await;
    assert_eq!(taken.code, 3);
    assert!(taken.stderr.contains("`token issuer` of yours, stop it first"), "{}", taken.stderr);
    // A service that does not trust the development issuer: nothing can be said about it.
    let (trusted, port) = (HeldPort::new().unwrap(), HeldPort::new().unwrap());
    let stranger = serve(&trusted, false).await;
    let seen = attack(&stranger, &port, &["--wait", "0"]).await;
    assert_eq!(seen.code, 3, "{}", seen.stderr);
    assert!(seen.stderr.contains("it answers 401") && seen.stderr.contains("--granted"), "{}", seen.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_lists_are_tried_where_that_is_said() {
    let port = HeldPort::new().unwrap();
    let url = serve(&port, false).await;
    let seen = attack(&url, &port, &["--only", "status"]).await;
    assert!(seen.code == 2 && seen.stderr.contains("--status-lists"), "{}", seen.stderr);
    // This one does not look at them, and what it lets in is named.
    let seen = attack(&url, &port, &["--only", "status", "--status-lists"]).await;
    assert!(seen.code == 1 && seen.stdout.contains("status"), "{}\n{}", seen.stdout, seen.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encrypted_tokens_are_tried_where_their_key_is_named() {
    let (port, key) = (HeldPort::new().unwrap(), DecryptionKey::generate(KeyManagement::EcdhEs, Some("1")).unwrap());
    let jwk = key.public_jwk().unwrap().to_string();
    let url = serve_as(&port, false, |api| api.encrypted_tokens(EncryptedTokens::with([key]))).await;
    let seen = attack(&url, &port, &["--only", "encryption", "--encrypt-to", &jwk]).await;
    assert_eq!(seen.code, 0, "{}\n{}", seen.stdout, seen.stderr);
    assert!(seen.stdout.contains("a good token, encrypted") && seen.stdout.lines().count() > 50, "{}", seen.stdout);
    // One that does not open them is found out by the good one.
    let others = DecryptionKey::generate(KeyManagement::EcdhEs, Some("1")).unwrap().public_jwk().unwrap().to_string();
    let seen = attack(&url, &port, &["--only", "encryption", "--encrypt-to", &others]).await;
    assert!(seen.code == 1 && seen.stderr.contains("1 findings"), "{}\n{}", seen.stdout, seen.stderr);
}

/// A service that sells tickets. A forgiving one redeems them for ever, since a cache before it answers as it did before.
async fn serve_tickets(issuer: &HeldPort, forgiving: bool) -> String {
    let trusted = Issuer::discover(format!("http://{}", issuer.address())).unwrap().allow_loopback_http();
    let api = ResourceServer::builder("https://api.example.com").trust(trusted).tickets(Tickets::in_memory());
    let api = api.build().unwrap();
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let cache = move |request: Request, next: Next| {
        let (seen, target) = (seen.clone(), request.uri().to_string());
        async move {
            if forgiving && seen.lock().unwrap().contains(&target) {
                return "everybody".into_response();
            }
            let answer = next.run(request).await;
            if answer.status().is_success() && target.contains("ticket=") {
                seen.lock().unwrap().push(target);
            }
            answer
        }
    };
    let app = Router::new()
        .route("/users", get(async || "everybody").layer(axum_token::require("read:users")))
        .route("/events", get(async || "what happens"))
        .route("/tickets", post(axum_token::ticket(api.clone())))
        .layer(axum_token::TokenLayer::new(api))
        .layer(from_fn(cache));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, app).into_future());
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tickets_are_tried_where_they_are_sold() {
    let port = HeldPort::new().unwrap();
    let url = serve_tickets(&port, false).await;
    // Half a minute each.
    const PATIENT: [&str; 4] =
        ["--except", "a ticket a second past its end", "--except", "a ticket whose token has ended since"];
    let at = ["--tickets-sold-at", "POST /tickets", "--tickets-redeemed-at", "GET /events", "--only", "tickets"];
    let seen = attack(&url, &port, &[&at[..], &PATIENT].concat()).await;
    assert_eq!(seen.code, 0, "{}\n{}", seen.stdout, seen.stderr);
    let tried = seen.stdout.lines().filter(|line| line.starts_with("ok    tickets")).count();
    assert!(tried >= 65 && seen.stdout.contains("a ticket for the second time"), "{}", seen.stdout);

    let forgiving = serve_tickets(&port, true).await;
    let seen = attack(&forgiving, &port, &[&at[..], &PATIENT].concat()).await;
    assert_eq!(seen.code, 1, "{}\n{}", seen.stdout, seen.stderr);
    assert!(seen.stdout.contains("FAIL  tickets       a ticket for the second time"), "{}", seen.stdout);

    for (words, expected) in [
        (&["--only", "tickets"][..], "--tickets-sold-at ROUTE"),
        (&["--tickets-sold-at", "POST /tickets"], "--tickets-redeemed-at"),
        (
            &["--tickets-sold-at", "tickets", "--tickets-redeemed-at", "/events"],
            "--tickets-sold-at \"tickets\": expected",
        ),
        (&["--revoked-at", "POST"], "--revoked-at \"POST\": expected a method"),
        (&["--proofs-alone-at", "GET /a b"], "--proofs-alone-at \"GET /a b\": expected a method"),
        (&["--page", "app.example.com"], "--page \"app.example.com\": expected the origin"),
    ] {
        let seen = attack(&url, &port, words).await;
        assert!(seen.code == 2 && seen.stderr.contains(expected), "{words:?}: {}", seen.stderr);
    }
}

/// A service that is not on a loopback address, as far as one can tell from its URL. It shows whatever text it is given.
async fn elsewhere(issuer: &HeldPort) -> (String, Arc<Mutex<String>>, Arc<AtomicUsize>) {
    let (text, asked) = (Arc::<Mutex<String>>::default(), Arc::<AtomicUsize>::default());
    let (shown, counted) = (text.clone(), asked.clone());
    let inner = serve(issuer, false).await;
    let show = move || {
        let text = shown.lock().unwrap().clone();
        async move { text }
    };
    let pass = move |request: Request| {
        counted.fetch_add(1, Ordering::SeqCst);
        let inner = inner.clone();
        async move {
            let mut target = Loopback::at(&inner).unwrap();
            let (parts, _) = request.into_parts();
            let mut on = axum::http::Request::new(bytes::Bytes::new());
            (*on.method_mut(), *on.uri_mut(), *on.headers_mut()) = (parts.method, parts.uri, parts.headers);
            for hop in ["host", "connection", "content-length"] {
                on.headers_mut().remove(hop);
            }
            target.send(on).await.map(|answer| answer.status()).map_err(|_| StatusCode::BAD_GATEWAY)
        }
    };
    let app = Router::new().route("/.well-known/token-attack.txt", get(show)).fallback(pass);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    // Reaches this machine, and is none of its loopback addresses.
    let url = format!("http://0.0.0.0:{}", listener.local_addr().unwrap().port());
    tokio::spawn(axum::serve(listener, app).into_future());
    (url, text, asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_elsewhere_gets_nothing_before_it_shows_whose_it_is() {
    let port = HeldPort::new().unwrap();
    let (url, text, asked) = elsewhere(&port).await;
    *text.lock().unwrap() = "the text of an earlier run".to_owned();
    let seen = attack(&url, &port, &["--wait", "1"]).await;
    assert_eq!(seen.code, 2, "{}", seen.stderr);
    assert!(seen.stderr.contains("it has not shown the text") && seen.stderr.contains("tunnel"), "{}", seen.stderr);
    assert_eq!(asked.load(Ordering::SeqCst), 0, "no request but for the text");

    proves_itself(&url, &port, &text, None).await;
    assert!(asked.load(Ordering::SeqCst) > 15);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_elsewhere_proves_itself_over_tls_too_when_its_certificate_is_good() {
    let port = HeldPort::new().unwrap();
    let (url, text, asked) = elsewhere(&port).await;
    let behind = url.strip_prefix("http://0.0.0.0:").unwrap().parse().unwrap();
    let url = support::tls_before((std::net::Ipv4Addr::LOCALHOST, behind).into()).await;

    let seen = attack(&url, &port, &["--wait", "1"]).await;
    assert_eq!((seen.code, asked.load(Ordering::SeqCst)), (2, 0), "nobody vouches for it: {}", seen.stderr);
    assert!(seen.stderr.contains("it has not shown the text"), "{}", seen.stderr);

    let root = std::env::temp_dir().join(format!("token-attack-root-{}.pem", std::process::id()));
    std::fs::write(&root, support::ROOT).unwrap();
    proves_itself(&url, &port, &text, Some(&root)).await;
    std::fs::remove_file(&root).unwrap();
    assert!(asked.load(Ordering::SeqCst) > 15);
}

/// Puts the text that the command prints where the service shows it; the attacks that follow are all refused.
async fn proves_itself(url: &str, port: &HeldPort, text: &Mutex<String>, root: Option<&Path>) {
    let words =
        ["attack", url, "--route", "GET /users", "--granted", "read:users", "--wait", "60", "--only", "key", "--port"];
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_token"));
    if let Some(root) = root {
        command.env("SSL_CERT_FILE", root);
    }
    let command = command.args(words).arg(port.port().to_string()).kill_on_drop(true);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let is_text = |line: &str| line.len() == 32 && line.bytes().all(|byte| byte.is_ascii_hexdigit());
    let printed = loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if is_text(line.trim()) {
            break line.trim().to_owned();
        }
    };
    *text.lock().unwrap() = printed;
    let mut said = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        said.push(line);
    }
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{said:?}");
    assert!(said.contains(&"it is yours".to_owned()) && said.last().unwrap().contains("0 findings"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_none_is_said() {
    for bad in ["ftp://api.example.com", "api.example.com", "http://"] {
        let seen = attack(bad, &HeldPort::new().unwrap(), &[]).await;
        assert_eq!(seen.code, 2, "{bad}: {}", seen.stderr);
        assert!(seen.stderr.contains("expected http:// or https://"), "{}", seen.stderr);
    }
}
