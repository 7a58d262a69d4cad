//! What is linked, with which features, from which versions on, and what the crates show the world; each by the tool that knows it.

mod api;
mod minimal;

use std::process::Command;

use crate::step::{Outcome, cargo, has, root};

/// What a registry gets, in the order in which it can be published.
const PUBLISHED: [&str; 10] = [
    "token-core",
    "tower-token",
    "axum-token",
    "token-client",
    "actix-token",
    "token-redis",
    "mcp-token",
    "token-test",
    "token-gate",
    "token-cli",
];

/// Its name, the tools that it takes, and how it is done.
type Check<'a> = (&'a str, &'a [&'a str], &'a dyn Fn() -> Outcome);

/// Runs every check whose tool is there, and says at the end which were left out and what to install for them; of these words, the checks
/// that are named, or all, and `--record` to write the public API down anew instead of comparing it.
pub(crate) fn supply(words: &[String]) -> Outcome {
    let (flags, names): (Vec<&String>, Vec<&String>) = words.iter().partition(|word| word.starts_with("--"));
    let record = flags.iter().any(|flag| *flag == "--record");
    let checks: [Check<'_>; 6] = [
        // Its database of advisories is a git repository: `cargo deny check advisories` asks it where it can be reached.
        ("licences", &["cargo-deny"], &|| cargo("deny --offline check bans licenses sources")),
        ("features", &["cargo-hack"], &|| {
            cargo("hack check -p token-core --lib --feature-powerset --depth 2 --at-least-one-of aws-lc-rs,rust-crypto")
        }),
        ("minimal", &["nightly"], &minimal::check),
        ("api", &["cargo-public-api", "nightly"], &|| api::check(record)),
        ("semver", &["cargo-semver-checks"], &semver),
        ("packages", &[], &packages),
    ];
    if let Some(unknown) = names.iter().find(|name| checks.iter().all(|(what, ..)| what != *name)) {
        let known = checks.map(|(what, ..)| what).join(" | ");
        return Err(format!("{unknown}: expected {known}"));
    }
    let mut left_out = Vec::new();
    for (what, tools, check) in
        checks.into_iter().filter(|(what, ..)| names.is_empty() || names.iter().any(|name| name == what))
    {
        match tools.iter().find(|tool| !present(tool)) {
            None => check()?,
            Some(tool) => left_out.push(format!("{what}: install it first: {}", how(tool))),
        }
    }
    left_out.iter().for_each(|line| eprintln!("==> not checked: {line}"));
    Ok(())
}

fn present(tool: &str) -> bool {
    match tool {
        "nightly" => {
            Command::new("cargo").args(["+nightly", "-V"]).output().is_ok_and(|output| output.status.success())
        }
        _ => has(tool),
    }
}

fn how(tool: &str) -> String {
    if tool == "nightly" { "rustup toolchain install nightly".to_owned() } else { format!("cargo install {tool}") }
}

/// Against the newest tag of a release; before the first there is nothing to break.
fn semver() -> Outcome {
    let tags =
        Command::new("git").args(["tag", "--list", "v*", "--sort=-version:refname"]).current_dir(root()).output();
    let tags = tags.map_err(|error| format!("git: {error}"))?;
    let tags = String::from_utf8_lossy(&tags.stdout);
    let Some(release) = tags.lines().next() else {
        eprintln!("==> SemVer: no release yet, so nothing to compare with");
        return Ok(());
    };
    // The program has no library.
    let libraries: String = libraries().map(|name| format!(" -p {name}")).collect();
    cargo(&format!("semver-checks --baseline-rev {release}{libraries}"))
}

/// Makes each package and builds it from what is in it, as a registry's users would; the others of the house stand in for the registry.
fn packages() -> Outcome {
    let names: String = PUBLISHED.iter().map(|name| format!(" -p {name}")).collect();
    cargo(&format!("package --allow-dirty{names}"))
}

fn libraries() -> impl Iterator<Item = &'static str> {
    PUBLISHED.into_iter().filter(|name| root().join(name).join("src/lib.rs").exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_published_crate_says_what_a_registry_and_docs_rs_ask_for() {
        for name in PUBLISHED {
            let folder = root().join(name);
            let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
            for line in [
                "description = \"",
                "license.workspace = true",
                "repository.workspace = true",
                "rust-version.workspace = true",
                "readme = \"README.md\"",
                "keywords = [",
                "categories = [",
                "[package.metadata.docs.rs]\nall-features = true",
            ] {
                assert!(manifest.contains(line), "{name}: {line}");
            }
        }
    }

    #[test]
    fn every_readme_is_the_front_page_and_says_how_to_start_what_is_where_and_what_is_not_checked() {
        for name in PUBLISHED {
            let folder = root().join(name);
            let page = std::fs::read_to_string(folder.join("README.md")).unwrap();
            assert!(page.starts_with(&format!("# {name}\n")) || name == "token-cli", "{name}");
            assert!(
                page.contains("--git https://github.com/token-toolkit/token-toolkit"),
                "{name}: how to depend on it"
            );
            let limits = ["## What is not checked", "## What it is not", "## What it does not do"];
            assert!(limits.iter().any(|title| page.contains(title)), "{name}: what it does not do");
            if let Ok(library) = std::fs::read_to_string(folder.join("src/lib.rs")) {
                assert!(
                    library.starts_with("#![doc = include_str!(\"../README.md\")]\n"),
                    "{name}: the page is its own"
                );
                assert!(page.contains("```rust"), "{name}: an example");
            }
            let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
            let features = manifest
                .split_once("\n[features]\n")
                .and_then(|(_, rest)| rest.split("\n[").next())
                .unwrap_or_default();
            let names = features.lines().filter_map(|line| line.split_once(" = ")).map(|(feature, _)| feature);
            for feature in
                names.filter(|feature| !["default", "foreign"].contains(feature) && !feature.starts_with('#'))
            {
                assert!(page.contains(&format!("| `{feature}` |")), "{name}: the feature {feature} has no line");
            }
        }
    }

    #[test]
    fn every_member_is_published_or_says_that_it_is_not() {
        let workspace = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        let members = workspace.lines().find_map(|line| line.strip_prefix("members = [")).unwrap();
        for member in members.trim_end_matches(']').split(", ").map(|name| name.trim_matches('"')) {
            let manifest = std::fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
            assert_ne!(PUBLISHED.contains(&member), manifest.contains("publish = false"), "{member}");
        }
    }
}
