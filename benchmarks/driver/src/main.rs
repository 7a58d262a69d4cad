//! `bench-driver [--quick] [--ours] [--no-web]`: builds and runs every benchmark, then writes RESULTS.md and its plots. `ROUNDS` and
//! `WEB_ROUNDS` in the environment say how long it measures.

mod build;
mod goals;
mod load;
mod measured;
mod plot;
mod report;
mod web;

use std::path::{Path, PathBuf};
use std::time::Instant;

use measured::Measured;

/// How long to measure, and what.
pub struct Plan {
    /// Interleaved rounds of each table.
    pub rounds: usize,
    /// Rounds of the web servers.
    pub web_rounds: usize,
    /// Seconds that a web server is driven for in each round.
    pub web_seconds: u32,
    pub peers: bool,
    pub web: bool,
}

/// The folder `benchmarks`.
pub fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

fn main() {
    let flags: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| flags.iter().any(|one| one == flag);
    let quick = has("--quick");
    let from_env = |name: &str, default: usize| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(if quick {
            default / 10
        } else {
            default
        })
    };
    let plan = Plan {
        rounds: from_env("ROUNDS", 201),
        web_rounds: from_env("WEB_ROUNDS", 7).max(1),
        web_seconds: 1,
        peers: !has("--ours"),
        web: !has("--no-web"),
    };
    let mut measured = Measured::default();
    build::everything(&plan, &mut measured);
    let start = Instant::now();
    for program in ["verify", "opaque", "proofs", "hits", "memory", "scale"] {
        measured.run(build::program(program), &[], &plan);
    }
    let tokens = if quick { "2000" } else { "20000" };
    measured.run(build::program("check"), &[&build::program("token").to_string_lossy(), tokens], &plan);
    // In a process of its own: elsewhere it would find memory that others have given back.
    measured.run(build::program("memory"), &["grown"], &plan);
    if plan.peers {
        for peer in build::PEERS.iter().filter(|peer| peer.verifies) {
            measured.run(build::program(&peer.program()), &["verify"], &plan);
        }
        for peer in build::PROVING {
            measured.run(build::program(&format!("bench-{peer}")), &["proof"], &plan);
        }
        measured.node(&plan);
    }
    if plan.web {
        web::throughput(&plan, &mut measured);
        load::under_stress(&plan, &mut measured);
    }
    report::write(&plan, &measured, start.elapsed());
}
