//! The small decisions on a JWT's road, each where the other way would go unnoticed further on: padding, parts, and what a key has said already.

use serde_json::json;

use super::{Asked, signed_by, split, trim};
use crate::answer::error::ErrorKind;
use crate::jose::Algorithm;
use crate::jose::jwk_set::{KeySet, Origin};
use crate::jose::signing::SigningKey;

const ONE: &[u8] = b"the secret of the first key, of more than thirty-two bytes";
const TWO: &[u8] = b"the secret of the second key, of more than thirty-two bytes";

#[test]
fn padding_is_taken_off_where_it_is_whole_and_nowhere_else() {
    for (part, expected) in [
        ("YWJj", "YWJj"),
        ("YWI=", "YWI"),
        ("YQ==", "YQ"),
        ("YQ", "YQ"),
        ("YQ=", "YQ="),
        ("Y===", "Y==="),
        ("====", "===="),
        ("YWJjYQ==", "YWJjYQ"),
        ("", ""),
    ] {
        assert_eq!(trim(part.as_bytes()), expected.as_bytes(), "{part}");
    }
    for (token, padded) in [("a.b.c", false), ("a=.b.c", true), ("a.b=.c", true), ("a.b.c=", true), ("=a.=b.=c", false)]
    {
        assert_eq!(split(token).unwrap().has_padding(), padded, "{token}");
    }
}

#[test]
fn five_parts_are_an_encrypted_token_and_any_other_number_is_none() {
    for (token, expected) in [
        ("a.b.c.d.e", ErrorKind::WrongType),
        ("a.b.c.d", ErrorKind::Malformed),
        ("a.b.c.d.e.f", ErrorKind::Malformed),
        ("a.b.c.d.e.f.g", ErrorKind::Malformed),
        ("a.b", ErrorKind::Malformed),
    ] {
        assert_eq!(split(token).err().map(|error| error.kind()), Some(expected), "{token}");
    }
}

/// Two keys, and a token that the first has signed, whose header is remembered from here on.
fn stage() -> (KeySet, String) {
    use base64::Engine as _;
    let encoded = |secret: &[u8]| base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(secret);
    let keys = json!({"keys": [{"kty": "oct", "kid": "1", "alg": "HS256", "k": encoded(ONE)}, {"kty": "oct", "kid": "2", "alg": "HS256", "k": encoded(TWO)}]});
    let keys = KeySet::parse(keys.to_string().as_bytes(), Origin::Given).unwrap();
    let signer = SigningKey::from_secret(Algorithm::HS256, Some("1"), ONE).unwrap();
    let token = signer.sign_jwt(r#"{"alg":"HS256","kid":"1"}"#, r#"{"sub":"ada"}"#).unwrap();
    assert!(signs(&keys, &token, None));
    assert!(keys.remembered(split(&token).unwrap().header).is_some());
    (keys, token)
}

fn signs(keys: &KeySet, token: &str, asked: Option<Asked>) -> bool {
    signed_by(&split(token).unwrap(), keys, asked, |_, _| Ok(())).is_ok()
}

#[test]
fn what_a_key_has_said_counts_for_that_key_and_that_algorithm_alone() {
    let (keys, token) = stage();
    let forged = format!("{}.{}", token.rsplit_once('.').unwrap().0, "A".repeat(43));
    let key = |kid: &str| {
        let header = format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#);
        let secret = if kid == "1" { ONE } else { TWO };
        let signed = SigningKey::from_secret(Algorithm::HS256, None, secret).unwrap().sign_jwt(&header, "{}").unwrap();
        signed_by(&split(&signed).unwrap(), &keys, None, |_, _| Ok(())).unwrap_or_else(|_| panic!("a key named {kid}"))
    };
    let said = |kid, algorithm, good| Some(Asked { key: key(kid), algorithm, good });
    assert!(!signs(&keys, &forged, None));
    // Another key, or this one with another algorithm, has said yes: it is asked all the same.
    assert!(!signs(&keys, &forged, said("2", Algorithm::HS256, true)));
    assert!(!signs(&keys, &forged, said("1", Algorithm::HS512, true)));
    assert!(!signs(&keys, &forged, said("2", Algorithm::HS512, true)));
    assert!(signs(&keys, &token, said("2", Algorithm::HS256, false)));
    // What this very key has said is not asked a second time.
    assert!(!signs(&keys, &token, said("1", Algorithm::HS256, false)));
    assert!(signs(&keys, &forged, said("1", Algorithm::HS256, true)));
}
