//! Everything that was measured: numbers by name, peers by name and algorithm. Filled from the JSON lines that the programs print.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{Plan, here};

#[derive(Default)]
pub struct Measured {
    numbers: BTreeMap<String, f64>,
    /// Peer, algorithm, and the fields of its line.
    pub peers: Vec<(String, String, BTreeMap<String, f64>)>,
    pub failures: Vec<String>,
}

impl Measured {
    pub fn set(&mut self, name: impl Into<String>, value: f64) {
        self.numbers.insert(name.into(), value);
    }

    /// A number by its name; `None` when it was not measured.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.numbers.get(name).copied()
    }

    /// What a peer needed for one algorithm: `ratio`, `extra_ns`, `ns`.
    pub fn peer(&self, name: &str, alg: &str, field: &str) -> Option<f64> {
        self.peers.iter().find(|(peer, of, _)| peer == name && of == alg)?.2.get(field).copied()
    }

    pub fn run(&mut self, program: PathBuf, words: &[&str], plan: &Plan) {
        self.read(Command::new(program).args(words), plan);
    }

    pub fn node(&mut self, plan: &Plan) {
        let folder = here().join("node");
        let installed = folder.join("node_modules").is_dir()
            || Command::new("npm")
                .args(["ci", "--silent"])
                .current_dir(&folder)
                .status()
                .is_ok_and(|status| status.success());
        if installed {
            self.read(Command::new("node").arg("bench.mjs").current_dir(folder), plan);
        } else {
            self.failures.push("Node's packages could not be installed".to_owned());
        }
    }

    fn read(&mut self, command: &mut Command, plan: &Plan) {
        let name = command.get_program().to_string_lossy().rsplit('/').next().unwrap_or_default().to_owned();
        eprintln!("==> {name}");
        let output = command.env("ROUNDS", plan.rounds.to_string()).stdout(Stdio::piped()).output();
        let Ok(output) = output else {
            self.failures.push(format!("{name} could not be started"));
            return;
        };
        if !output.status.success() {
            self.failures.push(format!("{name} ended with {}", output.status));
        }
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            if let Ok(Value::Object(line)) = serde_json::from_str(line) {
                self.line(&line);
            }
        }
    }

    fn line(&mut self, line: &serde_json::Map<String, Value>) {
        let text = |name: &str| line.get(name).and_then(Value::as_str).map(str::to_owned);
        if let (Some(metric), Some(value)) = (text("metric"), line.get("value").and_then(Value::as_f64)) {
            self.set(metric, value);
        } else if let (Some(peer), Some(alg)) = (text("peer"), text("alg")) {
            let fields = line.iter().filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect();
            self.peers.push((peer, alg, fields));
        }
    }
}

/// The middle of some values; of none, not a number.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
