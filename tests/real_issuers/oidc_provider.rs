//! Against `oidc-provider`, a certified OpenID Provider: every algorithm it signs with, live rotations, ID tokens, other tokens.

use serde_json::Value;
use token_core::{Algorithm, Issuer, ResourceServer, StaticKeys, jose::Algorithms};
use token_tests::evidence::note;

use super::login::{CALLBACK, authorize};
use super::process::{Server, text};
use super::served::{Api, Framework};

pub(super) const AUDIENCE: &str = "https://api.test";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// Under every algorithm's name; Ed25519 is RFC 9864's name for EdDSA on that curve.
pub(super) const ALGORITHMS: [&str; 11] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"];

pub(super) fn trusted(server: &Server) -> Issuer {
    Issuer::discover(&server.url).unwrap().allow_loopback_http().algorithms(Algorithms::ASYMMETRIC.iter())
}

fn api(issuer: Issuer) -> ResourceServer {
    ResourceServer::builder(AUDIENCE).trust(issuer).build().unwrap()
}

/// A token for the API by client credentials, in this format.
pub(super) async fn mint(server: &Server, format: &str) -> String {
    let resource = format!("{AUDIENCE}/{format}");
    let form = [("grant_type", "client_credentials"), ("resource", resource.as_str()), ("scope", "read:users")];
    text(&server.post("/token", "app-RS256", &form).await, "access_token")
}

/// What a scripted login of Ada's brings.
pub(super) async fn log_in(server: &Server, client: &str) -> Value {
    let resource = format!("{AUDIENCE}/ES256");
    let query = [
        ("client_id", client),
        ("response_type", "code"),
        ("scope", "openid email read:users"),
        ("redirect_uri", CALLBACK),
        ("nonce", "n-0S6_WzA2Mj"),
        ("state", "af0ifjsldkj"),
        ("resource", resource.as_str()),
    ];
    let path = reqwest::Url::parse_with_params("http://loopback/auth", query).unwrap();
    let back = authorize(server, &format!("/auth?{}", path.query().unwrap())).await;
    assert_eq!(back.get("state").map(String::as_str), Some("af0ifjsldkj"), "{back:?}");
    let code = back.get("code").unwrap_or_else(|| panic!("no code: {back:?}"));
    let form =
        [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK), ("resource", &resource)];
    server.post("/token", client, &form).await
}

pub(super) async fn count(server: &Server, path: &str) -> u64 {
    serde_json::from_str::<Value>(&server.get("/test/counts").await).unwrap()[path].as_u64().unwrap_or(0)
}

pub(super) fn shown(framework: Framework, capability: &str) {
    note(
        "issuers",
        &format!("oidc-provider {} {capability}", framework.name()),
        &["oidc-provider 9.13", framework.name(), capability],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepts_every_algorithm_that_a_certified_provider_signs_with() {
    let server = Server::oidc_provider();
    for framework in Framework::ALL {
        let api = Api::serve(framework, api(trusted(&server))).await;
        for algorithm in ALGORITHMS {
            let token = mint(&server, algorithm).await;
            let me = api.get("/me", &token).await;
            assert_eq!((me.status, me.body.as_str()), (200, "app-RS256"), "{algorithm} {framework:?}");
            assert_eq!(api.get("/users", &token).await.status, 200, "{algorithm} {framework:?}");
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let first = if signature.starts_with('A') { "B" } else { "A" };
            let forged = api.get("/me", &format!("{signed}.{first}{}", &signature[1..])).await;
            assert_eq!(forged.status, 401, "{algorithm} {framework:?}");
            assert!(forged.challenge.contains("invalid_token"), "{forged:?}");
        }
        shown(framework, "discovery");
        shown(framework, &format!("JWT access tokens ({})", ALGORITHMS.join(" ")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepts_a_shared_secret_only_where_it_was_given_by_hand() {
    let server = Server::oidc_provider();
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        let secret = b"a shared secret of sixty-four bytes at the least, for tests and for tests alone";
        let with_secret = Issuer::with_keys(&server.url, StaticKeys::secret(algorithm, secret).unwrap()).unwrap();
        let token = mint(&server, algorithm.name()).await;
        for framework in Framework::ALL {
            let given = Api::serve(framework, api(with_secret.clone())).await;
            assert_eq!(given.get("/me", &token).await.status, 200, "{algorithm} {framework:?}");
            let fetched = Api::serve(framework, api(trusted(&server))).await;
            assert_eq!(fetched.get("/me", &token).await.status, 401, "{algorithm} {framework:?}");
            shown(framework, &format!("JWT access tokens ({algorithm}, secret given)"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_tokens_of_a_real_provider_that_are_for_another_audience() {
    let server = Server::oidc_provider();
    let token = mint(&server, "RS256").await;
    for framework in Framework::ALL {
        let other = ResourceServer::builder("https://other.test").trust(trusted(&server)).build().unwrap();
        let answer = Api::serve(framework, other).await.get("/me", &token).await;
        assert_eq!(answer.status, 401, "{framework:?}");
        assert!(
            answer.challenge.contains("another audience") || answer.challenge.contains("invalid_token"),
            "{answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follows_a_live_rotation_at_the_first_token_of_the_new_key() {
    for framework in Framework::ALL {
        let server = Server::oidc_provider();
        let api = Api::serve(framework, api(trusted(&server))).await;
        let first = mint(&server, "RS256").await;
        assert_eq!(api.get("/me", &first).await.status, 200);

        // With overlap, both keys are published and both tokens are good.
        server.get("/test/rotate?overlap").await;
        let second = mint(&server, "RS256").await;
        assert_eq!(api.get("/me", &second).await.status, 200, "{framework:?}: the first token of the new key");
        assert_eq!(api.get("/me", &first).await.status, 200, "{framework:?}: the key that is still published");
        assert_eq!(count(&server, "/jwks").await, 2, "{framework:?}: one fetch at the start and one for the new key");

        // Without, the old ones are gone as soon as the new set is here.
        server.get("/test/rotate").await;
        let third = mint(&server, "RS256").await;
        assert_eq!(api.get("/me", &third).await.status, 200, "{framework:?}: the first token of the third key");
        assert_eq!(api.get("/me", &first).await.status, 401, "{framework:?}: a withdrawn key");
        assert_eq!(api.get("/me", &second).await.status, 401, "{framework:?}: a withdrawn key");
        shown(framework, "live rotation with and without overlap");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takes_the_access_token_of_a_login_and_nothing_else_that_came_with_it() {
    let server = Server::oidc_provider();
    let login = log_in(&server, "app-RS256").await;
    for framework in Framework::ALL {
        let api = Api::serve(framework, api(trusted(&server))).await;
        let me = api.get("/me", &text(&login, "access_token")).await;
        assert_eq!((me.status, me.body.as_str()), (200, "ada"), "{framework:?}");
        assert_eq!(api.get("/me", &text(&login, "id_token")).await.status, 401, "{framework:?}: an ID token");
        assert_eq!(api.get("/me", &text(&login, "refresh_token")).await.status, 401, "{framework:?}: a refresh token");
        shown(framework, "scripted login: access token accepted, ID and refresh token refused");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takes_the_token_of_a_refresh_and_of_an_exchange() {
    let server = Server::oidc_provider();
    let login = log_in(&server, "app-ES256").await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", login["refresh_token"].as_str().unwrap())];
    let refreshed = server.post("/token", "app-ES256", &form).await;
    assert_ne!(refreshed["refresh_token"], login["refresh_token"], "the provider rotates refresh tokens");
    let subject = text(&refreshed, "access_token");
    let form = [
        ("grant_type", EXCHANGE),
        ("subject_token", subject.as_str()),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    let exchanged = server.post("/token", "app-RS256", &form).await;
    for framework in Framework::ALL {
        let api = Api::serve(framework, api(trusted(&server))).await;
        assert_eq!(api.get("/me", &subject).await.body, "ada", "{framework:?}: refreshed");
        assert_eq!(api.get("/me", &text(&exchanged, "access_token")).await.body, "ada", "{framework:?}: exchanged");
        shown(framework, "tokens from refresh with rotation");
        shown(framework, "tokens from token exchange (RFC 8693)");
    }
}
