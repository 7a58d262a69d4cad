//! jwt-authorizer: its authorizer over a JWK Set on loopback, and its layer under axum 0.7.

use harness::fixture::serve;
use harness::peer::{Task, announce, ready};
use harness::{AUDIENCE, Alg, Claims, Fixture, ISSUER};
use jwt_authorizer::{Authorizer, IntoLayer, JwtAuthorizer, Validation};

async fn authorizer(fixture: &Fixture) -> Authorizer<Claims> {
    let url = format!("http://127.0.0.1:{}/", serve(fixture.jwks()));
    JwtAuthorizer::<Claims>::from_jwks_url(&url)
        .validation(Validation::new().iss(&[ISSUER]).aud(&[AUDIENCE]))
        .build()
        .await
        .expect("an authorizer")
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    match Task::from_args() {
        Task::Verify => harness::peer::compare("jwt-authorizer 0.15.0", |fixture, alg, token| {
            if alg == Alg::HS256 {
                return None;
            }
            let (authorizer, token) = (runtime.block_on(authorizer(fixture)), token.to_owned());
            runtime.block_on(authorizer.check_auth(&token)).ok()?;
            Some(Box::new(move || ready(authorizer.check_auth(&token)).is_ok()))
        }),
        Task::Serve { port, layer } => runtime.block_on(async {
            let fixture = Fixture::new();
            let mut app = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
            if layer {
                app = app.layer(authorizer(&fixture).await.into_layer());
            }
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
            announce(&fixture.token(Alg::RS256, 1));
            axum::serve(listener, app).await.expect("axum serves");
        }),
    }
}
