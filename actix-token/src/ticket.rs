//! A page's request for a ticket in, the ticket out: a handler for `web::post`.

use std::future::Future;
use std::pin::Pin;

use actix_web::http::{StatusCode, header};
use actix_web::web::Bytes;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError};
use token_core::adapter::ProofMark;
use token_core::{Presented, ResourceServer};

use crate::{Rejection, View};

/// Sells a ticket for the token of the request: good once, for 30 s, for the path in the body (`{"path": "/events"}`) and the page's origin. The answer is
/// `{"ticket": "…", "expires_in": 30}`. The page opens `/events?ticket=…`, whose route stands behind the [`TokenMiddleware`](crate::TokenMiddleware) as ever:
/// extractors find the caller that the ticket was sold to.
///
/// It judges the request itself, so it may stand outside of the middleware or inside.
///
/// ```
/// use actix_token::token_core::streams::Tickets;
/// use actix_token::{Issuer, ResourceServer, TokenMiddleware, ticket};
/// use actix_web::{App, web};
///
/// # fn main() -> Result<(), actix_token::ConfigError> {
/// # if cfg!(not(feature = "aws-lc-rs")) { return Ok(()) }
/// let api = ResourceServer::builder("https://api.example.com")
///     .trust(Issuer::discover("https://login.example.com/")?)
///     .tickets(Tickets::in_memory())
///     .build()?;
/// let app = App::new()
///     .route("/events", web::get().to(async || "…"))
///     .route("/tickets", web::post().to(ticket(api.clone())))
///     .wrap(TokenMiddleware::new(api));
/// # Ok(()) }
/// ```
pub fn ticket(
    server: ResourceServer,
) -> impl Fn(HttpRequest, Bytes) -> Pin<Box<dyn Future<Output = HttpResponse>>> + Clone + 'static {
    move |request, body| {
        // A middleware outside may have looked at the same proof.
        let mark = request.extensions().get::<ProofMark>().cloned();
        let answer = server.ticket_answer(Presented::request(&View::with_mark(&request, mark.as_ref())), &body);
        Box::pin(async move {
            match answer.await {
                Ok(answer) => {
                    let status = StatusCode::from_u16(answer.status).expect("200 and 400 are statuses");
                    let mut response = HttpResponse::build(status);
                    response.insert_header((header::CACHE_CONTROL, "no-store"));
                    response.content_type("application/json").body(answer.body)
                }
                Err(error) => {
                    error.log();
                    Rejection::from(error).error_response()
                }
            }
        })
    }
}
