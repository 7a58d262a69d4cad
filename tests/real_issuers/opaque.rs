//! Opaque tokens of real issuers: asked about once, believed for a moment, refused when revoked (RFC 7662, RFC 9701, RFC 7009).

use std::time::Duration;

use token_core::opaque::client_authentication::ClientAuthentication;
use token_core::{Audience, Issuer, ResourceServer, opaque::OpaqueTokens};

use super::process::{SECRET, Server, text};
use super::served::{Api, Framework};
use super::{django, oidc_provider};

fn asking(server: &Server, path: &str, client: &str) -> OpaqueTokens {
    let secret = ClientAuthentication::Basic(SECRET.into());
    let tokens = OpaqueTokens::introspection(format!("{}{path}", server.url), client, secret).unwrap();
    // A busy machine is no reason to call the issuer out of reach.
    tokens.timeout(Duration::from_secs(20))
}

fn gate(server: &Server, tokens: OpaqueTokens) -> ResourceServer {
    let issuer = Issuer::discover(&server.url).unwrap().allow_loopback_http().opaque_tokens(tokens);
    ResourceServer::builder(oidc_provider::AUDIENCE).trust(issuer).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asks_a_certified_provider_once_about_an_opaque_token() {
    let server = Server::oidc_provider();
    let path = "/token/introspection";
    for framework in Framework::ALL {
        let before = oidc_provider::count(&server, path).await;
        let api = Api::serve(framework, gate(&server, asking(&server, path, "api"))).await;
        let token = oidc_provider::mint(&server, "opaque").await;
        for _ in 0..5 {
            assert_eq!(api.get("/users", &token).await.status, 200, "{framework:?}");
        }
        assert_eq!(oidc_provider::count(&server, path).await - before, 1, "{framework:?}: five requests, one question");
        assert_eq!(api.get("/users", "an-opaque-token-that-nobody-issued").await.status, 401, "{framework:?}");
        // JWTs of the same issuer are verified here, and nobody is asked.
        let jwt = oidc_provider::mint(&server, "ES256").await;
        assert_eq!(api.get("/users", &jwt).await.status, 200, "{framework:?}");
        assert_eq!(oidc_provider::count(&server, path).await - before, 2, "{framework:?}");
        oidc_provider::shown(framework, "opaque tokens by introspection (RFC 7662), beside JWTs");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takes_answers_that_a_certified_provider_signed() {
    let server = Server::oidc_provider();
    for framework in Framework::ALL {
        let signed = asking(&server, "/token/introspection", "api-signed").require_signed_answers();
        let api = Api::serve(framework, gate(&server, signed)).await;
        let token = oidc_provider::mint(&server, "opaque").await;
        assert_eq!(api.get("/users", &token).await.status, 200, "{framework:?}");
        oidc_provider::shown(framework, "signed introspection answers (RFC 9701)");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_what_a_certified_provider_has_revoked() {
    let server = Server::oidc_provider();
    for framework in Framework::ALL {
        let at_once = asking(&server, "/token/introspection", "api").active_life(Duration::ZERO);
        let api = Api::serve(framework, gate(&server, at_once)).await;
        let token = oidc_provider::mint(&server, "opaque").await;
        assert_eq!(api.get("/users", &token).await.status, 200, "{framework:?}");
        server.post("/token/revocation", "app-RS256", &[("token", &token)]).await;
        let answer = api.get("/users", &token).await;
        assert_eq!(answer.status, 401, "{framework:?}");
        assert!(answer.challenge.contains("invalid_token"), "{answer:?}");
        oidc_provider::shown(framework, "revocation (RFC 7009) of opaque tokens");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_answers_that_name_neither_issuer_nor_audience() {
    let server = Server::django();
    let form = [("grant_type", "client_credentials"), ("scope", "read:users")];
    for framework in Framework::ALL {
        let token = text(&server.post("/token/", "machine", &form).await, "access_token");
        let tokens = || {
            let tokens = asking(&server, "/introspect/", "api").active_life(Duration::ZERO);
            tokens.audience(Audience::dangerously_unchecked())
        };
        let api = Api::serve(framework, gate(&server, tokens())).await;
        assert_eq!(api.get("/users", &token).await.status, 200, "{framework:?}");
        django::shown(framework, "opaque tokens by introspection, without iss and aud");

        // A client that may not ask gets 403 and a page of HTML: our trouble, so 503.
        let nobody = OpaqueTokens::introspection(
            format!("{}/introspect/", server.url),
            "api",
            ClientAuthentication::Basic("not the secret".into()),
        );
        let api_of_nobody =
            Api::serve(framework, gate(&server, nobody.unwrap().audience(Audience::dangerously_unchecked()))).await;
        assert_eq!(api_of_nobody.get("/users", &token).await.status, 503, "{framework:?}");
        django::shown(framework, "wrong credentials for introspection are our trouble (503)");

        server.post("/revoke_token/", "machine", &[("token", &token)]).await;
        assert_eq!(api.get("/users", &token).await.status, 401, "{framework:?}: revoked");
        django::shown(framework, "revocation of opaque tokens");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takes_the_opaque_token_of_a_refresh_and_not_the_one_before_it() {
    let server = Server::django();
    let login = django::log_in(&server, "app").await;
    let (first, spent) = (text(&login, "access_token"), text(&login, "refresh_token"));
    let form = [("grant_type", "refresh_token"), ("refresh_token", spent.as_str())];
    let refreshed = server.post("/token/", "app", &form).await;
    let second = text(&refreshed, "access_token");
    assert_ne!(text(&refreshed, "refresh_token"), spent, "the provider rotates refresh tokens");
    let again = server.http().post(format!("{}/token/", server.url)).basic_auth("app", Some(SECRET)).form(&form);
    assert_eq!(again.send().await.unwrap().status(), 400, "a spent refresh token");
    for framework in Framework::ALL {
        let tokens = asking(&server, "/introspect/", "api").audience(Audience::dangerously_unchecked());
        let api = Api::serve(framework, gate(&server, tokens)).await;
        assert_eq!(api.get("/users", &second).await.status, 200, "{framework:?}");
        assert_eq!(api.get("/users", &first).await.status, 401, "{framework:?}: the refresh ended it");
        assert_eq!(api.get("/users", &spent).await.status, 401, "{framework:?}: a refresh token");
        django::shown(framework, "opaque tokens from refresh with rotation");
    }
}
