//! huskarl-resource-server: its RFC 9068 validator over a JWK Set on loopback, and huskarl-axum's layer.

use std::collections::HashSet;
use std::sync::Mutex;

use harness::fixture::serve;
use harness::peer::{Task, announce, ready};
use harness::{AUDIENCE, Alg, Fixture, ISSUER};
use http::{HeaderMap, HeaderValue, Method, Uri, header::AUTHORIZATION};
use huskarl_axum::layers::ValidatorLayer;
use huskarl_reqwest::ReqwestClient;
use huskarl_resource_server::core::Error;
use huskarl_resource_server::core::jwt::JtiUniquenessChecker;
use huskarl_resource_server::core::platform::MaybeSendBoxFuture;
use huskarl_resource_server::validator::rfc9068::Rfc9068Validator;

macro_rules! validator {
    ($fixture:expr $(, $($more:tt)*)?) => {{
        let port = serve($fixture.jwks());
        let client = ReqwestClient::builder().build().await.expect("a client");
        Rfc9068Validator::builder()
            .issuer(ISSUER)
            .jwks_uri(format!("http://127.0.0.1:{port}/").parse().expect("a URI"))
            .jwks_source(client)
            .audience(AUDIENCE)
            $($($more)*)?
            .build()
            .await
            .expect("a validator")
    }};
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    if words == ["proof"] {
        return proof(&runtime);
    }
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

/// Which proofs came before.
#[derive(Debug, Default)]
struct Memory(Mutex<HashSet<String>>);

impl JtiUniquenessChecker for Memory {
    fn check_and_mark_seen(&self, jti: &str) -> MaybeSendBoxFuture<'_, Result<bool, Error>> {
        let seen = !self.0.lock().expect("nobody panics").insert(jti.to_owned());
        Box::pin(std::future::ready(Ok(seen)))
    }
}

/// A bound token and a fresh proof each time; it remembers no token.
fn proof(runtime: &tokio::runtime::Runtime) {
    harness::proof::compare("huskarl-resource-server 0.11.12", |fixture, token, proofs| {
        let validator = runtime.block_on(async { validator!(fixture, .dpop_jti_checker(Memory::default())) });
        let mut proofs = proofs.into_iter();
        let uri = Uri::from_static(harness::proof::URL);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("DPoP {token}")).expect("a header"));
        Box::new(move || {
            let proof =
                HeaderValue::from_maybe_shared(proofs.next().expect("enough proofs were made")).expect("a header");
            headers.insert("dpop", proof);
            let outcome = ready(validator.validate_request(&headers, &Method::GET, &uri, None)).outcome;
            matches!(outcome, Ok(Some(_)))
        })
    });
}
