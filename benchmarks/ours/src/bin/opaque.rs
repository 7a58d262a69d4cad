//! The first question about an opaque token (RFC 7662): the toolkit's against one written by hand with reqwest and moka, and against the bare exchange.
//!
//! `bench-ours/opaque` asks an endpoint in a process of its own (`bench-ours/opaque serve CLAIMS`), over loopback and on one thread. All three
//! wait for the same network; what is over the bare exchange is each one's own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bench_ours::{Asking, report};
use harness::rounds::median;
use harness::{AUDIENCE, Fixture, ISSUER, Rounds};
use moka::sync::Cache;
use serde::Deserialize;
use token_core::opaque::OpaqueTokens;
use token_core::opaque::client_authentication::ClientAuthentication;
use token_core::{Issuer, Presented, ResourceServer};
use tokio::runtime::Runtime;

const CLIENT: &str = "orders-api";
const SECRET: &str = "a-secret-of-the-benchmarks";

fn main() {
    let mut words = std::env::args().skip(1);
    match (words.next().as_deref(), words.next()) {
        (Some("serve"), Some(claims)) => serve(&claims),
        _ => measure(),
    }
}

fn measure() {
    // On a core of its own, and the endpoint on another: what it takes to wake each other is the same for all.
    let this = std::process::id().to_string();
    let pinned = Command::new("taskset").args(["-cp", "0", &this]).stdout(Stdio::null()).status();
    assert!(pinned.is_ok_and(|status| status.success()), "taskset is there");
    let endpoint = Endpoint::start(&Fixture::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (mut bare, mut by_hand, mut ours) =
        (Bare::to(endpoint.port), ByHand::new(endpoint.port), Ours::new(endpoint.port));
    let cases: [(&str, &mut dyn FnMut() -> bool); 3] = [
        ("bare", &mut || bare.ask()),
        ("by_hand", &mut || by_hand.ask(&runtime)),
        ("ours", &mut || ours.ask(&runtime)),
    ];
    let mut times = [const { Vec::new() }; 3];
    for round in 0..Rounds::from_env().rounds {
        for turn in 0..3 {
            let at = (round + turn) % 3;
            times[at].push(microseconds(cases[at].1));
        }
    }
    for ((case, _), times) in cases.iter().zip(&times) {
        report(&format!("opaque.first.{case}.us"), median(times.clone()));
    }
    let [bare, by_hand, ours] = &times;
    let with_network = ours.iter().zip(by_hand).map(|(ours, by_hand)| ours / by_hand);
    report("opaque.first.over_by_hand_with_network", median(with_network.collect()));
    let own = |times: &[f64]| median(times.iter().zip(bare).map(|(time, bare)| time - bare).collect());
    report("opaque.first.over_by_hand", own(ours) / own(by_hand));
}

/// Processor time of one question, over some of them: nobody's wait for the network or for a core counts.
fn microseconds(ask: &mut dyn FnMut() -> bool) -> f64 {
    const AT_ONCE: u32 = 64;
    let before = spent();
    for _ in 0..AT_ONCE {
        assert!(ask(), "the token is good");
    }
    (spent() - before) / 1000.0 / f64::from(AT_ONCE)
}

/// Nanoseconds of processor time that this thread has had, as Linux counts them; all three do their work on it.
fn spent() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts it");
    text.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("a number")
}

/// A token that nobody has seen.
fn token(count: &mut u64) -> String {
    *count += 1;
    format!("opaque-{count:026}")
}

/// What nobody can do without: the bytes of a request there, those of an answer back, on a connection that stays.
struct Bare {
    stream: TcpStream,
    count: u64,
}

impl Bare {
    fn to(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the endpoint listens");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, count: 0 }
    }

    fn ask(&mut self) -> bool {
        let body = format!("token={}&token_type_hint=access_token", token(&mut self.count));
        let head = "POST /introspect HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Basic b3JkZXJzLWFwaTphLXNlY3JldA==\r\naccept: application/json";
        let request = format!(
            "{head}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).expect("the endpoint reads");
        let mut answer = [0; 4096];
        let read = self.stream.read(&mut answer).expect("the endpoint answers");
        answer[..read].starts_with(b"HTTP/1.1 200")
    }
}

/// With care, and nothing more: the answer read into a type, its times and audience looked at, remembered until it ends.
struct ByHand {
    client: reqwest::Client,
    url: String,
    remembered: Cache<String, Answer>,
    count: u64,
}

#[derive(Clone, Deserialize)]
#[allow(dead_code)]
struct Answer {
    active: bool,
    sub: String,
    iss: String,
    aud: Vec<String>,
    exp: u64,
    scope: String,
}

impl ByHand {
    fn new(port: u16) -> Self {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().expect("a client");
        let url = format!("http://127.0.0.1:{port}/introspect");
        let remembered = Cache::builder().max_capacity(10_000).time_to_live(Duration::from_secs(60)).build();
        Self { client, url, remembered, count: 0 }
    }

    // By its name a profile finds it: `valgrind --tool=callgrind --toggle-collect='*ByHand*ask*'`.
    #[inline(never)]
    fn ask(&mut self, runtime: &Runtime) -> bool {
        runtime.block_on(self.look_or_ask())
    }

    async fn look_or_ask(&mut self) -> bool {
        let token = token(&mut self.count);
        if let Some(answer) = self.remembered.get(&token) {
            return answer.active;
        }
        let request = self.client.post(&self.url).basic_auth(CLIENT, Some(SECRET));
        let body = format!("token={token}&token_type_hint=access_token");
        let request =
            request.header("content-type", "application/x-www-form-urlencoded").header("accept", "application/json");
        let answer = request.body(body).send().await.expect("the endpoint answers").error_for_status().expect("200");
        let answer: Answer = serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("an answer");
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is past 1970").as_secs();
        let good = answer.active
            && answer.exp > now
            && answer.iss == ISSUER
            && answer.aud.iter().any(|audience| audience == AUDIENCE);
        self.remembered.insert(token, answer);
        good
    }
}

struct Ours {
    server: ResourceServer,
    count: u64,
}

impl Ours {
    fn new(port: u16) -> Self {
        let secret = ClientAuthentication::Basic(SECRET.into());
        let url = format!("http://127.0.0.1:{port}/introspect");
        let tokens = OpaqueTokens::introspection(url, CLIENT, secret).expect("a URL");
        let issuer = Issuer::without_keys(ISSUER, tokens).expect("a name").allow_loopback_http();
        let server = ResourceServer::builder(AUDIENCE).trust(issuer).build().expect("the settings are sound");
        Self { server, count: 0 }
    }

    #[inline(never)]
    fn ask(&mut self, runtime: &Runtime) -> bool {
        let request = Asking::with(&token(&mut self.count));
        runtime.block_on(self.server.authenticate(Presented::request(&request))).is_ok()
    }
}

/// The endpoint, in a process of its own.
struct Endpoint {
    process: Child,
    port: u16,
}

impl Endpoint {
    fn start(fixture: &Fixture) -> Self {
        let claims = fixture.claims(1).replacen('{', r#"{"active":true,"#, 1);
        let this = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new("taskset");
        command.args(["-c", "1"]).arg(this).args(["serve", &claims]).stdout(Stdio::piped());
        let mut process = command.spawn().expect("it starts again");
        let mut port = String::new();
        let output = process.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut port).expect("it says its port");
        Self { process, port: port.trim().parse().expect("a number") }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Answers every request at once and the same, a thread for each connection.
fn serve(claims: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    println!("{}", listener.local_addr().expect("a bound listener has an address").port());
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
    let answer = format!("{head} {}\r\n\r\n{claims}", claims.len());
    for stream in listener.incoming().flatten() {
        let answer = answer.clone();
        std::thread::spawn(move || converse(stream, answer.as_bytes()));
    }
}

fn converse(mut stream: TcpStream, answer: &[u8]) {
    let _ = stream.set_nodelay(true);
    let (mut held, mut some) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut some) {
        held.extend_from_slice(&some[..read]);
        // A question ends with the token's digits and the hint, in that order; head and body may come apart.
        while let Some(at) = held.windows(HINT.len()).position(|window| window == HINT) {
            held.drain(..at + HINT.len());
            if stream.write_all(answer).is_err() {
                return;
            }
        }
    }
}

const HINT: &[u8] = b"token_type_hint=access_token";
