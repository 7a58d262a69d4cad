//! The program itself: starts, tells systemd, answers probes, follows its policy, drains, and ends.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use token_test::{HeldPort, TestIssuer};

/// A gate in a process of its own, and a folder for what it reads and writes.
struct Program {
    child: Child,
    proxies: SocketAddr,
    operators: SocketAddr,
    folder: PathBuf,
    systemd: UnixDatagram,
    _ports: [HeldPort; 2],
}

fn policy(issuer: &TestIssuer, gate: &str) -> String {
    let (url, audience) = (issuer.url(), issuer.audience());
    format!("audience = \"{audience}\"\n[[issuers]]\nissuer = \"{url}\"\nallow_loopback_http = true\n{gate}")
}

impl Program {
    fn start(policy: &str) -> Self {
        let ports = [(); 2].map(|()| HeldPort::new().unwrap());
        let [proxies, operators] = [ports[0].address(), ports[1].address()];
        let folder = std::env::temp_dir().join(format!("token-gate-{}-{}", std::process::id(), proxies.port()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("gate.toml"), policy).unwrap();
        let systemd = UnixDatagram::bind(folder.join("notify")).unwrap();
        systemd.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_token-gate"))
            .arg("--policy")
            .arg(folder.join("gate.toml"))
            .args(["--listen", &proxies.to_string(), "--admin", &operators.to_string(), "--follow", "0"])
            .arg("--listen")
            .arg(format!("unix:{}", folder.join("gate.sock").display()))
            .args(["--log-level", "debug"])
            .env("NOTIFY_SOCKET", folder.join("notify"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let program = Self { child, proxies, operators, _ports: ports, folder, systemd };
        program.told("READY=1");
        program
    }

    /// Waits until systemd is told this.
    fn told(&self, what: &str) {
        let mut text = [0; 256];
        loop {
            let length = self.systemd.recv(&mut text).unwrap_or_else(|_| panic!("systemd was not told {what}"));
            if String::from_utf8_lossy(&text[..length]).contains(what) {
                return;
            }
        }
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    fn rewrite(&self, policy: &str) {
        std::fs::write(self.folder.join("gate.toml"), policy).unwrap();
        self.signal("-HUP");
        self.told("READY=1");
    }

    fn ask(&self, path: &str, token: Option<&str>) -> String {
        exchange(TcpStream::connect(self.proxies).unwrap(), &question(path, token))
    }

    fn probe(&self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        exchange(TcpStream::connect(self.operators).unwrap(), &request)
    }

    /// Ends it and returns what it logged.
    fn end(mut self) -> String {
        self.signal("-TERM");
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert!(self.child.wait().unwrap().success(), "{log}");
        log
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn question(path: &str, token: Option<&str>) -> String {
    let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!(
        "GET /auth-request HTTP/1.1\r\nhost: gate\r\nconnection: close\r\nx-original-method: GET\r\nx-original-uri: {path}\r\n{token}\r\n"
    )
}

fn exchange(mut stream: impl Read + Write, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_answers_proxies_and_probes_follows_its_policy_and_ends_in_order() {
    let issuer = TestIssuer::start().await;
    let token = issuer.token().subject("ada").scope("read").mint();
    let program = Program::start(&policy(&issuer, "[gate.upstream.headers]\nX-Sub = \"sub\"\n"));

    assert_eq!(status(&program.probe("/livez")), "200");
    let start = Instant::now();
    while status(&program.probe("/readyz")) != "200" {
        assert!(start.elapsed() < Duration::from_secs(30), "{}", program.probe("/readyz"));
        std::thread::sleep(Duration::from_millis(20));
    }
    let answer = program.ask("/a", Some(&token));
    assert!(status(&answer) == "200" && answer.contains("x-sub: ada\r\n"), "{answer}");
    assert_eq!(status(&program.ask("/a", None)), "401");
    assert_eq!(status(&program.ask("/a//b", Some(&token))), "400");

    // Over the Unix socket nobody has an address: its permissions say who may ask.
    let socket = UnixStream::connect(program.folder.join("gate.sock")).unwrap();
    assert_eq!(status(&exchange(socket, &question("/a", Some(&token)))), "200");

    // A good change takes over; a bad one changes nothing, neither the routes nor whom to believe.
    program.rewrite(&policy(&issuer, "[[gate.routes]]\npath = \"/open\"\naccess = \"public\"\n"));
    assert_eq!(status(&program.ask("/open", None)), "200");
    assert_eq!(status(&program.ask("/a", Some(&token))), "403");
    program.rewrite(&policy(&issuer, "[[gate.routes]]\npath = \"//\"\naccess = \"public\"\n"));
    program.rewrite("audience = ");
    assert_eq!(status(&program.ask("/open", None)), "200");
    program.rewrite(&policy(&issuer, "[gate]\npeers = [\"192.0.2.1\"]\n"));
    assert_eq!(status(&program.ask("/a", Some(&token))), "403");
    assert!(status(&program.probe("/readyz")) == "200");

    let numbers = program.probe("/metrics");
    for line in [
        r#"token_gate_decisions_total{door="auth_request",outcome="passed"}"#,
        r#"token_gate_decisions_total{door="auth_request",outcome="unclear_path"}"#,
        r#"token_gate_decisions_total{door="auth_request",outcome="unknown_peer"}"#,
        "token_verifications_total",
    ] {
        assert!(numbers.contains(line), "{line}: {numbers}");
    }

    let log = program.end();
    assert!(
        log.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| line.is_object())),
        "{log}"
    );
    for text in ["gate.routes[0] (//)", "the policy file is bad", "asked to end", r#""kind":"unclear_path""#] {
        assert!(log.contains(text), "{text}: {log}");
    }
    for secret in [token.as_str(), "ada"] {
        assert!(!log.contains(secret) && !numbers.contains(secret), "leaks: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_asked_is_answered_before_it_ends() {
    let issuer = TestIssuer::start().await;
    let program = Program::start(&policy(&issuer, ""));
    // Half a question is open when the end is announced.
    let mut open = TcpStream::connect(program.proxies).unwrap();
    let text = question("/a", None);
    let (first, rest) = text.split_at(text.len() / 2);
    open.write_all(first.as_bytes()).unwrap();
    let connections = || program.probe("/metrics").contains("token_gate_connections 2");
    let start = Instant::now();
    while !connections() {
        assert!(start.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(20));
    }
    program.signal("-TERM");
    program.told("STOPPING=1");
    open.write_all(rest.as_bytes()).unwrap();
    let mut answer = String::new();
    open.read_to_string(&mut answer).unwrap();
    assert_eq!(status(&answer), "401", "{answer}");
    program.end_by_itself();
}

impl Program {
    fn end_by_itself(mut self) {
        assert!(self.child.wait().unwrap().success());
        assert!(TcpStream::connect(self.proxies).is_err());
    }
}

#[test]
fn a_policy_that_cannot_be_is_refused_with_its_reason_before_anything_listens() {
    let folder = std::env::temp_dir().join(format!("token-gate-check-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let trust = "audience = \"api\"\n[[issuers]]\nissuer = \"https://login.example.com/\"\n";
    for (gate, expected) in [
        ("[gate]\npeers = [\"proxy\"]\n", Some("gate.peers: expected an address")),
        ("[gate]\nroute = []\n", Some("unknown field `route`")),
        ("[gate.upstream.headers]\nHost = \"sub\"\n", Some("gate.upstream.headers.Host")),
        (
            "[[gate.routes]]\npath = \"/**\"\n[[gate.routes]]\npath = \"/admin\"\n",
            Some("gate.routes[1] (/admin): it is never asked"),
        ),
        ("[gate]\nallow_in_paths = [\"semicolons\"]\n", None),
    ] {
        let file = folder.join("gate.toml");
        std::fs::write(&file, format!("{trust}{gate}")).unwrap();
        let (success, said) = check(&file);
        match expected {
            Some(expected) => {
                assert!(!success && said.contains(expected) && said.contains("gate.toml"), "{gate}: {said}")
            }
            None => assert!(success && said.is_empty(), "{gate}: {said}"),
        }
    }
    let (success, said) = check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("proxies/gate.toml"));
    assert!(success, "{said}");
    std::fs::remove_dir_all(folder).unwrap();
}

fn check(file: &Path) -> (bool, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_token-gate")).arg("--check").arg("--policy").arg(file).output().unwrap();
    let said = BufReader::new(&output.stderr[..]).lines().map(Result::unwrap).collect();
    (output.status.success(), said)
}
