//! What the two-route axum API costs its author, in crates and in compile time: this checkout beside an earlier commit, in one run.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{Outcome, root, run};

/// The example: what a newcomer writes, with nothing beside it.
const MANIFEST: &str = r#"[package]
name = "two-routes"
version = "0.0.0"
edition = "2024"

[workspace]

[dependencies]
axum = "0.8"
axum-token = { path = "HOUSE/axum-token" }
serde = { version = "1", features = ["derive"] }
tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }
"#;
const PROGRAM: &str = r#"use axum::{Router, routing::get};
use axum_token::{Claims, Issuer, ResourceServer, Scoped, TokenLayer, scopes};

#[derive(serde::Deserialize)]
struct User { sub: String }
scopes!(ReadUsers = "read:users");

async fn me(Claims(user): Claims<User>) -> String { user.sub.clone() }
async fn list(_: Scoped<ReadUsers>) -> &'static str { "everybody" }

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let api = ResourceServer::builder("https://api.example.com")
        .trust(Issuer::discover("https://login.example.com/")?)
        .build()?;
    let app = Router::new().route("/me", get(me)).route("/users", get(list)).layer(TokenLayer::new(api));
    axum::serve(tokio::net::TcpListener::bind("127.0.0.1:3000").await?, app).await?;
    Ok(())
}
"#;

/// Weighs this checkout and, where one is named, a commit.
#[expect(clippy::print_stdout, reason = "the table is what the command is for")]
pub(crate) fn weigh(commit: Option<&str>) -> Outcome {
    let scales = root().join("target/weigh");
    let _ = std::fs::remove_dir_all(&scales);
    let mut rows = Vec::new();
    if let Some(commit) = commit {
        let house = scales.join("before");
        run(Command::new("git").args(["worktree", "add", "--detach"]).arg(&house).arg(commit))?;
        let weighed = one(&house, &scales.join("of-before"));
        run(Command::new("git").args(["worktree", "remove", "--force"]).arg(&house))?;
        rows.push((commit.to_owned(), weighed?));
    }
    rows.push(("this checkout".to_owned(), one(&root(), &scales.join("of-now"))?));
    println!("| | crates | user CPU of a cold build, s |\n| --- | ---: | ---: |");
    for (name, (crates, seconds)) in &rows {
        println!("| {name} | {crates} | {seconds:.1} |");
    }
    if let [(_, (_, before)), (_, (_, now))] = rows[..] {
        println!("| ratio | | {:.2} |", now / before);
    }
    Ok(())
}

/// The crates of the example on this house, itself left out, and the seconds of user CPU that a cold build takes.
fn one(house: &Path, at: &PathBuf) -> Result<(usize, f64), String> {
    let said = |error: std::io::Error| format!("{}: {error}", at.display());
    std::fs::create_dir_all(at.join("src")).map_err(said)?;
    std::fs::write(at.join("Cargo.toml"), MANIFEST.replace("HOUSE", &house.to_string_lossy())).map_err(said)?;
    std::fs::write(at.join("src/main.rs"), PROGRAM).map_err(said)?;
    std::fs::copy(house.join("Cargo.lock"), at.join("Cargo.lock")).map_err(said)?;
    let mut tree = Command::new("cargo");
    tree.args(["tree", "--edges", "normal", "--prefix", "none", "--format", "{p}"]).current_dir(at);
    let listed = tree.output().map_err(said)?;
    if !listed.status.success() {
        return Err(format!("cargo tree: {}", String::from_utf8_lossy(&listed.stderr)));
    }
    let text = String::from_utf8_lossy(&listed.stdout);
    let mut crates: Vec<_> = text.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    crates.sort_unstable();
    crates.dedup();

    let before = children()?;
    let mut build = Command::new("cargo");
    build
        .args(["build", "--quiet"])
        .current_dir(at)
        .env("CARGO_TARGET_DIR", at.join("target"))
        .env("CARGO_INCREMENTAL", "0");
    let status = build.status().map_err(said)?;
    if !status.success() {
        return Err(format!("cargo build of the example: {status}"));
    }
    Ok((crates.len() - 1, children()? - before))
}

/// Seconds of user CPU of all children that have ended (`cutime` of proc(5), in ticks of a hundredth).
fn children() -> Result<f64, String> {
    let stat = std::fs::read_to_string("/proc/self/stat").map_err(|error| format!("/proc/self/stat: {error}"))?;
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after.split_whitespace().nth(13).and_then(|field| field.parse::<f64>().ok());
    ticks.map(|ticks| ticks / 100.0).ok_or_else(|| "/proc/self/stat: expected the field cutime".to_owned())
}
