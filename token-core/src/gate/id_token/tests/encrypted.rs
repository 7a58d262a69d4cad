//! ID tokens that come encrypted: opened where the client has registered for that, and then held to all that holds for others.

use serde_json::Map;

use super::*;
use crate::jose::encryption::{ContentEncryption, DecryptionKey, EncryptionKey, KeyManagement};

const RSA: &[u8] = include_bytes!("../../../jose/testdata/rsa2048.pem");

/// Every kind of key.
fn keys() -> Vec<DecryptionKey> {
    let rsa = |algorithm| DecryptionKey::from_pem(algorithm, Some("ours"), RSA).unwrap();
    vec![
        DecryptionKey::generate(KeyManagement::EcdhEs, Some("ours")).unwrap(),
        DecryptionKey::generate_x25519(Some("ours")).unwrap(),
        rsa(KeyManagement::RsaOaep256),
        rsa(KeyManagement::RsaOaep),
        DecryptionKey::direct(ContentEncryption::A256Gcm, Some("ours"), &[7; 32]).unwrap(),
    ]
}

fn verifier(keys: EncryptedTokens) -> IdTokenVerifier {
    let issuer = Issuer::with_keys("https://i/", StaticKeys::secret(Algorithm::HS256, SECRET).unwrap()).unwrap();
    IdTokenVerifier::encrypted_with_clock("app", issuer, keys, Hands::at(NOW)).unwrap()
}

fn signed(more: Value) -> String {
    token(Algorithm::HS256, more)
}

/// Encrypted to this key, with these members of the header besides.
fn sealed(to: &EncryptionKey, content: &str, header: Value) -> String {
    let header: Map<String, Value> = header.as_object().unwrap().clone();
    to.encrypt(ContentEncryption::A256Gcm, &header, content.as_bytes()).unwrap()
}

fn ask(verifier: &IdTokenVerifier, token: &str, login: Login) -> Result<Verified, Error> {
    verifier.verify(token, login).now().expect("nothing to wait for")
}

#[test]
fn opens_what_is_encrypted_to_each_kind_of_key_and_holds_it_to_every_check() {
    use ErrorKind::*;
    let nonce = || Login::with_nonce("n");
    let hash = left_half(Algorithm::HS256, "access");
    let forged = {
        let good = signed(json!({}));
        let (rest, _) = good.rsplit_once('.').unwrap();
        let other = signed(json!({"sub": "bob"}));
        format!("{rest}.{}", other.rsplit_once('.').unwrap().1)
    };
    let unsigned =
        format!("{}.{}.", base64url::encode(br#"{"alg":"none"}"#), signed(json!({})).split('.').nth(1).unwrap());
    for key in keys() {
        let to = key.encryption_key().unwrap();
        let verifier = verifier(EncryptedTokens::with([key.clone()]));
        let twice = sealed(&to, &signed(json!({})), json!({}));
        for (what, content, header, login, expected) in [
            ("good", signed(json!({})), json!({}), nonce(), None),
            ("no kid", signed(json!({})), json!({"kid": null}), nonce(), None),
            ("another nonce", signed(json!({"nonce": "m"})), json!({}), nonce(), Some(ClaimsMismatch)),
            ("no nonce", signed(json!({"nonce": null})), json!({}), nonce(), Some(ClaimsMismatch)),
            ("at_hash", signed(json!({"at_hash": hash})), json!({}), nonce().access_token("access"), None),
            (
                "at_hash of another token",
                signed(json!({"at_hash": hash})),
                json!({}),
                nonce().access_token("another"),
                Some(ClaimsMismatch),
            ),
            (
                "no at_hash",
                signed(json!({})),
                json!({}),
                nonce().access_token("access").require_hashes(),
                Some(ClaimsMismatch),
            ),
            (
                "c_hash of another code",
                signed(json!({"c_hash": hash})),
                json!({}),
                nonce().code("x"),
                Some(ClaimsMismatch),
            ),
            ("another client", signed(json!({"aud": "other"})), json!({}), nonce(), Some(WrongAudience)),
            (
                "another client, said to be ours outside",
                signed(json!({"aud": "other"})),
                json!({"aud": "app"}),
                nonce(),
                Some(WrongAudience),
            ),
            (
                "another issuer",
                signed(json!({"iss": "https://j/"})),
                json!({"iss": "https://i/"}),
                nonce(),
                Some(UnknownIssuer),
            ),
            ("expired", signed(json!({"exp": NOW - 60})), json!({}), nonce(), Some(Expired)),
            ("an access token", signed(json!({"token_use": "access"})), json!({}), nonce(), Some(WrongType)),
            ("a logout token", signed(json!({"events": {}, "nonce": null})), json!({}), nonce(), Some(WrongType)),
            ("a wrong signature", forged.clone(), json!({}), nonce(), Some(BadSignature)),
            ("no signature", unsigned.clone(), json!({}), nonce(), Some(AlgorithmNotAllowed)),
            (
                "claims without a signature",
                r#"{"iss":"https://i/","sub":"ada"}"#.to_owned(),
                json!({}),
                nonce(),
                Some(Undecryptable),
            ),
            ("an encrypted one within", twice, json!({}), nonce(), Some(Undecryptable)),
            ("no cty", signed(json!({})), json!({"cty": null}), nonce(), Some(Undecryptable)),
            ("another cty", signed(json!({})), json!({"cty": "json"}), nonce(), Some(Undecryptable)),
            ("compressed", signed(json!({})), json!({"zip": "DEF"}), nonce(), Some(Undecryptable)),
            ("a critical extension", signed(json!({})), json!({"crit": ["x"], "x": 1}), nonce(), Some(Malformed)),
            ("another kid", signed(json!({})), json!({"kid": "theirs"}), nonce(), Some(Undecryptable)),
        ] {
            let token = sealed(&to, &content, header);
            let outcome = ask(&verifier, &token, login);
            if let Ok(verified) = &outcome {
                assert_eq!(verified.kind(), crate::TokenKind::Id);
                assert_eq!(verified.token(), Some(&*content), "what was signed is what id_token_hint takes");
            }
            assert_eq!(outcome.err().map(|error| error.kind()), expected, "{what}, {}", key.algorithm());
        }
    }
}

#[test]
fn whatever_keeps_it_shut_is_answered_alike() {
    for key in keys() {
        let verifier = verifier(EncryptedTokens::with([key.clone()]));
        let good = sealed(&key.encryption_key().unwrap(), &signed(json!({})), json!({}));
        let mut answers = Vec::new();
        for at in 1..5 {
            let mut parts: Vec<_> = good.split('.').map(str::to_owned).collect();
            if parts[at].is_empty() {
                continue;
            }
            let mut bytes = base64url::decode(parts[at].as_bytes()).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            parts[at] = base64url::encode(&bytes);
            let refused = ask(&verifier, &parts.join("."), Login::with_nonce("n")).unwrap_err();
            answers.push((refused.kind(), refused.to_string(), refused.detail().to_owned()));
        }
        assert!(answers.len() >= 3, "initialization vector, ciphertext and tag at least");
        assert_eq!(answers[0].0, ErrorKind::Undecryptable);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    }
}

#[test]
fn a_signed_one_is_refused_where_encryption_was_registered_and_an_encrypted_one_where_it_was_not() {
    let key = DecryptionKey::generate(KeyManagement::EcdhEs, Some("ours")).unwrap();
    let covered = sealed(&key.encryption_key().unwrap(), &signed(json!({})), json!({}));
    let keys = || EncryptedTokens::with([key.clone()]);
    let issuer = || Issuer::with_keys("https://i/", StaticKeys::secret(Algorithm::HS256, SECRET).unwrap()).unwrap();
    let plain = IdTokenVerifier::with_clock("app", issuer(), Hands::at(NOW)).unwrap();
    let refused = Some(ErrorKind::WrongType);
    for (what, verifier, of_signed, of_encrypted) in [
        ("never asked for", plain, None, refused),
        ("registered", verifier(keys()), refused, None),
        ("said again", verifier(keys().required()), refused, None),
        ("either", verifier(keys().optional()), None, None),
    ] {
        let kind = |token: &str| ask(&verifier, token, Login::with_nonce("n")).err().map(|error| error.kind());
        assert_eq!((kind(&signed(json!({}))), kind(&covered)), (of_signed, of_encrypted), "{what}");
    }
    for (what, none) in [("no key", EncryptedTokens::with([])), ("no enc", keys().content_encryption([]))] {
        assert!(IdTokenVerifier::encrypted("app", issuer(), none).is_err(), "{what}");
    }
}

#[test]
fn a_key_is_replaced_without_a_gap() {
    let key = |kid| DecryptionKey::generate(KeyManagement::EcdhEs, Some(kid)).unwrap();
    let (old, new) = (key("old"), key("new"));
    let of = |key: &DecryptionKey, header| sealed(&key.encryption_key().unwrap(), &signed(json!({})), header);
    let tokens = [of(&old, json!({})), of(&new, json!({})), of(&new, json!({"kid": null}))];
    for (what, keys, expected) in [
        ("before", vec![&old], [true, false, false]),
        ("both, the new one first", vec![&new, &old], [true; 3]),
        ("both, the old one first", vec![&old, &new], [true; 3]),
        ("after", vec![&new], [false, true, true]),
    ] {
        let verifier = verifier(EncryptedTokens::with(keys.into_iter().cloned()));
        let seen = tokens.each_ref().map(|token| ask(&verifier, token, Login::with_nonce("n")).is_ok());
        assert_eq!(seen, expected, "{what}");
    }
}

#[test]
fn a_refreshed_one_agrees_with_the_original_one() {
    let key = DecryptionKey::generate_x25519(Some("ours")).unwrap();
    let to = key.encryption_key().unwrap();
    let verifier = verifier(EncryptedTokens::with([key]));
    let first = ask(&verifier, &sealed(&to, &signed(json!({})), json!({})), Login::with_nonce("n")).unwrap();
    let original = OriginalIdToken::of(&first).unwrap();
    for (more, expected) in [(json!({}), None), (json!({"sub": "bob"}), Some(ErrorKind::ClaimsMismatch))] {
        let refreshed = ask(&verifier, &sealed(&to, &signed(more.clone()), json!({})), Login::refreshed(&original));
        assert_eq!(refreshed.err().map(|error| error.kind()), expected, "{more}");
    }
}
