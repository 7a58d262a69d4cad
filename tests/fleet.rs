//! Four instances as processes, one Redis with a replica and three Sentinels, a load on all of them: then kills, pauses, lost connections.
//!
//! `cargo xtask fleet` runs it; no other command does. What has to hold: a token whose session was denied, as far as the caller was told so, passes
//! nowhere later than the bound; a good token is never called bad. What may happen is 503.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "this file is tests and nothing else"
)]

#[path = "../token-redis/tests/server/engine.rs"]
#[allow(dead_code)]
mod engine;
mod fleet {
    pub(crate) mod instance;
}

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use engine::{Watched, until};
use fleet::instance::{self, Instance, Orders, Said};
use token_test::TestIssuer;
use token_tests::evidence::note;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The bound on how stale a list may be, and what a request under load may be on its way.
const BOUND: Duration = Duration::from_millis(2_500);
const ENTRIES: usize = 1_000_000;

#[test]
#[ignore = "it is what the drill starts as a process"]
fn an_instance() {
    instance::run();
}

/// What callers saw in one phase.
#[derive(Default)]
struct Ledger {
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

struct Stage {
    issuer: TestIssuer,
    http: reqwest::Client,
    urls: Mutex<Vec<String>>,
    good: Vec<String>,
    ledger: Mutex<Arc<Ledger>>,
    going: AtomicBool,
    sessions: AtomicU64,
}

impl Stage {
    fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.ledger.lock().unwrap())
    }

    fn url(&self, number: usize) -> String {
        self.urls.lock().unwrap()[number].clone()
    }

    async fn ask(&self, url: &str, token: &str) -> Option<u16> {
        let answer = self.http.get(format!("{url}/me")).bearer_auth(token).send().await;
        answer.ok().map(|answer| answer.status().as_u16())
    }

    /// Good tokens, one after the other.
    async fn call(self: Arc<Self>, number: usize) {
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
    async fn revoke(self: Arc<Self>, number: usize) {
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
    fn close(&self, number: usize, phase: &str) -> u64 {
        let ledger = std::mem::take(&mut *self.ledger.lock().unwrap());
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut last = ledger.last.lock().unwrap().clone();
        last.sort();
        let at = |part: f64| {
            last.get(((last.len() as f64 * part) as usize).min(last.len().saturating_sub(1)))
                .map_or_else(|| "none ended in it".to_owned(), |last| format!("{} ms", last.as_millis()))
        };
        note(
            "fleet",
            &format!("1 {number}"),
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

    async fn said(&self, number: usize) -> Said {
        let answer = self.http.get(format!("{}/state", self.url(number))).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    /// Requests a second over HTTP with one warm token, by sixteen callers for so long.
    async fn rate(self: &Arc<Self>, path: &'static str, token: &str, time: Duration) -> f64 {
        let started = Instant::now();
        let mut callers = JoinSet::new();
        for _ in 0..16 {
            let (this, url, token) = (Arc::clone(self), format!("{}{path}", self.url(0)), token.to_owned());
            callers.spawn(async move {
                let mut count = 0u32;
                while started.elapsed() < time {
                    assert_eq!(this.http.get(&url).bearer_auth(&token).send().await.unwrap().status(), 200);
                    count += 1;
                }
                count
            });
        }
        callers.join_all().await.into_iter().map(f64::from).sum::<f64>() / started.elapsed().as_secs_f64()
    }
}

/// Entries as the instances write them, by the server itself: a million commands of ours would take minutes.
const FILL: &str = "
for number = ARGV[1] + 0, ARGV[2] + 0 do
  local digest = redis.sha1hex('a' .. number) .. redis.sha1hex('b' .. number)
  local bytes = string.gsub(string.sub(digest, 1, 64), '..', function(hex) return string.char(tonumber(hex, 16)) end)
  redis.call('ZADD', KEYS[1], 4000000000000, string.char(1, 3) .. bytes .. string.char(127, 255, 255, 255, 255, 255, 255, 255))
end
return redis.call('ZCARD', KEYS[1])";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_refuses_who_was_denied_whatever_happens_to_its_redis() {
    let mut watched = Watched::start().await;
    let issuer = TestIssuer::start().await;
    let orders = Orders {
        issuer: issuer.url().to_owned(),
        introspection: issuer.introspection_endpoint(),
        audience: issuer.audience().to_owned(),
        sentinels: watched.sentinels.iter().map(engine::Node::url).collect(),
    };
    let mut instances: Vec<_> = (0..4).map(|_| Instance::start(&orders)).collect();
    let good: Vec<_> = (0..200).map(|number| issuer.token().claim("sid", format!("good{number}")).mint()).collect();
    let opaque = issuer.token().subject("ada").mint_opaque();
    let stage = Arc::new(Stage {
        http: reqwest::Client::builder().timeout(Duration::from_secs(1)).build().unwrap(),
        urls: Mutex::new(instances.iter().map(|instance| instance.url.clone()).collect()),
        good,
        ledger: Mutex::default(),
        going: AtomicBool::new(true),
        sessions: AtomicU64::new(0),
        issuer,
    });
    for number in 0..4 {
        stage.http.get(format!("{}/whole", stage.url(number))).send().await.unwrap();
    }

    // Figures, before anything happens.
    let empty = stage.said(1).await.resident;
    // A script that takes a while on a busy machine is no reason for a fail-over yet.
    let patience = |millis: &str| {
        for sentinel in &watched.sentinels {
            sentinel.cli(&["SENTINEL", "SET", "main", "down-after-milliseconds", millis]);
        }
    };
    patience("60000");
    for start in (0..ENTRIES).step_by(5_000) {
        watched.master.cli(&[
            "EVAL",
            FILL,
            "1",
            "{token}:denied:list",
            &start.to_string(),
            &(start + 4_999).to_string(),
        ]);
    }
    assert_eq!(watched.master.cli(&["ZCARD", "{token}:denied:list"]).trim(), ENTRIES.to_string());
    patience("600");
    let joined = Instant::now();
    instances[0] = Instance::start(&orders);
    stage.urls.lock().unwrap()[0] = instances[0].url.clone();
    stage.http.get(format!("{}/whole", stage.url(0))).timeout(Duration::from_secs(60)).send().await.unwrap();
    let joined = joined.elapsed();
    let full = stage.said(0).await;
    assert_eq!(full.entries, ENTRIES);
    note(
        "fleet-figures",
        "1",
        &[
            "memory of 1,000,000 denied entries (resident, beside an instance without)",
            &format!("{:.1} MiB", full.resident - empty),
        ],
    );
    note(
        "fleet-figures",
        "2",
        &["until an instance that starts has read them and answers", &format!("{} ms", joined.as_millis())],
    );
    let token = stage.good[0].clone();
    let url = format!("{}/measure", stage.url(0));
    let rates = stage.http.post(url).body(token.clone()).timeout(Duration::from_secs(60)).send().await.unwrap();
    let [followed, plain, asked]: [f64; 3] = serde_json::from_str(&rates.text().await.unwrap()).unwrap();
    let compared = |followed: f64, plain: f64, asked: f64| {
        format!(
            "{followed:.0}, {plain:.0}, {asked:.0}: {:.2} of it, {:.1} times it",
            followed / plain,
            followed / asked
        )
    };
    note(
        "fleet-figures",
        "3",
        &[
            "warm verifications a second without HTTP, one after the other: list of 1,000,000 followed, no list, list asked in Redis",
            &compared(followed, plain, asked),
        ],
    );
    let mut http = [0.0f64; 3];
    for _ in 0..3 {
        for (rate, path) in http.iter_mut().zip(["/me", "/plain", "/asked"]) {
            *rate = rate.max(stage.rate(path, &token, Duration::from_secs(1)).await);
        }
    }
    note(
        "fleet-figures",
        "4",
        &[
            "the same over HTTP with sixteen callers, requests a second (callers share the processors)",
            &compared(http[0], http[1], http[2]),
        ],
    );
    let commands = || {
        let stats = watched.master.cli(&["INFO", "commandstats"]);
        let calls = stats
            .lines()
            .filter(|line| ["cmdstat_get:", "cmdstat_set:", "cmdstat_zadd:"].iter().any(|name| line.starts_with(name)));
        calls.filter_map(|line| line.split("calls=").nth(1)?.split(',').next()?.parse::<u64>().ok()).sum::<u64>()
    };
    let before = commands();
    for turn in 0..2_000 {
        assert_eq!(stage.ask(&stage.url(turn % 2), &opaque).await, Some(200));
    }
    note(
        "fleet-figures",
        "5",
        &[
            "commands to Redis per 1,000 requests with one opaque token, two processes",
            &format!("{:.1}", (commands() - before) as f64 / 2.0),
        ],
    );

    // The load, and what happens.
    let mut load = JoinSet::new();
    for number in 0..4 {
        load.spawn(Arc::clone(&stage).call(number));
        load.spawn(Arc::clone(&stage).revoke(number));
    }
    let mut wrong = 0;
    let mut phase = 0;
    let mut close = |what: &str| {
        phase += 1;
        wrong += stage.close(phase, what);
    };
    sleep(Duration::from_secs(6)).await;
    close("nothing happens");

    watched.replica.kill();
    sleep(Duration::from_secs(4)).await;
    watched.replica.start();
    sleep(Duration::from_secs(4)).await;
    close("the replica is killed, and comes back after 4 s");

    until("the replica is in step", async || watched.replica.cli(&["ROLE"]).contains("connected")).await;
    for _ in 0..20 {
        watched.master.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
        sleep(Duration::from_millis(200)).await;
    }
    sleep(Duration::from_secs(2)).await;
    close("every connection to the master is cut, five times a second for 4 s");

    watched.master.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    sleep(Duration::from_secs(3)).await;
    watched.master.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    sleep(Duration::from_secs(2)).await;
    close("the master is full (OOM) for 3 s");

    watched.sentinels[0].signal("STOP");
    sleep(Duration::from_secs(4)).await;
    watched.sentinels[0].signal("CONT");
    sleep(Duration::from_secs(1)).await;
    close("one of three Sentinels answers nothing for 4 s");

    instances[3].signal("STOP");
    sleep(Duration::from_secs(4)).await;
    instances[3].signal("CONT");
    sleep(Duration::from_secs(3)).await;
    close("one instance is stopped for 4 s, and goes on as if nothing had happened");

    instances[2] = Instance::start(&orders);
    stage.urls.lock().unwrap()[2] = instances[2].url.clone();
    sleep(Duration::from_secs(6)).await;
    close("one instance is killed, and another started");

    watched.master.kill();
    sleep(Duration::from_secs(8)).await;
    watched.master.start();
    sleep(Duration::from_secs(6)).await;
    close("the master is killed: its replica takes over, and it comes back as one");

    let promoted = watched.replica.cli(&["ROLE"]);
    assert!(promoted.contains("master"), "{promoted}");
    until("the old master is in step", async || watched.master.cli(&["ROLE"]).contains("connected")).await;
    watched.replica.signal("STOP");
    sleep(Duration::from_secs(8)).await;
    watched.replica.signal("CONT");
    sleep(Duration::from_secs(6)).await;
    close("the new master answers nothing for 8 s (as cut off), is replaced, and comes back believing it is master");

    stage.going.store(false, Ordering::Relaxed);
    while let Some(task) = load.join_next().await {
        task.unwrap();
    }
    for number in 0..4 {
        let said = stage.said(number).await;
        let text = format!(
            "{} entries, read whole {} times, {} gaps, {:.1} MiB",
            said.entries, said.loads, said.gaps, said.resident
        );
        note("fleet-figures", &format!("6 {number}"), &[&format!("instance {number} at the end"), &text]);
    }
    assert_eq!(wrong, 0, "wrong answers");
}
