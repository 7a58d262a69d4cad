//! Callers and revocations on all instances in, what they saw out: answers lost, wrong answers, and how long a denied token still passed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use token_test::TestIssuer;
use token_tests::evidence::note;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::instance::Said;

/// The bound on how stale a list may be, and what a request under load may be on its way.
const BOUND: Duration = Duration::from_millis(2_500);

/// What callers saw in one phase.
#[derive(Default)]
pub(crate) struct Ledger {
    asked: AtomicU64,
    /// 503, or no answer at all.
    lost: AtomicU64,
    /// A good token called bad, or a denied one let in later than the bound.
    wrong: AtomicU64,
    denials: AtomicU64,
    denials_refused: AtomicU64,
    /// From the acknowledgement of each denial to the last request on any instance that was sent after it and let in.
    last: Mutex<Vec<Duration>>,
}

pub(crate) struct Stage {
    pub(crate) issuer: TestIssuer,
    pub(crate) http: reqwest::Client,
    pub(crate) urls: Mutex<Vec<String>>,
    pub(crate) good: Vec<String>,
    pub(crate) going: AtomicBool,
    ledger: Mutex<Arc<Ledger>>,
    sessions: AtomicU64,
}

impl Stage {
    pub(crate) fn new(issuer: TestIssuer, urls: Vec<String>) -> Self {
        let good = (0..200).map(|number| issuer.token().claim("sid", format!("good{number}")).mint()).collect();
        Self {
            issuer,
            http: reqwest::Client::builder().timeout(Duration::from_secs(1)).build().unwrap(),
            urls: Mutex::new(urls),
            good,
            going: AtomicBool::new(true),
            ledger: Mutex::default(),
            sessions: AtomicU64::new(0),
        }
    }

    fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.ledger.lock().unwrap())
    }

    pub(crate) fn url(&self, number: usize) -> String {
        self.urls.lock().unwrap()[number].clone()
    }

    pub(crate) async fn ask(&self, url: &str, token: &str) -> Option<u16> {
        let answer = self.http.get(format!("{url}/me")).bearer_auth(token).send().await;
        answer.ok().map(|answer| answer.status().as_u16())
    }

    /// Good tokens, one after the other.
    pub(crate) async fn call(self: Arc<Self>, number: usize) {
        let mut turn = number;
        while self.going.load(Ordering::Relaxed) {
            turn += 1;
            let (ledger, token) = (self.ledger(), &self.good[turn % self.good.len()]);
            ledger.asked.fetch_add(1, Ordering::Relaxed);
            match self.ask(&self.url(number), token).await {
                Some(200) => {}
                Some(503) | None => _ = ledger.lost.fetch_add(1, Ordering::Relaxed),
                Some(_) => _ = ledger.wrong.fetch_add(1, Ordering::Relaxed),
            }
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// Denies one session after the other, and asks everywhere until all refuse.
    pub(crate) async fn revoke(self: Arc<Self>, number: usize) {
        while self.going.load(Ordering::Relaxed) {
            let name = format!("s{}", self.sessions.fetch_add(1, Ordering::Relaxed));
            let token = self.issuer.token().claim("sid", name.clone()).mint();
            let ledger = self.ledger();
            // Warm everywhere.
            for other in 0..4 {
                self.ask(&self.url(other), &token).await;
            }
            let acknowledged = loop {
                let answer = self.http.post(format!("{}/deny?sid={name}", self.url(number))).send().await;
                if answer.is_ok_and(|answer| answer.status() == 200) {
                    break Instant::now();
                }
                ledger.denials_refused.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(50)).await;
                if !self.going.load(Ordering::Relaxed) {
                    return;
                }
            };
            ledger.denials.fetch_add(1, Ordering::Relaxed);
            let mut watchers = JoinSet::new();
            for other in 0..4 {
                let (this, token) = (Arc::clone(&self), token.clone());
                watchers.spawn(async move {
                    let (mut last, mut refused) = (Duration::ZERO, 0);
                    // Three refusals in a row by the list itself, or the bound and a second more.
                    while refused < 3 && acknowledged.elapsed() < BOUND + Duration::from_secs(1) {
                        let sent = acknowledged.elapsed();
                        match this.ask(&this.url(other), &token).await {
                            Some(200) => (last, refused) = (sent, 0),
                            Some(401) => refused += 1,
                            _ => sleep(Duration::from_millis(20)).await,
                        }
                    }
                    last
                });
            }
            let last = watchers.join_all().await.into_iter().max().unwrap();
            if last > BOUND {
                ledger.wrong.fetch_add(1, Ordering::Relaxed);
            }
            ledger.last.lock().unwrap().push(last);
        }
    }

    /// Closes the books of a phase.
    pub(crate) fn close(&self, number: usize, phase: &str) -> u64 {
        let ledger = std::mem::take(&mut *self.ledger.lock().unwrap());
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut last = ledger.last.lock().unwrap().clone();
        last.sort();
        // The smallest time that so many did not exceed.
        let at = |part: f64| {
            last.get(((last.len() as f64 * part).ceil() as usize).saturating_sub(1))
                .map_or_else(|| "none ended in it".to_owned(), |last| format!("{} ms", last.as_millis()))
        };
        note(
            "fleet",
            &format!("1 {number:02}"),
            &[
                phase,
                &count(&ledger.asked).to_string(),
                &count(&ledger.lost).to_string(),
                &count(&ledger.wrong).to_string(),
                &format!("{} and {}", count(&ledger.denials), count(&ledger.denials_refused)),
                &at(0.5),
                &at(0.99),
                &at(1.0),
            ],
        );
        count(&ledger.wrong)
    }

    pub(crate) async fn said(&self, number: usize) -> Said {
        let answer = self.http.get(format!("{}/state", self.url(number))).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    /// Requests a second over HTTP with one warm token, by sixteen callers for so long.
    pub(crate) async fn rate(self: &Arc<Self>, path: &'static str, token: &str, time: Duration) -> f64 {
        let started = Instant::now();
        let mut callers = JoinSet::new();
        for _ in 0..16 {
            let (this, url, token) = (Arc::clone(self), format!("{}{path}", self.url(0)), token.to_owned());
            callers.spawn(async move {
                let mut count = 0u32;
                while started.elapsed() < time {
                    let asked = this.http.get(&url).bearer_auth(&token).timeout(Duration::from_secs(30));
                    assert_eq!(asked.send().await.unwrap().status(), 200);
                    count += 1;
                }
                count
            });
        }
        callers.join_all().await.into_iter().map(f64::from).sum::<f64>() / started.elapsed().as_secs_f64()
    }
}
