//! The public API of each library as text, one line an item: compared with what `docs/api` records of it, or recorded anew.

use std::fs;
use std::process::Command;

use super::libraries;
use crate::step::{Outcome, root};

/// A change of what others can name shows as a difference here before it shows in their builds.
pub(super) fn check(record: bool) -> Outcome {
    let mut changed = Vec::new();
    for library in libraries() {
        let file = root().join("docs/api").join(format!("{library}.txt"));
        let now = listed(library)?;
        if record {
            fs::write(&file, now).map_err(|error| format!("{}: {error}", file.display()))?;
            continue;
        }
        let before = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let lines = difference(&before, &now);
        if !lines.is_empty() {
            changed.push(format!("{library}:\n{}", lines.join("\n")));
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the public API is not what docs/api records; `cargo xtask supply --record` if it is meant to be\n{}",
        changed.join("\n")
    ))
}

/// Every item with all features on, without blanket and automatic implementations.
fn listed(library: &str) -> Result<String, String> {
    eprintln!("==> public API of {library}");
    let mut command = Command::new("cargo");
    command.args(["public-api", "-p", library, "--all-features", "-sss"]).current_dir(root());
    // A compiler of its own, so a folder of its own: the other builds stay warm.
    command.env("CARGO_TARGET_DIR", root().join("target/public-api"));
    let output = command.output().map_err(|error| format!("cargo public-api: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo public-api -p {library}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("cargo public-api -p {library}: {error}"))
}

/// Lines that went and lines that came.
fn difference(before: &str, now: &str) -> Vec<String> {
    let only = |these: &str, those: &str, sign: char| -> Vec<String> {
        let those: std::collections::BTreeSet<&str> = those.lines().collect();
        these.lines().filter(|line| !those.contains(line)).map(|line| format!("{sign} {line}")).collect()
    };
    [only(before, now, '-'), only(now, before, '+')].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_and_what_came_is_said() {
        assert_eq!(difference("a\nb\n", "b\nc\n"), ["- a", "+ c"]);
        assert!(difference("a\n", "a\n").is_empty());
    }

    #[test]
    fn every_library_has_a_record() {
        for library in libraries() {
            assert!(root().join("docs/api").join(format!("{library}.txt")).is_file(), "{library}");
        }
    }
}
