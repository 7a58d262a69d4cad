//! Rows that tests have left in a folder in, `tests/REPORT.md` out: what was tried against whom, and what came of it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::step::{Outcome, root};

/// A section's folder, its title, what it shows, and the head of its table.
const SECTIONS: &[(&str, &str, &str, &str)] = &[
    (
        "issuers",
        "Real authorization servers",
        "Each capability over real HTTP: the server mints, our resource server in the framework judges.",
        "| server | our server | capability |",
    ),
    (
        "clients",
        "Clients nobody here wrote",
        "Each drives the embedded issuer of `token-test`.",
        "| client | what it did |",
    ),
    (
        "vectors",
        "Published vectors",
        "Where we disagree, `tests/vectors/README.md` says why.",
        "| file | run | agreed | known to differ |",
    ),
    (
        "faults",
        "Broken networks",
        "What a caller gets while the issuer's key set is served like this.",
        "| fault | no keys yet | known key | past the fresh time | after healing |",
    ),
    ("advisories", "Known advisories", "The class of each is tried against us.", "| advisory | class of bug | test |"),
    (
        "concurrency",
        "Concurrency",
        "The crates' own sources under shuttle's scheduler (`shuttle/`): what held in so many interleavings of requests, fetches, evictions and ends of tasks.",
        "| of | what | schedules |",
    ),
    (
        "fuzz",
        "Fuzzing",
        "The committed corpora and their near neighbours, and, where the tools are there, libFuzzer from the same corpora.",
        "| target | how |",
    ),
];

/// Where the tests leave their rows.
pub(crate) fn folder() -> PathBuf {
    root().join("target/evidence")
}

/// Forgets the rows of earlier runs.
pub(crate) fn clear() -> Outcome {
    let folder = folder();
    let cleared = if folder.exists() { std::fs::remove_dir_all(&folder) } else { Ok(()) };
    cleared.and_then(|()| std::fs::create_dir_all(&folder)).map_err(|error| format!("{}: {error}", folder.display()))
}

/// Puts the rows together.
pub(crate) fn write() -> Outcome {
    let mut text = String::from("# What was tried\n\nWritten by `cargo xtask test`.\n");
    for (section, title, about, head) in SECTIONS {
        let rows = rows(&folder().join(section))?;
        if rows.is_empty() {
            continue;
        }
        let rule = "| --- ".repeat(head.matches('|').count() - 1);
        let total = rows.lines().count();
        let _ = write!(text, "\n## {title}\n\n{about} {total} rows.\n\n{head}\n{rule}|\n{rows}");
    }
    let file = root().join("tests/REPORT.md");
    std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
}

/// Leaves a row, as the tests do.
pub(crate) fn row(section: &str, name: &str, cells: &[&str]) -> Outcome {
    let folder = folder().join(section);
    let written = std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(folder.join(name), format!("| {} |\n", cells.join(" | "))));
    written.map_err(|error| format!("{}: {error}", folder.display()))
}

fn rows(folder: &Path) -> Result<String, String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(String::new()) };
    let mut files: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    files.sort();
    files
        .iter()
        .map(|file| std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display())))
        .collect()
}
