//! JSON lines with tokens in, JSON lines with verdicts out, in the same order, on all cores, in constant memory.

mod clock;
mod line;
mod servers;
mod verdict;

use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal, Read, Write};
use std::num::NonZero;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::args::Check;
use crate::end::{End, Failure};
use servers::Servers;
use verdict::Verdict;

/// The longest line, in bytes.
const LONGEST: usize = 1024 * 1024;
/// Lines and bytes that are held at once.
const ROUND_LINES: usize = 512;
const ROUND_BYTES: usize = 16 * 1024 * 1024;
/// How many differing lines are listed on standard error; all are counted.
const LISTED: u64 = 20;

/// A line of input with its number, counted from one.
type Numbered = (u64, Vec<u8>);

pub(crate) fn run(options: &Check, runtime: &Handle) -> Result<End, Failure> {
    let servers = Servers::new(options)?;
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let mut input = BufReader::with_capacity(256 * 1024, io::stdin());
    let mut out = BufWriter::new(io::stdout());
    let mut tally = Tally::default();
    let mut progress = Progress::new();
    let mut number = 0;
    loop {
        // What came before a line that cannot be read is still answered.
        let (round, trouble) = read_round(&mut input, &mut number, cores * ROUND_LINES);
        let end = round.is_empty();
        for (number, answer) in answer(&round, &servers, runtime, cores) {
            let verdict = match answer {
                Ok(verdict) => verdict,
                Err(why) => {
                    out.flush()?;
                    return Err(Failure::input(format!("line {number}: {why}; nothing after it was checked")));
                }
            };
            tally.count(number, &verdict);
            serde_json::to_writer(&mut out, &verdict).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
        progress.show(&tally);
        if let Some(trouble) = trouble {
            return Err(trouble);
        }
        if end {
            break;
        }
    }
    progress.clear();
    Ok(tally.end())
}

/// Reads as many lines as are at hand, at least one unless the input ends.
fn read_round(input: &mut BufReader<impl Read>, number: &mut u64, most: usize) -> (Vec<Numbered>, Option<Failure>) {
    let (mut round, mut bytes) = (Vec::new(), 0);
    loop {
        let mut line = Vec::new();
        *number += 1;
        if let Err(error) = input.by_ref().take(LONGEST as u64 + 2).read_until(b'\n', &mut line) {
            return (round, Some(Failure::input(format!("line {number}: cannot be read: {error}"))));
        }
        if line.is_empty() {
            return (round, None);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        if line.len() > LONGEST {
            let why = format!("line {number}: longer than 1 MiB; nothing after the line before it was checked");
            return (round, Some(Failure::input(why)));
        }
        bytes += line.len();
        if !line.iter().all(u8::is_ascii_whitespace) {
            round.push((*number, line));
        }
        // A line that somebody types or a program pipes is answered when it is there.
        let more_at_hand = input.buffer().contains(&b'\n');
        if round.len() >= most || bytes >= ROUND_BYTES || (!more_at_hand && !round.is_empty()) {
            return (round, None);
        }
    }
}

/// Answers the lines of a round on all cores; the answers are in the order of the lines.
fn answer(
    round: &[Numbered],
    servers: &Servers<'_>,
    runtime: &Handle,
    cores: usize,
) -> Vec<(u64, Result<Verdict, String>)> {
    let share = round.len().div_ceil(cores).max(16);
    let one = |(number, line): &Numbered| (*number, verdict::of(line, servers, runtime));
    if round.len() <= share {
        let _guard = runtime.enter();
        return round.iter().map(one).collect();
    }
    thread::scope(|scope| {
        let shares: Vec<_> = round
            .chunks(share)
            .map(|share| {
                scope.spawn(move || {
                    let _guard = runtime.enter();
                    share.iter().map(one).collect::<Vec<_>>()
                })
            })
            .collect();
        shares.into_iter().flat_map(|share| share.join().unwrap_or_default()).collect()
    })
}

/// What came of it all.
#[derive(Default)]
struct Tally {
    lines: u64,
    expected: u64,
    differing: u64,
    unavailable: u64,
}

impl Tally {
    fn count(&mut self, number: u64, verdict: &Verdict) {
        self.lines += 1;
        self.expected += u64::from(verdict.ok.is_some());
        self.unavailable += u64::from(verdict.kind == Some("unavailable") && verdict.ok != Some(true));
        if verdict.ok == Some(false) {
            self.differing += 1;
            if self.differing <= LISTED {
                eprintln!("token: line {number}: {}", verdict.difference());
            }
        }
    }

    fn end(&self) -> End {
        if self.expected > 0 {
            eprintln!("token: {} lines, {} with expectations, {} differ", self.lines, self.expected, self.differing);
        }
        match (self.differing, self.unavailable) {
            (0, 0) => End::Yes,
            (0, _) => End::Unreachable,
            _ => End::No,
        }
    }
}

/// One line on standard error, if that is a terminal.
struct Progress {
    shown: bool,
    on: bool,
    start: Instant,
    last: Instant,
}

impl Progress {
    fn new() -> Self {
        let now = Instant::now();
        Self { shown: false, on: io::stderr().is_terminal() && !io::stdin().is_terminal(), start: now, last: now }
    }

    fn show(&mut self, tally: &Tally) {
        if self.on && self.last.elapsed() > Duration::from_millis(200) {
            (self.last, self.shown) = (Instant::now(), true);
            #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
            let rate = tally.lines as f64 / self.start.elapsed().as_secs_f64();
            eprint!("\r\u{1b}[K{} lines, {rate:.0} a second, {} differ", tally.lines, tally.differing);
        }
    }

    fn clear(&self) {
        if self.shown {
            eprint!("\r\u{1b}[K");
        }
    }
}
