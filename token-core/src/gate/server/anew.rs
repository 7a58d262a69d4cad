//! What is decided anew each time: on warm tokens, on the short road, and after everything that was waited for.

mod answers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};

use super::tests::{AUDIENCE, Gate, ISSUER, NOW, claims, issuer, sign, token};
use crate::answer::error::ErrorKind;
use crate::base::http::{BoxFuture, HttpClient, HttpError, Limits};
use crate::base::time::Timestamp;
use crate::base::time::hands::Hands;
use crate::gate::server::ResourceServer;
use crate::jose::Algorithm;
use crate::jose::signing::SigningKey;
use crate::keys::{FetchError, FetchedKeys, KeySource};
use crate::request::presented::Presented;
use crate::stores::memory_deny_list::MemoryDenyList;
use crate::stores::{Deny, TokenCacheSettings};
use crate::trust::issuer::Issuer;
use crate::trust::resolver::{IssuerResolver, ResolverSettings, Unresolved};

const DAY: u64 = 24 * 3600;

/// Publishes these keys, and goes down when it is told to.
#[derive(Debug, Default)]
struct Publisher {
    keys: Vec<Value>,
    down: AtomicBool,
}

impl KeySource for Publisher {
    fn fetch(&self) -> BoxFuture<'_, Result<FetchedKeys, FetchError>> {
        let answer = match self.down.load(Ordering::SeqCst) {
            true => Err(FetchError::Http(HttpError::Connect("refused".to_owned()))),
            false => Ok(FetchedKeys::new(json!({"keys": self.keys}).to_string())),
        };
        Box::pin(std::future::ready(answer))
    }
}

impl HttpClient for Publisher {
    fn send(&self, _: Request<Bytes>, _: Limits) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        let body = json!({"keys": self.keys}).to_string();
        let answer = Response::builder().header("content-type", "application/json").body(Bytes::from(body));
        Box::pin(std::future::ready(Ok(answer.unwrap())))
    }
}

fn signer(kid: &str) -> SigningKey {
    let pem = include_bytes!("../../../../token-test/keys/p256-1.pem");
    SigningKey::from_pem(Algorithm::ES256, Some(kid), pem).unwrap()
}

fn es256(kid: &str, claims: &Value) -> String {
    signer(kid).sign_jwt(&json!({"alg": "ES256", "kid": kid}).to_string(), &claims.to_string()).unwrap()
}

fn published(issuer: &str, keys: impl IntoIterator<Item = Value>) -> (Issuer, Arc<Publisher>) {
    let source = Arc::new(Publisher { keys: keys.into_iter().collect(), ..Publisher::default() });
    (Issuer::with_source(issuer, Arc::clone(&source) as Arc<dyn KeySource>).unwrap(), source)
}

async fn kind(api: &ResourceServer, token: &str) -> Option<ErrorKind> {
    api.authenticate(Presented::token(token)).await.err().map(|error| error.kind())
}

fn at(gate: &Gate, seconds: i64) {
    gate.clock.set(NOW + seconds);
}

#[test]
fn the_claims_of_a_warm_token_are_judged_again() {
    let gate = Gate::new(TokenCacheSettings::default());
    let text = token(json!({"nbf": NOW}));
    gate.ask(&text).unwrap();
    at(&gate, -29);
    assert!(gate.ask(&text).is_ok(), "within the leeway");
    at(&gate, -31);
    assert_eq!(gate.kind(&text), ErrorKind::NotYetValid);
}

#[test]
fn a_warm_token_ends_with_its_entry_in_the_registry_even_if_the_cache_still_holds_it() {
    let gate = Gate::new(TokenCacheSettings::default());
    let text = token(json!({}));
    gate.ask(&text).unwrap();
    // As `distrust` does, up to where it sweeps the cache: what is verified at that moment may come in after the sweep.
    gate.api.0.registry.rcu(|registry| {
        let mut changed = crate::trust::registry::Registry::clone(registry);
        changed.remove(ISSUER).iter().for_each(|gone| gone.removed.store(true, Ordering::Relaxed));
        changed
    });
    assert_eq!(gate.kind(&text), ErrorKind::UnknownIssuer);
}

#[tokio::test(start_paused = true)]
async fn a_warm_token_ends_with_the_key_set_that_vouches_for_it() {
    let (trusted, source) = published(ISSUER, [signer("a").public_jwk().unwrap()]);
    let clock = Hands::at(NOW);
    let long = TokenCacheSettings::default().life(Duration::from_secs(DAY));
    let api = ResourceServer::builder(AUDIENCE).trust(trusted).clock(clock.clone()).token_cache(long).build().unwrap();
    let text = es256("a", &claims(json!({"exp": NOW + 2 * DAY as i64})));
    assert_eq!((kind(&api, &text).await, kind(&api, &text).await), (None, None));
    source.down.store(true, Ordering::SeqCst);
    // A set is fresh for ten minutes, and serves for an hour more.
    for (minutes, expected) in [(69, None), (71, Some(ErrorKind::Unavailable))] {
        clock.set(NOW + minutes * 60);
        assert_eq!(kind(&api, &text).await, expected, "{minutes} min");
    }
}

#[test]
fn the_short_road_compares_the_issuer_byte_by_byte() {
    let gate = Gate::new(TokenCacheSettings::default().entries(0));
    gate.ask(&token(json!({}))).unwrap();
    for iss in [ISSUER.to_uppercase(), format!("{ISSUER}/"), ISSUER.replace("https", "HTTPS")] {
        assert_eq!(gate.kind(&token(json!({"iss": iss}))), ErrorKind::UnknownIssuer, "{iss}");
    }
}

#[test]
fn strict_mode_wants_each_claim_that_rfc_9068_requires() {
    let gate = Gate::with(issuer().rfc9068(), |builder| builder);
    let full = claims(json!({"client_id": "app", "iat": NOW, "jti": "1"}));
    let header = json!({"alg": "HS256", "typ": "at+jwt"});
    // Cold and on the short road: a well-signed token of this very header goes first.
    for _ in 0..2 {
        for claim in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
            let mut without = full.clone();
            without.as_object_mut().unwrap().remove(claim);
            let expected = if claim == "aud" { ErrorKind::WrongAudience } else { ErrorKind::ClaimsMismatch };
            assert_eq!(gate.kind(&sign(&header, &without)), expected, "{claim}");
        }
        assert!(gate.ask(&sign(&header, &full)).is_ok());
    }
}

#[tokio::test]
async fn the_deny_list_is_asked_after_everything_that_was_waited_for() {
    #[derive(Debug)]
    struct Directory;
    impl IssuerResolver for Directory {
        fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Issuer>, Unresolved>> {
            Box::pin(std::future::ready(Ok(Some(issuer()))))
        }
    }
    let list = MemoryDenyList::new();
    list.insert(Deny::token_id(ISSUER, "denied"), Timestamp::MAX).unwrap();
    let builder = || ResourceServer::builder(AUDIENCE).clock(Hands::at(NOW)).deny_list(list.clone());
    for jti in ["denied", "other"] {
        let waiting_for_keys = {
            let (trusted, _) = published(ISSUER, [signer("a").public_jwk().unwrap()]);
            (builder().trust(trusted).build().unwrap(), es256("a", &claims(json!({"jti": jti}))))
        };
        let waiting_for_the_issuer =
            (builder().resolver(Directory, ResolverSettings::default()).build().unwrap(), token(json!({"jti": jti})));
        for (what, (api, text)) in [("keys", waiting_for_keys), ("an issuer", waiting_for_the_issuer)] {
            let verdict = api.authenticate(Presented::token(&text)).now().expect_err("there is something to wait for");
            let kind = verdict.await.err().map(|error| error.kind());
            assert_eq!(kind, (jti == "denied").then_some(ErrorKind::Inactive), "after waiting for {what}");
        }
    }
}

#[tokio::test]
async fn a_published_key_vouches_for_the_issuer_it_names_and_for_no_other() {
    const OURS: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    const OTHER: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
    let name = |tenant: &str| format!("https://login.example/{tenant}/v2.0");
    let key = |kid: &str, issuer: Option<String>| {
        let mut jwk = signer(kid).public_jwk().unwrap();
        if let Some(issuer) = issuer {
            jwk["issuer"] = json!(issuer);
        }
        jwk
    };
    let keys = [key("ours", Some(name(OURS))), key("everybody's", Some(name("{tenantid}"))), key("unmarked", None)];
    let source = Arc::new(Publisher { keys: keys.into(), ..Publisher::default() });
    let template = || Issuer::template(name("{tenantid}"), "https://login.example/keys").unwrap();
    for (kid, tenant, expected) in [
        ("ours", OURS, None),
        ("ours", OTHER, Some(ErrorKind::UnknownKey)),
        ("everybody's", OURS, None),
        ("everybody's", OTHER, None),
        ("unmarked", OTHER, None),
    ] {
        let api = ResourceServer::builder(AUDIENCE)
            .trust(template().http_client(Arc::clone(&source) as Arc<dyn HttpClient>))
            .clock(Hands::at(NOW))
            .build()
            .unwrap();
        let text = es256(kid, &claims(json!({"iss": name(tenant)})));
        for temperature in ["cold", "warm"] {
            assert_eq!(kind(&api, &text).await, expected, "{temperature}: a token of {tenant} by the key {kid}");
        }
    }
}

#[test]
fn a_token_whose_time_in_the_cache_is_over_is_remembered_anew() {
    for seconds in [301, -3600] {
        let gate = Gate::new(TokenCacheSettings::default());
        let text = token(json!({"exp": NOW + 6000}));
        gate.ask(&text).unwrap();
        at(&gate, seconds);
        let again = gate.ask(&text).unwrap().claims::<Value>().unwrap();
        let shared = gate.ask(&text).unwrap().claims::<Value>().unwrap();
        assert!(Arc::ptr_eq(&again, &shared), "{seconds} s: verified once, and a hit from then on");
    }
}
