//! Instructions of the hot paths, counted by callgrind and held against what is recorded: a clock on a busy machine lies, a count does not.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use crate::even::even;
use crate::step::{Outcome, root, run};

/// Paths to count, and what is subtracted: how long a signature is depends on the processor, what lies around it does not.
const PATHS: &[(&str, Option<&str>)] = &[
    ("mac", None),
    ("clock", None),
    ("bare_rs256", None),
    ("bare_es256", None),
    ("bare_eddsa", None),
    ("cold", Some("mac")),
    ("typed", Some("mac")),
    ("cold_2_issuers", Some("mac")),
    ("cold_1000_issuers", Some("mac")),
    ("cold_17_keys", Some("mac")),
    ("cold_100_keys", Some("mac")),
    ("cold_full", Some("mac")),
    ("cold_rs256", Some("bare_rs256")),
    ("cold_es256", Some("bare_es256")),
    ("cold_eddsa", Some("bare_eddsa")),
    ("warm", None),
    ("malformed", None),
    ("bad_claims", None),
    ("unknown_kid", None),
    ("unknown_issuer", None),
];
/// The counted function runs the path this often.
const TIMES: u64 = 1000;
/// How much a count may grow, in percent.
const SLACK: u64 = 5;
/// Where chance has its part, the mean of so many processes counts: which token has to make room in a full cache follows from keys that are
/// drawn anew in each.
const DRAWN: (&str, u64) = ("cold_full", 16);
const RECORD: &str = "benchmarks/counts/recorded.txt";
const PACKAGE: &str = "benchmarks/counts/Cargo.toml";

/// Counts, and compares with the record or replaces it.
pub(crate) fn counts(record: bool) -> Outcome {
    run(Command::new("cargo").args(["build", "--release", "--manifest-path", PACKAGE]))?;
    let mut counted: Vec<(&str, u64)> = Vec::new();
    for (path, less) in PATHS {
        let draws = if *path == DRAWN.0 { DRAWN.1 } else { 1 };
        let drawn = (0..draws).map(|_| count(path)).collect::<Result<Vec<_>, _>>()?;
        let count = drawn.iter().sum::<u64>() / draws;
        let less =
            less.and_then(|name| counted.iter().find(|(counted, _)| *counted == name)).map_or(0, |(_, count)| *count);
        counted.push((path, count.saturating_sub(less)));
    }
    // Yardsticks, which tell of the processor and of the kernel, not of us.
    counted.retain(|(path, _)| !matches!(*path, "mac" | "clock") && !path.starts_with("bare"));
    even(&target().join("release/bench-counts"), &target())?;
    let file = root().join(RECORD);
    let compiler = compiler()?;
    if record {
        let mut text = format!("{compiler}\n");
        for (path, count) in &counted {
            let _ = writeln!(text, "{path} {count}");
        }
        return fs::write(&file, text).map_err(|error| format!("{RECORD}: {error}"));
    }
    let text = fs::read_to_string(&file).map_err(|error| format!("{RECORD}: {error}"))?;
    let (with, recorded) = text.split_once('\n').unwrap_or_default();
    compare(&counted, recorded, with == compiler).inspect_err(|_| {
        eprintln!("a growth that is meant to be is recorded by: cargo xtask counts --record");
    })
}

/// Refuses growth past the slack. Another compiler makes other code: then nothing is refused, and the figures are shown.
fn compare(counted: &[(&str, u64)], recorded: &str, same_compiler: bool) -> Outcome {
    let mut grown = Vec::new();
    for (path, count) in counted {
        let before = recorded.lines().find_map(|line| line.strip_prefix(path)?.trim().parse::<u64>().ok());
        let before = before.ok_or_else(|| format!("{RECORD} does not know the path {path}"))?;
        eprintln!("{path:>16}: {count} instructions, {before} recorded");
        if count * 100 > before * (100 + SLACK) {
            grown.push(format!("{path} from {before} to {count}"));
        }
    }
    match (grown.is_empty(), same_compiler) {
        (true, _) => Ok(()),
        (false, false) => {
            eprintln!("grown, and not refused since the record was made with another compiler: {}", grown.join(", "));
            Ok(())
        }
        (false, true) => Err(format!("instructions grew by more than {SLACK} %: {}", grown.join(", "))),
    }
}

/// Instructions of one run of a path.
fn count(path: &str) -> Result<u64, String> {
    let folder = target();
    let output = folder.join(format!("counts-{path}.txt"));
    let program = folder.join("release/bench-counts");
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["-q", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*measured*"])
        .arg(format!("--callgrind-out-file={}", output.display()))
        .arg(program)
        .arg(path);
    run(&mut valgrind)?;
    let text = fs::read_to_string(&output).map_err(|error| format!("{}: {error}", output.display()))?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals:")?.trim().parse::<u64>().ok());
    match total {
        Some(total) if total >= TIMES => Ok(total / TIMES),
        _ => Err(format!("callgrind counted nothing for {path}")),
    }
}

fn target() -> std::path::PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("benchmarks/counts/target"), Into::into)
}

fn compiler() -> Result<String, String> {
    let output = Command::new("rustc").arg("-V").output().map_err(|error| format!("rustc: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_past_the_slack_is_refused_and_nothing_else() {
        let recorded = "cold 1000\nwarm 100\n";
        let table = [
            (1050, 105, true, true),
            (1051, 100, true, false),
            (1000, 106, true, false),
            (500, 50, true, true),
            (2000, 200, false, true),
        ];
        for (cold, warm, same_compiler, passes) in table {
            let outcome = compare(&[("cold", cold), ("warm", warm)], recorded, same_compiler);
            assert_eq!(outcome.is_ok(), passes, "{cold} {warm} {same_compiler}: {outcome:?}");
        }
    }

    #[test]
    fn a_path_that_was_never_recorded_is_refused() {
        assert!(compare(&[("cold", 1)], "warm 1\n", true).is_err());
    }
}
