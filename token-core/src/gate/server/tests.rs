mod demands;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::answer::error::{Error, ErrorKind};
use crate::base::time::Timestamp;
use crate::base::time::hands::Hands;
use crate::gate::builder::ResourceServerBuilder;
use crate::gate::server::ResourceServer;
use crate::jose::signing::SigningKey;
use crate::jose::{Algorithm, Algorithms};
use crate::request::presented::Presented;
use crate::stores::TokenCacheSettings;
use crate::token::audience::Audience;
use crate::trust::issuer::Issuer;
use crate::trust::static_keys::StaticKeys;
use crate::verify::verified::Verified;

pub(crate) const SECRET: &[u8] = b"a secret of more than sixty-four bytes, long enough for HS512 as well";
pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const AUDIENCE: &str = "https://api.example";
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) struct Gate {
    pub(crate) api: ResourceServer,
    pub(crate) clock: Hands,
}

impl Gate {
    pub(crate) fn new(settings: TokenCacheSettings) -> Self {
        Self::of(issuer(), settings)
    }

    fn of(issuer: Issuer, settings: TokenCacheSettings) -> Self {
        Self::with(issuer, |builder| builder.token_cache(settings))
    }

    pub(crate) fn with(issuer: Issuer, more: impl FnOnce(ResourceServerBuilder) -> ResourceServerBuilder) -> Self {
        let clock = Hands::at(NOW);
        let api = more(ResourceServer::builder(AUDIENCE).trust(issuer)).clock(clock.clone());
        Self { api: api.build().unwrap(), clock }
    }

    pub(crate) fn ask(&self, token: &str) -> Result<Verified, Error> {
        self.api.authenticate(Presented::token(token)).now().expect("nothing to wait for")
    }

    pub(crate) fn kind(&self, token: &str) -> ErrorKind {
        self.ask(token).expect_err("a refusal").kind()
    }
}

pub(crate) fn issuer() -> Issuer {
    Issuer::with_keys(ISSUER, StaticKeys::secret(Algorithm::HS256, SECRET).unwrap()).unwrap()
}

pub(crate) fn claims(more: Value) -> Value {
    let mut claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": NOW + 600, "scope": "a b"});
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

pub(crate) fn sign(header: &Value, claims: &Value) -> String {
    let key = SigningKey::from_secret(Algorithm::HS256, None, SECRET).unwrap();
    key.sign_jwt(&header.to_string(), &claims.to_string()).unwrap()
}

pub(crate) fn token(more: Value) -> String {
    sign(&json!({"alg": "HS256", "typ": "at+jwt"}), &claims(more))
}

#[test]
fn what_comes_out_is_what_the_issuer_signed() {
    let gate = Gate::new(TokenCacheSettings::default());
    let text = token(json!({"client_id": "app", "jti": "7"}));
    for temperature in ["cold", "warm"] {
        let verified = gate.ask(&text).unwrap();
        assert_eq!(verified.subject(), Some("ada"), "{temperature}");
        assert_eq!(verified.issuer(), ISSUER);
        assert_eq!(verified.client_id(), Some("app"));
        assert_eq!(verified.token_id(), Some("7"));
        assert_eq!(verified.audience().collect::<Vec<_>>(), [AUDIENCE]);
        assert_eq!(verified.scopes().iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(verified.expires_at(), Some(Timestamp::from_secs(NOW + 600)));
        assert_eq!(verified.token(), Some(text.as_str()));
        assert_eq!(verified.claims::<Value>().unwrap()["sub"], "ada");
    }
}

#[test]
fn a_warm_token_shares_the_parsed_claims_of_the_cold_one() {
    let gate = Gate::new(TokenCacheSettings::default());
    let text = token(json!({}));
    let cold = gate.ask(&text).unwrap().claims::<Value>().unwrap();
    let warm = gate.ask(&text).unwrap().claims::<Value>().unwrap();
    assert!(Arc::ptr_eq(&cold, &warm));
}

#[test]
fn a_warm_token_is_judged_again_on_each_use() {
    for settings in [TokenCacheSettings::default(), TokenCacheSettings::default().keep_digests()] {
        let gate = Gate::new(settings);
        let text = token(json!({}));
        assert!(gate.ask(&text).is_ok());
        gate.clock.set(NOW + 629);
        assert!(gate.ask(&text).is_ok(), "within the leeway");
        gate.clock.set(NOW + 630);
        assert_eq!(gate.kind(&text), ErrorKind::Expired);
        gate.clock.set(NOW);
        assert!(gate.ask(&text).is_ok(), "a refusal is not remembered");
    }
}

#[test]
fn a_token_that_differs_in_one_byte_never_meets_the_verdict_of_another() {
    let gate = Gate::new(TokenCacheSettings::default());
    let text = token(json!({}));
    gate.ask(&text).unwrap();
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert!(gate.ask(std::str::from_utf8(&bytes).unwrap()).is_err(), "byte {at}");
    }
}

#[test]
fn no_token_stays_in_memory_where_digests_are_kept() {
    let gate = Gate::new(TokenCacheSettings::default().keep_digests());
    let text = token(json!({}));
    for _ in 0..2 {
        assert_eq!(gate.ask(&text).unwrap().token(), None);
    }
}

#[test]
fn the_cache_keeps_within_its_bounds_under_a_flood_of_good_tokens() {
    let settings = TokenCacheSettings::default().entries(64).bytes(20_000);
    let gate = Gate::new(settings);
    for n in 0..500 {
        gate.ask(&token(json!({"jti": n.to_string()}))).unwrap();
        let (entries, bytes) = gate.api.0.cache.as_ref().unwrap().usage();
        assert!(entries <= 64 && bytes <= 20_000, "{entries} entries, {bytes} bytes");
    }
    assert!(gate.api.0.cache.as_ref().unwrap().usage().0 > 8);
}

#[test]
fn each_wrong_token_is_refused_as_what_it_is() {
    use ErrorKind::*;
    let header = |more: Value| {
        let mut header = json!({"alg": "HS256"});
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        sign(&header, &claims(json!({})))
    };
    let table = [
        (header(json!({"typ": "JWT"})), None),
        (header(json!({"typ": "logout+jwt"})), Some(WrongType)),
        (header(json!({"alg": "HS512"})), Some(AlgorithmNotAllowed)),
        (header(json!({"alg": "none"})), Some(AlgorithmNotAllowed)),
        (header(json!({"alg": "RS256"})), Some(AlgorithmNotAllowed)),
        (header(json!({"jku": "https://evil.example", "jwk": {"kty": "oct"}})), None),
        (header(json!({"crit": ["exp"]})), Some(Malformed)),
        (header(json!({"enc": "A256GCM"})), Some(WrongType)),
        (token(json!({"aud": ["x", AUDIENCE]})), None),
        (token(json!({"aud": [AUDIENCE.to_uppercase()]})), Some(WrongAudience)),
        (token(json!({"aud": []})), Some(WrongAudience)),
        (token(json!({"iss": format!("{ISSUER}/")})), Some(UnknownIssuer)),
        (token(json!({"iss": [ISSUER]})), Some(Malformed)),
        (token(json!({"exp": NOW - 29})), None),
        (token(json!({"exp": NOW - 30})), Some(Expired)),
        (token(json!({"nbf": NOW + 30})), None),
        (token(json!({"nbf": NOW + 31})), Some(NotYetValid)),
        (token(json!({"cnf": {"jkt": "x"}})), Some(SenderConstrained)),
        (token(json!({"cnf": null})), Some(SenderConstrained)),
        (token(json!({"nonce": "n"})), Some(WrongType)),
        (token(json!({"events": {}})), Some(WrongType)),
        (token(json!({"token_use": "id"})), Some(WrongType)),
        (token(json!({"typ": "Refresh"})), Some(WrongType)),
    ];
    let gate = Gate::new(TokenCacheSettings::default());
    for (text, expected) in table {
        let seen = gate.ask(&text).err().map(|error| error.kind());
        let header = text.split('.').next().unwrap();
        assert_eq!(seen, expected, "{header} …");
    }
}

#[test]
fn strict_mode_takes_only_what_rfc_9068_describes() {
    let gate = Gate::of(issuer().rfc9068(), TokenCacheSettings::default());
    let full = json!({"client_id": "app", "iat": NOW, "jti": "1"});
    assert!(gate.ask(&token(full.clone())).is_ok());
    assert_eq!(gate.kind(&token(json!({}))), ErrorKind::ClaimsMismatch);
    for typ in [json!({"alg": "HS256", "typ": "JWT"}), json!({"alg": "HS256"})] {
        assert_eq!(gate.kind(&sign(&typ, &claims(full.clone()))), ErrorKind::WrongType);
    }
}

#[test]
fn hostile_text_is_refused_before_it_costs_anything() {
    let gate = Gate::new(TokenCacheSettings::default());
    let long = "a".repeat(1 << 20);
    let dots = ".".repeat(10_000);
    for text in [long.as_str(), dots.as_str(), "..", ".a.", "a..", "e30.e30.", "e30.e30.AA"] {
        let error = gate.ask(text).unwrap_err();
        assert!([400, 401].contains(&error.kind().status()), "{error}");
        assert!(!error.to_string().contains("aaaa"));
    }
}

#[test]
fn a_stranger_is_told_the_realm_and_never_the_token() {
    let api = ResourceServer::builder(AUDIENCE).trust(issuer()).realm("api").build().unwrap();
    let error = api.authenticate(Presented::token("abc")).now().unwrap().unwrap_err();
    assert_eq!(
        error.challenge().unwrap(),
        r#"Bearer realm="api", error="invalid_token", error_description="the access token is malformed""#
    );
}

#[test]
fn no_gate_is_built_that_could_not_be_safe() {
    let hs256 = || StaticKeys::secret(Algorithm::HS256, SECRET).unwrap();
    let fetched = || Issuer::discover("https://issuer.example").unwrap();
    let build = |audience: Audience, issuer: Issuer| {
        ResourceServer::builder(audience).trust(issuer).build().map(|_| ()).unwrap_err().to_string()
    };
    let ours = || Audience::from(AUDIENCE);
    let table = [
        (ResourceServer::builder(AUDIENCE).build().unwrap_err().to_string(), "no issuer is trusted"),
        (build(Audience::any_of::<&str>([]), issuer()), "no audience is named"),
        (build("".into(), issuer()), "no audience is named"),
        (build(ours(), issuer().leeway(Duration::from_secs(301))), "leeway of 301 s"),
        (build(ours(), fetched().algorithms([Algorithm::HS256])), "need a secret"),
        (build(ours(), fetched().algorithms([])), "no algorithm is allowed"),
        (build(ours(), issuer().algorithms([Algorithm::RS256])), "none of the allowed algorithms fits"),
        (build(ours(), Issuer::discover("http://127.0.0.1:1").unwrap()), "expected https"),
        (Issuer::discover("not a url").unwrap_err().to_string(), "absolute URL"),
        (Issuer::discover("https://a/?b").unwrap_err().to_string(), "without query"),
        (Issuer::with_keys("", hs256()).unwrap_err().to_string(), "identifier is empty"),
        (StaticKeys::secret(Algorithm::HS256, b"short").unwrap_err().to_string(), "HS256"),
        (StaticKeys::secret(Algorithm::RS256, SECRET).unwrap_err().to_string(), "RS256"),
        (
            StaticKeys::jwk_set(r#"{"keys":[]}"#).unwrap_err().to_string(),
            "the JWK Set is empty: expected at least one key",
        ),
        (
            StaticKeys::jwk_set(r#"{"keys":[{"kty":"oct","k":"AA","kid":"a"},{"kty":"new","kid":"b"}]}"#)
                .unwrap_err()
                .to_string(),
            "no usable key: key a: ",
        ),
        (
            ResourceServer::builder(AUDIENCE).trust(issuer()).trust(issuer()).build().unwrap_err().to_string(),
            "trusted twice",
        ),
    ];
    for (seen, expected) in table {
        assert!(seen.contains(expected), "expected {expected:?} in {seen:?}");
    }
}

#[test]
fn nothing_prints_a_secret_a_token_or_a_claim() {
    let gate = Gate::new(TokenCacheSettings::default());
    let text = token(json!({"sub": "canary-subject"}));
    let verified = gate.ask(&text).unwrap();
    let printed = format!("{:?} {:?} {:?} {:?}", verified, verified.scopes(), gate.api, issuer());
    for secret in ["canary-subject", text.as_str(), "a secret of more"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn a_subject_that_is_there_names_somebody() {
    let gate = Gate::new(TokenCacheSettings::default());
    let signed = |claims: &Value| {
        let key = SigningKey::from_secret(Algorithm::HS256, None, SECRET).unwrap();
        key.sign_jwt(r#"{"alg":"HS256"}"#, &claims.to_string()).unwrap()
    };
    assert_eq!(gate.kind(&signed(&claims(json!({"sub": ""})))), ErrorKind::ClaimsMismatch);
    let mut nobody = claims(json!({}));
    nobody.as_object_mut().unwrap().remove("sub");
    assert!(gate.ask(&signed(&nobody)).is_ok(), "a machine's token may have none");
}

#[test]
fn two_secrets_that_are_joined_work_both_and_a_third_does_not() {
    const OLD: &[u8] = b"the secret of last year, which has more than thirty-two bytes";
    const OTHER: &[u8] = b"a secret of somebody else, which has more than thirty-two bytes";
    let secret = |bytes| StaticKeys::secret(Algorithm::HS256, bytes).unwrap();
    let issuer = Issuer::with_keys(ISSUER, secret(SECRET).and(secret(OLD))).unwrap();
    let gate = Gate::of(issuer, TokenCacheSettings::default().entries(0));
    for round in 0..3 {
        for (bytes, expected) in [(SECRET, None), (OLD, None), (OTHER, Some(ErrorKind::BadSignature))] {
            for header in [r#"{"alg":"HS256"}"#, r#"{"alg":"HS256","kid":"2026"}"#] {
                let key = SigningKey::from_secret(Algorithm::HS256, None, bytes).unwrap();
                let token = key.sign_jwt(header, &claims(json!({})).to_string()).unwrap();
                assert_eq!(gate.ask(&token).err().map(|error| error.kind()), expected, "round {round}: {header}");
            }
        }
    }
}

#[test]
fn every_secret_that_is_handed_over_is_tried_however_many_there_are() {
    let bytes = |number: u8| [number; 32];
    let secret = |number| StaticKeys::secret(Algorithm::HS256, &bytes(number)).unwrap();
    let all = (2..=6).fold(secret(1), |all, number| all.and(secret(number)));
    let gate = Gate::of(Issuer::with_keys(ISSUER, all).unwrap(), TokenCacheSettings::default().entries(0));
    for number in 1..=7 {
        let key = SigningKey::from_secret(Algorithm::HS256, None, &bytes(number)).unwrap();
        let token = key.sign_jwt(r#"{"alg":"HS256"}"#, &claims(json!({})).to_string()).unwrap();
        assert_eq!(gate.ask(&token).is_ok(), number < 7, "secret {number}");
    }
}

/// One header for all of them, so that only the claims say whose token it is.
#[test]
fn many_issuers_are_told_apart_by_what_is_signed_and_come_and_go_while_others_are_served() {
    let name = |number: usize| format!("https://issuer-{number}.example");
    let secret = |number: usize| format!("the secret of issuer {number}, which is long enough for HS256").into_bytes();
    let entry = |number: usize| {
        Issuer::with_keys(name(number), StaticKeys::secret(Algorithm::HS256, &secret(number)).unwrap()).unwrap()
    };
    let signed = |by: usize, claims: &str| {
        let key = SigningKey::from_secret(Algorithm::HS256, None, &secret(by)).unwrap();
        key.sign_jwt(r#"{"alg":"HS256"}"#, claims).unwrap()
    };
    let of =
        |number: usize| format!(r#""iss":"{}","aud":"{AUDIENCE}","sub":"s{number}","exp":{}"#, name(number), NOW + 60);
    let own = |number: usize| signed(number, &format!("{{{}}}", of(number)));
    let off = TokenCacheSettings::default().entries(0);
    let gate = Gate::of(entry(0), off);
    let refused = |text: &str| gate.ask(text).err().map(|error| error.kind());
    for number in 1..300 {
        assert_eq!(refused(&own(number)), Some(ErrorKind::UnknownIssuer), "{number}");
        gate.api.trust(entry(number)).unwrap();
    }
    assert!(gate.api.trust(entry(299)).unwrap_err().to_string().contains("trusted twice"));
    for round in 0..3 {
        for number in (0..300).step_by(7) {
            let verified = gate.ask(&own(number)).unwrap();
            assert_eq!(
                (verified.issuer(), verified.subject()),
                (&*name(number), Some(&*format!("s{number}"))),
                "{round}"
            );
        }
        let other = |inner: &str| format!("{{{inner},{}}}", of(1));
        for (text, expected) in [
            (signed(2, &format!("{{{}}}", of(1))), Some(ErrorKind::BadSignature)),
            // What looks like an issuer and is not: in a member of a member, in a string, with blanks, with an escape.
            (signed(1, &other(r#""act":{"iss":"https://issuer-2.example","sub":"x"}"#)), None),
            (signed(2, &other(r#""note":{"iss":"https://issuer-2.example"}"#)), Some(ErrorKind::BadSignature)),
            (signed(1, &other(r#""note":"\"iss\":\"https://issuer-2.example\"""#)), None),
            (signed(1, &format!("{{{}}}", of(1)).replace(r#""iss":"#, "\"iss\" : ")), None),
            (signed(1, &format!("{{{}}}", of(1)).replace("//issuer", r"\/\/issuer")), None),
            (signed(1, &format!(r#"{{"iss":"https://issuer-2.example",{}}}"#, of(1))), Some(ErrorKind::Malformed)),
        ] {
            assert_eq!(refused(&text), expected, "{round}");
        }
    }
    for number in (0..300).step_by(2) {
        assert!(gate.api.distrust(&name(number)) && !gate.api.distrust(&name(number)));
    }
    for number in 0..300_usize {
        let expected = number.is_multiple_of(2).then_some(ErrorKind::UnknownIssuer);
        assert_eq!(refused(&own(number)), expected, "{number}");
    }
}

#[cfg(feature = "aws-lc-rs")]
#[test]
fn a_post_quantum_signature_is_taken_only_where_it_is_named() {
    let key = SigningKey::from_pem(Algorithm::MlDsa65, Some("pq"), include_bytes!("../../jose/testdata/ml-dsa-65.pem"));
    let key = key.unwrap();
    let jwk_set = json!({"keys": [key.public_jwk().unwrap()]}).to_string();
    let text = key.sign_jwt(r#"{"alg":"ML-DSA-65","kid":"pq"}"#, &claims(json!({})).to_string()).unwrap();
    let entry = || Issuer::with_keys(ISSUER, StaticKeys::jwk_set(&jwk_set).unwrap()).unwrap();
    for settings in [TokenCacheSettings::default(), TokenCacheSettings::default().entries(0)] {
        let named = Gate::of(entry().algorithms([Algorithm::MlDsa65, Algorithm::RS256]), settings);
        for _ in 0..3 {
            assert_eq!(named.ask(&text).unwrap().subject(), Some("ada"));
        }
        let at = text.len() - 40;
        let other = if text.as_bytes()[at] == b'A' { 'B' } else { 'A' };
        let spoilt = format!("{}{other}{}", &text[..at], &text[at + 1..]);
        assert_eq!(named.kind(&spoilt), ErrorKind::BadSignature);
    }
    // The operator handed over another issuer's key set: what may sign is still what was agreed.
    let other = ResourceServer::builder(AUDIENCE).trust(entry().algorithms(Algorithms::DEFAULT.iter())).build();
    assert!(other.unwrap_err().to_string().contains("none of the allowed algorithms fits"));
    let gate = Gate::new(TokenCacheSettings::default());
    assert_eq!(gate.kind(&text), ErrorKind::AlgorithmNotAllowed);
}
