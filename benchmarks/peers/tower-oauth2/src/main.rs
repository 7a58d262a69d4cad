//! tower-oauth2-resource-server: its layer around a service that does nothing, and under axum.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{Request, Response};
use harness::peer::{Task, announce, ready};
use harness::{AUDIENCE, Alg, Claims, Fixture, ISSUER};
use tower::{Layer, Service, service_fn};
use tower_oauth2_resource_server::layer::OAuth2ResourceServerLayer;
use tower_oauth2_resource_server::server::OAuth2ResourceServer;
use tower_oauth2_resource_server::tenant::TenantConfiguration;
use tower_oauth2_resource_server::validation::ClaimsValidationSpec;

async fn layer_for(fixture: &Fixture) -> OAuth2ResourceServerLayer<Body, Claims> {
    let rules = ClaimsValidationSpec::recommended(ISSUER, &vec![AUDIENCE.to_owned()]).nbf(false);
    let tenant =
        TenantConfiguration::static_builder(fixture.jwks()).claims_validation(rules).build().expect("a tenant");
    let server = OAuth2ResourceServer::<Claims>::builder().add_tenant(tenant).build().await.expect("a server");
    // Its keys are handed to it by a task of its own.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    server.into_layer()
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    match Task::from_args() {
        Task::Verify => harness::peer::compare("tower-oauth2-resource-server 0.12.5", |fixture, alg, token| {
            if alg == Alg::HS256 {
                return None;
            }
            let layer = runtime.block_on(layer_for(fixture));
            let hello = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
            let mut service = layer.layer(hello);
            let field = format!("Bearer {token}");
            Some(Box::new(move || {
                let request =
                    Request::builder().header("authorization", &field).body(Body::empty()).expect("a request");
                ready(service.call(request)).is_ok_and(|response| response.status().is_success())
            }))
        }),
        Task::Serve { port, layer } => runtime.block_on(async {
            let fixture = Fixture::new();
            let mut app = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
            if layer {
                app = app.layer(layer_for(&fixture).await);
            }
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
            announce(&fixture.token(Alg::RS256, 1));
            axum::serve(listener, app).await.expect("axum serves");
        }),
    }
}
