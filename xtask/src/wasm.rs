//! The verifier for edge workers (`examples/edge`), compiled for `wasm32-unknown-unknown` and run under Node.

use std::path::Path;
use std::process::Command;

use crate::install;
use crate::step::{Outcome, root, run};

const TARGET: &str = "wasm32-unknown-unknown";

/// Fails unless every token of the example's table gets the verdict that stands there.
pub(crate) fn check() -> Outcome {
    install::for_the_edge()?;
    let target = root().join("target/wasm");
    let words = ["build", "--package", "token-edge", "--target", TARGET, "--target-dir"];
    if has_target() {
        run(Command::new("cargo").args(words).arg(&target))?;
    } else {
        install::rust_with_source()?;
        // The standard library of that very compiler, built from its source: Cargo offers that to those who ask as a nightly would.
        run(Command::new("/usr/bin/cargo")
            .args(words)
            .arg(&target)
            .args(["-Z", "build-std=std,panic_abort"])
            .envs([("PATH", "/usr/bin:/bin"), ("RUSTC_BOOTSTRAP", "1")])
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld-19"))?;
    }
    let program = target.join(TARGET).join("debug/token-edge.wasm");
    run(Command::new("node").arg(root().join("examples/edge/run.mjs")).arg(program))
}

/// Whether the toolchain at hand has the target's standard library (`rustup target add wasm32-unknown-unknown`).
fn has_target() -> bool {
    let words = ["--print", "target-libdir", "--target", TARGET];
    let folder = Command::new("rustc").args(words).output();
    folder.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}
