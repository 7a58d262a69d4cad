use serde_json::{Value, json};

use super::*;
use crate::base::time::hands::Hands;
use crate::jose::Algorithm;
use crate::jose::signing::SigningKey;
use crate::request::sent::Sent;
use crate::trust::issuer::Issuer;
use crate::trust::static_keys::StaticKeys;

const SECRET: &[u8] = b"a secret of more than thirty-two bytes";
const ISSUER: &str = "https://issuer.example/";
const AUDIENCE: &str = "https://api.example";
const NOW: i64 = 1_800_000_000;

fn builder() -> crate::ResourceServerBuilder {
    let keys = StaticKeys::secret(Algorithm::HS256, SECRET).unwrap();
    let issuer = Issuer::with_keys(ISSUER, keys).unwrap();
    ResourceServer::builder(AUDIENCE).trust(issuer).clock(Hands::at(NOW)).max_token_bytes(4096)
}

fn sign(header: Value, claims: Value) -> String {
    let key = SigningKey::from_secret(Algorithm::HS256, None, SECRET).unwrap();
    key.sign_jwt(&header.to_string(), &claims.to_string()).unwrap()
}

fn with(change: Value) -> String {
    let mut claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": NOW + 600});
    for (name, value) in change.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    sign(json!({"alg": "HS256", "typ": "at+jwt"}), claims)
}

async fn explain(token: &str) -> Report {
    let server = builder().build().unwrap();
    let report = server.explain(Presented::token(token)).await;
    // There is one truth: the report's verdict is the gate's.
    let verdict = server.authenticate(Presented::token(token)).await;
    assert_eq!(report.kind, verdict.as_ref().err().map(Error::kind));
    assert_eq!(report.accepted, verdict.is_ok());
    assert_eq!(report.failed().map(|step| step.check), verdict.as_ref().err().and_then(Error::check));
    report
}

#[tokio::test]
async fn a_good_token_passes_every_check() {
    let report = explain(&with(json!({}))).await;
    assert!(report.accepted && report.status == 200 && report.kind.is_none());
    assert!(report.steps.iter().all(|step| step.state == StepState::Passed));
    assert!(report.text().contains("ok    audience    https://api.example\n"), "{}", report.text());
}

#[tokio::test]
async fn each_mistake_is_found_at_its_check_with_its_likely_cause() {
    let header = |more: Value| {
        let mut header = json!({"alg": "HS256", "typ": "JWT"});
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        sign(header, json!({"iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 600}))
    };
    let good = with(json!({}));
    let forged = format!("{}AAAA", &good[..good.len() - 4]);
    for (token, check, cause) in [
        ("".to_owned(), Check::Credentials, ""),
        ("a b".to_owned(), Check::Credentials, "blanks or line breaks"),
        ("a".repeat(5000), Check::Size, ""),
        ("abcdef".to_owned(), Check::Form, "opaque"),
        ("a.b".to_owned(), Check::Form, "cut off"),
        ("a.b.c.d.e".to_owned(), Check::Form, "JWE"),
        ("e30.!.AA".replace('!', "~"), Check::Claims, "base64url"),
        ("e30.e30.AA".to_owned(), Check::Issuer, "does not say who"),
        (format!("{}==", with(json!({}))), Check::Header, "AWS load balancers"),
        (with(json!({"iss": "https://issuer.example"})), Check::Issuer, "only by a trailing slash"),
        (with(json!({"iss": "http://issuer.example/"})), Check::Issuer, "only by http and https"),
        (with(json!({"iss": "https://Issuer.example/"})), Check::Issuer, "upper and lower case"),
        (with(json!({"iss": "https://issuer.example/realms/b"})), Check::Issuer, "another realm"),
        (with(json!({"iss": "http://localhost:8080"})), Check::Issuer, "developer's machine"),
        (with(json!({"iss": "https://other.example"})), Check::Issuer, "another issuer or environment"),
        (header(json!({"crit": ["x"]})), Check::Header, ""),
        (header(json!({"alg": "none"})), Check::Algorithm, "not signed at all"),
        (header(json!({"alg": "RS256"})), Check::Algorithm, "another algorithm"),
        (header(json!({"alg": "HS512"})), Check::Algorithm, "shared secret"),
        (with(json!({"nonce": "n"})), Check::Type, "accept_nonce_in_access_tokens"),
        (with(json!({"nonce": "n", "at_hash": "h"})), Check::Type, "this is an ID token"),
        (with(json!({"sub": 42})), Check::Claims, "accept_numeric_subjects"),
        (with(json!({"token_use": "id"})), Check::Type, "this is an ID token"),
        (with(json!({"typ": "Refresh"})), Check::Type, "this is a refresh token"),
        (header(json!({"typ": "logout+jwt"})), Check::Type, "logout token"),
        (header(json!({"typ": "dpop+jwt"})), Check::Type, "DPoP proof"),
        ("ya29.a0AfH6SMB".to_owned(), Check::Form, "cut off"),
        (with(json!({"aud": "https://api.example/"})), Check::Audience, "only by a trailing slash"),
        (with(json!({"aud": "account"})), Check::Audience, "Keycloak"),
        (with(json!({"aud": null})), Check::Audience, "names no audience"),
        (with(json!({"aud": null, "token_use": "access"})), Check::Audience, "names no audience"),
        (with(json!({"aud": "app", "azp": "app"})), Check::Audience, "the client itself"),
        (with(json!({"aud": ["https://x.example/userinfo"]})), Check::Audience, "Auth0"),
        (with(json!({"aud": "api.example"})), Check::Audience, "only by the scheme"),
        (with(json!({"exp": NOW - 100})), Check::Expiry, "a moment ago"),
        (with(json!({"exp": NOW - 7200})), Check::Expiry, "renew it"),
        (with(json!({"exp": NOW - 864_000})), Check::Expiry, "copied"),
        (with(json!({"exp": NOW - 100, "iat": NOW - 110})), Check::Expiry, "shorter than the leeway"),
        (with(json!({"exp": null})), Check::Expiry, "never end"),
        (with(json!({"nbf": NOW + 100})), Check::NotBefore, "clock is ahead"),
        (with(json!({"cnf": {"jkt": "x"}})), Check::Binding, "DPoP"),
        (with(json!({"cnf": {"x5t#S256": "x"}})), Check::Binding, "certificate"),
        (forged, Check::Signature, "changed after it was signed"),
    ] {
        let report = explain(&token).await;
        let step = report.failed().unwrap_or_else(|| panic!("accepted: {token}"));
        assert_eq!(step.check, check, "{}", report.text());
        assert!(step.cause.unwrap_or_default().contains(cause), "{}", report.text());
        assert_eq!(step.cause.is_none(), cause.is_empty(), "{}", report.text());
        let states: Vec<_> = report.steps.iter().map(|step| step.state).collect();
        assert!(states.is_sorted_by_key(|state| *state as u8), "passed, failed, not reached: {states:?}");
    }
}

#[tokio::test]
async fn the_order_of_the_report_is_the_order_of_the_gate() {
    // Two mistakes at once: the earlier check is the one that fails.
    let mistakes = [
        (Check::Issuer, json!({"iss": "https://x.example"})),
        (Check::Type, json!({"nonce": "n"})),
        (Check::Audience, json!({"aud": "x"})),
        (Check::Expiry, json!({"exp": NOW - 999})),
        (Check::NotBefore, json!({"nbf": NOW + 999})),
        (Check::Binding, json!({"cnf": {}})),
    ];
    for (at, (first, one)) in mistakes.iter().enumerate() {
        for (_, other) in &mistakes[at + 1..] {
            let mut both = one.clone();
            both.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
            let token = with(both);
            let broken = format!("{}AAAA", &token[..token.len() - 4]);
            for token in [token, broken] {
                assert_eq!(explain(&token).await.failed().unwrap().check, *first);
            }
        }
    }
    assert!(Check::ALL.is_sorted());
}

#[tokio::test]
async fn values_are_in_the_report_alone() {
    let server = builder().explain_in_responses().build().unwrap();
    let token = with(json!({"aud": "canary-audience", "sub": "canary-subject"}));
    let error = server.authenticate(Presented::token(&token)).await.unwrap_err();
    let explanation = error.answer().explanation.unwrap();
    assert_eq!(
        explanation,
        "audience: expected aud to name https://api.example; likely cause: the token was issued for another API"
    );
    let report = server.explain(Presented::token(&token)).await;
    assert!(report.text().contains("canary-audience"));
    for printed in [format!("{report:?} {:?} {error} {error:?}", report.steps), explanation, report.summary()] {
        assert!(!printed.contains("canary"), "{printed}");
    }
}

#[tokio::test]
async fn nobody_is_told_anything_who_did_not_ask_at_the_start() {
    for (server, told) in [
        (builder().build().unwrap(), false),
        (builder().explain_in_log().build().unwrap(), false),
        (builder().explain_in_responses().build().unwrap(), true),
    ] {
        let error = server.authenticate(Presented::token("a.b.c")).await.unwrap_err();
        assert_eq!(error.answer().explanation.is_some(), told);
    }
}

#[tokio::test]
async fn nothing_in_a_token_can_play_tricks_with_a_terminal() {
    let report = explain(&with(json!({"aud": ["\u{1b}[31mred\u{202e}\r\n", "x".repeat(1000)]}))).await;
    let text = report.text();
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}') && !text.contains('\r'), "{text:?}");
    assert!(text.lines().all(|line| line.len() < 300));
    assert!(report.summary().bytes().all(|byte| (b' '..=b'~').contains(&byte)));
}

#[tokio::test]
async fn any_bytes_are_explained_without_a_panic() {
    let mut seed = 7_u32;
    for length in 0..400 {
        let text: String = (0..length)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                char::from(b"eyJ.AZaz09-_~+/= \x00\x7f"[(seed >> 16) as usize % 19])
            })
            .collect();
        let report = explain(&text).await;
        assert!(!report.accepted && !report.text().is_empty());
    }
}

#[tokio::test]
async fn the_line_for_a_response_header_is_printable_ascii_whatever_operator_and_token_say() {
    let keys = StaticKeys::secret(Algorithm::HS256, SECRET).unwrap();
    let issuer = Issuer::with_keys(ISSUER, keys).unwrap();
    let api = ResourceServer::builder("https://b\u{fc}cher.example\r\nset-cookie: a=b\u{7f}\0")
        .trust(issuer)
        .clock(Hands::at(NOW))
        .build()
        .unwrap();
    for aud in [json!("x"), json!("\r\nset-cookie: c=d"), json!(["\u{85}", "\u{202e}"])] {
        let line = api.explain(Presented::token(&with(json!({"aud": aud})))).await.summary();
        assert!(line.contains("cher.example") && !line.contains("c=d"), "{line}");
        assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line:?}");
    }
}

#[tokio::test]
async fn each_cause_is_the_one_that_it_is() {
    let good = with(json!({}));
    let wrapped = format!("{}\n{}", &good[..40], &good[40..]);
    let header = |alg: &str| {
        let header = crate::jose::base64url::encode(json!({"alg": alg}).to_string().as_bytes());
        format!("{header}.{}", good.split_once('.').unwrap().1)
    };
    let server = builder().build().unwrap();
    for (what, token, cause) in [
        ("a token response", format!("{{\"access_token\":\"{good}\"}}"), "a whole answer of a token endpoint"),
        ("quotes", format!("\"{good}\""), "quotes around the token"),
        ("the scheme", format!("Bearer {good}"), "the word Bearer belongs to the header field"),
        ("line breaks", wrapped, "blanks or line breaks"),
        ("a claim of the wrong type", with(json!({"exp": "soon"})), "another JSON type than its specification says"),
        ("cut off", good.rsplit_once('.').unwrap().0.to_owned(), "the signature is missing"),
        ("an algorithm spelt wrongly", header("hs256"), "upper and lower case count"),
        ("another HS algorithm", header("HS512"), "another HS algorithm than was agreed"),
        ("another port", with(json!({"iss": "https://issuer.example:8443/"})), "the same host with another port"),
        ("another path", with(json!({"iss": "https://issuer.example/x"})), "the same host with another path"),
        ("no aud", with(json!({"aud": null, "token_use": "access"})), "the token names no audience"),
        ("an empty sub", with(json!({"sub": ""})), "an empty sub"),
    ] {
        let report = server.explain(Presented::token(&token)).await;
        let seen = report.failed().and_then(|step| step.cause).unwrap_or_default();
        assert!(seen.contains(cause), "{what}: expected {cause:?} in {seen:?}");
    }
}

/// A key set as an issuer publishes it.
#[derive(Debug)]
struct Published(Value);
impl crate::keys::KeySource for Published {
    fn fetch(&self) -> crate::http::BoxFuture<'_, Result<crate::keys::FetchedKeys, crate::keys::FetchError>> {
        Box::pin(std::future::ready(Ok(crate::keys::FetchedKeys::new(self.0.to_string()))))
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_issuers_keys_is_said_key_by_key() {
    let signer = |pem: &[u8], kid: &str| SigningKey::from_pem(Algorithm::ES256, Some(kid), pem).unwrap();
    let one = signer(include_bytes!("../../../../token-test/keys/p256-1.pem"), "2026");
    let other = signer(include_bytes!("../../../../token-test/keys/p256-2.pem"), "2026");
    let public = |key: &SigningKey| {
        let mut jwk = key.public_jwk().unwrap();
        jwk["kid"] = json!("2026");
        jwk
    };
    let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": NOW + 600}).to_string();
    let token = one.sign_jwt(r#"{"alg":"ES256","kid":"2026"}"#, &claims).unwrap();
    let small = json!({"kty": "RSA", "kid": "old", "n": "AQAB", "e": "AQAB"});
    for (keys, finding, cause) in [
        (json!([public(&one)]), "", ""),
        (json!([public(&one), public(&other)]), "no key that fits", "publishes several keys of this kid"),
        (json!([{"kty": "oct", "kid": "a", "k": "AAAA"}, small]), "key a: ", "none of its keys can be used"),
        (json!([small]), "key old: ", "none of its keys can be used"),
        (json!([]), "without keys", "publishes a key set without keys"),
        (json!("nothing"), "not a jwk set", "what lies at the address of the key set is none"),
    ] {
        let issuer = Issuer::with_source(ISSUER, Arc::new(Published(json!({"keys": keys})))).unwrap();
        let server = ResourceServer::builder(AUDIENCE).trust(issuer).clock(Hands::at(NOW)).build().unwrap();
        let report = server.explain(Presented::token(&token)).await;
        let step = report.failed();
        let seen = (
            step.and_then(|step| step.finding.as_deref()).unwrap_or_default(),
            step.and_then(|step| step.cause).unwrap_or_default(),
        );
        assert!(seen.0.contains(finding) && seen.1.contains(cause), "{keys}: {seen:?}");
        assert_eq!(report.accepted, cause.is_empty(), "{keys}");
    }
}

#[tokio::test]
async fn an_id_token_is_explained_by_the_rules_of_its_client() {
    let keys = StaticKeys::secret(Algorithm::HS256, SECRET).unwrap();
    let verifier =
        IdTokenVerifier::with_clock("web", Issuer::with_keys(ISSUER, keys).unwrap(), Hands::at(NOW)).unwrap();
    let id = |change: Value| {
        let mut claims = json!({"iss": ISSUER, "aud": "web", "sub": "ada", "iat": NOW, "exp": NOW + 600, "nonce": "n"});
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        sign(json!({"alg": "HS256"}), claims)
    };
    let login = || Some(Login::with_nonce("n"));
    let access =
        sign(json!({"alg": "HS256", "typ": "at+jwt"}), json!({"iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 600}));
    for (what, token, login, check, cause) in [
        ("a good one", id(json!({})), login(), None, ""),
        ("without what the client remembers", id(json!({})), None, None, ""),
        ("another login", id(json!({"nonce": "other"})), login(), Some(Check::Demands), "not of this login"),
        ("another client", id(json!({"aud": "app"})), login(), Some(Check::Audience), "issued to another client"),
        ("an access token", access, login(), Some(Check::Type), "the value of id_token"),
        ("a refresh token", id(json!({"token_use": "refresh"})), login(), Some(Check::Type), "this is a refresh token"),
        (
            "an old one",
            id(json!({"iat": NOW - 4000, "exp": NOW - 1000})),
            login(),
            Some(Check::Expiry),
            "using an old token",
        ),
        ("several clients", id(json!({"aud": ["web", "app"]})), login(), Some(Check::Profile), "says in azp"),
    ] {
        let report = verifier.explain(&token, login).await;
        let step = report.failed();
        assert_eq!(step.map(|step| step.check), check, "{what}: {}", report.text());
        assert!(step.and_then(|step| step.cause).unwrap_or_default().contains(cause), "{what}: {}", report.text());
    }
}

#[tokio::test]
async fn readiness_names_an_issuer_once_and_says_what_is_wrong_with_each_key() {
    let keys = json!({"keys": [{"kty": "oct", "kid": "a", "k": "AAAA"}]});
    let issuer = Issuer::with_source(ISSUER, Arc::new(Published(keys))).unwrap();
    let server = ResourceServer::builder(AUDIENCE).trust(issuer).clock(Hands::at(NOW)).build().unwrap();
    let error = server.ready().await.unwrap_err();
    assert_eq!(error.detail().matches(ISSUER).count(), 1, "{error}");
    assert!(error.detail().contains("key a: "), "{error}");
}

#[tokio::test]
async fn the_parts_of_a_proof_are_shown_beside_what_was_expected_of_it() {
    use crate::possession::Dpop;

    let pem = include_bytes!("../../jose/testdata/p256.pem");
    let key = SigningKey::from_pem(Algorithm::ES256, None, pem).unwrap();
    let token = with(json!({"cnf": {"jkt": key.thumbprint().unwrap().to_string()}}));
    let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": key.public_jwk().unwrap()});
    let claims = json!({"jti": "1", "htm": "GET", "htu": "https://api.example/orders", "iat": NOW - 5,
        "ath": crate::possession::access_token_hash(&token)});
    let proof = key.sign_jwt(&header.to_string(), &claims.to_string()).unwrap();
    let server = builder().dpop(Dpop::at("https://api.example").unwrap()).build().unwrap();
    let request = Sent::get("/users").field("authorization", format!("DPoP {token}")).field("dpop", proof);
    let report = server.explain(Presented::request(&request)).await;
    let step = report.failed().unwrap();
    assert_eq!(step.check, Check::Proof);
    assert!(
        step.finding.as_deref().unwrap().contains("the path differs, expected https://api.example/users"),
        "{step:?}"
    );
    assert_eq!(
        step.seen.as_deref(),
        Some("typ dpop+jwt, alg ES256, htm GET, htu https://api.example/orders, iat 5 s ago, jwk, jti, ath, no nonce")
    );
    assert!(!format!("{report:?}").contains("orders"), "only the text holds what the proof says");
}
