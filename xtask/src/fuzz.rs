//! Every fuzz target for so many seconds, two at a time, where cargo-fuzz and a nightly compiler are at hand; a row of the report each out.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::report;
use crate::step::{Outcome, has, root};

/// What the test command spends on each.
pub(crate) const SMOKE: u32 = 10;
/// As many as there are processors on the smallest machine that this is run on.
const AT_ONCE: usize = 2;

/// Fuzzes where it can be done, and says it where it cannot: the walk over the corpora is in the tests anyway. The search is the same in
/// every run, so that a change is judged and not luck; `cargo xtask fuzz` is for luck.
pub(crate) fn smoke() -> Outcome {
    if available() {
        return run(SMOKE, &["-seed=1"]);
    }
    let why = "not fuzzed in this run: cargo-fuzz and a nightly compiler are not both installed";
    eprintln!("==> fuzz targets: {why}");
    report::row("fuzz", "none", &["(all)", why])
}

fn available() -> bool {
    let nightly = Command::new("cargo").args(["+nightly", "-V"]).output();
    has("cargo-fuzz") && nightly.is_ok_and(|output| output.status.success())
}

/// Builds once, then runs each target for `seconds`, with these flags of libFuzzer. What it finds stays in `target/fuzz`; the committed corpora are read only.
pub(crate) fn run(seconds: u32, flags: &[&str]) -> Outcome {
    let build = fuzz().arg("build").status().map_err(|error| format!("cargo fuzz: {error}"))?;
    if !build.success() {
        return Err(format!("cargo +nightly fuzz build: {build}"));
    }
    for pair in targets()?.chunks(AT_ONCE) {
        let started: Vec<_> = pair.iter().map(|target| start(target, seconds, flags)).collect::<Result<_, _>>()?;
        for (target, child) in pair.iter().zip(started) {
            finish(target, child)?;
        }
    }
    Ok(())
}

fn fuzz() -> Command {
    let mut command = Command::new("cargo");
    command.args(["+nightly", "fuzz"]).current_dir(root().join("fuzz"));
    command
}

fn targets() -> Result<Vec<String>, String> {
    let entries = fs::read_dir(root().join("fuzz/fuzz_targets")).map_err(|error| format!("fuzz_targets: {error}"))?;
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_string_lossy().into_owned())).collect();
    names.sort();
    Ok(names)
}

fn scratch(target: &str) -> Result<PathBuf, String> {
    let folder = root().join("target/fuzz").join(target);
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

fn start(target: &str, seconds: u32, flags: &[&str]) -> Result<Child, String> {
    eprintln!("==> fuzz {target} for {seconds} s");
    fuzz()
        .arg("run")
        .arg(target)
        .arg(scratch(target)?)
        .arg(root().join("fuzz/corpus").join(target))
        .args(["--", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"])
        .arg(format!("-max_total_time={seconds}"))
        .args(flags)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("fuzz {target}: {error}"))
}

fn finish(target: &str, child: Child) -> Outcome {
    let output = child.wait_with_output().map_err(|error| format!("fuzz {target}: {error}"))?;
    let log = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("fuzz {target}: {}\n{log}", output.status));
    }
    let done =
        log.lines().rev().find_map(done).ok_or_else(|| format!("fuzz {target} does not say what it did\n{log}"))?;
    eprintln!("<== fuzz {target}: {done}");
    report::row("fuzz", &format!("{target}-fuzzed"), &[target, &done])
}

/// `Done 1234 runs in 11 second(s)`, as libFuzzer says it.
fn done(line: &str) -> Option<String> {
    let (runs, time) = line.strip_prefix("Done ")?.split_once(" runs in ")?;
    Some(format!("fuzzed: {runs} inputs in {} s", time.strip_suffix(" second(s)")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_fuzzer_did_is_read_from_its_last_words() {
        assert_eq!(done("Done 12 runs in 11 second(s)").as_deref(), Some("fuzzed: 12 inputs in 11 s"));
        assert_eq!(done("#2 INITED cov: 1"), None);
    }

    #[test]
    fn every_target_has_a_corpus() {
        let targets = targets().unwrap();
        assert!(targets.len() >= 8, "{targets:?}");
        for target in targets {
            assert!(root().join("fuzz/corpus").join(&target).is_dir(), "{target}");
        }
    }
}
