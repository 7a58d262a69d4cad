//! An `Error` of the gate in, an actix-web response with the table's status and fields out (RFC 6750 section 3, RFC 9110 section 10.2.3).

use std::fmt;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use token_core::{Answer, Error, ErrorKind, adapter::Refusals};

/// Why an extractor or a handler does not go on. It answers as the [`TokenMiddleware`](crate::TokenMiddleware) does, which also logs
/// it and writes its body where [`TokenMiddleware::rejection`](crate::TokenMiddleware::rejection) says how.
///
/// ```
/// use actix_token::{Authenticated, Rejection};
///
/// #[actix_web::delete("/users/{id}")]
/// async fn delete(Authenticated(token): Authenticated) -> Result<&'static str, Rejection> {
///     token.require(&"delete:users".into())?;
///     Ok("gone")
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Rejection(Error);

impl Rejection {
    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind()
    }

    /// The error itself.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.0
    }
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        rejection.0
    }
}

impl ResponseError for Rejection {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.kind().status()).expect("the table holds statuses of three digits and nothing else")
    }

    fn error_response(&self) -> HttpResponse {
        respond(&self.0, &Refusals::default())
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Rejection {}

/// The answer to `error`. The error itself goes along in the response's extensions.
pub(crate) fn respond(error: &Error, refusals: &Refusals) -> HttpResponse {
    let answer = refusals.answer(error);
    let fields: Vec<_> = answer.fields().collect();
    let mut response = HttpResponse::with_body(Rejection(error.clone()).status_code(), BoxBody::new(answer.body));
    for (name, value) in fields {
        let value = HeaderValue::try_from(value).expect("challenges, nonces and seconds are printable ASCII");
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    set_content_type(response.headers_mut(), answer.content_type);
    response.extensions_mut().insert(error.clone());
    response
}

/// The nonce for the client's next proof, and that a script may read it; no cache hands it out again, unless the application says otherwise (RFC 9449
/// section 8.2).
pub(crate) fn renew(nonce: &str, headers: &mut HeaderMap) {
    let value = HeaderValue::try_from(nonce).expect("nonces are base64url");
    headers.insert(HeaderName::from_static(Answer::DPOP_NONCE), value);
    if !headers.contains_key(header::ACCESS_CONTROL_EXPOSE_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(Answer::EXPOSED));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(Answer::CACHE_CONTROL));
    }
}

fn set_content_type(headers: &mut HeaderMap, content_type: &'static str) {
    // A media type that no field can carry is left out; the text of the body still goes.
    headers.remove(header::CONTENT_TYPE);
    if let Ok(value) = HeaderValue::from_str(content_type) {
        headers.insert(header::CONTENT_TYPE, value);
    }
}

/// A response on its way out. If it is a refusal by an extractor, a guard or a handler, it is logged, and a default body makes way
/// for the operator's; a body that somebody wrote on purpose stays.
pub(crate) fn pass<B: MessageBody>(
    response: ServiceResponse<B>,
    refusals: &Refusals,
) -> ServiceResponse<EitherBody<B>> {
    let error = response.response().extensions().get::<Error>().cloned();
    let Some(error) = error else {
        return response.map_into_left_body();
    };
    error.log();
    let untouched = response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == Answer::CONTENT_TYPE);
    match refusals.body(&error) {
        Some((content_type, text)) if untouched => {
            let mut response = response.map_body(|_, _| EitherBody::right(BoxBody::new(text)));
            set_content_type(response.headers_mut(), content_type);
            response.headers_mut().remove(header::CONTENT_LENGTH);
            response
        }
        _ => response.map_into_left_body(),
    }
}
