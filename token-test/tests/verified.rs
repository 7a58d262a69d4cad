//! Verified tokens for unit tests of handlers: they say what was asked for, and the gate's rules hold for them too.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::{Value, json};
use token_test::verified;

#[test]
fn says_what_was_asked_for_without_a_runtime() {
    let token = verified()
        .subject("ada")
        .scope("read write")
        .audience("https://b.example")
        .issuer("https://login.example/")
        .client_id("console")
        .claim("roles", json!(["admin"]))
        .build();
    assert_eq!(token.subject(), Some("ada"));
    assert_eq!(token.issuer(), "https://login.example/");
    assert_eq!(token.client_id(), Some("console"));
    assert_eq!(token.audience().collect::<Vec<_>>(), ["https://b.example"]);
    let claims: Value = serde_json::from_str(token.claims_json()).unwrap();
    assert_eq!(claims["roles"], json!(["admin"]));
    assert_eq!(claims["scope"], "read write");
}

#[test]
fn an_audience_among_several_and_no_subject() {
    let token = verified().claim("aud", json!(["a", "b"])).without("sub").build();
    assert_eq!(token.audience().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(token.subject(), None);
}

#[test]
#[should_panic(expected = "claims that a verified token can have")]
fn the_gate_refuses_what_could_not_reach_a_handler() {
    let _ = verified().claim("exp", 1).build();
}
