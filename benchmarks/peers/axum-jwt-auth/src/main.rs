//! axum-jwt-auth: its local decoder with one key (its remote one reads no P-384), and its extractor under axum.

use std::sync::Arc;

use axum_jwt_auth::{Claims as Extracted, Decoder, JwtDecoder, LocalDecoder};
use harness::peer::{Task, announce, ready};
use harness::{AUDIENCE, Alg, Claims, Fixture, ISSUER};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};

fn decoder(fixture: &Fixture, alg: Alg) -> LocalDecoder {
    let jwk: Jwk = serde_json::from_str(&fixture.jwk(alg)).expect("a JWK");
    let mut validation = Validation::new(alg.name().parse::<Algorithm>().expect("a known algorithm"));
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[ISSUER]);
    let key = DecodingKey::from_jwk(&jwk).expect("a usable key");
    LocalDecoder::builder().keys(vec![key]).validation(validation).build().expect("a decoder")
}

async fn hello(_: Extracted<Claims>) -> &'static str {
    "hello"
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    match Task::from_args() {
        Task::Verify => harness::peer::compare("axum-jwt-auth 0.7.0", |fixture, alg, token| {
            if alg == Alg::HS256 {
                return None;
            }
            let (decoder, token) = (decoder(fixture, alg), token.to_owned());
            Some(Box::new(move || ready(JwtDecoder::<Claims>::decode(&decoder, &token)).is_ok()))
        }),
        Task::Serve { port, layer } => runtime.block_on(async {
            let fixture = Fixture::new();
            let state: Decoder<Claims> = Arc::new(decoder(&fixture, Alg::RS256));
            let app = if layer {
                axum::Router::new().route("/", axum::routing::get(hello)).with_state(state)
            } else {
                axum::Router::new().route("/", axum::routing::get(|| async { "hello" }))
            };
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
            announce(&fixture.token(Alg::RS256, 1));
            axum::serve(listener, app).await.expect("axum serves");
        }),
    }
}
