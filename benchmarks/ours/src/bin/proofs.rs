//! Proofs of possession: a remembered token with a fresh proof each time, against the bare signature of such a proof, on one thread and on two.
//!
//! `bench-ours/proofs`. Proofs are made before anything is timed; each is used once.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use bench_ours::{Asking, Proving, ask, keys, report};
use harness::proof::{Prover, enough};
use harness::rounds::{median, waited_for_a_core};
use harness::{AUDIENCE, Alg, Case, Fixture, ISSUER, Rounds};
use token_core::possession::Dpop;
use token_core::stores::{FirstTime, MemoryReplays, ReplayMemory};
use token_core::{Clock, Issuer, Presented, ResourceServer, SystemClock};

/// Room for every proof of a run, of one key.
const ROOM: usize = 10_000_000;
/// Proofs of each thread in each round.
const TOGETHER: usize = 200;

fn main() {
    let (fixture, prover) = (Fixture::new(), Prover::new());
    one_thread(&fixture, &prover);
    two_threads(&fixture);
}

fn dpop() -> Dpop {
    Dpop::at("https://api.example.com").expect("a URL").max_proofs(ROOM).max_proofs_per_key(ROOM)
}

fn server(fixture: &Fixture, dpop: Option<Dpop>) -> ResourceServer {
    let issuer = Issuer::with_keys(ISSUER, keys(fixture, Alg::ES256)).expect("the issuer has a name");
    let builder = ResourceServer::builder(AUDIENCE).trust(issuer);
    let builder = match dpop {
        Some(dpop) => builder.dpop(dpop),
        None => builder,
    };
    builder.build().expect("the settings are sound")
}

/// One request after the other, each with the next proof.
fn fresh<'a>(server: &'a ResourceServer, token: &str, proofs: Vec<String>) -> impl FnMut() -> bool + 'a {
    let mut proofs = proofs.into_iter();
    let mut request = Proving::with(token, String::new());
    move || {
        request.proof = proofs.next().expect("enough proofs were made");
        ask(server, &request).is_ok()
    }
}

fn one_thread(fixture: &Fixture, prover: &Prover) {
    let token = prover.token(fixture, Alg::ES256, 1);
    let proofs = prover.proofs(&token, enough(), "");
    let floor = prover.floor(&proofs);
    let plain = server(fixture, Some(dpop()));

    let asking = server(fixture, Some(dpop().require_nonces()));
    let refused = Proving::with(&token, prover.proofs(&token, 1, "").remove(0));
    let refused = asking.authenticate(Presented::request(&refused)).now().expect("at once").expect_err("no nonce");
    let answer = refused.answer();
    let nonce = answer.fields().find(|(name, _)| name.eq_ignore_ascii_case("dpop-nonce")).expect("a nonce").1;
    let with_nonce = prover.proofs(&token, enough(), &format!(r#","nonce":"{nonce}""#));

    let (memory, now) = (MemoryReplays::with_capacity(ROOM).per_sender(ROOM), SystemClock.now());
    let mut count = 0_u64;
    let remember = move || {
        count += 1;
        let mut proof = [7; 32];
        // Digests are as good as random.
        proof[..8].copy_from_slice(&count.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
        let until = now.saturating_add(Duration::from_secs(71));
        matches!(memory.first_proof([1; 32], proof, until, now), FirstTime::Known(Ok(true)))
    };

    let bearer = Asking::with(&fixture.token(Alg::ES256, 2));
    let without = server(fixture, None);
    assert!(ask(&without, &bearer).is_ok() && ask(&plain, &bearer).is_ok());
    let table = Rounds::from_env().run(vec![
        Case::new("floor", floor),
        Case::new("proof", fresh(&plain, &token, proofs)),
        Case::new("nonce", fresh(&asking, &token, with_nonce)),
        Case::new("remember", remember),
        Case::new("bearer", || ask(&plain, &bearer).is_ok()),
        Case::new("without", || ask(&without, &bearer).is_ok()),
    ]);
    report("proof.floor_ns", table.ns("floor"));
    for name in ["proof", "nonce"] {
        report(&format!("{name}.over_floor"), table.ratio(name, "floor"));
        report(&format!("{name}.extra_ns"), table.extra(name, "floor"));
    }
    report("proof.remember_ns", table.ns("remember"));
    report("proof.bearer_over_without", table.ratio("bearer", "without"));
}

/// How much more two threads do than one: with proofs of one key, of two, and with the bare signature.
fn two_threads(fixture: &Fixture) {
    let server = server(fixture, Some(dpop()));
    let provers = [Prover::new(), Prover::new()];
    let tokens: Vec<_> = provers.iter().map(|prover| prover.token(fixture, Alg::ES256, 1)).collect();
    let bare = provers[0].proofs(&tokens[0], TOGETHER, "");
    let rounds = (Rounds::from_env().rounds / 5).max(3);
    let mut ratios: [Vec<f64>; 3] = Default::default();
    for _ in 0..rounds {
        let one = |which: usize| {
            let proofs = provers[which].proofs(&tokens[which], TOGETHER, "");
            fresh(&server, &tokens[which], proofs)
        };
        let alone = together(vec![one(0)]);
        let each = [together(vec![one(0), one(0)]), together(vec![one(0), one(1)])];
        let bare = |threads| together((0..threads).map(|_| provers[0].floor(&bare)).collect());
        ratios[0].push(2.0 * alone / each[0]);
        ratios[1].push(2.0 * alone / each[1]);
        ratios[2].push(2.0 * bare(1) / bare(2));
    }
    for (name, values) in ["one_key", "two_keys", "bare"].into_iter().zip(ratios) {
        report(&format!("proof.threads.{name}"), median(values));
    }
}

/// Seconds until the slowest thread has done its share, from a common start, without what it waited for a core that others were using: locks
/// that are waited for count, neighbours on the machine do not.
fn together<F: FnMut() -> bool + Send>(work: Vec<F>) -> f64 {
    let start = Barrier::new(work.len());
    std::thread::scope(|scope| {
        let threads: Vec<_> = work
            .into_iter()
            .map(|mut one| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    let (begun, waited) = (Instant::now(), waited_for_a_core());
                    assert!((0..TOGETHER).all(|_| one()), "every proof is good");
                    begun.elapsed().saturating_sub(waited_for_a_core().saturating_sub(waited)).as_secs_f64()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).fold(0.0, f64::max)
    })
}
