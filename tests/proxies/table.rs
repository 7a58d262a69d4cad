//! The case table through each proxy: the client gets the answer that it would get from axum.

use token_core::ErrorKind;
use token_tests::{Reply, Via};

use super::client;
use super::proxy::Kind;
use super::stage::Stage;
use crate::cases::{check, table};

/// What the gate cannot know: a handler's own type.
const OF_HANDLERS: &str = "no subject, which the handler's type needs";

/// Rows whose request the proxy itself refuses, as it should, before it asks anybody.
fn is_refused_by_proxy(kind: Kind, name: &str) -> bool {
    match name {
        "two authorization headers" => kind == Kind::Nginx,
        "bytes that are no text" => matches!(kind, Kind::EnvoyGrpc | Kind::EnvoyHttp),
        _ => false,
    }
}

async fn run(kind: Kind) {
    let stage = Stage::of(kind).await;
    for case in table(&stage.issuer) {
        if case.name == OF_HANDLERS {
            continue;
        }
        // Here a route lets anonymous callers pass, or does not; it is not for a layer to say.
        let target = if case.ask.path == "/maybe" && !case.anonymous { "/any" } else { &*case.ask.path };
        let answer = client::ask(stage.address(), target, &case.ask).await;
        if is_refused_by_proxy(kind, case.name) {
            assert_eq!(answer.status, 400, "{kind:?} {}: {answer:?}", case.name);
            continue;
        }
        assert!(answer.fields("www-authenticate") <= 1, "{kind:?} {}: {answer:?}", case.name);
        let place = format!("{kind:?} {}: {answer:?}", case.name);
        if case.expect.is_err() {
            assert_eq!(answer.field("cache-control"), Some("no-store"), "{place}");
        }
        check(&case, Via::Tower, &Reply::from(answer));
    }
}

async fn keys_out_of_reach(kind: Kind) {
    let stage = Stage::of(kind).await;
    let kid_of_nobody = stage.issuer.token().subject("ada").header("kid", "of nobody").mint();
    stage.issuer.faults().down();
    let fields = [("authorization", format!("Bearer {kid_of_nobody}").into_bytes())];
    let answer = client::get(stage.address(), "/me", &[(fields[0].0, &fields[0].1)]).await;
    let place = format!("{kind:?}: {answer:?}");
    if kind == Kind::EnvoyHttp {
        // Over HTTP Envoy makes a refusal without a word of it; the documentation says so.
        assert!(matches!(answer.status, 403 | 503) && answer.seen().is_none(), "{place}");
        return;
    }
    assert_eq!(answer.status, ErrorKind::Unavailable.status(), "{place}");
    let after = answer.field("retry-after").and_then(|text| text.parse::<u32>().ok());
    assert!(after.is_some_and(|after| after >= 1) && answer.field("www-authenticate").is_none(), "{place}");
}

#[tokio::test]
async fn every_row_gets_its_answer_through_nginx() {
    run(Kind::Nginx).await;
}

#[tokio::test]
async fn every_row_gets_its_answer_through_caddy() {
    run(Kind::Caddy).await;
}

#[tokio::test]
async fn every_row_gets_its_answer_through_envoy_over_grpc() {
    run(Kind::EnvoyGrpc).await;
}

#[tokio::test]
async fn every_row_gets_its_answer_through_envoy_over_http() {
    run(Kind::EnvoyHttp).await;
}

#[tokio::test]
async fn every_row_gets_its_answer_through_haproxy() {
    run(Kind::Haproxy).await;
}

#[tokio::test]
async fn every_row_gets_its_answer_through_traefik() {
    run(Kind::Traefik).await;
}

#[tokio::test]
async fn keys_out_of_reach_are_our_trouble_behind_every_proxy() {
    for kind in Kind::ALL {
        keys_out_of_reach(kind).await;
    }
}
