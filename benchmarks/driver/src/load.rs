//! What requests with a known key feel while somebody floods with made-up keys, the issuer rotates, or falls silent: their 99th percentile.
//!
//! In peace the side traffic is as much, only with a token that is known, so that what differs is the trouble and not the work.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::measured::{Measured, median};
use crate::web::Server;
use crate::{Plan, build};

/// Requests per second beside those of wrk.
const ASIDE: u64 = 500;

const TROUBLES: [&str; 3] = ["kid flood", "rotation", "dead issuer"];

pub fn under_stress(plan: &Plan, measured: &mut Measured) {
    let mut p99: [Vec<f64>; 4] = Default::default();
    let mut ratios: [Vec<f64>; 3] = Default::default();
    for round in 0..plan.web_rounds {
        // A server of its own each: trouble leaves traces, and they should not be found in peace.
        let mut this = [f64::NAN; 4];
        for turn in 0..4 {
            let which = (round + turn) % 4;
            eprintln!("==> wrk, round {round}: {}", if which == 0 { "peace" } else { TROUBLES[which - 1] });
            let port = 18_200 + u16::try_from(round * 4 + which).unwrap_or(0);
            match once(which, port, plan.web_seconds + 1) {
                Some(load) => this[which] = load,
                None => measured.failures.push("under stress: an answer was not 200".to_owned()),
            }
        }
        for which in 0..4 {
            p99[which].push(this[which]);
            if which > 0 {
                ratios[which - 1].push(this[which] / this[0]);
            }
        }
    }
    measured.set("stress.peace.p99_us", median(p99[0].clone()));
    for (which, trouble) in TROUBLES.iter().enumerate() {
        measured.set(format!("stress.{trouble}.p99_us"), median(p99[which + 1].clone()));
        measured.set(format!("stress.{trouble}.over_peace"), median(ratios[which].clone()));
    }
}

/// The 99th percentile of one drive in peace (0) or trouble.
fn once(which: usize, port: u16, seconds: u32) -> Option<f64> {
    let mut server = Server::start(build::program("web"), port, &["axum", "issuer"])?;
    let mut orders = server.process.stdin.take()?;
    let mut order = |text: &str| writeln!(orders, "{text}").is_ok();
    if which == 3 {
        order("silent");
        // Until the keys are past their fresh time and a refresh hangs.
        std::thread::sleep(Duration::from_millis(1200));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let aside = {
        let (stop, token) = (Arc::clone(&stop), server.token.clone());
        std::thread::spawn(move || side_traffic(port, &token, which == 1, &stop))
    };
    let load = if which == 2 {
        std::thread::scope(|scope| {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    order("rotate");
                    std::thread::sleep(Duration::from_millis(500));
                }
            });
            let load = server.drive(seconds);
            stop.store(true, Ordering::Relaxed);
            load
        })
    } else {
        server.drive(seconds)
    };
    stop.store(true, Ordering::Relaxed);
    let answered = aside.join().ok()?;
    (answered > 0).then_some(load?.p99_us)
}

/// Requests at a steady pace over one connection, each with a `kid` of its own when they are to flood. Gives how many were answered.
fn side_traffic(port: u16, token: &str, flood: bool, stop: &AtomicBool) -> usize {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return 0 };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    let rest = token.split_once('.').map_or("", |(_, rest)| rest);
    let mut answered = 0;
    while !stop.load(Ordering::Relaxed) {
        let token = if flood { format!("{}.{rest}", made_up(answered)) } else { token.to_owned() };
        let request = format!("GET / HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
        if stream.write_all(request.as_bytes()).is_err() || !matches!(stream.read(&mut [0; 4096]), Ok(1..)) {
            break;
        }
        answered += 1;
        std::thread::sleep(Duration::from_micros(1_000_000 / ASIDE));
    }
    answered
}

/// The base64url of a header whose `kid` nobody has.
fn made_up(number: usize) -> String {
    let header = format!(r#"{{"alg":"RS256","typ":"at+jwt","kid":"made-up-{number:08}"}}"#);
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in header.as_bytes().chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for at in 0..=group.len() {
            text.push(char::from(alphabet[(bits >> (18 - 6 * at)) as usize & 63]));
        }
    }
    text
}
