//! Interleaved rounds: every case once a round, in rotating order, in slices of about a millisecond; ratios are medians of same-round ratios.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// One thing to time. `true` means that it did what it should; anything else ends the run.
pub struct Case<'a> {
    pub name: String,
    run: Box<dyn FnMut() -> bool + 'a>,
}

impl<'a> Case<'a> {
    pub fn new(name: impl Into<String>, run: impl FnMut() -> bool + 'a) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// How long to measure.
#[derive(Clone, Copy)]
pub struct Rounds {
    pub rounds: usize,
    pub slice: Duration,
}

impl Rounds {
    /// As many rounds as `ROUNDS` in the environment says; 101 otherwise.
    pub fn from_env() -> Self {
        let rounds = std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(101);
        Self { rounds, slice: Duration::from_millis(1) }
    }

    pub fn run(self, mut cases: Vec<Case<'_>>) -> Table {
        let batches: Vec<u32> = cases.iter_mut().map(|case| batch(case, self.slice)).collect();
        let mut times = vec![Vec::with_capacity(self.rounds); cases.len()];
        for round in 0..self.rounds {
            for turn in 0..cases.len() {
                let at = (round + turn) % cases.len();
                times[at].push(time(&mut cases[at], batches[at]));
            }
        }
        Table { names: cases.into_iter().map(|case| case.name).collect(), times }
    }
}

/// How often a case runs within a slice.
fn batch(case: &mut Case<'_>, slice: Duration) -> u32 {
    let mut batch = 1;
    loop {
        // The best of three: the first run finds nothing in the caches.
        let took = (0..3).map(|_| time(case, batch)).fold(f64::MAX, f64::min) * f64::from(batch);
        let wanted = slice.as_nanos() as f64;
        if took >= wanted / 4.0 || batch > 1 << 24 {
            return ((f64::from(batch) * wanted / took).round() as u32).max(1);
        }
        batch *= 2;
    }
}

/// Nanoseconds of one run, over `batch` of them.
fn time(case: &mut Case<'_>, batch: u32) -> f64 {
    let (waited, start) = (waited_for_a_core(), Instant::now());
    let mut good = true;
    for _ in 0..batch {
        good &= black_box((case.run)());
    }
    let took = start.elapsed();
    let took = took.saturating_sub(waited_for_a_core().saturating_sub(waited));
    assert!(good, "{} did not do what it is timed for", case.name);
    took.as_nanos() as f64 / f64::from(batch)
}

/// How long this thread was ready and not run, since others were, as Linux counts it: no neighbour on the machine counts as work.
pub fn waited_for_a_core() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').nth(1).and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

/// Nanoseconds per run of every case in every round.
pub struct Table {
    names: Vec<String>,
    times: Vec<Vec<f64>>,
}

impl Table {
    fn of(&self, name: &str) -> &[f64] {
        let at = self.names.iter().position(|one| one == name).unwrap_or_else(|| panic!("{name} was not timed"));
        &self.times[at]
    }

    /// Nanoseconds of one run, the median.
    pub fn ns(&self, name: &str) -> f64 {
        median(self.of(name).to_vec())
    }

    /// How many times as long as `reference`.
    pub fn ratio(&self, name: &str, reference: &str) -> f64 {
        median(self.of(name).iter().zip(self.of(reference)).map(|(a, b)| a / b).collect())
    }

    /// Nanoseconds more than `reference`.
    pub fn extra(&self, name: &str, reference: &str) -> f64 {
        median(self.of(name).iter().zip(self.of(reference)).map(|(a, b)| a - b).collect())
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}
