//! Bytes of heap per remembered token of 1 KiB, as an allocator that counts sees them.

use std::alloc::System;

use bench_ours::{Asking, ask, keys, report, server, shuffled};
use harness::{Alg, Fixture};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use token_core::stores::TokenCacheSettings;

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TOKENS: usize = 4000;

fn main() {
    if std::env::args().nth(1).as_deref() == Some("grown") {
        return grown();
    }
    let fixture = Fixture::new();
    let tokens: Vec<_> = (0..TOKENS).map(|n| Asking::with(&fixture.token(Alg::RS256, n))).collect();
    // Room enough that hardly any set of the table is short of ways.
    let room = TokenCacheSettings::default().entries(16 * TOKENS).bytes(TOKENS * 8192);
    for (name, settings) in [("token", room), ("digest", room.keep_digests())] {
        let server = server(keys(&fixture, Alg::RS256), settings);
        let before = held();
        for at in shuffled(TOKENS) {
            assert!(ask(&server, &tokens[at]).is_ok(), "every token is good");
        }
        report(&format!("memory.{name}.bytes_per_entry"), (held() - before) as f64 / TOKENS as f64);
    }
}

/// What a process of its own has grown by after so many tokens, each seen once, through a cache of 10,000.
fn grown() {
    let fixture = Fixture::new();
    let settings = TokenCacheSettings::default().entries(10_000).bytes(64 * 1024 * 1024);
    let server = server(keys(&fixture, Alg::HS256), settings);
    let resident = resident_kib();
    let mut seen = 0;
    for count in [1000, 10_000, 100_000, 1_000_000] {
        while seen < count {
            assert!(ask(&server, &Asking::with(&fixture.token(Alg::HS256, seen))).is_ok(), "every token is good");
            seen += 1;
        }
        report(&format!("memory.grown.{count}.mib"), (resident_kib() - resident) / 1024.0);
    }
}

fn resident_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(f64::NAN)
}

fn held() -> isize {
    let stats = GLOBAL.stats();
    stats.bytes_allocated as isize - stats.bytes_deallocated as isize
}
