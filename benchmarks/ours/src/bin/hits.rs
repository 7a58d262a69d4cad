//! How many requests find their token remembered: the toolkit's cache against moka's at as many entries, over the same requests.
//!
//! `bench-ours/hits`. What is counted does not depend on the clock, so a busy machine says the same as an idle one.

use std::cell::Cell;
use std::time::Duration;

use bench_ours::{Asking, ask, keys, report, server};
use harness::{Alg, Fixture};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use token_core::ResourceServer;
use token_core::stores::TokenCacheSettings;

thread_local!(static PARSED: Cell<u64> = const { Cell::new(0) });

/// Claims that count how often they are made: once for each time that a token was not remembered.
struct Seen;

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PARSED.set(PARSED.get() + 1);
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// Requests in turn: which token, and whether it counts.
type Requests<'a> = Box<dyn FnMut(u64) -> (u64, bool) + 'a>;

struct Workload {
    name: &'static str,
    entries: usize,
    turns: u64,
    /// Those before are not counted.
    warm: u64,
    requests: fn() -> Requests<'static>,
}

const WORKLOADS: &[Workload] = &[
    Workload {
        name: "zipf",
        entries: 10_000,
        turns: 1_000_000,
        warm: 200_000,
        requests: || {
            let mut next = zipf(50_000);
            Box::new(move |_| (next(), true))
        },
    },
    Workload { name: "once.50", entries: 4096, turns: 200_000, warm: 100_000, requests: || hot_beside(50) },
    Workload { name: "once.90", entries: 4096, turns: 600_000, warm: 300_000, requests: || hot_beside(90) },
    // 300 clients at a time, each with a token that it uses about ten times and never again.
    Workload {
        name: "short_lived",
        entries: 512,
        turns: 200_000,
        warm: 50_000,
        requests: || {
            let mut next = chance(5);
            Box::new(move |turn| {
                let client = next() % 300;
                (client + (turn + client * 10) / 3000 * 300, true)
            })
        },
    },
];

/// 1,000 hot tokens, and so many of a hundred requests with one that never comes again.
fn hot_beside(once: u64) -> Requests<'static> {
    let mut next = chance(once);
    Box::new(move |turn| {
        let is_hot = next() % 100 >= once;
        (if is_hot { next() % 1000 } else { 1000 + turn }, is_hot)
    })
}

fn chance(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Zipf 1.0 over `count` tokens.
fn zipf(count: u32) -> impl FnMut() -> u64 {
    let mut total = 0.0;
    let shares: Vec<f64> = (1..=count)
        .map(|rank| {
            total += 1.0 / f64::from(rank);
            total
        })
        .collect();
    let mut next = chance(7);
    move || {
        let at = (next() >> 11) as f64 / (1_u64 << 53) as f64 * total;
        shares.partition_point(|share| *share < at) as u64
    }
}

fn rate(workload: &Workload, mut is_hit: impl FnMut(u64) -> bool) -> f64 {
    let mut requests = (workload.requests)();
    let (mut hits, mut all) = (0_u64, 0_u64);
    for turn in 0..workload.turns {
        let (token, counts) = requests(turn);
        let hit = is_hit(token);
        if counts && turn >= workload.warm {
            all += 1;
            hits += u64::from(hit);
        }
    }
    hits as f64 / all as f64
}

/// Whether the token was remembered when it was asked for.
fn is_remembered(server: &ResourceServer, fixture: &Fixture, token: u64) -> bool {
    let request = Asking::with(&fixture.token(Alg::HS256, token as usize));
    let before = PARSED.get();
    let verified = ask(server, &request).expect("every token is good");
    verified.claims::<Seen>().expect("anything goes");
    PARSED.get() == before
}

fn main() {
    let fixture = Fixture::new();
    for workload in WORKLOADS {
        let settings = TokenCacheSettings::default().entries(workload.entries).life(Duration::from_secs(86_400));
        let server = server(keys(&fixture, Alg::HS256), settings.bytes(workload.entries * 4096));
        let ours = rate(workload, |token| is_remembered(&server, &fixture, token));
        let moka = moka::sync::Cache::<u64, ()>::new(workload.entries as u64);
        let mut asked = 0_u64;
        let theirs = rate(workload, |token| {
            asked += 1;
            // What moka does in the background, it is given the time to do.
            if asked.is_multiple_of(64) {
                moka.run_pending_tasks();
            }
            let hit = moka.get(&token).is_some();
            if !hit {
                moka.insert(token, ());
            }
            hit
        });
        report(&format!("rate.{}.ours", workload.name), ours);
        report(&format!("rate.{}.moka", workload.name), theirs);
        report(&format!("rate.{}.over_moka", workload.name), ours / theirs);
    }
}
