//! The pages of `docs/guide` in, a book of HTML in `target/guide` out.

use std::process::Command;

use crate::step::{Outcome, root, run};

/// The program that makes it, from crates.io: installed under `target/` where it is missing.
const MDBOOK: &str = "0.5.4";

/// Builds the book, and fails where a page is missing.
pub(crate) fn build() -> Outcome {
    let tools = root().join("target/tools");
    let mdbook = tools.join("bin/mdbook");
    if !mdbook.is_file() {
        let install =
            ["install", "mdbook", "--no-default-features", "--features", "search", "--locked", "--version", MDBOOK];
        run(Command::new("cargo").args(install).arg("--root").arg(&tools))?;
    }
    run(Command::new(mdbook).arg("build").arg("--dest-dir").arg(root().join("target/guide")).arg("docs/guide"))
}
