//! A proxy with the configuration that is shipped for it, its addresses replaced by free ones, for as long as a value lives.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use token_test::HeldPort;

use crate::real_issuers::python;

/// The proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    Caddy,
    EnvoyGrpc,
    EnvoyHttp,
    Haproxy,
    Traefik,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Nginx, Self::Caddy, Self::EnvoyGrpc, Self::EnvoyHttp, Self::Haproxy, Self::Traefik];
}

/// A running proxy.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) address: SocketAddr,
    _port: HeldPort,
    folder: PathBuf,
}

/// A folder for what a proxy reads and writes.
fn folder(address: SocketAddr) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("token-proxy-{}-{}", std::process::id(), address.port()));
    std::fs::create_dir_all(folder.join("tmp")).unwrap();
    folder
}

fn envoy() -> Command {
    let mut command = Command::new(python().with_file_name("envoy"));
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warn", "-c"]);
    command
}

/// Addresses as the shipped configurations have them.
const GATE: &str = "127.0.0.1:9191";
const SERVICE: &str = "127.0.0.1:8000";
/// A path that Traefik sends on without a question, to see that it has read its routes.
const PROBE: &str = "/probe-of-the-tests";

impl Proxy {
    /// Starts the proxy between `service` and clients, with `edit` applied to its configuration.
    pub(crate) fn start(kind: Kind, gate: SocketAddr, service: SocketAddr, edit: &dyn Fn(String) -> String) -> Self {
        let port = HeldPort::new().unwrap();
        let address = port.address();
        let folder = folder(address);
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../token-gate/proxies");
        let configured = |file: &str| {
            let text = std::fs::read_to_string(shipped.join(file)).unwrap();
            let text = text.replace(GATE, &gate.to_string()).replace(SERVICE, &service.to_string());
            // Envoy has address and port apart.
            let text = text
                .replace("port_value: 9191", &format!("port_value: {}", gate.port()))
                .replace("port_value: 8000", &format!("port_value: {}", service.port()))
                .replace("port_value: 8080", &format!("port_value: {}", address.port()))
                .replace("address: 0.0.0.0", "address: 127.0.0.1");
            edit(text)
        };
        let place = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let venv = |name: &str| python().with_file_name(name);
        let mut command = match kind {
            Kind::Nginx => {
                let temporary = "http {\nclient_body_temp_path tmp/a; proxy_temp_path tmp/b; fastcgi_temp_path tmp/c; uwsgi_temp_path tmp/d; scgi_temp_path tmp/e; access_log off;";
                let text = configured("nginx/nginx.conf").replacen("http {", temporary, 1);
                let text =
                    text.replace("listen 8080", &format!("listen {address}")).replace("worker_processes auto;", "");
                let mut command = Command::new("nginx");
                let directives = "daemon off; master_process off; pid tmp/pid; error_log stderr warn;";
                command.arg("-p").arg(&folder).arg("-c").arg(place("nginx.conf", text)).args(["-g", directives]);
                command
            }
            Kind::Caddy => {
                let text = configured("caddy/Caddyfile").replacen('{', "{\n\tadmin off\n", 1);
                let text = text.replace(":8080 {", &format!(":{} {{\n\tbind 127.0.0.1", address.port()));
                let mut command = Command::new(venv("caddy"));
                command.args(["run", "--adapter", "caddyfile", "--config"]).arg(place("Caddyfile", text));
                command
            }
            Kind::EnvoyGrpc | Kind::EnvoyHttp => {
                let file = if kind == Kind::EnvoyGrpc { "envoy/grpc.yaml" } else { "envoy/http.yaml" };
                let mut command = envoy();
                command.arg(place("envoy.yaml", configured(file)));
                command
            }
            Kind::Haproxy => {
                let script =
                    place("token-gate.lua", std::fs::read_to_string(shipped.join("haproxy/token-gate.lua")).unwrap());
                let text =
                    configured("haproxy/haproxy.cfg").replace("/etc/haproxy/token-gate.lua", &script.to_string_lossy());
                let text = text.replace("bind :8080", &format!("bind {address}"));
                let mut command = Command::new("haproxy");
                command.arg("-db").arg("-f").arg(place("haproxy.cfg", text));
                command
            }
            Kind::Traefik => {
                let probe = format!(
                    "routers:\n    probe:\n      entryPoints: [clients]\n      rule: Path(`{PROBE}`)\n      service: service\n"
                );
                let rest = configured("traefik/token-gate.yaml").replacen("routers:\n", &probe, 1);
                let rest = place("token-gate.yaml", rest).display().to_string();
                let text = configured("traefik/traefik.yaml").replace("/etc/traefik/token-gate.yaml", &rest);
                let text = text.replace("\":8080\"", &format!("\"{address}\""));
                let mut command = Command::new(venv("traefik"));
                command.arg("--configFile").arg(place("traefik.yaml", text));
                command
            }
        };
        Self::spawned(&mut command, &format!("{kind:?}"), port, folder)
    }

    /// Envoy with this configuration, made for its address.
    pub(crate) fn envoy(configuration: impl FnOnce(SocketAddr) -> String) -> Self {
        let port = HeldPort::new().unwrap();
        let folder = folder(port.address());
        let file = folder.join("envoy.yaml");
        std::fs::write(&file, configuration(port.address())).unwrap();
        Self::spawned(envoy().arg(file), "Envoy", port, folder)
    }

    fn spawned(command: &mut Command, name: &str, port: HeldPort, folder: PathBuf) -> Self {
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let child = command
            .env("HOME", &folder)
            .env("XDG_CONFIG_HOME", &folder)
            .env("XDG_DATA_HOME", &folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("`cargo xtask test` installs the proxies, {name}: {error}"));
        let mut proxy = Self { child, address: port.address(), _port: port, folder };
        proxy.wait(name);
        if name == "Traefik" {
            proxy.wait_for_routes();
        }
        proxy
    }

    fn wait(&mut self, name: &str) {
        let start = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            let ended = self.child.try_wait().unwrap();
            if ended.is_some() || start.elapsed() > Duration::from_secs(120) {
                panic!("{name} does not listen: {}", self.log());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Traefik listens before it has read who goes where, and answers 404 until then.
    fn wait_for_routes(&self) {
        let start = Instant::now();
        let is_there = || {
            let mut stream = TcpStream::connect(self.address)?;
            write!(stream, "GET {PROBE} HTTP/1.1\r\nhost: api.example.com\r\nconnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok::<_, std::io::Error>(!answer.starts_with("HTTP/1.1 404"))
        };
        while !is_there().unwrap_or(false) {
            assert!(start.elapsed() < Duration::from_secs(120), "Traefik has no routes: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it wrote.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
