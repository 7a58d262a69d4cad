//! The key cache: one fetch however many wait, nobody stranded, a known key never waits, a withdrawn one is gone.

use shuttle::future::{block_on, spawn};
use shuttle::thread;
use sync_shuttle::search::{Limits, patience};
use token_core::{ErrorKind, Presented};

use crate::world::{End, Source, accepted_or_503, ask, end, holds, later, token};

const WHAT: &str = "key cache";

#[test]
fn a_cold_start_is_one_fetch_whoever_leaves() {
    holds(WHAT, "a_cold_start_is_one_fetch_whoever_leaves", Limits::Hold, || {
        let source = Source::new(&["a"], &[End::Good]);
        let server = source.server();
        let leaving: Vec<_> = (0..2)
            .map(|_| {
                let server = server.clone();
                spawn(async move {
                    patience(ask(&server, token("a"))).await.is_none_or(|outcome| accepted_or_503(outcome, "a"))
                })
            })
            .collect();
        let staying: Vec<_> = (0..2)
            .map(|_| {
                let server = server.clone();
                thread::spawn(move || accepted_or_503(block_on(ask(&server, token("a"))), "a"))
            })
            .collect();
        assert!(staying.into_iter().all(|caller| caller.join().unwrap()), "who stays is let in");
        assert!(leaving.into_iter().all(|caller| block_on(caller).unwrap()), "who leaves was not turned away before");
        assert_eq!(source.0.asked.times(), 1);
        end(server, &source.0);
    });
}

#[test]
fn fetches_that_fail_or_panic_strand_nobody_and_heal() {
    holds(WHAT, "fetches_that_fail_or_panic_strand_nobody_and_heal", Limits::RunOut, || {
        let source = Source::new(&["a"], &[End::Good, End::Down, End::Junk, End::Panics, End::Never]);
        let server = source.server();
        let callers: Vec<_> = (0..3)
            .map(|number| {
                let server = server.clone();
                spawn(async move {
                    if number == 0 {
                        patience(ask(&server, token("a"))).await.map(|outcome| accepted_or_503(outcome, "a"));
                    } else {
                        accepted_or_503(ask(&server, token("a")).await, "a");
                    }
                })
            })
            .collect();
        callers.into_iter().for_each(|caller| block_on(caller).unwrap());
        assert_eq!(source.0.asked.at_once(), 1);

        source.mend();
        let healed = (0..50).any(|_| {
            later();
            accepted_or_503(block_on(ask(&server, token("a"))), "a")
        });
        assert!(healed, "the issuer is well again: {:?}", server.health());
        // The clock has leapt past every limit of a fetch that has not met its own: so does one look whose runtime stands still, and it is taken over.
        assert!(source.0.asked.at_once() <= 2, "{}", source.0.asked.at_once());
        end(server, &source.0);
    });
}

#[test]
fn a_rotation_is_one_fetch_and_keeps_no_known_key_waiting() {
    holds(WHAT, "a_rotation_is_one_fetch_and_keeps_no_known_key_waiting", Limits::Hold, || {
        let source = Source::new(&["a"], &[End::Good]);
        let server = source.server();
        assert!(accepted_or_503(block_on(ask(&server, token("a"))), "a"));
        later();
        source.publish(&["a", "b"]);

        let new: Vec<_> = (0..3)
            .map(|number| {
                let server = server.clone();
                spawn(async move {
                    match number {
                        0 => {
                            patience(ask(&server, token("b"))).await.is_none_or(|outcome| accepted_or_503(outcome, "b"))
                        }
                        _ => accepted_or_503(ask(&server, token("b")).await, "b"),
                    }
                })
            })
            .collect();
        for _ in 0..3 {
            let at_once = server.authenticate(Presented::token(token("a"))).now().expect("a known key never waits");
            assert!(accepted_or_503(at_once, "a"));
            thread::yield_now();
        }
        assert!(new.into_iter().all(|caller| block_on(caller).unwrap()));
        assert_eq!(source.0.asked.times(), 2);
        end(server, &source.0);
    });
}

#[test]
fn a_withdrawn_key_is_gone_as_soon_as_a_set_without_it_has_landed() {
    holds(WHAT, "a_withdrawn_key_is_gone_as_soon_as_a_set_without_it_has_landed", Limits::Hold, || {
        let source = Source::new(&["a"], &[End::Good]);
        let server = source.server();
        assert!(accepted_or_503(block_on(ask(&server, token("a"))), "a"));
        later();
        source.publish(&["b"]);
        // Others go on using the old one, and putting it into the cache, until it is gone.
        let others = {
            let server = server.clone();
            spawn(async move {
                for _ in 0..3 {
                    if let Err(error) = ask(&server, token("a")).await {
                        assert_eq!(error.kind(), ErrorKind::UnknownKey);
                    }
                    shuttle::future::yield_now().await;
                }
            })
        };
        assert!(accepted_or_503(block_on(ask(&server, token("b"))), "b"));
        assert_eq!(block_on(ask(&server, token("a"))).unwrap_err().kind(), ErrorKind::UnknownKey);
        block_on(others).unwrap();
        assert_eq!(block_on(ask(&server, token("a"))).unwrap_err().kind(), ErrorKind::UnknownKey);
        end(server, &source.0);
    });
}

#[test]
fn nothing_is_left_behind_when_the_server_is_dropped() {
    holds(WHAT, "nothing_is_left_behind_when_the_server_is_dropped", Limits::RunOut, || {
        let source = Source::new(&["a"], &[End::Good, End::Down, End::Panics, End::Never]);
        let server = source.server();
        let caller = {
            let server = server.clone();
            spawn(async move { patience(ask(&server, token("a"))).await.map(|outcome| accepted_or_503(outcome, "a")) })
        };
        block_on(caller).unwrap();
        end(server, &source.0);
    });
}
