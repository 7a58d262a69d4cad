//! A question in HTTP in, the decision in HTTP out: nginx `auth_request`, Caddy's and Traefik's forward auth, Envoy's HTTP `ext_authz`.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode, Uri};

use super::body::Body;
use crate::decision::onward::Authorization;
use crate::decision::question::{Fields, Question};
use crate::decision::refusal::{Answer, Refusal};
use crate::decision::{InForce, Passed};
use crate::doors::DPOP_NONCE;

/// The status of a refusal once more: nginx turns all but 401 and 403 into 500, and its configuration reads it from here.
const STATUS: HeaderName = HeaderName::from_static("token-gate-status");
/// The body of a refusal, which nginx drops.
const BODY: HeaderName = HeaderName::from_static("token-gate-body");
/// What Envoy takes off the request.
const REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");

/// How a proxy says what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// `X-Original-Method`, `X-Original-URI` and `X-Original-Host`, as our nginx and HAProxy configurations set them.
    AuthRequest,
    /// `X-Forwarded-Method`, `X-Forwarded-Uri` and `X-Forwarded-Host`, as Caddy and Traefik set them.
    ForwardAuth,
    /// The question is the client's request, its path behind a prefix.
    ExtAuthz,
}

impl Door {
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        match uri.path() {
            "/auth-request" => Some(Self::AuthRequest),
            "/forward-auth" => Some(Self::ForwardAuth),
            path if path.starts_with(EXT_AUTHZ) => Some(Self::ExtAuthz),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::AuthRequest => "auth_request",
            Self::ForwardAuth => "forward_auth",
            Self::ExtAuthz => "ext_authz_http",
        }
    }
}

const EXT_AUTHZ: &str = "/ext-authz";

pub(crate) async fn answer<B>(
    door: Door,
    rules: &InForce,
    peer: Option<IpAddr>,
    request: &Request<B>,
) -> Response<Body> {
    match rules.decide(door.name(), peer, question(door, request)).await {
        Ok(passed) => pass(door, passed),
        Err(refusal) => refuse(door, refusal.answer()),
    }
}

fn question<B>(door: Door, request: &Request<B>) -> Result<Question<'_>, Refusal> {
    let fields = request.headers();
    let (method, target, host, scheme) = match door {
        Door::AuthRequest => (
            one(
                fields,
                "x-original-method",
                "expected one X-Original-Method: is `proxy_set_header X-Original-Method $request_method;` missing?",
            )?,
            one(
                fields,
                "x-original-uri",
                "expected one X-Original-URI: is `proxy_set_header X-Original-URI $request_uri;` missing?",
            )?,
            optional(fields, "x-original-host")?,
            optional(fields, "x-original-scheme")?,
        ),
        Door::ForwardAuth => (
            one(fields, "x-forwarded-method", "expected one X-Forwarded-Method, as Caddy and Traefik send it")?,
            one(fields, "x-forwarded-uri", "expected one X-Forwarded-Uri, as Caddy and Traefik send it")?,
            optional(fields, "x-forwarded-host")?,
            optional(fields, "x-forwarded-proto")?,
        ),
        Door::ExtAuthz => {
            let target = request.uri().path_and_query().map_or("", |target| target.as_str());
            let authority = request.uri().authority().map(http::uri::Authority::as_str);
            (
                request.method().as_str(),
                target.strip_prefix(EXT_AUTHZ).unwrap_or_default(),
                authority.or(optional(fields, "host")?),
                None,
            )
        }
    };
    Ok(Question { method, target, host, scheme, fields: Fields::Map(fields), peer: None })
}

/// The one field of this name. Two are not one: then somebody besides the proxy has written one.
fn one<'a>(fields: &'a HeaderMap, name: &str, missing: &'static str) -> Result<&'a str, Refusal> {
    optional(fields, name)?.ok_or(Refusal::Question(missing))
}

fn optional<'a>(fields: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut values = fields.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) if value.is_empty() => Ok(None),
        (Some(value), None) => match std::str::from_utf8(value.as_bytes()) {
            Ok(text) => Ok(Some(text)),
            // The client's bytes, not the proxy's fault.
            Err(_) => Err(Refusal::Path(crate::decision::path::Unclear::Character)),
        },
        (Some(_), Some(_)) => {
            Err(Refusal::Question("expected one field that says what was asked, got two of one name"))
        }
    }
}

fn pass(door: Door, passed: Passed) -> Response<Body> {
    // 200, since Envoy takes nothing else for a yes.
    let mut response = Response::new(Body::default());
    let headers = response.headers_mut();
    for (name, value) in passed.set {
        headers.insert(name, value);
    }
    // The proof belongs to the client's token.
    let removed = match passed.authorization {
        Authorization::Kept => None,
        Authorization::Removed => Some("authorization,dpop"),
        Authorization::Replaced(value) => {
            headers.insert(header::AUTHORIZATION, value);
            Some("dpop")
        }
    };
    if let (Door::ExtAuthz, Some(removed)) = (door, removed) {
        headers.insert(REMOVE, HeaderValue::from_static(removed));
    }
    if let Some(nonce) = passed.nonce {
        headers.insert(DPOP_NONCE, nonce);
    }
    response
}

fn refuse(door: Door, answer: Answer) -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    for (name, value) in answer.fields() {
        headers.insert(name, value);
    }
    if door == Door::AuthRequest {
        headers.insert(STATUS, HeaderValue::from(answer.status));
        if let Ok(body) = HeaderValue::from_str(&answer.body) {
            headers.insert(BODY, body);
        }
    }
    *response.body_mut() = match answer.body {
        std::borrow::Cow::Borrowed(text) => Body::text(text),
        std::borrow::Cow::Owned(text) => Body::text(text),
    };
    response
}

impl Answer {
    /// The header fields of a refusal.
    pub(super) fn fields(&self) -> Vec<(HeaderName, HeaderValue)> {
        let mut fields = vec![(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type))];
        // What is no text of a header cannot be: challenges escape the realm.
        let written = self
            .fields
            .iter()
            .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?)));
        fields.extend(written);
        fields
    }
}
