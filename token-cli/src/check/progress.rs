//! How far a run is in, one line on standard error out: only where that is a terminal which nothing else writes to.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use super::Tally;

/// How wide the bar is, in characters.
const WIDTH: u64 = 30;

pub(super) struct Progress {
    on: bool,
    shown: bool,
    /// How many bytes the input has, where it is a file.
    total: Option<u64>,
    done: u64,
    start: Instant,
    last: Option<Instant>,
}

impl Progress {
    pub(super) fn start() -> Self {
        let on = io::stderr().is_terminal() && !io::stdin().is_terminal() && !io::stdout().is_terminal();
        let total = if on { size_of_input() } else { None };
        Self { on, shown: false, total, done: 0, start: Instant::now(), last: None }
    }

    /// So many bytes more are done.
    pub(super) fn advance(&mut self, bytes: u64, tally: &Tally) {
        self.done += bytes;
        if self.on && self.last.is_none_or(|last| last.elapsed() > Duration::from_millis(100)) {
            (self.last, self.shown) = (Some(Instant::now()), true);
            eprint!("\r\u{1b}[K{}", line(self.total.map(|total| (self.done, total)), self.start.elapsed(), tally));
        }
    }

    /// Makes room for another line.
    pub(super) fn clear(&mut self) {
        if self.shown {
            self.shown = false;
            eprint!("\r\u{1b}[K");
        }
    }
}

fn line(part: Option<(u64, u64)>, elapsed: Duration, tally: &Tally) -> String {
    use std::fmt::Write as _;
    let mut line = String::new();
    if let Some((done, total)) = part {
        let done = done.min(total);
        let filled = usize::try_from(done * WIDTH / total.max(1)).unwrap_or_default();
        let bar = format!("{}>", "=".repeat(filled));
        let (width, percent) = (WIDTH as usize, done * 100 / total.max(1));
        let _ = write!(line, "[{bar:<width$.width$}] {percent:>3} %  ");
    }
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = tally.lines.saturating_mul(1000) / millis;
    let _ = write!(line, "{} lines, {rate} a second", tally.lines);
    if tally.expected > 0 {
        let _ = write!(line, ", {} differ", tally.differing);
    }
    line
}

/// What is left of a file at standard input; nothing for pipes, whose end nobody knows.
fn size_of_input() -> Option<u64> {
    use std::io::Seek;
    let mut file = input()?;
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(metadata.len().saturating_sub(file.stream_position().ok()?))
}

#[cfg(unix)]
fn input() -> Option<std::fs::File> {
    use std::os::fd::AsFd;
    io::stdin().as_fd().try_clone_to_owned().ok().map(Into::into)
}

#[cfg(windows)]
fn input() -> Option<std::fs::File> {
    use std::os::windows::io::AsHandle;
    io::stdin().as_handle().try_clone_to_owned().ok().map(Into::into)
}

#[cfg(not(any(unix, windows)))]
fn input() -> Option<std::fs::File> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_much_is_done_how_fast_and_how_well() {
        let tally = |lines, expected, differing| Tally { lines, expected, differing, unavailable: 0 };
        let second = Duration::from_secs(1);
        for (part, elapsed, tally, expected) in [
            (None, second, tally(500, 0, 0), "500 lines, 500 a second"),
            (None, second * 2, tally(500, 500, 3), "500 lines, 250 a second, 3 differ"),
            (
                Some((0, 100)),
                Duration::ZERO,
                tally(0, 0, 0),
                "[>                             ]   0 %  0 lines, 0 a second",
            ),
            (Some((50, 100)), second, tally(9, 0, 0), "[===============>              ]  50 %  9 lines, 9 a second"),
            (Some((100, 100)), second, tally(9, 0, 0), "[==============================] 100 %  9 lines, 9 a second"),
            // A file that grows meanwhile, and an empty one.
            (Some((300, 100)), second, tally(9, 0, 0), "[==============================] 100 %  9 lines, 9 a second"),
            (Some((0, 0)), second, tally(0, 0, 0), "[>                             ]   0 %  0 lines, 0 a second"),
        ] {
            assert_eq!(line(part, elapsed, &tally), expected);
        }
    }
}
