//! The floor plan of CONTRIBUTING.md in, the imports of `token-core` held against it out: a wing uses those below it and none above.

use std::path::{Path, PathBuf};

use crate::step::Outcome;

/// Where the core lives.
const CORE: &str = "token-core/src";
/// The most names at the core's root.
const MOST_NAMES: usize = 45;
/// Imports that run uphill and are known to, each with its reason.
const KNOWN: [(&str, &str, &str); 1] = [(
    "opaque/state.rs",
    "verify",
    "what a question brought is handed to all who asked it as the token they share; taking it apart would verify it once a waiter",
)];

/// Fails with file and line of each import that runs uphill, or takes a name from the crate's root in place of the room that defines it.
pub(crate) fn check() -> Outcome {
    let plan = std::fs::read_to_string("CONTRIBUTING.md").map_err(|error| format!("CONTRIBUTING.md: {error}"))?;
    let wings = wings(&plan)?;
    let mut files = Vec::new();
    collect(Path::new(CORE), &mut files)?;
    let mut found = Vec::new();
    for path in &files {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let room = path.strip_prefix(CORE).unwrap_or(path).to_string_lossy().replace('\\', "/");
        found
            .extend(uphill(&wings, &room, &text).into_iter().map(|(line, why)| format!("{CORE}/{room}:{line}: {why}")));
    }
    let root =
        std::fs::read_to_string(Path::new(CORE).join("lib.rs")).map_err(|error| format!("{CORE}/lib.rs: {error}"))?;
    let names = exported(&root);
    if names > MOST_NAMES {
        found.push(format!("{CORE}/lib.rs: {names} names at the root, at most {MOST_NAMES} are what a newcomer can learn: give it a page"));
    }
    if found.is_empty() { Ok(()) } else { Err(format!("the floor plan is not kept:\n{}", found.join("\n"))) }
}

/// How many names a root exports: its public modules and what it re-exports. Macros come on top.
fn exported(root: &str) -> usize {
    let code: String = root.lines().map(|line| line.split("//").next().unwrap_or(line)).collect();
    let statements = code.split(';').map(|statement| statement.rsplit(']').next().unwrap_or(statement).trim());
    statements
        .filter_map(|statement| match statement.strip_prefix("pub use ") {
            Some(names) => Some(names.split_once('{').map_or(1, |(_, list)| {
                list.trim_end_matches('}').split(',').filter(|name| !name.trim().is_empty()).count()
            })),
            None => statement.starts_with("pub mod ").then_some(1),
        })
        .sum()
}

/// The wings, from the top down: the first column of the table under «The wings of token-core».
fn wings(plan: &str) -> Result<Vec<String>, String> {
    let (_, table) = plan.split_once("| wing | what is in it |").ok_or("CONTRIBUTING.md: expected a table of wings")?;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with("| `"));
    let wings: Vec<_> = rows.filter_map(|row| Some(row.split('`').nth(1)?.to_owned())).collect();
    if wings.len() < 2 { Err("CONTRIBUTING.md: expected a table of wings with rows".to_owned()) } else { Ok(wings) }
}

/// Every Rust file below a folder, in order.
pub(crate) fn collect(folder: &Path, into: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
    into.sort();
    Ok(())
}

/// The lines that name a wing above their own, with what is wrong.
fn uphill(wings: &[String], room: &str, text: &str) -> Vec<(usize, String)> {
    let height = |wing: &str| wings.iter().position(|known| known == wing).map(|at| wings.len() - at);
    let wing = room.split('/').next().unwrap_or(room).trim_end_matches(".rs");
    // What hands the names out, and tests, which may look at the whole house.
    if wing == "lib" || room.contains("tests") || room.ends_with("kinds.rs") || room.ends_with("vectors.rs") {
        return Vec::new();
    }
    let Some(own) = height(wing) else {
        return vec![(1, format!("{wing} is no wing: the table in CONTRIBUTING.md does not name it"))];
    };
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("mod tests {") || line.trim_start().starts_with("mod example") {
            break;
        }
        // A macro's `$crate` is read in the crate that calls it, and documentation names what its reader may use.
        let code = line.split("//").next().unwrap_or(line).replace("$crate::", "");
        for word in code.split("crate::").skip(1) {
            let other: String =
                word.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect();
            match height(&other) {
                Some(theirs) if theirs > own && !KNOWN.iter().any(|(file, to, _)| *file == room && *to == other) => {
                    found.push((at + 1, format!("{wing} imports from {other}, which stands above it")));
                }
                Some(_) => {}
                None => found.push((
                    at + 1,
                    format!("`crate::{other}` is no room: expected the wing and the room that define the name"),
                )),
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str =
        "| wing | what is in it |\n| --- | --- |\n| `gate` | decides |\n| `token` | is |\n| `base` | stands |\n\nend";

    #[test]
    fn an_import_that_runs_uphill_is_found_with_its_line_and_one_that_runs_downhill_is_not() {
        let wings = wings(PLAN).unwrap();
        let of = |room: &str, text: &str| uphill(&wings, room, text);
        assert!(of("gate/server.rs", "use crate::token::kind;\nuse crate::base::time;").is_empty());
        assert!(of("token/kind.rs", "//! See crate::gate.\nmacro_rules! a { () => { $crate::gate::b } }").is_empty());
        let found = of("token/kind.rs", "use std::fmt;\nuse crate::gate::server::ResourceServer;");
        assert_eq!(found, [(2, "token imports from gate, which stands above it".to_owned())]);
        assert_eq!(of("base.rs", "let a = crate::token::Kind;").len(), 1);
        assert_eq!(of("token/kind.rs", "use crate::Error;").len(), 1);
        assert_eq!(of("attic/box.rs", "").len(), 1);
    }

    #[test]
    fn names_at_the_root_are_counted_one_by_one() {
        let root = "#![doc = \"x\"]\npub mod a; // one\nmod b;\n#[cfg(c)]\npub use crate::d;\npub use crate::b::{\n    E, F,\n};";
        assert_eq!(exported(root), 4);
        let core = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(CORE);
        let names = exported(&std::fs::read_to_string(core.join("lib.rs")).unwrap());
        assert!((30..=MOST_NAMES).contains(&names), "{names}");
    }

    #[test]
    fn a_plan_without_its_table_is_an_error() {
        assert!(wings("# Contributing").is_err());
    }

    #[test]
    fn known_exceptions_are_still_there() {
        let core = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(CORE);
        for (room, wing, _) in KNOWN {
            let text = std::fs::read_to_string(core.join(room)).unwrap();
            assert!(
                text.contains(&format!("crate::{wing}::")),
                "{room} does not look up any more: take it off the list"
            );
        }
    }
}
