//! Tickets at the gate: what buys one, what it opens, and what is said of everything else.

// What is kept of a ticket is encrypted with this backend.
#![cfg(feature = "aws-lc-rs")]

use serde_json::json;

use super::*;
use crate::gate::possession::Dpop;
use crate::gate::server::tests::{Gate, issuer, token};
use crate::gate::tickets::Tickets;
use crate::request::sent::Sent;

const APP: &str = "https://app.example";

fn gate() -> Gate {
    Gate::with(issuer(), |builder| builder.tickets(Tickets::in_memory()))
}

/// What a page of the application sends to buy a ticket.
fn purchase() -> Sent {
    Sent::get("/tickets")
        .method("POST")
        .field("authorization", format!("Bearer {}", token(json!({}))))
        .field("origin", APP)
}

async fn bought(gate: &Gate) -> String {
    gate.api.sell_ticket(Presented::request(&purchase()), "/events").await.unwrap().as_str().to_owned()
}

fn target(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// The request of an `EventSource` with this query.
fn stream(query: &str) -> Sent {
    Sent::get(target(format!("/events?{query}"))).field("accept", "text/event-stream").field("origin", APP)
}

async fn kind(gate: &Gate, presented: Presented<'_>) -> Option<ErrorKind> {
    gate.api.authenticate(presented).await.err().map(|error| error.kind())
}

#[tokio::test]
async fn a_ticket_opens_its_stream_once_and_nothing_else() {
    let gate = gate();
    let ticket = bought(&gate).await;
    let request = stream(&format!("ticket={ticket}"));
    let verified = gate.api.authenticate(Presented::request(&request)).await.unwrap();
    assert_eq!(verified.subject(), gate.ask(&token(json!({}))).unwrap().subject());
    assert_eq!(kind(&gate, Presented::request(&request)).await, Some(ErrorKind::InvalidTicket), "a second time");

    let ticket = bought(&gate).await;
    for (name, request, expected) in [
        ("no ticket", stream("page=1"), ErrorKind::MissingToken),
        ("two of them", stream(&format!("ticket={ticket}&ticket={ticket}")), ErrorKind::InvalidRequest),
        (
            "one beside a token",
            stream(&format!("ticket={ticket}")).field("authorization", "Bearer x"),
            ErrorKind::InvalidRequest,
        ),
        (
            "no stream",
            Sent::get(target(format!("/events?ticket={ticket}"))).field("origin", APP),
            ErrorKind::MissingToken,
        ),
    ] {
        assert_eq!(kind(&gate, Presented::request(&request)).await, Some(expected), "{name}");
    }
    let request = stream(&format!("ticket={ticket}"));
    assert_eq!(kind(&gate, Presented::request(&request)).await, None, "none of them has used it up");
}

#[tokio::test]
async fn where_no_stream_is_opened_the_parameter_is_the_applications_and_a_token_counts_as_ever() {
    let gate = gate();
    let request =
        |scheme: &str| Sent::get("/film?ticket=17").field("authorization", format!("{scheme} {}", token(json!({}))));
    assert_eq!(kind(&gate, Presented::request(&request("Bearer"))).await, None);
    let refused = gate.api.authenticate(Presented::request(&Sent::get("/film?ticket=17"))).await.unwrap_err();
    assert!(format!("{refused:?}").contains("text/event-stream"), "the log says where one is looked for: {refused:?}");
    let refused = gate.api.authenticate(Presented::request(&request("Bearer !"))).await.unwrap_err();
    assert!(!format!("{refused:?}").contains("text/event-stream"), "it had something else: {refused:?}");
}

#[tokio::test]
async fn a_ticket_is_a_bearers_and_no_proof_goes_with_it() {
    let policies = [
        (DpopPolicy::BearerOrDpop, None, None),
        (DpopPolicy::Required, None, Some(ErrorKind::SenderConstrained)),
        // The route's word goes before the server's.
        (DpopPolicy::BearerOrDpop, Some(DpopPolicy::Required), Some(ErrorKind::SenderConstrained)),
        (DpopPolicy::Required, Some(DpopPolicy::BearerOrDpop), None),
    ];
    for (server, route, expected) in policies {
        let dpop = Dpop::at("https://api.example").unwrap().policy(server);
        let gate = Gate::with(issuer(), |builder| builder.tickets(Tickets::in_memory()).dpop(dpop));
        let purchase = purchase();
        let presented = Presented::request(&purchase).dpop(DpopPolicy::BearerOrDpop);
        let ticket = gate.api.sell_ticket(presented, "/events").await.unwrap();
        let request = stream(&format!("ticket={}", ticket.as_str()));
        let presented = Presented::request(&request);
        let presented = route.map_or(presented, |policy| presented.dpop(policy));
        assert_eq!(kind(&gate, presented).await, expected, "{server:?} {route:?}");
    }
}

#[tokio::test]
async fn a_ticket_is_bought_for_a_path_with_a_body_of_that_form() {
    let gate = gate();
    let long = |length: usize| {
        let mut body = br#"{"path":"/events"}"#.to_vec();
        body.resize(length, b' ');
        body
    };
    for (name, body, expected) in [
        ("a path", br#"{"path":"/events"}"#.to_vec(), 200),
        ("as long a body as is looked at", long(4096), 200),
        ("a longer one", long(4097), 400),
        ("nothing", Vec::new(), 400),
        ("a list", br#"["/events"]"#.to_vec(), 400),
        ("no path", br#"{"for":"/events"}"#.to_vec(), 400),
        ("a path that is no text", br#"{"path":7}"#.to_vec(), 400),
        ("a path with a query", br#"{"path":"/events?a=b"}"#.to_vec(), 400),
        ("a path that begins elsewhere", br#"{"path":"events"}"#.to_vec(), 400),
    ] {
        let answer = gate.api.ticket_answer(Presented::request(&purchase()), &body).await.unwrap();
        assert_eq!(answer.status, expected, "{name}");
        let shown = format!("{answer:?}");
        assert!(shown.contains(&expected.to_string()), "{name}: {shown}");
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        match body["ticket"].as_str() {
            Some(ticket) => {
                assert!(!shown.contains(ticket), "{name}");
                assert_eq!(kind(&gate, Presented::request(&stream(&format!("ticket={ticket}")))).await, None, "{name}");
            }
            None => assert_eq!(body["error"], "invalid_request", "{name}"),
        }
    }
    let refused = gate.api.sell_ticket(Presented::request(&purchase()), "events").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidRequest);
}
