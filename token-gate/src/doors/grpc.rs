//! Envoy's question over gRPC in, the decision as Envoy reads it out (`envoy.service.auth.v3.Authorization/Check`).

use std::net::IpAddr;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use prost::Message;

use super::body::Body;
use super::messages::{
    CheckRequest, CheckResponse, DeniedHttpResponse, HeaderValue as Value, HeaderValueOption, HttpRequest, HttpStatus,
    OkHttpResponse, Status,
};
use crate::decision::onward::Authorization;
use crate::decision::question::{Fields, Question};
use crate::decision::refusal::Refusal;
use crate::decision::{InForce, Passed};
use crate::doors::DPOP_NONCE;

/// The path of the one method.
pub(crate) const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
/// The path of gRPC's own health check, for Envoy's and Kubernetes' probes.
pub(crate) const HEALTH: &str = "/grpc.health.v1.Health/Check";
/// The longest question, in bytes: header fields and, if Envoy is told to send it, the start of a body.
const LONGEST: usize = 256 * 1024;
/// How long a question may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);
/// The prefix of a gRPC message: whether it is compressed, and its length.
const PREFIX: usize = 5;

const INVALID_ARGUMENT: u8 = 3;
const OVERWRITE_IF_EXISTS_OR_ADD: i32 = 2;

pub(crate) async fn check(rules: &InForce, peer: Option<IpAddr>, request: Request<Incoming>) -> Response<Body> {
    if rules.is_stranger(peer) {
        // Before anything of theirs is kept.
        let refused = rules.decide("ext_authz_grpc", peer, Err(Refusal::Stranger)).await;
        return message(&refused.map_or_else(|refusal| refuse(&refusal), pass));
    }
    let Some(asked) = read(request.into_body()).await else {
        // Envoy takes a failed call for a refusal, unless it was told to fail open.
        tracing::error!(name: "gate.refused", kind = "incomplete_question", detail = "expected one uncompressed CheckRequest of at most 256 KiB, within 10 s", "question refused");
        return failed(INVALID_ARGUMENT);
    };
    let fields = fields(&asked);
    let verdict = rules.decide("ext_authz_grpc", peer, question(&asked, &fields)).await;
    message(&match verdict {
        Ok(passed) => pass(passed),
        Err(refusal) => refuse(&refusal),
    })
}

pub(crate) fn health(rules: &InForce) -> Response<Body> {
    // `status`, field 1: SERVING is 1, NOT_SERVING 2.
    framed(&[8, if rules.is_ready() { 1 } else { 2 }])
}

async fn read(body: Incoming) -> Option<HttpRequest> {
    let whole = Limited::new(body, LONGEST + PREFIX).collect();
    let body = tokio::time::timeout(ARRIVAL, whole).await.ok()?.ok()?.to_bytes();
    let (prefix, message) = body.split_at_checked(PREFIX)?;
    let length = u32::from_be_bytes(prefix[1..].try_into().ok()?);
    if prefix[0] != 0 || usize::try_from(length).ok()? != message.len() {
        return None;
    }
    CheckRequest::decode(message).ok()?.attributes?.request?.http
}

/// The client's header fields, by names in lower case.
fn fields(asked: &HttpRequest) -> Vec<(&str, &[u8])> {
    match &asked.header_map {
        Some(map) => map
            .headers
            .iter()
            .map(|one| (&*one.key, if one.raw_value.is_empty() { &one.value[..] } else { &one.raw_value }))
            .collect(),
        None => asked.headers.iter().map(|one| (&*one.key, &one.value[..])).collect(),
    }
}

fn question<'a>(asked: &'a HttpRequest, fields: &'a [(&'a str, &'a [u8])]) -> Result<Question<'a>, Refusal> {
    if asked.method.is_empty() || asked.path.is_empty() {
        return Err(Refusal::Question("expected method and path in the CheckRequest"));
    }
    let host = Some(&*asked.host).filter(|host| !host.is_empty());
    let scheme = Some(&*asked.scheme).filter(|scheme| !scheme.is_empty());
    let fields = Fields::Listed(fields);
    Ok(Question { method: &asked.method, target: &asked.path, host, scheme, fields, peer: None })
}

fn pass(passed: Passed) -> CheckResponse {
    let mut headers: Vec<_> = passed.set.iter().map(|(name, value)| set(name, value)).collect();
    // The proof belongs to the client's token.
    let removed: &[&str] = match &passed.authorization {
        Authorization::Kept => &[],
        Authorization::Removed => &["authorization", "dpop"],
        Authorization::Replaced(value) => {
            headers.push(set(&header::AUTHORIZATION, value));
            &["dpop"]
        }
    };
    let response_headers_to_add = passed.nonce.iter().map(|nonce| set(&DPOP_NONCE, nonce)).collect();
    let headers_to_remove = removed.iter().map(|name| (*name).to_owned()).collect();
    CheckResponse {
        status: Some(Status { code: 0 }),
        denied_response: None,
        ok_response: Some(OkHttpResponse { headers, headers_to_remove, response_headers_to_add }),
    }
}

fn refuse(refusal: &Refusal) -> CheckResponse {
    let answer = refusal.answer();
    let code = match answer.status {
        400 => 3,
        401 => 16,
        403 => 7,
        503 => 14,
        _ => 13,
    };
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: answer.status.into() }),
        headers: answer.fields().iter().map(|(name, value)| set(name, value)).collect(),
        body: answer.body.into_owned(),
    };
    CheckResponse { status: Some(Status { code }), denied_response: Some(denied), ok_response: None }
}

fn set(name: &HeaderName, value: &HeaderValue) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(Value { key: name.as_str().to_owned(), value: Bytes::copy_from_slice(value.as_bytes()) }),
        append_action: OVERWRITE_IF_EXISTS_OR_ADD,
        keep_empty_value: true,
    }
}

fn message(message: &CheckResponse) -> Response<Body> {
    framed(&message.encode_to_vec())
}

fn framed(message: &[u8]) -> Response<Body> {
    let mut frame = BytesMut::with_capacity(PREFIX + message.len());
    frame.put_u8(0);
    // A refusal and a few header fields: nowhere near 4 GiB.
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    grpc(Body::message(frame.freeze(), trailers))
}

fn failed(status: u8) -> Response<Body> {
    let mut response = grpc(Body::default());
    response.headers_mut().insert("grpc-status", HeaderValue::from(u16::from(status)));
    response
}

fn grpc(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
