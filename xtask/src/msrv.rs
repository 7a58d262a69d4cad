//! The Rust that the manifests declare, held against what the dependencies of users declare: a newer one breaks the promise.

use std::process::Command;

use crate::step::{Outcome, root};

/// The libraries and programs that people build; tests and tasks may use newer tools.
const FOR_USERS: &[&str] = &[
    "token-core",
    "tower-token",
    "axum-token",
    "actix-token",
    "token-client",
    "token-redis",
    "mcp-token",
    "token-gate",
    "token-test",
    "token-cli",
];

/// Fails with the names of those that want a newer Rust than `rust-version` of the workspace.
pub(crate) fn check() -> Outcome {
    let metadata = words(&["metadata", "--format-version", "1", "--no-deps"])?;
    let ours = versions(&metadata);
    let (_, declared) = ours.first().ok_or("cargo metadata: expected a package of ours with a rust-version")?;
    let all = versions(&words(&[
        "metadata",
        "--format-version",
        "1",
        "--all-features",
        "--filter-platform",
        "x86_64-unknown-linux-gnu",
    ])?);
    let mut newer = Vec::new();
    for package in FOR_USERS {
        let tree = words(&[
            "tree",
            "--package",
            package,
            "--all-features",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])?;
        for line in tree.lines() {
            let mut parts = line.split(' ');
            let name = format!(
                "{} {}",
                parts.next().unwrap_or_default(),
                parts.next().unwrap_or_default().trim_start_matches('v')
            );
            if let Some((_, wanted)) = all.iter().find(|(known, wanted)| *known == name && wanted > declared) {
                newer.push(format!("{package}: {name} wants Rust {}.{}", wanted.0, wanted.1));
            }
        }
    }
    newer.sort();
    newer.dedup();
    if newer.is_empty() {
        Ok(())
    } else {
        Err(format!("the manifests declare Rust {}.{}:\n{}", declared.0, declared.1, newer.join("\n")))
    }
}

fn words(words: &[&str]) -> Result<String, String> {
    let output = Command::new("cargo").args(words).current_dir(root()).output();
    let output = output.map_err(|error| format!("cargo {}: {error}", words.join(" ")))?;
    if !output.status.success() {
        return Err(format!("cargo {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("cargo {}: {error}", words.join(" ")))
}

/// `name version` and `rust_version` of each package in what `cargo metadata` printed. In a package's object the name and the version stand
/// first, one after the other, and `rust_version` last.
fn versions(metadata: &str) -> Vec<(String, (u32, u32))> {
    let mut starts = Vec::new();
    for (at, opening) in metadata.match_indices(r#"{"name":""#) {
        let rest = &metadata[at + opening.len()..];
        // Dependencies are objects with a name, too, but of no version.
        if let Some((name, rest)) = rest.split_once('"')
            && let Some(rest) = rest.strip_prefix(r#","version":""#)
        {
            starts.push((at, format!("{name} {}", rest.split('"').next().unwrap_or_default())));
        }
    }
    let ends = starts.iter().skip(1).map(|(at, _)| *at).chain([metadata.len()]);
    let packages = starts.iter().zip(ends);
    packages
        .filter_map(|((start, name), end)| {
            let (_, rust) = metadata[*start..end].split_once(r#""rust_version":""#)?;
            let mut parts = rust.split('"').next()?.split('.');
            Some((name.clone(), (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_of_packages_are_read_where_they_are_declared() {
        let metadata = r#"{"packages":[{"name":"a","version":"1.2.3","dependencies":[{"name":"b","source":null}],"rust_version":"1.89"},{"name":"b","version":"0.1.0","rust_version":null},{"name":"c","version":"2.0.0","rust_version":"1.95.1"}]}"#;
        let found = versions(metadata);
        assert_eq!(found, [("a 1.2.3".to_owned(), (1, 89)), ("c 2.0.0".to_owned(), (1, 95))]);
    }
}
