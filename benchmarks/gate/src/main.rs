//! Envoy and nginx with token-gate, beside those proxies with a gate that does nothing, and beside Envoy's own filter: one run, one page.
//!
//! Every program has core 0, wrk has core 1, and rounds are interleaved, so that requests per second are what all programs of a road cost
//! together. `GATE.md` is written by `cargo xtask gate-bench`.

mod memory;
mod page;
mod roads;
mod running;

use std::path::{Path, PathBuf};

use bench_wrk::Load;
use roads::{Road, Stage};

/// What is asked of a run.
pub struct Plan {
    pub rounds: usize,
    pub seconds: u32,
    pub tokens: usize,
    pub write: bool,
}

/// What all rounds have shown of one road.
pub struct Measured {
    pub road: Road,
    pub loads: Vec<Load>,
}

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let quick = words.iter().any(|word| word == "--quick");
    let number = |name: &str, default: usize| {
        let at = words.iter().position(|word| word == name);
        at.and_then(|at| words.get(at + 1)?.parse().ok()).unwrap_or(default)
    };
    let plan = Plan {
        rounds: number("--rounds", if quick { 3 } else { 7 }),
        seconds: u32::try_from(number("--seconds", if quick { 2 } else { 4 })).unwrap_or(4),
        tokens: number("--tokens", if quick { 100_000 } else { 1_000_000 }),
        write: !words.iter().any(|word| word == "--dry"),
    };
    let stage = Stage::start().await;
    let mut all: Vec<Measured> = Vec::new();
    let mut up = Vec::new();
    for road in Road::ALL {
        up.push(stage.build(road));
        all.push(Measured { road, loads: Vec::new() });
    }
    for round in 0..plan.rounds {
        for turn in 0..all.len() {
            let at = (round + turn) % all.len();
            eprintln!("==> round {round}: {}", all[at].road.name());
            all[at].loads.push(up[at].drive(&stage.token, plan.seconds));
        }
    }
    drop(up);
    let memory = memory::after(&stage, plan.tokens).await;
    let text = page::write(&plan, &all, &memory);
    println!("{text}");
    if plan.write {
        std::fs::write(here().join("../GATE.md"), text).expect("the page can be written");
    }
}

/// The folder of this package.
pub fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program that was built for this, in the root's target folder or in ours.
pub fn built(name: &str) -> PathBuf {
    let ours = std::env::current_exe().expect("this program has a path").with_file_name(name);
    if ours.exists() { ours } else { here().join("../../target/release").join(name) }
}
