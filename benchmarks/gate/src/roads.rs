//! The roads that a request takes, and the programs along each: from the configurations that are shipped, changed where the road differs and nowhere else.

use std::path::{Path, PathBuf};

use bench_wrk::Load;
use serde_json::json;
use token_core::Algorithm;
use token_test::TestIssuer;

use crate::running::{Running, place};
use crate::{built, here};

/// What stands between the client and the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Road {
    EnvoyAlone,
    EnvoyNoop,
    EnvoyNoopAgain,
    EnvoyGate,
    EnvoyJwt,
    EnvoyJwtCached,
    NginxAlone,
    NginxStatic,
    NginxStaticAgain,
    NginxStaticApart,
    NginxGate,
}

impl Road {
    pub const ALL: [Self; 11] = [
        Self::EnvoyAlone,
        Self::EnvoyNoop,
        Self::EnvoyNoopAgain,
        Self::EnvoyGate,
        Self::EnvoyJwt,
        Self::EnvoyJwtCached,
        Self::NginxAlone,
        Self::NginxStatic,
        Self::NginxStaticAgain,
        Self::NginxStaticApart,
        Self::NginxGate,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::EnvoyAlone => "Envoy alone",
            Self::EnvoyNoop => "Envoy + a no-op ext_authz server (tonic)",
            Self::EnvoyNoopAgain => "the same, once more",
            Self::EnvoyGate => "Envoy + token-gate (gRPC), warm",
            Self::EnvoyJwt => "Envoy's own jwt_authn, its cache off",
            Self::EnvoyJwtCached => "Envoy's own jwt_authn, its cache on",
            Self::NginxAlone => "nginx alone",
            Self::NginxStatic => "nginx + auth_request to its own 204",
            Self::NginxStaticAgain => "the same, once more",
            Self::NginxStaticApart => "nginx + auth_request to another nginx's 204",
            Self::NginxGate => "nginx + token-gate, warm",
        }
    }

    /// What a request has to pass.
    pub const fn checks(self) -> &'static str {
        match self {
            Self::EnvoyAlone | Self::NginxAlone => "nothing",
            Self::EnvoyNoop | Self::EnvoyNoopAgain => "nothing; one question over gRPC",
            Self::NginxStatic | Self::NginxStaticAgain => "nothing; no question leaves nginx",
            Self::NginxStaticApart => "nothing; one question over HTTP",
            Self::EnvoyGate | Self::NginxGate => {
                "path in one reading, route, method, scope; token remembered, and its time, key and audience checked anew; two claims as fields"
            }
            Self::EnvoyJwt => "RS256 signature, time, audience; one claim as a field",
            Self::EnvoyJwtCached => "token remembered, its time checked anew; one claim as a field",
        }
    }

    /// What it is compared with.
    pub const fn floor(self) -> Option<Self> {
        match self {
            Self::EnvoyAlone | Self::NginxAlone | Self::EnvoyNoop | Self::NginxStatic => None,
            Self::EnvoyNoopAgain | Self::EnvoyGate | Self::EnvoyJwt | Self::EnvoyJwtCached => Some(Self::EnvoyNoop),
            Self::NginxStaticAgain | Self::NginxStaticApart | Self::NginxGate => Some(Self::NginxStatic),
        }
    }
}

/// The programs of one road.
pub struct Up {
    pub port: u16,
    programs: Vec<Running>,
}

impl Up {
    /// # Panics
    /// When an answer was not 200.
    pub fn drive(&self, token: &str, seconds: u32) -> Load {
        let url = format!("http://127.0.0.1:{}/orders/7", self.port);
        bench_wrk::drive(&url, token, seconds, || self.cpu_ns()).unwrap_or_else(|text| panic!("{url}: {text}"))
    }

    /// Nanoseconds of processor time that the road's programs have had, but for the service.
    fn cpu_ns(&self) -> f64 {
        self.programs.iter().map(Running::cpu_ns).sum()
    }
}

/// An issuer, a service that says `ok`, and a token.
pub struct Stage {
    pub issuer: TestIssuer,
    pub token: String,
    service: u16,
    _programs: Vec<Running>,
}

impl Stage {
    pub async fn start() -> Self {
        let issuer = TestIssuer::builder().algorithm(Algorithm::RS256).start().await;
        let hour = std::time::Duration::from_secs(3600);
        let token = issuer.token().subject("ada").scope("read:orders profile").expires_in(hour).mint();
        let (service, program) = answering("200 ok");
        Self { issuer, token, service, _programs: vec![program] }
    }

    pub fn build(&self, road: Road) -> Up {
        match road {
            Road::EnvoyAlone => self.envoy(&|text| without_ext_authz(text, ""), Vec::new(), 1),
            Road::EnvoyNoop | Road::EnvoyNoopAgain => {
                let (port, folder) = place();
                let noop = Running::start(&built("noop"), &[format!("127.0.0.1:{port}")], folder, port);
                self.envoy(&|text| text, vec![noop], port)
            }
            Road::EnvoyGate => {
                let (port, gate) = self.gate();
                self.envoy(&|text| text, vec![gate], port)
            }
            Road::EnvoyJwt => self.envoy(&|text| without_ext_authz(text, &self.jwt_authn("")), Vec::new(), 1),
            Road::EnvoyJwtCached => {
                let cache = "jwt_cache_config: { jwt_cache_size: 4096 }";
                self.envoy(&|text| without_ext_authz(text, &self.jwt_authn(cache)), Vec::new(), 1)
            }
            Road::NginxAlone => self.nginx(&|text| text.replace("auth_request /_token_gate;", ""), Vec::new(), 1),
            Road::NginxStatic | Road::NginxStaticAgain => {
                let itself = |text: String| {
                    let (before, rest) =
                        text.split_once("location = /_token_gate {").expect("the shipped file asks the gate");
                    let (_, after) = rest.split_once("}\n").expect("a block has an end");
                    format!("{before}location = /_token_gate {{ internal; return 204; }}\n{after}")
                };
                self.nginx(&itself, Vec::new(), 1)
            }
            Road::NginxStaticApart => {
                let (port, other) = answering("204");
                self.nginx(&|text| text, vec![other], port)
            }
            Road::NginxGate => {
                let (port, gate) = self.gate();
                self.nginx(&|text| text, vec![gate], port)
            }
        }
    }

    /// The gate with the policy that is shipped, but for its issuer.
    pub fn gate(&self) -> (u16, Running) {
        let (port, folder) = place();
        let policy = std::fs::read_to_string(shipped("gate.toml")).expect("the policy is there");
        let policy = policy.replace("https://api.example.com", self.issuer.audience()).replace(
            "issuer = \"https://login.example.com/\"",
            &format!("issuer = \"{}\"\nallow_loopback_http = true", self.issuer.url()),
        );
        let file = put(&folder, "gate.toml", &policy);
        let words =
            ["--policy", &file, "--listen", &format!("127.0.0.1:{port}"), "--admin", "off", "--log-level", "warn"];
        let gate = Running::start(&built("token-gate"), &words.map(str::to_owned), folder, port);
        (port, gate)
    }

    fn envoy(&self, edit: &dyn Fn(String) -> String, mut programs: Vec<Running>, gate: u16) -> Up {
        let (port, folder) = place();
        let text = std::fs::read_to_string(shipped("envoy/grpc.yaml")).expect("the configuration is there");
        let text = edit(text)
            .replace("address: 0.0.0.0", "address: 127.0.0.1")
            .replace("port_value: 9191", &format!("port_value: {gate}"))
            .replace("port_value: 8000", &format!("port_value: {}", self.service))
            .replace("port_value: 8080", &format!("port_value: {port}"));
        let file = put(&folder, "envoy.yaml", &text);
        let words =
            ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c", &file].map(str::to_owned);
        programs.push(Running::start(&here().join("../../target/servers/venv/bin/envoy"), &words, folder, port));
        Up { port, programs }
    }

    fn nginx(&self, edit: &dyn Fn(String) -> String, mut programs: Vec<Running>, gate: u16) -> Up {
        let (port, folder) = place();
        let text = std::fs::read_to_string(shipped("nginx/nginx.conf")).expect("the configuration is there");
        let text = edit(text)
            .replace("listen 8080", &format!("listen 127.0.0.1:{port}"))
            .replace("127.0.0.1:9191", &format!("127.0.0.1:{gate}"))
            .replace("127.0.0.1:8000", &format!("127.0.0.1:{}", self.service))
            .replacen("http {", TEMPORARY, 1)
            .replace("worker_processes auto;", "");
        programs.push(nginx(&text, folder, port));
        Up { port, programs }
    }

    /// Envoy's own filter, for the same issuer and audience, in place of a question to somebody.
    fn jwt_authn(&self, cache: &str) -> String {
        let keys = json!({ "keys": self.issuer.published() }).to_string();
        let (url, audience) = (self.issuer.url(), self.issuer.audience());
        format!(
            r#"- name: envoy.filters.http.jwt_authn
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
              providers:
                issuer:
                  issuer: "{url}"
                  audiences: ["{audience}"]
                  local_jwks: {{ inline_string: '{keys}' }}
                  claim_to_headers: [{{ header_name: x-token-subject, claim_name: sub }}]
                  {cache}
              rules: [{{ match: {{ prefix: "/" }}, requires: {{ provider_name: issuer }} }}]
          "#
        )
    }
}

const TEMPORARY: &str = "http {\nclient_body_temp_path tmp/a; proxy_temp_path tmp/b; fastcgi_temp_path tmp/c; uwsgi_temp_path tmp/d; scgi_temp_path tmp/e; access_log off; keepalive_requests 100000000;";

/// An nginx that answers everything at once.
fn answering(answer: &str) -> (u16, Running) {
    let (port, folder) = place();
    let text = format!(
        "events {{}}\n{TEMPORARY}\nserver {{ listen 127.0.0.1:{port}; location / {{ return {answer}; }} }} }}\n"
    );
    let program = nginx(&text, folder, port);
    (port, program)
}

fn nginx(text: &str, folder: PathBuf, port: u16) -> Running {
    let file = put(&folder, "nginx.conf", text);
    let prefix = folder.display().to_string();
    let directives = "daemon off; master_process off; pid tmp/pid; error_log stderr error;";
    let words = ["-p", &prefix, "-c", &file, "-g", directives].map(str::to_owned);
    Running::start(Path::new("nginx"), &words, folder, port)
}

/// The configuration with another filter, or none, where it asks the gate.
fn without_ext_authz(text: String, instead: &str) -> String {
    let (before, rest) =
        text.split_once("- name: envoy.filters.http.ext_authz").expect("the shipped file asks the gate");
    let (_, after) = rest.split_once("- name: envoy.filters.http.router").expect("the router comes last");
    format!("{before}{instead}- name: envoy.filters.http.router{after}")
}

fn shipped(file: &str) -> PathBuf {
    here().join("../../token-gate/proxies").join(file)
}

fn put(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a file can be written");
    path.display().to_string()
}
