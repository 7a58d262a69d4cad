//! What operators and their probes ask: whether the gate lives, whether it can judge tokens, and what it counted.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::decision::InForce;
use crate::doors::Body;

/// What the operators' side knows.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) rules: InForce,
    pub(crate) ending: Arc<AtomicBool>,
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
            _ => (StatusCode::NOT_FOUND, "text/plain", "expected /livez, /readyz or /metrics\n".to_owned()),
        };
        let mut response = Response::new(Body::text(text));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Ok(response)
    }

    /// Ready when tokens of every issuer can be judged, and not once the end has begun, so that proxies go elsewhere.
    fn ready(&self) -> (StatusCode, &'static str, String) {
        let health = self.rules.server().map(|server| token_core::telemetry::Health::of(&server));
        let ending = self.ending.load(Ordering::Relaxed);
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
