use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use serde_json::json;
use tokio::sync::Notify;

use super::*;
use crate::answer::error::ErrorKind;
use crate::base::time::hands::Hands;
use crate::jose::Algorithm;
use crate::jose::signing::SigningKey;
use crate::request::presented::Presented;
use crate::trust::resolver::lookups::AT_ONCE;
use crate::trust::static_keys::StaticKeys;

const SECRET: &[u8] = b"a secret of more than thirty-two bytes";
const NOW: i64 = 1_800_000_000;

#[derive(Debug, Default)]
struct Tenants {
    asked: AtomicUsize,
    hold: Option<Arc<Notify>>,
}

fn issuer(name: &str) -> Issuer {
    Issuer::with_keys(name, StaticKeys::secret(Algorithm::HS256, SECRET).unwrap()).unwrap()
}

impl IssuerResolver for Arc<Tenants> {
    fn resolve<'a>(&'a self, untrusted_issuer: &'a str) -> BoxFuture<'a, Result<Option<Issuer>, Unresolved>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if let Some(hold) = &self.hold {
                hold.notified().await;
            }
            match untrusted_issuer {
                "https://down/" => Err(Unresolved::because("no database")),
                "https://liar/" => Ok(Some(issuer("https://other/"))),
                "https://panic/" => panic!("on purpose"),
                name if name.starts_with("https://tenant-") => Ok(Some(issuer(name))),
                _ => Ok(None),
            }
        })
    }
}

struct Bench {
    api: ResourceServer,
    tenants: Arc<Tenants>,
    clock: Hands,
}

fn bench(settings: ResolverSettings, hold: Option<Arc<Notify>>) -> Bench {
    let (tenants, clock) = (Arc::new(Tenants { hold, ..Tenants::default() }), Hands::at(NOW));
    let builder = ResourceServer::builder("api").resolver(Arc::clone(&tenants), settings).clock(clock.clone());
    Bench { api: builder.build().unwrap(), tenants, clock }
}

fn token(name: &str) -> String {
    let key = SigningKey::from_secret(Algorithm::HS256, None, SECRET).unwrap();
    let claims = json!({"iss": name, "aud": "api", "exp": NOW + 6000});
    key.sign_jwt(r#"{"alg":"HS256"}"#, &claims.to_string()).unwrap()
}

impl Bench {
    async fn kind(&self, name: &str) -> Option<ErrorKind> {
        self.api.authenticate(Presented::token(&token(name))).await.err().map(|error| error.kind())
    }

    fn asked(&self) -> usize {
        self.tenants.asked.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn a_tenant_is_looked_up_once_and_a_stranger_every_half_minute() {
    let bench = bench(ResolverSettings::default(), None);
    for _ in 0..3 {
        assert_eq!(bench.kind("https://tenant-a/").await, None);
    }
    assert_eq!(bench.asked(), 1);
    for _ in 0..3 {
        assert_eq!(bench.kind("https://stranger/").await, Some(ErrorKind::UnknownIssuer));
    }
    assert_eq!(bench.asked(), 2);
    bench.clock.set(NOW + 31);
    assert_eq!(bench.kind("https://stranger/").await, Some(ErrorKind::UnknownIssuer));
    assert_eq!(bench.asked(), 3);
    assert_eq!(bench.kind(&"x".repeat(3000)).await, Some(ErrorKind::UnknownIssuer));
    assert_eq!(bench.asked(), 3, "too long to be looked up");
}

#[tokio::test]
async fn trouble_is_ours_and_not_remembered() {
    let bench = bench(ResolverSettings::default(), None);
    for name in ["https://down/", "https://panic/"] {
        let before = bench.asked();
        assert_eq!(bench.kind(name).await, Some(ErrorKind::Unavailable), "{name}");
        assert_eq!(bench.kind(name).await, Some(ErrorKind::Unavailable), "{name}");
        assert_eq!(bench.asked(), before + 2);
    }
    assert_eq!(bench.kind("https://liar/").await, Some(ErrorKind::UnknownIssuer));
    assert_eq!(bench.kind("https://other/").await, Some(ErrorKind::UnknownIssuer), "nobody asked for that one");
}

#[tokio::test]
async fn a_crowd_shares_one_look_up_and_survives_the_first_of_them() {
    let hold = Arc::new(Notify::new());
    let bench = bench(ResolverSettings::default(), Some(Arc::clone(&hold)));
    let token = token("https://tenant-a/");
    let first = bench.api.authenticate(Presented::token(&token));
    let crowd: Vec<_> = (0..50).map(|_| bench.api.authenticate(Presented::token(&token))).collect();
    drop(first);
    tokio::task::yield_now().await;
    hold.notify_one();
    for one in crowd {
        assert!(one.await.is_ok());
    }
    assert_eq!(bench.asked(), 1);
}

#[tokio::test]
async fn strangers_cannot_have_more_looked_up_at_once_than_agreed() {
    let bench = bench(ResolverSettings::default(), Some(Arc::new(Notify::new())));
    let waiting: Vec<_> =
        (0..100).map(|n| bench.api.authenticate(Presented::token(&token(&format!("https://s{n}/"))))).collect();
    tokio::task::yield_now().await;
    assert_eq!(bench.asked(), AT_ONCE);
    let refused = waiting
        .into_iter()
        .filter_map(|one| one.now().ok())
        .filter(|outcome| outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unavailable));
    assert_eq!(refused.count(), 100 - AT_ONCE);
}

#[tokio::test]
async fn the_number_of_looked_up_issuers_is_bounded() {
    let bench = bench(ResolverSettings::default().most(2), None);
    for name in ["https://tenant-a/", "https://tenant-b/", "https://tenant-c/"] {
        assert_eq!(bench.kind(name).await, None);
    }
    assert_eq!(bench.api.health().len(), 2);
    assert_eq!(bench.kind("https://tenant-a/").await, None, "looked up again");
    assert_eq!(bench.asked(), 4);
    assert!(bench.api.distrust("https://tenant-a/"));
    bench.api.trust(issuer("https://tenant-a/")).unwrap();
    assert_eq!(bench.kind("https://tenant-a/").await, None);
    assert_eq!(bench.asked(), 4);
}

#[test]
fn without_a_runtime_a_stranger_is_looked_up_where_the_verdict_is_awaited() {
    let bench = bench(ResolverSettings::default(), None);
    let token = token("https://tenant-a/");
    let ask = || bench.api.authenticate(Presented::token(&token)).now().unwrap_err();
    let polled = pin!(ask()).poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Err(error)) = polled else { panic!("{polled:?}") };
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error}");
    assert_eq!(bench.asked(), 0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    assert!(runtime.block_on(ask()).is_ok());
    assert_eq!(bench.asked(), 1);
}
