//! `token-client` against a certified provider: it obtains, renews, exchanges and revokes what the provider grants.

use token_client::{PkceVerifier, Revoke, TokenClient, TokenErrorKind, TokenRequest, TokenSource, TokenType};
use token_core::http::ReqwestClient;
use token_core::{Presented, ResourceServer};
use token_tests::evidence::note;

use super::login::{CALLBACK, authorize};
use super::oidc_provider::{AUDIENCE, trusted};
use super::process::{SECRET, Server};

fn client(server: &Server) -> TokenClient {
    TokenClient::builder(format!("{}/token", server.url), "app-ES256")
        .secret(SECRET)
        .revocation_endpoint(format!("{}/token/revocation", server.url))
        .http(ReqwestClient::builder().allow_loopback_http().build().unwrap())
        .build()
        .unwrap()
}

async fn subject(api: &ResourceServer, token: &str) -> String {
    let verified = api.authenticate(Presented::token(token)).await.unwrap();
    verified.subject().unwrap_or_default().to_owned()
}

fn shown(capability: &str) {
    note("issuers", &format!("oidc-provider z-{capability}"), &["oidc-provider 9.13", "`token-client`", capability]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn obtains_renews_exchanges_and_revokes_at_a_certified_provider() {
    let server = Server::oidc_provider();
    let (client, api) = (client(&server), ResourceServer::builder(AUDIENCE).trust(trusted(&server)).build().unwrap());
    let resource = format!("{AUDIENCE}/ES256");

    let machine = client.source(TokenRequest::client_credentials().resource(&resource).scope("read:users"));
    let token = machine.token().await.unwrap();
    assert_eq!(subject(&api, token.expose()).await, "app-ES256");
    assert_eq!(machine.token().await.unwrap(), token, "remembered");
    shown("client credentials with a resource (RFC 8707)");

    let verifier = PkceVerifier::generate().unwrap();
    let query = [
        ("client_id", "app-ES256"),
        ("response_type", "code"),
        ("scope", "openid read:users"),
        ("redirect_uri", CALLBACK),
        ("code_challenge", &verifier.challenge()),
        ("code_challenge_method", "S256"),
        ("resource", &resource),
    ];
    let path = reqwest::Url::parse_with_params("http://loopback/auth", query).unwrap();
    let back = authorize(&server, &format!("/auth?{}", path.query().unwrap())).await;
    let request =
        TokenRequest::authorization_code(back["code"].as_str(), verifier).redirect_uri(CALLBACK).resource(&resource);
    let login = client.obtain(&request).await.unwrap();
    assert_eq!(subject(&api, login.access_token.expose()).await, "ada");
    assert!(login.id_token.is_some());
    shown("authorization code with PKCE (RFC 7636)");

    let refresh = login.refresh_token.unwrap();
    let refreshed = client.obtain(&TokenRequest::refresh(refresh.clone())).await.unwrap();
    let rotated = refreshed.refresh_token.unwrap();
    assert_ne!(rotated.expose(), refresh.expose());
    assert_eq!(subject(&api, refreshed.access_token.expose()).await, "ada");
    shown("refresh with rotation");

    let exchange = TokenRequest::exchange(refreshed.access_token.expose(), TokenType::ACCESS_TOKEN);
    let exchanged = client.obtain(&exchange).await.unwrap();
    let verified = api.authenticate(Presented::token(exchanged.access_token.expose())).await.unwrap();
    assert_eq!(verified.subject(), Some("ada"));
    assert_eq!(verified.actor().and_then(|actor| actor.subject()), Some("app-ES256"));
    shown("token exchange with an actor (RFC 8693)");

    client.revoke(Revoke::Refresh(&rotated)).await.unwrap();
    let spent = client.obtain(&TokenRequest::refresh(rotated)).await.unwrap_err();
    assert_eq!(spent.kind().fault(), TokenErrorKind::InvalidGrant.fault(), "{spent}");
    shown("revocation (RFC 7009), and a spent refresh token recognised");
}
