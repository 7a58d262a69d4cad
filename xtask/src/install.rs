//! What the tests need beside Rust and a C compiler, installed from public registries by name where it is missing.

use std::process::Command;

use crate::step::{Outcome, has, run};

/// A program that tests run, and the Debian package that brings it.
const PROGRAMS: &[(&str, &str)] = &[("cc", "gcc")];

/// Installs what is missing, or says what to install where that cannot be done.
pub(crate) fn everything() -> Outcome {
    let missing: Vec<&str> =
        PROGRAMS.iter().filter(|(program, _)| !has(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !has("apt-get") {
        return Err(format!("install these first (Debian's names): {}", missing.join(" ")));
    }
    run(Command::new("apt-get").args(["update", "-qq"]))?;
    run(Command::new("apt-get").args(["install", "-y", "-qq", "--no-install-recommends"]).args(&missing))
}
