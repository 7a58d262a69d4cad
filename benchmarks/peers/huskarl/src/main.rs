//! huskarl-resource-server: its RFC 9068 validator over a JWK Set on loopback, and huskarl-axum's layer.

use harness::fixture::serve;
use harness::peer::{Task, announce, ready};
use harness::{AUDIENCE, Alg, Fixture, ISSUER};
use http::{HeaderMap, HeaderValue, Method, Uri, header::AUTHORIZATION};
use huskarl_axum::layers::ValidatorLayer;
use huskarl_reqwest::ReqwestClient;
use huskarl_resource_server::validator::rfc9068::Rfc9068Validator;

macro_rules! validator {
    ($fixture:expr) => {{
        let port = serve($fixture.jwks());
        let client = ReqwestClient::builder().build().await.expect("a client");
        Rfc9068Validator::builder()
            .issuer(ISSUER)
            .jwks_uri(format!("http://127.0.0.1:{port}/").parse().expect("a URI"))
            .jwks_source(client)
            .audience(AUDIENCE)
            .build()
            .await
            .expect("a validator")
    }};
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    match Task::from_args() {
        Task::Verify => harness::peer::compare("huskarl-resource-server 0.11.12", |fixture, alg, token| {
            if alg == Alg::HS256 {
                return None;
            }
            let validator = runtime.block_on(async { validator!(fixture) });
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).expect("a header"));
            let uri = Uri::from_static("https://api.example.com/v1");
            runtime.block_on(validator.validate_request(&headers, &Method::GET, &uri, None)).outcome.ok()??;
            Some(Box::new(move || {
                matches!(ready(validator.validate_request(&headers, &Method::GET, &uri, None)).outcome, Ok(Some(_)))
            }))
        }),
        Task::Serve { port, layer } => runtime.block_on(async {
            let fixture = Fixture::new();
            let mut app = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
            if layer {
                app = app.layer(ValidatorLayer::builder().validator(validator!(fixture)).build().authenticated());
            }
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
            announce(&fixture.token(Alg::RS256, 1));
            axum::serve(listener, app).await.expect("axum serves");
        }),
    }
}
