//! `token check` as a stream: answers come while the input is still open, a bad line ends it, and no length of input needs more memory.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use support::{Desk, NOW};

/// A run whose input is open.
struct Stream {
    child: Child,
    input: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Stream {
    fn open(desk: &Desk) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_token"))
            .args(["check", "--policy", "api.toml", "--keys", "keys.json", "--at", NOW])
            .current_dir(&desk.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, input, answers: BufReader::new(output) }
    }

    fn send(&mut self, line: &Value) {
        self.input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// The most memory it has had so far, in KiB.
    #[cfg(target_os = "linux")]
    fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

#[tokio::test]
async fn each_line_is_answered_while_more_may_come() {
    let desk = Desk::new("open").await;
    let mut stream = Stream::open(&desk);
    for id in 0..3 {
        stream.send(&json!({"id": id, "token": desk.good().mint()}));
        let answer = stream.answer();
        assert_eq!((&answer["id"], &answer["verdict"]), (&json!(id), &json!("accept")));
    }
    drop(stream.input);
    assert!(stream.child.wait().unwrap().success());
}

#[tokio::test]
async fn a_bad_line_ends_the_run_although_the_input_is_open() {
    let desk = Desk::new("ended").await;
    let mut stream = Stream::open(&desk);
    stream.send(&json!({"id": 1, "token": "a.b.c"}));
    assert_eq!(stream.answer()["id"], 1);
    stream.send(&json!({"id": 2}));
    assert_eq!(stream.child.wait().unwrap().code(), Some(2));
    let said = std::io::read_to_string(stream.child.stderr.take().unwrap()).unwrap();
    assert_eq!(said, "token: line 2: neither token nor headers; nothing after it was checked\n");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn twenty_times_the_lines_need_no_more_memory() {
    const LINES: u64 = 1000;
    let desk = Desk::new("memory").await;
    let mut stream = Stream::open(&desk);
    // 4 KiB a line, 80 MiB in all: whoever keeps them is seen.
    let line = json!({"token": format!("a.b.{}", "c".repeat(4000)), "expect": "malformed"}).to_string() + "\n";
    let feed = |stream: &mut Stream, lines: u64| {
        let mut input = &stream.input;
        std::thread::scope(|scope| {
            scope.spawn(|| (0..lines).for_each(|_| input.write_all(line.as_bytes()).unwrap()));
            let answered = stream.answers.by_ref().lines().take(usize::try_from(lines).unwrap());
            assert!(answered.map(Result::unwrap).all(|line| line.contains("\"ok\":true")));
        });
        stream.peak()
    };
    let first = feed(&mut stream, LINES);
    let last = feed(&mut stream, 20 * LINES);
    assert!(last < first + 24 * 1024, "{first} KiB after {LINES} lines, {last} KiB after twenty times as many");
    drop(stream.input);
    assert!(stream.child.wait().unwrap().success());
}
