//! What is counted of the gate's own work; the core counts verifications, keys and caches beside it. Labels come from closed lists.

use std::time::Duration;

const DECISIONS: &str = "token_gate_decisions_total";
const SECONDS: &str = "token_gate_decision_seconds";
const CONNECTIONS: &str = "token_gate_connections";

/// Says what the numbers are, once.
pub(crate) fn describe() {
    metrics::describe_counter!(DECISIONS, "Questions of proxies by door and outcome: passed, or why not");
    metrics::describe_histogram!(SECONDS, "Seconds from a question to its decision, waiting included");
    metrics::describe_gauge!(CONNECTIONS, "Open connections of proxies");
}

pub(crate) fn decided(door: &'static str, outcome: &'static str, took: Duration) {
    metrics::counter!(DECISIONS, "door" => door, "outcome" => outcome).increment(1);
    metrics::histogram!(SECONDS, "door" => door).record(took);
}

pub(crate) fn connections(by: f64) {
    metrics::gauge!(CONNECTIONS).increment(by);
}
