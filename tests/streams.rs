//! Answers that outlive a request end with their token, in axum and actix-web, over real HTTP: server-sent events by a last event, WebSockets by their close
//! code; opened with the token in a header, and with a ticket for it. The token lives by the leeway alone: it is served to the end of it, and refused with 401 when it comes back, so that nobody reconnects for ever.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::web;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::response::sse::{Event, Sse};
use futures_util::{SinkExt, StreamExt, stream};
use token_core::streams::Tickets;
use token_core::{Clock, Issuer, ResourceServer};
use token_test::{ManualClock, TestIssuer};
use tokio::sync::Barrier;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

const LAST: &str = "the access token expired";
/// How long an end is waited for that comes within a second.
const PATIENCE: Duration = Duration::from_secs(120);

async fn axum_events(
    axum_token::Authenticated(token): axum_token::Authenticated,
) -> Sse<impl stream::Stream<Item = Result<Event, std::convert::Infallible>>> {
    let events = stream::once(async { Ok(Event::default().data("first")) }).chain(stream::pending());
    Sse::new(token.while_valid(events).and_last(|end| Ok(Event::default().event("token-ended").data(end.reason()))))
}

async fn axum_socket(
    axum_token::Authenticated(token): axum_token::Authenticated,
    upgrade: WebSocketUpgrade,
) -> axum::response::Response {
    upgrade.on_upgrade(async move |socket| {
        axum_token::while_valid(socket, &token, async |socket: &mut WebSocket| {
            while let Some(Ok(message)) = socket.recv().await {
                if socket.send(message).await.is_err() {
                    return;
                }
            }
        })
        .await;
    })
}

async fn actix_events(actix_token::Authenticated(token): actix_token::Authenticated) -> actix_web::HttpResponse {
    let event = |text: String| Ok::<_, actix_web::Error>(web::Bytes::from(text));
    let events = stream::once(async { Ok(web::Bytes::from("data: first\n\n")) }).chain(stream::pending());
    let events =
        token.while_valid(events).and_last(move |end| event(format!("event: token-ended\ndata: {}\n\n", end.reason())));
    actix_web::HttpResponse::Ok().content_type("text/event-stream").streaming(events)
}

async fn actix_socket(
    actix_token::Authenticated(token): actix_token::Authenticated,
    request: actix_web::HttpRequest,
    body: web::Payload,
) -> Result<actix_web::HttpResponse, actix_web::Error> {
    let (response, session, mut messages) = actix_ws::handle(&request, body)?;
    actix_web::rt::spawn(async move {
        let mut answers = session.clone();
        let talk = async move {
            while let Some(Ok(message)) = messages.recv().await {
                if let actix_ws::Message::Text(text) = message {
                    answers.text(text).await.unwrap();
                }
            }
        };
        actix_token::while_valid(session, &token, talk).await;
    });
    Ok(response)
}

/// How a stream is opened: with the token in a header, or with a ticket for it.
#[derive(Clone, Copy, Debug)]
enum Way {
    Header,
    Ticket,
}

/// An API that listens, and the clock by which it judges: a token has one second left until all streams are open, however long that takes.
struct Stage<'a> {
    at: SocketAddr,
    issuer: &'a TestIssuer,
    clock: &'a ManualClock,
    open: Barrier,
}

impl Stage<'_> {
    fn mint(&self) -> String {
        format!("Bearer {}", self.issuer.token().claim("exp", self.clock.now().as_secs() - 29).mint())
    }

    /// One more stream is open; when all are, their tokens end.
    async fn is_open(&self) {
        if self.open.wait().await.is_leader() {
            self.clock.advance(Duration::from_secs(2));
        }
    }
}

/// What opens `path`: its target, and a token for the header.
async fn opening(stage: &Stage<'_>, way: Way, path: &str) -> (String, Option<String>) {
    let (at, token) = (stage.at, stage.mint());
    let Way::Ticket = way else { return (path.to_owned(), Some(token)) };
    let asked = reqwest::Client::new().post(format!("http://{at}/tickets")).header("authorization", &token);
    let answer = asked.body(serde_json::json!({ "path": path }).to_string()).send().await.unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    (format!("{path}?ticket={}", answer["ticket"].as_str().unwrap()), None)
}

async fn events_end(stage: &Stage<'_>, way: Way) {
    let (target, token) = opening(stage, way, "/events").await;
    let client = reqwest::Client::new();
    let ask = || {
        let request = client.get(format!("http://{}{target}", stage.at)).header("accept", "text/event-stream");
        token.iter().fold(request, |request, token| request.header("authorization", token)).send()
    };
    let mut events = ask().await.unwrap();
    assert_eq!(events.status(), 200, "{way:?}");
    assert_eq!(events.chunk().await.unwrap().as_deref(), Some(&b"data: first\n\n"[..]), "{way:?}");
    stage.is_open().await;
    let text = tokio::time::timeout(PATIENCE, events.text()).await.expect("the stream ends").unwrap();
    assert_eq!(text, format!("event: token-ended\ndata: {LAST}\n\n"), "{way:?}");
    assert_eq!(ask().await.unwrap().status(), 401, "{way:?}: a client that comes back gets no second stream");
}

async fn sockets_end(stage: &Stage<'_>, way: Way) {
    let (target, token) = opening(stage, way, "/socket").await;
    let request = || {
        let mut request = format!("ws://{}{target}", stage.at).into_client_request().unwrap();
        if let Some(token) = &token {
            request.headers_mut().insert("authorization", token.parse().unwrap());
        }
        request
    };
    let (mut socket, _) = tokio_tungstenite::connect_async(request()).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"), "{way:?}");
    stage.is_open().await;
    let closed = tokio::time::timeout(PATIENCE, socket.next()).await.expect("the socket is closed");
    let Some(Ok(Message::Close(Some(frame)))) = closed else { panic!("expected a close frame, got {closed:?}") };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (3000, LAST), "{way:?}");
    match tokio_tungstenite::connect_async(request()).await {
        Err(WsError::Http(response)) => assert_eq!(response.status(), 401, "{way:?}"),
        other => panic!("expected a 401, got {other:?}"),
    }
}

async fn check(at: SocketAddr, issuer: &TestIssuer, clock: &ManualClock) {
    let stage = &Stage { at, issuer, clock, open: Barrier::new(4) };
    tokio::join!(
        events_end(stage, Way::Header),
        events_end(stage, Way::Ticket),
        sockets_end(stage, Way::Header),
        sockets_end(stage, Way::Ticket),
    );
}

async fn issuer(clock: &ManualClock) -> TestIssuer {
    TestIssuer::builder().clock(clock.clone()).start().await
}

async fn server(issuer: &TestIssuer, clock: &ManualClock) -> ResourceServer {
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).clock(clock.clone());
    let api = api.tickets(Tickets::in_memory()).build().unwrap();
    api.ready().await.unwrap();
    api
}

#[actix_web::test]
async fn streams_of_axum_end_with_their_token() {
    let clock = ManualClock::default();
    let issuer = issuer(&clock).await;
    let api = server(&issuer, &clock).await;
    let app = axum::Router::new()
        .route("/events", axum::routing::get(axum_events))
        .route("/socket", axum::routing::any(axum_socket))
        .route("/tickets", axum::routing::post(axum_token::ticket(api.clone())))
        .layer(axum_token::TokenLayer::new(api));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    check(at, &issuer, &clock).await;
    serving.abort();
}

#[actix_web::test]
async fn streams_of_actix_web_end_with_their_token() {
    let clock = ManualClock::default();
    let issuer = issuer(&clock).await;
    let api = server(&issuer, &clock).await;
    let server = actix_web::HttpServer::new(move || {
        actix_web::App::new()
            .wrap(actix_token::TokenMiddleware::new(api.clone()))
            .route("/events", web::get().to(actix_events))
            .route("/socket", web::get().to(actix_socket))
            .route("/tickets", web::post().to(actix_token::ticket(api.clone())))
    });
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let at = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    let running = actix_web::rt::spawn(server);
    check(at, &issuer, &clock).await;
    handle.stop(false).await;
    running.await.unwrap().unwrap();
}
