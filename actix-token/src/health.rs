//! A server in, a handler that says how it is out: for readiness probes on an internal port.

use std::future::{Ready, ready};

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ContentType};
use token_core::{ResourceServer, telemetry::Health};

/// A handler that answers 200 when the keys of every issuer are at hand, else 503, with a JSON body that names issuers and what
/// their servers answered: for operators, not for the world.
///
/// ```no_run
/// # use actix_token::{Issuer, ResourceServer};
/// # use actix_web::{App, web};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let api = ResourceServer::builder("https://api.example.com").trust(Issuer::discover("https://login.example.com/")?).build()?;
/// let internal = App::new().route("/health", web::get().to(actix_token::health(api)));
/// # Ok(()) }
/// ```
pub fn health(server: ResourceServer) -> impl Fn() -> Ready<HttpResponse> + Clone + Send + Sync + 'static {
    move || {
        let health = Health::of(&server);
        let status = StatusCode::from_u16(health.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let mut response = HttpResponse::build(status);
        ready(response.content_type(ContentType::json()).insert_header((CACHE_CONTROL, "no-store")).body(health.json()))
    }
}

#[cfg(test)]
mod tests {
    use token_core::{Algorithm, Issuer, StaticKeys};

    use super::*;

    #[test]
    fn a_server_without_keys_is_not_ready() {
        let keys = StaticKeys::secret(Algorithm::HS256, &[7; 32]).unwrap();
        let given = Issuer::with_keys("https://a.example", keys).unwrap();
        let fetched = Issuer::discover("https://b.example").unwrap();
        for (issuers, status) in [(vec![given.clone()], 200), (vec![given, fetched], 503)] {
            let builder =
                issuers.into_iter().fold(ResourceServer::builder("api"), |builder, issuer| builder.trust(issuer));
            let response = health(builder.build().unwrap())().into_inner();
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.headers().get("content-type").unwrap(), "application/json");
        }
    }
}
