//! The documented stack of layers, and what happens where one of them stands elsewhere.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use axum_token::TokenLayer;
use http::{HeaderValue, Request, Response};
use token_core::ResourceServer;
use token_integrations::layers::{SECRETS, layers};
use tower::{ServiceBuilder, ServiceExt as _};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::CorsLayer;
use tower_http::request_id::{MakeRequestUuid, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::trace::{DefaultMakeSpan, DefaultOnResponse, TraceLayer};
use tracing::Level;
use tracing::field::Empty;
use tracing::subscriber::DefaultGuard;

use crate::{text, trusted};

const ORIGIN: &str = "https://app.example";

/// What operators read.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn listen() -> (Lines, DefaultGuard) {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    (lines, tracing::subscriber::set_default(subscriber))
}

fn read(lines: &Lines) -> String {
    String::from_utf8(std::mem::take(&mut *lines.0.lock().unwrap())).unwrap()
}

fn routes() -> Router {
    Router::new()
        .route("/", get(async || tracing::info!("handled")))
        .route("/long", get(async || "a".repeat(10_000)))
        .route("/panics", get(async || -> String { panic!("the password is hunter2") }))
        .route("/hangs", get(std::future::pending::<String>))
        .route("/", post(async |body: Bytes| body.len().to_string()))
}

fn documented(api: &ResourceServer) -> Router {
    layers(routes(), api.clone(), HeaderValue::from_static(ORIGIN))
}

fn from_a_page(method: &str, path: &str, token: Option<&str>) -> http::request::Builder {
    let request = Request::builder().method(method).uri(path).header("origin", ORIGIN);
    match token {
        Some(token) => request.header("authorization", format!("Bearer {token}")),
        None => request,
    }
}

async fn send(app: &Router, request: http::request::Builder) -> Response<Body> {
    app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

fn field<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

fn preflight() -> http::request::Builder {
    from_a_page("OPTIONS", "/", None)
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization")
}

#[tokio::test]
async fn a_preflight_request_passes_without_a_token() {
    let (_, api) = trusted().await;
    let response = send(&documented(&api), preflight()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(field(&response, "access-control-allow-origin"), Some(ORIGIN));
    assert_eq!(field(&response, "access-control-allow-headers"), Some("authorization"));

    let cors = CorsLayer::new().allow_origin(HeaderValue::from_static(ORIGIN));
    let misplaced = routes().layer(cors).layer(TokenLayer::new(api));
    assert_eq!(send(&misplaced, preflight()).await.status(), 401, "CORS inside of the token layer");
}

#[tokio::test]
async fn a_page_can_read_every_answer_and_the_number_to_ask_support_with() {
    let (issuer, api) = trusted().await;
    let app = documented(&api);
    let token = issuer.token().subject("ada").mint();
    for (path, token, status) in [
        ("/", Some(&*token), 200),
        ("/", None, 401),
        ("/", Some("junk"), 401),
        ("/panics", Some(&*token), 500),
        ("/nowhere", Some(&*token), 404),
        ("/nowhere", None, 401),
    ] {
        let response = send(&app, from_a_page("GET", path, token)).await;
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(field(&response, "access-control-allow-origin"), Some(ORIGIN), "{path} {status}");
        assert!(field(&response, "access-control-expose-headers").unwrap().contains("www-authenticate"));
        assert_eq!(field(&response, "www-authenticate").is_some(), status == 401, "{path} {status}");
        assert!(field(&response, "x-request-id").is_some_and(|id| id.len() == 36), "{path} {status}");
    }
}

#[tokio::test]
async fn a_panic_is_a_500_that_says_nothing() {
    let (issuer, api) = trusted().await;
    let token = issuer.token().mint();
    let response = send(&documented(&api), from_a_page("GET", "/panics", Some(&token))).await;
    assert_eq!((response.status().as_u16(), field(&response, "access-control-allow-origin")), (500, Some(ORIGIN)));
    let body = text(response.into_body()).await;
    assert!(!body.contains("hunter2") && !body.contains(&token), "{body}");

    let cors = CorsLayer::new().allow_origin(HeaderValue::from_static(ORIGIN));
    let misplaced = routes().layer(TokenLayer::new(api)).layer(cors).layer(CatchPanicLayer::new());
    let response = send(&misplaced, from_a_page("GET", "/panics", Some(&token))).await;
    assert_eq!((response.status().as_u16(), field(&response, "access-control-allow-origin")), (500, None));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_a_503_that_pages_can_read() {
    let api = given().0;
    let app = documented(&api);
    let response = send(&app, from_a_page("GET", "/hangs", Some(&given().1))).await;
    assert_eq!((response.status().as_u16(), field(&response, "access-control-allow-origin")), (503, Some(ORIGIN)));
}

/// A server whose key is given, for tests whose time stands still; and a token that it takes.
fn given() -> (ResourceServer, String) {
    use token_core::jose::signing::SigningKey;
    use token_core::{Algorithm, Issuer, StaticKeys};

    let keys = StaticKeys::secret(Algorithm::HS256, &[7; 32]).unwrap();
    let issuer = Issuer::with_keys("https://issuer.example", keys).unwrap();
    let api = ResourceServer::builder("api").trust(issuer).build().unwrap();
    let claims = r#"{"iss":"https://issuer.example","aud":"api","sub":"ada","exp":4102444800}"#;
    let key = SigningKey::from_secret(Algorithm::HS256, None, &[7; 32]).unwrap();
    (api, key.sign_jwt(r#"{"alg":"HS256"}"#, claims).unwrap())
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_before_the_token_is_looked_at() {
    let (_, api) = trusted().await;
    let app = documented(&api);
    let post = from_a_page("POST", "/", Some("junk")).header("content-length", 64 * 1024 + 1);
    let response = app.clone().oneshot(post.body(Body::from(vec![b'a'; 64 * 1024 + 1])).unwrap()).await.unwrap();
    assert_eq!((response.status().as_u16(), field(&response, "access-control-allow-origin")), (413, Some(ORIGIN)));
}

#[tokio::test]
async fn long_answers_are_compressed_and_caches_are_told() {
    let (issuer, api) = trusted().await;
    let token = issuer.token().mint();
    let request = from_a_page("GET", "/long", Some(&token)).header("accept-encoding", "gzip");
    let response = send(&documented(&api), request).await;
    assert_eq!((response.status().as_u16(), field(&response, "content-encoding")), (200, Some("gzip")));
    let vary: Vec<_> = response.headers().get_all("vary").iter().map(|value| value.to_str().unwrap()).collect();
    assert!(vary.contains(&"accept-encoding"), "{vary:?}");
}

#[tokio::test]
async fn the_span_names_request_and_caller_and_no_secret_even_where_headers_and_queries_are_sent() {
    let (issuer, api) = trusted().await;
    let token = issuer.token().subject("ada").mint();
    let app = documented(&api);
    // The first waits for the network.
    for _ in 0..2 {
        let (lines, _guard) = listen();
        let request = from_a_page("GET", "/?ticket=hunter2", Some(&token)).header("cookie", "session=hunter2");
        let response = send(&app, request).await;
        let log = read(&lines);
        let handled = log.lines().find(|line| line.contains("handled")).unwrap_or_else(|| panic!("{log}"));
        let id = field(&response, "x-request-id").unwrap();
        for expected in [&*format!("id=\"{id}\""), "token.subject=\"ada\"", "path=\"/\"", "method=\"GET\""] {
            assert!(handled.contains(expected), "{expected}: {handled}");
        }
        assert!(!log.contains(&token) && !log.contains("hunter2"), "{log}");
    }
}

#[tokio::test]
async fn a_refusal_is_logged_in_the_span_of_its_request_and_names_nobody() {
    let (issuer, api) = trusted().await;
    let expired = issuer.token().subject("lovelace").expired_ago(Duration::from_secs(3600)).mint();
    let (lines, _guard) = listen();
    let response = send(&documented(&api), from_a_page("GET", "/", Some(&expired))).await;
    let log = read(&lines);
    let refused = log.lines().find(|line| line.contains("request refused")).unwrap_or_else(|| panic!("{log}"));
    assert!(refused.contains(field(&response, "x-request-id").unwrap()), "{refused}");
    assert!(!log.contains(&expired) && !log.contains("lovelace") && !log.contains("handled"), "{log}");
}

/// A span that has the headers in it, which users turn on in development and forget.
fn with_headers()
-> TraceLayer<tower_http::classify::SharedClassifier<tower_http::classify::ServerErrorsAsFailures>, DefaultMakeSpan> {
    TraceLayer::new_for_http().make_span_with(DefaultMakeSpan::new().level(Level::INFO).include_headers(true))
}

#[tokio::test]
async fn headers_are_marked_as_secret_before_a_span_writes_them_down() {
    let (api, token) = given();
    let secrets = || SetSensitiveRequestHeadersLayer::new(SECRETS);
    let on_response = || with_headers().on_response(DefaultOnResponse::new().level(Level::INFO));
    let token_layer = || TokenLayer::new(api.clone());
    let documented = ServiceBuilder::new().layer(secrets()).layer(on_response()).layer(token_layer());
    let misplaced = ServiceBuilder::new().layer(on_response()).layer(secrets()).layer(token_layer());
    for (app, leaks) in [(routes().layer(documented), false), (routes().layer(misplaced), true)] {
        let (lines, _guard) = listen();
        assert_eq!(send(&app, from_a_page("GET", "/", Some(&token))).await.status(), 200);
        let log = read(&lines);
        assert_eq!((log.contains(&token), log.contains("Sensitive")), (leaks, !leaks), "{log}");
    }
}

#[tokio::test]
async fn a_span_inside_of_the_token_layer_knows_neither_caller_nor_refusals_and_one_before_the_id_has_none() {
    let (api, token) = given();
    let span = |request: &Request<Body>| {
        let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok());
        tracing::info_span!("request", id, token.subject = Empty)
    };
    let trace = || TraceLayer::new_for_http().make_span_with(span);
    let id = || SetRequestIdLayer::x_request_id(MakeRequestUuid);
    let token_layer = || TokenLayer::new(api.clone()).record_caller();
    let inside = routes().layer(ServiceBuilder::new().layer(id()).layer(token_layer()).layer(trace()));
    let before = routes().layer(ServiceBuilder::new().layer(trace()).layer(id()).layer(token_layer()));
    for (app, [names_caller, names_request, logs_refusal]) in
        [(inside, [false, true, false]), (before, [true, false, true])]
    {
        let (lines, _guard) = listen();
        send(&app, from_a_page("GET", "/", Some(&token))).await;
        let log = read(&lines);
        let handled = log.lines().find(|line| line.contains("handled")).unwrap();
        assert_eq!(handled.contains("token.subject"), names_caller, "{handled}");
        assert_eq!(handled.contains("request{id="), names_request, "{handled}");
        send(&app, from_a_page("GET", "/", Some("junk"))).await;
        let log = read(&lines);
        let refused = log.lines().find(|line| line.contains("request refused")).unwrap();
        assert_eq!(refused.contains("request{") || refused.contains("request:"), logs_refusal, "{refused}");
    }
}
