//! Keys from an address, from a file and from the operator's hand: one verdict, whatever door they came in by.

use std::sync::Arc;

use serde_json::{Value, json};

use super::tests::{AUDIENCE, ISSUER, NOW, SECRET, claims};
use crate::answer::error::ErrorKind;
use crate::base::http::BoxFuture;
use crate::base::time::hands::Hands;
use crate::gate::server::ResourceServer;
use crate::jose::Algorithm;
use crate::jose::signing::SigningKey;
use crate::keys::{FetchError, FetchedKeys, KeySource};
use crate::request::presented::Presented;
use crate::trust::issuer::Issuer;
use crate::trust::static_keys::StaticKeys;

#[derive(Debug)]
struct Published(String);

impl KeySource for Published {
    fn fetch(&self) -> BoxFuture<'_, Result<FetchedKeys, FetchError>> {
        Box::pin(std::future::ready(Ok(FetchedKeys::new(self.0.clone()))))
    }
}

fn signer(algorithm: Algorithm, kid: Option<&str>) -> SigningKey {
    let pem: &[u8] = match algorithm {
        Algorithm::ES256 => include_bytes!("../../../../token-test/keys/p256-1.pem"),
        Algorithm::ES384 => include_bytes!("../../../../token-test/keys/p384-1.pem"),
        Algorithm::HS256 | Algorithm::HS512 => return SigningKey::from_secret(algorithm, kid, SECRET).unwrap(),
        _ => include_bytes!("../../../../token-test/keys/rsa-1.pem"),
    };
    SigningKey::from_pem(algorithm, kid, pem).unwrap()
}

fn oct(alg: Option<&str>, kid: Option<&str>) -> Value {
    let mut jwk = json!({"kty": "oct", "k": crate::jose::base64url::encode(SECRET)});
    for (member, value) in [("alg", alg), ("kid", kid)] {
        if let Some(value) = value {
            jwk[member] = json!(value);
        }
    }
    jwk
}

fn public(algorithm: Algorithm, kid: Option<&str>, alg: bool) -> Value {
    let mut jwk = signer(algorithm, kid).public_jwk().unwrap();
    if !alg {
        jwk.as_object_mut().unwrap().remove("alg");
    }
    jwk
}

fn token(algorithm: Algorithm, kid: Option<&str>) -> String {
    let mut header = json!({"alg": algorithm.name()});
    if let Some(kid) = kid {
        header["kid"] = json!(kid);
    }
    signer(algorithm, kid).sign_jwt(&header.to_string(), &claims(json!({})).to_string()).unwrap()
}

async fn verdict(issuer: Issuer, token: &str) -> Result<Option<ErrorKind>, String> {
    let builder = ResourceServer::builder(AUDIENCE).clock(Hands::at(NOW)).trust(issuer);
    let api = builder.build().map_err(|error| error.to_string())?;
    api.ready().await.map_err(|error| error.to_string())?;
    Ok(api.authenticate(Presented::token(token)).await.err().map(|error| error.kind()))
}

#[tokio::test]
async fn a_copy_of_a_published_set_judges_as_its_address_does() {
    use Algorithm::*;
    use ErrorKind::*;
    let rsa = || public(RS256, Some("a"), false);
    let ec = || public(ES256, Some("e"), true);
    for (what, keys, token, expected) in [
        ("a named key", vec![ec()], token(ES256, Some("e")), None),
        ("the only key", vec![ec()], token(ES256, None), None),
        ("an RSA key without alg", vec![rsa()], token(RS256, Some("a")), None),
        ("an algorithm that is not agreed", vec![rsa(), ec()], token(RS384, Some("a")), Some(AlgorithmNotAllowed)),
        ("another", vec![rsa(), ec()], token(PS512, Some("a")), Some(AlgorithmNotAllowed)),
        (
            "a shared secret",
            vec![oct(Some("HS256"), Some("s")), ec()],
            token(HS256, Some("s")),
            Some(AlgorithmNotAllowed),
        ),
        ("a key without a name", vec![public(ES256, None, true)], token(ES256, Some("other")), Some(UnknownKey)),
        ("another name", vec![ec()], token(ES256, Some("other")), Some(UnknownKey)),
        (
            "two nameless keys",
            vec![public(RS256, None, false), public(RS256, Some("b"), false)],
            token(RS256, None),
            Some(UnknownKey),
        ),
    ] {
        let set = json!({"keys": keys}).to_string();
        let address = Issuer::with_source(ISSUER, Arc::new(Published(set.clone()))).unwrap();
        let copy = Issuer::with_keys(ISSUER, StaticKeys::published_jwk_set(&set).unwrap()).unwrap();
        assert_eq!(verdict(address, &token).await, Ok(expected), "{what}, by address");
        assert_eq!(verdict(copy, &token).await, Ok(expected), "{what}, by copy");
    }
}

#[tokio::test]
async fn a_secret_without_alg_is_for_the_one_algorithm_that_is_agreed() {
    use Algorithm::*;
    const UNSAID: &str = "has no alg: expected exactly one of HS256, HS384 and HS512";
    type Door = fn(&str) -> Result<StaticKeys, crate::base::config_error::ConfigError>;
    let doors: [(&str, Door); 2] = [("own", StaticKeys::jwk_set), ("published", StaticKeys::published_jwk_set)];
    for (door, keys) in doors {
        for (agreed, alg, expected) in [
            (Some(vec![HS256]), HS256, Ok(None)),
            (Some(vec![HS512, ES256]), HS512, Ok(None)),
            (Some(vec![HS256]), HS512, Ok(Some(ErrorKind::AlgorithmNotAllowed))),
            (Some(vec![HS256, HS512]), HS256, Err(UNSAID)),
            (None, HS256, if door == "own" { Err(UNSAID) } else { Ok(Some(ErrorKind::AlgorithmNotAllowed)) }),
        ] {
            let set = json!({"keys": [oct(None, Some("s")), public(ES256, Some("e"), true)]}).to_string();
            let mut issuer = Issuer::with_keys(ISSUER, keys(&set).unwrap()).unwrap();
            if let Some(agreed) = agreed.clone() {
                issuer = issuer.algorithms(agreed);
            }
            match (verdict(issuer, &token(alg, Some("s"))).await, expected) {
                (Err(seen), Err(expected)) => assert!(seen.contains(expected), "{door} {agreed:?}: {seen}"),
                (seen, expected) => assert_eq!(seen, expected.map_err(str::to_owned), "{door} {agreed:?} {alg}"),
            }
        }
    }
}

#[tokio::test]
async fn a_secret_may_have_a_name() {
    let other = b"the secret of last year, which has more than thirty-two bytes";
    let secret = |bytes: &[u8]| StaticKeys::secret(Algorithm::HS256, bytes).unwrap();
    let keys = || secret(other).kid("2025").and(secret(SECRET).kid("2026"));
    for (kid, expected) in [
        (Some("2026"), None),
        (Some("2025"), Some(ErrorKind::BadSignature)),
        (Some("2024"), Some(ErrorKind::UnknownKey)),
        (None, Some(ErrorKind::UnknownKey)),
    ] {
        let issuer = Issuer::with_keys(ISSUER, keys()).unwrap();
        assert_eq!(verdict(issuer, &token(Algorithm::HS256, kid)).await, Ok(expected), "{kid:?}");
    }
}

#[tokio::test]
async fn keys_that_could_never_verify_anything_are_refused_at_the_start() {
    use Algorithm::*;
    let secret = |byte: u8| StaticKeys::secret(HS256, &[byte; 32]).unwrap();
    let set = |keys: Value| StaticKeys::jwk_set(&json!({"keys": keys}).to_string()).unwrap();
    let ec = || set(json!([public(ES256, Some("e"), true)]));
    for (keys, agreed, expected) in [
        (secret(1).kid("a").and(secret(2).kid("a")), vec![HS256], "two different keys are called \"a\""),
        (secret(1).and(secret(2)).kid("a"), vec![HS256], "two different keys are called \"a\""),
        (secret(1).and(ec()), vec![ES256], "a key for {HS256} could never verify a token"),
        (secret(1).kid(""), vec![HS256], "expected a kid of 1 to 512 bytes"),
        (secret(1).kid("x".repeat(513)), vec![HS256], "expected a kid of 1 to 512 bytes"),
        (ec(), vec![RS256], "none of the allowed algorithms fits the keys"),
    ] {
        let issuer = Issuer::with_keys(ISSUER, keys).unwrap().algorithms(agreed);
        let seen = verdict(issuer, "").await.unwrap_err();
        assert!(seen.contains(expected), "expected {expected:?} in {seen:?}");
    }
    // The same key twice is one key, and a name may be shared by keys for different algorithms.
    let shared = set(json!([public(ES256, Some("e"), true), public(RS256, Some("e"), true)]));
    let issuer = Issuer::with_keys(ISSUER, ec().and(ec()).and(shared)).unwrap();
    assert_eq!(verdict(issuer, &token(ES256, Some("e"))).await, Ok(None));
}

#[test]
fn a_multi_tenant_issuer_takes_keys_from_a_file_as_it_does_from_an_address() {
    let folder = std::env::temp_dir().join(format!("token-core-doors-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("keys.json");
    std::fs::write(&file, json!({"keys": [public(Algorithm::ES256, Some("e"), true)]}).to_string()).unwrap();
    let policy = json!({"audience": AUDIENCE, "issuers": [
        {"issuer": "https://login.example/{tenantid}/v2.0", "jwks_file": file}
    ]});
    let policy: crate::policy::Policy = serde_json::from_value(policy).unwrap();
    let api = policy.builder().unwrap().clock(Hands::at(NOW)).build().unwrap();
    let _ = std::fs::remove_dir_all(&folder);
    for (tenant, expected) in
        [("72f988bf-86f1-41af-91ab-2d7cd011db47", None), ("common", Some(ErrorKind::UnknownIssuer))]
    {
        let claims = claims(json!({"iss": format!("https://login.example/{tenant}/v2.0")}));
        let token = signer(Algorithm::ES256, Some("e")).sign_jwt(r#"{"alg":"ES256","kid":"e"}"#, &claims.to_string());
        let verdict = api.authenticate(Presented::token(&token.unwrap())).now().unwrap();
        assert_eq!(verdict.err().map(|error| error.kind()), expected, "{tenant}");
    }
}
