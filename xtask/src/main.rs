//! `cargo xtask TASK`: what this workspace does beside compiling. Each task is a list of commands, run in order, stopped at the first failure.

mod anywhere;
mod circles;
mod counts;
mod even;
mod fleet;
mod fuzz;
mod guide;
mod install;
mod msrv;
mod mutants;
mod report;
mod rooms;
mod soak;
mod step;
mod supply;
mod wasm;
mod weigh;

use std::process::ExitCode;

use step::{Outcome, cargo, has};

fn main() -> ExitCode {
    let task = std::env::args().nth(1).unwrap_or_default();
    let outcome = match task.as_str() {
        "test" => test(),
        "install" => install::everything(),
        "lint" => lint(),
        "backends" => backends(),
        "fuzz" => seconds().and_then(|seconds| fuzz::run(seconds, &[])),
        "soak" => soak::run(&std::env::args().nth(2).unwrap_or_else(|| "3".to_owned())),
        "fleet" => fleet::run(),
        "mutants" => mutants::run_mutants(&std::env::args().skip(2).collect::<Vec<_>>()),
        "drill" => step::with_env("TOKEN_DRAW", "1", "test -p token-tests --test all drill::"),
        "report" => report::write(),
        "supply" => supply::supply(&std::env::args().skip(2).collect::<Vec<_>>()),
        "counts" => counts::counts(std::env::args().any(|word| word == "--record")),
        "bench" => bench(),
        "gate-bench" => gate_bench(),
        "mcp-bench" => mcp_bench(),
        "guide" => guide::build(),
        "wasm" => wasm::check(),
        "where" => anywhere::everywhere(&std::env::args().nth(2).unwrap_or_default()),
        "weigh" => weigh::weigh(std::env::args().nth(2).as_deref()),
        _ => Err("usage: cargo xtask test | install | lint | backends | report | fuzz [SECONDS] | soak [MINUTES] | fleet | drill | mutants [ROOM… | --shard PART/ALL] | supply [CHECK…] [--record] | counts [--record] | guide | wasm | where [NAME] | weigh [COMMIT] | bench [--quick] [--ours] [--no-web] | gate-bench [--quick] [--dry] | mcp-bench [--dry]"
            .to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}

/// How long each fuzz target runs.
fn seconds() -> Result<u32, String> {
    let word = std::env::args().nth(2).unwrap_or_else(|| "60".to_owned());
    word.parse().map_err(|_| format!("{word}: expected a number of seconds"))
}

/// Every test there is, with everything that it needs installed first.
fn test() -> Outcome {
    install::everything()?;
    report::clear()?;
    let evidence = report::folder();
    let runner = if has("cargo-nextest") { "nextest run" } else { "test" };
    let words = format!(
        "{runner} --workspace --all-targets --no-fail-fast --features token-tests/foreign,token-redis/foreign,token-gate/foreign,token-cli/foreign,token-examples/foreign"
    );
    step::with_env("TOKEN_EVIDENCE", &evidence.to_string_lossy(), &words)?;
    if let Some(valkey) = install::valkey() {
        // The same tests, of the same build, with the other engine. No build of it that there is to install has TLS: there HAProxy ends it.
        let words = format!("{} -- --skip over_tls", words.replace("--all-targets", "--test server"));
        step::with_env("TOKEN_REDIS_SERVER", &valkey.to_string_lossy(), &words)?;
    }
    cargo("test -p token-tests --features alone --test allocations")?;
    fuzz::smoke()?;
    report::write()?;
    cargo("test --workspace --doc")?;
    cargo("run --bin quickstart -- --once")?;
    counts::counts(false)
}

/// Measures token-gate behind real proxies and writes `benchmarks/GATE.md`: some six minutes.
fn gate_bench() -> Outcome {
    install::everything()?;
    install::for_benchmarks()?;
    cargo("build --release -p token-gate")?;
    let manifest = "--release --manifest-path benchmarks/gate/Cargo.toml";
    cargo(&format!("build {manifest} --bins"))?;
    let flags: Vec<String> = std::env::args().skip(2).collect();
    cargo(&format!("run {manifest} --bin bench-gate -- {}", flags.join(" ")))
}

/// Measures calls of an MCP server's tools with and without the guard, and writes `benchmarks/MCP.md`: seconds, once it is compiled.
fn mcp_bench() -> Outcome {
    let flags: Vec<String> = std::env::args().skip(2).collect();
    cargo(&format!("run --release --manifest-path benchmarks/mcp/Cargo.toml -- {}", flags.join(" ")))
}

/// Measures everything in `benchmarks/` and writes its RESULTS.md: minutes on a machine that has nothing else to do.
fn bench() -> Outcome {
    install::for_benchmarks()?;
    let flags: Vec<String> = std::env::args().skip(2).collect();
    cargo(&format!("run --release --manifest-path benchmarks/driver/Cargo.toml -- {}", flags.join(" ")))
}

/// Style and docs; warnings are errors.
fn lint() -> Outcome {
    cargo("fmt --all --check")?;
    rooms::check()?;
    circles::check()?;
    msrv::check()?;
    cargo("clippy --workspace --all-targets -- -D warnings -D clippy::incompatible_msrv")?;
    step::with_env("RUSTDOCFLAGS", "-D warnings", "doc --workspace --no-deps")
}

/// The core with each signature backend alone, and with both on at once, as Cargo's feature unification makes of other people's choices;
/// and that it builds without the HTTP client.
fn backends() -> Outcome {
    cargo("check -p token-core --no-default-features --features rust-crypto")?;
    cargo("test -p token-core --lib --no-default-features --features rust-crypto,reqwest")?;
    cargo("test -p token-core --lib --features rust-crypto")?;
    // Each crate that hands the choice on, with one backend: the other one is not in its tree.
    for package in ["tower-token", "axum-token", "actix-token", "mcp-token", "token-client", "token-redis"] {
        for (backend, other) in [("rust-crypto", "aws-lc-sys"), ("aws-lc-rs", "rsa")] {
            let chosen = format!("-p {package} --no-default-features --features {backend}");
            cargo(&format!("check {chosen}"))?;
            step::is_absent(other, &format!("tree {chosen} --edges normal,build --prefix none --format {{p}}"))?;
        }
    }
    // Where there are no sockets and no C compiler, as in a WebAssembly edge worker, the core needs neither.
    for absent in ["aws-lc-sys", "mio", "socket2", "rustix", "reqwest"] {
        let edge = "tree -p token-core --no-default-features --features rust-crypto --target wasm32-unknown-unknown";
        step::is_absent(absent, &format!("{edge} --edges normal --prefix none --format {{p}}"))?;
    }
    wasm::check()?;
    // What nothing else in the workspace turns on.
    cargo("test -p token-core --lib --features metrics,openapi,policy-toml,schema")?;
    cargo("test -p token-client --lib --features metrics")
}
