//! Published vectors, every way round, and every row of what a hostile encrypted token may try.

mod hostile;

use std::path::Path;

use serde_json::{Map, Value};

use super::open::{NotOpened, derive};
use super::{ContentEncryption, DecryptionKey, EncryptedTokens, EncryptionKey, KeyManagement};
use crate::jose::base64url;

const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl";

fn read(file: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap()
}

fn keys() -> Vec<DecryptionKey> {
    let mut keys = vec![
        DecryptionKey::generate(KeyManagement::RsaOaep, Some("rsa-sha1")).unwrap(),
        DecryptionKey::generate(KeyManagement::RsaOaep256, Some("rsa")).unwrap(),
        DecryptionKey::generate(KeyManagement::EcdhEs, Some("p256")).unwrap(),
        DecryptionKey::generate_x25519(Some("x25519")).unwrap(),
    ];
    keys.extend(
        ContentEncryption::ALL
            .map(|enc| DecryptionKey::direct(enc, Some(enc.name()), &vec![7; enc.key_len()]).unwrap()),
    );
    keys
}

fn bytes(hex: &Value) -> Vec<u8> {
    let digits = hex.as_str().unwrap().as_bytes();
    digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

#[test]
fn five_parts_and_no_others_make_an_encrypted_token() {
    for (text, expected) in
        [("a.b.c.d.e", true), ("....", true), ("a.b.c.d", false), ("a.b.c", false), ("a.b.c.d.e.f", false), ("", false)]
    {
        assert_eq!(super::is_sealed(text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn every_key_opens_what_was_encrypted_to_it_by_every_content_encryption_and_nothing_else() {
    let keys = keys();
    for key in &keys {
        let others = EncryptedTokens::with(keys.iter().filter(|other| other.kid() != key.kid()).cloned());
        let all = EncryptedTokens::with(keys.iter().cloned());
        for enc in ContentEncryption::ALL {
            let sealed = key.encryption_key().unwrap().encrypt_jwt(enc, TOKEN);
            if key.bound_to().is_some_and(|bound| bound != enc) {
                assert!(sealed.is_err(), "{key:?} {enc}");
                continue;
            }
            let sealed = sealed.unwrap();
            assert_eq!(all.open(&sealed).as_deref(), Ok(TOKEN), "{key:?} {enc}");
            assert!(matches!(others.open(&sealed), Err(NotOpened::Locked(_))), "{key:?} {enc}");
            let others: Vec<_> = ContentEncryption::ALL.into_iter().filter(|other| *other != enc).collect();
            let narrow = EncryptedTokens::with([key.clone()]).content_encryption(others);
            assert!(matches!(narrow.open(&sealed), Err(NotOpened::Locked(_))), "{key:?} {enc}");
        }
    }
}

#[test]
fn keys_are_replaced_one_after_the_other() {
    let key = |kid| DecryptionKey::generate(KeyManagement::EcdhEs, kid).unwrap();
    let seal =
        |key: &DecryptionKey| key.encryption_key().unwrap().encrypt_jwt(ContentEncryption::A256Gcm, TOKEN).unwrap();
    // By name; and in order where the token, or the key, has none.
    for names in [[Some("old"), Some("new")], [None, None], [None, Some("new")], [Some("old"), None]] {
        let [old, new] = names.map(key);
        let both = EncryptedTokens::with([new.clone(), old.clone()]);
        assert!(both.open(&seal(&old)).is_ok() && both.open(&seal(&new)).is_ok(), "{names:?}");
        let newer = EncryptedTokens::with([new.clone()]);
        assert!(newer.open(&seal(&old)).is_err() && newer.open(&seal(&new)).is_ok(), "{names:?}");
    }
}

/// What was tried of a file, and what of it we open.
#[test]
fn wycheproof_agrees_on_what_is_accepted_here_and_the_rest_is_refused() {
    let file = read("wycheproof/json_web_encryption_test.json");
    let (mut opened, mut refused, mut not_ours) = (0, 0, 0);
    for group in file["testGroups"].as_array().unwrap() {
        let key = DecryptionKey::from_jwk(&group["private"].to_string());
        for case in group["tests"].as_array().unwrap() {
            let Some(token) = case["jwe"].as_str() else {
                // The JSON serialization is no token.
                not_ours += 1;
                continue;
            };
            let Ok(key) = &key else {
                // A key for RSA1_5, key wrapping or another curve: none is made, so nothing is opened.
                not_ours += 1;
                continue;
            };
            let content = EncryptedTokens::with([key.clone()]).decrypt(token, |_| Ok(()));
            let enc = case["enc"].as_str().unwrap_or_default();
            let known = enc.is_empty() || ContentEncryption::from_name(enc).is_some();
            let expected = case["result"] == "valid" && known;
            assert_eq!(content.is_ok(), expected, "{} {}: {content:?}", case["tcId"], case["comment"]);
            match content {
                Ok(content) => {
                    opened += 1;
                    assert_eq!(content, bytes(&case["pt"]), "{}", case["tcId"]);
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert_eq!((opened, opened + refused + not_ours), (16, 139), "refused {refused}, not ours {not_ours}");
}

#[test]
fn the_example_of_x25519_is_opened() {
    let file = read("rfc7520/rfc8037_ecdh-es_x25519.json");
    let mut jwk = file["input"]["key"].clone();
    jwk["alg"] = "ECDH-ES".into();
    let keys = EncryptedTokens::with([DecryptionKey::from_jwk(&jwk.to_string()).unwrap()]);
    let content = keys.decrypt(file["output"]["compact"].as_str().unwrap(), |_| Ok(())).unwrap();
    assert_eq!(String::from_utf8(content).unwrap(), file["input"]["plaintext"]);
}

#[test]
fn a_key_is_derived_as_in_the_example_of_rfc_7518() {
    // Appendix C.
    let secret = [
        158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49, 110, 163, 218, 128, 106,
        72, 246, 218, 167, 121, 140, 254, 144, 196,
    ];
    let key = derive(&secret, ContentEncryption::A128Gcm, b"Alice", b"Bob");
    assert_eq!(base64url::encode(&key), "VqqN6vgjbSBcIijNcacQGg");
}

#[test]
fn keys_are_read_from_what_operators_have_and_refused_where_they_do_not_fit() {
    use KeyManagement::{Direct, EcdhEs, RsaOaep, RsaOaep256};
    let rsa = &include_bytes!("../testdata/rsa2048.pem")[..];
    let p256 = &include_bytes!("../testdata/p256.pem")[..];
    let x25519 = &include_bytes!("../testdata/x25519.pem")[..];
    for (algorithm, pem, usable) in [
        (RsaOaep256, rsa, true),
        (RsaOaep, rsa, true),
        (EcdhEs, p256, true),
        (EcdhEs, x25519, true),
        (EcdhEs, rsa, false),
        (RsaOaep256, p256, false),
        (RsaOaep256, x25519, false),
        (Direct, rsa, false),
        (EcdhEs, include_bytes!("../testdata/p384.pem"), false),
        (EcdhEs, include_bytes!("../testdata/ed25519.pem"), false),
        (RsaOaep256, include_bytes!("../testdata/rsa1024.pem"), false),
        (RsaOaep256, include_bytes!("../testdata/rsa2048.pub.pem"), false),
        (RsaOaep256, include_bytes!("../testdata/rsa2048.pkcs1.pem"), false),
        (RsaOaep256, b"nothing", false),
    ] {
        let key = DecryptionKey::from_pem(algorithm, Some("1"), pem);
        assert_eq!(key.is_ok(), usable, "{algorithm} {key:?}");
        let Ok(key) = key else { continue };
        let sealed = key.encryption_key().unwrap().encrypt_jwt(ContentEncryption::A256CbcHs512, TOKEN).unwrap();
        assert_eq!(EncryptedTokens::with([key]).open(&sealed).as_deref(), Ok(TOKEN), "{algorithm}");
    }
    for (jwk, why) in [
        ("[]", "no object"),
        (r#"{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAA"}"#, "no alg"),
        (r#"{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAA","alg":"dir"}"#, "a secret is for one enc"),
        (r#"{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAA","alg":"A256GCM"}"#, "16 bytes of 32"),
        (r#"{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAA","alg":"A128GCM","use":"sig"}"#, "for signatures"),
        (r#"{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAA","alg":"A128KW"}"#, "key wrapping"),
        (r#"{"kty":"EC","crv":"P-256","d":"AA","alg":"ECDH-ES"}"#, "a short number"),
        (r#"{"kty":"EC","crv":"P-256","d":"AA","alg":"ECDH-ES+A128KW"}"#, "key wrapping"),
        (r#"{"kty":"OKP","crv":"X25519","x":"AA","alg":"ECDH-ES"}"#, "no private half"),
        (r#"{"kty":"RSA","n":"AA","e":"AQAB","d":"AA","alg":"RSA1_5"}"#, "RSA1_5"),
        (r#"{"kty":"RSA","n":"AA","e":"AQAB","d":"AA","alg":"RSA-OAEP-256"}"#, "not all numbers"),
    ] {
        assert!(DecryptionKey::from_jwk(jwk).is_err(), "{why}");
    }
    let secret = r#"{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAA","alg":"A128GCM","kid":"s","use":"enc"}"#;
    assert_eq!(DecryptionKey::from_jwk(secret).unwrap().kid(), Some("s"));
}

#[test]
fn issuers_encrypt_to_what_recipients_publish() {
    use KeyManagement::{Direct, EcdhEs, RsaOaep, RsaOaep256};
    for key in keys().into_iter().filter(|key| key.algorithm() != Direct) {
        let jwk = key.public_jwk().unwrap().to_string();
        let to = EncryptionKey::from_jwk(&jwk).unwrap();
        assert_eq!((to.algorithm(), to.kid(), to.public_jwk()), (key.algorithm(), key.kid(), key.public_jwk()));
        let sealed = to.encrypt_jwt(ContentEncryption::A128Gcm, TOKEN).unwrap();
        assert_eq!(EncryptedTokens::with([key]).open(&sealed).as_deref(), Ok(TOKEN), "{jwk}");
    }
    let secret = r#"{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAA","alg":"A128GCM"}"#;
    let sealed = EncryptionKey::from_jwk(secret).unwrap().encrypt_jwt(ContentEncryption::A128Gcm, TOKEN).unwrap();
    let keys = EncryptedTokens::with([DecryptionKey::from_jwk(secret).unwrap()]);
    assert_eq!(keys.open(&sealed).as_deref(), Ok(TOKEN));

    let rsa = (&include_bytes!("../testdata/rsa2048.pub.pem")[..], &include_bytes!("../testdata/rsa2048.pem")[..]);
    let p256 = (&include_bytes!("../testdata/p256.pub.pem")[..], &include_bytes!("../testdata/p256.pem")[..]);
    for (algorithm, (public, private)) in [(RsaOaep256, rsa), (RsaOaep, rsa), (EcdhEs, p256)] {
        let to = EncryptionKey::from_pem(algorithm, Some("1"), public).unwrap();
        let sealed = to.encrypt_jwt(ContentEncryption::A256Gcm, TOKEN).unwrap();
        let keys = EncryptedTokens::with([DecryptionKey::from_pem(algorithm, Some("1"), private).unwrap()]);
        assert_eq!(keys.open(&sealed).as_deref(), Ok(TOKEN), "{algorithm}");
    }
    let long = "k".repeat(600);
    for (algorithm, kid, pem, why) in [
        (EcdhEs, "1", rsa.0, "another type"),
        (RsaOaep, "1", p256.0, "another type"),
        (Direct, "1", rsa.0, "no secret"),
        (RsaOaep256, "1", rsa.1, "a private key"),
        (EcdhEs, "1", include_bytes!("../testdata/p384.pub.pem"), "another curve"),
        (RsaOaep256, "1", include_bytes!("../testdata/rsa1024.pub.pem"), "a short key"),
        (RsaOaep256, &long, rsa.0, "a long name"),
    ] {
        assert!(EncryptionKey::from_pem(algorithm, Some(kid), pem).is_err(), "{why}");
    }
    let n = base64url::encode(&[1; 32]);
    for (jwk, why) in [
        (Value::Null, "no object"),
        (serde_json::json!({"kty": "EC", "crv": "P-256", "x": n, "y": n}), "no alg"),
        (serde_json::json!({"kty": "EC", "crv": "P-256", "x": n, "y": n, "alg": "ES256"}), "for signatures"),
        (serde_json::json!({"kty": "EC", "crv": "P-256", "x": n, "y": n, "alg": "ECDH-ES", "use": "sig"}), "its use"),
        (serde_json::json!({"kty": "EC", "crv": "P-256", "x": n, "alg": "ECDH-ES"}), "no y"),
        (serde_json::json!({"kty": "EC", "crv": "P-384", "x": n, "y": n, "alg": "ECDH-ES"}), "another curve"),
        (serde_json::json!({"kty": "OKP", "crv": "X25519", "x": "AA", "alg": "ECDH-ES"}), "a short number"),
        (serde_json::json!({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RSA-OAEP-256"}), "a short modulus"),
        (serde_json::json!({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RSA1_5"}), "RSA1_5"),
    ] {
        assert!(EncryptionKey::from_jwk(&jwk.to_string()).is_err(), "{why}");
    }
}

#[test]
fn debug_shows_no_key_and_the_public_half_holds_no_private_one() {
    for key in keys() {
        let shown = format!("{key:?} {:?}", key.encryption_key().unwrap());
        assert!(shown.contains("kid") && !shown.contains("07"), "{shown}");
        let jwk = key.public_jwk();
        assert_eq!(jwk.is_none(), key.algorithm() == KeyManagement::Direct);
        let members: Map<String, Value> = jwk.and_then(|jwk| jwk.as_object().cloned()).unwrap_or_default();
        assert!(["d", "p", "q", "k"].iter().all(|private| !members.contains_key(*private)), "{members:?}");
    }
}
