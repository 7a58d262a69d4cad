//! What one token costs as the work grows: issuers, distinct tokens, keys, requests in flight on a cold start.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bench_ours::{Asking, ask, no_cache, report, room_for, server, shuffled};
use harness::fixture::{SECRET, jwk_set, secret_jwk};
use harness::{AUDIENCE, Alg, Case, Fixture, Floor, ISSUER, Rounds};
use token_core::http::BoxFuture;
use token_core::{
    Algorithm, Issuer, Presented, ResourceServer, StaticKeys,
    keys::{FetchError, FetchedKeys, KeySource},
    stores::TokenCacheSettings,
};

/// Issuers that are trusted one after the other while the server runs.
const TRUSTED: u32 = 100;

fn main() {
    let fixture = Fixture::new();
    issuers(&fixture);
    key_sets(&fixture);
    distinct_tokens(&fixture);
    in_flight(&fixture);
}

/// Cold and warm among 1 to 10,000 trusted issuers; HS256, whose signature hides the least.
fn issuers(fixture: &Fixture) {
    for count in [1, 10, 100, 1000, 10_000] {
        let name = |n: usize| format!("https://tenant-{n:05}.login.example.com/");
        let build = |cache| {
            let secret = StaticKeys::secret(Algorithm::HS256, SECRET).expect("the secret is long enough");
            let builder = ResourceServer::builder(AUDIENCE).token_cache(cache);
            (0..count)
                .fold(builder, |builder, n| builder.trust(Issuer::with_keys(name(n), secret.clone()).expect("a name")))
                .build()
                .expect("the settings are sound")
        };
        let start = Instant::now();
        let cold = build(no_cache());
        report(&format!("scale.issuers.{count}.build_ms"), start.elapsed().as_secs_f64() * 1000.0);
        let warm = build(room_for(32_768));
        let secret = || StaticKeys::secret(Algorithm::HS256, SECRET).expect("the secret is long enough");
        let start = Instant::now();
        for n in 0..TRUSTED {
            let issuer =
                Issuer::with_keys(format!("https://late-{n:05}.login.example.com/"), secret()).expect("a name");
            cold.trust(issuer).expect("nobody has this name");
        }
        report(&format!("scale.issuers.{count}.trust_us"), start.elapsed().as_secs_f64() * 1e6 / f64::from(TRUSTED));
        (0..TRUSTED).for_each(|n| assert!(cold.distrust(&format!("https://late-{n:05}.login.example.com/"))));
        // One token each of at most 1,000 issuers, spread over all of them.
        let asked = count.min(1000);
        let requests: Vec<_> = (0..asked)
            .map(|n| fixture.claims_of(&name(n * (count / asked)), n))
            .map(|claims| Asking::with(&fixture.sign(Alg::HS256, Alg::HS256.kid(), &claims)))
            .collect();
        let order = shuffled(asked);
        let next = |server: ResourceServer| {
            let (mut at, requests, order) = (0, &requests, &order);
            move || {
                at = if at + 1 == order.len() { 0 } else { at + 1 };
                ask(&server, &requests[order[at]]).is_ok()
            }
        };
        let table = Rounds::from_env().run(vec![Case::new("cold", next(cold)), Case::new("warm", next(warm))]);
        report(&format!("scale.issuers.{count}.cold_ns"), table.ns("cold"));
        report(&format!("scale.issuers.{count}.warm_ns"), table.ns("warm"));
    }
}

/// Cold, with the key chosen out of 2, 10 and 100; what is left beyond the bare MAC.
fn key_sets(fixture: &Fixture) {
    for count in [2, 10, 100] {
        let jwks: Vec<_> = (0..count).map(|n| secret_jwk(&format!("key-number-{n:03}"), SECRET)).collect();
        let server = server(StaticKeys::jwk_set(&jwk_set(&jwks)).expect("the keys are good"), no_cache());
        let requests: Vec<_> = (0..count)
            .map(|n| Asking::with(&fixture.sign(Alg::HS256, &format!("key-number-{n:03}"), &fixture.claims(n))))
            .collect();
        let floor = Floor::of(fixture, Alg::HS256, &fixture.token(Alg::HS256, 1));
        let (order, mut at) = (shuffled(count), 0);
        let table = Rounds::from_env().run(vec![
            Case::new("floor", || floor.verify()),
            Case::new("cold", || {
                at = if at + 1 == order.len() { 0 } else { at + 1 };
                ask(&server, &requests[order[at]]).is_ok()
            }),
        ]);
        report(&format!("scale.keys.{count}.beyond_mac_ns"), table.extra("cold", "floor"));
    }
}

/// Up to 1,000,000 tokens, each seen once, through a cache of 10,000 entries: time per token, and what the cache has grown to.
fn distinct_tokens(fixture: &Fixture) {
    let secret = || StaticKeys::secret(Algorithm::HS256, SECRET).expect("the secret is long enough");
    let cached = server(secret(), TokenCacheSettings::default().entries(10_000).bytes(64 * 1024 * 1024));
    let uncached = server(secret(), no_cache());
    let (mut seen, mut spent, mut bare) = (0, Duration::ZERO, Duration::ZERO);
    let resident = resident_kib();
    for count in [1_000, 10_000, 100_000, 1_000_000] {
        (spent, bare) = if count == 1_000 { (spent, bare) } else { (Duration::ZERO, Duration::ZERO) };
        let from = seen;
        while seen < count {
            let some: Vec<_> = (seen..seen + 1000).map(|n| Asking::with(&fixture.token(Alg::HS256, n))).collect();
            for (server, time) in [(&cached, &mut spent), (&uncached, &mut bare)] {
                let start = Instant::now();
                assert!(some.iter().all(|request| ask(server, request).is_ok()), "every token is good");
                *time += start.elapsed();
            }
            seen += 1000;
        }
        let each = |time: Duration| time.as_nanos() as f64 / (seen - from) as f64;
        report(&format!("scale.tokens.{count}.cached_ns"), each(spent));
        report(&format!("scale.tokens.{count}.uncached_ns"), each(bare));
        report(&format!("scale.tokens.{count}.grown_mib"), resident_kib().saturating_sub(resident) as f64 / 1024.0);
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Requests that all arrive before the first key: how many fetches they cost, and what each costs beyond the fetch itself.
fn in_flight(fixture: &Fixture) {
    const FETCH: Duration = Duration::from_millis(50);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let token = fixture.token(Alg::ES256, 1);
    for count in [10, 100, 1000, 10_000] {
        let source = Arc::new(Slow { jwks: fixture.jwks(), delay: FETCH, fetches: AtomicUsize::new(0) });
        let issuer = Issuer::with_source(ISSUER, Arc::clone(&source) as Arc<dyn KeySource>).expect("a name");
        let server = ResourceServer::builder(AUDIENCE).trust(issuer).build().expect("the settings are sound");
        let took = runtime.block_on(async {
            let start = Instant::now();
            let waiting: Vec<_> = (0..count)
                .map(|_| {
                    let pending = server.authenticate(Presented::token(&token));
                    tokio::spawn(pending)
                })
                .collect();
            for one in waiting {
                assert!(one.await.expect("no task panics").is_ok(), "every request is let in");
            }
            start.elapsed()
        });
        let each = took.saturating_sub(FETCH).as_nanos() as f64 / count as f64;
        report(&format!("scale.in_flight.{count}.each_ns"), each);
        report(&format!("scale.in_flight.{count}.fetches"), source.fetches.load(Ordering::Relaxed) as f64);
    }
}

/// An issuer that takes its time.
#[derive(Debug)]
struct Slow {
    jwks: String,
    delay: Duration,
    fetches: AtomicUsize,
}

impl KeySource for Slow {
    fn fetch(&self) -> BoxFuture<'_, Result<FetchedKeys, FetchError>> {
        self.fetches.fetch_add(1, Ordering::Relaxed);
        Box::pin(later(self.delay, FetchedKeys::new(self.jwks.clone())))
    }
}

fn later(delay: Duration, keys: FetchedKeys) -> impl Future<Output = Result<FetchedKeys, FetchError>> {
    async move {
        tokio::time::sleep(delay).await;
        Ok(keys)
    }
}
