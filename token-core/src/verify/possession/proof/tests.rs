//! Proofs that are wrong in one way each: every one is refused, and the refusal says what was expected.

use serde_json::{Value, json};

use super::*;
use crate::jose::signing::SigningKey;
use crate::request::address::Base;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";

fn key(pem: &[u8], algorithm: Algorithm) -> SigningKey {
    SigningKey::from_pem(algorithm, None, pem).unwrap()
}

fn p256() -> SigningKey {
    key(include_bytes!("../../../jose/testdata/p256.pem"), Algorithm::ES256)
}

fn public(key: &SigningKey) -> Value {
    let mut jwk = key.public_jwk().unwrap();
    for extra in ["use", "alg"] {
        jwk.as_object_mut().unwrap().remove(extra);
    }
    jwk
}

fn header(key: &SigningKey) -> Value {
    json!({"typ": "dpop+jwt", "alg": key.algorithm().name(), "jwk": public(key)})
}

fn claims() -> Value {
    json!({
        "jti": "e1j3V_bKic8-LAEB", "htm": "GET", "htu": "https://api.example.com/users", "iat": NOW.as_secs(),
        "ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo",
    })
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    match value {
        Value::Null => drop(object.as_object_mut().unwrap().remove(name)),
        value => object[name] = value,
    }
    object
}

struct Bench {
    keys: PreparedKeys,
    rules: Rules,
    nonces: Option<Nonces>,
    now: Timestamp,
}

impl Bench {
    fn new() -> Self {
        let rules = Rules {
            algorithms: Algorithms::DEFAULT,
            max_age: Duration::from_secs(60),
            max_ahead: Duration::from_secs(10),
        };
        Self { keys: PreparedKeys::default(), rules, nonces: None, now: NOW }
    }

    fn judge(&self, proof: &str, bound_to: &SigningKey) -> Result<Proved, Error> {
        let address = Address {
            base: Base::External(Cow::Owned("https://api.example.com".parse().unwrap())),
            target: "/users?page=2".into(),
        };
        let thumbprint = bound_to.thumbprint().unwrap();
        let token = sha256(TOKEN.as_bytes());
        let wanted = Wanted { key: &thumbprint, method: "GET", address: &address, token: &token, now: self.now };
        judge(proof, &wanted, &self.rules, &self.keys, self.nonces.as_ref())
    }
}

/// What the refusal says of the part.
fn says(verdict: Result<Proved, Error>, what: &str) -> bool {
    verdict.is_err_and(|error| {
        assert_eq!((error.kind(), error.check()), (ErrorKind::InvalidDpopProof, Some(Check::Proof)), "{error}");
        assert!(!error.detail().contains("evil"), "a value of the proof: {error}");
        error.detail().contains(what)
    })
}

#[test]
fn a_good_proof_is_good_again_and_again_as_far_as_a_pure_function_can_tell() {
    let (bench, key) = (Bench::new(), p256());
    let proof = key.sign_jwt(&header(&key).to_string(), &claims().to_string()).unwrap();
    let first = bench.judge(&proof, &key).unwrap();
    assert_eq!(bench.judge(&proof, &key).unwrap(), first, "the second time with a key that is prepared");
    assert!(first.until > NOW.saturating_add(Duration::from_secs(70)));
    let other = key.sign_jwt(&header(&key).to_string(), &with(claims(), "jti", "2".into()).to_string()).unwrap();
    assert_ne!(bench.judge(&other, &key).unwrap().digest, first.digest);
}

#[test]
fn every_part_of_a_proof_that_is_wrong_is_refused_by_name() {
    let (bench, key) = (Bench::new(), p256());
    let other = key_of_another();
    let header = |name: &str, value: Value| with(header(&key), name, value).to_string();
    let good_header = self::header(&key).to_string();
    let claims = |name: &str, value: Value| with(claims(), name, value).to_string();
    let good_claims = self::claims().to_string();
    let jwk = |name: &str, value: Value| header("jwk", with(public(&key), name, value));
    let large = "A".repeat(9000);
    let rsa = |digits: usize| json!({"kty": "RSA", "e": "AQAB", "n": "_".repeat(digits)});
    let twice = |json: &str, member: &str| format!("{{{member},{}", &json[1..]);
    for (header, claims, what) in [
        // The header.
        (header("typ", Value::Null), &good_claims, "typ"),
        (header("typ", "JWT".into()), &good_claims, "typ"),
        (header("typ", "at+jwt".into()), &good_claims, "typ"),
        (header("typ", 7.into()), &good_claims, "header"),
        (header("alg", Value::Null), &good_claims, "alg"),
        (header("alg", "none".into()), &good_claims, "alg"),
        (header("alg", "HS256".into()), &good_claims, "alg"),
        (header("alg", "es256".into()), &good_claims, "alg"),
        (header("alg", "ES384".into()), &good_claims, "alg"),
        (header("alg", "RS512".into()), &good_claims, "alg"),
        (header("jwk", Value::Null), &good_claims, "jwk is missing"),
        (header("jwk", "evil".into()), &good_claims, "header"),
        (header("jwk", json!([])), &good_claims, "header"),
        (header("jwk", json!({"kty": "oct", "k": "AAAA"})), &good_claims, "public key"),
        (header("jwk", rsa(1000)), &good_claims, "4096 bits"),
        (header("jwk", rsa(689)), &good_claims, "4096 bits"),
        (header("jwk", rsa(688)), &good_claims, "another key"),
        (header("jwk", public(&other)), &good_claims, "another key"),
        (jwk("d", "AA".into()), &good_claims, "public key"),
        (jwk("k", "AA".into()), &good_claims, "public key"),
        (jwk("crv", "P-384".into()), &good_claims, "another key"),
        (jwk("x", 7.into()), &good_claims, "jwk"),
        (jwk("kty", "evil".into()), &good_claims, "jwk"),
        (jwk("use", "enc".into()), &good_claims, "jwk"),
        (jwk("alg", "ES384".into()), &good_claims, "jwk"),
        (header("crit", json!(["exp"])), &good_claims, "extension"),
        (header("crit", json!([])), &good_claims, "extension"),
        (header("b64", false.into()), &good_claims, "extension"),
        (header("zip", "DEF".into()), &good_claims, "extension"),
        (header("enc", "A256GCM".into()), &good_claims, "extension"),
        (twice(&good_header, r#""alg":"ES256""#), &good_claims, "header"),
        (good_header.replace(r#""kty":"#, r#""kty":"EC","kty":"#), &good_claims, "header"),
        (format!("[{good_header}]"), &good_claims, "header"),
        ("{}".to_owned(), &good_claims, "typ"),
        (String::new(), &good_claims, "header"),
        // The claims.
        (good_header.clone(), &claims("jti", Value::Null), "jti"),
        (good_header.clone(), &claims("jti", "".into()), "jti"),
        (good_header.clone(), &claims("jti", 7.into()), "claims"),
        (good_header.clone(), &claims("jti", "evil".repeat(200).into()), "jti"),
        (good_header.clone(), &claims("jti", "j".repeat(513).into()), "jti"),
        (good_header.clone(), &claims("htm", Value::Null), "htm"),
        (good_header.clone(), &claims("htm", "POST".into()), "htm"),
        (good_header.clone(), &claims("htm", "get".into()), "case-sensitive"),
        (good_header.clone(), &claims("htm", json!(["GET"])), "claims"),
        (good_header.clone(), &claims("htu", Value::Null), "htu"),
        (good_header.clone(), &claims("htu", 7.into()), "claims"),
        (good_header.clone(), &claims("htu", "/users".into()), "htu"),
        (good_header.clone(), &claims("htu", "https://evil.example/users".into()), "host"),
        (good_header.clone(), &claims("htu", "http://api.example.com/users".into()), "scheme"),
        (good_header.clone(), &claims("htu", "https://api.example.com:444/users".into()), "port"),
        (good_header.clone(), &claims("htu", "https://api.example.com/evil".into()), "path"),
        (good_header.clone(), &claims("iat", Value::Null), "iat"),
        (good_header.clone(), &claims("iat", "1800000000".into()), "claims"),
        (good_header.clone(), &claims("iat", (-1).into()), "claims"),
        (good_header.clone(), &claims("iat", json!(1e300)), "claims"),
        (good_header.clone(), &claims("ath", Value::Null), "ath"),
        (good_header.clone(), &claims("ath", "".into()), "ath"),
        (good_header.clone(), &claims("ath", "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I".into()), "ath"),
        (good_header.clone(), &claims("ath", "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo=".into()), "ath"),
        (good_header.clone(), &twice(&good_claims, r#""jti":"1""#), "claims"),
        (good_header.clone(), &twice(&good_claims, r#""ath":null"#), "claims"),
        (good_header.clone(), &format!("[{good_claims}]"), "claims"),
        (
            good_header.clone(),
            &r#"["j","GET","https://api.example.com/users",1800000000,"a",null]"#.to_owned(),
            "claims",
        ),
        (good_header.clone(), &String::new(), "claims"),
        (good_header.clone(), &claims("more", large.into()), "8192 bytes"),
    ] {
        let proof = key.sign_jwt(&header, claims).unwrap();
        let verdict = bench.judge(&proof, &key);
        assert!(says(verdict.clone(), what), "{header:.200} {claims:.200}: {verdict:?} says nothing of {what}");
    }
    assert!(bench.judge(&key.sign_jwt(&good_header, &good_claims).unwrap(), &key).is_ok(), "and the good one passes");
}

#[test]
fn the_longest_proof_and_the_longest_name_are_good_ones() {
    let (bench, key) = (Bench::new(), p256());
    let claims = with(claims(), "jti", "j".repeat(LONGEST_JTI).into());
    let proof = |more: usize, odd: usize| {
        let header = with(header(&key), "odd", "x".repeat(odd).into()).to_string();
        key.sign_jwt(&header, &with(claims.clone(), "more", "x".repeat(more).into()).to_string()).unwrap()
    };
    // Not every length can be had by the claims alone: base64url leaves one of four out.
    let of_length = |length: usize| {
        let sizes = (0..3).flat_map(|odd| (5000..6000).map(move |more| (more, odd)));
        let encoded = |json: usize| (json * 4).div_ceil(3);
        let (header, claims) = (header(&key).to_string().len() + 9, claims.to_string().len() + 10);
        let fits = |(more, odd): &(usize, usize)| encoded(header + odd) + encoded(claims + more) + 86 + 2 == length;
        sizes.into_iter().find(fits).map(|(more, odd)| proof(more, odd)).expect("some length of the two")
    };
    let longest = of_length(LONGEST);
    assert_eq!(longest.len(), LONGEST);
    bench.judge(&longest, &key).unwrap();
    assert!(says(bench.judge(&of_length(LONGEST + 1), &key), "8192 bytes"));
}

#[test]
fn each_name_and_each_key_is_remembered_by_a_digest_of_its_own() {
    let (bench, key, other) = (Bench::new(), p256(), key_of_another());
    let last = |end: char| format!("{}{end}", "j".repeat(LONGEST_JTI - 1));
    let names = ["1", "2", "12", "21", "1\u{0}", "\u{0}1", "0123456789abcdef", "0123456789abcdeg", "1123456789abcdef"]
        .map(str::to_owned);
    let mut digests = std::collections::BTreeSet::new();
    let names: Vec<_> = names.into_iter().chain([last('1'), last('2'), "j".repeat(32), "j".repeat(33)]).collect();
    for name in &names {
        for key in [&key, &other] {
            let claims = with(claims(), "jti", name.as_str().into()).to_string();
            let proved = bench.judge(&key.sign_jwt(&header(key).to_string(), &claims).unwrap(), key).unwrap();
            assert!(digests.insert(proved.digest), "{name:.20} of {} bytes is like another", name.len());
        }
    }
    assert_eq!(digests.len(), 2 * names.len());
}

#[test]
fn the_method_is_repeated_to_the_operator_where_it_is_a_short_word() {
    for (method, expected) in [
        ("GET", "GET"),
        (&*"M".repeat(32), &*"M".repeat(32)),
        (&*"M".repeat(33), "as sent"),
        ("G T", "as sent"),
        ("G\u{202e}T", "as sent"),
        ("G\nT", "as sent"),
    ] {
        assert_eq!(printable(method), expected, "{method:?}");
    }
    let (bench, key) = (Bench::new(), p256());
    let proof = key.sign_jwt(&header(&key).to_string(), &with(claims(), "htm", "POST".into()).to_string()).unwrap();
    assert!(says(bench.judge(&proof, &key), "the method of the request, GET"));
}

fn key_of_another() -> SigningKey {
    key(include_bytes!("../../../jose/testdata/ed25519.pem"), Algorithm::EdDSA)
}

#[test]
fn a_proof_that_is_no_signed_jwt_of_the_key_is_refused() {
    let (bench, key) = (Bench::new(), p256());
    let good = key.sign_jwt(&header(&key).to_string(), &claims().to_string()).unwrap();
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let zeros = crate::jose::base64url::encode(&[0; 64]);
    for prepared in [false, true] {
        for (proof, what) in [
            (String::new(), "three parts"),
            ("a.b".into(), "three parts"),
            (format!("{good}.x"), "three parts"),
            (format!("{signed}."), "signature"),
            (format!("{signed}.{zeros}"), "signature"),
            (format!("{signed}.{}", &signature[4..]), "signature"),
            (format!("{good}="), "signature"),
            (good.replacen('.', "=.", 1), "header"),
            (format!("{good} "), "signature"),
        ] {
            let verdict = bench.judge(&proof, &key);
            assert!(says(verdict.clone(), what), "{proof:.60} {prepared}: {verdict:?}");
        }
        assert!(bench.judge(&good, &key).is_ok());
    }
    let stranger = key_of_another();
    assert!(says(bench.judge(&good, &stranger), "another key"), "good, but the token is bound to another key");
    let forged = stranger.sign_jwt(&header(&stranger).to_string(), &claims().to_string()).unwrap();
    assert!(says(bench.judge(&forged, &key), "another key"));
}

#[test]
fn clocks_may_differ_by_the_window_and_no_more() {
    let key = p256();
    for (age, fraction, good) in [
        (0, 0.0, true),
        (60, 0.0, true),
        (59, 0.5, true),
        (61, 0.0, false),
        (-10, 0.0, true),
        (-11, 0.0, false),
        (86_400, 0.0, false),
    ] {
        let iat = NOW.as_secs() as f64 - f64::from(age) - fraction;
        let proof = key.sign_jwt(&header(&key).to_string(), &with(claims(), "iat", json!(iat)).to_string()).unwrap();
        let verdict = Bench::new().judge(&proof, &key);
        assert_eq!(verdict.is_ok(), good, "{age}: {verdict:?}");
        assert!(good || says(verdict, "60 s back and 10 s ahead"), "{age}");
        let wide = Bench { rules: Rules { max_age: Duration::from_secs(300), ..Bench::new().rules }, ..Bench::new() };
        assert_eq!(wide.judge(&proof, &key).is_ok(), (-10..=300).contains(&age), "{age}");
    }
}

#[test]
fn what_clients_write_besides_does_not_matter() {
    let key = p256();
    let header = with(header(&key), "typ", "application/DPoP+JWT".into());
    let jwk = with(with(with(public(&key), "kid", "1".into()), "use", "sig".into()), "alg", "ES256".into());
    let header = with(header, "jwk", jwk);
    let header = with(header, "kid", "x".into()).to_string();
    let claims = with(with(claims(), "exp", 1.into()), "nonce", "of another server".into());
    let claims = with(claims, "htu", "https://API.example.com:443/users?page=2".into()).to_string();
    // Some encoders escape slashes.
    let claims = claims.replace('/', "\\/");
    assert!(Bench::new().judge(&key.sign_jwt(&header, &claims).unwrap(), &key).is_ok());
}

#[test]
fn every_algorithm_of_the_list_proves_and_its_two_names_are_one() {
    for (pem, algorithm) in [
        (&include_bytes!("../../../jose/testdata/p256.pem")[..], Algorithm::ES256),
        (include_bytes!("../../../jose/testdata/p384.pem"), Algorithm::ES384),
        (include_bytes!("../../../jose/testdata/ed25519.pem"), Algorithm::EdDSA),
        (include_bytes!("../../../jose/testdata/rsa2048.pem"), Algorithm::RS256),
        (include_bytes!("../../../jose/testdata/rsa2048.pem"), Algorithm::PS256),
    ] {
        let (bench, key) = (Bench::new(), key(pem, algorithm));
        let proof = key.sign_jwt(&header(&key).to_string(), &claims().to_string()).unwrap();
        assert!(bench.judge(&proof, &key).is_ok(), "{algorithm}");
        if algorithm == Algorithm::EdDSA {
            let header = with(header(&key), "alg", "Ed25519".into()).to_string();
            assert!(bench.judge(&key.sign_jwt(&header, &claims().to_string()).unwrap(), &key).is_ok());
        }
        let fewer =
            Bench { rules: Rules { algorithms: Algorithms::DEFAULT.remove(algorithm), ..bench.rules }, ..bench };
        assert!(says(fewer.judge(&proof, &key), "alg"), "{algorithm}, by a key that is prepared");
    }
}

#[test]
fn one_key_may_sign_with_more_than_one_algorithm() {
    let bench = Bench::new();
    let pem = include_bytes!("../../../jose/testdata/rsa2048.pem");
    for algorithm in [Algorithm::RS256, Algorithm::PS256, Algorithm::RS256] {
        let key = key(pem, algorithm);
        let proof = key.sign_jwt(&header(&key).to_string(), &claims().to_string()).unwrap();
        assert!(bench.judge(&proof, &key).is_ok(), "{algorithm}");
    }
}

#[test]
fn a_header_too_long_to_keep_is_judged_each_time_and_stands_for_no_other() {
    let (bench, key) = (Bench::new(), p256());
    let long = with(header(&key), "note", "x".repeat(3000).into());
    let proof = |header: &Value| key.sign_jwt(&header.to_string(), &claims().to_string()).unwrap();
    for _ in 0..2 {
        bench.judge(&proof(&long), &key).unwrap();
        assert!(says(bench.judge(&proof(&with(long.clone(), "typ", "JWT".into())), &key), "typ"));
        let claims = crate::jose::base64url::encode(claims().to_string().as_bytes());
        let signature = crate::jose::base64url::encode(&key.sign(format!(".{claims}").as_bytes()).unwrap());
        assert!(says(bench.judge(&format!(".{claims}.{signature}"), &key), "the header"));
    }
    bench.judge(&proof(&header(&key)), &key).unwrap();
}

#[test]
fn a_nonce_is_asked_for_when_nothing_else_is_wrong() {
    use crate::answer::challenge::FreshNonce as _;
    use crate::base::time::{Clock as _, SystemClock};
    use crate::verify::possession::nonce::NonceKeys;
    let nonces = Nonces::new(NonceKeys::new(&[7; 32]).unwrap(), Arc::new(SystemClock));
    let nonce = nonces.fresh().unwrap();
    let now = SystemClock.now();
    let bench = Bench { nonces: Some(nonces), now, ..Bench::new() };
    let key = p256();
    let judge = |nonce: Value, method: &str| {
        let claims = with(with(with(claims(), "iat", now.as_secs().into()), "nonce", nonce), "htm", method.into());
        bench.judge(&key.sign_jwt(&header(&key).to_string(), &claims.to_string()).unwrap(), &key)
    };
    assert!(judge(nonce.clone().into(), "GET").is_ok());
    for (nonce, method, kind) in [
        (Value::Null, "GET", ErrorKind::DpopNonceRequired),
        ("".into(), "GET", ErrorKind::DpopNonceRequired),
        ("of another server".into(), "GET", ErrorKind::DpopNonceRequired),
        (Value::Null, "POST", ErrorKind::InvalidDpopProof),
        (nonce.into(), "POST", ErrorKind::InvalidDpopProof),
        (7.into(), "GET", ErrorKind::InvalidDpopProof),
    ] {
        assert_eq!(judge(nonce.clone(), method).unwrap_err().kind(), kind, "{nonce} {method}");
    }
}
