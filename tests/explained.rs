//! Why a request was refused, in the response: only from a server that was told so at its start, whatever a request holds.

use std::sync::{Arc, Mutex};

use token_core::{Issuer, ResourceServer, ResourceServerBuilder};
use token_test::TestIssuer;
use token_tests::{Ask, Via, ask};

use crate::cases::CANARY;

fn builder(issuer: &TestIssuer) -> ResourceServerBuilder {
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    ResourceServer::builder(issuer.audience()).trust(trusted)
}

#[actix_web::test]
async fn no_request_can_have_itself_explained() {
    let issuer = TestIssuer::start().await;
    let token = issuer.token().audience("https://other.example").mint();
    let silent = [builder(&issuer).build().unwrap(), builder(&issuer).explain_in_log().build().unwrap()];
    let asks = [
        Ask::of("/me").bearer(&token),
        Ask::of("/me?explain=true&token-explanation=1&debug=1").bearer(&token),
        Ask::of("/me")
            .bearer(&token)
            .header("token-explanation", "true")
            .header("x-explain", "1")
            .header("x-debug", "1"),
        Ask::of("/me")
            .bearer(&token)
            .header("prefer", "explain")
            .header("accept", "application/problem+json;explain=1"),
        Ask::of("/me").bearer(&token).header("cookie", "token-explanation=1").header("authorization", "explain"),
    ];
    for api in &silent {
        api.ready().await.unwrap();
        for (via, request) in Via::ALL.into_iter().flat_map(|via| asks.iter().map(move |ask| (via, ask))) {
            let reply = ask(via, api, false, request).await;
            assert!(matches!(reply.status, 400 | 401), "{via:?} {request:?}: {}", reply.status);
            assert_eq!(reply.explanation, None, "{via:?} {request:?}");
            assert!(!reply.body.contains("audience names") && !reply.body.contains("expected"), "{}", reply.body);
        }
    }
}

#[actix_web::test]
async fn a_server_that_was_told_so_explains_refusals_in_every_framework_without_values() {
    let issuer = TestIssuer::start().await;
    let api = builder(&issuer).explain_in_responses().build().unwrap();
    api.ready().await.unwrap();
    let token = || issuer.token().scope("profile").claim("note", CANARY);
    for (request, status, expected) in [
        (Ask::of("/me").bearer(&token().audience(CANARY).mint()), 401, Some("audience: expected aud to name")),
        (Ask::of("/me").bearer(&token().expired().mint()), 401, Some("expiry: exp passed")),
        (Ask::of("/me").bearer("a.b"), 401, Some("likely cause: the signature is missing")),
        (Ask::of("/me"), 401, Some("credentials: ")),
        (Ask::of("/me").bearer(&token().mint()), 200, None),
        // A handler's own rule is no check of the gate.
        (Ask::of("/users").bearer(&token().mint()), 403, None),
    ] {
        let replies = [
            ask(Via::Tower, &api, false, &request).await,
            ask(Via::Axum, &api, false, &request).await,
            ask(Via::Actix, &api, false, &request).await,
        ];
        for reply in replies {
            assert_eq!(reply.status, status, "{request:?}");
            match (expected, &reply.explanation) {
                (None, said) => assert_eq!(*said, None, "{request:?}"),
                (Some(expected), said) => {
                    let said = said.as_deref().unwrap_or_default();
                    assert!(said.contains(expected) && !said.contains(CANARY), "{request:?}: {said}");
                }
            }
        }
    }
}

/// The names of events.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Names {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        self.0.lock().unwrap().push(event.metadata().name().to_owned());
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[actix_web::test]
async fn the_log_explains_where_it_was_switched_on_and_nowhere_else() {
    let issuer = TestIssuer::start().await;
    let token = issuer.token().expired().mint();
    for (api, expected) in [
        (builder(&issuer).build().unwrap(), 0),
        (builder(&issuer).explain_in_log().build().unwrap(), 1),
        (builder(&issuer).explain_in_responses().build().unwrap(), 1),
    ] {
        api.ready().await.unwrap();
        let names = Names::default();
        let _guard = tracing::subscriber::set_default(names.clone());
        assert_eq!(ask(Via::Axum, &api, false, &Ask::of("/me").bearer(&token)).await.status, 401);
        let seen = names.0.lock().unwrap();
        assert_eq!(seen.iter().filter(|name| *name == "token.explained").count(), expected, "{seen:?}");
    }
}
