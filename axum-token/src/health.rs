//! A server in, a handler that says how it is out: for readiness probes on an internal port.

use std::future::{Ready, ready};

use axum_core::body::Body;
use axum_core::response::Response;
use http::{StatusCode, header};
use token_core::{ResourceServer, telemetry::Health};

/// A handler that answers 200 when the keys of every issuer are at hand, else 503, with a JSON body that names issuers and what
/// their servers answered: for operators, not for the world.
///
/// ```no_run
/// # use axum_token::{Issuer, ResourceServer};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let api = ResourceServer::builder("https://api.example.com").trust(Issuer::discover("https://login.example.com/")?).build()?;
/// let internal: axum::Router = axum::Router::new().route("/health", axum::routing::get(axum_token::health(api)));
/// # Ok(()) }
/// ```
pub fn health(server: ResourceServer) -> impl Fn() -> Ready<Response> + Clone + Send + Sync + 'static {
    move || {
        let health = Health::of(&server);
        let mut response = Response::new(Body::from(health.json()));
        *response.status_mut() = StatusCode::from_u16(health.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let json = header::HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        let fresh = header::HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, fresh);
        ready(response)
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
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()["content-type"], "application/json");
        }
    }
}
