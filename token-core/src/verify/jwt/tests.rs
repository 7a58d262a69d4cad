//! The small decisions on a JWT's road, each where the other way would go unnoticed further on: padding, parts, and what a key has said already.

use serde_json::json;

use super::{Asked, Hurdle, choose, decode_claims, signed_by, split, stranger, trim};
use crate::answer::error::ErrorKind;
use crate::claims;
use crate::gate::server::ResourceServer;
use crate::jose::Algorithm;
use crate::jose::base64url::encode;
use crate::jose::jwk_set::{KeySet, Origin};
use crate::jose::signing::SigningKey;
use crate::trust::issuer::Issuer;
use crate::trust::registry::Registry;
use crate::trust::static_keys::StaticKeys;

pub(super) const AUDIENCE: &str = "https://api.example";
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
        assert_eq!(split(token.as_bytes()).unwrap().has_padding(), padded, "{token}");
    }
}

/// Those who are trusted by a server with these settings.
pub(super) fn registry(issuers: impl IntoIterator<Item = Issuer>) -> Registry {
    let server = issuers.into_iter().fold(ResourceServer::builder(AUDIENCE), |server, issuer| server.trust(issuer));
    Registry::clone(&server.build().unwrap().0.registry.load())
}

fn secret(algorithm: Algorithm) -> StaticKeys {
    StaticKeys::secret(algorithm, &[7; 64]).unwrap()
}

#[test]
fn padded_claims_are_read_only_where_somebody_is_known_to_pad() {
    let issuer = || Issuer::with_keys("https://issuer.example", secret(Algorithm::HS256)).unwrap();
    let (strict, lenient) = (registry([issuer()]), registry([issuer().accept_padding()]));
    // "{}" is padded by one sign.
    for (token, by_the_strict, by_the_lenient) in [
        ("e30.e30.YQ", Some(false), Some(false)),
        ("e30.e30.YQ==", Some(false), Some(true)),
        ("e30=.e30.YQ", Some(false), Some(true)),
        ("e30.e30=.YQ", None, Some(true)),
        ("e30.e30==.YQ", None, None),
        ("e30.e3.YQ=", None, None),
        ("e30.!.YQ", None, None),
        ("e30._w.YQ", None, None),
        ("e30._w==.YQ", None, None),
    ] {
        for (registry, expected) in [(&strict, by_the_strict), (&lenient, by_the_lenient)] {
            let parts = split(token.as_bytes()).unwrap();
            let seen = decode_claims(&parts, None, registry, 0).ok();
            assert_eq!(seen, expected.map(|padded| ("{}".to_owned(), padded)), "{token}");
        }
    }
    let before = decode_claims(&split(b"e30.e30.YQ").unwrap(), Some(b"[]".to_vec()), &strict, 0).unwrap();
    assert_eq!(before, ("[]".to_owned(), false), "what was decoded before is not decoded again");
}

#[test]
fn of_several_entries_of_a_name_the_audience_picks_one_and_then_the_algorithm() {
    let entry = |audience: &str, algorithm| {
        Issuer::with_keys("https://issuer.example", secret(algorithm)).unwrap().audience(audience)
    };
    let registry = registry([
        entry("https://a.example", Algorithm::HS256),
        entry("https://a.example", Algorithm::HS384),
        entry("https://b.example", Algorithm::HS512),
    ]);
    for (algorithm, audience, expected) in [
        ("HS256", "https://a.example", "https://a.example HS256"),
        ("HS384", "https://a.example", "https://a.example HS384"),
        ("HS512", "https://b.example", "https://b.example HS512"),
        // Its refusal is then about the algorithm, and not about the audience.
        ("HS512", "https://a.example", "https://a.example"),
        ("HS256", "https://b.example", "https://b.example"),
    ] {
        let header = encode(format!(r#"{{"alg":"{algorithm}"}}"#).as_bytes());
        let json = json!({"iss": "https://issuer.example", "aud": audience}).to_string();
        let token = format!("{header}.{}.", encode(json.as_bytes()));
        let (text, claims) = claims::parse(json, "").unwrap();
        let several = registry.candidates(&text, &claims);
        assert_eq!(several.len(), 3);
        let chosen = choose(several, &split(token.as_bytes()).unwrap(), &text, &claims).unwrap();
        let seen = format!("{:?} {:?}", chosen.accepts.access, chosen.algorithms);
        assert!(expected.split(' ').all(|part| seen.contains(part)), "{algorithm} for {audience}: {seen}");
    }
}

#[test]
fn who_is_not_in_the_registry_is_told_apart_from_who_says_no_name() {
    let known = Issuer::with_keys("https://issuer.example", secret(Algorithm::HS256)).unwrap();
    let without = Issuer::nameless("management", "https://manage.example", secret(Algorithm::HS256)).unwrap();
    let (named, nameless) = (registry([known]), registry([without]));
    for (registry, json, expected) in [
        (&named, json!({"iss": "https://other.example"}), None),
        (&nameless, json!({"iss": "https://other.example"}), None),
        (&named, json!({"aud": "https://other.example"}), Some(ErrorKind::ClaimsMismatch)),
        (&nameless, json!({"aud": "https://other.example"}), Some(ErrorKind::UnknownIssuer)),
    ] {
        let (text, claims) = claims::parse(json.to_string(), "").unwrap();
        let seen = match stranger(registry, &text, &claims) {
            Hurdle::Stranger(name) => {
                assert_eq!(&*name, "https://other.example");
                None
            }
            Hurdle::Refused(error) => Some(error.kind()),
            _ => panic!("{json}: a key is of no use"),
        };
        assert_eq!(seen, expected, "{json}");
    }
}

#[test]
fn the_algorithm_of_a_token_is_what_its_header_says() {
    let header = encode(br#"{"alg":"ES384"}"#);
    for (token, expected) in [
        (format!("{header}.e30.YQ"), Some(Algorithm::ES384)),
        (header, Some(Algorithm::ES384)),
        ("e30.e30.YQ".to_owned(), None),
        (String::new(), None),
    ] {
        assert_eq!(super::algorithm(&token), expected, "{token}");
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
        assert_eq!(split(token.as_bytes()).err().map(|error| error.kind()), Some(expected), "{token}");
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
    assert!(keys.remembered(split(token.as_bytes()).unwrap().header).is_some());
    (keys, token)
}

fn signs(keys: &KeySet, token: &str, asked: Option<Asked>) -> bool {
    signed_by(&split(token.as_bytes()).unwrap(), keys, asked, |_, _| Ok(())).is_ok()
}

#[test]
fn what_a_key_has_said_counts_for_that_key_and_that_algorithm_alone() {
    let (keys, token) = stage();
    let forged = format!("{}.{}", token.rsplit_once('.').unwrap().0, "A".repeat(43));
    let key = |kid: &str| {
        let header = format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#);
        let secret = if kid == "1" { ONE } else { TWO };
        let signed = SigningKey::from_secret(Algorithm::HS256, None, secret).unwrap().sign_jwt(&header, "{}").unwrap();
        signed_by(&split(signed.as_bytes()).unwrap(), &keys, None, |_, _| Ok(()))
            .unwrap_or_else(|_| panic!("a key named {kid}"))
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
