//! A pushed security event in, its answer out: a handler for `web::post` (RFC 8935 section 2).

use std::future::Future;
use std::pin::Pin;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use token_core::security_events::{PushRequest, SecurityEventEndpoint};

/// The handler of the URL that a transmitter pushes events to. It belongs outside the [`TokenMiddleware`](crate::TokenMiddleware): the body is a
/// token that speaks for itself, and what stands in `Authorization` is what the endpoint
/// [was told](SecurityEventEndpoint::authorization).
///
/// ```
/// use actix_token::{Issuer, ResourceServer, security_events};
/// use actix_web::{App, web};
/// use token_core::security_events::{SecurityEventEndpoint, SecurityEventVerifier};
///
/// # fn main() -> Result<(), actix_token::ConfigError> {
/// let issuer = || Issuer::discover("https://login.example.com/");
/// let api = ResourceServer::builder("https://api.example.com").trust(issuer()?).build()?;
/// let verifier = SecurityEventVerifier::new("https://api.example.com/events", issuer()?)?;
/// let endpoint = SecurityEventEndpoint::new(verifier, api);
/// let app = App::new().route("/events", web::post().to(security_events(endpoint)));
/// # Ok(()) }
/// ```
pub fn security_events(
    endpoint: SecurityEventEndpoint,
) -> impl Fn(HttpRequest, Bytes) -> Pin<Box<dyn Future<Output = HttpResponse>>> + Clone + 'static {
    move |request, body| {
        let endpoint = endpoint.clone();
        Box::pin(async move {
            let field = |name| request.headers().get(name).map(HeaderValue::as_bytes);
            let push = PushRequest {
                content_type: field(header::CONTENT_TYPE),
                authorization: field(header::AUTHORIZATION),
                body: &body,
            };
            let answer = endpoint.answer(push).await;
            let status = StatusCode::from_u16(answer.status).expect("202, 400, 500 and 503 are statuses");
            let mut response = HttpResponse::build(status);
            response.insert_header((header::CACHE_CONTROL, "no-store"));
            if let Some(seconds) = answer.retry_after {
                response.insert_header((header::RETRY_AFTER, seconds));
            }
            match answer.body {
                "" => response.finish(),
                body => {
                    response.insert_header((header::CONTENT_LANGUAGE, "en")).content_type("application/json").body(body)
                }
            }
        })
    }
}
