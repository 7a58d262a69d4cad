//! The API as a plain tower service, and the conversions that axum shares with it.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::Full;
use token_core::{Required, ResourceServer, Verified};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_token::{Outcome, ScopeLayer, TokenLayer};

use super::{Answer, Ask, ReadUsers, Reply};

pub(super) fn request(ask: &Ask) -> http::Request<()> {
    let mut request = http::Request::builder().method(&ask.method).uri(&*ask.path);
    for (name, value) in &ask.headers {
        request = request.header(name, http::HeaderValue::from_bytes(value).expect("a value that HTTP can carry"));
    }
    request.body(()).expect("a request that HTTP can carry")
}

pub(super) async fn reply<B>(response: http::Response<B>) -> Reply
where
    B: http_body_util::BodyExt,
    B::Error: std::fmt::Debug,
{
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a body that ends").to_bytes();
    let header =
        |name: &str| parts.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Reply {
        status: parts.status.as_u16(),
        challenge: header("www-authenticate"),
        retry_after: header("retry-after"),
        explanation: header(Answer::EXPLANATION),
        dpop_nonce: header(Answer::DPOP_NONCE),
        exposed: header("access-control-expose-headers"),
        cache_control: header("cache-control"),
        content_type: header("content-type"),
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

/// A handler without extractors: it reads the one extension that the layer writes.
async fn handle(request: http::Request<()>) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let answer = tower_token::outcome(request.extensions()).and_then(|caller| match (request.uri().path(), caller) {
        ("/me", caller) => subject(caller.verified()?),
        ("/users", _) => Ok("everybody".to_owned()),
        ("/id", caller) => caller.id_token().map(|_| "somebody".to_owned()),
        ("/maybe", Outcome::Anonymous(_)) => Ok("nobody".to_owned()),
        (_, caller) => caller.verified().map(|_| "somebody".to_owned()),
    });
    Ok(match answer {
        Ok(text) => http::Response::new(Full::from(text)),
        Err(error) => tower_token::rejection(&error).map(Full::from),
    })
}

fn subject(token: &Verified) -> Result<String, token_core::Error> {
    #[derive(serde::Deserialize)]
    struct User {
        sub: String,
    }
    Ok(token.claims::<User>()?.sub.clone())
}

pub(super) async fn ask(api: &ResourceServer, anonymous: bool, ask: &Ask) -> Reply {
    let mut layer = TokenLayer::new(api.clone());
    if anonymous {
        layer = layer.allow_anonymous();
    }
    let service = ServiceBuilder::new().layer(layer);
    if ask.path.split('?').next() == Some("/users") {
        let guarded = service.layer(ScopeLayer::new(ReadUsers::RULE)).service(service_fn(handle));
        reply(guarded.oneshot(request(ask)).await.expect("an infallible service")).await
    } else {
        reply(service.service(service_fn(handle)).oneshot(request(ask)).await.expect("an infallible service")).await
    }
}
