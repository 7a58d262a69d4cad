//! MCP clients that nobody here wrote, from the first 401 to a tool's answer: the guarded server, its metadata and the embedded issuer are
//! what they accept. And the official conformance suite, which judges both sides.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use token_test::{Endpoint, TestIssuer};
use token_tests::evidence::note;
use tokio::process::Command;

use super::everything::Both;
use crate::mcp_server::{Framework, Served};
use crate::real_issuers::{Server, folder, mcp_python};

/// How long a program may take: what hangs is a failure, not a job that never ends.
const BOUND: Duration = Duration::from_secs(900);
/// How long one of its scenarios may, in milliseconds: less, and a busy machine makes outcomes.
const SCENARIO: &str = "120000";

/// Runs a program to its end. Whether it was content, and what it said.
async fn run(mut program: Command) -> (bool, String) {
    let output = program.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(BOUND, output).await.expect("it ends within its bound");
    let output = output.expect("`cargo xtask test` installs the clients");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

fn node(script: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(folder().join(script));
    command
}

/// The Python that `cargo xtask test` has installed the MCP clients for.
fn python(script: &str) -> Command {
    let mut command = Command::new(mcp_python());
    command.arg(folder().join(script));
    command
}

/// Lets a client find its way from the server's URL to its tools.
async fn drive(served: &Served, framework: Framework, server: &str, mut program: Command) {
    program.arg(&served.url);
    let (good, shown) = run(program).await;
    assert!(good, "{server}, {framework:?}: {shown}");
    let lines: Vec<_> = shown.lines().filter_map(|line| line.strip_prefix("shown ")?.split_once(" | ")).collect();
    assert!(!lines.is_empty(), "{server}, {framework:?}: {shown}");
    for (client, what) in lines {
        let ours = framework.name();
        note("mcp", &format!("{client} {server} {ours}"), &[client, server, ours, what]);
    }
}

/// A client registers itself, signs its user in and calls tools; each framework gets one of its own.
async fn drives(program: impl Fn() -> Command) {
    for framework in Framework::ALL {
        let issuer = TestIssuer::start().await;
        issuer.consent_at_once("ada");
        let served = Served::start(framework, &issuer).await;
        drive(&served, framework, "token-test", program()).await;
        assert!(issuer.hits(Endpoint::Registration) > 0 && issuer.hits(Endpoint::Authorization) > 0, "{framework:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_typescript_sdk_reaches_a_tool() {
    drives(|| node("mcp.mjs")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mcp_remote_reaches_a_tool() {
    drives(|| node("mcp-remote.mjs")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_sdk_and_fastmcp_reach_a_tool() {
    drives(|| python("mcp_clients.py")).await;
}

/// Neither the client, nor the authorization server, is ours.
async fn drives_through(name: &str, start: fn(&str) -> Server) {
    let mut server = None;
    let url = |resource: &str| server.insert(start(resource)).url.clone();
    let served = Served::behind(Framework::Axum, url).await;
    for program in [node("mcp.mjs"), node("mcp-remote.mjs"), python("mcp_clients.py")] {
        drive(&served, Framework::Axum, name, program).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_reach_a_tool_by_way_of_oidc_provider() {
    drives_through("oidc-provider 9.13", |_| Server::oidc_provider_for_mcp()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_reach_a_tool_by_way_of_better_auth() {
    drives_through("better-auth 1.7", Server::better_auth).await;
}

/// The conformance suite, in the version that `package.json` pins. It asks for a newer Node.js than Debian's for one function that these
/// scenarios do not call; `conformance.mjs` stands in for it.
fn suite(mode: &str) -> Command {
    let mut command = Command::new("node");
    command.arg("--import").arg(folder().join("conformance.mjs"));
    command.arg(folder().join("node_modules/@modelcontextprotocol/conformance/dist/index.js"));
    command.arg(mode);
    command
}

/// Scenarios that are not ours to pass, each with its reason.
const NOT_OURS: &[(&str, &str)] = &[
    ("auth/2025-03-26-oauth-metadata-backcompat", "a revision that is withdrawn: a server without metadata of its own"),
    ("auth/2025-03-26-oauth-endpoint-fallback", "a revision that is withdrawn: a server without metadata of its own"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_ours_passes_the_conformance_suite_for_authorization() {
    let (_, list) = run({
        let mut command = suite("list");
        command.arg("--client");
        command
    })
    .await;
    let names = list.lines().filter_map(|line| line.trim().strip_prefix("- ")?.split(' ').next());
    let mut names: Vec<&str> = names.filter(|name| name.starts_with("auth/")).collect();
    names.dedup();
    assert!(names.len() > 25, "{list}");
    let client = env!("CARGO_BIN_EXE_conformance-client");
    let mut failed = Vec::new();
    for name in names {
        if let Some((_, why)) = NOT_OURS.iter().find(|(known, _)| *known == name) {
            note("conformance", name, &[name, "left out", why]);
            continue;
        }
        let results = tempfile(name);
        let mut command = suite("client");
        command.args(["--scenario", name, "--timeout", SCENARIO, "--command", client, "-o"]).arg(&results);
        let (good, shown) = run(command).await;
        let (passed, warned) = checks(&results);
        let _ = std::fs::remove_dir_all(&results);
        if good && passed > 0 {
            note("conformance", name, &[name, "passed", &format!("{passed} checks, {warned} warnings")]);
        } else {
            failed.push(format!("{name}:\n{shown}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn tempfile(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("conformance-{}-{}", std::process::id(), name.replace('/', "-")))
}

/// How many checks of a run have passed, and how many are warnings.
fn checks(results: &Path) -> (usize, usize) {
    let mut files = vec![results.to_owned()];
    let (mut passed, mut warned) = (0, 0);
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())));
        } else if path.ends_with("checks.json") {
            let checks: Vec<Value> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            passed += checks.iter().filter(|check| check["status"] == "SUCCESS").count();
            warned += checks.iter().filter(|check| check["status"] == "WARNING").count();
        }
    }
    (passed, warned)
}

/// The scenarios for servers, by the revisions that require them: the guard has to be nowhere in the way of a client that has a token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guard_changes_no_outcome_of_the_conformance_suite_for_servers() {
    let issuer = TestIssuer::start().await;
    let both = Both::start(&issuer).await;
    let token = issuer.token().subject("ada").audience(&both.guarded).scope("notes:read").mint();
    for (revision, at_least) in [("2025-11-25", 29), ("2026-07-28", 24)] {
        let judged = async |url: &str, token: Option<&str>| {
            let results = tempfile(&format!("{revision}-{}", url.rsplit('/').next().unwrap_or_default()));
            let mut command = suite("server");
            command.args(["--requirements", revision, "--timeout", SCENARIO, "--url", url, "-o"]).arg(&results);
            if let Some(token) = token {
                command.env("MCP_TOKEN", token);
            }
            let (_, shown) = run(command).await;
            let _ = std::fs::remove_dir_all(&results);
            outcomes(&shown)
        };
        let (guarded, open) = (judged(&both.guarded, Some(&token)).await, judged(&both.open, None).await);
        assert!(guarded.len() > 30, "{guarded:?}");
        assert!(guarded.keys().eq(open.keys()), "{revision}: {guarded:?}, {open:?}");
        let mut passed = 0;
        for (scenario, outcome) in &guarded {
            assert_eq!(outcome, &open[scenario], "{revision}: {scenario}, guarded and not");
            let word = match &**outcome {
                "0 passed, 0 failed" => "nothing to check",
                outcome if outcome.ends_with(" 0 failed") => {
                    passed += 1;
                    "passed"
                }
                _ => "fails without the guard, too",
            };
            note("conformance-servers", &format!("{revision} {scenario}"), &[revision, scenario, word, outcome]);
        }
        assert!(passed >= at_least, "{revision}: {passed} of {guarded:?}");
    }
}

/// What the suite's summary says of each scenario: `3 passed, 0 failed`.
fn outcomes(shown: &str) -> BTreeMap<String, String> {
    let summary = shown.split_once("=== SUMMARY ===").map_or("", |(_, summary)| summary);
    let line = |line: &str| {
        let (name, outcome) = line.strip_prefix(['✓', '✗'])?.split_once(": ")?;
        Some((name.trim().to_owned(), outcome.trim().to_owned()))
    };
    summary.lines().filter_map(line).collect()
}
