//! A drill, on demand: four processes, a Redis with a replica and Sentinels, a load, and what happens to them; the report's tables of it out.

use std::process::Command;

use crate::report::{self, FLEET, FLEET_FIGURES};
use crate::step::{self, Outcome};

/// Runs the drill and puts its tables into the report.
pub(crate) fn run() -> Outcome {
    crate::install::for_the_fleet()?;
    report::clear_section(FLEET)?;
    report::clear_section(FLEET_FIGURES)?;
    let words = "test --release -p token-tests --features fleet --test fleet -- --nocapture";
    let mut command = Command::new("cargo");
    command.args(words.split_whitespace()).env("TOKEN_EVIDENCE", report::folder());
    // As fast as a release but for a few per cent, and built in half the time.
    command.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    step::run(&mut command)?;
    report::write_section(FLEET)?;
    report::write_section(FLEET_FIGURES)
}
