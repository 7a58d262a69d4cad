//! Every rule of a single JWK as a row of a table.

use serde_json::{Value, json};

use super::*;
use crate::jose::base64url::{decode, encode};
use crate::jose::tests::{from_jwk, signing};

#[test]
fn holds_every_rule_of_a_jwk() {
    let rsa = signing(Algorithm::RS256).public_jwk().unwrap();
    let ec = signing(Algorithm::ES256).public_jwk().unwrap();
    let okp = signing(Algorithm::EdDSA).public_jwk().unwrap();
    let oct = json!({"kty": "oct", "alg": "HS256", "k": encode(&[7; 32])});
    let flipped = {
        let mut y = decode(ec["y"].as_str().unwrap().as_bytes()).unwrap();
        y[0] ^= 1;
        encode(&y)
    };
    let short = encode(&decode(ec["x"].as_str().unwrap().as_bytes()).unwrap()[1..]);
    let gone = Value::String("\0gone".into());
    // an empty reason means that the key is used
    for (base, change, reason) in [
        (&rsa, json!({}), ""),
        (&rsa, json!({"kid": gone}), ""),
        (&rsa, json!({"alg": gone, "use": gone}), ""),
        (&rsa, json!({"use": "jwt-svid"}), ""),
        (&rsa, json!({"key_ops": ["sign", "verify"]}), ""),
        (&rsa, json!({"x5c": "a string", "x5t": 1, "x5u": "https://evil.example", "unknown": {}}), ""),
        (&rsa, json!({"issuer": "https://login.example/{tenantid}"}), ""),
        (&rsa, json!({"alg": "PS512"}), ""),
        (&okp, json!({"alg": "Ed25519"}), ""),
        (&rsa, json!({"kid": 1}), "kid"),
        // null is absent
        (&rsa, json!({"kid": null, "alg": null, "use": null, "key_ops": null, "issuer": null, "x5c": null}), ""),
        (&rsa, json!({"kty": null}), "kty is missing"),
        (&rsa, json!({"n": null}), "missing"),
        (&rsa, json!({"kid": "k".repeat(513)}), "kid"),
        (&rsa, json!({"issuer": ["a"]}), "issuer"),
        (&rsa, json!({"use": "enc"}), "use"),
        (&rsa, json!({"use": ["sig"]}), "use"),
        (&rsa, json!({"key_ops": ["encrypt"]}), "key_ops"),
        (&rsa, json!({"key_ops": []}), "key_ops"),
        (&rsa, json!({"key_ops": "verify"}), "key_ops"),
        (&rsa, json!({"alg": "RSA-OAEP"}), "alg"),
        (&rsa, json!({"alg": "none"}), "alg"),
        (&rsa, json!({"alg": "ES256"}), "fit"),
        (&rsa, json!({"alg": "HS256"}), "fit"),
        (&ec, json!({"alg": "ES384"}), "fit"),
        (&ec, json!({"alg": "EdDSA"}), "fit"),
        (&rsa, json!({"kty": "rsa"}), "kty"),
        (&rsa, json!({"kty": "AKP"}), "AKP"),
        (&rsa, json!({"kty": "AKP", "alg": gone}), "AKP has to name its alg"),
        (&okp, json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AQAB"}), "1312"),
        (&okp, json!({"kty": "AKP", "alg": "ML-DSA-44"}), "missing"),
        (&okp, json!({"kty": "AKP", "alg": "ML-DSA-44", "priv": "AQAB"}), "private"),
        (&okp, json!({"alg": "ML-DSA-44"}), "fit"),
        (&rsa, json!({"kty": gone}), "kty"),
        (&rsa, json!({"kty": 1}), "kty"),
        (&rsa, json!({"n": gone}), "missing"),
        (&rsa, json!({"n": "AQAB"}), "2048"),
        (&rsa, json!({"n": 5}), "missing"),
        (&rsa, json!({"e": "AQ"}), "exponent"),
        (&rsa, json!({"e": "AQAB=="}), "base64url"),
        (&rsa, json!({"d": "AQAB"}), "private"),
        (&rsa, json!({"p": "AQAB"}), "private"),
        (&ec, json!({"d": "AQAB"}), "private"),
        (&okp, json!({"d": null, "n": null, "e": null, "k": null}), ""),
        (&ec, json!({"crv": "secp256k1"}), "curve"),
        (&ec, json!({"crv": "P-384", "alg": gone}), "length"),
        (&ec, json!({"crv": gone}), "curve"),
        (&ec, json!({"x": short}), "length"),
        (&ec, json!({"y": flipped}), ""),
        (&okp, json!({"crv": "Ed448"}), "Ed25519"),
        (&okp, json!({"crv": "X25519"}), "Ed25519"),
        (&okp, json!({"x": encode(&[9; 31])}), "32 bytes"),
        (&okp, json!({"x": encode(&[0; 32])}), "small order"),
        (&oct, json!({}), "shared secret"),
    ] {
        let mut jwk = base.clone();
        for (member, value) in change.as_object().unwrap() {
            jwk[member] = value.clone();
            if *value == gone {
                jwk.as_object_mut().unwrap().remove(member);
            }
        }
        let read = from_jwk(&jwk);
        if change.get("y").is_some() {
            assert!(read.is_err(), "a point beside its curve");
            continue;
        }
        match read {
            Ok(_) => assert_eq!(reason, "", "{change} is used"),
            Err(refused) => assert!(!reason.is_empty() && refused.reason().contains(reason), "{change}: {refused}"),
        }
    }
    for jwk in [json!(null), json!([]), json!("key"), json!({})] {
        assert!(from_jwk(&jwk).is_err());
    }
}

#[test]
fn a_secret_comes_from_the_operator_alone_and_may_name_its_algorithm() {
    let oct = |alg: Value, length| json!({"kty": "oct", "alg": alg, "k": encode(&vec![7; length])});
    let unnamed = json!({"kty": "oct", "k": encode(&[7; 64])});
    for (jwk, origin, operator, usable) in [
        (oct(json!("HS256"), 32), Origin::Given, None, true),
        (oct(json!("HS256"), 31), Origin::Given, None, false),
        (oct(json!("RS256"), 64), Origin::Given, None, false),
        (unnamed.clone(), Origin::Given, None, true),
        (unnamed.clone(), Origin::Given, Some(Algorithm::HS512), true),
        (oct(json!("HS256"), 64), Origin::Given, Some(Algorithm::HS512), false),
        (oct(json!("HS256"), 32), Origin::Fetched, None, false),
        (unnamed, Origin::Fetched, Some(Algorithm::HS256), false),
    ] {
        assert_eq!(VerificationKey::from_jwk(&jwk, origin, operator).is_ok(), usable, "{jwk} {origin:?} {operator:?}");
    }
}

#[test]
fn everything_that_makes_a_key_is_in_its_identity() {
    let jwk = signing(Algorithm::RS256).public_jwk().unwrap();
    let identity = |change: Value| {
        let mut jwk = jwk.clone();
        jwk.as_object_mut().unwrap().append(&mut change.as_object().unwrap().clone());
        *from_jwk(&jwk).unwrap().identity()
    };
    let same = identity(json!({}));
    assert_eq!(same, identity(json!({"x5t": "more"})));
    for change in
        [json!({"kid": "j"}), json!({"kid": ""}), json!({"alg": "PS256"}), json!({"issuer": ""}), json!({"e": "Aw"})]
    {
        assert_ne!(same, identity(change.clone()), "{change}");
    }
    assert_ne!(identity(json!({"kid": "a", "issuer": "bc"})), identity(json!({"kid": "ab", "issuer": "c"})));
}
