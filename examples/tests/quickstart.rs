//! The quickstart as a user runs it: the table, the lines to paste, another issuer.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use token_test::{Endpoint, TestIssuer};

fn quickstart(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quickstart"));
    command.args(arguments);
    command
}

async fn output(arguments: &[&str]) -> (Output, String) {
    let mut command = quickstart(arguments);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    (output, text)
}

/// Ends the program even when the test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn prints_what_both_apis_answered() {
    let (output, text) = output(&["--once"]).await;
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for (request, status, challenge) in [
        ("good  ", "200", "-"),
        ("good, with the scope", "200", "-"),
        ("no token", "401", "Bearer"),
        ("not a token", "401", "error=\"invalid_token\""),
        ("expired", "401", "error=\"invalid_token\""),
        ("wrong audience", "401", "error=\"invalid_token\""),
        ("missing scope", "403", "scope=\"read:users\""),
        ("forged", "401", "error=\"invalid_token\""),
    ] {
        let line = text.lines().find(|line| line.starts_with(request)).unwrap_or_else(|| panic!("{request}: {text}"));
        assert_eq!(line.matches(status).count(), 2, "{line}");
        assert!(line.contains(challenge), "{line}");
    }
    assert!(!text.contains("curl"), "{text}");
}

#[tokio::test]
async fn stays_up_and_prints_lines_that_work_when_pasted() {
    let mut running = Running(quickstart(&[]).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let token = lines.find_map(|line| line.strip_prefix("TOKEN=").map(str::to_owned)).unwrap();
    let mut sent = 0;
    for line in lines.by_ref().take(7) {
        let url = line.rsplit(' ').next().unwrap().to_owned();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let (request, status) = if line.contains("grant_type") {
            let form = [("grant_type", "client_credentials"), ("scope", "read:users")];
            (client.post(url).basic_auth("test-client", Some("test-secret")).form(&form), 200)
        } else if line.contains("$TOKEN") {
            (client.get(url).bearer_auth(&token), 200)
        } else {
            (client.get(url), 401)
        };
        assert_eq!(request.send().await.unwrap().status(), status, "{line}");
        sent += 1;
    }
    assert_eq!(sent, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn trusts_another_issuer_instead() {
    let issuer = TestIssuer::start().await;
    let (output, text) = output(&["--once", "--issuer", issuer.url(), "--audience", "https://b.example"]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains(issuer.url()) && text.contains("https://b.example"), "{text}");
    assert!(text.contains("no token") && !text.contains("forged"), "only what needs no minting: {text}");
    assert!(issuer.hits(Endpoint::Jwks) > 0);
}

#[tokio::test]
async fn ends_when_the_issuer_cannot_be_reached() {
    let (output, _) = output(&["--once", "--issuer", "http://127.0.0.1:9", "--audience", "a"]).await;
    assert!(!output.status.success());
}

#[tokio::test]
async fn says_which_argument_it_does_not_know() {
    let (output, _) = output(&["--twice"]).await;
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("--twice"));
}
