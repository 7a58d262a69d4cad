//! Minted tokens: each call changes what it says and nothing else, and signatures hold exactly where they should.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use aws_lc_rs::{hmac, signature};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use token_core::Algorithm;
use token_test::{ManualClock, TestIssuer, TestKey, TokenBuilder};

const NOW: i64 = 1_800_000_000;

async fn issuer() -> TestIssuer {
    TestIssuer::builder().clock(ManualClock::default()).start().await
}

fn part(token: &str, index: usize) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()
}

fn header(token: &TokenBuilder) -> Value {
    serde_json::from_slice(&part(&token.mint(), 0)).unwrap()
}

fn claims(token: &TokenBuilder) -> Value {
    serde_json::from_slice(&part(&token.mint(), 1)).unwrap()
}

/// Verifies with the crypto library alone: neither the core nor the signing code has a say in it.
fn holds(token: &str, key: &TestKey) -> bool {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let with: &dyn signature::VerificationAlgorithm = match key.algorithm() {
        Algorithm::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::ES256 => &signature::ECDSA_P256_SHA256_FIXED,
        Algorithm::ES384 => &signature::ECDSA_P384_SHA384_FIXED,
        Algorithm::ES512 => &signature::ECDSA_P521_SHA512_FIXED,
        Algorithm::EdDSA => &signature::ED25519,
        Algorithm::MlDsa44 => &signature::ML_DSA_44,
        Algorithm::MlDsa65 => &signature::ML_DSA_65,
        Algorithm::MlDsa87 => &signature::ML_DSA_87,
        symmetric => {
            let hash = match symmetric {
                Algorithm::HS256 => hmac::HMAC_SHA256,
                Algorithm::HS384 => hmac::HMAC_SHA384,
                _ => hmac::HMAC_SHA512,
            };
            let key = hmac::Key::new(hash, key.secret().unwrap());
            return hmac::verify(&key, message.as_bytes(), &signature).is_ok();
        }
    };
    let pem: String = key.public_pem().unwrap().lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(pem).unwrap();
    signature::UnparsedPublicKey::new(with, der).verify(message.as_bytes(), &signature).is_ok()
}

#[tokio::test]
async fn left_alone_an_access_token_has_the_shape_of_rfc_9068() {
    let issuer = issuer().await;
    let token = issuer.token();
    assert_eq!(header(&token), json!({ "alg": "RS256", "kid": "rsa-1", "typ": "at+jwt" }));
    let mut claims = claims(&token);
    let jti = claims.as_object_mut().unwrap().remove("jti").unwrap();
    assert_eq!(
        claims,
        json!({
            "iss": issuer.url(), "aud": issuer.audience(), "sub": "test-user", "client_id": "test-client",
            "iat": NOW, "exp": NOW + 3600,
        })
    );
    assert_ne!(jti, self::claims(&issuer.token())["jti"], "no two tokens are the same");
}

#[tokio::test]
async fn an_id_token_is_for_the_client() {
    let token = issuer().await.id_token().claim("nonce", "n");
    assert_eq!(header(&token)["typ"], "JWT");
    let mut claims = claims(&token);
    claims.as_object_mut().unwrap().remove("iss");
    assert_eq!(
        claims,
        json!({ "aud": "test-client", "sub": "test-user", "nonce": "n", "iat": NOW, "exp": NOW + 3600 })
    );
}

#[tokio::test]
async fn each_call_sets_its_claim() {
    let issuer = issuer().await;
    let token = || issuer.token();
    let hour = Duration::from_secs(3600);
    let cases: Vec<(&str, TokenBuilder, Value)> = vec![
        ("sub", token().subject("ada"), json!("ada")),
        ("scope", token().scope("a b"), json!("a b")),
        ("aud", token().audience("x"), json!("x")),
        ("aud", token().audiences(["x"]), json!("x")),
        ("aud", token().audiences(["x", "y"]), json!(["x", "y"])),
        ("aud", token().audiences([]), json!([])),
        ("client_id", token().client_id("c"), json!("c")),
        ("iss", token().issuer("https://other.example"), json!("https://other.example")),
        ("exp", token().expires_in(2 * hour), json!(NOW + 7200)),
        ("exp", token().expired(), json!(NOW - 3600)),
        ("iat", token().expired(), json!(NOW - 7200)),
        ("exp", token().expired_ago(Duration::from_secs(29)), json!(NOW - 29)),
        ("nbf", token().not_before_in(hour), json!(NOW + 3600)),
        ("iat", token().issued_in(hour), json!(NOW + 3600)),
        ("exp", token().expires_in(Duration::MAX), json!(i64::MAX)),
        ("exp", token().claim("exp", "soon"), json!("soon")),
        ("exp", token().claim("exp", "soon").expires_in(hour), json!(NOW + 3600)),
        ("exp", token().without("exp").expires_in(hour), json!(NOW + 3600)),
        ("sub", token().without("sub").subject("ada"), json!("ada")),
        ("k", token().claim("k", json!({ "deep": [1] })), json!({ "deep": [1] })),
    ];
    for (name, token, value) in cases {
        assert_eq!(claims(&token)[name], value, "{token:?}");
    }
}

#[tokio::test]
async fn what_is_left_out_is_not_there() {
    let issuer = issuer().await;
    for name in ["iss", "aud", "sub", "client_id", "iat", "exp", "jti"] {
        let claims = claims(&issuer.token().without(name));
        assert_eq!(claims.as_object().unwrap().len(), 6);
        assert_eq!(claims.get(name), None);
    }
    for name in ["alg", "kid", "typ"] {
        let header = header(&issuer.token().without_header(name));
        assert_eq!(header.as_object().unwrap().len(), 2);
        assert_eq!(header.get(name), None);
    }
    assert_eq!(header(&issuer.token().kid("k").header("crit", json!(["x"])))["kid"], "k");
}

#[tokio::test]
async fn every_algorithm_signs_with_the_key_that_is_published_for_it() {
    let issuer = issuer().await;
    let all = [
        "RS256",
        "RS384",
        "RS512",
        "PS256",
        "PS384",
        "PS512",
        "ES256",
        "ES384",
        "ES512",
        "EdDSA",
        "HS256",
        "HS384",
        "HS512",
        "ML-DSA-44",
        "ML-DSA-65",
        "ML-DSA-87",
    ];
    for algorithm in all.map(|name| Algorithm::from_name(name).unwrap()) {
        let token = issuer.token().algorithm(algorithm).mint();
        let key = issuer.new_key(algorithm);
        assert!(!holds(&token, &key), "{algorithm}: another key of the same kind");
        issuer.sign_with(&key);
        let token = issuer.token().algorithm(algorithm);
        assert_eq!(header(&token)["alg"], algorithm.name());
        assert_eq!(header(&token)["kid"].as_str(), key.kid());
        assert!(holds(&token.mint(), &key), "{algorithm}");

        let forged = issuer.token().algorithm(algorithm).forged();
        assert_eq!(header(&forged)["kid"].as_str(), key.kid(), "{algorithm}: a forgery names the published key");
        assert!(!holds(&forged.mint(), &key), "{algorithm}: and was not signed by it");
        assert!(holds(&forged.mint(), &TestKey::forger(algorithm, None)));
    }
}

#[tokio::test]
async fn a_tampered_token_says_other_things_than_were_signed() {
    let issuer = issuer().await;
    let key = issuer.signing_key();
    assert!(holds(&issuer.token().mint(), &key));
    let tampered = issuer.token().tampered();
    assert_eq!(claims(&tampered)["tampered"], true);
    assert!(!holds(&tampered.mint(), &key));
    for raw in ["{}", r#"{"sub":"ada"}"#, "not json"] {
        assert!(!holds(&issuer.token().raw_claims(raw).tampered().mint(), &key), "{raw}");
    }
}

#[tokio::test]
async fn raw_texts_are_signed_as_they_stand() {
    let issuer = issuer().await;
    let (raw_header, raw_claims) = (r#"{"alg":"RS256", "alg":"none"}"#, "{\"sub\":\"a\",\n\"sub\":\"b\"} ");
    let token = issuer.token().raw_header(raw_header).raw_claims(raw_claims).subject("ignored").mint();
    assert_eq!(part(&token, 0), raw_header.as_bytes());
    assert_eq!(part(&token, 1), raw_claims.as_bytes());
    assert!(holds(&token, &issuer.signing_key()));
}

#[tokio::test]
async fn an_unsecured_token_has_no_signature() {
    let issuer = issuer().await;
    let token = issuer.token().alg_none();
    assert_eq!(header(&token), json!({ "alg": "none", "typ": "at+jwt" }));
    assert!(token.mint().ends_with('.'));
}

#[tokio::test]
async fn the_public_key_can_play_the_secret() {
    let issuer = issuer().await;
    let published = issuer.signing_key();
    let confused = TestKey::from_secret(Algorithm::HS256, published.kid(), published.public_pem().expect("an RSA key"));
    let token = issuer.token().signed_by(&confused);
    assert_eq!((&header(&token)["alg"], &header(&token)["kid"]), (&json!("HS256"), &json!("rsa-1")));
    assert!(holds(&token.mint(), &confused));
}

#[tokio::test]
async fn a_key_of_your_own_signs_too() {
    let key = TestKey::from_pem(Algorithm::EdDSA, Some("mine"), include_str!("../keys/ed25519-3.pem"));
    let token = issuer().await.token().signed_by(&key);
    assert_eq!((&header(&token)["alg"], &header(&token)["kid"]), (&json!("EdDSA"), &json!("mine")));
    assert_eq!(key.public_jwk().unwrap()["crv"], "Ed25519");
    assert_eq!((key.public_pem(), key.secret()), (None, None));
}

#[tokio::test]
async fn the_clock_of_the_issuer_dates_its_tokens() {
    let clock = ManualClock::default();
    let issuer = TestIssuer::builder().clock(clock.clone()).start().await;
    let token = issuer.token();
    clock.advance(Duration::from_secs(10));
    assert_eq!(claims(&token)["exp"], NOW + 3610, "dated when it is minted");
}

#[tokio::test]
async fn debug_output_shows_no_secret() {
    let key = TestKey::from_secret(Algorithm::HS256, Some("k"), "canary canary canary canary canary");
    let text = format!("{:?}", issuer().await.token().signed_by(&key));
    assert!(!text.contains("canary"), "{text}");
}
