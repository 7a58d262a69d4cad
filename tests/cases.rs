//! One table of (request, answer) through tower, axum and actix-web: a row that differs anywhere is a failure.

use std::time::Duration;

use token_core::{Algorithm, ErrorKind, Issuer, ResourceServer};
use token_test::TestIssuer;
use token_tests::{Ask, Reply, Via, ask};

/// What no answer may ever hold.
pub(crate) const CANARY: &str = "canary-3141592653589793";

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) ask: Ask,
    pub(crate) anonymous: bool,
    /// The expected refusal, or the body of the handler.
    pub(crate) expect: Result<&'static str, ErrorKind>,
}

pub(crate) fn case(name: &'static str, ask: Ask, expect: Result<&'static str, ErrorKind>) -> Case {
    Case { name, ask, anonymous: false, expect }
}

/// The table. Every token carries the canary in a claim.
pub(crate) fn table(issuer: &TestIssuer) -> Vec<Case> {
    use ErrorKind::*;
    let token = || issuer.token().subject("ada").scope("read:users profile").claim("note", CANARY);
    let me = |token: &str| Ask::of("/me").bearer(token);
    let with_claims = |json: &str| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let start =
            format!(r#"{{"iss":"{}","aud":"{}","sub":"ada","note":"{CANARY}""#, issuer.url(), issuer.audience());
        let json = json.replace("NOW+", &(now + 600).to_string());
        issuer.token().raw_claims(format!("{start}{json}}}")).mint()
    };
    let good = token().mint();
    let mut cases = vec![
        case("good token, claims", me(&good), Ok("ada")),
        case("good token, any", Ask::of("/any").bearer(&good), Ok("somebody")),
        case("good token, scope", Ask::of("/users").bearer(&good), Ok("everybody")),
        case("scheme in lower case", Ask::of("/me").header("authorization", format!("bearer {good}")), Ok("ada")),
        case("no token", Ask::of("/me"), Err(MissingToken)),
        case("no token where anonymous callers may not pass", Ask::of("/maybe"), Err(MissingToken)),
        case("another scheme", Ask::of("/me").header("authorization", "Basic YTpi"), Err(MissingToken)),
        case("two authorization headers", me(&good).bearer(&good), Err(InvalidRequest)),
        case("empty bearer", Ask::of("/me").header("authorization", "Bearer "), Err(InvalidRequest)),
        case("two tokens in one header", me(&format!("{good}, Bearer {good}")), Err(InvalidRequest)),
        case(
            "bytes that are no text",
            Ask::of("/me").header("authorization", b"Bearer \xff\xfe\xfd"),
            Err(InvalidRequest),
        ),
        case(
            "a thousand brackets",
            Ask::of("/me").header("authorization", format!("Bearer {}", "[".repeat(1000))),
            Err(InvalidRequest),
        ),
        case("not a JWT", me("abc"), Err(Malformed)),
        case("two parts", me("abc.def"), Err(Malformed)),
        case("four parts", me("a.b.c.d"), Err(Malformed)),
        case("JWE", me("a.b.c.d.e"), Err(WrongType)),
        case("padding", me(&format!("{good}=")), Err(Malformed)),
        case("a token over the cap", me(&"a".repeat(20_000)), Err(Malformed)),
        case("no signature", me(&format!("{}.", good.rsplit_once('.').unwrap().0)), Err(BadSignature)),
        case("forged", me(&token().forged().mint()), Err(BadSignature)),
        case("tampered", me(&token().tampered().mint()), Err(BadSignature)),
        case("alg none", me(&token().alg_none().mint()), Err(AlgorithmNotAllowed)),
        case("expired", me(&token().expired().mint()), Err(Expired)),
        case("not yet valid", me(&token().not_before_in(Duration::from_secs(600)).mint()), Err(NotYetValid)),
        case("wrong audience", me(&token().audience("https://other.example").mint()), Err(WrongAudience)),
        case("no audience", me(&token().without("aud").mint()), Err(WrongAudience)),
        case("stranger's issuer", me(&token().claim("iss", "https://stranger.example").mint()), Err(UnknownIssuer)),
        case(
            "issuer with a slash more",
            me(&token().claim("iss", format!("{}/", issuer.url())).mint()),
            Err(UnknownIssuer),
        ),
        case("no issuer", me(&token().without("iss").mint()), Err(ClaimsMismatch)),
        case("no expiry", me(&token().without("exp").mint()), Err(ClaimsMismatch)),
        case("no subject, which the handler's type needs", me(&token().without("sub").mint()), Err(ClaimsMismatch)),
        case("missing scope", Ask::of("/users").bearer(&token().scope("profile").mint()), Err(InsufficientScope)),
        case(
            "scope that only starts alike",
            Ask::of("/users").bearer(&token().scope("read:users2").mint()),
            Err(InsufficientScope),
        ),
        case(
            "scope in another case",
            Ask::of("/users").bearer(&token().scope("Read:Users").mint()),
            Err(InsufficientScope),
        ),
        case("ID token", me(&issuer.id_token().claim("nonce", CANARY).mint()), Err(WrongType)),
        case(
            "bound to a sender",
            me(&token().claim("cnf", serde_json::json!({"jkt": CANARY})).mint()),
            Err(SenderConstrained),
        ),
        case("logout token by type", me(&token().header("typ", "logout+jwt").mint()), Err(WrongType)),
        case("DPoP proof by type", me(&token().header("typ", "dpop+jwt").mint()), Err(WrongType)),
        case("unknown type", me(&token().header("typ", "strange+jwt").mint()), Err(WrongType)),
        case("type JWT", me(&token().header("typ", "JWT").mint()), Ok("ada")),
        case("type with the full media type", me(&token().header("typ", "application/AT+JWT").mint()), Ok("ada")),
        case("critical extension", me(&token().header("crit", serde_json::json!(["exp"])).mint()), Err(Malformed)),
        case("b64 false", me(&token().header("b64", false).mint()), Err(Malformed)),
        case("compressed", me(&token().header("zip", "DEF").mint()), Err(Malformed)),
        case("claims: exp as text", me(&with_claims(r#","exp":"NOW+""#)), Err(Malformed)),
        case("claims: exp negative", me(&with_claims(r#","exp":-1"#)), Err(Malformed)),
        case("claims: exp beyond all time", me(&with_claims(r#","exp":1e300"#)), Err(Malformed)),
        case("claims: exp null", me(&with_claims(r#","exp":null"#)), Err(Malformed)),
        case("claims: exp with a fraction", me(&with_claims(r#","exp":NOW+.5"#)), Ok("ada")),
        case("claims: iat as text", me(&with_claims(r#","exp":NOW+,"iat":"1""#)), Err(Malformed)),
        case("claims: duplicate", me(&with_claims(r#","exp":NOW+,"exp":NOW+"#)), Err(Malformed)),
        case(
            "claims: ten thousand brackets",
            me(&with_claims(&format!(r#","exp":NOW+,"x":{}"#, "[".repeat(10_000)))),
            Err(Malformed),
        ),
    ];
    for (name, path, ask, expect) in [
        ("anonymous may pass", "/maybe", Ask::of("/maybe"), Ok("nobody")),
        ("anonymous may pass, but not where a token is needed", "/any", Ask::of("/any"), Err(MissingToken)),
        ("anonymous may pass, but not with a bad token", "/maybe", Ask::of("/maybe").bearer("abc"), Err(Malformed)),
        ("anonymous may pass, but is not needed", "/maybe", Ask::of("/maybe").bearer(&good), Ok("somebody")),
    ] {
        debug_assert_eq!(path, &*ask.path);
        cases.push(Case { name, ask, anonymous: true, expect });
    }
    cases
}

pub(crate) fn check(case: &Case, via: Via, reply: &Reply) {
    let place = format!("{} through {via:?}: {reply:?}", case.name);
    assert!(!format!("{reply:?}").contains(CANARY), "leaks: {place}");
    match case.expect {
        Ok(body) => assert_eq!((reply.status, reply.body.as_str()), (200, body), "{place}"),
        Err(kind) => {
            assert_eq!(reply.status, kind.status(), "{place}");
            assert!(reply.is_problem(), "{place}");
            assert_eq!(reply.cache_control.as_deref(), Some("no-store"), "{place}");
            let problem: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
            assert_eq!(problem["detail"], kind.public_text(), "{place}");
            let challenge = reply.challenge.as_deref().unwrap_or_default();
            assert!(challenge.starts_with("Bearer realm=\"tests\""), "{place}");
            assert_eq!(
                kind.code().is_some_and(|code| challenge.contains(&format!("error=\"{code}\""))),
                kind.code().is_some(),
                "{place}"
            );
            assert_eq!(challenge.contains("error="), kind.code().is_some(), "{place}");
            assert_eq!(challenge.contains("scope=\"read:users\""), kind == ErrorKind::InsufficientScope, "{place}");
        }
    }
}

async fn run(algorithm: Algorithm) {
    let issuer = TestIssuer::builder().algorithm(algorithm).start().await;
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http().algorithms([algorithm]);
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).realm("tests").build().unwrap();
    api.ready().await.unwrap();
    for case in table(&issuer) {
        let mut replies = Vec::new();
        for via in Via::ALL {
            let reply = ask(via, &api, case.anonymous, &case.ask).await;
            check(&case, via, &reply);
            replies.push(reply);
        }
        if case.expect.is_err() {
            assert_eq!(replies[0], replies[1], "tower and axum differ: {}", case.name);
            assert_eq!(replies[1], replies[2], "axum and actix-web differ: {}", case.name);
        }
    }
}

#[actix_web::test]
async fn every_row_gets_the_same_answer_in_every_framework() {
    run(Algorithm::RS256).await;
}

#[actix_web::test]
async fn every_algorithm_gets_the_same_answers() {
    for algorithm in
        [Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::ES512, Algorithm::EdDSA, Algorithm::RS512]
    {
        run(algorithm).await;
    }
}

#[actix_web::test]
async fn keys_out_of_reach_are_our_trouble_in_every_framework() {
    let issuer = TestIssuer::start().await;
    let token = issuer.token().subject("ada").mint();
    issuer.faults().down();
    for via in Via::ALL {
        let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
        let api = ResourceServer::builder(issuer.audience()).trust(trusted).build().unwrap();
        let reply = ask(via, &api, false, &Ask::of("/me").bearer(&token)).await;
        assert_eq!((reply.status, reply.challenge.as_deref()), (503, None), "{via:?}");
        assert!(reply.retry_after.is_some_and(|after| after.parse::<u32>().is_ok_and(|after| after >= 1)), "{via:?}");
    }
}
