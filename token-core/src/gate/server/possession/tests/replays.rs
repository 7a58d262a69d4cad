//! A proof is taken once: the memory of proofs, how long it remembers, and what happens without it (RFC 9449 section 11.1).

use std::sync::Mutex;

use super::*;
use crate::stores::ReplayMemory;

#[test]
fn a_proof_is_remembered_for_as_long_as_it_would_be_taken() {
    let (gate, bound) = (gate(here()), bound_token());
    let request = proved(&bound, &proof(&bound));
    assert_eq!(kind(&gate, &request), None);
    for later in [1, 30, 60, 61, 71, 72, 500] {
        gate.clock.set(NOW + later);
        let error = verdict(&gate, &request).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidDpopProof, "{later}");
        assert_eq!(error.detail().contains("jti"), later <= 60, "{later}: {error}");
    }
}

#[test]
fn two_layers_around_one_route_are_one_use_of_the_proof() {
    let (gate, bound) = (gate(here()), bound_token());
    let request = Request { mark: Some(ProofMark::default()), ..proved(&bound, &proof(&bound)) };
    assert_eq!([kind(&gate, &request), kind(&gate, &request)], [None, None]);
    let replayed = Request { mark: Some(ProofMark::default()), ..request.clone() };
    assert_eq!(kind(&gate, &replayed), Some(ErrorKind::InvalidDpopProof), "another request");
    let stripped = Request { mark: None, ..request };
    assert_eq!(kind(&gate, &stripped), Some(ErrorKind::InvalidDpopProof));
}

/// A memory that others share.
#[derive(Debug)]
struct Shared(Mutex<Vec<Result<bool, StoreError>>>);

impl ReplayMemory for Shared {
    fn first_time(&self, _: [u8; 32], _: Timestamp, _: Timestamp) -> FirstTime {
        let answer = self.0.lock().unwrap().pop().expect("asked once");
        FirstTime::Ask(Box::pin(async move { answer }))
    }
}

#[tokio::test]
async fn a_memory_out_of_reach_is_the_operators_choice_and_a_full_one_is_not() {
    let down = || Err(StoreError::Unreachable("no route".to_owned()));
    for (answer, choice, expected) in [
        (Ok(true), WhenUnreachable::Refuse, None),
        (Ok(false), WhenUnreachable::Admit, Some(ErrorKind::InvalidDpopProof)),
        (down(), WhenUnreachable::Refuse, Some(ErrorKind::Unavailable)),
        (down(), WhenUnreachable::Admit, None),
        (Err(StoreError::Full { capacity: 1 }), WhenUnreachable::Admit, Some(ErrorKind::Unavailable)),
    ] {
        let memory = Shared(Mutex::new(vec![answer.clone()]));
        let gate = gate(here().replay_memory(memory).when_replay_memory_is_unreachable(choice));
        let bound = bound_token();
        let request = proved(&bound, &proof(&bound));
        let verdict = gate.api.authenticate(Presented::request(&request)).await;
        assert_eq!(verdict.err().map(|error| error.kind()), expected, "{answer:?} {choice:?}");
    }
}

#[tokio::test]
async fn the_memory_is_asked_last() {
    // It would panic if it were asked.
    let memory = || Shared(Mutex::new(Vec::new()));
    let bound = bound_token();
    let denied = token(json!({"jti": "gone", "cnf": {"jkt": key().thumbprint().unwrap().to_string()}}));
    let list = MemoryDenyList::new();
    let gate = Gate::with(issuer(), |builder| builder.dpop(here().replay_memory(memory())).deny_list(list));
    gate.api.deny(crate::stores::Deny::token_id(ISSUER, "gone"), Timestamp::MAX).await.unwrap();
    for request in [
        proved(&denied, &proof(&denied)),
        proved(&bound, "junk"),
        proved(&bound, &proof_by(&other_key(), &bound, json!({}))),
        proved(&bound, &format!("{}A", proof(&bound))),
        Request::get("/users").field("authorization", format!("Bearer {bound}")),
    ] {
        assert!(verdict(&gate, &request).is_err());
    }
}

#[test]
fn a_memory_has_room_for_so_many_of_one_key() {
    let gate = gate(here().max_proofs_per_key(2));
    let bound = bound_token();
    let ask = || kind(&gate, &proved(&bound, &proof(&bound)));
    assert_eq!([ask(), ask(), ask()], [None, None, Some(ErrorKind::Unavailable)]);
    gate.clock.set(NOW + 60);
    assert_eq!(ask(), Some(ErrorKind::Unavailable), "they are still good");
}
