//! Discovery documents and the JWK Set over real HTTP: what is where, what it says, and what rotation changes in it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::{Value, json};
use token_core::Algorithm;
use token_test::{Endpoint, TestIssuer};

async fn json_at(url: &str) -> Value {
    let response = reqwest::get(url).await.unwrap();
    assert_eq!(response.status(), 200, "{url}");
    assert_eq!(response.headers()["content-type"], "application/json");
    response.json().await.unwrap()
}

async fn kids(issuer: &TestIssuer) -> Vec<String> {
    let set = json_at(&issuer.jwks_uri()).await;
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn origin(issuer: &TestIssuer) -> String {
    let port = issuer.url().split(':').nth(2).unwrap().split('/').next().unwrap();
    format!("http://127.0.0.1:{port}")
}

#[tokio::test]
async fn documents_are_where_the_specifications_put_them() {
    const OPENID: &str = "/.well-known/openid-configuration";
    const RFC8414: &str = "/.well-known/oauth-authorization-server";
    let cases = [
        ("", false, "", OPENID.to_owned(), RFC8414.to_owned()),
        ("", true, "/", OPENID.to_owned(), RFC8414.to_owned()),
        ("/realms/x", false, "/realms/x", format!("/realms/x{OPENID}"), format!("{RFC8414}/realms/x")),
        ("realms/x/", true, "/realms/x/", format!("/realms/x{OPENID}"), format!("{RFC8414}/realms/x")),
    ];
    for (path, slash, suffix, openid, rfc8414) in cases {
        let issuer = TestIssuer::builder().path(path).trailing_slash(slash).start().await;
        let origin = origin(&issuer);
        assert_eq!(issuer.url(), format!("{origin}{suffix}"));
        for location in [openid, rfc8414] {
            let document = json_at(&format!("{origin}{location}")).await;
            assert_eq!(document["issuer"], issuer.url());
            assert_eq!(document["jwks_uri"], issuer.jwks_uri());
            assert_eq!(document["token_endpoint"], issuer.token_endpoint());
        }
        assert_eq!(issuer.hits(Endpoint::Discovery), 2);
        assert_eq!(kids(&issuer).await, ["rsa-1"]);
    }
}

#[tokio::test]
async fn serves_only_the_documents_that_were_asked_for() {
    let cases = [
        (TestIssuer::builder().rfc8414_only(), "openid-configuration", "oauth-authorization-server"),
        (TestIssuer::builder().openid_only(), "oauth-authorization-server", "openid-configuration"),
    ];
    for (builder, absent, present) in cases {
        let issuer = builder.start().await;
        let answer = reqwest::get(format!("{}/.well-known/{absent}", issuer.url())).await.unwrap();
        assert_eq!(answer.status(), 404);
        json_at(&format!("{}/.well-known/{present}", issuer.url())).await;
    }
}

#[tokio::test]
async fn metadata_can_be_replaced_and_removed() {
    let issuer = TestIssuer::start().await;
    issuer.set_metadata("issuer", "https://evil.example");
    issuer.set_metadata("token_endpoint", Value::Null);
    let document = json_at(&format!("{}/.well-known/openid-configuration", issuer.url())).await;
    assert_eq!(document["issuer"], "https://evil.example");
    assert_eq!(document.get("token_endpoint"), None);
    assert_eq!(document["jwks_uri"], issuer.jwks_uri());
}

#[tokio::test]
async fn publishes_public_keys_and_nothing_of_private_ones() {
    let issuer = TestIssuer::builder()
        .algorithm(Algorithm::ES256)
        .algorithm(Algorithm::EdDSA)
        .algorithm(Algorithm::PS256)
        .algorithm(Algorithm::HS256)
        .start()
        .await;
    let set = json_at(&issuer.jwks_uri()).await;
    let keys = set["keys"].as_array().unwrap();
    let kinds: Vec<_> = keys.iter().map(|key| (key["kty"].as_str().unwrap(), key["alg"].as_str().unwrap())).collect();
    assert_eq!(kinds, [("EC", "ES256"), ("OKP", "EdDSA"), ("RSA", "PS256")], "a shared secret is never published");
    for key in keys {
        assert_eq!(key["use"], "sig");
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert_eq!(key.get(private), None);
        }
    }
}

#[tokio::test]
async fn rotation_keeps_the_old_key_and_hard_rotation_does_not() {
    let issuer = TestIssuer::start().await;
    assert_eq!(kids(&issuer).await, ["rsa-1"]);
    let second = issuer.rotate();
    assert_eq!(second.kid(), Some("rsa-2"));
    assert_eq!(issuer.signing_key().kid(), Some("rsa-2"));
    assert_eq!(kids(&issuer).await, ["rsa-1", "rsa-2"]);
    issuer.rotate_hard();
    assert_eq!(kids(&issuer).await, ["rsa-3"]);
    assert_eq!(issuer.hits(Endpoint::Jwks), 3);
    issuer.forget_hits();
    assert_eq!(issuer.hits(Endpoint::Jwks), 0);
}

#[tokio::test]
async fn a_rotation_can_be_taken_in_steps() {
    let issuer = TestIssuer::start().await;
    let next = issuer.new_key(Algorithm::RS256);
    issuer.publish(&next);
    issuer.publish(&next);
    assert_eq!(kids(&issuer).await, ["rsa-1", "rsa-2"], "published once");
    assert_eq!(issuer.signing_key().kid(), Some("rsa-1"), "published, not yet in use");
    issuer.sign_with(&next);
    issuer.withdraw("rsa-1");
    assert_eq!(kids(&issuer).await, ["rsa-2"]);
    assert_eq!(issuer.signing_key().kid(), Some("rsa-2"));
}

#[tokio::test]
async fn odd_keys_can_be_published_and_withdrawn() {
    let issuer = TestIssuer::start().await;
    issuer.publish_jwk(json!({ "kty": "quantum", "kid": 7 }));
    issuer.publish_jwk(json!({ "kty": "RSA", "kid": "broken" }));
    issuer.withdraw("broken");
    let set = json_at(&issuer.jwks_uri()).await;
    assert_eq!(set["keys"].as_array().unwrap().len(), 2);
    assert_eq!(set["keys"][1], json!({ "kty": "quantum", "kid": 7 }));
}

#[tokio::test]
async fn every_key_has_a_kid_of_its_own_even_when_material_repeats() {
    let issuer = TestIssuer::builder().algorithm(Algorithm::ES384).start().await;
    for _ in 0..9 {
        issuer.rotate();
    }
    let mut kids = kids(&issuer).await;
    assert_eq!(kids.len(), 10);
    kids.sort();
    kids.dedup();
    assert_eq!(kids.len(), 10);
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error() {
    let issuer = TestIssuer::start().await;
    let address: std::net::SocketAddr = issuer.url().trim_start_matches("http://").parse().unwrap();
    let error = TestIssuer::builder().bind(address).try_start().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}
