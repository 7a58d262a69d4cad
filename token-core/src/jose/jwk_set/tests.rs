//! What is read of a set, which key is chosen, what a refresh keeps, what is remembered.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::jose::base64url::{HeaderBuffer, encode};
use crate::jose::header::{self, TokenType};
use crate::jose::signing::SigningKey;

fn jwk(alg: &str, kid: Option<&str>) -> Value {
    let pem: &[u8] = match alg {
        "RS256" | "PS256" => include_bytes!("../testdata/rsa2048.pem"),
        "ES256" => include_bytes!("../testdata/p256.pem"),
        _ => include_bytes!("../testdata/ed25519.pem"),
    };
    SigningKey::from_pem(alg.parse().unwrap(), kid, pem).unwrap().public_jwk().unwrap()
}

/// A key of its own for every number: any odd modulus will do, as long as nothing is verified.
fn numbered(number: u8, kid: &str) -> Value {
    let mut modulus = [0xff; 256];
    modulus[1] = number;
    json!({"kty": "RSA", "n": encode(&modulus), "e": "AQAB", "kid": kid, "alg": "RS256"})
}

fn set(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({"keys": keys}).to_string().as_bytes(), Origin::Fetched).unwrap()
}

#[test]
fn one_odd_key_does_not_cost_the_others() {
    let odd = [
        json!({"kty": "RSA", "kid": 7}),
        json!({"kty": "AKP", "kid": "post-quantum"}),
        json!({"kty": "RSA", "use": "enc", "alg": "RSA-OAEP", "kid": "a name with blanks"}),
        json!({"kty": "oct", "k": encode(&[7; 64]), "alg": "HS256", "kid": "secret"}),
        json!(null),
        json!("key"),
    ];
    let set = set(&[&odd[..], &[jwk("RS256", Some("good"))]].concat());
    assert_eq!((set.len(), set.skipped().len()), (1, odd.len()));
    assert!(set.choose(Algorithm::RS256, Some("good")).is_ok());
    assert_eq!(set.choose(Algorithm::HS256, Some("secret")).unwrap_err(), NoKey::Unknown);
    let shown: Vec<_> = set.skipped().iter().map(SkippedKey::kid).collect();
    assert_eq!(shown, [None, Some("post-quantum"), None, Some("secret"), None, None]);
}

#[test]
fn tells_an_empty_set_from_what_is_no_set() {
    for (text, expected) in [
        ("", Err(KeySetError::NotJson)),
        ("<html>", Err(KeySetError::NotJson)),
        (r#"{"keys":[]} x"#, Err(KeySetError::NotJson)),
        ("[]", Err(KeySetError::NoKeys)),
        ("{}", Err(KeySetError::NoKeys)),
        (r#"{"keys":{}}"#, Err(KeySetError::NoKeys)),
        (r#"{"keys":null}"#, Err(KeySetError::NoKeys)),
        (r#"{"keys":[]}"#, Ok(0)),
        (r#"{"keys":[{}]}"#, Ok(0)),
    ] {
        assert_eq!(KeySet::parse(text.as_bytes(), Origin::Fetched).map(|set| set.len()), expected, "{text}");
    }
    assert!(KeySet::parse("[".repeat(10_000).as_bytes(), Origin::Fetched).is_err());
}

#[test]
fn looks_at_a_hundred_keys() {
    let keys: Vec<Value> = (0..101).map(|number| numbered(number, &number.to_string())).collect();
    let set = set(&keys);
    assert_eq!((set.len(), set.skipped().len()), (100, 1));
    assert!(set.choose(Algorithm::RS256, Some("99")).is_ok());
    assert_eq!(set.choose(Algorithm::RS256, Some("100")).unwrap_err(), NoKey::Unknown);
}

#[test]
fn chooses_exactly_one_key() {
    use Algorithm::{ES256, EdDSA, PS256, RS256};
    let (rsa, ec) = (jwk("RS256", Some("a")), jwk("ES256", Some("b")));
    let unnamed = jwk("EdDSA", None);
    let many: Vec<Value> = (0..20).map(|number| numbered(number, &format!("n{number}"))).collect();
    for (keys, alg, kid, expected, why) in [
        (vec![rsa.clone(), ec.clone()], RS256, Some("a"), Ok("RSA"), "by name"),
        (vec![rsa.clone(), ec.clone()], ES256, Some("b"), Ok("Ec"), "by name"),
        (vec![rsa.clone(), ec.clone()], RS256, Some("A"), Err(NoKey::Unknown), "names are exact"),
        (vec![rsa.clone(), ec.clone()], RS256, Some("a "), Err(NoKey::Unknown), "names are exact"),
        (vec![rsa.clone(), ec.clone()], RS256, Some(""), Err(NoKey::Unknown), "an empty name is a name"),
        (vec![rsa.clone(), ec.clone()], ES256, Some("a"), Err(NoKey::WrongAlgorithm), "the key's own alg"),
        (vec![rsa.clone(), ec.clone()], PS256, Some("a"), Err(NoKey::WrongAlgorithm), "the key's own alg"),
        (vec![rsa.clone(), ec.clone()], RS256, None, Ok("RSA"), "the only one that can"),
        (vec![rsa.clone(), ec.clone()], EdDSA, None, Err(NoKey::Unknown), "none can"),
        (vec![rsa.clone(), jwk("RS256", Some("c"))], RS256, None, Err(NoKey::Ambiguous), "two can"),
        (vec![rsa.clone(), jwk("RS256", Some("c"))], RS256, Some("c"), Ok("RSA"), "the name decides"),
        (vec![rsa.clone(), jwk("ES256", Some("a"))], ES256, Some("a"), Ok("Ec"), "one name, two kinds"),
        (vec![rsa.clone(), rsa.clone()], RS256, Some("a"), Ok("RSA"), "one key twice is one key"),
        (vec![numbered(3, "a"), numbered(4, "a")], RS256, Some("a"), Err(NoKey::Ambiguous), "one name, two keys"),
        (vec![unnamed.clone()], EdDSA, Some("a"), Err(NoKey::Unknown), "a name that the issuer does not publish"),
        (vec![unnamed], EdDSA, None, Ok("Ed25519"), "no names at all"),
        (vec![], RS256, None, Err(NoKey::Unknown), "no keys"),
        (many.clone(), RS256, Some("n7"), Ok("RSA"), "by name among many"),
        (many.clone(), ES256, Some("n7"), Err(NoKey::WrongAlgorithm), "the wrong one among many"),
        (many.clone(), RS256, Some("x"), Err(NoKey::Unknown), "no such name among many"),
        (many, RS256, None, Err(NoKey::Ambiguous), "no name among many"),
    ] {
        let set = set(&keys);
        let chosen = set.choose(alg, kid).map(|key| format!("{key:?}"));
        match expected {
            Ok(kind) => assert!(chosen.is_ok_and(|key| key.to_lowercase().contains(&kind.to_lowercase())), "{why}"),
            Err(expected) => assert_eq!(chosen.unwrap_err(), expected, "{why}"),
        }
    }
}

#[test]
fn the_operators_own_key_without_a_name_serves_tokens_that_name_one() {
    let pem = include_bytes!("../testdata/rsa2048.pub.pem");
    let unnamed = || VerificationKey::from_pem(Algorithm::RS256, None, pem).unwrap();
    let named = VerificationKey::from_pem(Algorithm::RS256, Some("a"), pem).unwrap();
    let given = KeySet::from_keys(Origin::Given, vec![unnamed().into()]);
    assert!(given.choose(Algorithm::RS256, Some("whatever")).is_ok());
    assert_eq!(given.choose(Algorithm::ES256, Some("whatever")).unwrap_err(), NoKey::WrongAlgorithm);
    let both = KeySet::from_keys(Origin::Given, vec![unnamed().into(), named.into()]);
    assert_eq!(both.choose(Algorithm::RS256, Some("a")).unwrap().kid(), Some("a"));
    assert_eq!(both.choose(Algorithm::RS256, Some("b")).unwrap().kid(), None);
    assert_eq!(both.choose(Algorithm::RS256, None).unwrap_err(), NoKey::Ambiguous);
}

#[test]
fn a_refresh_carries_over_what_stays_and_retires_what_is_gone() {
    let before = set(&[numbered(3, "stays"), numbered(4, "goes"), numbered(5, "changes")]);
    let after = set(&[numbered(6, "changes"), numbered(3, "stays"), numbered(7, "new")]).succeed(&before);
    let key = |set: &KeySet, kid| Arc::clone(set.choose(Algorithm::RS256, Some(kid)).unwrap());
    assert!(Arc::ptr_eq(&key(&before, "stays"), &key(&after, "stays")));
    assert!(!key(&after, "stays").is_retired() && !key(&after, "new").is_retired());
    assert!(key(&before, "goes").is_retired());
    assert!(key(&before, "changes").is_retired() && !key(&after, "changes").is_retired());

    // a key that comes back is a new key: what hung on the old one stays dead
    let again = set(&[numbered(4, "goes")]).succeed(&before);
    assert!(!key(&again, "goes").is_retired());
    assert!(key(&before, "goes").is_retired() && key(&before, "stays").is_retired());
}

#[test]
fn remembers_two_headers_a_key_and_nothing_of_strangers() {
    let keys = set(&[numbered(3, "a"), numbered(4, "b")]);
    let (a, b) = (&keys.keys()[0], &keys.keys()[1]);
    let learn = |keys: &KeySet, key: &Arc<VerificationKey>, json: &str| {
        let (encoded, mut buffer) = (encode(json.as_bytes()), HeaderBuffer::new());
        let header = header::parse(encoded.as_bytes(), &mut buffer).unwrap();
        keys.remember(key, encoded.as_bytes(), &header);
        encoded
    };
    let first = learn(&keys, a, r#"{"alg":"RS256","kid":"a"}"#);
    learn(&keys, a, r#"{"alg":"RS256","kid":"a"}"#);
    let second = learn(&keys, a, r#"{"alg":"RS256","kid":"a","typ":"at+jwt"}"#);
    let third = learn(&keys, a, r#"{"alg":"RS256","kid":"a","typ":"JWT"}"#);
    let other = learn(&keys, b, r#"{"alg":"RS256","kid":"b"}"#);
    let long = learn(&keys, b, &format!(r#"{{"alg":"RS256","kid":"b","x":"{}"}}"#, "x".repeat(200)));

    let remembered = |encoded: &str| keys.remembered(encoded.as_bytes());
    let found = remembered(&first).unwrap();
    assert!(Arc::ptr_eq(found.key, a) && found.alg == Algorithm::RS256 && found.typ == TokenType::Absent);
    let found = remembered(&second).unwrap();
    assert!(Arc::ptr_eq(found.key, a) && found.typ == TokenType::AccessToken);
    assert!(remembered(&third).is_none(), "the third of a key");
    assert!(Arc::ptr_eq(remembered(&other).unwrap().key, b));
    assert!(remembered(&long).is_none(), "more than 256 bytes");
    assert!(remembered(&first[..first.len() - 1]).is_none(), "a part of a header");
    assert!(remembered("").is_none());

    // a key of another set, though it looks the same, is a stranger here
    let stranger = set(&[numbered(4, "b")]);
    let unseen = learn(&keys, &stranger.keys()[0], r#"{"alg":"RS256","kid":"b","typ":"JWT"}"#);
    assert!(remembered(&unseen).is_none());
    // the verdict was about this set; another, with the same keys, learns anew
    assert!(set(&[numbered(3, "a")]).succeed(&keys).remembered(first.as_bytes()).is_none());
}

#[test]
fn each_key_of_a_large_set_has_its_headers_too() {
    for count in [1_u8, 4, 5, 17, 100] {
        let jwks: Vec<_> = (0..count).map(|number| numbered(number, &format!("key-{number}"))).collect();
        let keys = set(&jwks);
        let headers = |number: u8| {
            ["at+jwt", "JWT", "jwt"].map(|typ| {
                let json = format!(r#"{{"alg":"RS256","kid":"key-{number}","typ":"{typ}"}}"#);
                let (encoded, mut buffer) = (encode(json.as_bytes()), HeaderBuffer::new());
                let header = header::parse(encoded.as_bytes(), &mut buffer).unwrap();
                keys.remember(&keys.keys()[usize::from(number)], encoded.as_bytes(), &header);
                encoded
            })
        };
        let mut missing = 0;
        for number in 0..count {
            let headers = headers(number);
            for encoded in &headers[..2] {
                match keys.remembered(encoded.as_bytes()) {
                    Some(found) => assert!(Arc::ptr_eq(found.key, &keys.keys()[usize::from(number)])),
                    None => missing += 1,
                }
            }
            assert!(missing > 0 || keys.remembered(headers[2].as_bytes()).is_none(), "two of each");
        }
        assert!(missing <= usize::from(count) / 20, "{missing} of {count} keys had no place");
    }
}

#[test]
fn threads_that_learn_the_same_header_agree() {
    let keys = set(&[numbered(3, "a")]);
    let encoded = encode(br#"{"alg":"RS256","kid":"a"}"#);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut buffer = HeaderBuffer::new();
                let header = header::parse(encoded.as_bytes(), &mut buffer).unwrap();
                for _ in 0..100 {
                    keys.remember(&keys.keys()[0], encoded.as_bytes(), &header);
                    let found = keys.remembered(encoded.as_bytes());
                    assert!(found.is_none_or(|found| Arc::ptr_eq(found.key, &keys.keys()[0])));
                }
            });
        }
    });
    assert!(keys.remembered(encoded.as_bytes()).is_some());
}

proptest! {
    #[test]
    fn no_document_makes_it_panic(json in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = KeySet::parse(&json, Origin::Given);
    }

    #[test]
    fn no_near_miss_makes_it_panic(
        json in r#"\{"keys":\[(\{("(kty|kid|alg|use|crv|n|e|x|y|k|key_ops)":("RSA"|"EC"|"OKP"|"oct"|"P-256"|"AQAB"|1|null|\[\]),?){0,6}\},?){0,3}\]\}"#
    ) {
        let _ = KeySet::parse(json.as_bytes(), Origin::Given);
    }
}
