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

/// What is driven: a program, the words after its port, and what it is compared with.
struct Mode {
    program: String,
    words: Vec<&'static str>,
    name: String,
    bare: String,
    /// How many processes of it run: where one of them lies in memory is worth some percent.
    processes: usize,
}

fn modes(plan: &Plan) -> Vec<Mode> {
    let mut all = Vec::new();
    for (framework, word) in [("axum 0.8", "axum"), ("actix-web 4", "actix")] {
        for (mode, name) in [
            ("none", "no layer"),
            ("none", "no layer, once more"),
            ("empty", EMPTY),
            ("warm", "ours, warm"),
            ("cold", "ours, cold"),
        ] {
            let (name, bare) = (format!("{framework}, {name}"), format!("{framework}, no layer"));
            all.push(Mode { program: "web".to_owned(), words: vec![word, mode], name, bare, processes: 2 });
        }
    }
    for peer in build::PEERS.iter().filter(|_| plan.peers) {
        let Some(framework) = peer.layer else { continue };
        let bare = format!("{framework}, no layer");
        let mode = |word, name: String| {
            let (program, bare) = (peer.program(), bare.clone());
            Mode { program, words: vec![word], name, bare, processes: 1 }
        };
        if !all.iter().any(|mode| mode.name == bare) {
            all.push(mode("none", bare.clone()));
        }
        all.push(mode("layer", format!("{framework}, {}", peer.name)));
    }
    all
}

const EMPTY: &str = "a layer that does nothing";

/// A process of a mode, and what each round has shown of it.
struct Driven {
    server: Server,
    mode: usize,
    loads: Vec<Option<Load>>,
}

pub fn throughput(plan: &Plan, measured: &mut Measured) {
    let modes = modes(plan);
    let mut running = Vec::new();
    for (at, mode) in modes.iter().enumerate() {
        for _ in 0..mode.processes {
            let port = 18_100 + u16::try_from(running.len()).unwrap_or(0);
            match Server::start(build::program(&mode.program), port, &mode.words) {
                Some(server) if !server.token.is_empty() => {
                    running.push(Driven { server, mode: at, loads: Vec::new() })
                }
                _ => measured.failures.push(format!("{}: the server did not start", mode.name)),
            }
        }
    }
    let count = running.len();
    for round in 0..plan.web_rounds {
        for turn in 0..count {
            let driven = &mut running[(round + turn) % count];
            eprintln!("==> wrk, round {round}: {}", modes[driven.mode].name);
            driven.loads.push(driven.server.drive(plan.web_seconds));
        }
    }
    let loads_of = |name: &str| -> Vec<&[Option<Load>]> {
        running.iter().filter(|one| modes[one.mode].name == name).map(|one| &*one.loads).collect()
    };
    for Mode { name, bare, .. } in &modes {
        let loads = loads_of(name);
        if loads.iter().any(|loads| loads.iter().any(Option::is_none)) {
            measured.failures.push(format!("{name}: an answer was not 200"));
            continue;
        }
        let beside = |other: &str| pairs(&loads, &loads_of(other));
        let base = beside(bare);
        if base.is_empty() {
            continue;
        }
        let over = |pairs: &[(Load, Load)], value: &dyn Fn(&Load, &Load) -> f64| {
            median(pairs.iter().map(|(load, base)| value(load, base)).collect())
        };
        measured.set(format!("web.{name}.ratio"), over(&base, &|load, base| load.per_second / base.per_second));
        measured.set(format!("web.{name}.per_second"), over(&base, &|load, _| load.per_second));
        measured.set(format!("web.{name}.cpu_us"), over(&base, &|load, _| load.cpu_us));
        measured.set(format!("web.{name}.extra_cpu_us"), over(&base, &|load, base| load.cpu_us - base.cpu_us));
        measured.set(format!("web.{name}.p99_us"), over(&base, &|load, _| load.p99_us));
        let empty = beside(&bare.replace("no layer", EMPTY));
        if !empty.is_empty() {
            measured
                .set(format!("web.{name}.beyond_empty_us"), over(&empty, &|load, empty| load.cpu_us - empty.cpu_us));
        }
    }
}

/// The rounds of two modes side by side: each process of the one with one of the other, round by round.
fn pairs(loads: &[&[Option<Load>]], others: &[&[Option<Load>]]) -> Vec<(Load, Load)> {
    let others = others.iter().cycle();
    loads
        .iter()
        .zip(others)
        .flat_map(|(loads, others)| loads.iter().zip(*others))
        .filter_map(|(load, other)| Some(((*load)?, (*other)?)))
        .collect()
}

/// The names of all that were driven, in the order of the report.
pub fn names(plan: &Plan) -> Vec<String> {
    modes(plan).into_iter().map(|mode| mode.name).collect()
}
