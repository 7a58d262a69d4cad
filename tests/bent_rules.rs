//! Opt-ins for issuers that bend the rules: each is off by default, takes what it is for, and opens nothing beside itself.

use serde_json::{Value, json};
use token_core::opaque::client_authentication::ClientAuthentication;
use token_core::policy::{Policy, Severity};
use token_core::{Algorithm, ErrorKind, Issuer, Presented, ResourceServer, StaticKeys, opaque::OpaqueTokens};
use token_test::{TestIssuer, TestKey};

/// Makes the issuer bend a rule, and a token that shows it.
type Bend = fn(&TestIssuer) -> String;

/// The member of a policy, and what it is for.
const BENDS: &[(&str, Bend)] = &[
    ("accept_nonce_in_access_tokens", |issuer| issuer.token().claim("nonce", "n").mint()),
    ("accept_nonce_in_access_tokens", |issuer| {
        issuer.token().header("typ", "JWT").claim("nonce", "n").claim("typ", "Bearer").mint()
    }),
    ("accept_numeric_subjects", |issuer| issuer.token().claim("sub", 42).mint()),
    ("accept_numeric_subjects", |issuer| issuer.token().claim("sub", -7).mint()),
    ("dangerously_accept_tokens_without_expiry", |issuer| issuer.token().without("exp").mint()),
    ("accept_padding", |issuer| issuer.token().padded().mint()),
    ("accept_several_keys_of_one_kid", |issuer| {
        let kid = issuer.signing_key().kid().unwrap().to_owned();
        issuer.publish_jwk(TestKey::forger(Algorithm::RS256, Some(&kid)).public_jwk().unwrap());
        issuer.token().mint()
    }),
    ("accept_keys_in_base64", |issuer| {
        let key = issuer.signing_key();
        issuer.withdraw(key.kid().unwrap());
        issuer.publish_jwk(in_base64(key.public_jwk().unwrap()));
        issuer.token().signed_by(&key).mint()
    }),
];

/// The members that switch something on, each once.
fn switches() -> Vec<&'static str> {
    let mut all: Vec<_> = BENDS.iter().map(|(member, _)| *member).collect();
    all.dedup();
    all
}

/// The key with its modulus as base64 with padding writes it.
fn in_base64(mut jwk: Value) -> Value {
    let n = jwk["n"].as_str().unwrap().replace('-', "+").replace('_', "/");
    let padding = "=".repeat((4 - n.len() % 4) % 4);
    assert!(n.contains(['+', '/']) || !padding.is_empty(), "a key that can be told apart");
    jwk["n"] = json!(format!("{n}{padding}"));
    jwk
}

fn policy(issuer: &TestIssuer, switches: &[&str]) -> Policy {
    let mut trusted = json!({ "issuer": issuer.url(), "allow_loopback_http": true });
    for switch in switches {
        trusted[switch] = json!(true);
    }
    let text = json!({ "audience": issuer.audience(), "issuers": [trusted] }).to_string();
    Policy::from_json(&text).unwrap()
}

async fn verdict(issuer: &TestIssuer, switches: &[&str], token: &str) -> Result<String, ErrorKind> {
    let api = policy(issuer, switches).server().unwrap();
    let verified = api.authenticate(Presented::token(token)).await.map_err(|error| error.kind())?;
    Ok(verified.subject().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn each_opt_in_takes_what_it_is_for_and_no_other_opt_in_does() {
    for (at, (member, bend)) in BENDS.iter().enumerate() {
        let issuer = TestIssuer::start().await;
        let token = bend(&issuer);
        assert!(verdict(&issuer, &[], &token).await.is_err(), "{member} ({at}) is off by default");
        for switch in switches() {
            let accepted = verdict(&issuer, &[switch], &token).await;
            assert_eq!(accepted.is_ok(), switch == *member, "{member} ({at}) with {switch}: {accepted:?}");
        }
    }
}

#[tokio::test]
async fn a_subject_that_is_a_number_is_its_text_and_a_header_seen_before_changes_nothing() {
    let issuer = TestIssuer::start().await;
    for (claim, subject) in
        [(json!(42), "42"), (json!(-7), "-7"), (json!(u64::MAX), "18446744073709551615"), (json!("a"), "a")]
    {
        let token = issuer.token().claim("sub", claim).mint();
        assert_eq!(verdict(&issuer, &["accept_numeric_subjects"], &token).await.as_deref(), Ok(subject));
    }
    // On the short way, too: the header is remembered from the first token.
    let api = policy(&issuer, &["accept_numeric_subjects"]).server().unwrap();
    for subject in [json!("ada"), json!(1), json!("bob"), json!(2)] {
        let verified =
            api.authenticate(Presented::token(&issuer.token().claim("sub", subject.clone()).mint())).await.unwrap();
        assert_eq!(verified.subject(), Some(subject.to_string().trim_matches('"')));
    }
}

#[tokio::test]
async fn what_is_none_of_these_stays_refused_with_all_of_them_on() {
    let issuer = TestIssuer::start().await;
    let kid = issuer.signing_key().kid().unwrap().to_owned();
    let twin = issuer.new_key(Algorithm::RS256);
    let mut jwk = twin.public_jwk().unwrap();
    jwk["kid"] = json!(kid);
    issuer.publish_jwk(jwk);
    let token = || issuer.token();
    let all = switches();
    assert!(verdict(&issuer, &all, &token().mint()).await.is_ok());
    assert!(
        verdict(&issuer, &all, &token().signed_by(&twin).kid(&kid).mint()).await.is_ok(),
        "the second of the same kid"
    );
    for (name, token, kind) in [
        ("a nonce and no mark", token().header("typ", "JWT").claim("nonce", "n").mint(), ErrorKind::WrongType),
        (
            "a nonce and the mark of an ID token",
            token().header("typ", "JWT").claim("nonce", "n").claim("typ", "ID").mint(),
            ErrorKind::WrongType,
        ),
        ("a nonce and a hash", token().claim("nonce", "n").claim("at_hash", "h").mint(), ErrorKind::WrongType),
        ("a subject with a fraction", token().claim("sub", 1.5).mint(), ErrorKind::Malformed),
        ("a subject in exponents", token().raw_claims(r#"{"sub":1e3}"#).mint(), ErrorKind::Malformed),
        ("a subject that is null", token().raw_claims(r#"{"sub":null}"#).mint(), ErrorKind::Malformed),
        ("a subject that is a list", token().claim("sub", json!([42])).mint(), ErrorKind::Malformed),
        ("a subject that is a boolean", token().claim("sub", true).mint(), ErrorKind::Malformed),
        (
            "a subject of a hundred digits",
            token().raw_claims(format!(r#"{{"sub":{}}}"#, "9".repeat(100))).mint(),
            ErrorKind::Malformed,
        ),
        ("an id that is a number", token().claim("jti", 42).mint(), ErrorKind::Malformed),
        ("a client that is a number", token().claim("client_id", 42).mint(), ErrorKind::Malformed),
        ("an expiry that is past", token().expired().mint(), ErrorKind::Expired),
        ("an expiry that is a text", token().claim("exp", "9999999999").mint(), ErrorKind::Malformed),
        (
            "a key of neither",
            token().signed_by(&TestKey::forger(Algorithm::RS256, Some(&kid))).mint(),
            ErrorKind::BadSignature,
        ),
        ("a kid that nobody has", token().kid("another").mint(), ErrorKind::UnknownKey),
        ("claims that were changed", token().tampered().mint(), ErrorKind::BadSignature),
        ("another audience", token().audience("other").mint(), ErrorKind::WrongAudience),
    ] {
        assert_eq!(verdict(&issuer, &all, &token).await, Err(kind), "{name}");
    }
}

#[tokio::test]
async fn of_many_keys_of_one_kid_four_are_tried() {
    let issuer = TestIssuer::start().await;
    let secrets: Vec<String> = (0..6).map(|n| n.to_string().repeat(32)).collect();
    let keys = || {
        let named = |secret: &String| StaticKeys::secret(Algorithm::HS256, secret.as_bytes()).unwrap().kid("one");
        secrets.iter().map(named).reduce(StaticKeys::and).unwrap()
    };
    let trusted = || Issuer::with_keys(issuer.url(), keys()).unwrap();
    let build = |trusted| ResourceServer::builder(issuer.audience()).trust(trusted).build();
    let why = build(trusted()).unwrap_err().to_string();
    assert!(why.contains("two different keys are called"), "{why}");
    let api = build(trusted().accept_several_keys_of_one_kid()).unwrap();
    for (at, secret) in secrets.iter().enumerate() {
        let key = TestKey::from_secret(Algorithm::HS256, Some("one"), secret);
        let token = issuer.token().signed_by(&key).mint();
        assert_eq!(api.authenticate(Presented::token(&token)).await.is_ok(), at < 4, "{at}");
    }
}

#[tokio::test]
async fn keys_in_base64_are_taken_from_a_file_by_the_same_word() {
    let issuer = TestIssuer::start().await;
    let set = json!({ "keys": [in_base64(issuer.signing_key().public_jwk().unwrap())] }).to_string();
    let keys = StaticKeys::published_jwk_set(&set).unwrap();
    let trusted = || Issuer::with_keys(issuer.url(), keys.clone()).unwrap();
    let build = |trusted| ResourceServer::builder(issuer.audience()).trust(trusted).build();
    let why = build(trusted()).unwrap_err().to_string();
    assert!(why.contains("accept_keys_in_base64"), "{why}");
    let api = build(trusted().accept_keys_in_base64()).unwrap();
    assert!(api.authenticate(Presented::token(&issuer.token().mint())).await.is_ok());
}

#[test]
fn a_secret_without_alg_is_for_the_one_algorithm_that_was_agreed() {
    let set = r#"{"keys": [{"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}"#;
    let build = |keys: StaticKeys, algorithms: &[Algorithm]| {
        let issuer = Issuer::with_keys("https://a.example", keys).unwrap();
        let issuer = if algorithms.is_empty() { issuer } else { issuer.algorithms(algorithms.iter().copied()) };
        ResourceServer::builder("api").trust(issuer).build().map(drop).map_err(|error| error.to_string())
    };
    for keys in [StaticKeys::jwk_set(set).unwrap(), StaticKeys::published_jwk_set(set).unwrap()] {
        assert!(build(keys.clone(), &[]).is_err(), "off by default");
        assert!(build(keys.clone(), &[Algorithm::HS256, Algorithm::HS384]).is_err(), "one, and not one of several");
        assert_eq!(build(keys, &[Algorithm::HS256]), Ok(()));
    }
}

#[tokio::test]
async fn each_opt_in_is_linted_with_what_it_costs_and_printed_with_a_mark() {
    let issuer = TestIssuer::start().await;
    let strict = policy(&issuer, &[]);
    assert!(!strict.to_string().contains("(!)"), "{strict}");
    // Padding is a fact of AWS load balancers, whose preset is without a finding; it is printed all the same.
    assert!(policy(&issuer, &["accept_padding"]).to_string().contains("padded tokens are taken (!)"));
    for switch in switches().into_iter().filter(|switch| *switch != "accept_padding") {
        let policy = policy(&issuer, &[switch]);
        let path = format!("issuers[{}].{switch}", issuer.url());
        let found = policy.lint();
        let found = found.iter().find(|finding| finding.path == path).unwrap_or_else(|| panic!("{switch}: {found:?}"));
        assert!(found.severity == Severity::Warning && found.why.len() > 40, "{found}");
        assert!(policy.to_string().contains("(!)"), "{policy}");
        assert_eq!(*policy.server().unwrap().policy(), policy, "what was built says the same");
    }
}

#[tokio::test]
async fn a_refusal_names_the_opt_in_that_would_help() {
    for (member, bend) in BENDS.iter().filter(|(member, _)| !member.starts_with("dangerously")) {
        let issuer = TestIssuer::start().await;
        let token = bend(&issuer);
        let api = policy(&issuer, &[]).server().unwrap();
        let _ = api.ready().await;
        let report = api.explain(Presented::token(&token)).await.text();
        assert!(report.contains(member), "{member}: {report}");
    }
}

#[tokio::test]
async fn null_is_absent_in_what_an_issuer_publishes_and_answers() {
    let issuer = TestIssuer::start().await;
    let key = issuer.signing_key();
    let mut jwk = key.public_jwk().unwrap();
    for member in
        ["use", "key_ops", "x5c", "x5t", "x5u", "d", "p", "q", "dp", "dq", "qi", "oth", "k", "x", "y", "crv", "issuer"]
    {
        jwk[member] = Value::Null;
    }
    issuer.withdraw(key.kid().unwrap());
    issuer.publish_jwk(jwk);
    issuer.set_metadata("introspection_endpoint", Value::Null);
    assert!(verdict(&issuer, &[], &issuer.token().signed_by(&key).mint()).await.is_ok());

    let asked = OpaqueTokens::introspection(
        issuer.introspection_endpoint(),
        "test-client",
        ClientAuthentication::Basic("test-secret".into()),
    );
    let trusted = Issuer::discover(issuer.url()).unwrap().opaque_tokens(asked.unwrap()).allow_loopback_http();
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).build().unwrap();
    let mut token = issuer.token().subject("ada");
    for member in ["scope", "jti", "nbf", "iat", "client_id", "azp", "sid", "roles", "groups", "token_use", "typ"] {
        token = token.claim(member, Value::Null);
    }
    let verified = api.authenticate(Presented::token(&token.mint_opaque())).await.unwrap();
    assert_eq!(verified.subject(), Some("ada"));
    // A token is no document of that sort: there it is a claim of the wrong type.
    let refused =
        api.authenticate(Presented::token(&issuer.token().signed_by(&key).claim("jti", Value::Null).mint())).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Malformed);
}
