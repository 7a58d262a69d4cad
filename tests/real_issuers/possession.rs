//! Bound tokens of a certified provider, on the way out: by proofs with nonces (RFC 9449) and by mutual TLS (RFC 8705), to APIs that somebody else wrote.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use token_client::{
    BearerClient, ClientAuthentication, ClientIdentity, DpopKey, FixedSource, MemoryStore, Origins, PkceVerifier,
    RefreshSource, Token, TokenClient, TokenClientBuilder, TokenErrorKind, TokenRequest, TokenSource,
};
use token_core::Algorithm;
use token_core::http::{ReqwestClient, ReqwestClientBuilder};
use token_core::keys::discovery::{Discovery, Metadata};
use token_tests::evidence::note;

use super::login::{CALLBACK, authorize};
use super::oidc_provider::AUDIENCE;
use super::process::{SECRET, Server};

const AUTHORITY: &str = include_str!("../tls/authority.pem");
const CLIENT: &str = include_str!("../tls/client.pem");
/// A certificate that no client is known by.
const OTHER: &str = include_str!("../tls/stranger.pem");

fn settings() -> ReqwestClientBuilder {
    ReqwestClient::builder().allow_loopback_http().root_certificate_pem(AUTHORITY).only_given_roots()
}

fn http() -> ReqwestClient {
    settings().build().unwrap()
}

fn key(algorithm: Algorithm) -> DpopKey {
    DpopKey::generate(algorithm).unwrap()
}

fn identity(pem: &str) -> ClientIdentity {
    ClientIdentity::from_pem(pem).unwrap()
}

fn client(server: &Server, id: &str) -> TokenClientBuilder {
    TokenClient::builder(format!("{}/token", server.url), id).secret(SECRET).http(http())
}

fn machine() -> TokenRequest {
    TokenRequest::client_credentials().resource(format!("{AUDIENCE}/ES256")).scope("read:users")
}

/// `cnf` of a JWT.
fn confirmation(token: &Token) -> Value {
    let claims = URL_SAFE_NO_PAD.decode(token.expose().split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["cnf"].clone()
}

/// The status of a GET by the sender for reqwest, which makes proofs and shows certificates by itself.
async fn get(source: impl TokenSource, url: &str) -> u16 {
    let origin = reqwest::Url::parse(url).unwrap().origin().ascii_serialization();
    let settings = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(AUTHORITY.as_bytes()).unwrap()])
        .tls_backend_rustls();
    let client = BearerClient::new(source, Origins::of([origin.as_str()]).unwrap()).client(settings).unwrap().build();
    client.get(url).send().await.unwrap().status().as_u16()
}

/// A scripted login of Ada's: the code, and the request that redeems it.
async fn log_in(server: &Server, client: &str, more: &[(&str, &str)]) -> TokenRequest {
    let verifier = PkceVerifier::generate().unwrap();
    let challenge = verifier.challenge();
    let mut query = vec![
        ("client_id", client),
        ("response_type", "code"),
        ("scope", "openid offline_access read:users"),
        ("prompt", "consent"),
        ("redirect_uri", CALLBACK),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    query.extend(more);
    let path = reqwest::Url::parse_with_params("http://loopback/auth", query).unwrap();
    let back = authorize(server, &format!("/auth?{}", path.query().unwrap())).await;
    let code = back.get("code").unwrap_or_else(|| panic!("no code: {back:?}")).as_str();
    TokenRequest::authorization_code(code, verifier).redirect_uri(CALLBACK)
}

fn shown(capability: &str) {
    note("issuers", &format!("oidc-provider z-{capability}"), &["oidc-provider 9.13", "`token-client`", capability]);
}

fn shown_at_express(capability: &str) {
    let name = "express-oauth2-jwt-bearer 1.10";
    note("issuers", &format!("{name} {capability}"), &[name, "`token-client`", capability]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proves_itself_to_a_certified_provider_and_to_an_api_of_somebody_elses() {
    let server = Server::oidc_provider();
    let api = Server::express(&server.url, AUDIENCE);
    let orders = format!("{}/orders?page=2", api.url);
    for (algorithm, nonces) in [(Algorithm::ES256, false), (Algorithm::EdDSA, false), (Algorithm::ES256, true)] {
        if nonces {
            server.get("/test/nonces").await;
        }
        let key = key(algorithm);
        let source = client(&server, "dpop-only").dpop(key.clone()).build().unwrap().source(machine());
        let token = source.token().await.unwrap();
        assert!(token.is_dpop_bound());
        assert_eq!(confirmation(&token)["jkt"], key.thumbprint().to_string(), "{algorithm}");
        assert_eq!(get(source.clone(), &orders).await, 200, "{algorithm}");
        assert_eq!(get(source, &orders).await, 200, "each request has a proof of its own");
        // The same token without its proof, and with a proof by another key.
        let bearer = FixedSource::new(Token::bearer(token.expose(), None).unwrap());
        assert_eq!(get(bearer, &orders).await, 401, "{algorithm}");
        let thief = FixedSource::new(Token::dpop(token.expose(), None, &self::key(algorithm)).unwrap());
        assert_eq!(get(thief, &orders).await, 401, "{algorithm}");
        let with = if nonces { ", with nonces" } else { "" };
        shown(&format!("DPoP ({algorithm}) at the token endpoint{with} (RFC 9449)"));
        shown_at_express(&format!("takes our proofs ({algorithm}), and no token without them"));
    }
    let refused = client(&server, "dpop-only").build().unwrap().obtain(&machine()).await.unwrap_err();
    assert_eq!(refused.kind(), TokenErrorKind::InvalidGrant, "its word for a proof that is missing: {refused}");
    let unbound = client(&server, "app-ES256").dpop_or_bearer(key(Algorithm::ES256)).build().unwrap();
    assert!(unbound.source(machine()).token().await.unwrap().is_dpop_bound(), "it binds whoever proves a key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_is_bound_from_the_code_to_the_refresh_token_and_to_userinfo() {
    let server = Server::oidc_provider();
    server.get("/test/nonces").await;
    let key = key(Algorithm::ES256);
    let public = |key: DpopKey| {
        let client = TokenClient::builder(format!("{}/token", server.url), "dpop-public").http(http());
        client.authentication(ClientAuthentication::None).dpop(key).build().unwrap()
    };
    let thumbprint = key.thumbprint().to_string();
    let code = log_in(&server, "dpop-public", &[("dpop_jkt", &thumbprint)]).await;
    let thief = public(self::key(Algorithm::ES256)).obtain(&code).await.unwrap_err();
    assert_eq!(thief.kind(), TokenErrorKind::InvalidGrant, "a code that was bound to another key: {thief}");
    let code = log_in(&server, "dpop-public", &[("dpop_jkt", &thumbprint)]).await;
    let client = public(key);
    let login = client.obtain(&code).await.unwrap();
    shown("authorization code bound to a key by dpop_jkt (RFC 9449 section 10)");

    let source = RefreshSource::builder(client.clone(), Arc::new(MemoryStore::new()), "ada").build();
    source.sign_in(&login).await.unwrap();
    assert_eq!(get(source.clone(), &format!("{}/me", server.url)).await, 200);
    assert_eq!(get(source, &format!("{}/me", server.url)).await, 200);
    shown("userinfo with DPoP and nonces");

    let other = public(self::key(Algorithm::ES256));
    let code = log_in(&server, "dpop-public", &[]).await;
    let refresh = client.obtain(&code).await.unwrap().refresh_token.unwrap();
    let stolen = other.obtain(&TokenRequest::refresh(refresh.clone())).await.unwrap_err();
    assert_eq!(stolen.kind(), TokenErrorKind::InvalidGrant, "{stolen}");
    assert!(client.obtain(&TokenRequest::refresh(refresh)).await.unwrap().dpop_bound);
    shown("refresh token of a public client, good with its key alone");
}

async fn metadata(server: &Server) -> Arc<Metadata> {
    Discovery::new(&server.url, Arc::new(http())).unwrap().metadata().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shows_its_certificate_to_a_certified_provider_and_to_an_api_of_somebody_elses() {
    let server = Server::oidc_provider();
    let api = Server::express(&server.url, AUDIENCE);
    let metadata = metadata(&server).await;
    let userinfo = metadata.mtls_endpoint_aliases.as_ref().unwrap().userinfo_endpoint.clone().unwrap();
    for id in ["mtls-ca", "mtls-self-signed"] {
        let client = |pem| {
            let builder = TokenClient::discovered(&metadata, id).unwrap().client_identity(identity(pem));
            builder.authentication(ClientAuthentication::MutualTls).http_settings(settings()).build().unwrap()
        };
        let ours = client(CLIENT);
        assert!(ours.token_endpoint().starts_with("https://"), "the alias, beside {}", server.url);
        let source = ours.source(machine());
        let token = source.token().await.unwrap();
        assert_eq!(confirmation(&token)["x5t#S256"], identity(CLIENT).thumbprint(), "{id}");
        let refused = client(OTHER).obtain(&machine()).await.unwrap_err();
        assert_eq!(refused.kind(), TokenErrorKind::InvalidClient, "{id}: {refused}");

        let orders = format!("{}/orders", api.url);
        assert_eq!(get(source, &orders).await, 200, "{id}");
        let elsewhere = FixedSource::new(Token::bearer(token.expose(), None).unwrap());
        assert_eq!(get(elsewhere, &orders).await, 400, "{id}: without the certificate");

        let login = ours.obtain(&log_in(&server, id, &[]).await).await.unwrap();
        let text = login.access_token.clone();
        let source = RefreshSource::builder(ours, Arc::new(MemoryStore::new()), "ada").build();
        source.sign_in(&login).await.unwrap();
        assert_eq!(get(source, &userinfo).await, 200, "{id}");
        assert_eq!(get(FixedSource::new(Token::bearer(text, None).unwrap()), &userinfo).await, 401, "{id}");
    }
    shown("tls_client_auth and self_signed_tls_client_auth at the alias (RFC 8705 sections 2 and 5)");
    shown("tokens bound to a certificate (RFC 8705 section 3), refresh and userinfo");
    shown_at_express("takes our certificate, and no bound token without it");
}
