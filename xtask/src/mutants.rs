//! The verification rooms in, each of their lines changed on purpose, one at a time; which changes no test noticed, as rows of `tests/REPORT.md`, out.

use std::path::Path;
use std::process::Command;

use crate::report;
use crate::step::{Outcome, has, root, run};

/// The program that changes the lines, from crates.io.
const VERSION: &str = "25.3.1";
/// The section of the report.
pub(crate) const SECTION: &str = "mutants";

/// Where a line that nobody holds lets somebody in. A room is added once its survivors are at zero, or have a reason.
const ROOMS: &[&str] = &[
    "verify/jwt.rs",
    "verify/jwt/straight.rs",
    "verify/misfit.rs",
    "verify/requirement.rs",
    "verify/possession/proof.rs",
    "jose/verification_key.rs",
    "jose/header.rs",
    "request/bearer.rs",
];

/// Changes that no test can notice, and why. A part of the tool's own words is enough.
const HARMLESS: &[(&str, &str)] = &[(
    "replace < with <= in claim_at",
    "no error is noticed where a value begins: serde has read its first byte by then",
)];

/// Runs it: all, or one part of so many (`1/8`), each in some minutes. A survivor without a reason is a failure.
pub(crate) fn run_mutants(shard: Option<&str>) -> Outcome {
    if !has("cargo-mutants") {
        run(Command::new("cargo").args(["install", "cargo-mutants", "--locked", "--version", VERSION]))?;
    }
    let out = root().join("target/mutants");
    let mut command = Command::new("cargo");
    command
        .args(["mutants", "-p", "token-core", "--timeout", "200", "--baseline", "skip", "--no-shuffle", "--output"])
        .arg(&out);
    // In a copy, but with one folder of what was compiled: the crates below are not built once more for each.
    command.env("CARGO_TARGET_DIR", root().join("target/mutants/target"));
    for room in ROOMS {
        command.args(["--file", &format!("token-core/src/{room}")]);
    }
    if let Some(shard) = shard {
        command.args(["--shard", shard]);
    }
    if has("cargo-nextest") {
        command.args(["--test-tool", "nextest"]);
    }
    command.args(["--", "--lib"]);
    // It ends with a failure where something survived; what did is judged here.
    let ended = run(&mut command);
    let counted = |list: &str| lines(&out.join("mutants.out").join(list));
    let (caught, missed, late) = (counted("caught.txt"), counted("missed.txt"), counted("timeout.txt"));
    if caught.is_empty() {
        return ended.and(Err("nothing was changed".to_owned()));
    }
    report::clear_section(SECTION)?;
    for room in ROOMS {
        let of = |list: &[String]| list.iter().filter(|line| line.contains(&format!("/{room}:"))).count().to_string();
        report::row(
            SECTION,
            &room.replace('/', "-"),
            &[room, &of(&caught), &of(&late), &of(&missed), &reasons(room, &missed)],
        )?;
    }
    report::write_section(SECTION)?;
    let unexplained: Vec<_> = missed.iter().filter(|line| reason(line).is_none()).cloned().collect();
    if unexplained.is_empty() { Ok(()) } else { Err(format!("no test notices:\n{}", unexplained.join("\n"))) }
}

fn reason(line: &str) -> Option<&'static str> {
    HARMLESS.iter().find(|(part, _)| line.contains(part)).map(|(_, why)| *why)
}

/// The survivors of a room, each with its reason.
fn reasons(room: &str, missed: &[String]) -> String {
    let of = missed.iter().filter(|line| line.contains(&format!("/{room}:")));
    let said = of.map(|line| {
        let what = line.rsplit(": ").next().unwrap_or(line).replace('|', "\\|");
        format!("{what}: {}", reason(line).unwrap_or("no reason yet"))
    });
    let said: Vec<_> = said.collect();
    if said.is_empty() { "none".to_owned() } else { said.join("; ") }
}

fn lines(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}
