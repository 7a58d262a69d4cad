//! A request of actix-web in, the handler's answer or a 429 out (RFC 6585 section 4): `governor` counts.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::RETRY_AFTER;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, web};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use token_core::adapter::Outcome;

use super::key::Key;

/// What counts: one for all workers, so made outside of `HttpServer::new`.
pub type Limiter<C = DefaultClock> =
    governor::RateLimiter<Key, DefaultKeyedStateStore<Key>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// For `middleware::from_fn`: asks the `web::Data<Limiter>` of the application. Inside of the token middleware it counts by caller, outside by address.
pub async fn limit<C: Clock + 'static, B: MessageBody + 'static>(
    limiter: web::Data<Limiter<C>>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let peer = request.peer_addr().map(|peer| peer.ip());
    let key = Key::of(request.extensions().get::<Outcome>(), peer);
    let Some(key) = key else {
        return Ok(request.into_response(HttpResponse::InternalServerError().finish()).map_into_right_body());
    };
    match limiter.check_key(&key) {
        Ok(_) => next.call(request).await.map(ServiceResponse::map_into_left_body),
        Err(until) => {
            let wait = until.wait_time_from(limiter.clock().now()).as_secs() + 1;
            let answer = HttpResponse::TooManyRequests().insert_header((RETRY_AFTER, wait)).finish();
            Ok(request.into_response(answer).map_into_right_body())
        }
    }
}
