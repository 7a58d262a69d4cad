//! What the tests are made with: a gate, tokens for it, an issuer that keeps callers waiting, and a log to look into.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use http_body_util::BodyExt;
use token_core::http::BoxFuture;
use token_core::jose::signing::SigningKey;
use token_core::{
    Algorithm, Issuer, ResourceServer, StaticKeys,
    keys::{FetchError, FetchedKeys, KeySource},
};
use tokio::sync::Semaphore;

use crate::ResponseBody;

const ISSUER: &str = "https://issuer.example";
const API: &str = "https://api.example";
const SECRET: [u8; 32] = [7; 32];
const P256: &str = include_str!("../../../token-core/src/jose/testdata/p256.pem");

pub(super) fn api() -> ResourceServer {
    let keys = StaticKeys::secret(Algorithm::HS256, &SECRET).unwrap();
    let issuer = Issuer::with_keys(ISSUER, keys).unwrap();
    ResourceServer::builder(API).realm("books").trust(issuer).build().unwrap()
}

pub(super) fn token(scope: &str) -> String {
    sign(&SigningKey::from_secret(Algorithm::HS256, None, &SECRET).unwrap(), scope)
}

fn sign(key: &SigningKey, scope: &str) -> String {
    let kid = key.kid().map(|kid| format!(r#","kid":"{kid}""#)).unwrap_or_default();
    let header = format!(r#"{{"alg":"{}"{kid}}}"#, key.algorithm());
    let claims = format!(r#"{{"iss":"{ISSUER}","aud":"{API}","sub":"ada","exp":4102444800,"scope":"{scope}"}}"#);
    key.sign_jwt(&header, &claims).unwrap()
}

pub(super) fn get(token: &str) -> Request<String> {
    Request::get("/").header("authorization", format!("Bearer {token}")).body(String::new()).unwrap()
}

pub(super) fn bare() -> Request<String> {
    Request::get("/").body(String::new()).unwrap()
}

pub(super) async fn text<R>(response: Response<ResponseBody<R>>) -> String
where
    ResponseBody<R>: http_body::Body<Error: std::fmt::Debug>,
{
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// An issuer whose keys come when the test says so: one permit, one fetch.
#[derive(Debug)]
pub(super) struct SlowIssuer {
    permits: Semaphore,
    good: bool,
}

impl SlowIssuer {
    pub(super) fn new(good: bool) -> Arc<Self> {
        Arc::new(Self { permits: Semaphore::new(0), good })
    }

    pub(super) fn answer(&self) {
        self.permits.add_permits(1);
    }

    pub(super) fn api(self: &Arc<Self>) -> ResourceServer {
        let fixed = StaticKeys::secret(Algorithm::HS256, &SECRET).unwrap();
        ResourceServer::builder(API)
            .trust(Issuer::with_source("https://slow.example", Arc::clone(self) as _).unwrap())
            .trust(Issuer::with_keys(ISSUER, fixed).unwrap())
            .build()
            .unwrap()
    }

    pub(super) fn token() -> String {
        let key = Self::key();
        let claims = format!(r#"{{"iss":"https://slow.example","aud":"{API}","sub":"ada","exp":4102444800}}"#);
        key.sign_jwt(r#"{"alg":"ES256","kid":"slow"}"#, &claims).unwrap()
    }

    fn key() -> SigningKey {
        SigningKey::from_pem(Algorithm::ES256, Some("slow"), P256.as_bytes()).unwrap()
    }
}

impl KeySource for SlowIssuer {
    fn fetch(&self) -> BoxFuture<'_, Result<FetchedKeys, FetchError>> {
        Box::pin(async {
            self.permits.acquire().await.unwrap().forget();
            match self.good {
                true => Ok(FetchedKeys::new(format!(r#"{{"keys":[{}]}}"#, Self::key().public_jwk().unwrap()))),
                false => Err(FetchError::Other { why: "the cable is out".into(), outage: true }),
            }
        })
    }
}

/// The events of this thread, one line each.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Listens until the guard is dropped.
    pub(super) fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let guard = tracing::subscriber::set_default(log.clone());
        (log, guard)
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("token") || metadata.target().starts_with("tower_token")
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = event.metadata().level().to_string();
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            write!(line, " {field}={value:?}").unwrap();
        });
        self.0.lock().unwrap().push(line);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}
