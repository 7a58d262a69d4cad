//! A small verifier (`examples/anywhere`) in, compiled and started in every way this machine can; the table "Where it runs" of `tests/REPORT.md` out.
//!
//! Minutes, since standard libraries are compiled: never part of `test`. What cannot be tried here says so in its row.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::report;
use crate::step::{Outcome, has, root};

const MUSL: &str = "x86_64-unknown-linux-musl";
const ARM: &str = "aarch64-unknown-linux-gnu";

/// The commands and the row of one way.
struct Way {
    name: &'static str,
    how: &'static str,
    tried: fn(&Places) -> Result<String, String>,
}

struct Places {
    target: PathBuf,
    program: PathBuf,
}

const WAYS: &[Way] = &[
    Way {
        name: "Linux, glibc",
        how: "`token-anywhere`; aws-lc-rs; tokio `current_thread`",
        tried: |at| started(&mut Command::new(&at.program)),
    },
    Way {
        name: "`panic = \"abort\"`",
        how: "`rust-crypto` alone, compiled so: given keys",
        tried: |at| {
            let built = build(
                at,
                &["--config", "profile.dev.panic='abort'", "--no-default-features", "--features", "portable"],
                "abort",
            )?;
            started(&mut Command::new(built.join("debug/token-anywhere")))
        },
    },
    Way {
        name: "signatures in Rust, no C",
        how: "`rust-crypto` alone: given keys",
        tried: |at| {
            let built = build(at, &["--no-default-features", "--features", "portable"], "portable")?;
            started(&mut Command::new(built.join("debug/token-anywhere")))
        },
    },
    Way {
        name: "musl, static",
        how: "`rust-crypto`: given keys",
        tried: |at| musl(at, &["--no-default-features", "--features", "portable"]),
    },
    Way { name: "musl, static", how: "aws-lc-rs and rustls: fetched keys", tried: |at| musl(at, &[]) },
    Way {
        name: "aarch64",
        how: "`cargo check`, `rust-crypto`; not started: there is no such processor here",
        tried: |at| {
            with_std(at, ARM, "check", &["--no-default-features", "--features", "portable"])
                .map(|()| "compiles".to_owned())
        },
    },
    Way {
        name: "aarch64, fetching",
        how: "`cargo check`, aws-lc-rs compiled by `aarch64-linux-gnu-gcc`",
        tried: |at| {
            if !has("aarch64-linux-gnu-gcc") {
                return Err("aarch64-linux-gnu-gcc is missing (Debian: gcc-aarch64-linux-gnu)".to_owned());
            }
            with_std(at, ARM, "check", &[]).map(|()| "compiles".to_owned())
        },
    },
    Way {
        name: "read-only, no root certificates",
        how: "the root mounted read-only, `/etc/ssl` and `/usr/share/ca-certificates` empty",
        tried: |at| {
            started(&mut sandbox(&format!(
                "set -e; ip link set lo up; mount --rbind / /mnt; mount -o remount,bind,ro /mnt; \
                 for certs in /etc/ssl /usr/share/ca-certificates; do mount -t tmpfs -o ro tmpfs /mnt$certs; done; exec chroot /mnt {}",
                at.program.display()
            )))
        },
    },
    Way {
        name: "IPv6 alone",
        how: "a network with `::1` and no other address",
        tried: |at| {
            started(&mut sandbox(&format!(
                "set -e; ip link set lo up; ip -4 addr flush dev lo; exec {}",
                at.program.display()
            )))
        },
    },
    Way {
        name: "fork",
        how: "gates made before it, with and without their keys, and after it: asked in the child and in the parent. One that follows a deny-list is made in the child: the thread that follows stays behind",
        tried: |at| {
            let built = build(at, &["--features", "forking"], "forking")?;
            started(Command::new(built.join("debug/token-anywhere")).arg("fork"))
        },
    },
    Way {
        name: "`HTTP_PROXY`, `NO_PROXY`",
        how: "both set, to a proxy that is not there: neither is read; `proxy` of an issuer is",
        tried: |at| {
            let mut command = Command::new(&at.program);
            for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
                command.env(name, "http://127.0.0.1:1");
            }
            // Both spellings, so that nothing of the shell's own excuses loopback.
            started(command.env("NO_PROXY", "example.com").env("no_proxy", "example.com"))
        },
    },
];

/// What the tests of every run hold, for the sake of one table.
const TESTED: &[[&str; 3]] = &[
    [
        "several runtimes, one after another",
        "one gate, one source of tokens",
        "yes: `runtimes::one_gate_serves_one_runtime_after_another`",
    ],
    [
        "synchronous code",
        "asked outside of a runtime, awaited in one",
        "yes: `runtimes::what_is_asked_outside_of_a_runtime_is_begun_where_it_is_awaited`",
    ],
    [
        "no runtime; one without timers; one without io",
        "said in the error, nothing stays broken",
        "yes: `runtimes::what_is_missing_of_a_runtime_is_named_and_nothing_stays_broken`",
    ],
    [
        "a runtime without timers or io, `panic = \"abort\"`",
        "tokio has no way to ask and panics",
        "no: the program ends with tokio's message; use `enable_all()`",
    ],
    ["WebAssembly, `wasm32-unknown-unknown`", "given keys", "yes: `cargo xtask wasm`"],
];

/// Tries them all, or those of this name, and fails when one that was tried did not work. The others' rows say that they were not.
pub(crate) fn everywhere(word: &str) -> Outcome {
    if !word.is_empty() && WAYS.iter().all(|way| way.name != word) {
        let names: Vec<_> = WAYS.iter().map(|way| way.name).collect();
        return Err(format!("no way is called {word:?}: {}", names.join("; ")));
    }
    let target = root().join("target/where");
    let at = Places { program: root().join("target/debug/token-anywhere"), target };
    crate::step::cargo("build --package token-anywhere")?;
    let mut failed = Vec::new();
    for (nth, way) in WAYS.iter().enumerate() {
        if !word.is_empty() && way.name != word {
            report::row_if_new(report::WHERE, &format!("{nth:02}"), &[way.name, way.how, "not tried yet"])?;
            continue;
        }
        let seen = (way.tried)(&at).unwrap_or_else(|why| {
            failed.push(format!("{}: {why}", way.name));
            format!("no: {why}")
        });
        eprintln!("{} ({}): {seen}", way.name, way.how);
        report::row(report::WHERE, &format!("{nth:02}"), &[way.name, way.how, &seen])?;
    }
    for (nth, row) in TESTED.iter().enumerate() {
        report::row(report::WHERE, &format!("9{nth}"), row)?;
    }
    report::write_section(report::WHERE)?;
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}

/// Runs the program; its last word is the number of things that went otherwise than expected.
fn started(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("it could not be started: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    eprint!("{said}{}", String::from_utf8_lossy(&output.stderr));
    let roots = said.lines().find_map(|line| line.strip_prefix("root certificates: "));
    match (output.status.success(), roots) {
        (true, None | Some("found")) => Ok("yes".to_owned()),
        (true, Some(why)) => Ok(format!("yes; https needs certificates that are handed over, and says so: \"{why}\"")),
        (false, _) => Err(format!("{}", output.status)),
    }
}

fn build(at: &Places, words: &[&str], folder: &str) -> Result<PathBuf, String> {
    let folder = at.target.join(folder);
    let mut command = Command::new("cargo");
    command.args(["build", "--package", "token-anywhere", "--target-dir"]).arg(&folder).args(words);
    command.env("CARGO_PROFILE_DEV_DEBUG", "0");
    crate::step::run(&mut command)?;
    Ok(folder)
}

fn musl(at: &Places, words: &[&str]) -> Result<String, String> {
    if !has("musl-gcc") {
        return Err("musl-gcc is missing (Debian: musl-tools)".to_owned());
    }
    with_std(at, MUSL, "build", words)?;
    started(&mut Command::new(at.target.join(MUSL).join("debug/token-anywhere")))
}

/// Compiles for a target whose standard library the toolchain has, or else with one that Debian's compiler makes from its source.
fn with_std(at: &Places, target: &str, verb: &str, words: &[&str]) -> Outcome {
    let mut command = Command::new("cargo");
    if !has_target(target) {
        if !Path::new("/usr/lib/rustlib/src/rust/library/std").is_dir() {
            return Err(format!("the standard library of {target} is missing: `rustup target add {target}`"));
        }
        command = Command::new("/usr/bin/cargo");
        command.envs([("PATH", "/usr/bin:/bin"), ("RUSTC_BOOTSTRAP", "1")]);
        command.args(["-Z", "build-std=std,panic_abort,panic_unwind"]);
        if target == MUSL {
            // The start files are musl-gcc's own, what unwinds is gcc's under the name that the standard library asks for.
            let lib = at.target.join("lib");
            let made =
                std::fs::create_dir_all(&lib).and_then(|()| std::fs::copy(unwinding()?, lib.join("libunwind.a")));
            made.map_err(|error| format!("libgcc_eh.a: {error}"))?;
            // musl-gcc makes a dynamic program of what is to be static and movable.
            let flags = format!(
                "-C link-self-contained=no -C target-feature=+crt-static -C relocation-model=static -L native={}",
                lib.display()
            );
            command.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS", flags);
            // A toolchain that has the target links with start files of its own, which musl-gcc would double.
            command.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER", "musl-gcc");
        }
    }
    command.envs([
        ("CC_x86_64_unknown_linux_musl", "musl-gcc"),
        ("CC_aarch64_unknown_linux_gnu", "aarch64-linux-gnu-gcc"),
        ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc"),
        ("CARGO_PROFILE_DEV_DEBUG", "0"),
    ]);
    let command =
        command.args([verb, "--package", "token-anywhere", "--target", target, "--target-dir"]).arg(&at.target);
    crate::step::run(command.args(words))
}

fn unwinding() -> std::io::Result<PathBuf> {
    let output = Command::new("gcc").arg("-print-file-name=libgcc_eh.a").output()?;
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

fn has_target(target: &str) -> bool {
    let folder = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output();
    folder.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

/// A shell with mounts and a network of its own.
fn sandbox(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "--net", "sh", "-c", script]);
    // Where certificates are is not for the shell of whoever runs this to say.
    command.env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
    command
}
