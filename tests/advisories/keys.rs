//! Attacks on keys, algorithms and signatures.

use serde_json::{Value, json};
use token_core::{Algorithm, ErrorKind, Issuer, Presented, ResourceServer, StaticKeys};
use token_test::{Endpoint, TestIssuer, TestKey};

use super::{Place, shown};

const REFUSED: &[ErrorKind] =
    &[ErrorKind::AlgorithmNotAllowed, ErrorKind::UnknownKey, ErrorKind::BadSignature, ErrorKind::Malformed];

#[tokio::test]
async fn refuses_none_in_every_spelling() {
    let place = Place::new().await;
    for spelling in ["none", "None", "NONE", "nOnE", "none ", " none", "n\u{f6}ne", "", "null", "undefined", "plain"] {
        let unsigned = place.issuer.token().header("alg", spelling).alg_none();
        let signed = place.issuer.token().header("alg", spelling);
        for token in [unsigned.mint(), unsigned.clone().without_header("kid").mint(), signed.mint()] {
            Place::assert_one_of(&place.verdict(&token).await, REFUSED, spelling);
        }
    }
    for odd in [json!(null), json!(0), json!(["none"]), json!({"alg": "none"})] {
        let token = place.issuer.token().header("alg", odd.clone()).alg_none().mint();
        Place::assert_one_of(&place.verdict(&token).await, REFUSED, &odd.to_string());
    }
    shown("refuses_none_in_every_spelling");
}

/// What an attacker can know of a public key, in the forms that libraries have taken for a secret.
fn public_forms(key: &TestKey) -> Vec<String> {
    let pem = key.public_pem().unwrap().to_owned();
    let jwk = key.public_jwk().unwrap();
    let mut forms: Vec<String> = ["", " ", "\n", "\u{feff}", "\u{200b}", "# key\n", ".", "\0"]
        .iter()
        .map(|prefix| format!("{prefix}{pem}"))
        .collect();
    forms.extend([pem.trim().to_owned(), pem.replace('\n', ""), jwk.to_string(), json!({"keys": [jwk]}).to_string()]);
    forms.extend(["n", "x"].iter().filter_map(|number| jwk[*number].as_str().map(str::to_owned)));
    forms
}

#[tokio::test]
async fn refuses_public_keys_as_hmac_secrets() {
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let issuer = TestIssuer::builder().algorithm(algorithm).start().await;
        let key = issuer.signing_key();
        let fetched = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
        let given =
            Issuer::with_keys(issuer.url(), StaticKeys::pem(algorithm, key.public_pem().unwrap()).unwrap()).unwrap();
        for trusted in [fetched, given] {
            let api = ResourceServer::builder(issuer.audience()).trust(trusted).build().unwrap();
            assert!(api.authenticate(Presented::token(&issuer.token().mint())).await.is_ok());
            for form in public_forms(&key) {
                for hmac in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
                    let forged = issuer.token().signed_by(&TestKey::from_secret(hmac, key.kid(), &form)).mint();
                    let verdict = api.authenticate(Presented::token(&forged)).await;
                    assert_eq!(verdict.err().map(|error| error.kind()), Some(ErrorKind::AlgorithmNotAllowed), "{hmac}");
                }
            }
        }
    }
    shown("refuses_public_keys_as_hmac_secrets");
}

#[tokio::test]
async fn refuses_to_be_configured_with_a_public_key_as_the_secret() {
    let issuer = TestIssuer::start().await;
    let pem = issuer.signing_key().public_pem().unwrap().to_owned();
    for prefix in ["", " ", "\n\n", "\u{feff}", "\u{200b}", "# key\n", "//", ".", "\0", "-----BEGIN PGP-----\n"] {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let secret = format!("{prefix}{pem}");
            assert!(StaticKeys::secret(algorithm, secret.as_bytes()).is_err(), "{algorithm} with prefix {prefix:?}");
        }
    }
    shown("refuses_to_be_configured_with_a_public_key_as_the_secret");
}

#[tokio::test]
async fn binds_keys_without_alg_to_their_own_kind() {
    let place = Place::new().await;
    let key = place.issuer.new_key(Algorithm::RS256);
    let mut jwk = key.public_jwk().unwrap();
    jwk.as_object_mut().unwrap().remove("alg");
    place.issuer.publish_jwk(jwk.clone());
    assert!(place.verdict(&place.issuer.token().signed_by(&key).mint()).await.is_ok(), "its own kind");
    for hmac in [Algorithm::HS256, Algorithm::HS512] {
        for secret in [jwk["n"].as_str().unwrap(), &jwk.to_string(), ""] {
            let token = place.issuer.token().signed_by(&TestKey::from_secret(hmac, key.kid(), secret)).mint();
            Place::assert_one_of(&place.verdict(&token).await, &[ErrorKind::AlgorithmNotAllowed], hmac.name());
        }
    }
    // Another kind of the same family is not agreed upon either.
    for other in [Algorithm::ES256, Algorithm::EdDSA] {
        let token = place.issuer.token().signed_by(&TestKey::forger(other, key.kid())).mint();
        Place::assert_one_of(&place.verdict(&token).await, REFUSED, other.name());
    }
    shown("binds_keys_without_alg_to_their_own_kind");
}

#[tokio::test]
async fn refuses_empty_and_short_secrets() {
    for (algorithm, least) in [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)] {
        for length in [0, 1, 16, least - 1] {
            assert!(StaticKeys::secret(algorithm, &vec![b'x'; length]).is_err(), "{algorithm} of {length} bytes");
            let jwk = json!({"keys": [{"kty": "oct", "alg": algorithm.name(), "k": "A".repeat(length)}]});
            assert!(StaticKeys::jwk_set(&jwk.to_string()).is_err(), "{algorithm} of {length} letters in a JWK");
        }
        assert!(StaticKeys::secret(algorithm, &vec![b'x'; least]).is_ok());
    }
    let place = Place::new().await;
    for kid in [place.issuer.signing_key().kid(), Some("nobody"), None] {
        let token = place.issuer.token().signed_by(&TestKey::from_secret(Algorithm::HS256, kid, "")).mint();
        Place::assert_one_of(&place.verdict(&token).await, REFUSED, "an empty secret");
    }
    shown("refuses_empty_and_short_secrets");
}

#[tokio::test]
async fn never_takes_a_key_or_an_address_from_a_token() {
    let place = Place::new().await;
    let attacker = TestIssuer::start().await;
    let key = TestKey::forger(Algorithm::RS256, Some("attacker"));
    attacker.sign_with(&key);
    let (jwk, address) = (key.public_jwk().unwrap(), attacker.jwks_uri());
    attacker.forget_hits();
    let own_kid = place.issuer.signing_key().kid().map(str::to_owned);
    let in_header: [(&str, Value); 6] = [
        ("jwk", jwk.clone()),
        ("jku", json!(address)),
        ("x5u", json!(address)),
        ("x5c", json!(["MIIB"])),
        ("iss", json!(attacker.url())),
        ("kid", json!(address)),
    ];
    for (name, value) in in_header {
        for kid in [key.kid(), own_kid.as_deref()] {
            let signed = place.issuer.token().signed_by(&key);
            let token = kid.into_iter().fold(signed, |token, kid| token.kid(kid)).header(name, value.clone()).mint();
            Place::assert_one_of(&place.verdict(&token).await, REFUSED, name);
        }
    }
    // Nor from the claims: the issuer is looked up among those that were configured, and nowhere else.
    assert_eq!(
        place.verdict(&attacker.token().audience(place.issuer.audience()).mint()).await,
        Err(ErrorKind::UnknownIssuer)
    );
    for endpoint in Endpoint::ALL {
        assert_eq!(attacker.hits(*endpoint), 0, "nothing is fetched because a token says so");
    }
    shown("never_takes_a_key_or_an_address_from_a_token");
}

#[tokio::test]
async fn treats_a_kid_as_a_name_and_nothing_else() {
    let place = Place::new().await;
    let long = "k".repeat(5000);
    for kid in [
        "../../../../dev/null",
        "' OR '1'='1",
        "key; rm -rf /",
        "http://169.254.169.254/",
        "\u{0}",
        "\r\nX: y",
        "",
        &long,
    ] {
        let token = place.issuer.token().signed_by(&TestKey::from_secret(Algorithm::HS256, Some(kid), "")).mint();
        Place::assert_one_of(&place.verdict(&token).await, REFUSED, kid);
        let token = place.issuer.token().kid(kid).mint();
        Place::assert_one_of(&place.verdict(&token).await, REFUSED, kid);
    }
    for kid in [json!(1), json!(null), json!(["a"]), json!({"a": 1}), json!(true)] {
        let token = place.issuer.token().header("kid", kid.clone()).mint();
        Place::assert_one_of(&place.verdict(&token).await, REFUSED, &kid.to_string());
    }
    shown("treats_a_kid_as_a_name_and_nothing_else");
}

#[tokio::test]
async fn refuses_signatures_of_zeros_and_of_the_order() {
    // The orders of P-256 and P-384, and one, in base64url of r and s.
    let p256 = [vec![0u8; 32], number(32, 1), hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")];
    let order384 = "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";
    let p384 = [vec![0u8; 48], number(48, 1), hex(order384)];
    for (algorithm, numbers) in [(Algorithm::ES256, p256), (Algorithm::ES384, p384)] {
        let issuer = TestIssuer::builder().algorithm(algorithm).start().await;
        let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
        let api = ResourceServer::builder(issuer.audience()).trust(trusted).build().unwrap();
        let good = issuer.token().mint();
        assert!(api.authenticate(Presented::token(&good)).await.is_ok());
        let signed = good.rsplit_once('.').unwrap().0;
        for r in &numbers {
            for s in &numbers {
                let forged = format!("{signed}.{}", base64url(&[r.as_slice(), s.as_slice()].concat()));
                let verdict = api.authenticate(Presented::token(&forged)).await;
                assert_eq!(verdict.err().map(|error| error.kind()), Some(ErrorKind::BadSignature));
            }
        }
    }
    shown("refuses_signatures_of_zeros_and_of_the_order");
}

fn number(length: usize, value: u8) -> Vec<u8> {
    let mut bytes = vec![0; length];
    bytes[length - 1] = value;
    bytes
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for at in 0..=three.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * at) & 63) as usize]));
        }
    }
    text
}

#[tokio::test]
async fn passes_over_keys_that_are_too_large_too_small_or_public_secrets() {
    let place = Place::new().await;
    let secret = TestKey::from_secret(Algorithm::HS256, Some("published-secret"), [b'A'; 32]);
    place
        .issuer
        .publish_jwk(json!({"kty": "oct", "kid": "published-secret", "alg": "HS256", "k": base64url(&[b'A'; 32])}));
    let modulus = |bytes: usize| json!({"kty": "RSA", "e": "AQAB", "n": base64url(&vec![0xff; bytes])});
    for (kid, bytes) in [("huge", 2048), ("large", 1025), ("small", 128), ("tiny", 1)] {
        let mut jwk = modulus(bytes);
        jwk["kid"] = json!(kid);
        place.issuer.publish_jwk(jwk);
    }
    let mut exponent = modulus(256);
    exponent["e"] = json!(base64url(&[1]));
    place.issuer.publish_jwk(exponent);
    place.issuer.publish_jwk(json!({"kty": "AKP", "kid": "new", "alg": "ML-DSA-44", "pub": "AAAA"}));
    place.issuer.publish_jwk(json!({"kid": 7}));
    place.issuer.publish_jwk(json!("key"));
    assert!(place.verdict(&place.issuer.token().mint()).await.is_ok(), "the good key among them serves");
    assert_eq!(
        place.verdict(&place.issuer.token().signed_by(&secret).mint()).await,
        Err(ErrorKind::AlgorithmNotAllowed)
    );
    let (_, state) = place.api.health().remove(0);
    assert_eq!((state.keys, state.skipped.len()), (1, 9), "{state:?}");
    shown("passes_over_keys_that_are_too_large_too_small_or_public_secrets");
}
