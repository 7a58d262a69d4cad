//! Encrypted tokens through tower, axum and actix-web: refused unless keys are named, and then held to all that holds for others.

use axum::Router;
use axum::routing::get;
use token_core::jose::encryption::{ContentEncryption, DecryptionKey, EncryptedTokens, KeyManagement};
use token_core::{ErrorKind, Issuer, Presented, ResourceServer, ResourceServerBuilder};
use token_test::attacks::{Class, attacks};
use token_test::{TestIssuer, TokenBuilder};
use token_tests::evidence::note;
use token_tests::{Ask, Via, ask};

use crate::cases::CANARY;

fn server(issuer: &TestIssuer) -> ResourceServerBuilder {
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    ResourceServer::builder(issuer.audience()).trust(trusted).realm("tests")
}

fn keys() -> Vec<DecryptionKey> {
    vec![
        DecryptionKey::generate(KeyManagement::EcdhEs, Some("p256")).unwrap(),
        DecryptionKey::generate_x25519(Some("x25519")).unwrap(),
        DecryptionKey::generate(KeyManagement::RsaOaep256, Some("rsa")).unwrap(),
        DecryptionKey::direct(ContentEncryption::A256CbcHs512, Some("secret"), &[7; 64]).unwrap(),
    ]
}

#[actix_web::test]
async fn an_encrypted_token_is_let_in_where_its_key_is_named_and_nowhere_else() {
    let issuer = TestIssuer::start().await;
    let keys = keys();
    let plain = server(&issuer).build().unwrap();
    let api = server(&issuer).encrypted_tokens(EncryptedTokens::with(keys.iter().cloned())).build().unwrap();
    let others = DecryptionKey::generate(KeyManagement::EcdhEs, Some("p256")).unwrap();
    let elsewhere = server(&issuer).encrypted_tokens(EncryptedTokens::with([others])).build().unwrap();
    for server in [&plain, &api, &elsewhere] {
        server.ready().await.unwrap();
    }
    let token = || issuer.token().subject("ada").scope("read:users").claim("note", CANARY);
    for key in &keys {
        let to = key.encryption_key().unwrap();
        let sealed = |token: TokenBuilder| token.encrypted_to(&to).mint();
        let rows = [
            ("good", sealed(token()), Ok("ada")),
            ("not encrypted", token().mint(), Ok("ada")),
            ("expired", sealed(token().expired()), Err(ErrorKind::Expired)),
            ("forged", sealed(token().forged()), Err(ErrorKind::BadSignature)),
            ("unsigned", sealed(token().alg_none()), Err(ErrorKind::AlgorithmNotAllowed)),
            ("for others", sealed(token().audience("https://other.example")), Err(ErrorKind::WrongAudience)),
            ("of a stranger", sealed(token().claim("iss", "https://stranger.example")), Err(ErrorKind::UnknownIssuer)),
            ("an ID token", sealed(issuer.id_token().claim("nonce", "n")), Err(ErrorKind::WrongType)),
            ("compressed", token().encrypted_to(&to).outer_header("zip", "DEF").mint(), Err(ErrorKind::Undecryptable)),
            ("to nobody", token().encrypted_to(&to).outer_header("kid", "x").mint(), Err(ErrorKind::Undecryptable)),
            ("crit", token().encrypted_to(&to).outer_header("crit", vec!["x"]).mint(), Err(ErrorKind::Malformed)),
        ];
        for (name, token, expected) in &rows {
            for via in Via::ALL {
                // Twice: what is remembered of it must change nothing.
                for _ in 0..2 {
                    let reply = ask(via, &api, false, &Ask::of("/me").bearer(token)).await;
                    assert!(!format!("{reply:?}").contains(CANARY), "{name}");
                    match expected {
                        Ok(body) => assert_eq!((reply.status, &*reply.body), (200, *body), "{name} {key:?} {via:?}"),
                        Err(kind) => {
                            assert_eq!(reply.status, 401, "{name} {key:?} {via:?}");
                            assert!(reply.body.contains(kind.public_text()), "{name} {key:?}: {}", reply.body);
                            let challenge = reply.challenge.unwrap_or_default();
                            assert!(challenge.contains("error=\"invalid_token\""), "{name}: {challenge}");
                        }
                    }
                }
            }
        }
        let good = &rows[0].1;
        let refusal =
            async |server: &ResourceServer| server.authenticate(Presented::token(good)).await.unwrap_err().kind();
        assert_eq!(refusal(&plain).await, ErrorKind::WrongType, "off by default");
        assert_eq!(refusal(&elsewhere).await, ErrorKind::Undecryptable);
        // It is handed on as it came, and bound by what came.
        let verified = api.authenticate(Presented::token(good)).await.unwrap();
        assert_eq!(verified.token(), Some(&**good));
        assert!(!format!("{verified:?}").contains(CANARY));
    }
}

#[tokio::test]
async fn a_policy_file_names_keys_and_is_followed_as_they_are_replaced() {
    let issuer = TestIssuer::start().await;
    let secret = [9; 32];
    let mut policy = serde_json::to_value(&*server(&issuer).build().unwrap().policy()).unwrap();
    policy["encrypted_tokens"] = serde_json::json!({
        "keys": [{"algorithm": "dir", "content_encryption": "A256GCM", "kid": "new", "value": "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk="}],
        "content_encryption": ["A256GCM"],
    });
    let policy = token_core::policy::Policy::from_json(&policy.to_string()).unwrap();
    let findings = policy.lint();
    assert!(findings.iter().any(|finding| finding.rule == "secret-in-policy"), "{findings:?}");
    assert!(!serde_json::to_string(&policy).unwrap().contains("CQkJ"), "a key is never written");
    let shown = policy.to_string();
    assert!(shown.contains("dir with A256GCM (new)") && !shown.contains("CQkJ"), "{shown}");
    let api = policy.server().unwrap();
    api.ready().await.unwrap();
    let key =
        |kid| DecryptionKey::direct(ContentEncryption::A256Gcm, Some(kid), &secret).unwrap().encryption_key().unwrap();
    let token = |kid| issuer.token().subject("ada").encrypted_to(&key(kid)).mint();
    assert!(api.authenticate(Presented::token(&token("new"))).await.is_ok());
    let refused = api.authenticate(Presented::token(&token("old"))).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Undecryptable);
}

#[tokio::test]
async fn an_explanation_says_to_which_key_it_is_encrypted_and_what_kept_it_shut() {
    let issuer = TestIssuer::start().await;
    let key = DecryptionKey::generate(KeyManagement::EcdhEs, Some("2026-11")).unwrap();
    let to = key.encryption_key().unwrap();
    let api = server(&issuer).encrypted_tokens(EncryptedTokens::with([key])).build().unwrap();
    api.ready().await.unwrap();
    let token = || issuer.token().subject("ada").claim("note", CANARY);

    let report = api.explain(Presented::token(&token().encrypted_to(&to).mint())).await;
    assert!(report.accepted, "{}", report.text());
    assert!(report.text().contains("encrypted by ECDH-ES and A256GCM to kid 2026-11"), "{}", report.text());
    // What is within is explained like any other token.
    let report = api.explain(Presented::token(&token().expired().encrypted_to(&to).mint())).await;
    assert_eq!(report.kind, Some(ErrorKind::Expired));
    assert!(report.text().contains("ago"), "{}", report.text());

    for (more, cause) in [
        (("kid", serde_json::json!("2026-10")), "has no key of that name"),
        (("alg", serde_json::json!("dir")), "for another alg"),
        (("alg", serde_json::json!("RSA1_5")), "ask the issuer for"),
        (("zip", serde_json::json!("DEF")), "ask the issuer for"),
        (("cty", serde_json::Value::Null), "ask the issuer for"),
    ] {
        let token = token().encrypted_to(&to).outer_header(more.0, more.1.clone()).mint();
        let report = api.explain(Presented::token(&token)).await;
        assert_eq!(report.kind, Some(ErrorKind::Undecryptable), "{more:?}");
        let text = report.text();
        assert!(text.contains(cause) && !text.contains(CANARY), "{more:?}: {text}");
    }
}

#[tokio::test]
async fn nothing_of_the_attacks_on_encrypted_tokens_gets_in() {
    let issuer = TestIssuer::start().await;
    let mut tried = 0;
    for key in keys() {
        let to = key.encryption_key().unwrap();
        let api = server(&issuer).encrypted_tokens(EncryptedTokens::with([key])).build().unwrap();
        let app = Router::new().route("/", get(async || "in")).layer(axum_token::TokenLayer::new(api));
        let report = attacks(&issuer).encrypted_to(to).only(Class::Encryption).run(app).await;
        tried += report.rows().iter().filter(|row| row.class == Class::Encryption).count();
        report.assert_all_refused();
    }
    assert!(tried >= 130, "{tried}");
    note("attacks", "axum, encrypted tokens", &["axum, encrypted tokens", &tried.to_string(), "0"]);
}
