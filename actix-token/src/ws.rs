//! An open WebSocket and the token it was opened with, in; the one closed with the other, out (RFC 6455 section 7.4).

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use actix_ws::{CloseCode, CloseReason, Session};
use token_core::Verified;
use token_core::streams::StreamEnd;

/// Runs `talk` until it is done, or until the token ends: at `exp` and leeway, or earlier when it is revoked
/// ([`Verified::until_expiry`]). Then `talk` is dropped where it waits, and the socket is closed with code 3000, unauthorized, and a sentence that says
/// why. A client that comes back with the same token gets a 401.
///
/// ```no_run
/// use actix_token::{Authenticated, while_valid};
/// use actix_web::{HttpRequest, HttpResponse, web};
///
/// async fn echo(
///     Authenticated(token): Authenticated,
///     request: HttpRequest,
///     body: web::Payload,
/// ) -> Result<HttpResponse, actix_web::Error> {
///     let (response, session, mut messages) = actix_ws::handle(&request, body)?;
///     actix_web::rt::spawn(async move {
///         let mut answers = session.clone();
///         let talk = async move {
///             while let Some(Ok(message)) = messages.recv().await {
///                 if let actix_ws::Message::Text(text) = message
///                     && answers.text(text).await.is_err()
///                 {
///                     return;
///                 }
///             }
///         };
///         while_valid(session, &token, talk).await;
///     });
///     Ok(response)
/// }
/// # let _ = actix_web::App::new().route("/", web::get().to(echo));
/// ```
pub async fn while_valid(session: Session, token: &Verified, talk: impl Future<Output = ()>) {
    let (mut talk, mut end) = (pin!(talk), pin!(token.until_expiry()));
    let ended = poll_fn(|context| match end.as_mut().poll(context) {
        Poll::Ready(end) => Poll::Ready(Some(end)),
        Poll::Pending => talk.as_mut().poll(context).map(|()| None),
    });
    if let Some(end) = ended.await {
        let reason =
            CloseReason { code: CloseCode::Other(StreamEnd::CLOSE_CODE), description: Some(end.reason().to_owned()) };
        // Whoever is gone already needs no closing.
        let _ = session.close(Some(reason)).await;
    }
}
