//! Rows that tests have left in a folder in, `tests/REPORT.md` out: what was tried against whom, and what came of it.

use std::path::{Path, PathBuf};

use crate::step::{Outcome, root};

/// A section's folder, its title, what it shows, and the head of its table.
type Section = (&'static str, &'static str, &'static str, &'static str);

const SECTIONS: &[Section] = &[
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
        "proofs",
        "Proofs of possession",
        "Clients prove their keys (DPoP, RFC 9449) to our servers, which ask for nonces; proxies pass certificates on to them (RFC 8705). The tokens are of oidc-provider 9.13. Redis is what two processes of ours remember proofs in.",
        "| client or proxy | our server | what was tried |",
    ),
    (
        "mcp",
        "Clients of the Model Context Protocol",
        "Clients that nobody here wrote, from the first 401 of a guarded rmcp server to a tool's answer.",
        "| client | authorization server | our server | what it did |",
    ),
    (
        "conformance",
        "Conformance of the Model Context Protocol",
        "The official suite's `auth/*` scenarios, which judge a small client made of `token-client` (`tests/conformance_client.rs`), in the version that `tests/servers/package.json` pins.",
        "| scenario | outcome | |",
    ),
    (
        "conformance-servers",
        "The same suite's scenarios for servers",
        "Against an rmcp server behind the guard, by the revision that requires them, and against the same server without it: each has the same outcome. What fails on both sides is what that server does not offer.",
        "| revision | scenario | outcome | checks |",
    ),
    (
        "vectors",
        "Published vectors",
        "Where we disagree, `tests/vectors/README.md` says why.",
        "| file | run | agreed | known to differ |",
    ),
    (
        WHERE,
        "Where it runs",
        "`cargo xtask where` compiles a small program (`examples/anywhere`) and starts it like this: it judges a table of tokens, with keys given and with keys fetched.",
        "| where | how | runs |",
    ),
    (
        "faults",
        "Broken networks",
        "What a caller gets while the issuer's key set is served like this.",
        "| fault | no keys yet | known key | past the fresh time | after healing |",
    ),
    (
        "faults-elsewhere",
        "Broken networks, at another address than the issuer's name says",
        "The same where metadata and keys are asked for inside of a cluster or behind a proxy (`reached_at`).",
        "| fault | no keys yet | known key | past the fresh time | after healing |",
    ),
    (
        "faults-reviews",
        "Broken networks, and an API server that is asked for reviews",
        "What a caller with an opaque token of a Kubernetes cluster gets while `TokenReview` is answered like this.",
        "| fault | nothing known yet | reviewed a moment ago | past what was said | after healing |",
    ),
    (
        "attacks",
        "Attacks on our own adapters",
        "`token_test::attacks`, as users run it on their APIs: how many were tried, and how many did not end as they have to.",
        "| API | attacks | findings |",
    ),
    (
        "attacks-foreign",
        "The same attacks on guards that nobody here wrote",
        "APIs in other languages, each wired as its documentation shows, in the versions that `tests/servers` pins. \
         Only classes and counts. What was not refused is not always a hole: some clauses bind only those who claim to follow them (RFC 9068's kinds of token, \
         tokens that are bound to a key), and others say what a strict reader does. Envoy was asked no scope.",
        "| API | good requests let in | attacks refused | not refused, by class |",
    ),
    (
        "attacks-found",
        "One check taken out",
        "An API written by hand that lacks one check each time: an attack that must find it, and how many did.",
        "| what was taken out | found by | attacks let in |",
    ),
    (
        "drills",
        "Drills",
        "`token_test::drill`, time paused: what went wrong on purpose over so many seconds, how many answers there were, and how many runs of answers did not keep the promises.",
        "| API and script | seconds | answers | findings | the first of them |",
    ),
    ("advisories", "Known advisories", "The class of each is tried against us.", "| advisory | class of bug | test |"),
    (
        "concurrency",
        "Concurrency",
        "The crates' own sources under shuttle's scheduler (`shuttle/`): what held in so many interleavings of requests, fetches, evictions and ends of tasks.",
        "| of | what | schedules |",
    ),
    (
        SOAK,
        "Soak",
        "One verifier behind axum and actix-web for minutes, under rotations, outages, floods, evictions and good callers at once (`cargo xtask soak`): the last time that was asked for.",
        "| what | figure |",
    ),
    (
        FLEET,
        "A fleet",
        "Four processes that follow one deny-list, a Redis with a replica and three Sentinels, good callers and revocations on all (`cargo xtask fleet`): the last time that was asked for. Lost is 503 or no answer; wrong is a good token called bad, or a denied one let in more than 2.5 s after its denial was acknowledged. The times are from the acknowledgement to the last request, sent on any instance, that was let in.",
        "| what happens | good requests | lost | wrong | denials: acknowledged, and refused and tried again | median | 99th percentile | longest |",
    ),
    (FLEET_FIGURES, "What a fleet costs", "From the same run.", "| what | figure |"),
    (
        MUTANTS,
        "Lines changed on purpose",
        "The rooms that verify, each line of them changed in the ways of `cargo-mutants`, and the core's own tests run against it (`cargo xtask mutants`): the last time that was asked for, room by room. \
         What does not compile is no change. Missed at first is what no test noticed when the room was first run.",
        "| room | changes | noticed | without an end | do not compile | missed at first | missed now, and why it may be so | when, and at which commit |",
    ),
    (
        "fuzz",
        "Fuzzing",
        "The committed corpora and their near neighbours, and, where the tools are there, libFuzzer from the same corpora.",
        "| target | how |",
    ),
];

/// The section that a command of its own fills.
pub(crate) const SOAK: &str = "soak";
/// The two that the drill fills.
pub(crate) const FLEET: &str = "fleet";
pub(crate) use crate::mutants::SECTION as MUTANTS;
pub(crate) const FLEET_FIGURES: &str = "fleet-figures";

/// What `cargo xtask where` leaves.
pub(crate) const WHERE: &str = "where";

const NEVER: &str = "\n## Soak\n\nNot run yet: it takes minutes (`cargo xtask soak`).\n";

/// Where the tests leave their rows.
pub(crate) fn folder() -> PathBuf {
    root().join("target/evidence")
}

/// Forgets the rows of earlier runs.
pub(crate) fn clear() -> Outcome {
    empty(&folder())
}

/// Forgets the rows of one section.
pub(crate) fn clear_section(section: &str) -> Outcome {
    empty(&folder().join(section))
}

fn empty(folder: &Path) -> Outcome {
    let cleared = if folder.exists() { std::fs::remove_dir_all(folder) } else { Ok(()) };
    cleared.and_then(|()| std::fs::create_dir_all(folder)).map_err(|error| format!("{}: {error}", folder.display()))
}

/// Puts the rows together. What takes minutes and was not done this time stays as it was found the last time.
pub(crate) fn write() -> Outcome {
    let before = std::fs::read_to_string(file()).unwrap_or_default();
    let mut text = String::from("# What was tried\n\nWritten by `cargo xtask test`.\n");
    for section in SECTIONS {
        match table(section)? {
            none if none.is_empty() && section.0 == SOAK => text += kept(&before, section.1).unwrap_or(NEVER),
            none if none.is_empty() && [FLEET, FLEET_FIGURES, MUTANTS, WHERE].contains(&section.0) => {
                text += kept(&before, section.1).unwrap_or_default();
            }
            table => text += &table,
        }
    }
    save(&text)
}

/// What stands under this title.
fn kept<'t>(text: &'t str, title: &str) -> Option<&'t str> {
    place(text, title).map(|place| &text[place])
}

fn place(text: &str, title: &str) -> Option<std::ops::Range<usize>> {
    let start = text.find(&format!("\n## {title}\n"))?;
    let end = text[start + 1..].find("\n## ").map_or(text.len(), |next| start + 1 + next);
    Some(start..end)
}

/// The cells of the row that starts like this in the report as it is written. Cells hold no pipe that is not escaped.
pub(crate) fn written_row(name: &str, first: &str) -> Result<Option<Vec<String>>, String> {
    let (section, text) = found(name)?;
    let row =
        kept(&text, section.1).and_then(|kept| kept.lines().find(|line| line.starts_with(&format!("| {first} |"))));
    let cells =
        |row: &str| row.trim_start_matches("| ").trim_end_matches(" |").split(" | ").map(str::to_owned).collect();
    Ok(row.map(cells))
}

/// Puts one section's rows into the report in place of those that are there. The other sections stay as they are.
pub(crate) fn write_section(name: &str) -> Outcome {
    let (section, text) = found(name)?;
    save(&replaced(&text, section.1, &table(section)?))
}

/// A section, and the report as it is written.
fn found(name: &str) -> Result<(&'static Section, String), String> {
    let section = SECTIONS.iter().find(|(section, ..)| *section == name).ok_or("no such section of the report")?;
    let file = file();
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok((section, text))
}

/// A report with this section in place of the one of that title, or behind all others.
fn replaced(text: &str, title: &str, section: &str) -> String {
    match place(text, title) {
        Some(place) => format!("{}{section}{}", &text[..place.start], &text[place.end..]),
        None => format!("{text}{section}"),
    }
}

fn table((section, title, about, head): &Section) -> Result<String, String> {
    let rows = rows(&folder().join(section))?;
    if rows.is_empty() {
        return Ok(String::new());
    }
    let rule = "| --- ".repeat(head.matches('|').count() - 1);
    let total = rows.lines().count();
    Ok(format!("\n## {title}\n\n{about} {total} rows.\n\n{head}\n{rule}|\n{rows}"))
}

fn file() -> PathBuf {
    root().join("tests/REPORT.md")
}

fn save(text: &str) -> Outcome {
    let file = file();
    std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
}

/// Leaves a row unless there is one.
pub(crate) fn row_if_new(section: &str, name: &str, cells: &[&str]) -> Outcome {
    if folder().join(section).join(name).exists() { Ok(()) } else { row(section, name, cells) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_found_again_with_all_that_stands_in_it() {
        let report = "# What\n\n## Soak\n\nold\n\n## Fuzzing\n\nrows\n";
        assert_eq!(kept(report, "Soak"), Some("\n## Soak\n\nold\n"));
        assert_eq!(kept(report, "Fuzzing"), Some("\n## Fuzzing\n\nrows\n"));
        assert_eq!(kept(report, "Vectors"), None);
    }

    #[test]
    fn a_section_takes_the_place_of_the_one_before_and_leaves_the_others_alone() {
        let report = "# What\n\n## Soak\n\nold\n\n## Fuzzing\n\nrows\n";
        assert_eq!(replaced(report, "Soak", "\n## Soak\n\nnew\n"), "# What\n\n## Soak\n\nnew\n\n## Fuzzing\n\nrows\n");
        assert_eq!(replaced(report, "Fuzzing", "\n## Fuzzing\n\n1\n"), "# What\n\n## Soak\n\nold\n\n## Fuzzing\n\n1\n");
        assert_eq!(replaced("# What\n", "Soak", "\n## Soak\n"), "# What\n\n## Soak\n");
    }
}
