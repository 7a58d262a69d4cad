//! The published crates with the least version of each dependency that their manifests name: what is asked for has to be enough.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::PUBLISHED;
use crate::step::{Outcome, root, run};

/// Checks a copy of the published crates, so that the lock file of the workspace stays as it is.
pub(super) fn check() -> Outcome {
    let copy = root().join("target/minimal-versions");
    let sources = copy.join("workspace");
    clear(&sources)?;
    for name in PUBLISHED {
        copy_folder(&root().join(name), &sources.join(name))?;
    }
    // Some of them show it as their own documentation.
    copy_file(&root().join("README.md"), &sources.join("README.md"))?;
    let manifest = root().join("Cargo.toml");
    let manifest = fs::read_to_string(&manifest).map_err(|error| format!("{}: {error}", manifest.display()))?;
    let target = sources.join("Cargo.toml");
    fs::write(&target, only_published(&manifest)).map_err(|error| format!("{}: {error}", target.display()))?;

    let place = |words: &str| {
        let mut command = Command::new("cargo");
        let (task, rest) = words.split_once(" | ").unwrap_or((words, ""));
        command.args(task.split_whitespace()).arg("--manifest-path").arg(&target).args(rest.split_whitespace());
        command.env("CARGO_TARGET_DIR", copy.join("target"));
        command
    };
    // Of what the manifests name, and not of what that names in turn: others' least versions are theirs to keep true.
    run(&mut place("+nightly update -Z direct-minimal-versions"))?;
    run(&mut place("check | --workspace --lib --bins --all-features --locked"))
}

/// The workspace without the members that no registry gets.
fn only_published(manifest: &str) -> String {
    let members = PUBLISHED.map(|name| format!("\"{name}\"")).join(", ");
    let line = |line: &str| {
        if line.starts_with("members = ") { format!("members = [{members}]\n") } else { format!("{line}\n") }
    };
    manifest.lines().map(line).collect()
}

fn clear(folder: &Path) -> Outcome {
    let cleared = if folder.exists() { fs::remove_dir_all(folder) } else { Ok(()) };
    cleared.map_err(|error| format!("{}: {error}", folder.display()))
}

fn copy_folder(from: &Path, to: &Path) -> Outcome {
    let failed = |error| format!("{}: {error}", from.display());
    fs::create_dir_all(to).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?.path();
        let target = to.join(entry.file_name().unwrap_or_default());
        if entry.is_dir() { copy_folder(&entry, &target)? } else { copy_file(&entry, &target)? }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Outcome {
    fs::copy(from, to).map(drop).map_err(|error| format!("{}: {error}", from.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_that_are_not_published_stay_behind() {
        let copy = only_published("[workspace]\nmembers = [\"token-core\", \"xtask\"]\nexclude = []\n");
        assert!(copy.contains("\"token-core\", \"tower-token\"") && !copy.contains("xtask"), "{copy}");
        assert!(copy.ends_with("exclude = []\n"), "{copy}");
    }
}
