//! The program itself: starts, tells systemd, answers probes, follows its policy, drains, and ends.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

#[cfg(feature = "foreign")]
#[path = "../../token-redis/tests/server/engine.rs"]
#[allow(dead_code, reason = "its own tests use more of it")]
mod engine;
#[cfg(feature = "foreign")]
#[path = "program/shared.rs"]
mod shared;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use token_test::{Endpoint, HeldPort, TestIssuer};

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
        Self::lingering(policy, 0)
    }

    fn lingering(policy: &str, seconds: u32) -> Self {
        Self::with(policy, &["--linger", &seconds.to_string()])
    }

    fn with(policy: &str, arguments: &[&str]) -> Self {
        let ports = [(); 2].map(|()| HeldPort::new().unwrap());
        let [proxies, operators] = [ports[0].address(), ports[1].address()];
        let folder = std::env::temp_dir().join(format!("token-gate-{}-{}", std::process::id(), proxies.port()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("gate.toml"), policy).unwrap();
        let systemd = UnixDatagram::bind(folder.join("notify")).unwrap();
        systemd.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_token-gate"))
            .arg("--policy")
            .arg(folder.join("gate.toml"))
            .args(["--listen", &proxies.to_string(), "--admin", &operators.to_string(), "--follow", "0"])
            .arg("--listen")
            .arg(format!("unix:{}", folder.join("gate.sock").display()))
            .args(["--log-level", "debug"])
            .args(arguments)
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
    eventually(|| status(&program.probe("/readyz")) == "200");
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

/// A question whose second half has not been sent yet.
struct Begun(TcpStream, String);

impl Begun {
    fn question(program: &Program) -> Self {
        let mut open = TcpStream::connect(program.proxies).unwrap();
        let text = question("/a", None);
        let (first, rest) = text.split_at(text.len() / 2);
        open.write_all(first.as_bytes()).unwrap();
        Self(open, rest.to_owned())
    }

    fn end_and_read_the_answer(mut self) {
        self.0.write_all(self.1.as_bytes()).unwrap();
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).unwrap();
        assert_eq!(status(&answer), "401", "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_asked_is_answered_before_it_ends() {
    let issuer = TestIssuer::start().await;
    let program = Program::start(&policy(&issuer, ""));
    // Half a question is open when the end is announced.
    let begun = Begun::question(&program);
    eventually(|| program.probe("/metrics").contains("token_gate_connections 2"));
    program.signal("-TERM");
    program.told("STOPPING=1");
    begun.end_and_read_the_answer();
    program.end_by_itself();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_sends_proxies_elsewhere_before_it_lets_nobody_in_and_operators_see_it_to_the_end() {
    let issuer = TestIssuer::start().await;
    let program = Program::lingering(&policy(&issuer, ""), 600);
    let ready = || status(&program.probe("/readyz")).to_owned();
    eventually(|| ready() == "200");
    let begun = Begun::question(&program);

    program.signal("-TERM");
    program.told("STOPPING=1");
    // Not ready, and it answers whoever has not seen that yet.
    assert!(program.probe("/readyz").contains(r#""ending":true"#) && ready() == "503");
    assert_eq!(status(&program.ask("/a", None)), "401");
    assert_eq!(status(&program.probe("/livez")), "200");

    // A second signal ends the waiting: nobody new is let in, and what is open is waited for.
    program.signal("-TERM");
    eventually(|| TcpStream::connect(program.proxies).is_err());
    assert_eq!(ready(), "503");
    begun.end_and_read_the_answer();
    program.end_by_itself();
}

#[tokio::test(flavor = "multi_thread")]
async fn more_questions_than_there_is_room_for_are_told_to_come_again() {
    let issuer = TestIssuer::start().await;
    issuer.faults().at(Endpoint::Jwks).hold();
    let program = Program::with(&policy(&issuer, ""), &["--linger", "0", "--max-questions", "1"]);
    let token = issuer.token().subject("ada").mint();
    // The one place is taken by a question that waits for keys.
    let (address, text) = (program.proxies, question("/a", Some(&token)));
    let first = std::thread::spawn(move || {
        let start = Instant::now();
        loop {
            let answer = exchange(TcpStream::connect(address).unwrap(), &text);
            // One of those below may have had the place just then, or the machine was too busy to bring keys in time.
            if status(&answer) != "503" || start.elapsed() > Duration::from_secs(120) {
                return answer;
            }
        }
    });
    let asked = || exchange(TcpStream::connect(address).unwrap(), &question("/a", None));
    eventually(|| {
        let answer = asked();
        assert!(["401", "503"].contains(&status(&answer)), "{answer}");
        status(&answer) == "503" && answer.contains("retry-after: 1\r\n")
    });
    issuer.heal();
    assert_eq!(status(&first.join().unwrap()), "200");
    assert_eq!(status(&asked()), "401", "there is room again");
    assert!(program.probe("/metrics").contains(r#"outcome="busy""#));
    program.end();
}

fn eventually(is: impl Fn() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(120), "it never came to be");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_gets_a_token_of_the_gates_own_and_its_keys_rotate_with_an_overlap() {
    use token_core::{Issuer, Presented, ResourceServer, StaticKeys};

    let issuer = TestIssuer::start().await;
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys");
    let signs = |keys: &str| {
        let sign = format!(
            "[gate.upstream]\ntoken = \"sign\"\n[gate.upstream.sign]\nissuer = \"https://gate.internal\"\naudience = \"https://orders.internal\"\nkeys = [{keys}]\n[gate.upstream.sign.claims]\nscope = {{ grants = \"scopes\" }}\n"
        );
        policy(
            &issuer,
            &format!("{sign}[[gate.routes]]\npath = \"/open\"\naccess = \"public\"\n[[gate.routes]]\npath = \"/**\"\n"),
        )
    };
    let key = |name: &str| format!("{{ file = \"{}\", kid = \"{name}\" }}", keys.join(format!("{name}.pem")).display());
    let program = Program::start(&signs(&key("one")));
    eventually(|| status(&program.probe("/readyz")) == "200");
    let token = issuer.token().subject("ada").scope("read").mint();
    let sent_on = || {
        let answer = program.ask("/a", Some(&token));
        let line = answer.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).map(str::to_owned);
        line.unwrap_or_else(|| panic!("{answer}"))
    };
    let set = || {
        let answer = program.probe("/.well-known/jwks.json");
        assert!(answer.contains("application/jwk-set+json") && answer.contains("max-age=300"), "{answer}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    let subject_by = |set: &str, token: &str| {
        let keys = StaticKeys::published_jwk_set(set).unwrap();
        let trusted = Issuer::with_keys("https://gate.internal", keys).unwrap();
        let service = ResourceServer::builder("https://orders.internal").trust(trusted).build().unwrap();
        let seen = service.authenticate(Presented::token(token)).now().unwrap();
        seen.map(|seen| (seen.subject().map(str::to_owned), seen.scopes().contains("read")))
            .map_err(|error| error.kind())
    };
    let ada = Ok((Some("ada".to_owned()), true));
    let (before, old_set) = (sent_on(), set());
    assert_eq!(subject_by(&old_set, &before), ada);
    assert!(before != sent_on() && before != token, "signed anew for each request");

    // The new key is published first, then it signs, then the old one goes; no service is ever shown a token that it cannot verify.
    program.rewrite(&signs(&format!("{}, {}", key("one"), key("two"))));
    assert_eq!(subject_by(&old_set, &sent_on()), ada);
    let both = set();
    program.rewrite(&signs(&format!("{}, {}", key("two"), key("one"))));
    let after = sent_on();
    assert_eq!((subject_by(&both, &after), subject_by(&set(), &before)), (ada.clone(), ada.clone()));
    assert_eq!(subject_by(&old_set, &after), Err(token_core::ErrorKind::UnknownKey));
    program.rewrite(&signs(&key("two")));
    assert_eq!(subject_by(&set(), &sent_on()), ada);

    // Nobody called: no token. A key that cannot be read changes nothing.
    let open = program.ask("/open", Some(&token));
    assert!(status(&open) == "200" && !open.contains("authorization:"), "{open}");
    program.rewrite(&signs(&key("missing")));
    assert_eq!(subject_by(&set(), &sent_on()), ada);
    let log = program.end();
    assert!(log.contains("missing.pem") && !log.contains("PRIVATE") && !log.contains(&before), "{log}");
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
        ("[gate.upstream]\ntoken = \"exchange\"\n", Some("gate.upstream.exchange: token = \"exchange\" needs a table")),
        ("[gate.upstream]\ntoken = \"sign\"\n", Some("gate.upstream.sign: token = \"sign\" needs a table")),
        (
            "[gate.upstream]\ntoken = \"sign\"\n[gate.upstream.sign]\nissuer = \"a\"\naudience = \"b\"\nkeys = [{ file = \"none.pem\" }]\n",
            Some("none.pem: cannot be read"),
        ),
        (
            "[gate.upstream.sign]\nissuer = \"a\"\naudience = \"b\"\nkeys = [{ file = \"none.pem\" }]\n",
            Some("gate.upstream.sign: it is not used"),
        ),
        ("[gate]\nallow_in_paths = [\"semicolons\"]\n", None),
    ] {
        let file = folder.join("gate.toml");
        std::fs::write(&file, format!("{trust}{gate}")).unwrap();
        let (success, said) = check(&file, &[]);
        match expected {
            Some(expected) => {
                assert!(!success && said.contains(expected) && said.contains("gate.toml"), "{gate}: {said}")
            }
            None => assert!(success && said.is_empty(), "{gate}: {said}"),
        }
    }
    let (success, said) = check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("proxies/gate.toml"), &[]);
    assert!(success, "{said}");
    std::fs::remove_dir_all(folder).unwrap();
}

fn check(file: &Path, words: &[&str]) -> (bool, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_token-gate"));
    let output = program.arg("--check").arg("--policy").arg(file).args(words).output().unwrap();
    let said = BufReader::new(&output.stderr[..]).lines().map(Result::unwrap).collect();
    (output.status.success(), said)
}
