//! oauth-resource-server: its validator over a given JWK Set, and its HTTP layer under axum.

use std::sync::Arc;

use harness::peer::{Task, announce, ready};
use harness::{AUDIENCE, Alg, Fixture, ISSUER};
use oauth_resource_server::OAuthValidator;
use oauth_resource_server::config::{KeyNaming, OAuthConfig};
use oauth_resource_server::http_layer::HttpAuthLayer;

fn validator(fixture: &Fixture) -> Arc<OAuthValidator> {
    let config = OAuthConfig {
        enabled: true,
        issuer: ISSUER.into(),
        audience: AUDIENCE.into(),
        resource: "http://127.0.0.1:9/".into(),
        jwks_uri: Some("http://127.0.0.1:9/jwks.json".into()),
        required_scope: Some("read:orders".into()),
        ..OAuthConfig::default()
    };
    let config = config.resolve(KeyNaming::Dotted("oauth")).expect("a sound configuration").expect("it is enabled");
    Arc::new(OAuthValidator::builder(&config).initial_jwks(&fixture.jwks()).build().expect("usable keys"))
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    match Task::from_args() {
        Task::Verify => harness::peer::compare("oauth-resource-server 0.4.1", |fixture, alg, token| {
            let (validator, token) = (validator(fixture), token.to_owned());
            if alg == Alg::HS256 || ready(validator.validate(&token)).is_err() {
                return None;
            }
            Some(Box::new(move || ready(validator.validate(&token)).is_ok()))
        }),
        Task::Serve { port, layer } => runtime.block_on(async {
            let fixture = Fixture::new();
            let mut app = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
            if layer {
                app = app.layer(HttpAuthLayer::builder().oauth(validator(&fixture)).build().expect("a layer"));
            }
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
            announce(&fixture.token(Alg::RS256, 1));
            axum::serve(listener, app).await.expect("axum serves");
        }),
    }
}
