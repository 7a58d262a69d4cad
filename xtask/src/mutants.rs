//! The rooms that verify in, each of their lines changed on purpose, one at a time; which changes no test noticed, as rows of `tests/REPORT.md`, out.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::report;
use crate::step::{Outcome, has, root, run};

/// The program that changes the lines, from crates.io.
const VERSION: &str = "25.3.1";
/// The section of the report.
pub(crate) const SECTION: &str = "mutants";

/// Where a line that nobody holds lets somebody in, and the tests near to it: nearly all is noticed by them, in a tenth of the time
/// that all tests of the crate take. Rooms that were never run say so in the report.
const ROOMS: &[(&str, &[&str])] = &[
    ("jose/header", &["jose::", "verify::"]),
    ("request/bearer", &["request::", "gate::server::", "gate::token_cache"]),
    ("verify/requirement", &["gate::server::tests::demands"]),
    ("verify/jwt/straight", &["verify::", "gate::server::"]),
    ("jose/verification_key", &["jose::"]),
    ("verify/misfit", &["verify::misfit"]),
    ("verify/possession/proof", &["verify::possession"]),
    ("verify/jwt", &["verify::", "gate::server::", "gate::id_token"]),
    ("jose/encryption/header", &["jose::"]),
    ("jose/encryption/open", &["jose::"]),
    ("trust/trusted", &["verify::", "gate::"]),
    ("gate/server/possession", &["gate::server::"]),
    ("gate/server/revocation", &["gate::server::"]),
    ("gate/server/ticket", &["gate::server::", "gate::tickets"]),
];

/// Changes that no test can notice, and why. A part of the tool's own words is enough.
const HARMLESS: &[(&str, &str)] = &[
    (
        "delete match arm Naming::Exact in is_of",
        "the look into the registry, which it saves, says the same of an exact name",
    ),
    (
        "replace match guard known.has_judged(header) with false in judge",
        "a header that was judged before is judged again, and comes to the same",
    ),
    (
        "replace match guard certificate.is_some() with true in judge",
        "a cnf without key and certificate is refused where it is read; this would refuse it once more",
    ),
    (
        "in Sent<'_>::into_owned",
        "what is too long is refused by the judge of proofs in the same words; here it is only not kept",
    ),
    ("<impl Visitor<'de> for Members>::expecting", "its words are part of an error that nobody reads"),
    ("<impl Visitor<'de> for Read>::expecting", "its words are part of an error that nobody reads"),
];

/// Runs it: all rooms, those whose names end like these words, or every n-th room (`--shard 1/8`). One room takes minutes.
/// With `--survivors`, what was missed the last time here is tried again, and nothing else: for whoever has just written a test.
///
/// A change costs a small compilation and the tests near to it; only what they miss is tried against all of the crate's.
/// Each room's row is in the report as soon as the room is done, and stays until that room is run again.
/// A survivor without a reason is a failure.
pub(crate) fn run_mutants(words: &[String]) -> Outcome {
    let (flags, words): (Vec<_>, Vec<_>) = words.iter().map(String::as_str).partition(|word| *word == "--survivors");
    let rooms = chosen(&words)?;
    if !has("cargo-mutants") {
        run(Command::new("cargo").args(["install", "cargo-mutants", "--locked", "--version", VERSION]))?;
    }
    let commit = lay_out()?;
    let mut unexplained = Vec::new();
    for (room, near) in rooms {
        let found = if flags.is_empty() { Found::of(room, near)? } else { Found::again(room)? };
        record(room, &found, &commit)?;
        unexplained.extend(found.missed.into_iter().filter(|line| reason(line).is_none()));
    }
    if unexplained.is_empty() { Ok(()) } else { Err(format!("no test notices:\n{}", unexplained.join("\n"))) }
}

fn chosen(words: &[&str]) -> Result<Vec<(&'static str, &'static [&'static str])>, String> {
    let usage = "expected names of rooms, or --shard and a part of all, as 1/8";
    let chosen: Vec<_> = match words {
        [] => ROOMS.to_vec(),
        ["--shard", part] => {
            let (part, all) = part.split_once('/').ok_or(usage)?;
            let number = |text: &str| text.parse().ok().filter(|number: &usize| *number > 0).ok_or(usage);
            let (part, all) = (number(part)?, number(all)?);
            ROOMS.iter().skip(part - 1).step_by(all).copied().collect()
        }
        names => ROOMS.iter().filter(|(room, _)| names.iter().any(|name| room.ends_with(name))).copied().collect(),
    };
    if chosen.is_empty() {
        let rooms: Vec<_> = ROOMS.iter().map(|(room, _)| *room).collect();
        return Err(format!("{usage}; the rooms are {}", rooms.join(", ")));
    }
    Ok(chosen)
}

/// Where the changed sources stand and what they become. The place stays the same, so that each compilation is a small one.
fn place(name: &str) -> PathBuf {
    root().join("target/mutants").join(name)
}

/// Lays out the sources as they stand (without files that git has never seen). Returns the commit.
fn lay_out() -> Result<String, String> {
    let head = git(&["rev-parse", "--short", "HEAD"])?;
    // The commit of what is changed and not committed; nothing where nothing is.
    let stashed = git(&["stash", "create"])?;
    let tree = place("tree");
    let at = if stashed.is_empty() { &head } else { &stashed };
    let words = tree.to_string_lossy().into_owned();
    if tree.exists() {
        git(&["-C", &words, "checkout", "--quiet", "--force", "--detach", at])?;
    } else {
        git(&["worktree", "prune"])?;
        git(&["worktree", "add", "--quiet", "--detach", &words, at])?;
    }
    let changed = git(&["status", "--porcelain", "--", "token-core"])?;
    let date = git(&["show", "--no-patch", "--format=%cs", "HEAD"])?;
    Ok(format!("{date} {head}{}", if changed.is_empty() { "" } else { " and what was not committed" }))
}

/// What came of one room's changes.
struct Found {
    changes: usize,
    late: usize,
    unviable: usize,
    missed: Vec<String>,
}

impl Found {
    /// Of all changes, first by the tests near to them.
    fn of(room: &str, near: &[&str]) -> Result<Self, String> {
        let out = place(&room.replace('/', "-"));
        let failed = |error: std::io::Error| format!("{}: {error}", out.display());
        if out.exists() {
            std::fs::remove_dir_all(&out).map_err(failed)?;
        }
        std::fs::create_dir_all(&out).map_err(failed)?;
        // How long the tests take unchanged is measured first: what takes five times that, and a minute, has no end.
        change(room, &["--baseline", "run"], near)?;
        let [caught, late, unviable] = ["caught.txt", "timeout.txt", "unviable.txt"].map(|name| list(room, name).len());
        let missed = list(room, "missed.txt");
        let found = Self { changes: caught + late + missed.len(), late, unviable, missed };
        if found.changes == 0 {
            return Err(format!("{room}: nothing was changed"));
        }
        if found.missed.is_empty() { Ok(found) } else { found.retried(room) }
    }

    /// Of what was missed the last time; the rest is as the report has it.
    fn again(room: &str) -> Result<Self, String> {
        let row = report::written_row(SECTION, room)?.unwrap_or_default();
        let count = |at: usize| row.get(at).and_then(|cell| cell.parse().ok());
        let (Some(changes), Some(unviable), false) = (count(1), count(4), list(room, "missed.txt").is_empty()) else {
            return Err(format!("{room}: nothing was missed here the last time"));
        };
        Self { changes, late: 0, unviable, missed: Vec::new() }.retried(room)
    }

    /// Tries what was missed, or had no end, against all tests of the crate.
    fn retried(self, room: &str) -> Result<Self, String> {
        change(room, &["--iterate", "--baseline", "skip", "--timeout", "300"], &[])?;
        Ok(Self { late: list(room, "timeout.txt").len(), missed: list(room, "missed.txt"), ..self })
    }
}

/// What the last run over this room has put into this list.
fn list(room: &str, name: &str) -> Vec<String> {
    let file = place(&room.replace('/', "-")).join("mutants.out").join(name);
    std::fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Changes the lines of a room and runs the tests that these words are part of, or all of the crate's.
fn change(room: &str, options: &[&str], tests: &[&str]) -> Outcome {
    let mut command = Command::new("cargo");
    command
        .args(["mutants", "--dir"])
        .arg(place("tree"))
        .args(["--in-place", "-p", "token-core", "--file", &format!("token-core/src/{room}.rs"), "--no-shuffle"])
        .args(["--test-tool", "cargo", "--minimum-test-timeout", "60", "--output"])
        .arg(place(&room.replace('/', "-")))
        .args(options)
        // For the compiler, too: the crate without its tests is not wanted.
        .args(["--cargo-arg=--lib", "--", "--"])
        .args(tests)
        .env("CARGO_TARGET_DIR", place("target"))
        .envs([("CARGO_INCREMENTAL", "1"), ("CARGO_PROFILE_DEV_DEBUG", "0"), ("CARGO_PROFILE_TEST_DEBUG", "0")]);
    let status = command.current_dir(root()).status().map_err(|error| format!("cargo mutants: {error}"))?;
    match status.code() {
        // All noticed, some missed, some without an end: its lists say which.
        Some(0 | 2 | 3) => Ok(()),
        Some(4) => Err(format!("{room}: the tests fail before anything is changed")),
        _ => Err(format!("{room}: cargo mutants: {status}")),
    }
}

/// Puts a room's row into the report. The rows of the others stay as they are.
fn record(ran: &str, found: &Found, commit: &str) -> Outcome {
    report::clear_section(SECTION)?;
    for (number, (room, _)) in ROOMS.iter().enumerate() {
        let name = format!("{number:02}");
        let before = report::written_row(SECTION, room)?;
        if *room == ran {
            let first = before.as_ref().and_then(|cells| cells.get(5)).filter(|cell| cell.parse::<usize>().is_ok());
            let missed = found.missed.len().to_string();
            let caught = found.changes - found.late - found.missed.len();
            let [changes, caught, late, unviable] =
                [found.changes, caught, found.late, found.unviable].map(|count| count.to_string());
            let first = first.unwrap_or(&missed);
            let left =
                if found.missed.is_empty() { "0".to_owned() } else { format!("{missed}: {}", reasons(&found.missed)) };
            report::row(SECTION, &name, &[room, &changes, &caught, &late, &unviable, first, &left, commit])?;
        } else if let Some(cells) = before {
            report::row(SECTION, &name, &cells.iter().map(String::as_str).collect::<Vec<_>>())?;
        } else {
            report::row(SECTION, &name, &[room, "not run", "", "", "", "", "", ""])?;
        }
    }
    report::write_section(SECTION)
}

fn reason(line: &str) -> Option<&'static str> {
    HARMLESS.iter().find(|(part, _)| line.contains(part)).map(|(_, why)| *why)
}

/// The survivors, each with its reason.
fn reasons(missed: &[String]) -> String {
    let said = missed.iter().map(|line| {
        let what = line.split_once(": ").map_or(line.as_str(), |(_, what)| what).replace('|', "\\|");
        format!("{what} ({})", reason(line).unwrap_or("no reason yet"))
    });
    said.collect::<Vec<_>>().join("; ")
}

/// What git says to these words.
fn git(words: &[&str]) -> Result<String, String> {
    let output = Command::new("git").args(words).current_dir(root()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("git: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() { Ok(said) } else { Err(format!("git {}: {}", words.join(" "), output.status)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_named_by_their_ends_or_as_a_part_of_all() {
        let names = |words: &[&str]| chosen(words).map(|rooms| rooms.iter().map(|(room, _)| *room).collect::<Vec<_>>());
        assert_eq!(names(&["bearer", "jwt"]).unwrap(), ["request/bearer", "verify/jwt"]);
        assert_eq!(names(&[]).unwrap().len(), ROOMS.len());
        let mut parts: Vec<_> =
            ["1/3", "2/3", "3/3"].iter().flat_map(|part| names(&["--shard", part]).unwrap()).collect();
        parts.sort_unstable();
        let mut all = names(&[]).unwrap();
        all.sort_unstable();
        assert_eq!(parts, all, "every room is in one part");
        for wrong in [&["nowhere"][..], &["--shard"], &["--shard", "1"], &["--shard", "0/2"], &["--shard", "99/99"]] {
            assert!(chosen(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn every_room_is_a_file_of_the_core() {
        for (room, _) in ROOMS {
            assert!(root().join(format!("token-core/src/{room}.rs")).is_file(), "{room}");
        }
    }

    #[test]
    fn a_survivor_stands_in_the_report_with_its_reason_or_without() {
        let missed = ["a.rs:1:2: delete match arm Naming::Exact in is_of", "a.rs:3:4: replace || with && in f"]
            .map(str::to_owned);
        let said = reasons(&missed);
        assert!(said.starts_with("delete match arm Naming::Exact in is_of (the look"), "{said}");
        assert!(said.ends_with(r"replace \|\| with && in f (no reason yet)"), "{said}");
    }
}
