//! An address and a token in, requests per second and latencies out, as wrk on core 1 sees them.

use std::process::Command;

/// What one drive has shown.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub per_second: f64,
    /// Processor time of the driven programs for one request.
    pub cpu_us: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

/// Sixteen connections for so many seconds. `cpu_ns` is the processor time that the driven programs have had so far.
///
/// # Errors
/// What wrk wrote, when it did not run or an answer was not 200.
pub fn drive(url: &str, token: &str, seconds: u32, cpu_ns: impl Fn() -> f64) -> Result<Load, String> {
    let before = cpu_ns();
    let output = Command::new("taskset")
        .args(["-c", "1", "wrk", "-t1", "-c16", "--latency"])
        .arg(format!("-d{seconds}s"))
        .arg("-H")
        .arg(format!("Authorization: Bearer {token}"))
        .arg(url)
        .output()
        .map_err(|error| format!("wrk: {error}"))?;
    let spent = cpu_ns() - before;
    let text = String::from_utf8_lossy(&output.stdout);
    read(&text, spent).ok_or_else(|| text.into_owned())
}

fn read(text: &str, spent_ns: f64) -> Option<Load> {
    let field = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name).map(str::trim));
    if field("Non-2xx or 3xx responses:").is_some() || field("Socket errors:").is_some() {
        return None;
    }
    let total = text.lines().find(|line| line.contains(" requests in "))?;
    let requests: f64 = total.split_whitespace().next()?.parse().ok()?;
    Some(Load {
        per_second: field("Requests/sec:")?.parse().ok()?,
        cpu_us: spent_ns / requests / 1000.0,
        p50_us: microseconds(field("50%")?)?,
        p99_us: microseconds(field("99%")?)?,
    })
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

/// Nanoseconds of processor time that all threads of a process have had.
pub fn cpu_ns(process: u32) -> f64 {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task"));
    tasks
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse::<f64>().ok())
        .sum()
}
