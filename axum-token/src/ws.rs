//! An open WebSocket and the token it was opened with, in; the one closed with the other, out (RFC 6455 section 7.4).

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use token_core::Verified;
use token_core::streams::StreamEnd;

/// Runs `session` on an open WebSocket until it returns, or until the token ends: at `exp` and leeway, or earlier when it is revoked
/// ([`Verified::until_expiry`]). Then `session` is dropped where it waits, and the socket is closed with code 3000, unauthorized, and a sentence that says
/// why. A client that comes back with the same token gets a 401.
///
/// ```no_run
/// use axum::extract::ws::{WebSocket, WebSocketUpgrade};
/// use axum::response::Response;
/// use axum_token::{Authenticated, while_valid};
///
/// async fn echo(Authenticated(token): Authenticated, upgrade: WebSocketUpgrade) -> Response {
///     upgrade.on_upgrade(async move |socket| {
///         while_valid(socket, &token, async |socket: &mut WebSocket| {
///             while let Some(Ok(message)) = socket.recv().await {
///                 if socket.send(message).await.is_err() {
///                     return;
///                 }
///             }
///         })
///         .await;
///     })
/// }
/// # let _ = axum::Router::<()>::new().route("/", axum::routing::any(echo));
/// ```
///
/// Pages send no header of their own with a WebSocket: [`TokenLocation::websocket_protocol`](token_core::TokenLocation::websocket_protocol) is for them.
pub async fn while_valid(mut socket: WebSocket, token: &Verified, session: impl AsyncFnOnce(&mut WebSocket)) {
    let ended = {
        let (mut session, mut end) = (pin!(session(&mut socket)), pin!(token.until_expiry()));
        poll_fn(|context| match end.as_mut().poll(context) {
            Poll::Ready(end) => Poll::Ready(Some(end)),
            Poll::Pending => session.as_mut().poll(context).map(|()| None),
        })
        .await
    };
    if let Some(end) = ended {
        let frame = CloseFrame { code: StreamEnd::CLOSE_CODE, reason: end.reason().into() };
        // Whoever is gone already needs no closing.
        let _ = socket.send(Message::Close(Some(frame))).await;
    }
}
