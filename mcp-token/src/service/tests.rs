//! What the server behind the layer sees of its callers' credentials: nothing, wherever they came in.

use std::convert::Infallible;
use std::sync::Mutex;

use http_body_util::BodyExt;
use token_core::jose::signing::SigningKey;
use token_core::stores::TokenCacheSettings;
use token_core::{Algorithm, CsrfRule, Issuer, StaticKeys};
use tower_layer::Layer;

use super::*;
use crate::McpLayer;

const SECRET: [u8; 32] = [7; 32];

fn token() -> String {
    let key = SigningKey::from_secret(Algorithm::HS256, None, &SECRET).unwrap();
    let claims = r#"{"iss":"https://id.example","sub":"ada","aud":"https://notes.example/mcp","exp":4102444800}"#;
    key.sign_jwt(r#"{"alg":"HS256","typ":"at+jwt"}"#, claims).unwrap()
}

fn server(locations: &[TokenLocation], cache: TokenCacheSettings) -> ResourceServer {
    let keys = StaticKeys::secret(Algorithm::HS256, &SECRET).unwrap();
    let issuer = Issuer::with_keys("https://id.example", keys).unwrap();
    let builder = ResourceServer::resource("https://notes.example/mcp").trust(issuer).token_cache(cache);
    builder.token_locations(locations.iter().cloned()).build().unwrap()
}

/// Keeps the last request that it got.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Option<Parts>>>);

impl Service<Request<Full<Bytes>>> for Seen {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        *self.0.lock().unwrap() = Some(request.into_parts().0);
        std::future::ready(Ok(Response::new(Full::from("answered"))))
    }
}

#[tokio::test]
async fn the_server_sees_no_credentials_wherever_they_came_in() {
    let token = token();
    let places = [
        TokenLocation::authorization(),
        TokenLocation::header("cf-access-jwt-assertion"),
        TokenLocation::cookie("session", CsrfRule::same_origin()),
        TokenLocation::websocket_protocol("bearer."),
    ];
    let (cookie, protocol) = (format!("theme=dark; session={token}"), format!("mcp, bearer.{token}"));
    let bearer = format!("Bearer {token}");
    for (name, value, left) in [
        ("authorization", bearer.as_str(), None),
        ("cf-access-jwt-assertion", token.as_str(), None),
        ("cookie", &cookie, Some("theme=dark")),
        ("sec-websocket-protocol", &protocol, Some("mcp")),
    ] {
        for cache in [TokenCacheSettings::default(), TokenCacheSettings::default().keep_digests()] {
            let seen = Seen::default();
            let layer = McpLayer::builder(server(&places, cache)).build().unwrap();
            let mut guarded = layer.layer(seen.clone());
            // Once more from the cache.
            for _ in 0..2 {
                let request = Request::post("https://notes.example/mcp")
                    .header(name, value)
                    .header("dpop", "a proof")
                    .header("sec-fetch-site", "same-origin")
                    // Beside a token of ours, somebody else's.
                    .header("x-trace", "7");
                let request =
                    if name == "authorization" { request } else { request.header("authorization", "Basic x") };
                let answer = guarded.call(request.body(Full::<Bytes>::from("{}")).unwrap()).await.unwrap();
                assert_eq!(answer.status(), 200, "{name}");
                assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "answered");
                let parts = seen.0.lock().unwrap().take().unwrap();
                let values: Vec<_> = parts.headers.values().map(|value| value.to_str().unwrap()).collect();
                assert!(!values.iter().any(|value| value.contains(&token) || value.contains("proof")), "{values:?}");
                assert_eq!(parts.headers.get("authorization"), None, "{name}");
                assert_eq!(parts.headers.get(name).map(|value| value.to_str().unwrap()), left, "{name}");
                assert_eq!(parts.headers["x-trace"], "7");
            }
        }
    }
}

#[test]
fn a_query_loses_the_token_and_nothing_else() {
    let place = TokenLocation::dangerously_query("access_token");
    for (target, expected) in [
        ("/mcp?access_token=a", "/mcp"),
        ("/mcp?page=2&access_token=a&x=y", "/mcp?page=2&x=y"),
        ("https://notes.example/mcp?access_token=a", "https://notes.example/mcp"),
        ("/mcp?page=2", "/mcp?page=2"),
        ("/mcp", "/mcp"),
    ] {
        let mut uri: Uri = target.parse().unwrap();
        hide_query(&mut uri, &place);
        assert_eq!(uri, expected);
    }
}

#[test]
fn a_server_that_takes_tokens_in_the_query_is_not_guarded() {
    let places = [TokenLocation::dangerously_query("access_token")];
    let error = McpLayer::builder(server(&places, TokenCacheSettings::default())).build().unwrap_err();
    assert!(error.to_string().contains("query"), "{error}");
}
