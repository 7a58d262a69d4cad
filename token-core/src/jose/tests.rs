//! Keys, signatures and the two backends together: published examples, every algorithm, every way to spoil a signature.

use serde_json::{Value, json};

use super::algorithm::{Curve, Level, Scheme};
use super::base64url::{decode, encode};
use super::jwk_set::Origin;
use super::signing::SigningKey;
use super::*;

/// The backend under test offers the algorithm.
fn offered(algorithm: Algorithm) -> bool {
    cfg!(feature = "aws-lc-rs") || !matches!(algorithm.scheme(), Scheme::Ecdsa(Curve::P521) | Scheme::MlDsa(_))
}

fn algorithms() -> impl Iterator<Item = Algorithm> {
    Algorithms::ASYMMETRIC.union(Algorithms::HMAC).iter().filter(|algorithm| offered(*algorithm))
}

fn private(algorithm: Algorithm) -> Option<&'static [u8]> {
    Some(match algorithm.scheme() {
        Scheme::RsaPkcs1(_) | Scheme::RsaPss(_) => include_bytes!("testdata/rsa2048.pem"),
        Scheme::Ecdsa(Curve::P256) => include_bytes!("testdata/p256.pem"),
        Scheme::Ecdsa(Curve::P384) => include_bytes!("testdata/p384.pem"),
        Scheme::Ecdsa(Curve::P521) => include_bytes!("testdata/p521.pem"),
        Scheme::Ed25519 => include_bytes!("testdata/ed25519.pem"),
        Scheme::MlDsa(Level::L44) => include_bytes!("testdata/ml-dsa-44.pem"),
        Scheme::MlDsa(Level::L65) => include_bytes!("testdata/ml-dsa-65.pem"),
        Scheme::MlDsa(Level::L87) => include_bytes!("testdata/ml-dsa-87.pem"),
        Scheme::Hmac(_) => return None,
    })
}

fn public(algorithm: Algorithm) -> Option<&'static [u8]> {
    Some(match algorithm.scheme() {
        Scheme::RsaPkcs1(_) | Scheme::RsaPss(_) => include_bytes!("testdata/rsa2048.pub.pem"),
        Scheme::Ecdsa(Curve::P256) => include_bytes!("testdata/p256.pub.pem"),
        Scheme::Ecdsa(Curve::P384) => include_bytes!("testdata/p384.pub.pem"),
        Scheme::Ecdsa(Curve::P521) => include_bytes!("testdata/p521.pub.pem"),
        Scheme::Ed25519 => include_bytes!("testdata/ed25519.pub.pem"),
        Scheme::MlDsa(Level::L44) => include_bytes!("testdata/ml-dsa-44.pub.pem"),
        Scheme::MlDsa(Level::L65) => include_bytes!("testdata/ml-dsa-65.pub.pem"),
        Scheme::MlDsa(Level::L87) => include_bytes!("testdata/ml-dsa-87.pub.pem"),
        Scheme::Hmac(_) => return None,
    })
}

const SECRET: &[u8] = &[7; 64];

pub(super) fn signing(algorithm: Algorithm) -> SigningKey {
    match private(algorithm) {
        Some(pem) => SigningKey::from_pem(algorithm, Some("k"), pem).unwrap(),
        None => SigningKey::from_secret(algorithm, Some("k"), SECRET).unwrap(),
    }
}

fn verifying(algorithm: Algorithm) -> VerificationKey {
    match public(algorithm) {
        Some(pem) => VerificationKey::from_pem(algorithm, Some("k"), pem).unwrap(),
        None => VerificationKey::from_secret(algorithm, Some("k"), SECRET).unwrap(),
    }
}

pub(super) fn from_jwk(jwk: &Value) -> Result<VerificationKey, UnusableKey> {
    VerificationKey::from_jwk(jwk, Origin::Fetched, None)
}

#[test]
fn published_examples_verify() {
    let vectors: Value = serde_json::from_str(include_str!("testdata/rfc.json")).unwrap();
    let mut verified = 0;
    for vector in vectors.as_array().unwrap() {
        let algorithm: Algorithm = vector["alg"].as_str().unwrap().parse().unwrap();
        let (message, signature) = vector["token"].as_str().unwrap().rsplit_once('.').unwrap();
        let key = VerificationKey::from_jwk(&vector["jwk"], Origin::Given, Some(algorithm));
        assert_eq!(key.is_ok(), offered(algorithm), "{}", vector["source"]);
        let Ok(key) = key else { continue };
        let signature = decode(signature.as_bytes()).unwrap();
        assert!(key.verify(algorithm, message.as_bytes(), &signature), "{}", vector["source"]);
        assert!(!key.verify(algorithm, &message.as_bytes()[1..], &signature), "{}", vector["source"]);
        verified += 1;
    }
    assert_eq!(verified, if cfg!(feature = "aws-lc-rs") { 9 } else { 7 });
}

#[test]
fn every_algorithm_signs_and_verifies_and_notices_what_was_changed() {
    for algorithm in algorithms() {
        let (signing, key) = (signing(algorithm), verifying(algorithm));
        let good = signing.sign(b"message").unwrap();
        assert!(key.verify(algorithm, b"message", &good), "{algorithm}");
        assert!(!key.verify(algorithm, b"messagf", &good), "{algorithm}: another message");
        for at in [0, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(!key.verify(algorithm, b"message", &bad), "{algorithm}: byte {at} changed");
        }
        for (bad, why) in [
            (&good[..good.len() - 1], "a byte less"),
            (&good[1..], "the first byte gone"),
            (&[&good[..], &[0]].concat(), "a byte more"),
            (&[&[0], &good[..]].concat(), "a zero in front"),
            (&[], "empty"),
            (&vec![0; good.len()], "all zero"),
            (&vec![0xff; good.len()], "all ones"),
        ] {
            assert!(!key.verify(algorithm, b"message", bad), "{algorithm}: {why}");
        }
    }
}

#[test]
fn a_key_verifies_with_its_own_algorithm_only() {
    for mine in algorithms() {
        let (signing, key) = (signing(mine), verifying(mine));
        let signature = signing.sign(b"message").unwrap();
        for other in algorithms().filter(|other| *other != mine) {
            assert!(!key.can(other) && !key.verify(other, b"message", &signature), "{mine} as {other}");
        }
    }
}

#[test]
fn an_rsa_key_that_names_no_algorithm_does_all_six() {
    let mut jwk = signing(Algorithm::RS256).public_jwk().unwrap();
    jwk.as_object_mut().unwrap().remove("alg");
    let key = from_jwk(&jwk).unwrap();
    assert_eq!(key.algorithms().iter().count(), 6);
    for algorithm in key.algorithms().iter() {
        let signature = signing(algorithm).sign(b"message").unwrap();
        for other in key.algorithms().iter() {
            assert_eq!(key.verify(other, b"message", &signature), other == algorithm, "{algorithm} as {other}");
        }
    }
}

#[test]
fn ecdsa_numbers_are_between_one_and_the_order() {
    // the orders of the three curves, SEC 2
    for (algorithm, order) in [
        (Algorithm::ES256, "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
        (
            Algorithm::ES384,
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
        ),
        (
            Algorithm::ES512,
            "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
        ),
    ] {
        if !offered(algorithm) {
            continue;
        }
        let order: Vec<u8> =
            (0..order.len()).step_by(2).map(|at| u8::from_str_radix(&order[at..at + 2], 16).unwrap()).collect();
        let (signing, key) = (signing(algorithm), verifying(algorithm));
        let good = signing.sign(b"message").unwrap();
        let (r, s) = good.split_at(order.len());
        let (zero, mut one) = (vec![0; order.len()], vec![0; order.len()]);
        *one.last_mut().unwrap() = 1;
        for (r, s, why) in [
            (&zero[..], &zero[..], "both zero"),
            (&zero, s, "r zero"),
            (r, &zero, "s zero"),
            (&order, s, "r the order"),
            (r, &order, "s the order"),
            (&order, &order, "both the order"),
            (&one, &one, "both one"),
            (&zero, &one, "zero and one"),
            (s, r, "swapped"),
        ] {
            assert!(!key.verify(algorithm, b"message", &[r, s].concat()), "{algorithm}: {why}");
        }
        // n - s is the other spelling of the same signature: it verifies, which is why no token is known by its text
        let twin = [r, &subtract(&order, s)].concat();
        assert!(key.verify(algorithm, b"message", &twin), "{algorithm}");
    }
}

fn subtract(from: &[u8], number: &[u8]) -> Vec<u8> {
    let (mut out, mut borrow) = (vec![0; from.len()], 0);
    for at in (0..from.len()).rev() {
        let difference = i16::from(from[at]) - i16::from(number[at]) - borrow;
        borrow = i16::from(difference < 0);
        out[at] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    out
}

#[test]
fn ecdsa_numbers_with_leading_zeros_verify() {
    let (signing, key) = (signing(Algorithm::ES256), verifying(Algorithm::ES256));
    let mut short = 0;
    for number in 0..100_000_u32 {
        let message = number.to_be_bytes();
        let signature = signing.sign(&message).unwrap();
        if signature[0] == 0 || signature[32] == 0 {
            assert!(key.verify(Algorithm::ES256, &message, &signature));
            short += 1;
        }
        if short == 3 {
            return;
        }
    }
    panic!("one signature in 128 should begin with a zero");
}

#[test]
fn a_signature_in_der_is_none_of_jws() {
    let key = verifying(Algorithm::ES256);
    let good = signing(Algorithm::ES256).sign(b"message").unwrap();
    let number = |number: &[u8]| {
        let number: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
        let sign = if number[0] >= 0x80 { &[0][..] } else { &[] };
        [&[2, u8::try_from(number.len() + sign.len()).unwrap()], sign, &number].concat()
    };
    let body = [number(&good[..32]), number(&good[32..])].concat();
    let der = [&[0x30, u8::try_from(body.len()).unwrap()], &body[..]].concat();
    assert!(key.verify(Algorithm::ES256, b"message", &good));
    assert!(!key.verify(Algorithm::ES256, b"message", &der));
}

#[test]
fn public_keys_come_in_three_wrappings() {
    let signature = signing(Algorithm::RS256).sign(b"message").unwrap();
    for (pem, why) in [
        (&include_bytes!("testdata/rsa2048.pub.pem")[..], "SPKI"),
        (include_bytes!("testdata/rsa2048.pkcs1.pub.pem"), "PKCS#1"),
        (include_bytes!("testdata/rsa2048.crt.pem"), "a certificate"),
    ] {
        let key = VerificationKey::from_pem(Algorithm::RS256, None, pem).unwrap();
        assert!(key.verify(Algorithm::RS256, b"message", &signature), "{why}");
    }
    let signature = signing(Algorithm::ES256).sign(b"message").unwrap();
    let certificate = include_bytes!("testdata/p256.crt.pem");
    let key = VerificationKey::from_pem(Algorithm::ES256, None, certificate).unwrap();
    assert!(key.verify(Algorithm::ES256, b"message", &signature), "a certificate with a curve");
}

#[test]
fn the_public_jwk_of_a_document_verifies_what_its_private_key_signed() {
    for algorithm in algorithms() {
        let Some(pem) = public(algorithm) else { continue };
        let key = from_jwk(&Value::Object(super::verification_key::public_jwk(pem).unwrap())).unwrap();
        assert!(key.verify(algorithm, b"message", &signing(algorithm).sign(b"message").unwrap()), "{algorithm}");
        assert!(super::verification_key::public_jwk(private(algorithm).unwrap()).is_err(), "{algorithm}");
    }
}

#[test]
fn a_name_that_an_operator_gives_has_1_to_512_bytes_and_changes_nothing_else() {
    let jwk = json!({"issuer": "https://issuer.example", "kty": "oct", "alg": "HS256", "k": encode(SECRET)});
    let key = VerificationKey::from_jwk(&jwk, Origin::Given, None).unwrap();
    let signature = signing(Algorithm::HS256).sign(b"message").unwrap();
    for (length, fits) in [(0, false), (1, true), (2, true), (512, true), (513, false)] {
        let name = "n".repeat(length);
        let called = key.called(&name);
        assert_eq!(called.is_ok(), fits, "{length}");
        let Ok(called) = called else { continue };
        assert_eq!((called.kid(), called.issuer()), (Some(&*name), key.issuer()));
        assert_eq!(called.algorithms(), key.algorithms());
        assert!(called.verify(Algorithm::HS256, b"message", &signature));
    }
}

#[test]
fn a_key_for_fewer_algorithms_is_one_for_no_others() {
    let mut jwk = signing(Algorithm::RS256).public_jwk().unwrap();
    jwk.as_object_mut().unwrap().remove("alg");
    jwk["issuer"] = "https://issuer.example".into();
    let all = from_jwk(&jwk).unwrap();
    let fewer = all.only_for(Algorithms::from(Algorithm::PS256).union(Algorithm::ES256.into())).unwrap();
    assert_eq!((fewer.kid(), fewer.issuer()), (Some("k"), Some("https://issuer.example")));
    for algorithm in algorithms() {
        assert_eq!(fewer.can(algorithm), algorithm == Algorithm::PS256, "{algorithm}");
        assert_eq!(fewer.algorithms().contains(algorithm), algorithm == Algorithm::PS256, "{algorithm}");
        let Ok(signing) = SigningKey::from_pem(algorithm, None, include_bytes!("testdata/rsa2048.pem")) else {
            continue;
        };
        let signature = signing.sign(b"message").unwrap();
        assert!(all.verify(algorithm, b"message", &signature), "{algorithm}");
        assert_eq!(fewer.verify(algorithm, b"message", &signature), algorithm == Algorithm::PS256, "{algorithm}");
    }
    assert!(all.only_for(Algorithm::ES256.into()).is_err());
}

#[test]
fn keys_are_the_same_exactly_when_material_name_algorithms_and_issuer_are() {
    let jwk = |name: &str, value: Value| {
        let mut jwk = signing(Algorithm::RS256).public_jwk().unwrap();
        match value {
            Value::Null => drop(jwk.as_object_mut().unwrap().remove(name)),
            value => jwk[name] = value,
        }
        jwk
    };
    let jwks = [
        jwk("x", 1.into()),
        jwk("kid", Value::Null),
        jwk("kid", "".into()),
        jwk("kid", "l".into()),
        jwk("alg", Value::Null),
        jwk("alg", "RS384".into()),
        jwk("issuer", "".into()),
        jwk("issuer", "k".into()),
        signing(Algorithm::ES256).public_jwk().unwrap(),
        signing(Algorithm::EdDSA).public_jwk().unwrap(),
    ];
    for (at, one) in jwks.iter().enumerate() {
        for (to, other) in jwks.iter().enumerate() {
            let same = from_jwk(one).unwrap().identity() == from_jwk(other).unwrap().identity();
            assert_eq!(same, at == to, "{one} {other}");
        }
    }
}

#[test]
fn refuses_documents_that_hold_no_key_for_the_algorithm() {
    for (algorithm, pem, reason) in [
        (Algorithm::RS256, &include_bytes!("testdata/rsa2048.pem")[..], "a private key"),
        (Algorithm::RS256, include_bytes!("testdata/rsa2048.pkcs1.pem"), "a private key"),
        (Algorithm::RS256, include_bytes!("testdata/rsa1024.pub.pem"), "shorter than 2048"),
        (Algorithm::RS256, include_bytes!("testdata/p256.pub.pem"), "does not fit"),
        (Algorithm::ES256, include_bytes!("testdata/p384.pub.pem"), "does not fit"),
        (Algorithm::ES256, include_bytes!("testdata/secp256k1.pub.pem"), "curve"),
        (Algorithm::EdDSA, include_bytes!("testdata/ed448.pub.pem"), "kind"),
        (Algorithm::EdDSA, include_bytes!("testdata/p256.pub.pem"), "does not fit"),
        (Algorithm::HS256, include_bytes!("testdata/rsa2048.pub.pem"), "does not fit"),
        (Algorithm::RS256, b"-----BEGIN DH PARAMETERS-----\nYWI=\n-----END DH PARAMETERS-----", "neither"),
        (Algorithm::RS256, b"-----BEGIN PUBLIC KEY-----\nYWI=\n-----END PUBLIC KEY-----", "DER"),
        (Algorithm::RS256, b"nothing", "no PEM"),
    ] {
        let refused = VerificationKey::from_pem(algorithm, None, pem).unwrap_err();
        assert!(refused.reason().contains(reason), "{reason}: {refused}");
    }
}

#[test]
fn refuses_to_sign_with_the_wrong_key() {
    for (algorithm, pem, reason) in [
        (Algorithm::ES256, &include_bytes!("testdata/rsa2048.pem")[..], "does not fit"),
        (Algorithm::ES256, include_bytes!("testdata/p384.pem"), "does not fit"),
        (Algorithm::RS256, include_bytes!("testdata/ed25519.pem"), "does not fit"),
        (Algorithm::RS256, include_bytes!("testdata/rsa1024.pem"), "shorter than 2048"),
        (Algorithm::RS256, include_bytes!("testdata/rsa2048.pkcs1.pem"), "PKCS#8"),
        (Algorithm::RS256, include_bytes!("testdata/rsa2048.pub.pem"), "PKCS#8"),
        (Algorithm::HS256, include_bytes!("testdata/rsa2048.pem"), "does not fit"),
    ] {
        let refused = SigningKey::from_pem(algorithm, None, pem).unwrap_err();
        assert!(refused.reason().contains(reason), "{algorithm} {reason}: {refused}");
    }
    assert!(SigningKey::from_secret(Algorithm::HS512, None, &[7; 63]).is_err());
    assert!(SigningKey::from_secret(Algorithm::RS256, None, SECRET).is_err());
}

#[test]
fn a_signed_token_is_exactly_what_was_asked_for() {
    let key = signing(Algorithm::HS256);
    let token = key.sign_jwt(r#"{"alg":"none"}"#, "not even JSON").unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    assert_eq!(message, format!("{}.{}", encode(br#"{"alg":"none"}"#), encode(b"not even JSON")));
    let signature = decode(signature.as_bytes()).unwrap();
    assert!(verifying(Algorithm::HS256).verify(Algorithm::HS256, message.as_bytes(), &signature));
}

#[test]
fn the_public_jwk_of_a_key_verifies_what_it_signed() {
    for algorithm in algorithms() {
        let signing = signing(algorithm);
        assert_eq!((signing.algorithm(), signing.kid()), (algorithm, Some("k")));
        let Some(jwk) = signing.public_jwk() else {
            assert!(algorithm.is_symmetric());
            continue;
        };
        assert_eq!((&jwk["alg"], &jwk["use"], &jwk["kid"]), (&json!(algorithm.name()), &json!("sig"), &json!("k")));
        assert!(jwk.get("d").is_none());
        let key = from_jwk(&jwk).unwrap();
        assert!(key.verify(algorithm, b"message", &signing.sign(b"message").unwrap()), "{algorithm}");
    }
}

#[test]
fn neither_key_shows_its_secret() {
    let shown = format!("{:?} {:?}", signing(Algorithm::HS256), verifying(Algorithm::HS256));
    assert!(!shown.contains("7, 7") && !shown.contains("BwcH"), "{shown}");
    assert_eq!(shown.matches(r#"kid: Some("k")"#).count(), 2, "but which keys they are: {shown}");
}

#[cfg(all(feature = "aws-lc-rs", feature = "rust-crypto"))]
#[test]
fn both_backends_agree() {
    use super::material::Material;
    use super::signature::{aws_lc, rust_crypto};

    let shared = |algorithm: &Algorithm| !matches!(algorithm.scheme(), Scheme::Ecdsa(Curve::P521) | Scheme::MlDsa(_));
    for algorithm in algorithms().filter(shared) {
        let (a, b) = match private(algorithm) {
            Some(pem) => {
                let (_, der) = pem::parse(pem).unwrap();
                (aws_lc::Signer::from_pkcs8(algorithm, &der), rust_crypto::Signer::from_pkcs8(algorithm, &der))
            }
            None => {
                (aws_lc::Signer::from_secret(algorithm, SECRET), rust_crypto::Signer::from_secret(algorithm, SECRET))
            }
        };
        let (a, b) = (a.ok().unwrap(), b.ok().unwrap());
        assert_eq!(a.public(), b.public(), "{algorithm}");
        let material = a.public().unwrap_or_else(|| Material::secret(algorithm, SECRET).unwrap());
        let first = aws_lc::Verifier::new(algorithm, &material).ok().unwrap();
        let second = rust_crypto::Verifier::new(algorithm, &material).ok().unwrap();
        for signature in [a.sign(b"message").unwrap(), b.sign(b"message").unwrap()] {
            for at in 0..signature.len() {
                let mut bad = signature.clone();
                bad[at] ^= 0x80;
                assert!(!first.verify(b"message", &bad) && !second.verify(b"message", &bad), "{algorithm} {at}");
                if at == 8 && algorithm.scheme() != Scheme::Ed25519 {
                    break; // RSA in pure Rust is slow
                }
            }
            assert!(first.verify(b"message", &signature) && second.verify(b"message", &signature), "{algorithm}");
            assert!(!first.verify(b"messagf", &signature) && !second.verify(b"messagf", &signature), "{algorithm}");
        }
    }
    assert_eq!(aws_lc::sha256(b"abc"), rust_crypto::sha256(b"abc"));
}

/// The example of RFC 9964, whose seed is all zeros: its key is known by its thumbprint.
#[cfg(feature = "aws-lc-rs")]
#[test]
fn makes_the_key_of_rfc_9964_of_its_seed() {
    let head = decode(b"MDQCAQAwCwYJYIZIAWUDBAMRBCKAIA").unwrap();
    let key = SigningKey::from_pkcs8(Algorithm::MlDsa44, None, &[&head[..], &[0; 32]].concat()).unwrap();
    assert_eq!(key.thumbprint().unwrap().to_string(), "T4xl70S7MT6Zeq6r9V9fPJGVn76wfnXJ21-gyo0Gu6o");
    assert!(SigningKey::from_pkcs8(Algorithm::MlDsa65, None, &[&head[..], &[0; 32]].concat()).is_err());
}

/// Signed by pyca/cryptography over OpenSSL, of which nothing is shared with what verifies here.
#[cfg(feature = "aws-lc-rs")]
#[test]
fn verifies_what_another_implementation_of_ml_dsa_signed() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("testdata/ml-dsa.json")).unwrap();
    for case in &cases {
        let key = from_jwk(&case["jwk"]).unwrap();
        let token = case["token"].as_str().unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = decode(signature.as_bytes()).unwrap();
        for algorithm in [Algorithm::MlDsa44, Algorithm::MlDsa65, Algorithm::MlDsa87] {
            let own = case["jwk"]["alg"] == algorithm.name();
            assert_eq!(key.verify(algorithm, message.as_bytes(), &signature), own, "{algorithm}");
        }
        let algorithm: Algorithm = case["jwk"]["alg"].as_str().unwrap().parse().unwrap();
        for at in [0, signature.len() / 2, signature.len() - 1] {
            let mut bad = signature.clone();
            bad[at] ^= 1;
            assert!(!key.verify(algorithm, message.as_bytes(), &bad), "{algorithm}: byte {at}");
        }
        assert!(!key.verify(algorithm, &message.as_bytes()[1..], &signature));
        assert!(!key.verify(algorithm, message.as_bytes(), &signature[1..]));
    }
    assert_eq!(cases.len(), 3);
}

#[cfg(not(feature = "aws-lc-rs"))]
#[test]
fn the_portable_backend_says_that_it_has_no_ml_dsa() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("testdata/ml-dsa.json")).unwrap();
    for case in &cases {
        assert!(from_jwk(&case["jwk"]).unwrap_err().to_string().contains("does not offer the algorithm"));
    }
}
