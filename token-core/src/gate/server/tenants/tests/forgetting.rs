//! Whatever is denied, distrusted, retired, forgotten or over, and whatever the cache keeps and drops meanwhile: no verdict outlives its
//! reasons, and none is given to another tenant.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::jose::jwk_set::{KeySet, Origin};
use crate::keys::Keys;
use crate::request::bearer::Candidate;

/// Whose tokens there are: host, issuer, `org`.
const HOMES: [(&str, &str, Option<&str>); 4] = [
    ("a", "https://a/", None),
    ("b", "https://b/", None),
    ("shared-1", SHARED, Some("shared-1")),
    ("shared-2", SHARED, Some("shared-2")),
];
const SUBJECTS: usize = 12;
const LIFE: i64 = 600;

#[derive(Clone, Debug)]
enum Step {
    Ask(usize, usize, usize),
    Deny(usize, usize),
    Evict(usize, usize),
    EvictToken(usize, usize),
    Distrust(usize),
    Forget(usize),
    Retire(usize),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let (home, subject) = (0..HOMES.len(), 0..SUBJECTS);
    prop_oneof![
        30 => (home.clone(), home.clone(), subject.clone()).prop_map(|(at, of, subject)| Step::Ask(at, of, subject)),
        30 => (home.clone(), subject.clone()).prop_map(|(home, subject)| Step::Ask(home, home, subject)),
        2 => (home.clone(), subject.clone()).prop_map(|(home, subject)| Step::Deny(home, subject)),
        2 => (home.clone(), subject.clone()).prop_map(|(home, subject)| Step::Evict(home, subject)),
        2 => (home.clone(), subject).prop_map(|(home, subject)| Step::EvictToken(home, subject)),
        1 => home.clone().prop_map(Step::Distrust),
        2 => home.clone().prop_map(Step::Forget),
        1 => home.prop_map(Step::Retire),
        1 => (1..400_i64).prop_map(Step::Wait),
    ]
}

fn bounds() -> impl Strategy<Value = TokenCacheSettings> {
    let settings =
        (prop_oneof![Just(8_usize), Just(16), Just(64)], prop_oneof![Just(2000_usize), Just(9000), Just(1 << 20)]);
    (settings, any::<bool>()).prop_map(|((entries, bytes), digests)| {
        let settings = TokenCacheSettings::default().entries(entries).bytes(bytes);
        if digests { settings.keep_digests() } else { settings }
    })
}

/// What must hold, kept beside the server.
struct Truth {
    bench: Bench,
    tokens: Vec<Vec<String>>,
    denied: HashSet<(&'static str, usize)>,
    distrusted: HashSet<&'static str>,
    retired: HashSet<&'static str>,
}

impl Truth {
    fn new(settings: TokenCacheSettings) -> Self {
        let of = |(_, issuer, org): (&str, &str, Option<&str>)| {
            let claims = |subject: usize| json!({"sub": format!("s{subject}"), "exp": NOW + LIFE, "org": org});
            (0..SUBJECTS).map(|subject| token(issuer, claims(subject))).collect()
        };
        let tokens = HOMES.into_iter().map(of).collect();
        let bench = bench_with(ResolverSettings::default(), None, settings);
        Self { bench, tokens, denied: HashSet::new(), distrusted: HashSet::new(), retired: HashSet::new() }
    }

    fn now(&self) -> i64 {
        self.bench.clock.0.load(Ordering::Relaxed) - NOW
    }

    /// Whether the token is good, were there no cache.
    fn is_good(&self, at: usize, of: usize, subject: usize) -> bool {
        let ((host, ..), (home, issuer, _)) = (HOMES[at], HOMES[of]);
        host == home
            && !self.distrusted.contains(host)
            && !self.denied.contains(&(issuer, subject))
            && self.now() < LIFE + 30
    }

    async fn go(&mut self, step: &Step) {
        match *step {
            Step::Ask(at, of, subject) => {
                let seen = self.bench.ask(&format!("{}.example", HOMES[at].0), &self.tokens[of][subject]).await;
                assert_eq!(seen.is_ok(), self.is_good(at, of, subject), "{step:?}: {seen:?}");
                if let Ok(verified) = seen {
                    assert_eq!(verified.tenant(), Some(HOMES[at].0));
                    assert_eq!(verified.subject(), Some(format!("s{subject}").as_str()));
                }
            }
            Step::Deny(of, subject) => {
                let issuer = HOMES[of].1;
                let end = Timestamp::from_secs(NOW + 10 * LIFE);
                self.bench.api.deny(Deny::subject(issuer, &format!("s{subject}"), end), end).await.unwrap();
                self.denied.insert((issuer, subject));
            }
            Step::Evict(of, subject) => {
                let evict = || Evict::subject(HOMES[of].1, &format!("s{subject}"));
                self.bench.api.evict(evict()).await.unwrap();
                assert_eq!(self.bench.api.evict(evict()).await.unwrap(), 0, "gone is gone");
            }
            Step::EvictToken(of, subject) => {
                let evict = || Evict::token(&self.tokens[of][subject]);
                assert!(self.bench.api.evict(evict()).await.unwrap() <= 1);
                assert_eq!(self.bench.api.evict(evict()).await.unwrap(), 0, "gone is gone");
            }
            Step::Distrust(of) => {
                let known = |host: &str| self.known(host).is_some();
                let hit: Vec<_> = HOMES.iter().filter(|home| home.1 == HOMES[of].1 && known(home.0)).collect();
                self.bench.api.distrust(HOMES[of].1);
                self.distrusted.extend(hit.into_iter().map(|home| home.0));
            }
            Step::Forget(of) => {
                let host = HOMES[of].0;
                self.bench.api.forget_tenant(host);
                // Looked up anew: another entry, with keys of its own.
                self.distrusted.remove(host);
                self.retired.remove(host);
            }
            Step::Retire(of) => {
                if let Some(server) = self.known(HOMES[of].0) {
                    for issuer in server.0.registry.load().iter() {
                        let Keys::Fixed(keys) = &issuer.keys else { continue };
                        drop(KeySet::from_keys(Origin::Given, Vec::new()).succeed(keys));
                        self.retired.insert(HOMES[of].0);
                    }
                }
            }
            Step::Wait(seconds) => {
                self.bench.clock.0.fetch_add(seconds, Ordering::Relaxed);
            }
        }
    }

    fn known(&self, host: &str) -> Option<ResourceServer> {
        self.bench.api.0.tenants.as_ref()?.known(host)
    }

    /// Looks every token up at every tenant.
    fn check(&self, step: &Step) {
        for (at, (host, ..)) in HOMES.into_iter().enumerate() {
            let Some(server) = self.known(host) else { continue };
            let now = server.now();
            for (of, subject) in (0..HOMES.len()).flat_map(|of| (0..SUBJECTS).map(move |subject| (of, subject))) {
                let text = &self.tokens[of][subject];
                let Ok(verified) = server.0.remembered(Candidate::Checked(text), now) else { continue };
                let denied = self.denied.contains(&(HOMES[of].1, subject));
                // The deny-list is asked about every verdict, so the cache may hold it: it must be the right one.
                assert!(
                    denied || self.is_good(at, of, subject),
                    "{step:?}: {host} holds {} of {}",
                    subject,
                    HOMES[of].0
                );
                assert!(!self.retired.contains(host), "{step:?}: verified by a key that {host} has taken back");
                assert_eq!((verified.tenant(), verified.issuer()), (Some(host), HOMES[of].1), "{step:?}");
                assert_eq!(verified.subject(), Some(format!("s{subject}").as_str()), "{step:?}");
            }
        }
        let (entries, bytes) = self.bench.api.0.cache.as_ref().unwrap().usage();
        assert!(entries <= 64 && bytes <= 1 << 20, "{step:?}: {entries} entries, {bytes} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_verdict_outlives_its_reasons_or_is_given_to_another(
        settings in bounds(),
        recent in any::<bool>(),
        steps in prop::collection::vec(step(), 1..160),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut truth = Truth::new(settings);
            truth.bench.api.0.cache.as_ref().unwrap().go_by(recent);
            for (at, step) in steps.iter().enumerate() {
                truth.go(step).await;
                if at % 4 == 0 {
                    truth.check(step);
                }
            }
            truth.check(&Step::Wait(0));
        });
    }
}
