//! Minutes of everything at once against servers of ours, on demand; the report's section of it out.

use std::process::Command;

use crate::report::{self, SOAK};
use crate::step::{self, Outcome};

/// Soaks for so many minutes (half a minute to an hour) and puts the figures into the report.
pub(crate) fn run(minutes: &str) -> Outcome {
    if !minutes.parse().is_ok_and(|minutes: f64| (0.5..=60.0).contains(&minutes)) {
        return Err(format!("{minutes}: expected minutes, from 0.5 to 60"));
    }
    report::clear_section(SOAK)?;
    let words = "test -p token-tests --features soak --test soak -- --nocapture";
    let mut command = Command::new("cargo");
    command.args(words.split_whitespace()).env("TOKEN_SOAK_MINUTES", minutes).env("TOKEN_EVIDENCE", report::folder());
    step::run(&mut command)?;
    report::write_section(SOAK)
}
