use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::super::tests::{AUDIENCE, Gate, ISSUER, NOW, issuer, token};
use crate::answer::error::ErrorKind;
use crate::base::http::BoxFuture;
use crate::base::time::Timestamp;
use crate::gate::server::ResourceServer;
use crate::request::presented::Presented;
use crate::stores::TokenCacheSettings;
use crate::stores::memory_deny_list::MemoryDenyList;
use crate::stores::{Deny, DenyList, DenyLookup, Evict, StoreError, WhenUnreachable};
use crate::token::marks::Marks;

const LATER: Timestamp = Timestamp::from_secs(NOW + 3600);

/// A list somewhere else, that says `answer` and counts how often it was asked.
#[derive(Debug, Clone)]
struct Elsewhere {
    answer: Result<bool, StoreError>,
    asked: Arc<AtomicUsize>,
}

impl DenyList for Elsewhere {
    fn look_up(&self, _: &Marks<'_>, _: Timestamp) -> DenyLookup {
        self.asked.fetch_add(1, Ordering::Relaxed);
        DenyLookup::Ask(Box::pin(std::future::ready(self.answer.clone())))
    }

    fn deny(&self, _: Deny, _: Timestamp) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(std::future::ready(self.answer.clone().map(drop)))
    }
}

#[test]
fn a_denied_token_is_refused_at_its_next_request_though_it_is_warm() {
    for deny in [Deny::token_id(ISSUER, "7"), Deny::session(ISSUER, "s"), Deny::subject(ISSUER, "ada", LATER)] {
        let list = MemoryDenyList::new();
        let gate = Gate::with(issuer(), |builder| builder.deny_list(list.clone()));
        let text = token(json!({"jti": "7", "sid": "s", "iat": NOW}));
        let other = token(json!({"jti": "8", "sub": "bob", "iat": NOW}));
        gate.ask(&text).unwrap();
        gate.ask(&text).unwrap();
        list.insert(deny.clone(), LATER).unwrap();
        assert_eq!(gate.kind(&text), ErrorKind::Inactive, "{deny:?}");
        assert!(gate.ask(&other).is_ok(), "{deny:?}");
    }
}

#[tokio::test]
async fn a_list_elsewhere_is_asked_on_every_request_and_refuses_while_it_is_out_of_reach() {
    let down = || Err(StoreError::Unreachable("no connection".into()));
    for (answer, choice, expected) in [
        (Ok(false), WhenUnreachable::Refuse, None),
        (Ok(true), WhenUnreachable::Admit, Some(ErrorKind::Inactive)),
        (down(), WhenUnreachable::Refuse, Some(ErrorKind::Unavailable)),
        (down(), WhenUnreachable::Admit, None),
        (down(), WhenUnreachable::default(), Some(ErrorKind::Unavailable)),
    ] {
        let list = Elsewhere { answer, asked: Arc::default() };
        let gate =
            Gate::with(issuer(), |builder| builder.deny_list(list.clone()).when_deny_list_is_unreachable(choice));
        for _ in 0..3 {
            let seen = gate.api.authenticate(Presented::token(&token(json!({})))).await;
            assert_eq!(seen.as_ref().err().map(crate::Error::kind), expected, "{list:?} {choice:?}");
            if let Err(error) = seen {
                assert_eq!(error.retry_after().is_some(), error.kind() == ErrorKind::Unavailable);
            }
        }
        assert_eq!(list.asked.load(Ordering::Relaxed), 3);
    }
}

#[tokio::test]
async fn denying_without_a_list_or_with_one_that_is_down_is_an_error() {
    let deny = || Deny::token_id(ISSUER, "7");
    let without = Gate::new(TokenCacheSettings::default());
    assert_eq!(without.api.deny(deny(), LATER).await.unwrap_err().kind(), ErrorKind::Misconfigured);
    let list = Elsewhere { answer: Err(StoreError::Unreachable("no connection".into())), asked: Arc::default() };
    let down = Gate::with(issuer(), |builder| builder.deny_list(list));
    assert_eq!(down.api.deny(deny(), LATER).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let memory = MemoryDenyList::new();
    let up = Gate::with(issuer(), |builder| builder.deny_list(memory.clone()));
    up.api.deny(deny(), LATER).await.unwrap();
    assert_eq!(memory.len(), 1);
}

#[tokio::test]
async fn evicting_forgets_exactly_what_was_named() {
    for settings in [TokenCacheSettings::default(), TokenCacheSettings::default().keep_digests()] {
        let api = || ResourceServer::builder(AUDIENCE).trust(issuer()).token_cache(settings);
        let gate = Gate::with(issuer(), |_| api());
        let ada = token(json!({"sid": "s1", "client_id": "app"}));
        let bob = token(json!({"sub": "bob", "sid": "s2", "azp": "app"}));
        let cyd = token(json!({"sub": "cyd", "sid": "s1", "client_id": "tool"}));
        for (evict, expected) in [
            (Evict::token(&ada), 1),
            (Evict::token("another"), 0),
            (Evict::subject(ISSUER, "bob"), 1),
            (Evict::subject("https://other.example", "bob"), 0),
            (Evict::session(ISSUER, "s1"), 2),
            (Evict::client(ISSUER, "app"), 2),
            (Evict::client(ISSUER, "nobody"), 0),
        ] {
            for text in [&ada, &bob, &cyd] {
                gate.ask(text).unwrap();
            }
            assert_eq!(gate.api.evict(evict.clone()).await.unwrap(), expected, "{evict:?}");
            assert_eq!(gate.api.0.cache.as_ref().unwrap().usage().0, 3 - expected, "{evict:?}");
            assert!(gate.ask(&ada).is_ok(), "forgotten is not denied");
        }
    }
}

#[test]
fn nothing_prints_whom_it_denies_or_forgets() {
    let names = "canary";
    let printed = format!(
        "{:?} {:?} {:?} {:?}",
        Deny::subject(ISSUER, names, LATER),
        Evict::token(names),
        Evict::session(ISSUER, names),
        Marks::of(ISSUER).token_id(names)
    );
    assert!(!printed.contains(names), "{printed}");
}
