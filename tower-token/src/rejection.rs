//! An `Error` in, an HTTP response with the table's status and fields out (RFC 6750 section 3, RFC 9110 sections 10.2.3 and 11.6.1).

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use token_core::{Answer, Error, adapter::Refusals};

use crate::body::ResponseBody;
use crate::grpc;

/// The answer to `error` with the default body. The error itself goes along in the response's extensions, where a
/// [`TokenLayer`](crate::TokenLayer) outside finds it, logs it and writes the operator's body.
///
/// ```
/// use token_core::{Error, ErrorKind};
///
/// let response = tower_token::rejection(&Error::new(ErrorKind::MissingToken, "nothing was sent"));
/// assert_eq!(response.status(), 401);
/// assert_eq!(response.headers()["www-authenticate"], "Bearer");
/// assert!(response.extensions().get::<Error>().is_some());
/// ```
#[must_use]
pub fn rejection(error: &Error) -> Response<String> {
    http(error, error.answer())
}

fn http(error: &Error, answer: Answer) -> Response<String> {
    let mut response = Response::new(answer.body);
    *response.status_mut() =
        StatusCode::from_u16(answer.status).expect("the table holds statuses of three digits and nothing else");
    set_content_type(response.headers_mut(), answer.content_type);
    attach(error, &mut response);
    response
}

/// What goes with every refusal, whatever its body and status: the challenge, the time to come back, the error itself.
fn attach<B>(error: &Error, response: &mut Response<B>) {
    for (name, value) in error.answer().fields() {
        let value = HeaderValue::try_from(value).expect("challenges, nonces and seconds are printable ASCII");
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response.extensions_mut().insert(error.clone());
}

/// The nonce for the client's next proof, and that a script may read it; no cache hands it out again, unless the application says otherwise (RFC 9449
/// section 8.2).
pub(crate) fn renew(nonce: &str, headers: &mut HeaderMap) {
    let value = HeaderValue::try_from(nonce).expect("nonces are base64url");
    headers.insert(HeaderName::from_static(Answer::DPOP_NONCE), value);
    let exposed = HeaderValue::from_static(Answer::EXPOSED);
    headers.entry(header::ACCESS_CONTROL_EXPOSE_HEADERS).or_insert(exposed);
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static(Answer::CACHE_CONTROL));
}

fn set_content_type(headers: &mut HeaderMap, content_type: &'static str) {
    // A media type that no field can carry is left out; the text of the body still goes.
    headers.remove(header::CONTENT_TYPE);
    if let Ok(value) = HeaderValue::from_str(content_type) {
        headers.insert(header::CONTENT_TYPE, value);
    }
}

/// A request that does not go on, and in which words its sender is told.
#[derive(Debug)]
pub(crate) struct Refusal {
    error: Error,
    grpc: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn new<B>(error: Error, request: &Request<B>) -> Self {
        Self { error, grpc: grpc::media_type(request) }
    }

    pub(crate) fn log(&self) {
        self.error.log();
    }

    pub(crate) fn response<R>(self, refusals: &Refusals) -> Response<ResponseBody<R>> {
        match self.grpc {
            Some(media_type) => {
                let mut response = grpc::trailers_only(&self.error, media_type).map(|()| ResponseBody::default());
                attach(&self.error, &mut response);
                response
            }
            None => http(&self.error, refusals.answer(&self.error)).map(ResponseBody::text),
        }
    }
}

/// A response on its way out. If it is a refusal by an extractor, a guard or a handler, it is logged, and a default body makes way
/// for the operator's; a body that somebody wrote on purpose stays.
pub(crate) fn pass<R>(response: Response<R>, refusals: &Refusals) -> Response<ResponseBody<R>> {
    let Some(error) = response.extensions().get::<Error>().cloned() else {
        return response.map(ResponseBody::inner);
    };
    error.log();
    let untouched = response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == Answer::CONTENT_TYPE);
    match refusals.body(&error) {
        Some((content_type, text)) if untouched => {
            let mut response = response.map(|_| ResponseBody::text(text));
            set_content_type(response.headers_mut(), content_type);
            response.headers_mut().remove(header::CONTENT_LENGTH);
            response
        }
        _ => response.map(ResponseBody::inner),
    }
}
