//! Standard input in, batches of lines out: as many lines as are at hand, none of them longer than 1 MiB.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::{Answer, Job};
use crate::end::Failure;

/// The longest line, in bytes.
const LONGEST: usize = 1024 * 1024;
/// Lines and bytes of one batch.
const MOST_LINES: usize = 64;
const MOST_BYTES: usize = 1024 * 1024;

/// Some lines, each with its number, counted from one.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) lines: Vec<(u64, Vec<u8>)>,
    /// How much of the input they are, with their ends and the empty lines between them.
    bytes: u64,
}

/// What the writer has to wait for next.
pub(super) enum Order {
    /// The answers to a batch of so many bytes.
    Answers { bytes: u64, answers: Receiver<Vec<Answer>> },
    /// A line that cannot be read; nothing comes after it.
    Trouble(Failure),
}

/// Reads until the input ends, or nobody wants more.
pub(super) fn read(input: impl Read, jobs: &SyncSender<Job>, orders: &SyncSender<Order>) {
    let mut input = BufReader::with_capacity(256 * 1024, input);
    let mut number = 0;
    loop {
        let (batch, trouble) = next(&mut input, &mut number);
        let end = batch.lines.is_empty();
        if !end {
            let (reply, answers) = sync_channel(1);
            let order = Order::Answers { bytes: batch.bytes, answers };
            if jobs.send((batch, reply)).is_err() || orders.send(order).is_err() {
                return;
            }
        }
        if let Some(trouble) = trouble {
            let _ = orders.send(Order::Trouble(trouble));
            return;
        }
        if end {
            return;
        }
    }
}

/// Reads as many lines as are at hand, at least one unless the input ends.
fn next(input: &mut BufReader<impl Read>, number: &mut u64) -> (Batch, Option<Failure>) {
    let mut batch = Batch::default();
    loop {
        let mut line = Vec::new();
        *number += 1;
        if let Err(error) = input.by_ref().take(LONGEST as u64 + 2).read_until(b'\n', &mut line) {
            return (batch, Some(Failure::input(format!("line {number}: cannot be read: {error}"))));
        }
        if line.is_empty() {
            return (batch, None);
        }
        batch.bytes += line.len() as u64;
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        if line.len() > LONGEST {
            let why = format!("line {number}: longer than 1 MiB; nothing after the line before it was checked");
            return (batch, Some(Failure::input(why)));
        }
        if !line.iter().all(u8::is_ascii_whitespace) {
            batch.lines.push((*number, line));
        }
        // A line that somebody types or a program pipes is answered when it is there.
        let more_at_hand = input.buffer().contains(&b'\n');
        let full = batch.lines.len() >= MOST_LINES || batch.bytes >= MOST_BYTES as u64;
        if !batch.lines.is_empty() && (full || !more_at_hand) {
            return (batch, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of the lines of each batch, and whether there was trouble.
    fn batches(input: &[u8]) -> (Vec<Vec<u64>>, bool) {
        let (jobs, work) = sync_channel(1000);
        let (orders, queue) = sync_channel(1000);
        read(input, &jobs, &orders);
        drop((jobs, orders));
        let trouble = queue.iter().any(|order| matches!(order, Order::Trouble(_)));
        (work.iter().map(|(batch, _)| batch.lines.iter().map(|(number, _)| *number).collect()).collect(), trouble)
    }

    #[test]
    fn lines_keep_their_numbers_and_batches_are_bounded() {
        assert_eq!(batches(b""), (vec![], false));
        assert_eq!(batches(b"\n \r\n"), (vec![], false));
        assert_eq!(
            batches(b"a\n\nb"),
            (vec![vec![1], vec![3]], false),
            "the last line is not at hand before the input ends"
        );
        let (many, trouble) = batches("x\n".repeat(1000).as_bytes());
        assert!(!trouble && many.iter().all(|batch| batch.len() <= MOST_LINES));
        assert_eq!(many.concat(), (1..=1000).collect::<Vec<_>>());
        let wide = format!("{}\n", "x".repeat(LONGEST));
        let (few, trouble) = batches(wide.repeat(3).as_bytes());
        assert_eq!((few, trouble), (vec![vec![1], vec![2], vec![3]], false));
    }

    #[test]
    fn a_line_too_long_is_trouble_after_those_before_it() {
        let input = format!("a\n{}\nb\n", "x".repeat(LONGEST + 1));
        assert_eq!(batches(input.as_bytes()), (vec![vec![1]], true));
    }
}
