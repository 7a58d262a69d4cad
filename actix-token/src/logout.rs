//! A back-channel logout request in, its answer out: a handler for `web::post` (OpenID Connect Back-Channel Logout sections 2.5 and 2.8).

use std::future::Future;
use std::pin::Pin;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::Bytes;
use token_core::revocation::LogoutEndpoint;

/// The handler of a client's back-channel logout URI. It belongs outside the [`TokenMiddleware`](crate::TokenMiddleware): the request
/// carries no bearer, the form's `logout_token` speaks for itself.
///
/// ```
/// use actix_token::{Issuer, LogoutEndpoint, LogoutVerifier, ResourceServer, logout};
/// use actix_web::{App, web};
///
/// # fn main() -> Result<(), actix_token::ConfigError> {
/// let issuer = || Issuer::discover("https://login.example.com/");
/// let api = ResourceServer::builder("https://api.example.com").trust(issuer()?).build()?;
/// let endpoint = LogoutEndpoint::new(LogoutVerifier::new("my-client-id", issuer()?)?, api);
/// let app = App::new().route("/backchannel-logout", web::post().to(logout(endpoint)));
/// # Ok(()) }
/// ```
pub fn logout(
    endpoint: LogoutEndpoint,
) -> impl Fn(Bytes) -> Pin<Box<dyn Future<Output = HttpResponse>>> + Clone + 'static {
    move |form| {
        let endpoint = endpoint.clone();
        Box::pin(async move {
            let answer = endpoint.answer(&form).await;
            let status = StatusCode::from_u16(answer.status).expect("204, 400, 500 and 503 are statuses");
            let mut response = HttpResponse::build(status);
            response.insert_header((header::CACHE_CONTROL, "no-store"));
            if let Some(seconds) = answer.retry_after {
                response.insert_header((header::RETRY_AFTER, seconds));
            }
            match answer.body {
                "" => response.finish(),
                body => response.content_type("application/json").body(body),
            }
        })
    }
}
