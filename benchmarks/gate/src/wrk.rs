//! A port and a token in, requests per second and latencies out, as wrk on core 1 sees them.

use std::process::Command;

use crate::roads::Up;

/// What one drive has shown.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub per_second: f64,
    /// Processor time of the road's programs for one request.
    pub cpu_us: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

/// Sixteen connections for so long. Every answer has to be 200.
pub fn drive(up: &Up, token: &str, seconds: u32) -> Load {
    let (port, before) = (up.port, up.cpu_ns());
    let output = Command::new("taskset")
        .args(["-c", "1", "wrk", "-t1", "-c16", "--latency"])
        .arg(format!("-d{seconds}s"))
        .arg("-H")
        .arg(format!("Authorization: Bearer {token}"))
        .arg(format!("http://127.0.0.1:{port}/orders/7"))
        .output()
        .expect("wrk is installed");
    let spent = up.cpu_ns() - before;
    let text = String::from_utf8_lossy(&output.stdout);
    let total = text.lines().find(|line| line.contains(" requests in "));
    let requests = total.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(f64::NAN);
    let field = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name).map(str::trim));
    assert!(field("Non-2xx or 3xx responses:").is_none() && field("Socket errors:").is_none(), "{port}: {text}");
    let time = |name| field(name).and_then(microseconds).unwrap_or(f64::NAN);
    Load {
        per_second: field("Requests/sec:").and_then(|text| text.parse().ok()).unwrap_or(f64::NAN),
        cpu_us: spent / requests / 1000.0,
        p50_us: time("50%"),
        p99_us: time("99%"),
    }
}

/// wrk's way to write a time: `812.00us`, `1.23ms`.
fn microseconds(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_alphabetic());
    let scale = match &text[digits.len()..] {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        _ => return None,
    };
    Some(digits.parse::<f64>().ok()? * scale)
}
