//! The resident memory of this process, looked at twice a second; warm and at the end out.

use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::stage::Going;

/// MiB. Callers, issuer and verifier share the process and its allocator, whose arenas breathe by a few; a hundred bytes lost per request
/// would be several times this.
pub(crate) const ALLOWED_GROWTH: f64 = 8.0;

#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Vec<f64>>);

impl Memory {
    pub(crate) async fn watch(&self, going: &Going) {
        while going.load(Ordering::Relaxed) {
            self.0.lock().unwrap().push(resident());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// The median of the second third of the time, when every cache has been filled, and of the last sixth.
    pub(crate) fn verdict(&self) -> (f64, f64) {
        let samples = self.0.lock().unwrap();
        let third = samples.len() / 3;
        (median(&samples[third..2 * third]), median(&samples[samples.len() - third / 2..]))
    }
}

fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// MiB, as Linux counts it.
fn resident() -> f64 {
    let status =
        std::fs::read_to_string("/proc/self/status").expect("a soak runs on Linux, whose /proc tells of memory");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("resident memory");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number of kB") / 1024.0
}
