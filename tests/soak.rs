//! A server of ours for minutes under everything at once: rotations, outages, floods, opaque tokens, evictions, and good callers among them.
//!
//! `cargo xtask soak [MINUTES]` runs it; no other command does. What has to hold: no answer but the expected ones, no growth of memory
//! once everything is warm, and no task left behind when the verifier is dropped.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "this file is tests and nothing else")]

mod soak {
    pub(crate) mod apis;
    pub(crate) mod fate;
    pub(crate) mod load;
    pub(crate) mod memory;
    pub(crate) mod stage;
}

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use token_tests::evidence::note;
use tokio::task::JoinSet;

use soak::apis::Apis;
use soak::fate::Ledger;
use soak::memory::{ALLOWED_GROWTH, Memory};
use soak::stage::{Going, Stage};
use soak::{load, stage};

fn minutes() -> f64 {
    let word = std::env::var("TOKEN_SOAK_MINUTES").unwrap_or_else(|_| "3".to_owned());
    let minutes: f64 = word.parse().expect("TOKEN_SOAK_MINUTES is a number");
    assert!((0.5..=60.0).contains(&minutes), "a soak takes from half a minute to an hour, not {minutes}");
    minutes
}

#[test]
fn holds_for_minutes_under_everything_at_once() {
    let minutes = minutes();
    let start = Instant::now();
    let until = start + Duration::from_secs_f64(minutes * 60.0);
    let going: Going = Arc::new(AtomicBool::new(true));
    // The issuer and the callers live on one runtime, the verifier and its axum server on another: what is left there is ours.
    let outside = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let ours = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let before = ours.metrics().num_alive_tasks();
    let ledger = Arc::new(Ledger::default());
    let memory = Memory::default();

    let stage = outside.block_on(Stage::set(&ours));
    let apis = Apis::serve(&ours, &stage.api);
    outside.block_on(async {
        let stage = &stage;
        let clock = tokio::spawn(stage::run_clock(stage.clock.clone()));
        let mut callers = JoinSet::new();
        load::start(&mut callers, stage, &apis, &ledger, &going);
        let conducted = tokio::join!(stage.conduct(until, &going), memory.watch(&going)).0;
        // Each has ended by itself; a panic among them is ours.
        while let Some(caller) = callers.join_next().await {
            caller.unwrap();
        }
        clock.abort();
        for (what, times) in conducted {
            note("soak", &format!("2 {what}"), &[what, &times.to_string()]);
        }
    });
    let seconds = start.elapsed().as_secs();
    apis.stop();

    let counts = ledger.close();
    let total: u64 = counts.values().sum();
    let rate = total as f64 / seconds as f64;
    note(
        "soak",
        "0",
        &["time", &format!("{seconds} s; the clocks of issuer and verifier ran {} times as fast", stage::SPEED)],
    );
    note(
        "soak",
        "1",
        &[
            "requests over HTTP to axum and actix-web",
            &format!("{total}, {rate:.0} a second, each answered as expected"),
        ],
    );
    for (kind, count) in &counts {
        note("soak", &format!("1 {kind}"), &[&format!("of them: {kind}"), &count.to_string()]);
    }

    let (warm, end) = memory.verdict();
    note(
        "soak",
        "3",
        &["resident memory of the process, warm and at the end", &format!("{warm:.1} MiB, {end:.1} MiB")],
    );
    assert!(end <= warm + ALLOWED_GROWTH, "memory grew from {warm:.1} to {end:.1} MiB");

    let under_way = stage.drop_the_verifier_amid_its_work(&ours);
    let left = ours.metrics().num_alive_tasks();
    note(
        "soak",
        "4",
        &["tasks of the verifier when it was dropped amid its work, and 5 s later", &format!("{under_way}, {left}")],
    );
    assert_eq!(left, before, "tasks were left behind");
}
