//! What operators, their probes and the service ask: whether the gate lives, whether it can judge tokens, what it counted, its keys.

use std::convert::Infallible;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::decision::InForce;
use crate::doors::Body;

/// Where the service finds the keys of the gate's own tokens.
const JWK_SET: &str = "/.well-known/jwks.json";
const JWK_SET_TOO: &str = "/jwks.json";

/// What the operators' side knows.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) rules: InForce,
    pub(crate) numbers: Option<PrometheusHandle>,
}

impl Admin {
    pub(crate) fn answer(&self, path: &str) -> Result<Response<Body>, Infallible> {
        let (status, content_type, text) = match path {
            "/livez" => (StatusCode::OK, "text/plain", "alive\n".to_owned()),
            "/readyz" => self.ready(),
            "/metrics" => match &self.numbers {
                Some(numbers) => (StatusCode::OK, "text/plain; version=0.0.4", numbers.render()),
                None => (
                    StatusCode::NOT_FOUND,
                    "text/plain",
                    "another recorder of metrics was installed first\n".to_owned(),
                ),
            },
            JWK_SET | JWK_SET_TOO => match self.rules.jwk_set() {
                Some(set) => (StatusCode::OK, "application/jwk-set+json", set),
                None => (StatusCode::NOT_FOUND, "text/plain", "the policy has no gate.upstream.sign\n".to_owned()),
            },
            _ => (StatusCode::NOT_FOUND, "text/plain", format!("expected /livez, /readyz, /metrics or {JWK_SET}\n")),
        };
        let mut response = Response::new(Body::text(text));
        *response.status_mut() = status;
        if status == StatusCode::OK && matches!(path, JWK_SET | JWK_SET_TOO) {
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        }
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Ok(response)
    }

    /// Ready when tokens of every issuer can be judged, and not once the end has begun, so that proxies go elsewhere.
    fn ready(&self) -> (StatusCode, &'static str, String) {
        let health = self.rules.health();
        let ending = self.rules.is_ending();
        let ready = !ending && health.as_ref().is_some_and(|health| health.ready);
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let text = match health {
            _ if ending => r#"{"ready":false,"ending":true}"#.to_owned(),
            Some(health) => health.json(),
            None => r#"{"ready":false}"#.to_owned(),
        };
        (status, "application/json", text)
    }
}
