mod forgetting;

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::*;
use crate::answer::check::Check;
use crate::base::time::hands::Hands;
use crate::jose::Algorithm;
use crate::jose::signing::SigningKey;
use crate::request::presented::RequestView;
use crate::request::sent::Sent;
use crate::stores::TokenCacheSettings;
use crate::stores::memory_deny_list::MemoryDenyList;
use crate::stores::{Deny, Evict};
use crate::trust::claim_rule::ClaimRule;
use crate::trust::static_keys::StaticKeys;
use crate::verify::verified::Verified;

const NOW: i64 = 1_800_000_000;
/// The issuer that the tenants `shared-1` and `shared-2` have in common: their organisations tell their tokens apart.
const SHARED: &str = "https://shared/";

/// A request for a host, with a bearer token.
fn sent(host: &str, token: &str) -> Sent {
    Sent::get("/").authority(host).field("authorization", format!("Bearer {token}"))
}

#[derive(Debug, Default)]
struct Directory {
    asked: AtomicUsize,
    hold: Option<Arc<Notify>>,
    /// Tenants that are there from now on, or no more.
    changed: std::sync::Mutex<HashMap<String, bool>>,
}

fn secret(issuer: &str) -> Vec<u8> {
    format!("the secret of {issuer}, of more than thirty-two bytes").into_bytes()
}

fn issuer(name: &str) -> Issuer {
    Issuer::with_keys(name, StaticKeys::secret(Algorithm::HS256, &secret(name)).unwrap()).unwrap()
}

impl TenantResolver for Arc<Directory> {
    fn tenant<'r>(&self, request: &'r dyn RequestView) -> Option<Cow<'r, str>> {
        Some(request.host()?.strip_suffix(".example")?.into())
    }

    fn issuers<'a>(&'a self, tenant: &'a str) -> BoxFuture<'a, Result<Option<Vec<Issuer>>, Unresolved>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let changed = self.changed.lock().unwrap().get(tenant).copied();
            if let Some(hold) = &self.hold {
                hold.notified().await;
            }
            Ok(Some(match tenant {
                _ if changed == Some(false) => return Ok(None),
                "a" | "b" | "c" => vec![issuer(&format!("https://{tenant}/"))],
                _ if changed == Some(true) => vec![issuer(&format!("https://{tenant}/"))],
                "shared-1" | "shared-2" => {
                    vec![issuer(SHARED).require_claim(ClaimRule::one_of("org", [tenant]))]
                }
                "empty" => Vec::new(),
                "twice" => vec![issuer("https://a/"), issuer("https://a/")],
                "down" => return Err(Unresolved::because("no database")),
                _ => return Ok(None),
            }))
        })
    }
}

struct Bench {
    api: ResourceServer,
    directory: Arc<Directory>,
    clock: Hands,
}

fn bench(settings: ResolverSettings, hold: Option<Arc<Notify>>) -> Bench {
    bench_with(settings, hold, TokenCacheSettings::default())
}

fn bench_with(settings: ResolverSettings, hold: Option<Arc<Notify>>, cache: TokenCacheSettings) -> Bench {
    let (directory, clock) = (Arc::new(Directory { hold, ..Directory::default() }), Hands::at(NOW));
    let builder = ResourceServer::builder("api")
        .tenants(Arc::clone(&directory), settings)
        .deny_list(MemoryDenyList::new())
        .token_cache(cache)
        .clock(clock.clone());
    Bench { api: builder.build().unwrap(), directory, clock }
}

fn token(iss: &str, more: Value) -> String {
    let key = SigningKey::from_secret(Algorithm::HS256, None, &secret(iss)).unwrap();
    let mut claims = json!({"iss": iss, "aud": "api", "sub": "ada", "exp": NOW + 6000});
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    key.sign_jwt(r#"{"alg":"HS256"}"#, &claims.to_string()).unwrap()
}

impl Bench {
    async fn ask(&self, host: &str, token: &str) -> Result<Verified, Error> {
        self.api.authenticate(Presented::request(&sent(host, token))).await
    }

    async fn kind(&self, host: &str, token: &str) -> Option<ErrorKind> {
        self.ask(host, token).await.err().map(|error| error.kind())
    }

    fn asked(&self) -> usize {
        self.directory.asked.load(Ordering::Relaxed)
    }

    fn cached(&self) -> usize {
        self.api.0.cache.as_ref().map_or(0, |cache| cache.usage().0)
    }
}

#[tokio::test]
async fn a_request_selects_a_tenant_and_the_token_has_to_be_of_its_issuer() {
    let bench = bench(ResolverSettings::default(), None);
    let (a, b) = (token("https://a/", json!({})), token("https://b/", json!({})));
    // Cold, warm, and in an order in which each verdict could be mistaken for another's.
    for _ in 0..3 {
        let verified = bench.ask("a.example", &a).await.unwrap();
        assert_eq!((verified.issuer(), verified.tenant()), ("https://a/", Some("a")));
        assert_eq!(bench.kind("b.example", &a).await, Some(ErrorKind::UnknownIssuer), "a's token at b");
        assert_eq!(bench.ask("b.example", &b).await.unwrap().tenant(), Some("b"));
        assert_eq!(bench.kind("a.example", &b).await, Some(ErrorKind::UnknownIssuer), "b's token at a");
    }
    assert_eq!(bench.asked(), 2, "each tenant once");
    assert_eq!(bench.cached(), 2);
    for (host, why) in [("stranger.example", "no such tenant"), ("elsewhere.test", "a request for no tenant")] {
        for _ in 0..2 {
            assert_eq!(bench.kind(host, &a).await, Some(ErrorKind::UnknownIssuer), "{why}");
        }
    }
    assert_eq!(bench.asked(), 3, "the stranger once, a request without a tenant not at all");
}

#[tokio::test]
async fn a_cached_verdict_of_one_tenant_never_answers_for_another_that_shares_the_issuer() {
    for cache in [TokenCacheSettings::default(), TokenCacheSettings::default().keep_digests()] {
        let bench = bench_with(ResolverSettings::default(), None, cache);
        let one = token(SHARED, json!({"org": "shared-1"}));
        for _ in 0..3 {
            assert_eq!(bench.ask("shared-1.example", &one).await.unwrap().tenant(), Some("shared-1"));
            assert_eq!(bench.kind("shared-2.example", &one).await, Some(ErrorKind::ClaimsMismatch));
        }
        assert_eq!(bench.cached(), 1, "the verdict was remembered, and for one tenant");
    }
}

#[tokio::test]
async fn one_text_may_be_good_for_two_tenants_and_each_has_its_own_verdict() {
    let bench = bench(ResolverSettings::default(), None);
    let both = token("https://a/", json!({}));
    bench.directory.changed.lock().unwrap().insert("twin".into(), true);
    // The tenant `twin` has an issuer of its own; `a` is known at both only where its own directory says so.
    assert_eq!(bench.kind("twin.example", &both).await, Some(ErrorKind::UnknownIssuer));
    let a = bench.api.tenant("a").await.unwrap();
    let twin = bench.api.tenant("twin").await.unwrap();
    twin.add(issuer("https://a/")).unwrap();
    for _ in 0..2 {
        assert_eq!(a.authenticate(Presented::token(&both)).await.unwrap().tenant(), Some("a"));
        assert_eq!(twin.authenticate(Presented::token(&both)).await.unwrap().tenant(), Some("twin"));
    }
    assert_eq!(bench.cached(), 2);
    assert_eq!(bench.api.evict(Evict::token(&both)).await.unwrap(), 2, "an eviction finds it at both");
}

#[tokio::test]
async fn a_tenant_that_is_forgotten_is_refused_at_once_and_looked_up_anew() {
    let bench = bench(ResolverSettings::default(), None);
    let token = token("https://a/", json!({}));
    assert_eq!(bench.kind("a.example", &token).await, None);
    let held = bench.api.tenant("a").await.unwrap();
    bench.directory.changed.lock().unwrap().insert("a".into(), false);
    assert_eq!(bench.kind("a.example", &token).await, None, "nobody told the server yet");
    assert!(bench.api.forget_tenant("a"));
    assert_eq!(bench.cached(), 0);
    assert_eq!(bench.kind("a.example", &token).await, Some(ErrorKind::UnknownIssuer));
    let outcome = held.authenticate(Presented::token(&token)).await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::UnknownIssuer, "who holds its server is refused, too");
    bench.directory.changed.lock().unwrap().remove("a");
    assert_eq!(bench.kind("a.example", &token).await, Some(ErrorKind::UnknownIssuer), "a stranger for half a minute");
    assert!(!bench.api.forget_tenant("a"), "it was not known, and is no stranger any more");
    assert_eq!(bench.kind("a.example", &token).await, None);
    bench.clock.set(NOW + 7000);
    assert_eq!(bench.kind("a.example", &token).await, Some(ErrorKind::Expired));
}

#[tokio::test]
async fn what_a_look_up_finds_after_the_operators_word_does_not_count() {
    let hold = Arc::new(Notify::new());
    let bench = bench(ResolverSettings::default(), Some(Arc::clone(&hold)));
    let token = token("https://a/", json!({}));
    let request = sent("a.example", &token);
    let first = bench.api.authenticate(Presented::request(&request));
    tokio::task::yield_now().await;
    assert_eq!(bench.asked(), 1);
    bench.directory.changed.lock().unwrap().insert("a".into(), false);
    bench.api.forget_tenant("a");
    hold.notify_one();
    assert_eq!(first.await.unwrap_err().kind(), ErrorKind::Unavailable);
    hold.notify_one();
    assert_eq!(bench.kind("a.example", &token).await, Some(ErrorKind::UnknownIssuer));
}

#[tokio::test]
async fn trouble_is_ours_and_not_remembered() {
    let bench = bench(ResolverSettings::default(), None);
    let token = token("https://a/", json!({}));
    for host in ["down.example", "empty.example", "twice.example"] {
        let before = bench.asked();
        for _ in 0..2 {
            assert_eq!(bench.kind(host, &token).await, Some(ErrorKind::Unavailable), "{host}");
        }
        assert_eq!(bench.asked(), before + 2);
    }
}

#[tokio::test]
async fn the_number_of_tenants_is_bounded_and_a_crowd_shares_one_look_up() {
    let bench = bench(ResolverSettings::default().most(2), None);
    for tenant in ["a", "b", "c", "a"] {
        let token = token(&format!("https://{tenant}/"), json!({}));
        let request = sent(&format!("{tenant}.example"), &token);
        let crowd: Vec<_> = (0..20).map(|_| bench.api.authenticate(Presented::request(&request))).collect();
        for one in crowd {
            assert_eq!(one.await.unwrap().tenant(), Some(tenant));
        }
    }
    assert_eq!(bench.asked(), 4, "a had made room for c");
    let tenants = bench.api.0.tenants.as_ref().unwrap();
    assert_eq!(tenants.all().len(), 2);
}

#[tokio::test]
async fn a_tenant_that_had_to_make_room_is_still_reached_by_the_operators_word() {
    for word in ["forget", "distrust"] {
        let bench = bench(ResolverSettings::default().most(1), None);
        let of_a = token("https://a/", json!({}));
        let held = bench.api.tenant("a").await.unwrap();
        assert!(held.authenticate(Presented::token(&of_a)).await.is_ok());
        bench.api.tenant("b").await.unwrap();
        assert!(held.authenticate(Presented::token(&of_a)).await.is_ok(), "it made room and nothing was said of it");
        let done = match word {
            "forget" => bench.api.forget_tenant("a"),
            _ => bench.api.distrust("https://a/"),
        };
        assert!(done, "{word}");
        assert!(held.authenticate(Presented::token(&of_a)).await.is_err(), "{word}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_when_its_tenant_makes_room_and_ends_by_the_operators_word() {
    use std::time::Duration;
    for (word, expected) in [
        ("deny", ErrorKind::Inactive),
        ("forget", ErrorKind::UnknownIssuer),
        ("distrust", ErrorKind::UnknownIssuer),
        ("replace", ErrorKind::Inactive),
    ] {
        let bench = bench(ResolverSettings::default().most(1), None);
        let verified = bench.ask("a.example", &token("https://a/", json!({"sid": "s"}))).await.unwrap();
        let mut ended = Box::pin(verified.until_expiry());
        let not_yet = Duration::from_secs(100);
        assert!(tokio::time::timeout(not_yet, &mut ended).await.is_err());
        bench.api.tenant("b").await.unwrap();
        assert!(
            tokio::time::timeout(not_yet, &mut ended).await.is_err(),
            "{word}: it made room and nothing was said of it"
        );
        match word {
            "deny" => bench.api.deny(Deny::session("https://a/", "s"), Timestamp::MAX).await.unwrap(),
            "forget" => assert!(bench.api.forget_tenant("a")),
            "distrust" => assert!(bench.api.distrust("https://a/")),
            _ => drop(bench.api),
        }
        let end = tokio::time::timeout(not_yet, ended).await.unwrap_or_else(|_| panic!("{word}: it goes on"));
        assert_eq!(end.error().kind(), expected, "{word}");
    }
}

#[tokio::test]
async fn who_sends_no_token_learns_nothing_of_tenants() {
    let bench = bench(ResolverSettings::default(), None);
    for host in ["a.example", "stranger.example", "elsewhere.test"] {
        let outcome = bench.api.authenticate(Presented::request(&Sent::get("/").authority(host))).await;
        let kind = outcome.unwrap_err().kind();
        assert_eq!(kind, ErrorKind::MissingToken, "{host}");
    }
    assert_eq!(bench.asked(), 0);
}

#[tokio::test]
async fn a_token_without_a_request_needs_the_tenants_own_server() {
    let bench = bench(ResolverSettings::default(), None);
    let token = token("https://a/", json!({}));
    let outcome = bench.api.authenticate(Presented::token(&token)).await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Misconfigured);
    let a = bench.api.tenant("a").await.unwrap();
    assert_eq!(a.authenticate(Presented::token(&token)).await.unwrap().tenant(), Some("a"));
    assert_eq!(bench.api.tenant("stranger").await.unwrap_err().kind(), ErrorKind::UnknownIssuer);
    assert_eq!(a.tenant("a").await.unwrap_err().kind(), ErrorKind::Misconfigured);
}

#[tokio::test]
async fn denials_evictions_and_distrust_reach_every_tenant() {
    let bench = bench(ResolverSettings::default(), None);
    let (a, b) = (token("https://a/", json!({"jti": "1"})), token("https://b/", json!({"jti": "1"})));
    assert_eq!((bench.kind("a.example", &a).await, bench.kind("b.example", &b).await), (None, None));
    bench.api.deny(Deny::token_id("https://a/", "1"), Timestamp::MAX).await.unwrap();
    assert_eq!(
        (bench.kind("a.example", &a).await, bench.kind("b.example", &b).await),
        (Some(ErrorKind::Inactive), None)
    );
    assert_eq!(bench.api.evict(Evict::subject("https://b/", "ada")).await.unwrap(), 1);
    assert!(bench.api.distrust("https://b/"));
    assert_eq!(bench.kind("b.example", &b).await, Some(ErrorKind::UnknownIssuer));
    assert!(bench.api.trust(issuer("https://z/")).is_err(), "tenants come from the resolver alone");
}

#[tokio::test]
async fn an_explanation_is_the_tenants_own() {
    let bench = bench(ResolverSettings::default(), None);
    let almost = token("https://a/", json!({"aud": "API"}));
    for round in ["cold", "warm"] {
        let request = sent("a.example", &almost);
        let report = bench.api.explain(Presented::request(&request)).await;
        let failed = report.failed().unwrap();
        assert_eq!((report.kind, failed.check), (Some(ErrorKind::WrongAudience), Check::Audience), "{round}");
        let slashless = token("https://a", json!({}));
        let request = sent("a.example", &slashless);
        let report = bench.api.explain(Presented::request(&request)).await;
        let cause = report.failed().unwrap().cause.unwrap_or_default();
        assert!(cause.contains("slash"), "{round}: the tenant's own issuer is compared with: {cause}");
    }
    let request = sent("stranger.example", &almost);
    let report = bench.api.explain(Presented::request(&request)).await;
    assert_eq!(report.failed().unwrap().check, Check::Credentials);
    let request = sent("a.example", &token("https://a/", json!({})));
    assert!(bench.api.explain(Presented::request(&request)).await.accepted);
}

#[test]
fn tenants_and_issuers_for_all_contradict_each_other() {
    let builder =
        || ResourceServer::builder("api").tenants(Arc::new(Directory::default()), ResolverSettings::default());
    assert!(builder().build().is_ok());
    assert!(builder().trust(issuer("https://a/")).build().is_err());
}
