//! Two gates and one Redis: a proof of possession is good once at both together (RFC 9449 section 11.1).

use std::net::TcpStream;

use token_core::Algorithm;
use token_test::{HeldPort, TestIssuer, TestKey};

use crate::engine::Node;
use crate::{Program, check, exchange, policy, status};

const HERE: &str = "https://api.example.com";
const PASSWORD: &str = "correct horse battery";
const SHARED: &str = "[dpop]\nexternal_url = \"https://api.example.com\"\nreplay_memory = \"shared\"\n";

fn ask(gate: &Program, token: &str, proof: &str) -> String {
    let request = format!(
        "GET /auth-request HTTP/1.1\r\nhost: gate\r\nconnection: close\r\nx-original-method: GET\r\nx-original-uri: /me\r\nauthorization: DPoP {token}\r\ndpop: {proof}\r\n\r\n"
    );
    exchange(TcpStream::connect(gate.proxies).unwrap(), &request)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_one_gate_has_let_in_is_refused_by_the_other() {
    let (issuer, key) = (TestIssuer::start().await, TestKey::client(Algorithm::ES256));
    let token = issuer.token().bound_to(&key).mint();
    let proof = || key.proof("GET", &format!("{HERE}/me"), &token).mint();
    // One gate asks in the clear, the other over TLS.
    let (port, files) = (HeldPort::new().unwrap(), concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/tls"));
    let (authority, loopback) = (format!("{files}/authority.pem"), format!("{files}/loopback.pem"));
    let tls_port = port.port().to_string();
    let words =
        ["--port", "PORT", "--tls-port", &tls_port, "--tls-auth-clients", "no", "--tls-ca-cert-file", &authority];
    let words = [&words[..], &["--tls-cert-file", &loopback, "--tls-key-file", &loopback]].concat();
    let mut redis = Node::ready(&words).await;
    redis.cli(&["ACL", "SETUSER", "gate", "on", &format!(">{PASSWORD}"), "~{orders}:*", "+@all"]);
    redis.cli(&["ACL", "SETUSER", "default", "off"]);
    let password = std::env::temp_dir().join(format!("token-gate-redis-{}", redis.port));
    std::fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let url = redis.url();
    let words = ["--linger", "0", "--redis", &url, "--redis-user", "gate", "--redis-namespace", "orders"];
    let words =
        [&words[..], &["--redis-password-file", password.to_str().unwrap(), "--redis-timeout", "20000"]].concat();
    let gates = [(); 2].map(|()| Program::with(&policy(&issuer, SHARED), &words));
    let own = [(); 2].map(|()| Program::start(&policy(&issuer, &SHARED.replace("shared", "own"))));

    for (first, then) in [(0, 1), (1, 0)] {
        let proof = proof();
        assert_eq!(status(&ask(&gates[first], &token, &proof)), "200");
        for gate in [then, first] {
            let answer = ask(&gates[gate], &token, &proof);
            assert!(status(&answer) == "401" && answer.contains("invalid_dpop_proof"), "{answer}");
        }
        // What it is for: gates that remember for themselves.
        assert_eq!([0, 1].map(|gate| status(&ask(&own[gate], &token, &proof)).to_owned()), ["200", "200"]);
    }
    // A policy that was read again shares the same memory.
    let before = proof();
    assert_eq!(status(&ask(&gates[0], &token, &before)), "200");
    gates[0].rewrite(&policy(&issuer, &format!("realm = \"again\"\n{SHARED}")));
    assert_eq!(status(&ask(&gates[0], &token, &before)), "401");

    redis.kill();
    let answer = ask(&gates[0], &token, &proof());
    assert!(status(&answer) == "503" && answer.contains("retry-after"), "{answer}");
    redis.start();
    std::fs::remove_file(&password).unwrap();
    for log in gates.map(Program::end) {
        assert!(!log.contains(PASSWORD) && !log.contains(&token), "leaks: {log}");
    }
}

#[test]
fn flags_of_the_shared_memory_that_cannot_be_are_refused_with_their_reason() {
    let folder = std::env::temp_dir().join(format!("token-gate-flags-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("gate.toml");
    let policy = format!("audience = \"api\"\n[[issuers]]\nissuer = \"https://login.example.com/\"\n{SHARED}");
    std::fs::write(&file, policy).unwrap();
    let junk = folder.join("junk.pem");
    std::fs::write(&junk, "junk").unwrap();
    let (absent, junk) = (folder.join("absent").display().to_string(), junk.display().to_string());
    let (here, tls) = ("redis://127.0.0.1:6379/", "rediss://127.0.0.1:6379/");
    for (words, expected) in [
        (&[][..], Some("token-gate is told of one with --redis")),
        (&["--redis", here], None),
        (&["--redis", "redis://gate:secret@127.0.0.1/"], Some("--redis-user and --redis-password-file")),
        (&["--redis", "http://127.0.0.1/"], Some("expected redis://HOST:6379/")),
        (&["--redis", "rediss://127.0.0.1:6379/#insecure"], Some("certificates are always checked")),
        (&["--redis", here, "--redis-password-file", &absent], Some(&*absent)),
        (&["--redis", tls, "--redis-ca-file", &junk], Some("cannot be read as PEM")),
        (&["--redis", here, "--redis-password-file", "/dev/zero"], Some("at most 1 MiB")),
        (&["--redis", here, "--redis-proofs-per-key", "0"], Some("--redis-proofs-per-key")),
        (&["--redis-password-file", &absent], Some("--redis <URL>")),
    ] {
        let (success, said) = check(&file, words);
        match expected {
            Some(expected) => assert!(!success && said.contains(expected), "{words:?}: {said}"),
            None => assert!(success && said.is_empty(), "{words:?}: {said}"),
        }
        assert!(!said.contains("gate:secret"), "{said}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
