//! A folder with a policy and keys, and the program run in it.
#![allow(dead_code, clippy::unwrap_used, unreachable_pub, reason = "each test uses its part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use token_core::{Algorithm, Timestamp};
use token_test::{ManualClock, TestIssuer, TokenBuilder};

/// The time of every session.
pub const NOW: &str = "2026-11-23T01:00:00Z";
const SECONDS: i64 = 1_795_395_600;
const KID: &str = "2026-11";
pub const EXPLAIN: [&str; 7] = ["explain", "--policy", "api.toml", "--keys", "keys.json", "--at", NOW];

/// What the program did.
pub struct Seen {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the program in a folder.
pub fn run(folder: &Path, words: &[&str], input: &[u8]) -> Seen {
    let mut child = Command::new(env!("CARGO_BIN_EXE_token"))
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // A program that has seen enough closes its end: that is no failure of the test.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Seen {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A folder of its own with `api.toml` and `keys.json`, and an issuer that mints for them.
pub struct Desk {
    pub folder: PathBuf,
    issuer: TestIssuer,
}

impl Desk {
    pub async fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("token-cli-{name}-{}", std::process::id()));
        // What a killed run of the same process id has left there.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let clock = ManualClock::new(Timestamp::from_secs(SECONDS));
        let issuer = TestIssuer::builder().algorithm(Algorithm::ES256).clock(clock).start().await;
        let mut jwk = issuer.signing_key().public_jwk().unwrap();
        jwk["kid"] = json!(KID);
        let desk = Self { folder, issuer };
        desk.write("keys.json", &json!({"keys": [jwk]}).to_string());
        desk.write(
            "api.toml",
            "audience = \"https://api.example.com\"\n\n[[issuers]]\nissuer = \"https://login.example.com/\"\n",
        );
        desk
    }

    /// A token that is good at [`NOW`].
    pub fn good(&self) -> TokenBuilder {
        self.issuer
            .token()
            .issuer("https://login.example.com/")
            .audience("https://api.example.com")
            .kid(KID)
            .claim("jti", "1")
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.join(name), text).unwrap();
    }

    pub fn run(&self, words: &[&str], input: &[u8]) -> Seen {
        run(&self.folder, words, input)
    }

    pub fn explain(&self, input: &str) -> Seen {
        self.run(&EXPLAIN, input.as_bytes())
    }

    /// Runs `token issuer` on any free port.
    pub fn start_issuer(&self) -> Running {
        let mut child = Command::new(env!("CARGO_BIN_EXE_token"))
            .args(["issuer", "--port", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let url = line.split_whitespace().nth(1).unwrap().to_owned();
        Running { child, url, _stdout: stdout }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A running development issuer; ends with this value.
pub struct Running {
    child: Child,
    pub url: String,
    /// Who closes it ends the program.
    _stdout: BufReader<ChildStdout>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program in a terminal (of `script`, which every Debian has).
pub struct Terminal {
    script: Child,
    /// The file that stands for the terminal.
    tty: String,
}

impl Terminal {
    pub fn open(desk: &Desk, command: &str) -> Self {
        let mut script = Command::new("script");
        script.args(["-qec", &format!("tty && {command}"), "/dev/null"]).current_dir(&desk.folder);
        let script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut terminal = Self { script, tty: String::new() };
        terminal.tty = terminal.read_until("\n").trim().to_owned();
        terminal
    }

    /// A program first says what it wants, and then stops the terminal from showing it.
    pub fn until_nothing_is_shown(&self) {
        let settings = || Command::new("stty").args(["-a", "-F", &self.tty]).output().unwrap().stdout;
        let start = Instant::now();
        while !String::from_utf8(settings()).unwrap().contains(" -echo ") {
            assert!(start.elapsed() < Duration::from_secs(120), "{} goes on showing what is typed", self.tty);
        }
    }

    pub fn write(&mut self, keys: &str) {
        self.script.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// All that the terminal shows until it shows this.
    pub fn read_until(&mut self, end: &str) -> String {
        let (mut seen, mut byte) = (Vec::new(), [0]);
        while !seen.ends_with(end.as_bytes()) {
            let read = self.script.stdout.as_mut().unwrap().read(&mut byte).unwrap();
            assert_eq!(read, 1, "it ended after {}", String::from_utf8_lossy(&seen));
            seen.push(byte[0]);
        }
        String::from_utf8_lossy(&seen).into_owned()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}

/// An introspection endpoint that takes exactly these credentials, undecoded, and calls every token active. Its address.
pub async fn introspection(credentials: &[u8]) -> String {
    use axum::http::{HeaderMap, StatusCode, header};
    let expected = format!("Basic {}", STANDARD.encode(credentials));
    let answer = async move |headers: HeaderMap| match headers.get(header::AUTHORIZATION) {
        Some(seen) if *seen == *expected => {
            Ok(axum::Json(json!({"active": true, "aud": "api", "sub": "ada", "exp": 4_000_000_000_u64})))
        }
        _ => Err(StatusCode::UNAUTHORIZED),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = axum::Router::new().route("/introspect", axum::routing::post(answer));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

/// The root of the certificate that servers with TLS on this machine show.
pub const ROOT: &str = include_str!("../../../token-core/src/base/http/reqwest/testdata/ca.crt.pem");

/// The server's side of TLS, for `localhost`.
fn tls() -> tokio_rustls::TlsAcceptor {
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio_rustls::rustls::{ServerConfig, crypto::aws_lc_rs};
    const SERVER: &[u8] = include_bytes!("../../../token-core/src/base/http/reqwest/testdata/server.pem");
    let chain = CertificateDer::pem_slice_iter(SERVER).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(SERVER).unwrap();
    let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into());
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    std::sync::Arc::new(config.with_single_cert(chain, key).unwrap()).into()
}

/// TLS in front of a server without. Its address.
pub async fn tls_before(server: std::net::SocketAddr) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let tls = tls();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                // Whoever does not know the root goes away: that is what is tried.
                let Ok(mut stream) = tls.accept(stream).await else { return };
                let mut onward = tokio::net::TcpStream::connect(server).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
            });
        }
    });
    url
}

/// An issuer with TLS on this machine: its metadata, and a key set without keys. Its address and the root of its certificate.
pub async fn tls_issuer() -> (String, String) {
    use axum::routing::get;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = tls_before(listener.local_addr().unwrap()).await;
    let metadata = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
    let keys = get(async || axum::Json(json!({"keys": []})));
    let app = axum::Router::new().route("/keys", keys).fallback(async move || axum::Json(metadata));
    tokio::spawn(axum::serve(listener, app).into_future());
    (url, ROOT.to_owned())
}

/// A proxy that opens no tunnel, and remembers what it was asked for.
pub struct Proxy {
    pub url: String,
    asked: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
}

impl Proxy {
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

pub async fn proxy() -> Proxy {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::sync::Arc::<std::sync::Mutex<Vec<String>>>::default();
    let seen = std::sync::Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (mut stream, mut line) = (BufReader::new(stream), String::new());
            let _ = stream.read_line(&mut line).await;
            seen.lock().unwrap().push(line);
            let _ = stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    Proxy { url, asked }
}
