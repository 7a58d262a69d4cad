//! `TypedHeader<Authorization<Bearer>>` of axum-extra beside the token layer: when both see one token, and what the header does not say.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use axum_extra::TypedHeader;
use axum_extra::headers::Authorization;
use axum_extra::headers::authorization::Bearer;
use axum_token::{Authenticated, TokenLayer};
use http::{HeaderValue, Request};
use token_core::{CsrfRule, Issuer, ResourceServer, TokenLocation};
use tower::ServiceExt as _;

use crate::{text, trusted};

// ANCHOR: handler
async fn both(Authenticated(token): Authenticated, header: Option<TypedHeader<Authorization<Bearer>>>) -> String {
    let who = token.subject().unwrap_or("a client"); // verified
    match header {
        Some(TypedHeader(Authorization(bearer))) => format!("{who} sent {}", bearer.token()), // the text that was sent
        None => format!("{who} sent no such header"),
    }
}
// ANCHOR_END: handler

async fn only_the_header(TypedHeader(Authorization(bearer)): TypedHeader<Authorization<Bearer>>) -> String {
    bearer.token().to_owned()
}

async fn send(app: Router, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
    let mut request = Request::get(path);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    (response.status().as_u16(), text(response.into_body()).await)
}

#[tokio::test]
async fn behind_the_layer_both_see_one_token_or_the_request_is_refused() {
    let (issuer, _) = trusted().await;
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let locations = [TokenLocation::authorization(), TokenLocation::cookie("access", CsrfRule::same_origin())];
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).token_locations(locations).build().unwrap();
    let app = Router::new()
        .route("/", get(both))
        .route("/header", get(only_the_header))
        .layer(TokenLayer::new(api).allow_anonymous());
    let token = issuer.token().subject("ada").mint();
    let (upper, lower) = (format!("Bearer {token}"), format!("bearer {token}"));
    let cookie = format!("access={token}");
    let same = format!("ada sent {token}");
    for (path, fields, status, expected) in [
        ("/", vec![("authorization", &*upper)], 200, Some(&*same)),
        // The scheme has no case (RFC 9110 section 11.1).
        ("/", vec![("authorization", &*lower)], 200, Some(&*same)),
        ("/", vec![("cookie", &*cookie)], 200, Some("ada sent no such header")),
        // The header alone would do for axum-extra; who reads it alone lets a stranger's text in.
        ("/", vec![("authorization", "Bearer junk")], 401, None),
        ("/header", vec![("authorization", "Bearer junk")], 401, None),
        ("/", vec![("authorization", &*upper), ("authorization", &*upper)], 400, None),
        ("/", vec![("authorization", &*upper), ("authorization", "Bearer junk")], 400, None),
        ("/", vec![], 401, None),
        ("/header", vec![], 400, None),
        ("/header", vec![("cookie", &*cookie)], 400, None),
    ] {
        let (got, body) = send(app.clone(), path, &fields).await;
        let row =
            format!("{path} {:?}: {body}", fields.iter().map(|(name, value)| (name, value.len())).collect::<Vec<_>>());
        assert_eq!(got, status, "{row}");
        if let Some(expected) = expected {
            assert_eq!(body, expected, "{row}");
        }
    }
}

#[tokio::test]
async fn without_the_layer_the_header_is_what_a_stranger_wrote_and_our_extractor_is_a_500() {
    let app = Router::new().route("/", get(both)).route("/header", get(only_the_header));
    let junk = [("authorization", "Bearer junk")];
    assert_eq!(send(app.clone(), "/header", &junk).await, (200, "junk".to_owned()));
    // The scheme of bound tokens (RFC 9449) is another one.
    assert_eq!(send(app.clone(), "/header", &[("authorization", "DPoP junk")]).await.0, 400);
    let (status, body) = send(app, "/", &junk).await;
    assert_eq!(status, 500);
    assert!(!body.contains("junk"), "{body}");
}

/// The reason for the guide's warning. The field's own value keeps the promise that the type does not.
#[test]
fn the_header_prints_its_token_even_where_the_field_is_marked_as_sensitive() {
    use axum_extra::headers::Header as _;

    let mut value = HeaderValue::from_static("Bearer canary");
    value.set_sensitive(true);
    assert_eq!(format!("{value:?}"), "Sensitive");
    let header = Authorization::<Bearer>::decode(&mut [&value].into_iter()).unwrap();
    assert!(format!("{header:?}").contains("canary"));
}
