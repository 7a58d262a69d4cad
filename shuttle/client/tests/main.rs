//! What must hold of obtained tokens however callers, renewals and sign-outs are interleaved: the crate's own sources, under shuttle.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests and nothing else")]

#[allow(unreachable_pub)]
#[path = "../../../tests/evidence.rs"]
mod evidence;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::json;
use shuttle::future::{block_on, spawn, yield_now};
use shuttle::rand::{Rng, thread_rng};
use sync_shuttle::search::{Limits, eventually, patience, search};
use sync_shuttle::{panic_on_purpose, passed, sleep};
use token_client::{
    MemoryStore, RefreshSource, RefreshToken, Token, TokenClient, TokenError, TokenRequest, TokenSource,
};
use token_core::http::{BoxFuture, HttpClient, HttpError, Limits as HttpLimits};
use token_core::{Clock, Timestamp};

const WHAT: &str = "token-client";

#[derive(Clone, Copy, Debug)]
struct Passing;

impl Clock for Passing {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_800_000_000).saturating_add(passed())
    }
}

#[derive(Clone, Copy, Debug)]
enum End {
    Good,
    Status(u16),
    Down,
    Panics,
}

/// A token endpoint that rotates refresh tokens: `t1`, `t2` … for `r0`, `r1` …, each of which is good once.
#[derive(Clone, Debug)]
struct Endpoint(Arc<Books>);

#[derive(Debug)]
struct Books {
    ends: &'static [End],
    well: AtomicBool,
    begun: AtomicUsize,
    under_way: AtomicUsize,
    most: AtomicUsize,
    spent: Mutex<HashMap<String, usize>>,
}

impl Endpoint {
    fn new(ends: &'static [End]) -> Self {
        let (begun, under_way, most) = Default::default();
        Self(Arc::new(Books { ends, well: AtomicBool::new(false), begun, under_way, most, spent: Mutex::default() }))
    }

    fn client(&self) -> TokenClient {
        TokenClient::builder("https://issuer.example/token", "client")
            .secret("secret")
            .http(self.clone())
            .clock(Passing)
            .build()
            .unwrap()
    }

    fn begun(&self) -> usize {
        self.0.begun.load(Ordering::SeqCst)
    }

    fn at_once(&self) -> usize {
        self.0.most.load(Ordering::SeqCst)
    }
}

struct Asking<'a>(&'a Books);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

impl HttpClient for Endpoint {
    fn send(&self, request: Request<Bytes>, _: HttpLimits) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        Box::pin(async move {
            let number = self.0.begun.fetch_add(1, Ordering::SeqCst) + 1;
            self.0.most.fetch_max(self.0.under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let _asking = Asking(&self.0);
            let well = self.0.well.load(Ordering::SeqCst);
            let end = if well { End::Good } else { self.0.ends[thread_rng().gen_range(0..self.0.ends.len())] };
            let form = String::from_utf8_lossy(request.body()).into_owned();
            if let Some(refresh) = form.split('&').find_map(|pair| pair.strip_prefix("refresh_token=")) {
                *self.0.spent.lock().unwrap().entry(refresh.to_owned()).or_default() += 1;
            }
            for _ in 0..thread_rng().gen_range(0..6) {
                yield_now().await;
            }
            let answer = |status: u16, body: String| {
                let response = Response::builder().status(status).header("content-type", "application/json");
                Ok(response.body(Bytes::from(body)).unwrap())
            };
            match end {
                End::Good => {
                    let (access, refresh) = (format!("t{number}"), format!("r{number}"));
                    let body = json!({"access_token": access, "token_type": "Bearer", "expires_in": 1_000_000, "refresh_token": refresh});
                    answer(200, body.to_string())
                }
                End::Status(status) => answer(status, "{}".to_owned()),
                End::Down => Err(HttpError::Connect("refused".to_owned())),
                End::Panics => panic_on_purpose(),
            }
        })
    }
}

fn holds(name: &str, limits: Limits, scenario: impl Fn() + Send + Sync + 'static) {
    let schedules = search(limits, scenario);
    evidence::note("concurrency", &format!("{WHAT}-{name}"), &[WHAT, &name.replace('_', " "), &schedules.to_string()]);
}

/// Three who ask; the first may go away before it is answered.
fn crowd(source: &(impl TokenSource + Clone)) -> Vec<Result<Token, TokenError>> {
    let callers: Vec<_> = (0..3)
        .map(|number| {
            let source = source.clone();
            spawn(async move {
                match number {
                    0 => patience(source.token()).await,
                    _ => Some(source.token().await),
                }
            })
        })
        .collect();
    callers.into_iter().filter_map(|caller| block_on(caller).unwrap()).collect()
}

#[test]
fn a_crowd_is_one_request_whoever_leaves() {
    holds("a_crowd_is_one_request_whoever_leaves", Limits::Hold, || {
        let endpoint = Endpoint::new(&[End::Good]);
        let source = endpoint.client().source(TokenRequest::client_credentials());
        for token in crowd(&source) {
            assert_eq!(token.unwrap().expose(), "t1");
        }
        assert_eq!(endpoint.begun(), 1);
        drop(source);
        eventually("the request has ended", || Arc::strong_count(&endpoint.0) == 1);
    });
}

#[test]
fn requests_that_fail_or_panic_strand_nobody_and_pass() {
    holds("requests_that_fail_or_panic_strand_nobody_and_pass", Limits::RunOut, || {
        let endpoint = Endpoint::new(&[End::Good, End::Status(503), End::Down, End::Panics]);
        let source = endpoint.client().source(TokenRequest::client_credentials());
        crowd(&source);
        assert_eq!(endpoint.at_once(), 1);
        endpoint.0.well.store(true, Ordering::SeqCst);
        let healed = (0..50).any(|_| {
            block_on(sleep(Duration::from_secs(60)));
            block_on(source.token()).is_ok()
        });
        assert!(healed, "the endpoint is well again");
        assert_eq!(endpoint.at_once(), 1);
        drop(source);
        eventually("the request has ended", || Arc::strong_count(&endpoint.0) == 1);
    });
}

#[test]
fn what_was_asked_for_before_it_was_forgotten_is_given_to_nobody_after() {
    holds("what_was_asked_for_before_it_was_forgotten_is_given_to_nobody_after", Limits::Hold, || {
        let endpoint = Endpoint::new(&[End::Good]);
        let source = endpoint.client().source(TokenRequest::client_credentials());
        let others: Vec<_> = (0..2)
            .map(|_| {
                let source = source.clone();
                spawn(async move { source.token().await.unwrap() })
            })
            .collect();
        shuttle::thread::yield_now();
        let before = endpoint.begun();
        source.clear();
        let number: usize = block_on(source.token()).unwrap().expose()[1..].parse().unwrap();
        assert!(number > before, "t{number} of {before}");
        for other in others {
            block_on(other).unwrap();
        }
        let kept: usize = block_on(source.token()).unwrap().expose()[1..].parse().unwrap();
        assert!(kept > before, "what came late is not kept");
        drop(source);
        eventually("the requests have ended", || Arc::strong_count(&endpoint.0) == 1);
    });
}

#[test]
fn two_processes_never_send_the_same_refresh_token() {
    holds("two_processes_never_send_the_same_refresh_token", Limits::Hold, || {
        let endpoint = Endpoint::new(&[End::Good]);
        let store = Arc::new(MemoryStore::new());
        let process = || RefreshSource::builder(endpoint.client(), Arc::clone(&store) as _, "user").build();
        let (here, there) = (process(), process());
        block_on(here.keep(&RefreshToken::new("r0"))).unwrap();

        let others = {
            let there = there.clone();
            shuttle::thread::spawn(move || crowd(&there))
        };
        let tokens = crowd(&here).into_iter().chain(others.join().unwrap());
        let tokens: Vec<_> = tokens.map(|token| token.unwrap().expose().to_owned()).collect();
        assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
        assert_eq!((endpoint.begun(), endpoint.at_once()), (1, 1));

        // Both are told that it is refused, at once: one renewal more, with what the first has brought.
        block_on(sleep(Duration::from_secs(60)));
        let refused = block_on(here.token()).unwrap();
        let other = {
            let (there, refused) = (there.clone(), refused.clone());
            spawn(async move { there.renew(&refused).await })
        };
        let renewed = block_on(here.renew(&refused)).unwrap();
        assert_ne!(renewed.expose(), refused.expose());
        assert_ne!(block_on(other).unwrap().unwrap().expose(), refused.expose());
        assert!(endpoint.0.spent.lock().unwrap().values().all(|times| *times == 1), "{:?}", endpoint.0.spent);
        drop((here, there));
        eventually("the requests have ended", || Arc::strong_count(&endpoint.0) == 1);
    });
}
