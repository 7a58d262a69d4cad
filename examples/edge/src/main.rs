//! A verifier for edge workers: keys and clock are handed in, nothing is fetched and no runtime is needed. Judges a table of tokens; its exit
//! code is the number of rows that went otherwise than expected.
//!
//! On `wasm32-unknown-unknown` nobody reads the clock of the system and nobody opens sockets: the host hands over the time of
//! the request and the JWK Set that it fetched.

#![allow(clippy::print_stdout, reason = "a program for a terminal; in a worker nothing is printed")]

use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, Waker};

use token_core::{Clock, Error, Issuer, Presented, ResourceServer, StaticKeys, Timestamp, Verified};

/// The time as the host said it last.
#[derive(Clone, Debug, Default)]
struct HostClock(Arc<AtomicI64>);

impl HostClock {
    /// Called with each request.
    fn set(&self, seconds: i64) {
        self.0.store(seconds, Ordering::Relaxed);
    }
}

impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.0.load(Ordering::Relaxed))
    }
}

/// With static keys there is nothing to wait for: the verdict is there at the first poll.
fn judge(api: &ResourceServer, token: &str) -> Option<Result<Verified, Error>> {
    let verdict = pin!(api.authenticate(Presented::token(token)));
    match verdict.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(verdict) => Some(verdict),
        Poll::Pending => None,
    }
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let clock = HostClock::default();
    let keys = StaticKeys::jwk_set(include_str!("keys.json"))?;
    let api = ResourceServer::builder("https://api.example.com")
        .clock(clock.clone())
        .trust(Issuer::with_keys("https://issuer.example", keys)?)
        .build()?;

    let rows: Vec<[String; 3]> = serde_json::from_str(include_str!("tokens.json"))?;
    let mut otherwise = 0;
    // Twice: the second time what was accepted is remembered.
    for [name, expected, token] in rows.iter().chain(&rows) {
        clock.set(1_800_000_000);
        let seen = match judge(&api, token) {
            Some(Ok(verified)) if verified.scopes().contains("read:users") => "accepted",
            Some(Ok(_)) => "accepted without its scope",
            Some(Err(error)) => error.kind().name(),
            None => "not at once",
        };
        if seen != expected {
            println!("{name}: {seen}, expected {expected}");
            otherwise += 1;
        }
    }
    println!("{} verdicts, {otherwise} other than expected", 2 * rows.len());
    Ok(ExitCode::from(otherwise))
}
