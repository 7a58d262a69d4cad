//! "hello" behind a real server: no layer, ours, each peer's; driven by wrk on loopback, in interleaved rounds.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use bench_wrk::Load;

use crate::measured::{Measured, median};
use crate::{Plan, build};

/// A server process on a core of its own.
pub struct Server {
    pub port: u16,
    pub token: String,
    pub process: Child,
}

impl Server {
    /// Starts it and waits until it says which token it takes.
    pub fn start(program: PathBuf, port: u16, words: &[&str]) -> Option<Self> {
        let mut process = Command::new("taskset")
            .args(["-c", "0"])
            .arg(program)
            .args(["serve", &port.to_string()])
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut token = String::new();
        BufReader::new(process.stdout.take()?).read_line(&mut token).ok()?;
        std::thread::sleep(std::time::Duration::from_millis(200));
        Some(Self { port, token: token.trim().to_owned(), process })
    }

    /// `None` when an answer was not 200.
    pub fn drive(&self, seconds: u32) -> Option<Load> {
        let url = format!("http://127.0.0.1:{}/", self.port);
        bench_wrk::drive(&url, &self.token, seconds, || bench_wrk::cpu_ns(self.process.id())).ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Program, words after the port, name in the report, name of the one it is compared with.
fn servers(plan: &Plan) -> Vec<(String, Vec<&'static str>, String, String)> {
    let mut all = Vec::new();
    for framework in ["axum 0.8", "actix-web 4"] {
        let word = if framework.starts_with("axum") { "axum" } else { "actix" };
        let bare = format!("{framework}, no layer");
        let modes = [
            ("none", "no layer"),
            ("none", "no layer, once more"),
            ("empty", "a layer that does nothing"),
            ("warm", "ours, warm"),
            ("cold", "ours, cold"),
        ];
        for (mode, name) in modes.into_iter().filter(|(mode, _)| word == "axum" || *mode != "empty") {
            all.push(("web".to_owned(), vec![word, mode], format!("{framework}, {name}"), bare.clone()));
        }
    }
    for peer in build::PEERS.iter().filter(|_| plan.peers) {
        let Some(framework) = peer.layer else { continue };
        let bare = format!("{framework}, no layer");
        if !all.iter().any(|(_, _, name, _)| *name == bare) {
            all.push((peer.program(), vec!["none"], bare.clone(), bare.clone()));
        }
        all.push((peer.program(), vec!["layer"], format!("{framework}, {}", peer.name), bare));
    }
    all
}

pub fn throughput(plan: &Plan, measured: &mut Measured) {
    let mut running = Vec::new();
    for (at, (program, words, name, bare)) in servers(plan).into_iter().enumerate() {
        let port = 18_100 + u16::try_from(at).unwrap_or(0);
        match Server::start(build::program(&program), port, &words) {
            Some(server) if !server.token.is_empty() => running.push((server, name, bare, Vec::new())),
            _ => measured.failures.push(format!("{name}: the server did not start")),
        }
    }
    let count = running.len();
    for round in 0..plan.web_rounds {
        for turn in 0..count {
            let (server, name, _, loads) = &mut running[(round + turn) % count];
            eprintln!("==> wrk, round {round}: {name}");
            loads.push(server.drive(plan.web_seconds));
        }
    }
    for (_, name, bare, loads) in &running {
        let Some((_, _, _, base)) = running.iter().find(|(_, other, ..)| other == bare) else { continue };
        let pairs: Vec<(Load, Load)> =
            loads.iter().zip(base).filter_map(|(load, base)| Some(((*load)?, (*base)?))).collect();
        if pairs.len() < loads.len() {
            measured.failures.push(format!("{name}: an answer was not 200"));
            continue;
        }
        let over =
            |value: &dyn Fn(&Load, &Load) -> f64| median(pairs.iter().map(|(load, base)| value(load, base)).collect());
        measured.set(format!("web.{name}.ratio"), over(&|load, base| load.per_second / base.per_second));
        measured.set(format!("web.{name}.per_second"), over(&|load, _| load.per_second));
        measured.set(format!("web.{name}.cpu_us"), over(&|load, _| load.cpu_us));
        measured.set(format!("web.{name}.extra_cpu_us"), over(&|load, base| load.cpu_us - base.cpu_us));
        measured.set(format!("web.{name}.p99_us"), over(&|load, _| load.p99_us));
    }
}

/// The names of all servers that were driven, in the order of the report.
pub fn names(plan: &Plan) -> Vec<String> {
    servers(plan).into_iter().map(|(_, _, name, _)| name).collect()
}
