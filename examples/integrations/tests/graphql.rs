//! Fields of GraphQL schemas and the rules they ask for: four servers, one table. What one field is refused, the others are served.

mod async_graphql;
mod juniper;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::App;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use axum::body::Body;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use token_core::adapter::Outcome;
use token_core::{Error, ErrorKind, ResourceServer, scopes};
use token_integrations::graphql::refusal;
use token_test::TestIssuer;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};
use tower::ServiceExt as _;

use crate::{text, trusted};

scopes! {
    pub(crate) ReadUsers = "read:users",
    pub(crate) WriteUsers = any("admin", all("read:users", "write:users")),
    pub(crate) Staff = role("staff"),
}

/// How often the mutation was carried out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Removed(Arc<AtomicUsize>);

impl Removed {
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// One request to an application of actix-web.
pub(crate) async fn answer_of<T, B>(app: App<T>, request: actix_web::test::TestRequest) -> (u16, String)
where
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<B>,
            Error = actix_web::Error,
            InitError = (),
            Future: 'static,
        > + 'static,
    B: MessageBody,
{
    let app = actix_web::test::init_service(app).await;
    let response = actix_web::test::call_service(&app, request.to_request()).await;
    let status = response.status().as_u16();
    (status, String::from_utf8(actix_web::test::read_body(response).await.to_vec()).unwrap())
}

const SERVERS: [&str; 4] =
    ["async-graphql in axum", "async-graphql in actix-web", "juniper in axum", "juniper in actix-web"];

async fn ask(
    server: &str,
    api: &ResourceServer,
    removed: &Removed,
    token: Option<&str>,
    body: &Value,
) -> (u16, String) {
    let router = match server {
        "async-graphql in axum" => async_graphql::axum(api, removed),
        "juniper in axum" => juniper::axum(api, removed),
        _ => {
            let mut request = actix_web::test::TestRequest::post().uri("/").set_json(body);
            if let Some(token) = token {
                request = request.insert_header(("authorization", format!("Bearer {token}")));
            }
            return match server {
                "async-graphql in actix-web" => async_graphql::actix(api, removed, request).await,
                _ => juniper::actix(api, removed, request).await,
            };
        }
    };
    let mut request = http::Request::post("/").header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let response = router.oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
    (response.status().as_u16(), text(response.into_body()).await)
}

/// The data that is there, and the refusals: the path and the extensions of each. What is refused is `null` (juniper) or left out (async-graphql).
fn parts(answer: &Value) -> (Value, Vec<(String, Value)>) {
    let refusals = answer["errors"].as_array().into_iter().flatten();
    let mut refusals: Vec<_> =
        refusals.map(|error| (error["path"][0].as_str().unwrap().to_owned(), error["extensions"].clone())).collect();
    refusals.sort_by(|a, b| a.0.cmp(&b.0));
    let mut data = answer["data"].as_object().cloned().unwrap_or_default();
    data.retain(|_, value| !value.is_null());
    (data.into(), refusals)
}

fn query(text: &str) -> Value {
    json!({"query": text})
}

fn refused(path: &str, code: &str, error: Option<&str>, scope: Option<&str>) -> (String, Value) {
    let mut challenge = "Bearer".to_owned();
    let mut extensions = json!({"code": code});
    if let Some(error) = error {
        extensions["error"] = error.into();
        challenge +=
            &format!(r#" error="{error}", error_description="{}""#, ErrorKind::InsufficientScope.public_text());
    }
    if let Some(scope) = scope {
        extensions["scope"] = scope.into();
        challenge += &format!(r#", scope="{scope}""#);
    }
    extensions["challenge"] = challenge.into();
    (path.to_owned(), extensions)
}

fn lacking(path: &str, scope: &str) -> (String, Value) {
    refused(path, "FORBIDDEN", Some("insufficient_scope"), Some(scope).filter(|scope| !scope.is_empty()))
}

fn anonymous(path: &str) -> (String, Value) {
    refused(path, "UNAUTHENTICATED", None, None)
}

fn mint(issuer: &TestIssuer, scope: Option<&str>) -> Option<String> {
    let token = issuer.token().subject("ada");
    match scope? {
        "staff" => Some(token.claim("roles", json!(["staff"])).mint()),
        scope => Some(token.scope(scope).mint()),
    }
}

#[actix_web::test]
async fn a_field_is_served_to_whoever_satisfies_its_rule_and_the_others_are_told_what_would() {
    let (issuer, api) = trusted().await;
    let all = "{ books users me salaries { ada } }";
    let public = json!({"books": ["Emma"]});
    let table = [
        (None, "{ books }", json!({"books": ["Emma"]}), vec![]),
        (None, all, public, vec![anonymous("me"), anonymous("salaries"), anonymous("users")]),
        (Some(""), "{ me }", json!({"me": "ada"}), vec![]),
        (Some(""), "{ books users }", json!({"books": ["Emma"]}), vec![lacking("users", "read:users")]),
        (Some("read:users"), "{ books users }", json!({"books": ["Emma"], "users": ["ada"]}), vec![]),
        (Some("read:users:all"), "{ users }", json!({}), vec![lacking("users", "read:users")]),
        // By another name, and through a fragment.
        (Some(""), "{ x: users }", json!({}), vec![lacking("x", "read:users")]),
        (Some(""), "{ ...F } fragment F on Query { users }", json!({}), vec![lacking("users", "read:users")]),
        // A role cannot be asked for, so no scope is named; the object that it guards is not looked into.
        (Some("admin"), "{ salaries { ada } }", json!({}), vec![lacking("salaries", "")]),
        (Some("staff"), "{ salaries { ada } }", json!({"salaries": {"ada": 1815}}), vec![]),
        (None, "mutation { remove }", json!({}), vec![anonymous("remove")]),
        (Some("read:users"), "mutation { remove }", json!({}), vec![lacking("remove", "admin")]),
        (Some("read:users write:users"), "mutation { remove }", json!({"remove": true}), vec![]),
    ];
    for server in SERVERS {
        for (scope, text, data, refusals) in &table {
            let (removed, token) = (Removed::default(), mint(&issuer, *scope));
            let (status, body) = ask(server, &api, &removed, token.as_deref(), &query(text)).await;
            let row = format!("{server}: {scope:?} {text}: {body}");
            assert_eq!(status, 200, "{row}");
            assert_eq!(parts(&serde_json::from_str(&body).unwrap()), (data.clone(), refusals.clone()), "{row}");
            assert_eq!(removed.0.load(Ordering::Relaxed), usize::from(data["remove"] == true), "{row}");
        }
    }
}

#[actix_web::test]
async fn a_batch_loses_the_field_that_is_refused_and_nothing_else() {
    let (issuer, api) = trusted().await;
    let batch = json!([query("{ books }"), query("{ users }"), query("{ me }"), query("mutation { remove }")]);
    for server in SERVERS {
        let (removed, token) = (Removed::default(), mint(&issuer, Some("")));
        let (status, body) = ask(server, &api, &removed, token.as_deref(), &batch).await;
        let answers: Vec<Value> = serde_json::from_str(&body).unwrap();
        let answers: Vec<_> = answers.iter().map(parts).collect();
        let expected = [
            (json!({"books": ["Emma"]}), vec![]),
            (json!({}), vec![lacking("users", "read:users")]),
            (json!({"me": "ada"}), vec![]),
            (json!({}), vec![lacking("remove", "admin")]),
        ];
        assert_eq!((status, &answers[..]), (200, &expected[..]), "{server}: {body}");
        assert_eq!(removed.0.load(Ordering::Relaxed), 0, "{server}");
    }
}

#[actix_web::test]
async fn a_bad_token_is_refused_before_the_schema_sees_the_query() {
    let (issuer, api) = trusted().await;
    let expired = issuer.token().expired().mint();
    for server in SERVERS {
        for token in ["junk", &expired] {
            let (status, body) = ask(server, &api, &Removed::default(), Some(token), &query("{ books }")).await;
            assert_eq!(status, 401, "{server}");
            assert!(
                body.contains("invalid_token") && !body.contains("Emma") && !body.contains(token),
                "{server}: {body}"
            );
        }
    }
}

#[actix_web::test]
async fn a_refusal_says_one_fixed_sentence_and_nothing_of_the_token_or_of_the_operators_text() {
    let (issuer, api) = trusted().await;
    let operators = Error::insufficient_scope("x");
    for server in SERVERS {
        let token = mint(&issuer, Some("secret:scope")).unwrap();
        let (_, body) = ask(server, &api, &Removed::default(), Some(&token), &query("{ users }")).await;
        let message = &serde_json::from_str::<Value>(&body).unwrap()["errors"][0]["message"];
        assert_eq!(message, ErrorKind::InsufficientScope.public_text(), "{server}");
        for secret in [&*token, "ada", "secret:scope", operators.detail(), issuer.url()] {
            assert!(!body.contains(secret), "{server} says {secret}: {body}");
        }
    }
}

#[actix_web::test]
async fn each_status_of_the_table_of_answers_has_a_code_and_no_kind_tells_the_operators_text() {
    for (kind, code) in [
        (ErrorKind::InvalidRequest, "BAD_REQUEST"),
        (ErrorKind::MissingToken, "UNAUTHENTICATED"),
        (ErrorKind::Expired, "UNAUTHENTICATED"),
        (ErrorKind::WrongType, "UNAUTHENTICATED"),
        (ErrorKind::InsufficientUserAuthentication, "UNAUTHENTICATED"),
        (ErrorKind::InsufficientScope, "FORBIDDEN"),
        (ErrorKind::Unavailable, "SERVICE_UNAVAILABLE"),
        (ErrorKind::Misconfigured, "INTERNAL_SERVER_ERROR"),
    ] {
        let error = Error::new(kind, "for the operator");
        let mut extensions = refusal::extensions(&error);
        assert_eq!(extensions.next(), Some(("code", code.to_owned())), "{kind:?}");
        assert!(extensions.all(|(_, value)| !value.contains("operator")), "{kind:?}");
        assert_eq!(refusal::message(&error), kind.public_text());
    }
}

#[actix_web::test]
async fn a_handler_that_forgets_the_outcome_serves_what_is_public_and_nothing_else() {
    let schema = async_graphql::schema(&Removed::default());
    let answer = serde_json::to_value(schema.execute("{ books users me }").await).unwrap();
    let (data, refusals) = parts(&answer);
    assert_eq!(data, json!({"books": ["Emma"]}));
    let code = json!({"code": "INTERNAL_SERVER_ERROR"});
    assert_eq!(refusals, [("me".to_owned(), code.clone()), ("users".to_owned(), code)]);
}

async fn events(api: &ResourceServer) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = async_graphql::axum(api, &Removed::default());
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// What a WebSocket of the protocol `graphql-transport-ws` answers to one subscription first.
async fn subscribe(address: std::net::SocketAddr, token: Option<&str>) -> Value {
    let mut request = format!("ws://{address}/events").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    if let Some(token) = token {
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let subscription = json!({"id": "1", "type": "subscribe", "payload": query("subscription { joined }")});
    for message in [json!({"type": "connection_init"}), subscription] {
        socket.send(Message::text(message.to_string())).await.unwrap();
    }
    loop {
        let Message::Text(text) = socket.next().await.unwrap().unwrap() else { continue };
        let message: Value = serde_json::from_str(&text).unwrap();
        if message["id"] == "1" {
            return message;
        }
    }
}

#[tokio::test]
async fn a_subscription_over_a_websocket_asks_for_its_rule() {
    let (issuer, api) = trusted().await;
    let address = events(&api).await;
    for (scope, joined, refusals) in [
        (Some("read:users"), json!("ada"), None),
        (Some(""), Value::Null, Some(lacking("joined", "read:users"))),
        (None, Value::Null, Some(anonymous("joined"))),
    ] {
        let answer = subscribe(address, mint(&issuer, scope).as_deref()).await;
        let answer = &answer["payload"];
        let (data, refused) = parts(answer);
        assert_eq!((&data["joined"], refused.first()), (&joined, refusals.as_ref()), "{answer}");
    }
}

#[tokio::test]
async fn a_subscription_of_juniper_asks_for_its_rule() {
    use ::juniper::Variables;
    use token_integrations::graphql::juniper::Caller;

    let (_, api) = trusted().await;
    let schema = juniper::schema(&Removed::default());
    let token = |scope| token_test::verified().subject("ada").scope(scope).build();
    for (outcome, expected) in [
        (Outcome::Verified(token("read:users")), None),
        (Outcome::Verified(token("")), Some("FORBIDDEN")),
        (Outcome::Anonymous(api), Some("UNAUTHENTICATED")),
    ] {
        let caller = Caller(outcome);
        let resolved =
            ::juniper::resolve_into_stream("subscription { joined }", None, &schema, &Variables::new(), &caller).await;
        let (_, refusals) = resolved.map_err(|_| "a query").unwrap();
        let codes = serde_json::to_value(&refusals).unwrap();
        assert_eq!(codes[0]["extensions"]["code"].as_str(), expected, "{codes}");
        assert_eq!(refusals.len(), usize::from(expected.is_some()), "{codes}");
    }
}
