//! Tokens that an endpoint vouches for: one question however many ask, nobody stranded, and an eviction that holds from then on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use shuttle::future::{block_on, spawn};
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;
use sync_shuttle::panic_on_purpose;
use sync_shuttle::search::{Limits, patience};
use token_core::http::{BoxFuture, HttpError};
use token_core::{
    Audience, ErrorKind, Issuer, ResourceServer, Timestamp,
    opaque::{OpaqueAnswer, OpaqueError, OpaqueTokens, OpaqueVerifier},
    revocation::Evict,
};

use crate::world::{AUDIENCE, Asked, End, ISSUER, Passing, accepted_or_503, ask, end, holds, later, steps};

const WHAT: &str = "introspection";
const TOKEN: &str = "an-opaque-token";

#[derive(Clone, Debug)]
struct Endpoint(Arc<Books>);

#[derive(Debug)]
struct Books {
    ends: Vec<End>,
    active: AtomicBool,
    well: AtomicBool,
    asked: Asked,
}

impl Endpoint {
    fn new(ends: &[End]) -> Self {
        Self(Arc::new(Books {
            ends: ends.to_vec(),
            active: AtomicBool::new(true),
            well: AtomicBool::new(false),
            asked: Asked::default(),
        }))
    }

    fn server(&self) -> ResourceServer {
        let tokens = OpaqueTokens::verifier(self.clone()).audience(Audience::dangerously_unchecked());
        ResourceServer::builder(AUDIENCE)
            .trust(Issuer::without_keys(ISSUER, tokens).unwrap())
            .clock(Passing)
            .build()
            .unwrap()
    }
}

impl OpaqueVerifier for Endpoint {
    fn identity(&self) -> &str {
        "endpoint"
    }

    fn ask<'a>(&'a self, _: &'a str, _: Timestamp) -> BoxFuture<'a, Result<OpaqueAnswer, OpaqueError>> {
        Box::pin(async {
            let _asking = self.0.asked.begin();
            let end = match self.0.well.load(Ordering::SeqCst) {
                true => End::Good,
                false => self.0.ends[thread_rng().gen_range(0..self.0.ends.len())],
            };
            steps(0..3).await;
            let active = self.0.active.load(Ordering::SeqCst);
            steps(0..3).await;
            match end {
                End::Good if active => Ok(OpaqueAnswer::Claims(json!({"active": true, "sub": "ada"}).to_string())),
                End::Good => Ok(OpaqueAnswer::Inactive),
                End::Junk => Err(OpaqueError::Unusable("junk")),
                End::Down => Err(OpaqueError::Http(HttpError::Connect("refused".to_owned()))),
                End::Panics => panic_on_purpose(),
                End::Never => std::future::pending().await,
            }
        })
    }
}

#[test]
fn a_crowd_with_one_token_is_one_question_whoever_leaves() {
    holds(WHAT, "a_crowd_with_one_token_is_one_question_whoever_leaves", Limits::Hold, || {
        let endpoint = Endpoint::new(&[End::Good]);
        let server = endpoint.server();
        let leaving = {
            let server = server.clone();
            spawn(
                async move { patience(ask(&server, TOKEN)).await.is_none_or(|outcome| accepted_or_503(outcome, "ada")) },
            )
        };
        let staying: Vec<_> = (0..3)
            .map(|_| {
                let server = server.clone();
                thread::spawn(move || accepted_or_503(block_on(ask(&server, TOKEN)), "ada"))
            })
            .collect();
        assert!(staying.into_iter().all(|caller| caller.join().unwrap()));
        assert!(block_on(leaving).unwrap());
        assert_eq!(endpoint.0.asked.times(), 1);
        end(server, &endpoint.0);
    });
}

#[test]
fn questions_that_fail_or_panic_strand_nobody_and_are_forgotten() {
    holds(WHAT, "questions_that_fail_or_panic_strand_nobody_and_are_forgotten", Limits::RunOut, || {
        let endpoint = Endpoint::new(&[End::Good, End::Down, End::Junk, End::Panics, End::Never]);
        let server = endpoint.server();
        let callers: Vec<_> = (0..3)
            .map(|number| {
                let server = server.clone();
                spawn(async move {
                    if number == 0 {
                        patience(ask(&server, TOKEN)).await.map(|outcome| accepted_or_503(outcome, "ada"));
                    } else {
                        accepted_or_503(ask(&server, TOKEN).await, "ada");
                    }
                })
            })
            .collect();
        callers.into_iter().for_each(|caller| block_on(caller).unwrap());
        assert_eq!(endpoint.0.asked.at_once(), 1);

        endpoint.0.well.store(true, Ordering::SeqCst);
        let healed = (0..50).any(|_| {
            later();
            accepted_or_503(block_on(ask(&server, TOKEN)), "ada")
        });
        assert!(healed, "the endpoint is well again: {:?}", server.opaque_health());
        end(server, &endpoint.0);
    });
}

#[test]
fn a_token_revoked_and_evicted_is_refused_from_then_on() {
    holds(WHAT, "a_token_revoked_and_evicted_is_refused_from_then_on", Limits::Hold, || {
        let endpoint = Endpoint::new(&[End::Good]);
        let server = endpoint.server();
        let users: Vec<_> = (0..2)
            .map(|_| {
                let server = server.clone();
                spawn(async move {
                    for _ in 0..2 {
                        if let Err(error) = ask(&server, TOKEN).await {
                            assert_eq!(error.kind(), ErrorKind::Inactive, "{error}");
                        }
                    }
                })
            })
            .collect();
        shuttle::thread::yield_now();
        endpoint.0.active.store(false, Ordering::SeqCst);
        block_on(server.evict(Evict::token(TOKEN))).unwrap();
        // What was asked before the eviction counts for nobody who comes after it.
        assert_eq!(block_on(ask(&server, TOKEN)).map_err(|error| error.kind()).err(), Some(ErrorKind::Inactive));
        users.into_iter().for_each(|user| block_on(user).unwrap());
        assert_eq!(block_on(ask(&server, TOKEN)).map_err(|error| error.kind()).err(), Some(ErrorKind::Inactive));
        end(server, &endpoint.0);
    });
}

#[test]
fn no_answer_of_before_an_eviction_comes_back_out_of_the_store() {
    holds(WHAT, "no_answer_of_before_an_eviction_comes_back_out_of_the_store", Limits::Hold, || {
        let endpoint = Endpoint::new(&[End::Good]);
        let server = endpoint.server();
        // The token is in the cache and its answer in the store.
        block_on(ask(&server, TOKEN)).unwrap();
        endpoint.0.active.store(false, Ordering::SeqCst);
        let user = {
            let server = server.clone();
            spawn(async move {
                for _ in 0..3 {
                    if let Err(error) = ask(&server, TOKEN).await {
                        assert_eq!(error.kind(), ErrorKind::Inactive, "{error}");
                    }
                }
            })
        };
        block_on(server.evict(Evict::token(TOKEN))).unwrap();
        for _ in 0..2 {
            let verdict = block_on(ask(&server, TOKEN));
            assert_eq!(verdict.map_err(|error| error.kind()).err(), Some(ErrorKind::Inactive));
        }
        block_on(user).unwrap();
        assert_eq!(block_on(ask(&server, TOKEN)).map_err(|error| error.kind()).err(), Some(ErrorKind::Inactive));
        end(server, &endpoint.0);
    });
}

#[test]
fn no_question_is_left_behind_when_the_server_is_dropped() {
    holds(WHAT, "no_question_is_left_behind_when_the_server_is_dropped", Limits::RunOut, || {
        let endpoint = Endpoint::new(&[End::Good, End::Down, End::Panics, End::Never]);
        let server = endpoint.server();
        let caller = {
            let server = server.clone();
            spawn(async move { patience(ask(&server, TOKEN)).await.map(|outcome| accepted_or_503(outcome, "ada")) })
        };
        block_on(caller).unwrap();
        end(server, &endpoint.0);
    });
}
