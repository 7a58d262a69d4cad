//! What the client, the inner service and the log get.

use std::convert::Infallible;

use http::{Request, Response, header};
use token_core::{Error, ErrorKind};
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_http::cors::CorsLayer;

use super::support::{Log, SlowIssuer, api, bare, get, text, token};
use crate::{Outcome, ResponseBody, ScopeLayer, TokenLayer, rejection};

type Handler = BoxCloneSyncService<Request<String>, Response<String>, Infallible>;

/// Says who the caller is, and checks that one value is all the layer writes.
fn hello() -> Handler {
    BoxCloneSyncService::new(service_fn(|request: Request<String>| async move {
        assert_eq!(request.extensions().len(), 1);
        let who = match request.extensions().get::<Outcome>() {
            Some(Outcome::Verified(token)) => token.subject().unwrap_or_default().to_owned(),
            Some(Outcome::Anonymous(_)) => "nobody".to_owned(),
            _ => panic!("the layer has written nothing that is known"),
        };
        Ok(Response::new(who))
    }))
}

/// A handler that refuses by itself.
fn refusing(kind: ErrorKind) -> Handler {
    BoxCloneSyncService::new(service_fn(move |_: Request<String>| async move {
        let mut response = rejection(&Error::new(kind, "the handler says so"));
        let length = response.body().len().into();
        response.headers_mut().insert(header::CONTENT_LENGTH, length);
        Ok(response)
    }))
}

async fn ask(layer: &TokenLayer, request: Request<String>) -> Response<ResponseBody<String>> {
    layer.layer(hello()).oneshot(request).await.unwrap()
}

fn field<B>(response: &Response<B>, name: impl header::AsHeaderName) -> Option<&str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn each_request_gets_its_row_of_the_table() {
    let mut twice = get(&token(""));
    twice.headers_mut().append("authorization", "Bearer again".parse().unwrap());
    let layer = TokenLayer::new(api());
    for (request, status, challenge) in [
        (get(&token("")), 200, None),
        (bare(), 401, Some(r#"Bearer realm="books""#)),
        (
            get("junk"),
            401,
            Some(r#"Bearer realm="books", error="invalid_token", error_description="the access token is malformed""#),
        ),
        (
            twice,
            400,
            Some(
                r#"Bearer realm="books", error="invalid_request", error_description="the credentials are not well formed or were sent more than once""#,
            ),
        ),
    ] {
        let response = ask(&layer, request).await;
        assert_eq!(response.status(), status);
        assert_eq!(field(&response, header::WWW_AUTHENTICATE), challenge);
        assert_eq!(response.extensions().get::<Error>().is_some(), status != 200);
        if status == 200 {
            assert_eq!(text(response).await, "ada");
        } else {
            assert_eq!(field(&response, header::CONTENT_TYPE), Some("application/problem+json"));
            let body: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
            assert_eq!(body["status"], status);
        }
    }
}

#[tokio::test]
async fn anonymous_callers_pass_where_they_may_and_bad_credentials_never_do() {
    let layer = TokenLayer::new(api()).allow_anonymous();
    for (request, status, body) in
        [(bare(), 200, Some("nobody")), (get(&token("")), 200, Some("ada")), (get("junk"), 401, None)]
    {
        let response = ask(&layer, request).await;
        assert_eq!(response.status(), status);
        if let Some(body) = body {
            assert_eq!(text(response).await, body);
        }
    }
}

#[tokio::test]
async fn the_operators_body_takes_the_place_of_every_default_body_and_of_nothing_else() {
    let layer = TokenLayer::new(api()).rejection(|error| ("text/plain", format!("no: {}", error.kind())));

    let response = ask(&layer, bare()).await;
    assert_eq!(response.status(), 401);
    assert_eq!(field(&response, header::WWW_AUTHENTICATE), Some(r#"Bearer realm="books""#));
    assert_eq!(field(&response, header::CONTENT_TYPE), Some("text/plain"));
    assert_eq!(text(response).await, "no: missing_token");

    let service = layer.layer(refusing(ErrorKind::ClaimsMismatch));
    let response = service.clone().oneshot(get(&token(""))).await.unwrap();
    assert_eq!((response.status().as_u16(), field(&response, header::CONTENT_TYPE)), (401, Some("text/plain")));
    assert_eq!(field(&response, header::CONTENT_LENGTH), None, "that of the body which is gone");
    assert_eq!(text(response).await, "no: claims_mismatch");

    let own = service_fn(|_: Request<String>| async {
        let (mut head, _) = rejection(&Error::new(ErrorKind::ClaimsMismatch, "the handler says so")).into_parts();
        head.headers.insert(header::CONTENT_TYPE, "text/html".parse().unwrap());
        Ok::<_, Infallible>(Response::from_parts(head, "<p>own</p>".to_owned()))
    });
    let response = layer.layer(own).oneshot(get(&token(""))).await.unwrap();
    assert_eq!(text(response).await, "<p>own</p>");
}

#[tokio::test]
async fn a_grpc_client_gets_a_grpc_status_with_the_challenge_as_metadata() {
    let grpc = |mut request: Request<String>| {
        (*request.method_mut(), *request.version_mut()) = (http::Method::POST, http::Version::HTTP_2);
        *request.uri_mut() = "/books.Books/List".parse().unwrap();
        request.headers_mut().insert(header::CONTENT_TYPE, "application/grpc+proto".parse().unwrap());
        request
    };
    let layer = TokenLayer::new(api());
    let response = ask(&layer, grpc(bare())).await;
    assert_eq!(response.status(), 200);
    assert_eq!(field(&response, "grpc-status"), Some("16"));
    assert_eq!(field(&response, "grpc-message"), Some("this resource needs an access token"));
    assert_eq!(field(&response, header::CONTENT_TYPE), Some("application/grpc"));
    assert_eq!(field(&response, header::WWW_AUTHENTICATE), Some(r#"Bearer realm="books""#));
    assert!(response.extensions().get::<Error>().is_some());
    assert_eq!(text(response).await, "");

    let scoped = (layer, ScopeLayer::new("write")).layer(hello());
    let response = scoped.oneshot(grpc(get(&token("read")))).await.unwrap();
    assert_eq!((response.status().as_u16(), field(&response, "grpc-status")), (200, Some("7")));
}

#[tokio::test]
async fn a_refusal_never_says_200_to_who_only_claims_to_speak_grpc() {
    for (method, version) in [("GET", http::Version::HTTP_2), ("POST", http::Version::HTTP_11)] {
        for (given, status) in [(bare(), 401), (get(&token("read")), 403)] {
            let mut request = given;
            *request.method_mut() = method.parse().unwrap();
            *request.version_mut() = version;
            *request.uri_mut() = "/books.Books/List".parse().unwrap();
            request.headers_mut().insert(header::CONTENT_TYPE, "application/grpc".parse().unwrap());
            let service = (TokenLayer::new(api()), ScopeLayer::new("write")).layer(hello());
            let response = service.oneshot(request).await.unwrap();
            assert_eq!(response.status(), status, "{method} {version:?}");
            assert_eq!(field(&response, "grpc-status"), None);
        }
    }
}

#[tokio::test]
async fn an_issuer_out_of_reach_is_a_503_that_says_when_to_come_back() {
    let (log, _guard) = Log::listen();
    let issuer = SlowIssuer::new(false);
    issuer.answer();
    let response = ask(&TokenLayer::new(issuer.api()), get(&SlowIssuer::token())).await;
    assert_eq!(response.status(), 503);
    assert_eq!(field(&response, header::WWW_AUTHENTICATE), None);
    let seconds: u64 = field(&response, header::RETRY_AFTER).unwrap().parse().unwrap();
    assert!(seconds >= 1);
    let refusals: Vec<_> = log.lines().into_iter().filter(|line| line.contains("request refused")).collect();
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    assert!(refusals[0].starts_with("WARN"), "{refusals:?}");
}

#[tokio::test]
async fn a_rule_asks_for_a_scope_and_says_which() {
    let layer = TokenLayer::new(api()).allow_anonymous();
    let service = (layer, ScopeLayer::new("read:users")).layer(hello());
    for (request, status, challenge) in [
        (get(&token("a read:users")), 200, None),
        (
            get(&token("read:user")),
            403,
            Some(
                r#"Bearer realm="books", error="insufficient_scope", error_description="the access token lacks a scope that is needed here", scope="read:users""#,
            ),
        ),
        (bare(), 401, Some(r#"Bearer realm="books""#)),
    ] {
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!((response.status().as_u16(), field(&response, header::WWW_AUTHENTICATE)), (status, challenge));
    }
}

#[tokio::test]
async fn a_rule_without_its_layer_is_a_500_and_the_log_names_the_layer() {
    let (log, _guard) = Log::listen();
    let response = ScopeLayer::new("read").layer(hello()).oneshot(get(&token("read"))).await.unwrap();
    assert_eq!((response.status().as_u16(), field(&response, header::WWW_AUTHENTICATE)), (500, None));
    assert!(!text(response).await.contains("TokenLayer"));
    let lines = log.lines();
    assert!(lines.len() == 1 && lines[0].starts_with("ERROR") && lines[0].contains("TokenLayer"), "{lines:?}");
}

#[tokio::test]
async fn a_refusal_is_logged_once_whoever_refuses_and_never_with_the_token() {
    let canary = get("canary.canary.canary");
    let inner = (TokenLayer::new(api()), ScopeLayer::new("write"));
    let outer = TokenLayer::new(api());
    for (service, request) in [
        (
            BoxCloneSyncService::new((outer.clone(), inner.clone()).layer(hello())).map_response(drop).boxed_clone(),
            canary,
        ),
        (
            BoxCloneSyncService::new((outer.clone(), inner).layer(hello())).map_response(drop).boxed_clone(),
            get(&token("read")),
        ),
        (
            BoxCloneSyncService::new(outer.layer(refusing(ErrorKind::Inactive))).map_response(drop).boxed_clone(),
            get(&token("")),
        ),
    ] {
        let (log, _guard) = Log::listen();
        service.oneshot(request).await.unwrap();
        let lines = log.lines();
        assert!(lines.len() == 1 && lines[0].starts_with("DEBUG") && lines[0].contains("kind="), "{lines:?}");
        assert!(!lines[0].contains("canary") && !lines[0].contains("eyJ"), "{lines:?}");
    }
}

#[tokio::test]
async fn preflights_pass_and_refusals_can_be_read_by_a_page_when_cors_is_outside() {
    let service = ServiceBuilder::new()
        .layer(CorsLayer::permissive())
        .layer(TokenLayer::new(api()))
        .layer(ScopeLayer::new("write"))
        .service(hello());
    let preflight = Request::options("/")
        .header("origin", "https://page.example")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization")
        .body(String::new())
        .unwrap();
    let response = service.clone().oneshot(preflight).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("access-control-allow-headers"));

    for (mut request, status) in [(bare(), 401), (get(&token("read")), 403)] {
        request.headers_mut().insert("origin", "https://page.example".parse().unwrap());
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!((response.status().as_u16(), field(&response, "access-control-allow-origin")), (status, Some("*")));
        assert!(response.headers().contains_key(header::WWW_AUTHENTICATE));
    }
}
