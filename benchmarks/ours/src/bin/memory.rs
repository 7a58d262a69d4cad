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

fn held() -> isize {
    let stats = GLOBAL.stats();
    stats.bytes_allocated as isize - stats.bytes_deallocated as isize
}
