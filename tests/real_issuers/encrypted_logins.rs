//! Encrypted ID and logout tokens of a certified provider, for a client that has registered for them: obtained by `token-client`, opened by every
//! `alg` and `enc` (OpenID Connect Core sections 3.1.3.7 and 10.2, Back-Channel Logout section 2.4).

use axum::Router;
use axum::routing::post;
use serde_json::{Map, Value, json};
use token_client::{PkceVerifier, TokenClient, TokenRequest};
use token_core::http::ReqwestClient;
use token_core::jose::encryption::{ContentEncryption, DecryptionKey, EncryptedTokens, KeyManagement};
use token_core::login::{IdTokenVerifier, Login, OriginalIdToken};
use token_core::revocation::{LogoutEndpoint, LogoutVerifier};
use token_core::{ErrorKind, ResourceServer};
use token_tests::evidence::note;

use super::encrypted::{P256, RSA, X25519};
use super::login::{CALLBACK, authorize};
use super::oidc_provider::{AUDIENCE, trusted};
use super::process::{SECRET, Server};

const CLIENT: &str = "app-encrypted";
const NONCE: &str = "n-0S6_WzA2Mj";

/// Every `alg` with each `enc`, the key and the name of its kind.
fn kinds() -> Vec<(&'static str, DecryptionKey, ContentEncryption)> {
    use ContentEncryption::{A128CbcHs256, A128Gcm, A256CbcHs512, A256Gcm};
    let all = [A128Gcm, A256Gcm, A128CbcHs256, A256CbcHs512];
    let mut kinds = Vec::new();
    for (name, algorithm, pem) in [
        ("RSA-OAEP-256", KeyManagement::RsaOaep256, RSA),
        ("RSA-OAEP", KeyManagement::RsaOaep, RSA),
        ("ECDH-ES P-256", KeyManagement::EcdhEs, P256),
        ("ECDH-ES X25519", KeyManagement::EcdhEs, X25519),
    ] {
        let key = DecryptionKey::from_pem(algorithm, Some("ours"), pem.as_bytes()).unwrap();
        kinds.extend(all.map(|enc| (name, key.clone(), enc)));
    }
    let of_secret = |enc| ("dir", DecryptionKey::from_client_secret(enc, SECRET.as_bytes()).unwrap(), enc);
    kinds.extend(all.map(of_secret));
    kinds
}

/// Tells the provider what the client has registered for.
async fn register(server: &Server, key: &DecryptionKey, enc: ContentEncryption, more: Value) {
    let mut metadata = json!({
        "id_token_encrypted_response_alg": key.algorithm().name(),
        "id_token_encrypted_response_enc": enc.name(),
    });
    if let Some(mut jwk) = key.public_jwk() {
        jwk["use"] = json!("enc");
        metadata["jwks"] = json!({ "keys": [jwk] });
    }
    let members: Map<String, Value> = more.as_object().cloned().unwrap_or_default();
    metadata.as_object_mut().unwrap().extend(members);
    let query = [("metadata", metadata.to_string())];
    let path = reqwest::Url::parse_with_params("http://loopback/test/register", query).unwrap();
    assert_eq!(server.get(&format!("/test/register?{}", path.query().unwrap())).await, "registered");
}

fn client(server: &Server) -> TokenClient {
    TokenClient::builder(format!("{}/token", server.url), CLIENT)
        .secret(SECRET)
        .http(ReqwestClient::builder().allow_loopback_http().build().unwrap())
        .build()
        .unwrap()
}

/// Ada signs in: what the client gets for the code.
async fn sign_in(server: &Server, client: &TokenClient) -> token_client::TokenResponse {
    let verifier = PkceVerifier::generate().unwrap();
    let query = [
        ("client_id", CLIENT),
        ("response_type", "code"),
        ("scope", "openid email"),
        ("redirect_uri", CALLBACK),
        ("nonce", NONCE),
        ("code_challenge", &verifier.challenge()),
        ("code_challenge_method", "S256"),
    ];
    let path = reqwest::Url::parse_with_params("http://loopback/auth", query).unwrap();
    let back = authorize(server, &format!("/auth?{}", path.query().unwrap())).await;
    let request = TokenRequest::authorization_code(back["code"].as_str(), verifier).redirect_uri(CALLBACK);
    client.obtain(&request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opens_the_id_tokens_of_sign_ins_and_refreshes_by_every_alg_and_enc() {
    let server = Server::oidc_provider();
    let client = client(&server);
    let kinds = kinds();
    for (name, key, enc) in &kinds {
        register(&server, key, *enc, Value::Null).await;
        let login = sign_in(&server, &client).await;
        let (id_token, access_token) = (login.id_token.unwrap(), login.access_token);
        assert_eq!(id_token.expose().split('.').count(), 5, "{name} {enc}");

        let keys = || EncryptedTokens::with([key.clone()]).content_encryption([*enc]);
        let verifier = IdTokenVerifier::encrypted(CLIENT, trusted(&server), keys()).unwrap();
        let right = || Login::with_nonce(NONCE).access_token(access_token.expose());
        let verified = verifier.verify(id_token.expose(), right()).await;
        let verified = verified.unwrap_or_else(|error| panic!("{name} {enc}: {error}"));
        assert_eq!(verified.subject(), Some("ada"), "{name} {enc}");

        let refused = async |verifier: &IdTokenVerifier, login| {
            verifier.verify(id_token.expose(), login).await.unwrap_err().kind()
        };
        let swapped = Login::with_nonce(NONCE).access_token("another token").require_hashes();
        assert_eq!(refused(&verifier, Login::with_nonce("another")).await, ErrorKind::ClaimsMismatch, "{name}: nonce");
        assert_eq!(refused(&verifier, swapped).await, ErrorKind::ClaimsMismatch, "{name}: at_hash");
        let off = IdTokenVerifier::new(CLIENT, trusted(&server)).unwrap();
        assert_eq!(refused(&off, right()).await, ErrorKind::WrongType, "{name}: off by default");
        let others = DecryptionKey::generate_x25519(Some("ours")).unwrap();
        let others = IdTokenVerifier::encrypted(CLIENT, trusted(&server), EncryptedTokens::with([others])).unwrap();
        assert_eq!(refused(&others, right()).await, ErrorKind::Undecryptable, "{name}: another key");
        // What is opened is what was signed: a plain one of the same client, which has registered for more.
        let plain = verified.token().unwrap();
        assert_eq!(plain.split('.').count(), 3);
        let plain = verifier.verify(plain, right()).await.unwrap_err();
        assert_eq!(plain.kind(), ErrorKind::WrongType, "{name}: signed only");

        let refreshed = client.obtain(&TokenRequest::refresh(login.refresh_token.unwrap())).await.unwrap();
        let again = refreshed.id_token.unwrap();
        let original = OriginalIdToken::of(&verified).unwrap();
        let expected = Login::refreshed(&original).access_token(refreshed.access_token.expose());
        let again = verifier.verify(again.expose(), expected).await;
        assert_eq!(again.unwrap_or_else(|error| panic!("{name} {enc}: {error}")).subject(), Some("ada"));
    }
    assert_eq!(kinds.len(), 20);
    let shown = "encrypted ID tokens of sign-ins and refreshes, by `token-client` (dir, RSA-OAEP, RSA-OAEP-256, ECDH-ES with each enc)";
    note("issuers", "oidc-provider z-encrypted-id-tokens", &["oidc-provider 9.13", "`IdTokenVerifier`", shown]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_told_of_logouts_by_encrypted_tokens() {
    let server = Server::oidc_provider();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = format!("http://{}/logout", listener.local_addr().unwrap());
    let key = DecryptionKey::from_pem(KeyManagement::EcdhEs, Some("ours"), P256.as_bytes()).unwrap();
    let api = || ResourceServer::builder(AUDIENCE).trust(trusted(&server)).build().unwrap();
    let opening = LogoutVerifier::encrypted(CLIENT, trusted(&server), EncryptedTokens::with([key.clone()])).unwrap();
    let shut = LogoutVerifier::new(CLIENT, trusted(&server)).unwrap();
    let routes = Router::new()
        .route("/logout", post(axum_token::logout(LogoutEndpoint::new(opening, api()))))
        .route("/shut", post(axum_token::logout(LogoutEndpoint::new(shut, api()))));
    let serving = tokio::spawn(async move { axum::serve(listener, routes).await });

    let metadata = json!({"backchannel_logout_uri": place, "backchannel_logout_session_required": true});
    register(&server, &key, ContentEncryption::A256Gcm, metadata).await;
    assert_eq!(server.get("/test/log-out").await, "told", "the provider got 200");
    let metadata = json!({"backchannel_logout_uri": place.replace("/logout", "/shut")});
    register(&server, &key, ContentEncryption::A256Gcm, metadata).await;
    assert_eq!(server.get("/test/log-out").await, "400", "off by default");
    serving.abort();
    let shown = "encrypted logout tokens";
    note("issuers", "oidc-provider z-encrypted-logout", &["oidc-provider 9.13", "`LogoutVerifier`", shown]);
}
