//! API keys beside tokens, through tower, axum and actix-web: the same extractors and the same answers, out of a store and out of a policy.

use std::sync::atomic::{AtomicBool, Ordering};

use token_core::http::BoxFuture;
use token_core::opaque::api_keys::{ApiKey, ApiKeyStore, MemoryApiKeys, digest};
use token_core::policy::Policy;
use token_core::revocation::Evict;
use token_core::stores::StoreError;
use token_core::{CsrfRule, ErrorKind, Issuer, ResourceServer, Timestamp, TokenLocation};
use token_test::TestIssuer;
use token_tests::{Ask, Via, ask};

use crate::cases::{CANARY, Case, case, check};

const NAME: &str = "https://api.example.com/keys";

fn text(id: &str, secret: char) -> String {
    format!("acme_{id}_{}", secret.to_string().repeat(32))
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn keys() -> Vec<ApiKey> {
    let key = |id: &str, scope: &str| ApiKey::new(id, "ada").scopes([scope]);
    let (past, future) = (Timestamp::from_secs(now() - 1), Timestamp::from_secs(now() + 600));
    let rotated = key("rotated", "read:users").secret_until(digest(&text("rotated", 'a')), future);
    vec![
        key("ci", "read:users").secret(digest(&text("ci", 'a'))),
        rotated.secret(digest(&text("rotated", 'b'))).secret_until(digest(&text("rotated", 'c')), past),
        key("ended", "read:users").secret(digest(&text("ended", 'a'))).expires(past),
        key("weak", "profile").secret(digest(&text("weak", 'a'))),
        key("short", "read:users").secret(digest("acme_short_0123456789")),
    ]
}

fn policy(issuer: &TestIssuer) -> Policy {
    let hex = |text: &str| digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (past, future) = (now() - 1, now() + 600);
    let json = serde_json::json!({
        "audience": issuer.audience(), "realm": "tests",
        "issuers": [
            {"issuer": issuer.url(), "allow_loopback_http": true},
            {"issuer": NAME, "api_keys": {"prefix": "acme_", "keys": [
                {"id": "ci", "subject": "ada", "scopes": ["read:users"], "secrets": [{"sha256": hex(&text("ci", 'a'))}]},
                {"id": "ended", "subject": "ada", "scopes": ["read:users"], "expires": past, "secrets": [{"sha256": hex(&text("ended", 'a'))}]},
                {"id": "rotated", "subject": "ada", "scopes": ["read:users"], "secrets": [
                    {"sha256": hex(&text("rotated", 'a')), "expires": future}, {"sha256": hex(&text("rotated", 'b'))},
                    {"sha256": hex(&text("rotated", 'c')), "expires": "2020-01-01T00:00:00Z"},
                ]},
                {"id": "short", "subject": "ada", "secrets": [{"sha256": hex("acme_short_0123456789")}]},
                {"id": "weak", "subject": "ada", "scopes": ["profile"], "secrets": [{"sha256": hex(&text("weak", 'a'))}]},
            ]}},
        ],
    });
    Policy::from_json(&json.to_string()).unwrap()
}

fn table(issuer: &TestIssuer) -> Vec<Case> {
    use ErrorKind::*;
    let me = |text: &str| Ask::of("/me").bearer(text);
    let users = |text: &str| Ask::of("/users").bearer(text);
    let token = issuer.token().subject("ada").scope("read:users").claim("note", CANARY).mint();
    vec![
        case("key: claims", me(&text("ci", 'a')), Ok("ada")),
        case("key: any", Ask::of("/any").bearer(&text("ci", 'a')), Ok("somebody")),
        case("key: scope", users(&text("ci", 'a')), Ok("everybody")),
        case("a token beside it", users(&token), Ok("everybody")),
        case("key: rotated, the old secret", users(&text("rotated", 'a')), Ok("everybody")),
        case("key: rotated, the new secret", users(&text("rotated", 'b')), Ok("everybody")),
        case("key: rotated, one before that", users(&text("rotated", 'c')), Err(Inactive)),
        case("key: ended", users(&text("ended", 'a')), Err(Inactive)),
        case("key: missing scope", users(&text("weak", 'a')), Err(InsufficientScope)),
        case("key: another secret", me(&text("ci", 'b')), Err(Inactive)),
        case("key: another case", me(&text("CI", 'a')), Err(Inactive)),
        case("key: of another name", me(&text("weaker", 'a')), Err(Inactive)),
        case("key: another key's secret", me(&text("weak", 'b')), Err(Inactive)),
        case("key: a secret that could be guessed", me("acme_short_0123456789"), Err(Inactive)),
        case("key: the prefix alone", me("acme_"), Err(Inactive)),
        case("key: no secret", me("acme_ci"), Err(Inactive)),
        case("key: of another prefix", me(&text("ci", 'a').replace("acme_", "other_")), Err(Malformed)),
        case(
            "key: as another scheme",
            Ask::of("/me").header("authorization", format!("Basic {}", text("ci", 'a'))),
            Err(MissingToken),
        ),
        case("key: beside a token", me(&text("ci", 'a')).bearer(&token), Err(InvalidRequest)),
        case("key: too long", me(&text("ci", 'a').repeat(1000)), Err(Malformed)),
    ]
}

#[actix_web::test]
async fn a_key_is_a_verified_caller_in_every_framework_from_a_store_and_from_a_policy() {
    let issuer = TestIssuer::start().await;
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let own = Issuer::api_keys(NAME, "acme_", MemoryApiKeys::new(keys())).unwrap();
    let from_store =
        ResourceServer::builder(issuer.audience()).trust(trusted).trust(own).realm("tests").build().unwrap();
    let policy = policy(&issuer);
    assert_eq!(policy.lint().iter().filter(|finding| finding.rule != "http").collect::<Vec<_>>(), Vec::<&_>::new());
    let from_policy = policy.server().unwrap();
    let written = serde_json::to_string(&*from_policy.policy()).unwrap();
    assert_eq!(Policy::from_json(&written).unwrap(), *from_policy.policy());
    assert!(from_policy.policy().to_string().contains("5 API keys that begin with acme_"), "{}", from_policy.policy());
    for api in [from_store, from_policy] {
        api.ready().await.unwrap();
        for temperature in ["cold", "warm"] {
            for case in table(&issuer) {
                for via in Via::ALL {
                    let reply = ask(via, &api, case.anonymous, &case.ask).await;
                    check(&case, via, &reply);
                    assert!(!format!("{reply:?}").contains("aaaa"), "{temperature} {}: {reply:?}", case.name);
                }
            }
        }
    }
}

#[actix_web::test]
async fn a_key_may_come_in_a_header_of_its_own_and_is_taken_back_at_once() {
    let issuer = TestIssuer::start().await;
    let store = MemoryApiKeys::new(keys());
    let api = ResourceServer::builder("https://api.example.com")
        .trust(Issuer::api_keys(NAME, "acme_", store.clone()).unwrap())
        .token_locations([TokenLocation::authorization(), TokenLocation::header("x-api-key")])
        .build()
        .unwrap();
    let _ = (CsrfRule::same_origin(), &issuer);
    let asked = Ask::of("/me").header("x-api-key", text("ci", 'a'));
    for via in Via::ALL {
        assert_eq!(ask(via, &api, false, &asked).await.status, 200, "{via:?}");
        let both = asked.clone().bearer(&text("ci", 'b'));
        assert_eq!(ask(via, &api, false, &both).await.status, 400, "{via:?}");
    }
    assert!(store.remove("ci"));
    let dropped = api.evict(Evict::client(NAME, "ci")).await.unwrap();
    assert!(dropped >= 1);
    for via in Via::ALL {
        assert_eq!(ask(via, &api, false, &asked).await.status, 401, "{via:?}");
    }
}

/// Answers, or does not.
#[derive(Debug, Default)]
struct Flaky(AtomicBool);

impl ApiKeyStore for Flaky {
    fn find<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<ApiKey>, StoreError>> {
        let down = self.0.load(Ordering::Relaxed);
        Box::pin(async move {
            match down {
                true => Err(StoreError::Unreachable("canary".to_owned())),
                // Under another name than it was asked for.
                false => Ok(Some(ApiKey::new("other", "root").secret(digest(&text("ci", 'a'))))),
            }
        })
    }
}

#[actix_web::test]
async fn a_store_that_is_down_is_our_trouble_and_one_that_errs_lets_nobody_in() {
    for (down, status) in [(true, 503), (false, 401)] {
        for via in Via::ALL {
            let own = Issuer::api_keys(NAME, "acme_", Flaky(AtomicBool::new(down))).unwrap();
            let api = ResourceServer::builder("https://api.example.com").trust(own).build().unwrap();
            let reply = ask(via, &api, false, &Ask::of("/me").bearer(&text("ci", 'a'))).await;
            assert_eq!(reply.status, status, "{via:?}: {reply:?}");
            assert!(!format!("{reply:?}").contains("canary"), "{reply:?}");
        }
    }
}
