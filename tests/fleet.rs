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
    pub(crate) mod faults;
    pub(crate) mod instance;
    pub(crate) mod stage;
}

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use engine::Watched;
use fleet::faults::Drill;
use fleet::instance::{self, Instance, Orders};
use fleet::stage::Stage;
use token_test::TestIssuer;
use token_tests::evidence::note;
use tokio::task::JoinSet;

const ENTRIES: usize = 1_000_000;

#[test]
#[ignore = "it is what the drill starts as a process"]
fn an_instance() {
    instance::run();
}

/// The list, and the stream that followers read.
const LIST: &str = "{token}:denied:list";
const LOG: &str = "{token}:denied:log";

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
    let watched = Watched::start(Duration::from_millis(600)).await;
    let issuer = TestIssuer::start().await;
    let orders = Orders {
        issuer: issuer.url().to_owned(),
        introspection: issuer.introspection_endpoint(),
        audience: issuer.audience().to_owned(),
        sentinels: watched.sentinels.iter().map(engine::Node::url).collect(),
        server: None,
        capacity: ENTRIES + 100_000,
        ahead: 0,
    };
    let mut instances: Vec<_> = (0..4).map(|_| Instance::start(&orders)).collect();
    let opaque = issuer.token().subject("ada").mint_opaque();
    let urls = instances.iter().map(|instance| instance.url.clone()).collect();
    let stage = Arc::new(Stage::new(issuer, urls));
    for number in 0..4 {
        stage.http.get(format!("{}/whole", stage.url(number))).send().await.unwrap();
    }

    // Figures, before anything happens; they are as good as the machine was free.
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get).to_string();
    let wanted = load.split(' ').next().unwrap_or_default();
    note(
        "fleet-figures",
        "0",
        &["processors, and how many processes wanted them as it began", &format!("{processors}, {wanted}")],
    );
    let empty = stage.said(1).await.resident;
    // A script that takes a while on a busy machine is no reason for a fail-over yet.
    let patience = |millis: &str| {
        for sentinel in &watched.sentinels {
            sentinel.cli(&["SENTINEL", "SET", "main", "down-after-milliseconds", millis]);
        }
    };
    patience("60000");
    for start in (0..ENTRIES).step_by(5_000) {
        watched.master.cli(&["EVAL", FILL, "1", LIST, &start.to_string(), &(start + 4_999).to_string()]);
    }
    assert_eq!(watched.master.cli(&["ZCARD", LIST]).trim(), ENTRIES.to_string());
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
    let mut before = 0;
    for turn in 0..2_010 {
        if turn == 10 {
            // Both have met it: it is hot from here on.
            before = commands();
        }
        // Nothing is at stake here but round trips: a busy machine may take its time.
        let asked = stage.http.get(format!("{}/me", stage.url(turn % 2))).bearer_auth(&opaque);
        assert_eq!(asked.timeout(Duration::from_secs(30)).send().await.unwrap().status(), 200);
    }
    note(
        "fleet-figures",
        "5",
        &[
            "commands to Redis per 1,000 requests with one hot opaque token, two processes (when each meets it first: one round trip, and two more of who asks the issuer)",
            &format!("{:.1}", (commands() - before) as f64 / 2.0),
        ],
    );

    // The load, and what happens.
    let mut load = JoinSet::new();
    for number in 0..4 {
        load.spawn(Arc::clone(&stage).call(number));
        load.spawn(Arc::clone(&stage).revoke(number));
    }
    let mut drill = Drill::new(watched, instances, orders, Arc::clone(&stage));
    let wrong = drill.run().await;
    stage.going.store(false, Ordering::Relaxed);
    while let Some(task) = load.join_next().await {
        task.unwrap();
    }
    for number in 0..4 {
        let said = stage.said(number).await;
        let text = format!(
            "{} entries, read whole {} times, {} gaps, {} that were none of ours, {:.1} MiB",
            said.entries, said.loads, said.gaps, said.unreadable, said.resident
        );
        note("fleet-figures", &format!("6 {number}"), &[&format!("instance {number} at the end"), &text]);
    }
    assert_eq!(wrong, 0, "wrong answers");
}
