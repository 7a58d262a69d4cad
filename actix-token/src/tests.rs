//! Requests through an application with the middleware, extractors and guards: what each combination answers.

use std::cell::Cell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use actix_cors::Cors;
use actix_web::body::{BoxBody, EitherBody, to_bytes};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::{Condition, Next, from_fn};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, HttpMessage, HttpResponse, Route, web};
use token_core::http::BoxFuture;
use token_core::jose::signing::SigningKey;
use token_core::keys::{FetchError, FetchedKeys, KeySource};

use crate::{
    Algorithm, Authenticated, Claims, Error, ErrorKind, Issuer, MaybeAuthenticated, Outcome, Rejection, ResourceServer,
    Scoped, StaticKeys, TokenMiddleware, require, scopes,
};

const SECRET: [u8; 32] = [7; 32];

scopes! {
    ReadUsers = "read:users",
    Editor = any("admin", all("read", "write")),
}

#[derive(serde::Deserialize)]
struct User {
    sub: String,
}

#[derive(serde::Deserialize)]
struct Employee {
    #[allow(dead_code)]
    number: u64,
}

fn middleware() -> TokenMiddleware {
    let keys = StaticKeys::secret(Algorithm::HS256, &SECRET).unwrap();
    let issuer = Issuer::with_keys("https://issuer.example", keys).unwrap();
    TokenMiddleware::new(ResourceServer::builder("https://api.example").trust(issuer).build().unwrap())
}

fn token(scope: &str) -> String {
    let key = SigningKey::from_secret(Algorithm::HS256, None, &SECRET).unwrap();
    sign(&key, r#"{"alg":"HS256"}"#, "https://issuer.example", scope)
}

fn sign(key: &SigningKey, header: &str, issuer: &str, scope: &str) -> String {
    let claims =
        format!(r#"{{"iss":"{issuer}","aud":"https://api.example","sub":"ada","exp":4102444800,"scope":"{scope}"}}"#);
    key.sign_jwt(header, &claims).unwrap()
}

fn request(token: Option<&str>) -> TestRequest {
    let request = TestRequest::with_uri("/");
    match token {
        Some(token) => request.insert_header((header::AUTHORIZATION, format!("Bearer {token}"))),
        None => request,
    }
}

/// Asks an application of one route, wrapped in `middleware` or in nothing.
async fn ask(
    middleware: Option<TokenMiddleware>,
    route: Route,
    request: TestRequest,
) -> ServiceResponse<EitherBody<BoxBody>> {
    let wrapped = Condition::new(middleware.is_some(), middleware.unwrap_or_else(self::middleware));
    let app = init_service(App::new().wrap(wrapped).route("/", route)).await;
    call_service(&app, request.to_request()).await.map_body(|_, body| match body {
        EitherBody::Left { body } => body,
        EitherBody::Right { body } => EitherBody::left(body),
    })
}

async fn text(response: ServiceResponse<EitherBody<BoxBody>>) -> String {
    String::from_utf8(to_bytes(response.into_body()).await.unwrap().to_vec()).unwrap()
}

fn challenge<B>(response: &ServiceResponse<B>) -> Option<&str> {
    response.headers().get(header::WWW_AUTHENTICATE).map(|value| value.to_str().unwrap())
}

/// One handler for each extractor, by its name.
fn handlers() -> Vec<(&'static str, Route)> {
    async fn by_hand(Authenticated(token): Authenticated) -> Result<String, Rejection> {
        token.require(&"read:users".into())?;
        Ok(token.claims::<User>()?.sub.clone())
    }
    async fn optional(MaybeAuthenticated(caller): MaybeAuthenticated) -> String {
        caller.map_or("nobody".into(), |token| token.subject().unwrap().into())
    }
    vec![
        (
            "authenticated",
            web::get().to(async |Authenticated(token): Authenticated| token.subject().unwrap().to_owned()),
        ),
        ("optional", web::get().to(optional)),
        ("claims", web::get().to(async |Claims(user): Claims<User>| user.sub.clone())),
        ("scoped", web::get().to(async |caller: Scoped<ReadUsers>| caller.subject().unwrap().to_owned())),
        ("editor", web::get().to(async |_: Scoped<Editor>| "ada")),
        ("employee", web::get().to(async |_: Claims<Employee>| "ada")),
        ("by hand", web::get().to(by_hand)),
        ("guarded", web::get().to(async || "ada").wrap(require("read:users"))),
    ]
}

#[actix_web::test]
async fn each_extractor_answers_what_its_callers_deserve() {
    // anonymous where that is allowed, a token without scopes, a reader
    let table = [
        ("authenticated", 401, 200, 200),
        ("optional", 200, 200, 200),
        ("claims", 401, 200, 200),
        ("scoped", 401, 403, 200),
        ("editor", 401, 403, 403),
        ("employee", 401, 401, 401),
        ("by hand", 401, 403, 200),
        ("guarded", 401, 403, 200),
    ];
    let callers: [(Option<String>, _); 4] =
        [(None, "nobody"), (Some(token("")), "ada"), (Some(token("read:users")), "ada"), (Some("junk".into()), "")];
    for (caller, (sent, who)) in callers.into_iter().enumerate() {
        for ((name, handler), row) in handlers().into_iter().zip(table) {
            assert_eq!(name, row.0);
            let expected = [row.1, row.2, row.3, 401][caller];
            let response = ask(Some(middleware().allow_anonymous()), handler, request(sent.as_deref())).await;
            assert_eq!(response.status(), expected, "{name}, {who}");
            assert_eq!(challenge(&response).is_some(), expected != 200, "{name}, {who}");
            assert_eq!(response.response().extensions().contains::<Error>(), expected != 200, "{name}, {who}");
            if expected == 200 {
                assert_eq!(text(response).await, who, "{name}");
            } else {
                assert_eq!(response.headers().get(header::CONTENT_TYPE).unwrap(), "application/problem+json");
                let body: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
                assert_eq!(body["status"], expected, "{name}, {who}");
            }
        }
    }
}

#[actix_web::test]
async fn two_credentials_are_a_400() {
    let twice = request(Some(&token(""))).append_header((header::AUTHORIZATION, "Bearer again"));
    let response = ask(Some(middleware()), web::get().to(async || ""), twice).await;
    assert_eq!(response.status(), 400);
    assert!(challenge(&response).unwrap().starts_with(r#"Bearer error="invalid_request""#));
}

#[actix_web::test]
async fn the_challenge_names_what_would_satisfy_the_rule() {
    for (handler, scope) in [
        (web::get().to(async |_: Scoped<ReadUsers>| ""), "read:users"),
        (web::get().to(async |_: Scoped<Editor>| ""), "admin"),
        (web::get().to(async || "").wrap(require("a")), "a"),
    ] {
        let response = ask(Some(middleware()), handler, request(Some(&token("b")))).await;
        let expected = format!(
            r#"Bearer error="insufficient_scope", error_description="the access token lacks a scope that is needed here", scope="{scope}""#
        );
        assert_eq!((response.status().as_u16(), challenge(&response)), (403, Some(&*expected)));
    }
}

#[actix_web::test]
async fn without_the_middleware_nobody_gets_in_and_nobody_is_anonymous() {
    for sent in [None, Some(token("read:users"))] {
        for (name, handler) in handlers() {
            let (log, _guard) = Log::listen();
            let response = ask(None, handler, request(sent.as_deref())).await;
            assert_eq!((response.status().as_u16(), challenge(&response)), (500, None), "{name}");
            assert!(!text(response).await.contains("TokenMiddleware"), "{name}");
            let lines = log.lines();
            assert!(
                lines.len() == 1 && lines[0].contains("ERROR") && lines[0].contains("TokenMiddleware"),
                "{lines:?}"
            );
        }
    }
}

#[actix_web::test]
async fn the_operators_body_takes_the_place_of_every_default_body_and_of_nothing_else() {
    let middleware = middleware().rejection(|error| ("text/plain", error.kind().name()));
    for (sent, expected) in [(None, "missing_token"), (Some(token("other")), "insufficient_scope")] {
        for handler in
            [web::get().to(async |_: Scoped<ReadUsers>| ""), web::get().to(async || "").wrap(require("read:users"))]
        {
            let response = ask(Some(middleware.clone()), handler, request(sent.as_deref())).await;
            assert!(challenge(&response).is_some());
            assert_eq!(response.headers().get(header::CONTENT_TYPE).unwrap(), "text/plain");
            assert_eq!(text(response).await, expected);
        }
    }
    async fn own() -> HttpResponse {
        let mut response =
            HttpResponse::from_error(Rejection::from(Error::new(ErrorKind::ClaimsMismatch, "the handler says so")));
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/html"));
        response.set_body(BoxBody::new("<p>own</p>"))
    }
    let response = ask(Some(middleware), web::get().to(own), request(Some(&token("")))).await;
    assert_eq!((response.status().as_u16(), text(response).await.as_str()), (401, "<p>own</p>"));
}

#[actix_web::test]
async fn it_guards_one_scope_and_leaves_the_rest_alone() {
    let app = init_service(
        App::new()
            .service(
                web::scope("/api")
                    .wrap(require("read:users"))
                    .wrap(middleware())
                    .route("/users", web::get().to(async |Claims(user): Claims<User>| user.sub.clone())),
            )
            .route("/public", web::get().to(async || "open")),
    )
    .await;
    for (path, sent, status) in [
        ("/public", None, 200),
        ("/nowhere", None, 404),
        ("/api/users", None, 401),
        ("/api/users", Some(token("write:users")), 403),
        ("/api/users", Some(token("read:users")), 200),
    ] {
        let response = call_service(&app, request(sent.as_deref()).uri(path).to_request()).await;
        assert_eq!(response.status(), status, "{path}");
    }
}

#[actix_web::test]
async fn preflights_pass_and_refusals_can_be_read_by_a_page_when_cors_is_outside() {
    let app = init_service(
        App::new()
            .wrap(require("write"))
            .wrap(middleware())
            .wrap(Cors::permissive())
            .route("/", web::get().to(async || "")),
    )
    .await;
    let origin = (header::ORIGIN, "https://page.example");
    let preflight = TestRequest::with_uri("/")
        .method(Method::OPTIONS)
        .insert_header(origin.clone())
        .insert_header((header::ACCESS_CONTROL_REQUEST_METHOD, "GET"))
        .insert_header((header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization"));
    let response = call_service(&app, preflight.to_request()).await;
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_HEADERS));

    for (sent, status) in [(None, 401), (Some(token("read")), 403)] {
        let response = call_service(&app, request(sent.as_deref()).insert_header(origin.clone()).to_request()).await;
        assert_eq!(response.status(), status);
        assert!(response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
        assert!(challenge(&response).is_some());
    }
}

/// An issuer whose keys come at the second poll, or never.
#[derive(Debug)]
struct SlowIssuer {
    good: bool,
}

impl SlowIssuer {
    fn key() -> SigningKey {
        let pem = include_bytes!("../../token-core/src/jose/testdata/p256.pem");
        SigningKey::from_pem(Algorithm::ES256, Some("slow"), pem).unwrap()
    }
}

impl KeySource for SlowIssuer {
    fn fetch(&self) -> BoxFuture<'_, Result<FetchedKeys, FetchError>> {
        Box::pin(async {
            tokio::task::yield_now().await;
            match self.good {
                true => Ok(FetchedKeys::new(format!(r#"{{"keys":[{}]}}"#, Self::key().public_jwk().unwrap()))),
                false => Err(FetchError::Other { why: "the cable is out".into(), outage: true }),
            }
        })
    }
}

#[actix_web::test]
async fn a_request_waits_for_a_key_and_goes_on_or_is_told_when_to_come_back() {
    let token = sign(&SlowIssuer::key(), r#"{"alg":"ES256","kid":"slow"}"#, "https://slow.example", "");
    for (good, status) in [(true, 200), (false, 503)] {
        let (log, _guard) = Log::listen();
        let issuer = Issuer::with_source("https://slow.example", Arc::new(SlowIssuer { good })).unwrap();
        let api = ResourceServer::builder("https://api.example").trust(issuer).build().unwrap();
        let handler = web::get().to(async |Claims(user): Claims<User>| user.sub.clone());
        let response = ask(Some(TokenMiddleware::new(api)), handler, request(Some(&token))).await;
        assert_eq!((response.status().as_u16(), challenge(&response)), (status, None));
        let refusals: Vec<_> = log.lines().into_iter().filter(|line| line.contains("request refused")).collect();
        if good {
            assert_eq!(text(response).await, "ada");
            assert!(refusals.is_empty(), "{refusals:?}");
        } else {
            let seconds: u64 = response.headers().get(header::RETRY_AFTER).unwrap().to_str().unwrap().parse().unwrap();
            assert!(seconds >= 1);
            assert!(refusals.len() == 1 && refusals[0].starts_with("WARN"), "{refusals:?}");
        }
    }
}

#[actix_web::test]
async fn a_refusal_is_logged_once_whoever_refuses_and_never_with_the_token() {
    for (sent, scope) in [("canary.canary.canary".to_owned(), "read"), (token("read"), "write")] {
        for handler in [web::get().to(async || "").wrap(require(scope)), web::get().to(async |_: Scoped<Editor>| "")] {
            let (log, _guard) = Log::listen();
            let app = init_service(App::new().wrap(middleware()).wrap(middleware()).route("/", handler)).await;
            call_service(&app, request(Some(&sent)).to_request()).await;
            let lines = log.lines();
            assert!(lines.len() == 1 && lines[0].starts_with("DEBUG") && lines[0].contains("kind="), "{lines:?}");
            assert!(!lines[0].contains("canary") && !lines[0].contains("eyJ"), "{lines:?}");
        }
    }
}

#[actix_web::test]
async fn a_middleware_inside_may_refuse_with_an_error_and_it_is_logged_too() {
    async fn nobody(
        _: Scoped<Editor>,
        _: ServiceRequest,
        _: Next<BoxBody>,
    ) -> Result<ServiceResponse, actix_web::Error> {
        panic!("the extractor lets nobody reach this")
    }
    let (log, _guard) = Log::listen();
    let app = App::new().wrap(from_fn(nobody)).wrap(middleware()).route("/", web::get().to(async || ""));
    let app = init_service(app).await;
    let error = app.call(request(Some(&token("read"))).to_request()).await.unwrap_err();
    assert_eq!(error.as_error::<Rejection>().unwrap().kind(), ErrorKind::InsufficientScope);
    assert_eq!(error.error_response().status(), 403);
    assert_eq!(log.lines().len(), 1, "{:?}", log.lines());
}

#[actix_web::test]
async fn a_request_that_need_not_wait_reaches_the_inner_service_before_anything_is_polled() {
    let reached = Rc::new(Cell::new(false));
    let seen = Rc::clone(&reached);
    let app = App::new()
        .wrap_fn(move |request, inner| {
            seen.set(matches!(request.extensions().get(), Some(Outcome::Verified(_))));
            inner.call(request)
        })
        .wrap(middleware())
        .route("/", web::get().to(async || "in"));
    let app = init_service(app).await;
    let future = app.call(request(Some(&token(""))).to_request());
    assert!(reached.get());
    assert_eq!(read_body(future.await.unwrap()).await, "in");
}

#[test]
fn debug_shows_no_claim() {
    let claims = Claims(Arc::new(User { sub: "canary".into() }));
    assert!(!format!("{claims:?} {:?}", claims.clone()).contains("canary"));
    assert_eq!(claims.0.sub, "canary");
}

/// The events of this thread, one line each.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Listens until the guard is dropped.
    fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let guard = tracing::subscriber::set_default(log.clone());
        (log, guard)
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("token")
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = event.metadata().level().to_string();
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            write!(line, " {field}={value:?}").unwrap();
        });
        self.0.lock().unwrap().push(line);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}
