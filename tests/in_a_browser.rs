//! A page in headless Chromium opens an `EventSource` and a `WebSocket` with tickets: what browsers really send is what tickets are held to.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::response::sse::{Event, Sse};
use axum::response::{Html, Response};
use axum::routing::{any, get, post};
use axum_token::{Authenticated, TokenLayer};
use futures_util::stream;
use token_core::revocation::{Deny, MemoryDenyList};
use token_core::streams::Tickets;
use token_core::{Issuer, ResourceServer, Timestamp};
use token_test::TestIssuer;

use crate::browser::Browser;

/// Buys tickets with the token that the test puts there, and writes down what comes of them.
const PAGE: &str = r"<!doctype html><title>tickets</title><script>
const log = [];
const buy = async (path) => {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const answer = await fetch('/tickets', { method: 'POST', headers, body: JSON.stringify({ path }) });
  return (await answer.json()).ticket;
};
const listen = (ticket) => {
  const events = new EventSource(`/events?ticket=${ticket}`);
  events.onmessage = ({ data }) => log.push(data);
  events.addEventListener('token-ended', ({ data }) => log.push(`ended: ${data}`));
  events.onerror = () => { if (events.readyState === EventSource.CLOSED) log.push('gave up'); };
};
const talk = (host, ticket) => {
  const socket = new WebSocket(`ws://${host}/socket?ticket=${ticket}`);
  socket.onopen = () => socket.send('hello');
  socket.onmessage = ({ data }) => { log.push(`socket: ${data}`); socket.close(); };
  socket.onerror = () => log.push('no socket');
};
</script>";

async fn events(Authenticated(token): Authenticated) -> Sse<impl stream::Stream<Item = Result<Event, Infallible>>> {
    let first = Event::default().data(token.subject().unwrap_or_default());
    let events = stream::StreamExt::chain(stream::iter([Ok(first)]), stream::pending());
    let events = token.while_valid(events).checking_every(Duration::from_secs(1));
    Sse::new(events.and_last(|end| Ok(Event::default().event("token-ended").data(end.reason()))))
}

async fn socket(Authenticated(token): Authenticated, upgrade: WebSocketUpgrade) -> Response {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_opens_streams_with_tickets_once_and_they_end_with_the_token() {
    let issuer = TestIssuer::start().await;
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).deny_list(MemoryDenyList::new());
    let api = api.tickets(Tickets::in_memory().life(Duration::from_secs(300))).build().unwrap();
    api.ready().await.unwrap();
    let guarded = Router::new()
        .route("/events", get(events))
        .route("/socket", any(socket))
        .route("/tickets", post(axum_token::ticket(api.clone())))
        .layer(TokenLayer::new(api.clone()));
    let app = Router::new().route("/", get(async || Html(PAGE))).merge(guarded);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let folder = std::env::temp_dir().join(format!("token-tickets-{}", std::process::id()));
    let host = format!("127.0.0.1:{port}");
    let mut page = Browser::open(&folder.join("page"), &format!("http://{host}/")).await;
    page.until("document.title", "tickets").await;
    let token = issuer.token().subject("ada").claim("jti", "1").mint();
    page.read(&format!("window.token = '{token}'; ''")).await;

    // A WebSocket of the page: its browser sends `Origin`.
    page.read(&format!("buy('/socket').then((ticket) => talk('{host}', ticket)); ''")).await;
    page.until("log.at(-1)", "socket: hello").await;
    // An EventSource of the page's own origin: its browser sends no `Origin`, and `Sec-Fetch-Site` in its place.
    let ticket = page.read("buy('/events')").await;
    assert_eq!(ticket.len(), 43, "{ticket}");
    page.read(&format!("listen('{ticket}'); ''")).await;
    page.until("log.at(-1)", "ada").await;
    page.read(&format!("listen('{ticket}'); ''")).await;
    page.until("log.at(-1)", "gave up").await;
    // A ticket for one path opens no other.
    page.read(&format!("buy('/events').then((ticket) => talk('{host}', ticket)); ''")).await;
    page.until("log.at(-1)", "no socket").await;

    // A page of another origin has got hold of a ticket.
    let stolen = page.read("buy('/socket')").await;
    let mut other = Browser::open(&folder.join("other"), &format!("http://localhost:{port}/")).await;
    other.until("document.title", "tickets").await;
    other.read(&format!("talk('{host}', '{stolen}'); ''")).await;
    other.until("log.at(-1)", "no socket").await;

    // A page at another name of the same server, for which that is its own origin: neither browser sends one.
    let stolen = page.read("buy('/events')").await;
    other.read(&format!("listen('{stolen}'); ''")).await;
    other.until("log.at(-1)", "gave up").await;

    // The stream that is open ends with its token; the browser comes back with the same ticket, is refused, and gives up.
    let until = Timestamp::from_secs(4_000_000_000);
    api.deny(Deny::token_id(issuer.url(), "1"), until).await.unwrap();
    page.until("log.filter((line) => line.startsWith('ended: ')).length", "1").await;
    page.until("log.at(-1)", "gave up").await;
    assert_eq!(page.read("buy('/events').then(String)").await, "undefined", "a revoked token buys nothing");
    serving.abort();
    let _ = std::fs::remove_dir_all(&folder);
}
