//! Issuers that are looked up with their first token: one look-up at a time, nobody stranded, and the first word of an operator counts.

use std::borrow::Cow;
use std::sync::Arc;

use shuttle::future::{block_on, spawn};
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;
use sync_shuttle::panic_on_purpose;
use sync_shuttle::search::{Limits, patience};
use token_core::adapter::RequestView;
use token_core::http::BoxFuture;
use token_core::{
    Issuer, ResourceServer, StaticKeys,
    tenants::{IssuerResolver, ResolverSettings, TenantResolver, Unresolved},
};

use crate::world::{AUDIENCE, Asked, End, ISSUER, Passing, accepted_or_503, ask, end, holds, jwk_set, steps, token};

const WHAT: &str = "resolver";

#[derive(Clone, Debug)]
struct Tenants {
    ends: &'static [End],
    asked: Arc<Asked>,
}

fn known() -> Issuer {
    Issuer::with_keys(ISSUER, StaticKeys::jwk_set(&jwk_set(&["a"])).unwrap()).unwrap()
}

impl IssuerResolver for Tenants {
    fn resolve<'a>(&'a self, issuer: &'a str) -> BoxFuture<'a, Result<Option<Issuer>, Unresolved>> {
        Box::pin(async move {
            assert_eq!(issuer, ISSUER);
            let _asking = self.asked.begin();
            steps(0..4).await;
            match self.ends[thread_rng().gen_range(0..self.ends.len())] {
                End::Good => Ok(Some(known())),
                End::Down | End::Junk => Err(Unresolved::because("the database is down")),
                End::Panics => panic_on_purpose(),
                End::Never => std::future::pending().await,
            }
        })
    }
}

fn server(ends: &'static [End]) -> (ResourceServer, Arc<Asked>) {
    let asked = Arc::new(Asked::default());
    let tenants = Tenants { ends, asked: Arc::clone(&asked) };
    let builder = ResourceServer::builder(AUDIENCE).resolver(tenants, ResolverSettings::default()).clock(Passing);
    (builder.build().unwrap(), asked)
}

#[test]
fn the_first_tokens_of_an_issuer_are_one_lookup_whoever_leaves() {
    holds(WHAT, "the_first_tokens_of_an_issuer_are_one_lookup_whoever_leaves", Limits::Hold, || {
        let (server, asked) = server(&[End::Good]);
        let callers: Vec<_> = (0..3)
            .map(|number| {
                let server = server.clone();
                spawn(async move {
                    match number {
                        0 => {
                            patience(ask(&server, token("a"))).await.is_none_or(|outcome| accepted_or_503(outcome, "a"))
                        }
                        _ => accepted_or_503(ask(&server, token("a")).await, "a"),
                    }
                })
            })
            .collect();
        assert!(callers.into_iter().all(|caller| block_on(caller).unwrap()));
        assert_eq!(asked.times(), 1);
        end(server, &asked);
    });
}

#[test]
fn lookups_that_fail_or_panic_strand_nobody_and_are_forgotten() {
    holds(WHAT, "lookups_that_fail_or_panic_strand_nobody_and_are_forgotten", Limits::RunOut, || {
        let (server, asked) = server(&[End::Good, End::Down, End::Panics, End::Never]);
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let server = server.clone();
                spawn(async move { accepted_or_503(ask(&server, token("a")).await, "a") })
            })
            .collect();
        for caller in callers {
            block_on(caller).unwrap();
        }
        assert_eq!(asked.at_once(), 1);
        assert!((0..200).any(|_| accepted_or_503(block_on(ask(&server, token("a"))), "a")), "one in four is good");
        end(server, &asked);
    });
}

#[test]
fn an_operators_word_during_a_lookup_locks_nobody_out() {
    holds(WHAT, "an_operators_word_during_a_lookup_locks_nobody_out", Limits::Hold, || {
        let (server, asked) = server(&[End::Good]);
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let server = server.clone();
                // What was looked up may be gone by the time it is used: then the caller is turned away, this once.
                spawn(async move {
                    for _ in 0..4 {
                        drop(ask(&server, token("a")).await);
                    }
                })
            })
            .collect();
        let operator = server.clone();
        let operator = thread::spawn(move || (0..4).for_each(|_| _ = operator.distrust(ISSUER)));
        callers.into_iter().for_each(|caller| block_on(caller).unwrap());
        operator.join().unwrap();
        assert!(accepted_or_503(block_on(ask(&server, token("a"))), "a"), "it is looked up again with its next token");
        end(server, &asked);
    });
}

/// Tenants that are looked up by the request.
#[derive(Debug)]
struct Hosts(Arc<Asked>);

impl TenantResolver for Hosts {
    fn tenant<'r>(&self, _: &'r dyn RequestView) -> Option<Cow<'r, str>> {
        None
    }

    fn issuers<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Vec<Issuer>>, Unresolved>> {
        Box::pin(async move {
            let _asking = self.0.begin();
            steps(0..4).await;
            Ok(Some(vec![known()]))
        })
    }
}

#[test]
fn a_tenant_that_is_forgotten_during_a_lookup_is_looked_up_again() {
    holds(WHAT, "a_tenant_that_is_forgotten_during_a_lookup_is_looked_up_again", Limits::Hold, || {
        let asked = Arc::new(Asked::default());
        let builder = ResourceServer::builder(AUDIENCE).clock(Passing);
        let server = builder.tenants(Hosts(Arc::clone(&asked)), ResolverSettings::default()).build().unwrap();
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let server = server.clone();
                spawn(async move {
                    for _ in 0..4 {
                        drop(server.tenant("shop").await);
                    }
                })
            })
            .collect();
        let operator = server.clone();
        let operator = thread::spawn(move || (0..4).for_each(|_| _ = operator.forget_tenant("shop")));
        callers.into_iter().for_each(|caller| block_on(caller).unwrap());
        operator.join().unwrap();
        assert!(block_on(server.tenant("shop")).is_ok(), "it is there, and looked up anew");
        end(server, &asked);
    });
}
