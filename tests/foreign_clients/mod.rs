//! Clients that nobody here wrote, driving the embedded issuer of `token-test`: our answers are what they accept.

mod everything;
mod mcp;

use std::process::{Command, Stdio};

use token_core::Algorithm;
use token_test::{Endpoint, TestIssuer};
use token_tests::evidence::note;

use crate::real_issuers::{folder, python};

/// Runs a program of clients against an issuer and notes what it has shown.
async fn drive(issuer: &TestIssuer, mut program: Command) {
    issuer.client("foreign", "the secret of a client of somebody else");
    issuer.connect("auth0|ada", "google-oauth2", "a token of a provider");
    issuer.client("target", "the secret of the client that delegation is for");
    let id_token = issuer.id_token().subject("auth0|ada").audience("foreign").mint();
    let refresh_token = issuer.refresh_token("auth0|ada", "foreign", "read:users");
    issuer.rotate_refresh_tokens(false);
    program.args([issuer.url(), "foreign", "the secret of a client of somebody else", issuer.audience()]);
    program.args([id_token, refresh_token]);
    let run = tokio::task::spawn_blocking(move || program.stdin(Stdio::null()).output());
    let output = run.await.unwrap().expect("`cargo xtask test` installs the clients");
    let (shown, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{shown}{complaints}");
    let lines: Vec<_> = shown.lines().filter_map(|line| line.strip_prefix("shown ")?.split_once(" | ")).collect();
    assert!(!lines.is_empty(), "{shown}{complaints}");
    for (client, what) in lines {
        note("clients", &format!("{client} {what}"), &[client, what]);
    }
    for endpoint in [Endpoint::Token, Endpoint::UserInfo, Endpoint::Delegation, Endpoint::Management] {
        assert!(issuer.hits(endpoint) > 0, "{endpoint:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certified_clients_of_javascript_accept_our_issuer() {
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        // An issuer with a path. Auth0's SDKs know one path of the token endpoint, /oauth/token; this is how they meet.
        let issuer = TestIssuer::builder().path("/oauth").algorithm(algorithm).start().await;
        let mut program = Command::new("node");
        program.arg(folder().join("clients.mjs"));
        drive(&issuer, program).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_python_accepts_our_issuer() {
    let issuer = TestIssuer::start().await;
    let mut program = Command::new(python());
    program.arg(folder().join("clients.py"));
    drive(&issuer, program).await;
}
