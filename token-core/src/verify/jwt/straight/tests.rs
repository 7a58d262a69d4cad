//! Which tokens take the straight road, and what it leaves to the long one, which would hide each mistake here: it comes to the same answer, later.

use serde_json::{Value, json};

use super::*;
use crate::jose::Algorithm;
use crate::jose::signing::SigningKey;
use crate::trust::issuer::Issuer;
use crate::trust::static_keys::StaticKeys;
use crate::verify::jwt::split;
use crate::verify::jwt::tests::{AUDIENCE, registry};

const NOW: i64 = 1_800_000_000;
const ONE: &str = "https://one.example";
const TWO: &str = "https://two.example";
const TENANTS: &str = "https://login.example/{tenantid}/v2.0";
const TENANT: &str = "https://login.example/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0";

fn secret(name: &str) -> Vec<u8> {
    format!("a secret of more than thirty-two bytes of {name}").into_bytes()
}

fn keys(name: &str) -> StaticKeys {
    StaticKeys::secret(Algorithm::HS256, &secret(name)).unwrap()
}

fn issuer(name: &str) -> Issuer {
    match name {
        TENANTS => Issuer::template_with_keys(name, keys(TENANT)).unwrap(),
        _ => Issuer::with_keys(name, keys(name)).unwrap(),
    }
}

/// A token of this issuer; `more` goes over its claims.
fn token(name: &str, more: &Value) -> String {
    let mut claims = json!({"iss": name, "aud": AUDIENCE, "sub": "ada", "exp": NOW + 600});
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let key = SigningKey::from_secret(Algorithm::HS256, None, &secret(name)).unwrap();
    key.sign_jwt(r#"{"alg":"HS256"}"#, &claims.to_string()).unwrap()
}

fn road(token: &str, registry: &Registry) -> Result<Arc<Facts>, Left> {
    verify(&split(token.as_bytes()).unwrap(), b"", registry, Timestamp::from_secs(NOW))
}

/// Lets the long road see a token of each, so that its header is known.
fn seen(registry: &Registry, names: &[&str]) {
    for name in names {
        let first = token(name, &json!({"jti": "first"}));
        assert!(road(&first, registry).is_err(), "{name}: the header is known to nobody yet");
        let long = super::super::verify(first.as_bytes(), b"", registry, Timestamp::from_secs(NOW));
        assert!(long.is_ok(), "{name}");
    }
}

#[test]
fn a_token_like_the_last_one_is_taken_whoever_of_those_trusted_has_signed_it() {
    for (trusted, names) in [
        (vec![issuer(ONE)], vec![ONE]),
        (vec![issuer(TENANTS)], vec![TENANT]),
        (vec![issuer(ONE), issuer(TWO), issuer(TENANTS)], vec![ONE, TWO, TENANT]),
    ] {
        let registry = registry(trusted);
        seen(&registry, &names);
        for name in names {
            let facts = road(&token(name, &json!({"jti": "next"})), &registry);
            assert!(facts.is_ok_and(|facts| facts.text.json().contains(name)), "{name}");
        }
    }
}

#[test]
fn what_was_found_on_the_way_is_left_to_the_long_road() {
    let (alone, among) = (registry([issuer(ONE)]), registry([issuer(ONE), issuer(TWO)]));
    seen(&alone, &[ONE]);
    seen(&among, &[ONE, TWO]);
    let good = token(ONE, &json!({}));
    let forged = format!("{}.{}", good.rsplit_once('.').unwrap().0, "A".repeat(43));
    let other = |header: &str| {
        let key = SigningKey::from_secret(Algorithm::HS256, None, &secret(ONE)).unwrap();
        key.sign_jwt(header, &json!({"iss": ONE, "aud": AUDIENCE, "exp": NOW + 600}).to_string()).unwrap()
    };
    // What the key has said, and whether the claims are left: decoded alone, or among others, where whose they are is looked up first.
    for (token, said, claims) in [
        (forged, Some(false), [true, true]),
        (token(ONE, &json!({"exp": NOW - 30})), None, [true, true]),
        (token(ONE, &json!({"aud": "https://other.example"})), Some(true), [false, false]),
        (token(ONE, &json!({"sub": "a\"b"})), Some(true), [false, false]),
        (other(r#"{"alg":"HS256","typ":"never seen"}"#), None, [false, true]),
        (format!("{good}="), None, [false, true]),
    ] {
        for (registry, claims) in [&alone, &among].into_iter().zip(claims) {
            let Err(left) = road(&token, registry) else { panic!("{token} was taken") };
            assert_eq!((left.asked.map(|asked| asked.good), left.claims.is_some()), (said, claims), "{token}");
        }
    }
}

#[test]
fn the_name_in_signed_claims_decides_and_not_the_first_that_looked_like_one() {
    // Signed by the second, whose key is asked because its name comes first; the claims then say another.
    let registry = registry([issuer(ONE), issuer(TWO), issuer(TENANTS)]);
    seen(&registry, &[TWO]);
    let key = SigningKey::from_secret(Algorithm::HS256, None, &secret(TWO)).unwrap();
    for (claims, taken) in [
        (format!(r#"{{"iss":"{TWO}","aud":"{AUDIENCE}","exp":{}}}"#, NOW + 600), true),
        (format!(r#"{{"x":{{"iss":"{TWO}"}},"iss":"{ONE}","aud":"{AUDIENCE}","exp":{}}}"#, NOW + 600), false),
        (format!(r#"{{"x":{{"iss":"{TWO}"}},"iss":"{TENANT}","aud":"{AUDIENCE}","exp":{}}}"#, NOW + 600), false),
        (format!(r#"{{"x":{{"iss":"{TWO}"}},"aud":"{AUDIENCE}","exp":{}}}"#, NOW + 600), false),
    ] {
        let token = key.sign_jwt(r#"{"alg":"HS256"}"#, &claims).unwrap();
        let verdict = road(&token, &registry);
        assert_eq!(verdict.is_ok(), taken, "{claims}");
        assert!(taken || verdict.is_err_and(|left| left.asked.is_some_and(|asked| asked.good)), "{claims}");
    }
}

#[test]
fn claims_are_of_the_issuer_that_they_name_and_of_no_other_entry() {
    let registry = registry([issuer(ONE), issuer(TWO), issuer(TENANTS)]);
    let entry = |name: &str| Arc::clone(registry.iter().find(|entry| &*entry.identifier == name).unwrap());
    for (named, is_of) in [(ONE, ONE), (TWO, TWO), (TENANT, TENANTS), ("https://one.example/", ""), (TENANTS, "")] {
        for name in [ONE, TWO, TENANTS] {
            let json = json!({"iss": named}).to_string();
            let claims = claims::scan(&json).unwrap();
            let seen = super::is_of(&entry(name), &registry, &Text::new(json, "", ""), &claims);
            assert_eq!(seen, name == is_of, "{named} of {name}");
        }
    }
}

#[test]
fn where_parts_may_be_padded_every_token_takes_the_long_road() {
    let registry = registry([issuer(ONE).accept_padding()]);
    seen(&registry, &[ONE]);
    assert!(road(&token(ONE, &json!({})), &registry).is_err_and(|left| left.asked.is_none()));
}

#[test]
fn whose_a_token_seems_to_be_is_the_first_iss_that_names_one_entry() {
    let registry = registry([
        issuer(ONE),
        issuer(TWO).audience("https://api.example/a"),
        issuer(TWO).audience("https://api.example/b"),
        issuer(TENANTS),
    ]);
    for (json, expected) in [
        (format!(r#"{{"iss":"{ONE}"}}"#), Some(ONE)),
        (format!(r#"{{"sub":"a","iss" : "{ONE}" , "aud":"b"}}"#), Some(ONE)),
        (format!(r#"{{"iss":"{TENANT}"}}"#), Some(TENANTS)),
        (format!(r#"{{"x":{{"iss":"{ONE}"}},"iss":"{TENANT}"}}"#), Some(ONE)),
        (format!(r#"{{"iss":"{TWO}"}}"#), None),
        (r#"{"iss":"https://nobody.example"}"#.to_owned(), None),
        (format!(r#"{{"issuer":"{ONE}"}}"#), None),
        (format!(r#"{{"iss":["{ONE}"]}}"#), None),
        (format!(r#"{{"iss" "{ONE}"}}"#), None),
        (format!(r#"{{"iss":"{ONE}"#), None),
        (r#"{"iss":"#.to_owned(), None),
        (r#""iss""#.to_owned(), None),
        (String::new(), None),
    ] {
        let seen = seems_of(json.as_bytes(), &registry).map(|entry| &*entry.identifier);
        assert_eq!(seen, expected, "{json}");
    }
}

#[test]
fn what_seems_expired_is_so_to_the_second_and_whatever_blanks_are_written() {
    let registry = registry([issuer(ONE)]);
    let only = registry.only().unwrap();
    for (exp, expired) in [
        (NOW + 600, false),
        (NOW - 29, false),
        (NOW - 30, true),
        (NOW - 31, true),
        (NOW - 1_000_000_000, true),
        (0, true),
        (999_999_999_999_999, false),
        (i64::MAX, false),
    ] {
        for json in [format!(r#"{{"exp":{exp}}}"#), format!(r#"{{"sub":"a","exp": {exp},"iat":1}}"#)] {
            let seen = seems_expired(json.as_bytes(), only, Timestamp::from_secs(NOW));
            assert_eq!(seen, expired, "{json}");
        }
    }
    for json in ["{}", r#"{"iat":1}"#, ""] {
        assert!(!seems_expired(json.as_bytes(), only, Timestamp::from_secs(NOW)), "{json}: it says nothing of it");
    }
}
