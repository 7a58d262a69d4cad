//! Clients that nobody here wrote, driving the embedded issuer of `token-test`: our answers are what they accept.

use std::process::{Command, Stdio};

use token_core::Algorithm;
use token_test::{Endpoint, TestIssuer};
use token_tests::evidence::note;

use crate::real_issuers::{folder, python};

/// Runs a program of clients against an issuer and notes what it has shown.
async fn drive(issuer: &TestIssuer, mut program: Command) {
    issuer.client("foreign", "the secret of a client of somebody else");
    issuer.connect("auth0|ada", "google-oauth2", "a token of a provider");
    program.args([issuer.url(), "foreign", "the secret of a client of somebody else", issuer.audience()]);
    let run = tokio::task::spawn_blocking(move || program.stdin(Stdio::null()).output());
    let output = run.await.unwrap().expect("`cargo xtask test` installs the clients");
    let (shown, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{shown}{complaints}");
    let lines: Vec<_> = shown.lines().filter_map(|line| line.strip_prefix("shown ")?.split_once(" | ")).collect();
    assert!(!lines.is_empty(), "{shown}{complaints}");
    for (client, what) in lines {
        note("clients", &format!("{client} {what}"), &[client, what]);
    }
    assert!(issuer.hits(Endpoint::Token) > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certified_clients_of_javascript_accept_our_issuer() {
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        // Auth0's SDKs know one path of the token endpoint: /oauth/token.
        let issuer = TestIssuer::builder().path("/oauth").algorithm(algorithm).start().await;
        let mut program = Command::new("node");
        program.arg(folder().join("clients.mjs"));
        drive(&issuer, program).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_python_accepts_our_issuer() {
    let issuer = TestIssuer::builder().path("/oauth").start().await;
    let mut program = Command::new(python());
    program.arg(folder().join("clients.py"));
    drive(&issuer, program).await;
}
