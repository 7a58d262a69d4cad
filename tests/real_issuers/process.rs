//! Starts a program that serves on loopback, waits for its `ready URL`, and ends it when the test does.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value;

/// The secret of every client that the servers know.
pub(crate) const SECRET: &str = "secret of the client: sixty-four bytes or more, as long as HS512's hash is";

/// A server that runs as long as this value lives.
pub(crate) struct Server {
    child: Child,
    _stdin: ChildStdin,
    /// What it printed behind `ready`: its issuer identifier.
    pub(crate) url: String,
    http: reqwest::Client,
}

/// The folder of the servers' programs.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("servers")
}

/// The Python that `cargo xtask test` has installed the servers for.
pub(crate) fn python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/servers/venv/bin/python")
}

/// The other Python, with `requirements-mcp.txt`.
pub(crate) fn mcp_python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/servers/mcp-venv/bin/python")
}

impl Server {
    /// `oidc-provider`, a certified OpenID Provider (npm).
    pub(crate) fn oidc_provider() -> Self {
        Self::start(Command::new("node").arg(folder().join("oidc-provider.mjs")))
    }

    /// `oidc-provider` as the authorization server of MCP servers: clients register themselves and name the server.
    pub(crate) fn oidc_provider_for_mcp() -> Self {
        Self::start(Command::new("node").arg(folder().join("oidc-provider-mcp.mjs")))
    }

    /// `better-auth` (npm) as the authorization server of this MCP server.
    pub(crate) fn better_auth(resource: &str) -> Self {
        Self::start(Command::new("node").arg(folder().join("better-auth.mjs")).arg(resource))
    }

    /// An API behind `express-oauth2-jwt-bearer` (npm) over TLS, for tokens of this issuer.
    pub(crate) fn express(issuer: &str, audience: &str) -> Self {
        Self::start(Command::new("node").arg(folder().join("resource.mjs")).args([issuer, audience]))
    }

    /// An API of `servers/apis`, told whom to trust and for which audience.
    pub(crate) fn api(program: &str, words: &[&str]) -> Self {
        let runner = if program.ends_with(".py") { mcp_python() } else { PathBuf::from("node") };
        Self::start(Command::new(runner).arg(folder().join("apis").join(program)).args(words))
    }

    /// `django-oauth-toolkit` (PyPI).
    pub(crate) fn django() -> Self {
        Self::start(Command::new(python()).arg(folder().join("django_provider.py")))
    }

    /// A service that checks nothing, for proxies to stand in front of.
    pub(crate) fn upstream() -> Self {
        Self::start(Command::new("node").arg(folder().join("upstream.mjs")))
    }

    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("`cargo xtask test` installs the servers that these tests start");
        let stdin = child.stdin.take().expect("a pipe was asked for");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe was asked for")).lines();
        let url = loop {
            let line = lines.next().expect("the server says `ready URL` before it ends").expect("text");
            if let Some(url) = line.strip_prefix("ready ") {
                break url.to_owned();
            }
        };
        // Whatever else it prints must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        Self { child, _stdin: stdin, url, http }
    }

    /// A client that follows no redirects.
    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// A form, posted by a registered client with its secret; the answer has to be JSON and a success.
    pub(crate) async fn post(&self, path: &str, client: &str, form: &[(&str, &str)]) -> Value {
        let request = self.http.post(format!("{}{path}", self.url)).basic_auth(client, Some(SECRET)).form(form);
        let response = request.send().await.expect("the server answers");
        let (status, body) = (response.status(), response.text().await.expect("a whole answer"));
        assert!(status.is_success(), "{path}: {status} {body}");
        serde_json::from_str(&body).unwrap_or_default()
    }

    /// An address of this server, asked for by GET.
    pub(crate) async fn get(&self, path: &str) -> String {
        let response = self.http.get(format!("{}{path}", self.url)).send().await.expect("the server answers");
        response.text().await.expect("a whole answer")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends by itself when its standard input does; this is for the case that it hangs.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The text under `name` in a token response.
pub(crate) fn text(answer: &Value, name: &str) -> String {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}")).to_owned()
}
