#[cfg(feature = "aws-lc-rs")]
mod encrypted;

use serde_json::{Value, json};

use super::*;
use crate::base::time::hands::Hands;
use crate::jose::signing::SigningKey;
use crate::trust::static_keys::StaticKeys;

const SECRET: &[u8] = b"a secret of more than sixty-four bytes, long enough for HS512 as well";
const NOW: i64 = 1_800_000_000;

fn token(algorithm: Algorithm, more: Value) -> String {
    let mut claims =
        json!({"iss": "https://i/", "sub": "ada", "aud": "app", "exp": NOW + 60, "iat": NOW, "nonce": "n"});
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
    }
    let key = SigningKey::from_secret(algorithm, None, SECRET).unwrap();
    key.sign_jwt(&format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#), &claims.to_string()).unwrap()
}

fn verdict(algorithm: Algorithm, more: Value, login: Login) -> Result<Verified, ErrorKind> {
    let issuer = Issuer::with_keys("https://i/", StaticKeys::secret(algorithm, SECRET).unwrap()).unwrap();
    let verifier = IdTokenVerifier::with_clock("app", issuer, Hands::at(NOW)).unwrap();
    let outcome = verifier.verify(&token(algorithm, more), login).now().expect("nothing to wait for");
    outcome.map_err(|error| error.kind())
}

#[test]
fn each_step_of_the_specification_refuses_on_its_own() {
    use ErrorKind::*;
    let hs256 = |more, login| verdict(Algorithm::HS256, more, login).err();
    let nonce = || Login::with_nonce("n");
    let hash = left_half(Algorithm::HS256, "access");
    for (step, more, login, expected) in [
        ("good", json!({}), nonce(), None),
        ("2", json!({"iss": "https://i"}), nonce(), Some(UnknownIssuer)),
        ("3", json!({"aud": "other"}), nonce(), Some(WrongAudience)),
        ("3", json!({"aud": []}), nonce(), Some(WrongAudience)),
        ("4", json!({"aud": ["app", "other"]}), nonce(), Some(ClaimsMismatch)),
        ("4", json!({"aud": ["app", "other"], "azp": "app"}), nonce(), None),
        ("5", json!({"azp": "other"}), nonce(), Some(ClaimsMismatch)),
        ("9", json!({"exp": NOW - 60}), nonce(), Some(Expired)),
        ("9", json!({"exp": null}), nonce(), Some(ClaimsMismatch)),
        ("10", json!({"iat": null}), nonce(), Some(ClaimsMismatch)),
        ("10", json!({"iat": NOW + 60}), nonce(), Some(NotYetValid)),
        ("10", json!({"iat": NOW - 999}), nonce().issued_within(Duration::from_secs(600)), Some(ClaimsMismatch)),
        ("11", json!({"nonce": "m"}), nonce(), Some(ClaimsMismatch)),
        ("11", json!({"nonce": null}), nonce(), Some(ClaimsMismatch)),
        ("11", json!({"nonce": 1}), nonce(), Some(ClaimsMismatch)),
        ("11", json!({}), Login::without_nonce(), Some(ClaimsMismatch)),
        ("11", json!({"nonce": null}), Login::without_nonce(), None),
        ("12", json!({"acr": "silver"}), nonce().acr(["gold"]), Some(ClaimsMismatch)),
        ("12", json!({}), nonce().acr(["gold"]), Some(ClaimsMismatch)),
        ("12", json!({"acr": "gold"}), nonce().acr(["gold"]), None),
        ("12: a list that came out empty", json!({"acr": "gold"}), nonce().acr([""; 0]), Some(ClaimsMismatch)),
        ("13", json!({}), nonce().max_age(Duration::from_secs(60)), Some(ClaimsMismatch)),
        ("13", json!({"auth_time": NOW - 91}), nonce().max_age(Duration::from_secs(60)), Some(ClaimsMismatch)),
        ("13", json!({"auth_time": NOW - 90}), nonce().max_age(Duration::from_secs(60)), None),
        ("13", json!({"auth_time": NOW + 30}), nonce().max_age(Duration::from_secs(60)), None),
        ("13", json!({"auth_time": NOW + 31}), nonce().max_age(Duration::from_secs(60)), Some(ClaimsMismatch)),
        ("13", json!({"auth_time": 1e300}), nonce().max_age(Duration::from_secs(60)), Some(ClaimsMismatch)),
        ("13", json!({"auth_time": "x"}), nonce().max_age(Duration::from_secs(60)), Some(ClaimsMismatch)),
        ("sub", json!({"sub": null}), nonce(), Some(ClaimsMismatch)),
        ("at_hash", json!({"at_hash": hash}), nonce().access_token("access"), None),
        ("at_hash", json!({"at_hash": hash}), nonce().access_token("another"), Some(ClaimsMismatch)),
        ("at_hash", json!({"at_hash": ""}), nonce().access_token("access"), Some(ClaimsMismatch)),
        ("at_hash", json!({}), nonce().access_token("access"), None),
        ("at_hash", json!({}), nonce().access_token("access").require_hashes(), Some(ClaimsMismatch)),
        ("c_hash", json!({"c_hash": hash}), nonce().code("access"), None),
        ("c_hash", json!({"c_hash": hash}), nonce().code("another"), Some(ClaimsMismatch)),
        ("kind", json!({"events": {}}), nonce(), Some(WrongType)),
        ("kind", json!({"token_use": "access"}), nonce(), Some(WrongType)),
        ("kind", json!({"typ": "Bearer", "nonce": null}), Login::without_nonce(), Some(WrongType)),
    ] {
        assert_eq!(hs256(more.clone(), login), expected, "step {step}: {more}");
    }
}

#[test]
fn the_hash_is_that_of_the_signature_algorithm() {
    // The access token of the example in OpenID Connect Core, appendix A.3, with RS256's hash.
    assert_eq!(left_half(Algorithm::RS256, "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"), "77QmUPtjPfzWtF2AnpK9RQ");
    for (algorithm, bytes) in [(Algorithm::HS384, 24), (Algorithm::HS512, 32), (Algorithm::EdDSA, 32)] {
        assert_eq!(base64url::decode(left_half(algorithm, "x").as_bytes()).unwrap().len(), bytes, "{algorithm}");
    }
    let of_256 = left_half(Algorithm::HS256, "access");
    let login = Login::with_nonce("n").access_token("access");
    assert_eq!(verdict(Algorithm::HS512, json!({"at_hash": of_256}), login).err(), Some(ErrorKind::ClaimsMismatch));
}

#[test]
fn a_profile_is_typed() {
    let more = json!({"email": "ada@example.com", "email_verified": "true", "plan": "gold"});
    let verified = verdict(Algorithm::HS256, more, Login::with_nonce("n")).unwrap();
    assert_eq!(verified.kind(), crate::TokenKind::Id);
    let profile = verified.claims::<StandardClaims>().unwrap();
    assert_eq!(
        (profile.sub.as_str(), profile.email.as_deref(), profile.email_verified),
        ("ada", Some("ada@example.com"), true)
    );
    #[derive(serde::Deserialize)]
    struct Plan {
        plan: String,
    }
    assert_eq!(verified.claims::<Plan>().unwrap().plan, "gold");
}

#[test]
fn a_secret_is_decoded_only_where_that_is_said() {
    let encoded = base64url::encode(SECRET);
    for (keys, good) in [
        (StaticKeys::base64url_secret(Algorithm::HS256, &encoded).unwrap(), true),
        (StaticKeys::base64url_secret(Algorithm::HS256, &format!("{encoded}=")).unwrap(), true),
        (StaticKeys::secret(Algorithm::HS256, encoded.as_bytes()).unwrap(), false),
    ] {
        let verifier =
            IdTokenVerifier::with_clock("app", Issuer::with_keys("https://i/", keys).unwrap(), Hands::at(NOW)).unwrap();
        let outcome = verifier.verify(&token(Algorithm::HS256, json!({})), Login::with_nonce("n")).now().unwrap();
        assert_eq!(outcome.is_ok(), good);
    }
    assert!(StaticKeys::base64url_secret(Algorithm::HS256, "not base64url!").is_err());
}

#[test]
fn a_claim_of_the_wrong_type_is_named_and_no_type_of_ours_is() {
    let issuer = Issuer::with_keys("https://i/", StaticKeys::secret(Algorithm::HS256, SECRET).unwrap()).unwrap();
    let verifier = IdTokenVerifier::with_clock("app", issuer, Hands::at(NOW)).unwrap();
    let token = token(Algorithm::HS256, json!({"auth_time": "canary"}));
    let error = verifier.verify(&token, Login::with_nonce("n")).now().unwrap().unwrap_err();
    assert_eq!(error.detail(), "the claim auth_time is a string, OpenID Connect expected f64");
}

#[test]
fn a_refreshed_id_token_agrees_with_the_original_one() {
    let original = |more: Value| {
        let login =
            if more.get("nonce") == Some(&Value::Null) { Login::without_nonce() } else { Login::with_nonce("n") };
        OriginalIdToken::of(&verdict(Algorithm::HS256, more, login).unwrap()).unwrap()
    };
    let with_azp = json!({"azp": "app", "auth_time": NOW - 9});
    let refused = Some(ErrorKind::ClaimsMismatch);
    for (claim, first, second, expected) in [
        ("everything", with_azp.clone(), with_azp.clone(), None),
        ("nonce", json!({}), json!({"nonce": null}), None),
        ("nonce", json!({}), json!({"nonce": "m"}), refused),
        ("nonce", json!({"nonce": null}), json!({}), refused),
        ("nonce", json!({"nonce": null}), json!({"nonce": null}), None),
        ("sub", json!({}), json!({"sub": "bob"}), refused),
        (
            "aud",
            json!({"aud": ["app", "api"], "azp": "app"}),
            json!({"aud": ["api", "app", "more"], "azp": "app"}),
            None,
        ),
        ("aud", json!({"aud": ["app", "api"], "azp": "app"}), json!({"azp": "app"}), refused),
        ("azp", with_azp.clone(), json!({"auth_time": NOW - 9}), refused),
        ("azp", json!({}), json!({"azp": "app"}), refused),
        ("auth_time", with_azp.clone(), json!({"azp": "app", "auth_time": NOW}), refused),
        ("auth_time", with_azp, json!({"azp": "app"}), None),
        ("auth_time", json!({}), json!({"auth_time": NOW}), None),
        ("iat", json!({}), json!({"iat": NOW - 1}), refused),
        ("iat", json!({"iat": NOW - 9}), json!({}), None),
        ("exp", json!({}), json!({"exp": NOW - 60}), Some(ErrorKind::Expired)),
    ] {
        let original = original(first);
        // As from a session.
        let kept = serde_json::from_str(&serde_json::to_string(&original).unwrap()).unwrap();
        assert_eq!(original, kept);
        let seen = verdict(Algorithm::HS256, second.clone(), Login::refreshed(&kept)).err();
        assert_eq!(seen, expected, "{claim}: {second}");
    }
    let other: OriginalIdToken =
        serde_json::from_value(json!({"iss": "https://j/", "sub": "ada", "aud": ["app"]})).unwrap();
    assert_eq!(verdict(Algorithm::HS256, json!({"nonce": null}), Login::refreshed(&other)).err(), refused, "iss");
    assert!(!format!("{:?}", original(json!({}))).contains("ada"));
}
