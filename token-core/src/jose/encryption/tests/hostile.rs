//! Hostile tokens in, the one answer out: each row a class of attack on JWE.

use serde_json::{Map, Value, json};

use super::*;
use crate::jose::encryption::content::ContentEncryption::{A128CbcHs256, A128Gcm, A256CbcHs512, A256Gcm};
use crate::jose::encryption::header::PublicPoint;

/// A server with one key of each kind.
struct Server {
    keys: Vec<DecryptionKey>,
    tokens: EncryptedTokens,
}

impl Server {
    fn new() -> Self {
        let keys = keys();
        Self { tokens: EncryptedTokens::with(keys.iter().cloned()), keys }
    }

    /// Encrypted to the key of this name, with other members in the header.
    fn sealed(&self, kid: &str, enc: ContentEncryption, more: &Value) -> String {
        self.content(kid, enc, more, TOKEN.as_bytes())
    }

    fn content(&self, kid: &str, enc: ContentEncryption, more: &Value, content: &[u8]) -> String {
        let key = self.keys.iter().find(|key| key.kid() == Some(kid)).unwrap();
        let more: Map<String, Value> = more.as_object().cloned().unwrap_or_default();
        key.encryption_key().unwrap().encrypt(enc, &more, content).unwrap()
    }
}

/// The same token with another part.
fn with_part(token: &str, at: usize, change: impl FnOnce(&str) -> String) -> String {
    let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    parts[at] = change(&parts[at]);
    parts.join(".")
}

/// The same bytes but for one bit.
fn flipped(part: &str) -> String {
    let mut bytes = base64url::decode(part.as_bytes()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    base64url::encode(&bytes)
}

#[test]
fn whatever_is_wrong_inside_gets_one_answer() {
    let server = Server::new();
    let mut answers = std::collections::BTreeSet::new();
    for (kid, enc) in [
        ("rsa", A256Gcm),
        ("rsa", A128CbcHs256),
        ("rsa-sha1", A256CbcHs512),
        ("p256", A128Gcm),
        ("p256", A256CbcHs512),
        ("x25519", A256Gcm),
        ("A256GCM", A256Gcm),
        ("A128CBC-HS256", A128CbcHs256),
    ] {
        let good = server.sealed(kid, enc, &json!({}));
        assert!(server.tokens.open(&good).is_ok());
        for part in 1..5 {
            if good.split('.').nth(part) == Some("") {
                continue;
            }
            let bad = with_part(&good, part, flipped);
            let refused = server.tokens.open(&bad).unwrap_err();
            answers.insert(format!("{refused:?}"));
        }
        // The header is covered, too: another member, and the key of another token of the same server.
        let renamed = with_part(&good, 0, |header| {
            let mut header: Value = serde_json::from_slice(&base64url::decode(header.as_bytes()).unwrap()).unwrap();
            header["x"] = 1.into();
            base64url::encode(header.to_string().as_bytes())
        });
        answers.insert(format!("{:?}", server.tokens.open(&renamed).unwrap_err()));
        let other = server.sealed(kid, enc, &json!({}));
        if kid.starts_with("rsa") {
            let mixed = with_part(&good, 1, |_| other.split('.').nth(1).unwrap().to_owned());
            answers.insert(format!("{:?}", server.tokens.open(&mixed).unwrap_err()));
            // As long as the modulus, and greater than it.
            let huge = with_part(&good, 1, |_| base64url::encode(&[0xff; 256]));
            answers.insert(format!("{:?}", server.tokens.open(&huge).unwrap_err()));
            let zero = with_part(&good, 1, |_| base64url::encode(&[0; 256]));
            answers.insert(format!("{:?}", server.tokens.open(&zero).unwrap_err()));
            for length in [1, 255, 257, 1024] {
                let odd = with_part(&good, 1, |_| base64url::encode(&vec![1; length]));
                answers.insert(format!("{:?}", server.tokens.open(&odd).unwrap_err()));
            }
        }
    }
    // An RSA key that strangers ask about knows one answer, whatever its padding looks like inside (RFC 8017 section 7.1.2, RFC 7516 section 11.5).
    let faults = read("oaep/faults.json");
    let faults = faults["rows"].as_array().unwrap();
    for row in faults {
        let algorithm = row["alg"].as_str().unwrap().parse().unwrap();
        let pem = include_bytes!("../../testdata/rsa2048.pem");
        let key = DecryptionKey::from_pem(algorithm, None, pem).unwrap();
        for enc in ContentEncryption::ALL {
            let good = key.encryption_key().unwrap().encrypt_jwt(enc, TOKEN).unwrap();
            let bad = with_part(&good, 1, |_| row["encrypted_key"].as_str().unwrap().to_owned());
            let refused = EncryptedTokens::with([key.clone()]).open(&bad).unwrap_err();
            answers.insert(format!("{refused:?}"));
        }
        // The file is what it says it is: what has no fault in its padding comes out.
        let wrapped = base64url::decode(row["encrypted_key"].as_str().unwrap().as_bytes()).unwrap();
        let comes_out = key.content_key(&wrapped, None, A256Gcm).map(|key| key.len());
        let expected = match row["fault"].as_str().unwrap() {
            "an empty content key" => Some(0),
            "a content key of 16 bytes" => Some(16),
            "another content key of 32 bytes" => Some(32),
            "a content key of 64 bytes" => Some(64),
            _ => None,
        };
        assert_eq!(comes_out, expected, "{row}");
    }
    assert_eq!(faults.len(), 16);
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers.first().unwrap().starts_with("Locked"), "{answers:?}");
}

#[test]
fn a_content_key_of_another_length_and_one_for_another_enc_open_nothing() {
    let server = Server::new();
    // The header says another `enc` than the one it was encrypted by, with the tag made for that header.
    for (enc, said) in [(A128Gcm, "A256GCM"), (A256Gcm, "A128GCM")] {
        let token = server.sealed("rsa", enc, &json!({"enc": said}));
        assert!(matches!(server.tokens.open(&token), Err(NotOpened::Locked(_))), "{enc} as {said}");
        let token = server.sealed("p256", enc, &json!({"enc": said}));
        assert!(matches!(server.tokens.open(&token), Err(NotOpened::Locked(_))), "{enc} as {said}");
    }
    // The wrapped key is for SHA-1, the header says SHA-256, and the other way round; and the secret of another enc.
    for (kid, enc, more) in [
        ("rsa-sha1", A256Gcm, json!({"alg": "RSA-OAEP-256", "kid": null})),
        ("rsa", A256Gcm, json!({"alg": "RSA-OAEP", "kid": null})),
        ("A256GCM", A256Gcm, json!({"enc": "A128CBC-HS256", "kid": null})),
        ("A128CBC-HS256", A128CbcHs256, json!({"enc": "A256GCM", "kid": null})),
    ] {
        assert!(server.tokens.open(&server.sealed(kid, enc, &more)).is_err(), "{kid} {more}");
    }
}

#[test]
fn what_is_not_agreed_is_refused_before_a_key_is_used() {
    let server = Server::new();
    // None of these has a key that fits: were one used, the answer would be another.
    let cases = [
        ("RSA1_5", json!({"alg": "RSA1_5"})),
        ("PBES2 with a million rounds", json!({"alg": "PBES2-HS256+A128KW", "p2c": 1_000_000_000, "p2s": "AAAA"})),
        ("key wrapping", json!({"alg": "A128KW"})),
        ("key wrapping by GCM", json!({"alg": "A128GCMKW", "iv": "AAAA", "tag": "AAAA"})),
        ("agreement with key wrapping", json!({"alg": "ECDH-ES+A128KW"})),
        ("none", json!({"alg": "none"})),
        ("a signature algorithm", json!({"alg": "RS256"})),
        ("HS256, with the public key as its secret", json!({"alg": "HS256"})),
        ("alg in another case", json!({"alg": "rsa-oaep-256"})),
        ("enc in another case", json!({"enc": "a256gcm"})),
        ("192 bits", json!({"enc": "A192GCM"})),
        ("an unknown enc", json!({"enc": "A256CBC"})),
        ("ChaCha20", json!({"enc": "C20P"})),
        ("compression", json!({"zip": "DEF"})),
        ("compression by an unknown name", json!({"zip": "none"})),
        ("no cty", json!({"cty": null})),
        ("another cty", json!({"cty": "text/plain"})),
        ("the cty of another JWT", json!({"cty": "logout+jwt"})),
        ("a cty with a parameter", json!({"cty": "JWT;x=1"})),
        ("an empty cty", json!({"cty": ""})),
        ("an unknown kid", json!({"kid": "nobody"})),
    ];
    for (name, more) in cases {
        for (kid, enc) in [("rsa", A256Gcm), ("p256", A256Gcm), ("A256GCM", A256Gcm)] {
            let refused = server.tokens.open(&server.sealed(kid, enc, &more)).unwrap_err();
            assert!(matches!(refused, NotOpened::Locked(why) if !why.contains("opens")), "{name}: {refused:?}");
        }
    }
}

#[test]
fn content_is_named_as_issuers_name_it() {
    let server = Server::new();
    for cty in ["JWT", "jwt", "application/jwt", "at+jwt", "application/at+jwt", "AT+JWT"] {
        let token = server.sealed("p256", A256Gcm, &json!({ "cty": cty }));
        assert_eq!(server.tokens.open(&token).as_deref(), Ok(TOKEN), "{cty}");
    }
}

#[test]
fn what_is_no_sound_encrypted_token_is_malformed() {
    let server = Server::new();
    let with = |more: Value| server.sealed("p256", A256Gcm, &more);
    let good = with(json!({}));
    let rsa = server.sealed("rsa", A128CbcHs256, &json!({}));
    let raw = |header: &str| with_part(&good, 0, |_| base64url::encode(header.as_bytes()));
    let x = |point: Value| with(json!({ "epk": point }));
    let n32 = base64url::encode(&[1; 32]);
    let nested = format!(r#"{{"alg":"dir","enc":"A256GCM","cty":"JWT","x":{}1{}}}"#, "[".repeat(900), "]".repeat(900));
    for (name, token) in [
        ("four parts", good.rsplit_once('.').unwrap().0.to_owned()),
        ("six parts", format!("{good}.")),
        ("five empty parts", "....".to_owned()),
        ("an empty header", with_part(&good, 0, |_| String::new())),
        ("an empty IV", with_part(&good, 2, |_| String::new())),
        ("an empty ciphertext", with_part(&good, 3, |_| String::new())),
        ("an empty tag", with_part(&good, 4, |_| String::new())),
        (
            "a tag cut by a byte",
            with_part(&good, 4, |tag| base64url::encode(&base64url::decode(tag.as_bytes()).unwrap()[1..])),
        ),
        ("a tag of four bytes", with_part(&good, 4, |_| "AAAAAA".to_owned())),
        (
            "a tag with a byte more",
            with_part(&good, 4, |tag| {
                base64url::encode(&[base64url::decode(tag.as_bytes()).unwrap(), vec![0]].concat())
            }),
        ),
        ("an IV of sixteen bytes for GCM", with_part(&good, 2, |_| base64url::encode(&[0; 16]))),
        ("an IV of twelve bytes for CBC", with_part(&rsa, 2, |_| base64url::encode(&[0; 12]))),
        ("a ciphertext that is no blocks", with_part(&rsa, 3, |_| base64url::encode(&[0; 17]))),
        ("no encrypted key", with_part(&rsa, 1, |_| String::new())),
        ("an encrypted key where none belongs", with_part(&good, 1, |_| "AAAA".to_owned())),
        ("an encrypted key of more than 8192 bits", with_part(&rsa, 1, |_| base64url::encode(&[1; 1025]))),
        ("padding", with_part(&rsa, 1, |key| format!("{key}=="))),
        ("odd bits", with_part(&good, 4, |tag| format!("{}B", &tag[..tag.len() - 1]))),
        ("a blank", with_part(&good, 3, |text| format!(" {text}"))),
        ("a header that is no object", raw("[]")),
        ("a header that is a text", raw("\"dir\"")),
        ("a header twice", raw(r#"{"alg":"dir"}{"enc":"A256GCM"}"#)),
        ("no alg", with(json!({"alg": null}))),
        ("no enc", with(json!({"enc": null}))),
        ("alg as a number", with(json!({"alg": 1}))),
        ("kid as a number", with(json!({"kid": 1}))),
        ("cty as a list", with(json!({"cty": ["JWT"]}))),
        ("alg twice", raw(r#"{"alg":"dir","enc":"A256GCM","cty":"JWT","alg":"RSA1_5"}"#)),
        ("alg twice, escaped once", raw(r#"{"alg":"dir","enc":"A256GCM","cty":"JWT","\u0061lg":"RSA1_5"}"#)),
        ("an unknown member twice", raw(r#"{"alg":"dir","enc":"A256GCM","cty":"JWT","x":1,"x":2}"#)),
        ("more than 32 members", with((0..40).map(|n| (n.to_string(), json!(n))).collect::<Map<_, _>>().into())),
        ("a header of 4 KiB", with(json!({"x": "x".repeat(4000)}))),
        ("a kid of 600 bytes", with(json!({"kid": "k".repeat(600)}))),
        ("crit", with(json!({"crit": ["exp"], "exp": 1}))),
        ("an empty crit", with(json!({"crit": []}))),
        ("crit that is a text", with(json!({"crit": "exp"}))),
        ("no epk", with(json!({"epk": null}))),
        ("epk as a text", x(json!("x"))),
        ("epk of another curve", x(json!({"kty": "EC", "crv": "P-384", "x": n32, "y": n32}))),
        ("epk of another type", x(json!({"kty": "OKP", "crv": "P-256", "x": n32, "y": n32}))),
        ("epk without y", x(json!({"kty": "EC", "crv": "P-256", "x": n32}))),
        ("epk with short coordinates", x(json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}))),
        ("epk with long coordinates", x(json!({"kty": "EC", "crv": "P-256", "x": "A".repeat(44), "y": n32}))),
        ("epk of Ed25519", x(json!({"kty": "OKP", "crv": "Ed25519", "x": n32}))),
        ("apu of 600 characters", with(json!({"apu": "A".repeat(600)}))),
        ("apv that is not base64url", with(json!({"apv": "?"}))),
        ("apv as a number", with(json!({"apv": 1}))),
    ] {
        let refused = server.tokens.open(&token).map(drop);
        assert!(matches!(refused, Err(NotOpened::Malformed(_))), "{name}: {refused:?}");
    }
    // Depth is nothing to this reader: it is refused, or the tag is wrong, and nothing overflows.
    assert!(server.tokens.open(&raw(&nested)).is_err());
    assert!(server.tokens.open(&with(json!({"apu": "QQ", "apv": "Qg"}))).is_ok(), "both parties may be named");
}

#[test]
fn points_off_the_curve_and_secrets_of_zeros_agree_on_nothing() {
    let server = Server::new();
    // Off the curve, the point at infinity, coordinates beyond the field.
    let n = |byte: u8| base64url::encode(&[byte; 32]);
    for point in [
        json!({"kty": "EC", "crv": "P-256", "x": n(1), "y": n(1)}),
        json!({"kty": "EC", "crv": "P-256", "x": n(0), "y": n(0)}),
        json!({"kty": "EC", "crv": "P-256", "x": n(0xff), "y": n(0xff)}),
        // The key is on P-256, the point is on X25519.
        json!({"kty": "OKP", "crv": "X25519", "x": n(9)}),
    ] {
        let token = server.sealed("p256", A256Gcm, &json!({ "epk": point }));
        let refused = server.tokens.open(&token).unwrap_err();
        assert!(matches!(refused, NotOpened::Locked(why) if why.contains("opens")), "{refused:?}");
    }
    // A point of small order makes the secret zero whatever our key is: whoever sends it knows the key of the content.
    let key = derive(&[0; 32], A256Gcm, b"", b"");
    let forged = DecryptionKey::direct(A256Gcm, Some("x25519"), &key).unwrap().encryption_key().unwrap();
    for x in [n(0), {
        let mut one = [0; 32];
        one[0] = 1;
        base64url::encode(&one)
    }] {
        let more = json!({"alg": "ECDH-ES", "epk": {"kty": "OKP", "crv": "X25519", "x": x}});
        let token = forged.encrypt(A256Gcm, more.as_object().unwrap(), TOKEN.as_bytes()).unwrap();
        let refused = server.tokens.open(&token).unwrap_err();
        assert!(matches!(refused, NotOpened::Locked(why) if why.contains("opens")), "{refused:?}");
    }
    // And the very same works where the secret is the one that both agree on: the rows above fail for their points alone.
    let ours = server.keys.iter().find(|key| key.kid() == Some("x25519")).unwrap();
    let theirs = super::super::backend::AgreementPrivate::generate(&PublicPoint::X25519([9; 32])).unwrap();
    let public: PublicPoint = match ours.public_jwk().unwrap()["x"].as_str() {
        Some(x) => PublicPoint::X25519(base64url::decode(x.as_bytes()).unwrap().try_into().unwrap()),
        None => unreachable!(),
    };
    let key = theirs.agree(&public, |secret| derive(secret, A256Gcm, b"", b"")).unwrap();
    let honest = DecryptionKey::direct(A256Gcm, Some("x25519"), &key).unwrap().encryption_key().unwrap();
    let more = json!({"alg": "ECDH-ES", "epk": theirs.public().unwrap().jwk()});
    let token = honest.encrypt(A256Gcm, more.as_object().unwrap(), TOKEN.as_bytes()).unwrap();
    assert_eq!(server.tokens.open(&token).as_deref(), Ok(TOKEN));
}

#[test]
fn only_a_signed_token_may_be_within() {
    let server = Server::new();
    let sealed = |content: &[u8]| server.content("p256", A256Gcm, &json!({}), content);
    let twice = server.sealed("rsa", A256Gcm, &json!({}));
    for (name, content) in [
        ("claims that nobody signed", &br#"{"iss":"https://login.example.com/","sub":"admin"}"#[..]),
        ("nothing", b" "),
        ("two parts", b"a.b"),
        ("four parts", b"a.b.c.d"),
        ("an encrypted token", twice.as_bytes()),
        ("bytes that are no text", b"a.b.\xff"),
    ] {
        let refused = server.tokens.open(&sealed(content)).unwrap_err();
        assert!(matches!(refused, NotOpened::Locked(_)), "{name}: {refused:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(parts in proptest::collection::vec("[A-Za-z0-9_-]{0,40}", 5)) {
        let tokens = EncryptedTokens::with([DecryptionKey::direct(A128Gcm, None, &[7; 16]).unwrap()]);
        proptest::prop_assert!(tokens.open(&parts.join(".")).is_err());
    }

    #[test]
    fn no_changed_letter_of_a_good_token_is_let_through(at in 0_usize..400, to in "[A-Za-z0-9_-]") {
        let key = DecryptionKey::direct(A128CbcHs256, None, &[7; 32]).unwrap();
        let good = key.encryption_key().unwrap().encrypt_jwt(A128CbcHs256, TOKEN).unwrap();
        let at = at % good.len();
        let mut bad = good.clone();
        bad.replace_range(at..=at, &to);
        let opened = EncryptedTokens::with([key]).open(&bad);
        proptest::prop_assert_eq!(opened.is_ok(), bad == good);
    }
}
