//! What the issuer's own endpoints take for one of its tokens: the very text that it signed, in every algorithm.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use reqwest::Client;
use serde_json::Value;
use token_core::Algorithm;
use token_test::{TestIssuer, TestKey};

async fn userinfo(issuer: &TestIssuer, token: &str) -> u16 {
    Client::new().get(issuer.userinfo_endpoint()).bearer_auth(token).send().await.unwrap().status().as_u16()
}

async fn active(issuer: &TestIssuer, token: &str) -> bool {
    let request = Client::new().post(issuer.introspection_endpoint()).basic_auth("test-client", Some("test-secret"));
    let answer: Value = request.form(&[("token", token)]).send().await.unwrap().json().await.unwrap();
    answer["active"].as_bool().unwrap()
}

#[tokio::test]
async fn only_what_was_signed_is_vouched_for() {
    for algorithm in [
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::ES512,
        Algorithm::EdDSA,
        Algorithm::HS256,
        Algorithm::MlDsa44,
        Algorithm::MlDsa65,
        Algorithm::MlDsa87,
    ] {
        let issuer = TestIssuer::builder().algorithm(algorithm).start().await;
        let token = || issuer.token().subject("ada");
        let good = token().mint();
        assert_eq!((userinfo(&issuer, &good).await, active(&issuer, &good).await), (200, true), "{algorithm}");
        for (what, bad) in [
            ("a letter appended", format!("{good}A")),
            ("a letter less", good[..good.len() - 1].to_owned()),
            ("another claim under the signature", token().tampered().mint()),
            ("another key of the same name", token().forged().mint()),
            ("no signature", token().alg_none().mint()),
            ("a key that is nobody's", token().signed_by(&TestKey::forger(algorithm, None)).mint()),
        ] {
            assert_eq!(
                (userinfo(&issuer, &bad).await, active(&issuer, &bad).await),
                (401, false),
                "{algorithm}: {what}"
            );
        }
    }
}
