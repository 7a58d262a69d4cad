//! ID tokens of scripted logins, in every algorithm the providers sign them with (OpenID Connect Core section 3.1.3.7).

use serde_json::Value;
use token_core::{
    Algorithm, ErrorKind, Issuer, StaticKeys,
    login::{IdTokenVerifier, Login},
};
use token_tests::evidence::note;

use super::process::{SECRET, Server, text};
use super::{django, oidc_provider};

const NONCE: &str = "n-0S6_WzA2Mj";

/// An issuer as a client trusts it: HMAC with the client's own secret, anything else with the published keys.
fn trusted(server: &Server, algorithm: Algorithm) -> Issuer {
    if algorithm.is_symmetric() {
        let secret = StaticKeys::secret(algorithm, SECRET.as_bytes()).unwrap();
        return Issuer::with_keys(&server.url, secret).unwrap();
    }
    Issuer::discover(&server.url).unwrap().allow_loopback_http().algorithms([algorithm])
}

async fn check(server: &Server, client: &str, algorithm: Algorithm, login: &Value, subject: &str) {
    let verifier = IdTokenVerifier::new(client, trusted(server, algorithm)).unwrap();
    let (id_token, access_token) = (text(login, "id_token"), text(login, "access_token"));
    let right = Login::with_nonce(NONCE).access_token(&access_token);
    let verified = verifier.verify(&id_token, right).await.unwrap_or_else(|error| panic!("{client}: {error}"));
    assert_eq!(verified.subject(), Some(subject), "{client}");

    let kind = async |verifier: &IdTokenVerifier, login| verifier.verify(&id_token, login).await.unwrap_err().kind();
    assert_eq!(kind(&verifier, Login::with_nonce("another")).await, ErrorKind::ClaimsMismatch, "{client}: nonce");
    let swapped = Login::with_nonce(NONCE).access_token("another token").require_hashes();
    assert_eq!(kind(&verifier, swapped).await, ErrorKind::ClaimsMismatch, "{client}: at_hash");
    let stranger = IdTokenVerifier::new("another-client", trusted(server, algorithm)).unwrap();
    assert_eq!(kind(&stranger, Login::with_nonce(NONCE)).await, ErrorKind::WrongAudience, "{client}: audience");
    // What is no ID token is not taken for one.
    assert!(verifier.verify(&access_token, Login::without_nonce()).await.is_err(), "{client}: an access token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verifies_logins_at_a_certified_provider_in_every_algorithm() {
    let server = Server::oidc_provider();
    let names = oidc_provider::ALGORITHMS.iter().chain(&["HS256", "HS384", "HS512"]);
    for name in names.clone() {
        let client = format!("app-{name}");
        let login = oidc_provider::log_in(&server, &client).await;
        check(&server, &client, name.parse().unwrap(), &login, "ada").await;
    }
    let names: Vec<_> = names.copied().collect();
    let shown = format!("ID tokens of scripted logins ({})", names.join(" "));
    note("issuers", "oidc-provider z-id-tokens", &["oidc-provider 9.13", "`IdTokenVerifier`", &shown]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verifies_logins_at_an_issuer_with_a_path() {
    let server = Server::django();
    for (client, algorithm) in [("app", Algorithm::RS256), ("app-HS256", Algorithm::HS256)] {
        let login = django::log_in(&server, client).await;
        check(&server, client, algorithm, &login, "1").await;
    }
    note(
        "issuers",
        "django z-id-tokens",
        &["django-oauth-toolkit 3.4", "`IdTokenVerifier`", "ID tokens of scripted logins (RS256 HS256)"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follows_a_live_rotation_at_an_issuer_whose_keys_may_be_cached_for_an_hour() {
    let server = Server::django();
    let verifier = IdTokenVerifier::new("app", trusted(&server, Algorithm::RS256)).unwrap();
    let log_in = async || text(&django::log_in(&server, "app").await, "id_token");
    let verdict =
        async |token: &str| verifier.verify(token, Login::with_nonce(NONCE)).await.map_err(|error| error.kind());

    let first = log_in().await;
    assert!(verdict(&first).await.is_ok());
    server.get("/test/rotate/?overlap=1").await;
    let second = log_in().await;
    assert!(verdict(&second).await.is_ok(), "the first token of the new key");
    assert!(verdict(&first).await.is_ok(), "the key that is still published");

    server.get("/test/rotate/").await;
    let third = log_in().await;
    assert!(verdict(&third).await.is_ok(), "the first token of the third key");
    for withdrawn in [&first, &second] {
        assert_eq!(verdict(withdrawn).await.err(), Some(ErrorKind::UnknownKey));
    }
    let shown = "live rotation with and without overlap, keys served for an hour";
    note("issuers", "django z-rotation", &["django-oauth-toolkit 3.4", "`IdTokenVerifier`", shown]);
}
