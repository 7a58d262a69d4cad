//! What was measured in, the page that says it out.

use std::fmt::Write;

use crate::memory::Memory;
use crate::roads::Road;
use crate::{Measured, Plan};

/// A figure, and what it is to reach.
struct Goal {
    name: &'static str,
    road: Road,
    least: f64,
}

const GOALS: [Goal; 2] = [
    Goal { name: "Envoy + token-gate / Envoy + a no-op server", road: Road::EnvoyGate, least: 0.95 },
    Goal { name: "nginx + token-gate / nginx + its own 204", road: Road::NginxGate, least: 0.85 },
];
/// The most memory after a million tokens, in MiB.
const MOST_MIB: f64 = 64.0;

pub fn write(plan: &Plan, all: &[Measured], memory: &Memory) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "# token-gate behind proxies\n\nWritten by `cargo xtask gate-bench`: {} interleaved rounds of {} s each, wrk with 16 connections on core 1, every \
         other program on core 0, the shipped configurations, one token (RS256). Medians of the rounds. Absolute figures are the machine's, and it had \
         other work; what counts is a row beside its floor in the same round. Processor time is that of proxy and gate, without the service: where others use the \
         machine, it says more than requests per second. *Once more* is the floor against itself: so much is chance.\n",
        plan.rounds, plan.seconds
    );
    let _ = writeln!(
        text,
        "| | requests per second | over the floor | lowest to highest | processor time a request | floor's over it | p50 | p99 | what is checked |\n|---|---|---|---|---|---|---|---|---|"
    );
    for measured in all {
        let median = |of: fn(&bench_wrk::Load) -> f64| middle(measured.loads.iter().map(of).collect());
        let cost = match middle(costs(all, measured.road)) {
            cost if cost.is_nan() => String::new(),
            cost => format!("{cost:.3}"),
        };
        let ratios = ratios(all, measured.road);
        let (ratio, range) = match &ratios[..] {
            [] => ("".to_owned(), "".to_owned()),
            ratios => {
                let low = ratios.iter().copied().fold(f64::INFINITY, f64::min);
                let high = ratios.iter().copied().fold(0.0, f64::max);
                (format!("{:.3}", middle(ratios.to_vec())), format!("{low:.2} to {high:.2}"))
            }
        };
        let _ = writeln!(
            text,
            "| {} | {:.0} | {ratio} | {range} | {:.1} µs | {cost} | {} | {} | {} |",
            measured.road.name(),
            median(|load| load.per_second),
            median(|load| load.cpu_us),
            time(median(|load| load.p50_us)),
            time(median(|load| load.p99_us)),
            measured.road.checks(),
        );
    }
    let _ = writeln!(text, "\n| goal | wanted | measured | |\n|---|---|---|---|");
    for goal in GOALS {
        let ratio = middle(ratios(all, goal.road));
        let _ =
            writeln!(text, "| {} | ≥ {:.2} | {ratio:.3} | {} |", goal.name, goal.least, verdict(ratio >= goal.least));
    }
    let mib = |kib: u64| kib as f64 / 1024.0;
    let last = memory.tenths.last().copied().unwrap_or(0);
    let _ = writeln!(
        text,
        "| resident memory after {} different tokens | ≤ {MOST_MIB:.0} MiB | {:.1} MiB | {} |",
        memory.tokens,
        mib(last),
        verdict(mib(last) <= MOST_MIB)
    );
    let tenths: Vec<_> = memory.tenths.iter().map(|kib| format!("{:.1}", mib(*kib))).collect();
    let _ = writeln!(
        text,
        "\nMemory: {:.1} MiB before the first token, then after each tenth of them {} MiB; {:.1} MiB at most. Tokens of {} bytes, each good and each verified \
         anew (ES256).",
        mib(memory.before),
        tenths.join(", "),
        mib(memory.highest),
        memory.token_bytes
    );
    text
}

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "missed" }
}

/// Each round's processor time of the floor over that of this road.
fn costs(all: &[Measured], road: Road) -> Vec<f64> {
    let of = |road: Road| all.iter().find(|measured| measured.road == road);
    let (Some(this), Some(floor)) = (of(road), road.floor().and_then(of)) else { return Vec::new() };
    this.loads.iter().zip(&floor.loads).map(|(this, floor)| floor.cpu_us / this.cpu_us).collect()
}

/// Each round's requests per second over those of its floor in the same round.
fn ratios(all: &[Measured], road: Road) -> Vec<f64> {
    let of = |road: Road| all.iter().find(|measured| measured.road == road);
    let (Some(this), Some(floor)) = (of(road), road.floor().and_then(of)) else { return Vec::new() };
    this.loads.iter().zip(&floor.loads).map(|(this, floor)| this.per_second / floor.per_second).collect()
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn time(microseconds: f64) -> String {
    if microseconds < 1000.0 { format!("{microseconds:.0} µs") } else { format!("{:.2} ms", microseconds / 1000.0) }
}
