//! One peer against the floor in the same process: a JSON line per algorithm on standard output.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::{Alg, Case, Fixture, Floor, Rounds};

/// What a peer is asked to check, again and again. `true` when it accepted.
pub type Check = Box<dyn FnMut() -> bool>;

/// Times the check that `make` builds for a good token, where it builds one, and prints the results.
pub fn compare(peer: &str, mut make: impl FnMut(&Fixture, Alg, &str) -> Option<Check>) {
    let fixture = Fixture::new();
    for alg in Alg::ALL {
        let token = fixture.token(alg, 1);
        let Some(mut check) = make(&fixture, alg, &token) else { continue };
        assert!(check(), "{peer} accepts a good {} token", alg.name());
        let floor = Floor::of(&fixture, alg, &token);
        let table = Rounds::from_env().run(vec![Case::new("floor", || floor.verify()), Case::new("peer", check)]);
        println!(
            "{}",
            serde_json::json!({
                "peer": peer, "alg": alg.name(), "floor_ns": table.ns("floor"), "ns": table.ns("peer"),
                "ratio": table.ratio("peer", "floor"), "extra_ns": table.extra("peer", "floor"),
            })
        );
    }
}

/// The outcome of a future that is done when it is first asked, as every warm verification is.
pub fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a warm verification waited for something"),
    }
}

/// What the first words of the command line ask for.
pub enum Task {
    /// Time the verification in this process.
    Verify,
    /// Serve on loopback, with the peer's layer or without any.
    Serve { port: u16, layer: bool },
}

impl Task {
    /// `verify`, or `serve PORT none|layer`.
    pub fn from_args() -> Self {
        let words: Vec<String> = std::env::args().skip(1).collect();
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] | ["verify"] => Self::Verify,
            ["serve", port, layer] => {
                Self::Serve { port: port.parse().expect("PORT is a number"), layer: layer != "none" }
            }
            _ => panic!("usage: verify | serve PORT none|layer"),
        }
    }
}

/// Tells the driver the token that the server takes, and that it listens.
pub fn announce(token: &str) {
    println!("{token}");
}
