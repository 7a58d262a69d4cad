//! A program and its configuration in, the program on core 0 while a value lives out.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A program that runs on core 0.
pub struct Running {
    child: Child,
    folder: PathBuf,
}

impl Running {
    /// Starts it and waits until somebody listens at `port`.
    pub fn start(program: &Path, words: &[String], folder: PathBuf, port: u16) -> Self {
        let log = File::create(folder.join("log")).expect("a log can be written");
        let child = Command::new("taskset")
            .args(["-c", "0"])
            .arg(program)
            .args(words)
            .env("HOME", &folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log has two writers"))
            .stderr(log)
            .spawn()
            .expect("taskset is there");
        let mut running = Self { child, folder };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = running.child.try_wait().expect("a child can be asked").is_some();
            let late = start.elapsed() > Duration::from_secs(30);
            assert!(!ended && !late, "{}: {}", program.display(), running.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Nanoseconds of processor time that all its threads have had.
    pub fn cpu_ns(&self) -> f64 {
        bench_wrk::cpu_ns(self.child.id())
    }

    /// A figure of `/proc/PID/status` in KiB: `VmRSS`, `VmHWM`.
    pub fn kib(&self, name: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A port that is free now, and a folder named after it.
pub fn place() -> (u16, PathBuf) {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port();
    let folder = std::env::temp_dir().join(format!("bench-gate-{}-{port}", std::process::id()));
    std::fs::create_dir_all(folder.join("tmp")).expect("a folder can be made");
    (port, folder)
}
