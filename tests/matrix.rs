//! Every kind of token presented where every other kind is expected: the diagonal passes, each other cell is refused, by name.

mod servers;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use serde_json::{Value, json};
use token_core::{
    Algorithm, Clock, Error, ErrorKind, Issuer, Presented, ResourceServer, StaticKeys, SystemClock, TokenKind,
    login::{IdTokenVerifier, Login},
    provider,
    revocation::{LogoutEndpoint, LogoutVerifier},
};
use token_test::TestIssuer;
use tower::ServiceExt;

const CLIENT: &str = "test-client";
const TARGET: &str = "target-client";
const API_KEY: &str = "API-KEY";
const TARGET_SECRET: &[u8] = b"the target client's secret, of sixty-four bytes and perhaps more";
const TENANT_SECRET: &[u8] = b"the tenant's secret for its management API, of sixty-four bytes.";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// The kinds of token, each as its issuer would write it.
fn tokens(issuer: &TestIssuer) -> Vec<(TokenKind, String)> {
    let now = SystemClock.now().as_secs();
    let hs256 = |secret: &[u8], claims: Value| {
        let key = token_core::jose::signing::SigningKey::from_secret(Algorithm::HS256, None, secret).unwrap();
        key.sign_jwt(r#"{"alg":"HS256","typ":"JWT"}"#, &claims.to_string()).unwrap()
    };
    vec![
        (TokenKind::Access, issuer.token().scope("read:users").mint()),
        (TokenKind::Id, issuer.id_token().claim("nonce", "n").mint()),
        (
            TokenKind::Logout,
            issuer.id_token().claim("events", json!({ EVENT: {} })).claim("jti", "1").claim("sid", "s").mint(),
        ),
        (
            TokenKind::Delegation,
            hs256(
                TARGET_SECRET,
                json!({
                    "iss": issuer.url(), "aud": TARGET, "sub": "ada", "iat": now, "exp": now + 600, "act": {"sub": "agent"},
                }),
            ),
        ),
        (
            TokenKind::Management,
            hs256(
                TENANT_SECRET,
                json!({
                    "aud": API_KEY, "jti": "1", "iat": now, "exp": now + 600, "scopes": {"users": {"actions": ["read"]}},
                }),
            ),
        ),
        (TokenKind::Refresh, issuer.token().claim("typ", "Refresh").mint()),
        (TokenKind::IdentityProvider, "ya29.a0AfH6SMBx-an-access-token-of-somebody-else".to_owned()),
    ]
}

/// Somebody who takes one kind of token.
enum Taker {
    Api(ResourceServer),
    Client(IdTokenVerifier),
    Logout(LogoutVerifier),
}

impl Taker {
    async fn take(&self, token: &str) -> Result<TokenKind, Error> {
        match self {
            Self::Api(api) => Ok(api.authenticate(Presented::token(token)).await?.kind()),
            Self::Client(client) => Ok(client.verify(token, Login::with_nonce("n")).await?.kind()),
            Self::Logout(logout) => logout.verify(token).await.map(|_| TokenKind::Logout),
        }
    }
}

fn takers(issuer: &TestIssuer) -> Vec<(TokenKind, Taker)> {
    let trusted = || Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let api =
        |audience: &str, issuer: Issuer| Taker::Api(ResourceServer::builder(audience).trust(issuer).build().unwrap());
    let target = StaticKeys::secret(Algorithm::HS256, TARGET_SECRET).unwrap();
    let management = StaticKeys::secret(Algorithm::HS256, TENANT_SECRET).unwrap();
    vec![
        (TokenKind::Access, api(issuer.audience(), trusted())),
        (TokenKind::Id, Taker::Client(IdTokenVerifier::new(CLIENT, trusted()).unwrap())),
        (TokenKind::Logout, Taker::Logout(LogoutVerifier::new(CLIENT, trusted()).unwrap())),
        (TokenKind::Delegation, api(TARGET, Issuer::with_keys(issuer.url(), target).unwrap())),
        (
            TokenKind::Management,
            api(API_KEY, provider::auth0_management_legacy(API_KEY).issuer_with_keys(management).unwrap()),
        ),
    ]
}

/// What a token of one kind is refused as by who takes another.
fn refusal(expected: TokenKind, kind: TokenKind) -> ErrorKind {
    use ErrorKind::{AlgorithmNotAllowed, ClaimsMismatch, UnknownIssuer, WrongType};
    use TokenKind::{Access, Delegation, Id, IdentityProvider, Logout, Management, Refresh};
    match (expected, kind) {
        // By its beginning: it is no JWT at all.
        (_, IdentityProvider) => WrongType,
        // It has no iss, and only one of the takers knows such tokens.
        (_, Management) => ClaimsMismatch,
        // All others have iss, and whoever takes tokens without knows nobody by name.
        (Management, _) => UnknownIssuer,
        // The target's secret signs with HS256, the issuer's own key with RS256; neither gate knows the other's algorithm.
        (Delegation, _) | (Access | Id | Logout, Delegation) => AlgorithmNotAllowed,
        // It says of itself what it is.
        (_, Access | Id | Logout | Refresh) => WrongType,
        (expected, kind) => panic!("{kind} for {expected} is no cell"),
    }
}

#[tokio::test]
async fn no_kind_of_token_passes_for_another() {
    let issuer = TestIssuer::start().await;
    let mut refused = 0;
    for (expected, taker) in takers(&issuer) {
        for (kind, token) in tokens(&issuer) {
            let outcome = taker.take(&token).await;
            if kind == expected {
                assert_eq!(outcome.unwrap_or_else(|error| panic!("{kind}: {error}")), kind);
                continue;
            }
            let error = outcome.err().unwrap_or_else(|| panic!("{kind} passed for {expected}"));
            assert_eq!(error.kind().status(), 401, "{kind} for {expected}: {error}");
            assert_eq!(error.kind(), refusal(expected, kind), "{kind} for {expected}: {error}");
            if error.kind() == ErrorKind::WrongType {
                assert!(
                    error.detail().contains(kind.name()),
                    "{kind} for {expected} is refused without its name: {error}"
                );
            }
            refused += 1;
        }
    }
    assert_eq!(refused, 5 * 6);
}

#[tokio::test]
async fn where_both_are_taken_handlers_still_tell_them_apart() {
    #[derive(serde::Deserialize)]
    struct Person {
        sub: String,
    }
    let issuer = TestIssuer::start().await;
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http().accept_id_tokens(CLIENT);
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).build().unwrap();
    let app = Router::new()
        .route("/access", get(async |axum_token::Authenticated(token): axum_token::Authenticated| token.kind().name()))
        .route("/claims", get(async |axum_token::Claims(person): axum_token::Claims<Person>| person.sub.clone()))
        .route("/scoped", get(async |_: axum_token::Scoped<token_tests::frontends::ReadUsers>| "scoped"))
        .route(
            "/id",
            get(async |axum_token::IdTokenClaims(person): axum_token::IdTokenClaims<Person>| person.sub.clone()),
        )
        .layer(axum_token::TokenLayer::new(api.clone()));
    let access = issuer.token().scope("read:users").mint();
    for (path, token, expected) in [
        ("/access", &access, 200),
        ("/claims", &access, 200),
        ("/scoped", &access, 200),
        ("/id", &access, 401),
        ("/access", &issuer.id_token().mint(), 401),
        ("/claims", &issuer.id_token().mint(), 401),
        ("/scoped", &issuer.id_token().scope("read:users").mint(), 401),
        ("/id", &issuer.id_token().mint(), 200),
        ("/id", &issuer.id_token().audience("another-client").mint(), 401),
    ] {
        let request = http::Request::get(path).header("authorization", format!("Bearer {token}"));
        let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), expected, "{path}");
    }
}

#[actix_web::test]
async fn a_logout_request_gets_the_same_answer_in_both_frameworks() {
    let issuer = TestIssuer::start().await;
    let trusted = || Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let list = token_core::revocation::MemoryDenyList::new();
    let api = ResourceServer::builder(issuer.audience()).trust(trusted()).deny_list(list).build().unwrap();
    let gate = api.clone();
    let endpoint = LogoutEndpoint::new(LogoutVerifier::new(CLIENT, trusted()).unwrap(), api);
    let axum = Router::new().route("/logout", post(axum_token::logout(endpoint.clone())));
    let actix = actix_web::test::init_service(
        actix_web::App::new().route("/logout", actix_web::web::post().to(actix_token::logout(endpoint))),
    )
    .await;
    let of = |jti: &str, session: &str| {
        let token = issuer.id_token().claim("events", json!({ EVENT: {} })).claim("jti", jti).claim("sid", session);
        format!("logout_token={}", token.mint())
    };
    let good = |framework: &str| of(framework, framework);
    let spent = of("again", "axum");
    let session = |sid: &str| issuer.token().claim("sid", sid).mint();
    let (at_axum, at_actix, another) = (session("axum"), session("actix"), session("another"));
    let alive = async |token: &str| gate.authenticate(Presented::token(token)).await.is_ok();
    assert!(alive(&at_axum).await && alive(&at_actix).await && alive(&another).await);
    let table = [
        (good("axum"), good("actix"), 204, ""),
        (spent.clone(), of("actix-2", "actix"), 204, ""),
        // The issuer has lost the answer and asks again: it gets the same one.
        (spent.clone(), spent, 204, ""),
        ("logout_token=x".into(), "logout_token=x".into(), 400, r#"{"error":"invalid_request"}"#),
        (String::new(), String::new(), 400, r#"{"error":"invalid_request"}"#),
    ];
    for (to_axum, to_actix, status, body) in table {
        let form = "application/x-www-form-urlencoded";
        let request = http::Request::post("/logout").header("content-type", form).body(Body::from(to_axum)).unwrap();
        let response = axum.clone().oneshot(request).await.unwrap();
        let cache = response.headers().get("cache-control").cloned();
        let seen = (response.status().as_u16(), axum::body::to_bytes(response.into_body(), 1000).await.unwrap());
        assert_eq!((seen.0, &seen.1[..]), (status, body.as_bytes()), "axum");
        assert_eq!(cache.unwrap(), "no-store");

        let request = actix_web::test::TestRequest::post().uri("/logout").set_payload(to_actix).to_request();
        let response = actix_web::test::call_service(&actix, request).await;
        let cache = response.headers().get("cache-control").cloned();
        let status_seen = response.status().as_u16();
        assert_eq!((status_seen, &actix_web::test::read_body(response).await[..]), (status, body.as_bytes()), "actix");
        assert_eq!(cache.unwrap(), "no-store");
    }
    assert!(!alive(&at_axum).await && !alive(&at_actix).await, "what a handler was told holds at the gate");
    assert!(alive(&another).await, "and for nobody else");
}
