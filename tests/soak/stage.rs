//! The issuer, the verifier and what happens to them: rotations with and without notice, outages of every kind, revocations, denials.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use token_core::opaque::client_authentication::ClientAuthentication;
use token_core::{
    Algorithm, Clock, Issuer, Presented, ResourceServer, SystemClock, Timestamp,
    opaque::OpaqueTokens,
    revocation::{Deny, Evict, MemoryDenyList},
    stores::{MemoryAnswers, TokenCacheSettings},
};
use token_test::{Endpoint, ManualClock, TestIssuer, TestKey};
use tokio::runtime::Runtime;
use tokio::time::sleep;

use super::fate::{Fate, Standing, Weather};

/// How many seconds pass for issuer and verifier in one of ours.
pub(crate) const SPEED: u32 = 20;
/// Tokens of one key. More than the cache of verified tokens holds.
const TOKENS: usize = 400;
const OPAQUE: usize = 60;
/// Longer than any soak, at its speed.
const LIFE: Duration = Duration::from_secs(30 * 86_400);
/// How long the issuer is in trouble at a time.
const OUTAGE: Duration = Duration::from_secs(3);
/// How long the verifier may take to see that something has changed.
const PATIENCE: Duration = Duration::from_secs(40);

/// A token, whose it is, what it gets where everything is at hand, and how it stands.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) subject: String,
    pub(crate) path: &'static str,
    pub(crate) right: u16,
    pub(crate) fate: Fate,
}

/// Whether callers go on.
pub(crate) type Going = Arc<AtomicBool>;

/// Tokens for callers to take from, as they stand now.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    /// Of the key that signs now.
    pub(crate) good: Vec<Token>,
    pub(crate) bad: Vec<Token>,
    /// Of the key before.
    pub(crate) withdrawn: Vec<Token>,
    pub(crate) opaque: Vec<Token>,
    /// Revoked, or on the deny-list.
    pub(crate) ended: Vec<Token>,
}

pub(crate) struct Stage {
    pub(crate) issuer: Arc<TestIssuer>,
    pub(crate) api: ResourceServer,
    pub(crate) clock: ManualClock,
    pub(crate) weather: Weather,
    pub(crate) pools: Arc<RwLock<Pools>>,
}

/// Lets the time of issuer and verifier run.
pub(crate) async fn run_clock(clock: ManualClock) {
    let (start, zero) = (Instant::now(), clock.now());
    loop {
        sleep(Duration::from_millis(10)).await;
        clock.set(zero.saturating_add(start.elapsed() * SPEED));
    }
}

impl Stage {
    pub(crate) async fn set(ours: &Runtime) -> Self {
        let clock = ManualClock::new(SystemClock.now());
        let issuer = TestIssuer::builder().algorithm(Algorithm::ES256).clock(clock.clone()).start().await;
        short_lived(&issuer);
        let secret = ClientAuthentication::Basic("test-secret".into());
        // Small stores, so that they are full long before the end.
        let tokens = OpaqueTokens::introspection(issuer.introspection_endpoint(), "test-client", secret)
            .unwrap()
            .store(MemoryAnswers::new(512, 1 << 20));
        let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
        let trusted = trusted.algorithms([Algorithm::ES256]).opaque_tokens(tokens);
        let api = {
            let _there = ours.enter();
            ResourceServer::builder(issuer.audience())
                .trust(trusted)
                .clock(clock.clone())
                .token_cache(TokenCacheSettings::default().entries(256))
                .deny_list(MemoryDenyList::new())
                .build()
                .unwrap()
        };
        ours.spawn(api.ready()).await.unwrap().unwrap();
        let stage = Self { issuer: Arc::new(issuer), api, clock, weather: Weather::default(), pools: Arc::default() };
        let opaque = (0..OPAQUE).map(|number| stage.opaque(&format!("opaque-{number}"))).collect();
        let (good, bad) = stage.tokens(&Fate::new(Standing::AtHand));
        *stage.pools.write().unwrap() = Pools { good, bad, opaque, ..Pools::default() };
        stage
    }

    fn opaque(&self, subject: &str) -> Token {
        let text = self.issuer.token().subject(subject).expires_in(LIFE).mint_opaque();
        Token { text, subject: subject.to_owned(), path: "/me", right: 200, fate: Fate::new(Standing::Asked) }
    }

    /// Tokens of the key that signs now: good ones, and bad ones by the status they get.
    fn tokens(&self, fate: &Fate) -> (Vec<Token>, Vec<Token>) {
        let kid = self.issuer.signing_key().kid().unwrap_or_default().to_owned();
        let token = |number: usize| {
            let subject = format!("{kid}-{number}");
            (self.issuer.token().subject(&subject).scope("read:users").expires_in(LIFE), subject)
        };
        let good = (0..TOKENS).map(|number| {
            let (builder, subject) = token(number);
            Token { text: builder.mint(), subject, path: "/me", right: 200, fate: fate.clone() }
        });
        let bad = [
            ("/me", token(0).0.forged().mint(), 401),
            ("/me", token(1).0.tampered().mint(), 401),
            ("/me", token(2).0.expired().mint(), 401),
            ("/me", token(3).0.audience("https://other.example").mint(), 401),
            ("/me", token(4).0.alg_none().mint(), 401),
            ("/me", token(5).0.issuer("https://stranger.example").mint(), 401),
            ("/me", token(6).0.without("exp").mint(), 401),
            ("/me", self.issuer.id_token().expires_in(LIFE).mint(), 401),
            ("/users", token(7).0.scope("read:other").mint(), 403),
        ];
        let bad = bad.into_iter().map(|(path, text, right)| Token {
            text,
            subject: String::new(),
            path,
            right,
            fate: fate.clone(),
        });
        (good.collect(), bad.collect())
    }

    /// One thing after the other until the time is over; how often each was done out.
    pub(crate) async fn conduct(&self, until: Instant, going: &Going) -> Vec<(&'static str, usize)> {
        let (mut outages, mut announced, mut sudden, mut ended) = (0, 0, 0, 0);
        while Instant::now() < until {
            self.outage(outages).await;
            outages += 1;
            self.rotate_with_notice().await;
            announced += 1;
            self.revoke().await;
            self.deny().await;
            ended += 2;
            self.outage(outages).await;
            outages += 1;
            self.rotate_suddenly().await;
            sudden += 1;
        }
        // Without callers nothing would be fetched; so they end after this.
        going.store(false, Ordering::Relaxed);
        vec![
            ("rotations with notice, no caller refused", announced),
            ("rotations without notice, old key withdrawn at once", sudden),
            ("outages of the issuer: refusing, holding, 503, junk, slow, breaking off", outages),
            ("tokens revoked or denied under way", ended),
        ]
    }

    async fn outage(&self, number: usize) {
        self.weather.turn();
        let everywhere = self.issuer.faults();
        let _switched_on = match number % 6 {
            0 => {
                self.issuer.stop_listening().await;
                everywhere
            }
            1 => everywhere.hold(),
            2 => everywhere.status(503),
            3 => everywhere.junk(),
            4 => everywhere.slow(Duration::from_millis(700)),
            _ => everywhere.down(),
        };
        sleep(OUTAGE).await;
        self.issuer.heal();
        short_lived(&self.issuer);
        self.issuer.resume().await.unwrap();
        self.until_the_keys_were_fetched(1).await;
        self.until("the breaker closes", || self.api.opaque_health().iter().all(|(_, state)| !state.resting)).await;
        // Questions that were held have ended by their own limit; from here on a 503 would be wrong.
        sleep(Duration::from_secs(4)).await;
        self.until("the breaker is closed", || self.api.opaque_health().iter().all(|(_, state)| !state.resting)).await;
        self.weather.turn();
        sleep(Duration::from_secs(1)).await;
    }

    /// The new key is published before it signs, and the old one goes later: nobody with a good token may notice.
    async fn rotate_with_notice(&self) {
        let (old, new) = (self.issuer.signing_key(), self.issuer.new_key(Algorithm::ES256));
        self.issuer.publish(&new);
        self.until_the_keys_were_fetched(2).await;
        self.issuer.sign_with(&new);
        let (good, bad) = self.tokens(&Fate::new(Standing::AtHand));
        let before = self.swap(good, bad);
        sleep(Duration::from_secs(1)).await;
        before.become_(Standing::Moving);
        self.withdraw(&old);
        self.until_the_keys_were_fetched(2).await;
        before.become_(Standing::Gone);
    }

    /// As after a compromise. A flood may have emptied the bucket for unknown keys, so the new one is found by the next refresh at the latest.
    async fn rotate_suddenly(&self) {
        let (old, new) = (self.issuer.signing_key(), self.issuer.new_key(Algorithm::ES256));
        let before = self.pools.read().unwrap().good[0].fate.clone();
        before.become_(Standing::Moving);
        self.issuer.sign_with(&new);
        self.withdraw(&old);
        let fate = Fate::new(Standing::Moving);
        let (good, bad) = self.tokens(&fate);
        let probe = good[0].text.clone();
        self.swap(good, bad);
        self.until("the new key is known", || self.knows(&probe)).await;
        fate.become_(Standing::AtHand);
        // The set that brought the new key was without the old one.
        before.become_(Standing::Gone);
    }

    fn knows(&self, token: &str) -> bool {
        matches!(self.api.authenticate(Presented::token(token)).now(), Ok(Ok(_)))
    }

    fn withdraw(&self, key: &TestKey) {
        self.issuer.withdraw(key.kid().expect("keys of the issuer have names"));
    }

    /// Puts these in place of the tokens in use; the fate of those before out.
    fn swap(&self, good: Vec<Token>, bad: Vec<Token>) -> Fate {
        let mut pools = self.pools.write().unwrap();
        let before = std::mem::replace(&mut pools.good, good);
        let fate = before[0].fate.clone();
        pools.withdrawn = before.into_iter().take(20).collect();
        pools.bad = bad;
        fate
    }

    /// Revoked at the issuer, and forgotten here: from then on it is refused.
    async fn revoke(&self) {
        let fresh = self.opaque("opaque-again");
        let token = std::mem::replace(&mut self.pools.write().unwrap().opaque[0], fresh);
        token.fate.become_(Standing::Moving);
        self.issuer.revoke(&token.text);
        self.api.evict(Evict::token(&token.text)).await.unwrap();
        token.fate.become_(Standing::Asked);
        self.end(Token { right: 401, ..token });
    }

    async fn deny(&self) {
        let token = self.pools.write().unwrap().good.pop().unwrap();
        // A fate of its own: the key is good for others.
        let fate = Fate::new(Standing::Moving);
        let deny = Deny::subject(self.issuer.url(), &token.subject, self.clock.now());
        self.api.deny(deny, Timestamp::MAX).await.unwrap();
        fate.become_(Standing::Asked);
        self.end(Token { right: 401, fate, ..token });
    }

    fn end(&self, token: Token) {
        let mut pools = self.pools.write().unwrap();
        pools.ended.push(token);
        // The newest are enough to go on asking with.
        if pools.ended.len() > 6 {
            pools.ended.remove(0);
        }
    }

    async fn until_the_keys_were_fetched(&self, more: u64) {
        let fetched = || self.api.health()[0].1.fetches_ok;
        let enough = fetched() + more;
        self.until("the keys are fetched", || fetched() >= enough).await;
    }

    async fn until(&self, what: &str, so: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !so() {
            assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}; {:?}", self.api.health());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Drops it while keys are being fetched and a token is being asked about; how many tasks it had just before out.
    pub(crate) fn drop_the_verifier_amid_its_work(self, ours: &Runtime) -> usize {
        let Self { issuer, api, clock, pools, .. } = self;
        drop(pools);
        issuer.forget_hits();
        issuer.faults().hold();
        clock.advance(LIFE);
        for (token, there) in [
            (issuer.token().mint(), [Endpoint::Discovery, Endpoint::Jwks]),
            ("an-opaque-token-to-ask-about".to_owned(), [Endpoint::Introspection; 2]),
        ] {
            let api = api.clone();
            let asking = ours.spawn(async move { api.authenticate(Presented::token(&token)).await });
            let end = Instant::now() + PATIENCE;
            while there.iter().all(|&endpoint| issuer.hits(endpoint) == 0) {
                assert!(Instant::now() < end, "the issuer is not asked");
                std::thread::sleep(Duration::from_millis(5));
            }
            asking.abort();
        }
        let under_way = ours.metrics().num_alive_tasks();
        assert!(under_way >= 2, "a fetch and a question are under way");
        drop(api);
        // A fetch ends at once; a question that was asked ends by its own limit, 3 s, and the pool of connections with it.
        for _ in 0..500 {
            if ours.metrics().num_alive_tasks() == 0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        under_way
    }
}

/// A minute: with the speed of the clock, keys are fetched anew every few seconds.
fn short_lived(issuer: &TestIssuer) {
    issuer.faults().at(Endpoint::Jwks).cache_control("max-age=60");
}
