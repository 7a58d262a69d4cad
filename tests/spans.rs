//! Every span of the list where the network is talked to, with the fields that the list names, none of which a caller can fill.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use token_client::{TokenClient, TokenRequest, TokenSource};
use token_core::http::{BoxFuture, ReqwestClient};
use token_core::opaque::client_authentication::ClientAuthentication;
use token_core::telemetry::SPANS;
use token_core::{
    Issuer, Presented, ResourceServer,
    opaque::OpaqueTokens,
    tenants::{IssuerResolver, ResolverSettings, Unresolved},
};
use token_test::TestIssuer;

use crate::cases::CANARY;

type Fields = BTreeMap<&'static str, String>;

/// Keeps spans with their fields.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<(&'static str, Fields)>>>);

struct Record<'a>(&'a mut Fields);

impl tracing::field::Visit for Record<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl tracing::Subscriber for Spans {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target().starts_with("token_")
    }
    fn new_span(&self, attributes: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        let mut spans = self.0.lock().unwrap();
        let mut fields = Fields::new();
        attributes.record(&mut Record(&mut fields));
        spans.push((attributes.metadata().name(), fields));
        tracing::span::Id::from_u64(spans.len() as u64)
    }
    fn record(&self, id: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        let at = usize::try_from(id.into_u64()).unwrap() - 1;
        values.record(&mut Record(&mut self.0.lock().unwrap()[at].1));
    }
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// Knows nobody.
#[derive(Debug)]
struct Strangers;

impl IssuerResolver for Strangers {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Issuer>, Unresolved>> {
        Box::pin(async { Ok(None) })
    }
}

#[tokio::test]
async fn each_talk_with_the_network_has_its_span_and_no_field_of_a_callers_choice() {
    let spans = Spans::default();
    let _guard = tracing::subscriber::set_default(spans.clone());
    let issuer = TestIssuer::start().await;
    let secret = ClientAuthentication::Basic("test-secret".into());
    let asked = OpaqueTokens::introspection(issuer.introspection_endpoint(), "test-client", secret).unwrap();
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http().opaque_tokens(asked);
    let api = ResourceServer::builder(issuer.audience())
        .trust(trusted)
        .resolver(Strangers, ResolverSettings::default())
        .build()
        .unwrap();
    api.ready().await.unwrap();
    for token in [
        issuer.token().subject(CANARY).mint(),
        issuer.token().subject(CANARY).kid(CANARY).mint(),
        issuer.token().issuer(&format!("https://{CANARY}.example")).mint(),
        issuer.token().subject(CANARY).mint_opaque(),
        CANARY.to_owned(),
    ] {
        let _ = api.authenticate(Presented::token(&token)).await;
    }
    let client = TokenClient::builder(issuer.token_endpoint(), "test-client")
        .secret("test-secret")
        .http(ReqwestClient::builder().allow_loopback_http().build().unwrap())
        .build()
        .unwrap();
    client.source(TokenRequest::client_credentials()).token().await.unwrap();

    let seen = spans.0.lock().unwrap().clone();
    assert!(!format!("{seen:?}").contains(CANARY), "{seen:?}");
    for (name, what) in SPANS {
        let fields = what.rsplit_once("field").unwrap().1.trim_start_matches('s').trim();
        let fields: Vec<_> = fields.split(", ").collect();
        let of_name: Vec<_> = seen.iter().filter(|(seen, _)| seen == name).map(|(_, fields)| fields).collect();
        assert!(!of_name.is_empty(), "no span {name}: {seen:?}");
        for recorded in of_name {
            assert!(recorded.keys().all(|field| fields.contains(field)), "{name}: {recorded:?}, listed {fields:?}");
            assert!(recorded.contains_key("outcome"), "{name} has ended without an outcome: {recorded:?}");
        }
    }
    let outcomes = |name: &str| {
        let mut all: Vec<_> =
            seen.iter().filter(|(seen, _)| *seen == name).map(|(_, fields)| &*fields["outcome"]).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(outcomes("token.verify"), ["accepted", "accepted", "inactive", "unknown_issuer", "unknown_key"]);
    assert_eq!(outcomes("token.opaque.ask"), ["active", "inactive"]);
    assert_eq!(outcomes("token.discovery"), ["ok"]);
    assert_eq!(outcomes("token.keys.fetch"), ["changed", "unchanged"]);
    assert_eq!(outcomes("token.resolver.look_up"), ["stranger"]);
    assert_eq!(outcomes("token.client.request"), ["ok"]);
}
