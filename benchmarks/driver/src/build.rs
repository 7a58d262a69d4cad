//! The packages: each a workspace of its own, since their features clash; one target folder, so that what they share is compiled once.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::measured::Measured;
use crate::{Plan, here};

/// A peer and what of it is measured.
pub struct Peer {
    pub folder: &'static str,
    pub name: &'static str,
    /// Has a verification to time.
    pub verifies: bool,
    /// Has a layer to serve behind, in this framework.
    pub layer: Option<&'static str>,
}

impl Peer {
    pub fn program(&self) -> String {
        format!("bench-{}", self.folder)
    }
}

const fn peer(folder: &'static str, name: &'static str, verifies: bool, layer: Option<&'static str>) -> Peer {
    Peer { folder, name, verifies, layer }
}

pub const PEERS: &[Peer] = &[
    peer("jsonwebtoken-aws", "jsonwebtoken 11.1.0, aws-lc-rs", true, None),
    peer("jsonwebtoken-rust-crypto", "jsonwebtoken 11.1.0, RustCrypto", true, None),
    peer("oauth-resource-server", "oauth-resource-server 0.4.1", true, Some("axum 0.8")),
    peer("huskarl", "huskarl-resource-server 0.11.12", true, Some("axum 0.8")),
    peer("tower-oauth2", "tower-oauth2-resource-server 0.12.5", true, Some("axum 0.8")),
    peer("jwt-authorizer", "jwt-authorizer 0.15.0", true, Some("axum 0.7")),
    peer("aliri", "aliri_oauth2 0.10.2, aliri_actix 0.9.2", true, Some("actix-web 4")),
    peer("axum-jwt-auth", "axum-jwt-auth 0.7.0", true, Some("axum 0.8")),
    peer("dpop-verifier", "dpop-verifier 4.4.0", false, None),
    peer("actix-httpauth", "actix-web-httpauth 0.8.3 + jsonwebtoken 11.1.0", false, Some("actix-web 4")),
];

/// Those with proofs of possession to time.
pub const PROVING: &[&str] = &["dpop-verifier", "huskarl"];

/// Builds what the plan asks for. A peer that does not build is left out, and the report says so.
pub fn everything(plan: &Plan, measured: &mut Measured) {
    for ours in ["ours", "web"] {
        assert!(cargo(&here().join(ours), &[]), "our own benchmarks build");
    }
    assert!(cargo(&here().join(".."), &["--package", "token-cli"]), "`token` builds, for `token check`");
    if plan.peers {
        for peer in PEERS {
            if !cargo(&here().join("peers").join(peer.folder), &[]) {
                measured.failures.push(format!("{} does not build here", peer.name));
            }
        }
    }
}

/// A program that was built.
pub fn program(name: &str) -> PathBuf {
    target().join("release").join(name)
}

fn target() -> PathBuf {
    here().join("target")
}

fn cargo(folder: &Path, words: &[&str]) -> bool {
    eprintln!("==> building {}", folder.display());
    Command::new("cargo")
        .args(["build", "--release", "--quiet"])
        .args(words)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target())
        .status()
        .is_ok_and(|status| status.success())
}
