//! Runs one command and says what it ran and how long it took.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Done, or the sentence that says what was not.
pub(crate) type Outcome = Result<(), String>;

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Runs `cargo` with these words.
pub(crate) fn cargo(words: &str) -> Outcome {
    run(Command::new("cargo").args(words.split_whitespace()))
}

/// Runs `cargo` with these words and one more environment variable.
pub(crate) fn with_env(name: &str, value: &str, words: &str) -> Outcome {
    run(Command::new("cargo").args(words.split_whitespace()).env(name, value))
}

/// Runs a command in the root of the workspace.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let line = words.join(" ");
    eprintln!("==> {line}");
    let start = Instant::now();
    let status = command.current_dir(root()).status().map_err(|error| format!("{line}: {error}"))?;
    eprintln!("<== {:.0} s: {line}", start.elapsed().as_secs_f64());
    if status.success() { Ok(()) } else { Err(format!("{line}: {status}")) }
}

/// Whether a program is on the path.
pub(crate) fn has(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// Runs `cargo tree` with these words and fails when a package is in what it lists.
pub(crate) fn is_absent(package: &str, words: &str) -> Outcome {
    let output = Command::new("cargo").args(words.split_whitespace()).current_dir(root()).output();
    let output = output.map_err(|error| format!("cargo {words}: {error}"))?;
    let tree = String::from_utf8_lossy(&output.stdout);
    match tree.lines().any(|line| line.split(' ').next() == Some(package)) {
        _ if !output.status.success() => Err(format!("cargo {words}: {}", output.status)),
        true => Err(format!("cargo {words}: {package} is in the tree")),
        false => Ok(()),
    }
}
