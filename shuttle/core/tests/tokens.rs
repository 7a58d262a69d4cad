//! The token cache: facts of this very token, gone when they are evicted, worth nothing when their issuer is.

use std::sync::OnceLock;
use std::time::Duration;

use shuttle::future::block_on;
use shuttle::thread;
use sync_shuttle::search::Limits;
use token_core::http::BoxFuture;
use token_core::revocation::followed::{
    Change, ChangeLog, DenyEntry, FollowedDenyList, FollowedSettings, Mark, Position,
};
use token_core::{
    Algorithm, Clock as _, ErrorKind, Issuer, Presented, ResourceServer, StaticKeys, Timestamp,
    revocation::{Deny, DenyList, DenyLookup, Evict, Marks, MemoryDenyList},
    stores::{StoreError, TokenCacheSettings},
};

use crate::world::{AUDIENCE, ISSUER, NAMES, Passing, accepted_or_503, ask, holds, jwk_set, sign};

const WHAT: &str = "token cache";
const SUBJECTS: [&str; 4] = ["ada", "bob", "cleo", "dan"];

/// One set of eight for everybody, so that all are in each other's way.
fn server(list: Option<MemoryDenyList>) -> ResourceServer {
    let keys = StaticKeys::jwk_set(&jwk_set(&NAMES)).unwrap();
    let builder = ResourceServer::builder(AUDIENCE)
        .trust(Issuer::with_keys(ISSUER, keys).unwrap().algorithms([Algorithm::ES256]))
        .token_cache(TokenCacheSettings::default().entries(8).bytes(12_000))
        .clock(Passing);
    list.into_iter().fold(builder, |builder, list| builder.deny_list(list)).build().unwrap()
}

fn of(subject: &str) -> &'static str {
    static TOKENS: OnceLock<[String; 4]> = OnceLock::new();
    let tokens = TOKENS.get_or_init(|| SUBJECTS.map(|subject| sign("a", subject)));
    &tokens[SUBJECTS.iter().position(|name| *name == subject).unwrap()]
}

fn at_once(server: &ResourceServer, subject: &str) -> Result<(), ErrorKind> {
    let outcome = server.authenticate(Presented::token(of(subject))).now().expect("static keys never wait");
    outcome.map(|verified| assert_eq!(verified.subject(), Some(subject))).map_err(|error| error.kind())
}

fn evict(server: &ResourceServer, subject: &str) -> usize {
    block_on(server.evict(Evict::subject(ISSUER, subject))).unwrap()
}

#[test]
fn each_token_has_its_own_claims_while_others_come_and_go() {
    holds(WHAT, "each_token_has_its_own_claims_while_others_come_and_go", Limits::Hold, || {
        let server = server(None);
        let users: Vec<_> = (0..3)
            .map(|number| {
                let server = server.clone();
                thread::spawn(move || {
                    for step in 0..3 {
                        assert_eq!(at_once(&server, SUBJECTS[(number + step) % SUBJECTS.len()]), Ok(()));
                    }
                })
            })
            .collect();
        for subject in &SUBJECTS[..2] {
            evict(&server, subject);
        }
        users.into_iter().for_each(|user| user.join().unwrap());

        // The books are right: what is dropped now was there, once, and then there is nothing.
        let dropped: usize = SUBJECTS.iter().map(|subject| evict(&server, subject)).sum();
        assert!(dropped <= 8, "{dropped}");
        assert_eq!(SUBJECTS.iter().map(|subject| evict(&server, subject)).sum::<usize>(), 0);
        // And there is room again for all: the bytes were given back.
        SUBJECTS.iter().for_each(|subject| assert_eq!(at_once(&server, subject), Ok(())));
        assert_eq!(SUBJECTS.iter().map(|subject| evict(&server, subject)).sum::<usize>(), SUBJECTS.len());
    });
}

/// More tokens than there are ways, and hardly bytes for them: every insert has to find somebody who goes.
#[test]
fn a_crowded_set_gives_each_token_its_own_claims_and_counts_right() {
    holds(WHAT, "a_crowded_set_gives_each_token_its_own_claims_and_counts_right", Limits::Hold, || {
        let keys = StaticKeys::jwk_set(&jwk_set(&NAMES)).unwrap();
        let server = ResourceServer::builder(AUDIENCE)
            .trust(Issuer::with_keys(ISSUER, keys).unwrap().algorithms([Algorithm::ES256]))
            .token_cache(TokenCacheSettings::default().entries(8).bytes(4000))
            .clock(Passing)
            .build()
            .unwrap();
        let users: Vec<_> = (0..3)
            .map(|number| {
                let server = server.clone();
                thread::spawn(move || {
                    for step in [0, 1, 0, 2, 1, 3, 0] {
                        assert_eq!(at_once(&server, SUBJECTS[(number + step) % SUBJECTS.len()]), Ok(()));
                    }
                })
            })
            .collect();
        evict(&server, SUBJECTS[0]);
        users.into_iter().for_each(|user| user.join().unwrap());
        let dropped: usize = SUBJECTS.iter().map(|subject| evict(&server, subject)).sum();
        assert!(dropped <= 8, "{dropped}");
        // Had the books gone wrong, there would be no room, or too much.
        for subject in SUBJECTS {
            assert_eq!(at_once(&server, subject), Ok(()));
        }
        let kept: usize = SUBJECTS.iter().map(|subject| evict(&server, subject)).sum();
        assert!((1..SUBJECTS.len()).contains(&kept), "{kept} within 4,000 bytes");
        assert_eq!(SUBJECTS.iter().map(|subject| evict(&server, subject)).sum::<usize>(), 0);
    });
}

#[test]
fn a_token_is_refused_from_the_moment_its_issuer_is_trusted_no_more() {
    holds(WHAT, "a_token_is_refused_from_the_moment_its_issuer_is_trusted_no_more", Limits::Hold, || {
        let server = server(None);
        let users: Vec<_> = (0..2)
            .map(|_| {
                let server = server.clone();
                thread::spawn(move || {
                    for _ in 0..3 {
                        assert!(matches!(at_once(&server, "ada"), Ok(()) | Err(ErrorKind::UnknownIssuer)));
                    }
                })
            })
            .collect();
        assert!(server.distrust(ISSUER));
        assert_eq!(at_once(&server, "ada"), Err(ErrorKind::UnknownIssuer));
        users.into_iter().for_each(|user| user.join().unwrap());
        assert_eq!(at_once(&server, "ada"), Err(ErrorKind::UnknownIssuer));
    });
}

#[test]
fn a_subject_is_refused_from_the_moment_it_is_denied() {
    holds(WHAT, "a_subject_is_refused_from_the_moment_it_is_denied", Limits::Hold, || {
        let list = MemoryDenyList::new();
        let server = server(Some(list.clone()));
        let users: Vec<_> = (0..2)
            .map(|_| {
                let server = server.clone();
                thread::spawn(move || {
                    for _ in 0..2 {
                        assert!(matches!(at_once(&server, "ada"), Ok(()) | Err(ErrorKind::Inactive)));
                        assert_eq!(at_once(&server, "bob"), Ok(()));
                    }
                })
            })
            .collect();
        list.insert(Deny::subject(ISSUER, "ada", Timestamp::MAX), Timestamp::MAX).unwrap();
        assert_eq!(at_once(&server, "ada"), Err(ErrorKind::Inactive));
        users.into_iter().for_each(|user| user.join().unwrap());
        assert!(accepted_or_503(block_on(ask(&server, of("bob"))), "bob"));
    });
}

/// A log that takes everything and tells nobody: what is heard of it is what the test says.
#[derive(Debug)]
struct Deaf;

impl ChangeLog for Deaf {
    fn append(&self, _: Change) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

#[test]
fn who_sees_a_followed_list_as_whole_sees_all_that_made_it_so() {
    holds(WHAT, "who_sees_a_followed_list_as_whole_sees_all_that_made_it_so", Limits::Hold, || {
        let settings = FollowedSettings::default().clock(Passing).staleness(Duration::from_secs(1_000_000));
        let (list, mut follower) = FollowedDenyList::with(Deaf, settings);
        let now = Passing.now();
        let users: Vec<_> = ["ada", "bob"]
            .into_iter()
            .map(|subject| {
                let list = list.clone();
                thread::spawn(move || {
                    for _ in 0..3 {
                        // Before the list is whole nobody passes; from then on ada, who stood on it, does not.
                        match (subject, list.look_up(&Marks::of(ISSUER).subject(subject, None), Passing.now())) {
                            ("ada", DenyLookup::Absent) => panic!("ada was let in"),
                            ("bob", DenyLookup::Denied) => panic!("bob was taken for somebody else"),
                            _ => {}
                        }
                    }
                })
            })
            .collect();
        let place = |number| (Position { epoch: 1, number }, Mark([0; 8]));
        let deny = |subject: &str| DenyEntry::new(&Deny::subject(ISSUER, subject, Timestamp::MAX));
        follower.loading(place(1));
        follower.entry(&deny("ada").to_bytes(), Timestamp::MAX);
        follower.loaded(now);
        let (position, mark) = place(2);
        let change = Change::Deny(deny("cleo"), Timestamp::MAX).to_bytes();
        follower.heard(position, mark, &change);
        follower.quiet(now, Some(place(2)));
        follower.purge();
        let cleo = Marks::of(ISSUER).subject("cleo", None);
        assert!(matches!(list.look_up(&cleo, Passing.now()), DenyLookup::Denied));
        users.into_iter().for_each(|user| user.join().unwrap());
        assert_eq!(list.state().entries, 2);
    });
}
