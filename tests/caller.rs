//! Who the caller is in the application's own span: where a layer is told to say so, in the fields that the span has, and nowhere else.

use std::io;
use std::sync::{Arc, Mutex};

use actix_web::{App, web};
use axum::Router;
use axum::routing::get;
use serde_json::json;
use token_core::policy::Policy;
use token_core::reload::Reload;
use token_core::{Issuer, ResourceServer};
use token_test::TestIssuer;
use tower::ServiceExt as _;
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span};
use tracing_subscriber::fmt::MakeWriter;

/// What operators read.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        let lines = Self::default();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(lines.clone()).finish();
        (lines, tracing::subscriber::set_default(subscriber))
    }

    /// The line that a handler wrote, without what was there before it.
    fn handled(&self) -> String {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        text.lines().find(|line| line.contains("handled")).unwrap_or_default().to_owned()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// As an application makes one for each request.
fn span() -> Span {
    info_span!("request", token.subject = Empty, token.client_id = Empty)
}

async fn handler() -> &'static str {
    tracing::info!("handled");
    "ok"
}

struct Caller {
    api: ResourceServer,
    token: String,
    issuer: TestIssuer,
}

/// Its first request waits for keys, the next ones do not.
async fn caller() -> Caller {
    let issuer = TestIssuer::start().await;
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).build().unwrap();
    let token = issuer.token().subject("ada\nlovelace").claim("client_id", "web").mint();
    Caller { api, token, issuer }
}

/// One request through axum, one through actix-web: what their handlers' lines say.
async fn lines(Caller { api, token, .. }: &Caller, records: bool) -> [String; 2] {
    let (log, _guard) = Lines::listen();
    let (mut layer, mut middleware) =
        (axum_token::TokenLayer::new(api.clone()), actix_token::TokenMiddleware::new(api.clone()));
    if records {
        (layer, middleware) = (layer.record_caller(), middleware.record_caller());
    }
    let bearer = format!("Bearer {token}");
    let router = Router::new().route("/", get(handler)).layer(layer);
    let request = http::Request::get("/").header("authorization", &bearer).body(axum::body::Body::empty()).unwrap();
    let response = router.oneshot(request).instrument(span()).await.unwrap();
    assert_eq!(response.status(), 200);
    let axum = log.handled();

    let app = App::new().wrap(middleware).route("/", web::get().to(handler));
    let app = actix_web::test::init_service(app).await;
    let request = actix_web::test::TestRequest::get().uri("/").insert_header(("authorization", bearer)).to_request();
    let response = actix_web::test::call_service(&app, request).instrument(span()).await;
    assert_eq!(response.status(), 200);
    [axum, log.handled()]
}

#[actix_web::test]
async fn the_caller_is_in_the_applications_span_where_the_layer_is_told_to() {
    let caller = caller().await;
    // The first waits for the network.
    for line in lines(&caller, true).await.into_iter().chain(lines(&caller, true).await) {
        assert!(line.contains(r#"token.subject="ada\nlovelace""#), "one line, whatever is in it: {line}");
        assert!(line.contains(r#"token.client_id="web""#), "{line}");
        // This span has no field for it.
        assert!(!line.contains("token.issuer") && !line.contains(caller.issuer.url()), "{line}");
        assert!(!line.contains(&caller.token), "{line}");
    }
}

#[actix_web::test]
async fn a_policy_asks_for_it_too_and_a_file_that_is_followed_takes_it_back() {
    let mut caller = caller().await;
    let policy = |record_caller: bool| {
        json!({
            "audience": caller.issuer.audience(),
            "record_caller": record_caller,
            "issuers": [{"issuer": caller.issuer.url(), "allow_loopback_http": true}],
        })
        .to_string()
    };
    let text = policy(true);
    let read = Policy::from_json(&text).unwrap();
    caller.api = read.server().unwrap();
    assert_eq!(*caller.api.policy(), read, "what was built says the same");
    assert!(read.to_string().contains("writes who the caller is"), "{read}");
    // The first waits for the network.
    for line in lines(&caller, false).await.into_iter().chain(lines(&caller, false).await) {
        assert!(line.contains(r#"token.subject="ada\nlovelace""#), "{line}");
    }

    let file = std::env::temp_dir().join(format!("token-caller-{}.json", std::process::id()));
    std::fs::write(&file, policy(false)).unwrap();
    let followed = Reload::start(&file, |builder| builder).unwrap();
    caller.api = followed.server();
    for (record_caller, named) in [(false, false), (true, true), (false, false)] {
        std::fs::write(&file, policy(record_caller)).unwrap();
        followed.check().await;
        for line in lines(&caller, false).await {
            assert!(line.contains("handled") && line.contains("token.subject") == named, "{record_caller}: {line}");
        }
    }
    std::fs::remove_file(&file).unwrap();
}

#[actix_web::test]
async fn nobody_is_named_in_a_span_unless_the_layer_is_told_to() {
    let caller = caller().await;
    for line in lines(&caller, false).await {
        assert!(line.contains("handled") && !line.contains("ada") && !line.contains("token.subject"), "{line}");
    }
}
