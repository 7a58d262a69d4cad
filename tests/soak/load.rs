//! The callers: each asks again and again over HTTP, with what it is for, and looks at every answer.

use std::sync::atomic::Ordering;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use token_core::{Algorithm, ResourceServer, revocation::Evict};
use token_test::TestIssuer;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::apis::Apis;
use super::fate::{Fate, Ledger, Standing, Weather, allows};
use super::stage::{Going, Pools, Stage, Token};

/// One request and what it may be answered.
struct Shot {
    path: &'static str,
    headers: HeaderMap,
    /// The body, where the status is 200.
    subject: String,
    right: u16,
    fate: Fate,
}

impl Shot {
    fn with(token: &Token) -> Self {
        let headers = bearer(&token.text);
        Self { path: token.path, headers, subject: token.subject.clone(), right: token.right, fate: token.fate.clone() }
    }

    fn bad(right: u16, standing: Standing, headers: HeaderMap) -> Self {
        Self { path: "/me", headers, subject: String::new(), right, fate: Fate::new(standing) }
    }
}

fn bearer(token: &str) -> HeaderMap {
    fields([format!("Bearer {token}").into_bytes()])
}

fn fields<const N: usize>(values: [Vec<u8>; N]) -> HeaderMap {
    values.into_iter().map(|value| (AUTHORIZATION, HeaderValue::from_bytes(&value).unwrap())).collect()
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let index = self.next() % (from.len().max(1) as u64);
        from.get(usize::try_from(index).unwrap())
    }
}

/// What all callers share.
#[derive(Clone)]
struct Callers {
    urls: [String; 2],
    http: reqwest::Client,
    weather: Weather,
    pools: Arc<RwLock<Pools>>,
    ledger: Arc<Ledger>,
    going: Going,
}

/// Starts them all.
pub(crate) fn start(into: &mut JoinSet<()>, stage: &Stage, apis: &Apis, ledger: &Arc<Ledger>, going: &Going) {
    let callers = Callers {
        urls: apis.urls.clone(),
        http: reqwest::Client::new(),
        weather: stage.weather.clone(),
        pools: Arc::clone(&stage.pools),
        ledger: Arc::clone(ledger),
        going: Arc::clone(going),
    };
    let quick = Duration::from_millis(4);
    for seed in 0..4 {
        callers.of(into, "good tokens", seed, quick, |pools, numbers| numbers.pick(&pools.good).map(Shot::with));
        callers
            .of(into, "good opaque tokens", seed, quick, |pools, numbers| numbers.pick(&pools.opaque).map(Shot::with));
    }
    callers.of(into, "bad tokens", 5, quick, |pools, numbers| numbers.pick(&pools.bad).map(Shot::with));
    callers.of(into, "tokens of the key before", 6, quick, |pools, numbers| {
        numbers.pick(&pools.withdrawn).map(Shot::with)
    });
    callers
        .of(into, "revoked and denied tokens", 7, quick, |pools, numbers| numbers.pick(&pools.ended).map(Shot::with));
    for seed in 8..10 {
        callers.of(into, "malformed requests", seed, quick, |_, numbers| Some(malformed(numbers)));
        let issuer = Arc::clone(&stage.issuer);
        callers.of(into, "made-up keys", seed, quick, move |_, numbers| Some(made_up(&issuer, numbers)));
    }
    into.spawn(callers.clone().give_up());
    into.spawn(evict(callers.clone(), stage.api.clone(), stage.issuer.url().to_owned()));
}

/// What no grammar knows, and what is of no issuer. Where it could be an opaque token, the issuer is asked.
fn malformed(numbers: &mut Numbers) -> Shot {
    let number = numbers.next();
    let text = |text: String| bearer(&text);
    match number % 8 {
        0 => Shot::bad(401, Standing::AtHand, HeaderMap::new()),
        1 => Shot::bad(400, Standing::AtHand, fields([b"Bearer ".to_vec()])),
        2 => Shot::bad(400, Standing::AtHand, fields([b"Bearer \xff\xfe".to_vec()])),
        3 => Shot::bad(400, Standing::AtHand, fields([b"Bearer a".to_vec(), b"Bearer a".to_vec()])),
        4 => Shot::bad(401, Standing::AtHand, text("a".repeat(17 * 1024))),
        5 => Shot::bad(400, Standing::AtHand, text("[".repeat(1 + number as usize % 5000))),
        6 => Shot::bad(401, Standing::Asked, text(format!("opaque-of-nobody-{number:x}"))),
        _ => Shot::bad(401, Standing::Asked, text(format!("{number:x}.{number:x}.{number:x}"))),
    }
}

/// A token as good as its issuer's, but for the key that it names.
fn made_up(issuer: &TestIssuer, numbers: &mut Numbers) -> Shot {
    let kid = format!("made-up-{:x}", numbers.next());
    let token = issuer.token().subject("mallory").kid(&kid).algorithm(Algorithm::ES256).mint();
    Shot::bad(401, Standing::Asked, bearer(&token))
}

impl Callers {
    fn of(
        &self,
        into: &mut JoinSet<()>,
        kind: &'static str,
        seed: u64,
        pause: Duration,
        make: impl Fn(&Pools, &mut Numbers) -> Option<Shot> + Send + 'static,
    ) {
        let callers = self.clone();
        into.spawn(async move {
            let mut numbers = Numbers(seed);
            while callers.going.load(Ordering::Relaxed) {
                let shot = make(&callers.pools.read().unwrap(), &mut numbers);
                if let Some(shot) = shot {
                    let url = &callers.urls[usize::from(numbers.next().is_multiple_of(2))];
                    callers.ask(kind, url, shot).await;
                }
                sleep(pause).await;
            }
        });
    }

    /// A request, and whether its answer is one that was expected when it was sent or when it was answered.
    async fn ask(&self, kind: &'static str, url: &str, shot: Shot) {
        let (weather, standing) = (self.weather.now(), shot.fate.now());
        let sent = self.http.get(format!("{url}{}", shot.path)).headers(shot.headers).send();
        let response = match sent.await {
            Ok(response) => response,
            Err(error) => return self.ledger.wrong(format!("{kind}: no answer from {url}: {error:?}")),
        };
        let (status, body) = (response.status().as_u16(), response.text().await.unwrap_or_default());
        let calm = weather.is_multiple_of(2) && weather == self.weather.now();
        let right = [standing, shot.fate.now()].iter().any(|&standing| allows(standing, calm, shot.right, status));
        // Also the right claims: never those of another token.
        let own = status != 200 || body == shot.subject;
        if right && own {
            self.ledger.right(kind);
        } else {
            self.ledger.wrong(format!(
                "{kind}: {status} {body:?} from {url}, expected {} for {:?}, {standing:?}, calm: {calm}",
                shot.right, shot.subject
            ));
        }
    }

    /// Callers that hang up before they have an answer.
    async fn give_up(self) {
        let mut numbers = Numbers(99);
        while self.going.load(Ordering::Relaxed) {
            let shot = malformed(&mut numbers);
            let url = &self.urls[usize::from(numbers.next().is_multiple_of(2))];
            let sent = self.http.get(format!("{url}/me")).headers(shot.headers).send();
            let patience = Duration::from_micros(numbers.next() % 3000);
            // Answered or not: nothing is to be learned from it here.
            drop(tokio::time::timeout(patience, sent).await);
            self.ledger.right("callers that hang up");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Somebody who makes the verifier forget good tokens all the time.
async fn evict(callers: Callers, api: ResourceServer, issuer: String) {
    let mut numbers = Numbers(77);
    while callers.going.load(Ordering::Relaxed) {
        let (one, other) = {
            let pools = callers.pools.read().unwrap();
            (numbers.pick(&pools.good).cloned(), numbers.pick(&pools.opaque).cloned())
        };
        if let (Some(jwt), Some(opaque)) = (one, other) {
            api.evict(Evict::token(&jwt.text)).await.unwrap();
            api.evict(Evict::subject(&issuer, &jwt.subject)).await.unwrap();
            api.evict(Evict::token(&opaque.text)).await.unwrap();
        }
        sleep(Duration::from_millis(50)).await;
    }
}
