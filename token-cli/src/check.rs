//! JSON lines with tokens in, JSON lines with verdicts out, in the same order, on all cores, in constant memory.
//!
//! One thread reads, as many as there are cores judge, one writes. What is under way is bounded, so that a reader is never far ahead
//! of the writer. All but the writer are threads of their own that nobody waits for: a bad line ends the run although more may come.

mod clock;
mod line;
mod progress;
mod reader;
mod servers;
mod verdict;

pub(crate) use clock::LineClock;
pub(crate) use line::{Line, Request};

use std::io::{self, BufWriter, Write};
use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::runtime::Handle;

use crate::args::Check;
use crate::end::{End, Failure};
use progress::Progress;
use reader::{Batch, Order};
use servers::Servers;
use verdict::Verdict;

/// Batches that are under way for each core.
const AHEAD: usize = 4;

/// Lines to be judged, and where their answers go.
type Job = (Batch, SyncSender<Vec<Answer>>);
/// The number of a line, counted from one, and what came of it.
type Answer = (u64, Result<Verdict, String>);

pub(crate) fn run(options: Check, runtime: &Handle) -> Result<End, Failure> {
    let servers = Arc::new(Servers::new(options)?);
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let (jobs, work) = sync_channel(cores * AHEAD);
    let (orders, queue) = sync_channel(cores * AHEAD);
    let work = Arc::new(Mutex::new(work));
    for _ in 0..cores {
        let (work, servers, runtime) = (Arc::clone(&work), Arc::clone(&servers), runtime.clone());
        thread::spawn(move || judge(&work, &servers, &runtime));
    }
    thread::spawn(move || reader::read(io::stdin(), &jobs, &orders));
    write(&queue)
}

/// Judges one batch after the other, until there are no more.
fn judge(work: &Mutex<Receiver<Job>>, servers: &Servers, runtime: &Handle) {
    let _guard = runtime.enter();
    loop {
        let job = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((batch, reply)) = job else { return };
        let answers = batch.lines.iter().map(|(number, line)| (*number, verdict::of(line, servers, runtime))).collect();
        // Who no longer wants to know has said why.
        let _ = reply.send(answers);
    }
}

/// Writes the answers in the order of the lines.
fn write(queue: &Receiver<Order>) -> Result<End, Failure> {
    let mut out = BufWriter::new(io::stdout());
    let mut progress = Progress::start();
    let mut tally = Tally::default();
    loop {
        let order = match queue.try_recv() {
            Ok(order) => order,
            Err(TryRecvError::Disconnected) => break,
            Err(TryRecvError::Empty) => {
                // Nothing is at hand: whoever sent one line and waits for its answer gets it.
                out.flush()?;
                match queue.recv() {
                    Ok(order) => order,
                    Err(_) => break,
                }
            }
        };
        let (bytes, answers) = match order {
            Order::Answers { bytes, answers } => (bytes, answers),
            // What came before a line that cannot be read is answered by now.
            Order::Trouble(trouble) => {
                out.flush()?;
                progress.clear();
                return Err(trouble);
            }
        };
        let Ok(answers) = answers.recv() else {
            out.flush()?;
            return Err(Failure::input(
                "some lines could not be judged, for a fault of this program; nothing after them was",
            ));
        };
        for (number, answer) in answers {
            let verdict = match answer {
                Ok(verdict) => verdict,
                Err(why) => {
                    out.flush()?;
                    progress.clear();
                    return Err(Failure::input(format!("line {number}: {why}; nothing after it was checked")));
                }
            };
            tally.count(&verdict);
            if verdict.ok == Some(false) {
                progress.clear();
                eprintln!("token: line {number}: {}", verdict.difference());
            }
            serde_json::to_writer(&mut out, &verdict).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
        }
        progress.advance(bytes, &tally);
    }
    out.flush()?;
    progress.clear();
    Ok(tally.end())
}

/// What came of it all.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    lines: u64,
    expected: u64,
    differing: u64,
    unavailable: u64,
}

impl Tally {
    fn count(&mut self, verdict: &Verdict) {
        self.lines += 1;
        self.expected += u64::from(verdict.ok.is_some());
        self.unavailable += u64::from(verdict.kind == Some("unavailable") && verdict.ok != Some(true));
        self.differing += u64::from(verdict.ok == Some(false));
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
