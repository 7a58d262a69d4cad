//! A refusal as a gRPC client reads it: trailers only, inside a 200 (gRPC over HTTP/2, "Responses").

use http::{HeaderValue, Method, Request, Response, Version, header};
use token_core::Error;

const STATUS: &str = "grpc-status";
const MESSAGE: &str = "grpc-message";

/// The media type to answer a gRPC request with; `None` when the request is not gRPC.
///
/// The answer has HTTP status 200, which a proxy that asks for permission reads as consent: nginx's `auth_request`, for one. So the
/// media type, which any client can write, is not enough. A gRPC call is a POST over HTTP/2 to `/service/method`; gRPC-Web is the same
/// over any version.
pub(crate) fn media_type<B>(request: &Request<B>) -> Option<&'static str> {
    let sent = request.headers().get(header::CONTENT_TYPE)?.as_bytes();
    let essence = sent.split(|byte| matches!(byte, b'+' | b';' | b' ')).next()?;
    // What is answered is ours and never an echo.
    let (_, answered, http2_only) = [
        ("application/grpc", "application/grpc", true),
        ("application/grpc-web", "application/grpc-web+proto", false),
        ("application/grpc-web-text", "application/grpc-web-text+proto", false),
    ]
    .into_iter()
    .find(|(asked, ..)| essence.eq_ignore_ascii_case(asked.as_bytes()))?;
    let is_call = request.method() == Method::POST && names_a_method(request.uri().path());
    (is_call && (!http2_only || request.version() == Version::HTTP_2)).then_some(answered)
}

/// `/service/method`: two segments, neither of them empty.
fn names_a_method(path: &str) -> bool {
    let segments = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    segments.is_some_and(|(service, method)| !service.is_empty() && !method.is_empty() && !method.contains('/'))
}

/// The answer without its body. The challenge and the time to come back travel as metadata.
pub(crate) fn trailers_only(error: &Error, media_type: &'static str) -> Response<()> {
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(STATUS, HeaderValue::from(u16::from(error.kind().grpc_status())));
    let message = percent_encoded(error.kind().public_text());
    headers.insert(MESSAGE, HeaderValue::from_str(&message).expect("percent encoding leaves printable ASCII only"));
    response
}

/// `Percent-Byte-Encoded`: printable ASCII, blanks too, but not `%`, stands for itself.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' | ..0x20 | 0x7f.. => encoded.push_str(&format!("%{byte:02X}")),
            _ => encoded.push(char::from(byte)),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(content_type: &str) -> Request<()> {
        let call = Request::post("/grpc.health.v1.Health/Check").version(Version::HTTP_2);
        call.header(header::CONTENT_TYPE, content_type).body(()).unwrap()
    }

    #[test]
    fn a_grpc_call_is_answered_in_the_media_type_of_its_kind() {
        for (sent, expected) in [
            ("application/grpc", Some("application/grpc")),
            ("application/grpc+proto", Some("application/grpc")),
            ("Application/GRPC; charset=x", Some("application/grpc")),
            ("application/grpc-web", Some("application/grpc-web+proto")),
            ("application/grpc-web+json", Some("application/grpc-web+proto")),
            ("application/grpc-web-text+proto", Some("application/grpc-web-text+proto")),
            ("application/grpcx", None),
            ("application/json", None),
            ("", None),
        ] {
            assert_eq!(media_type(&call(sent)), expected, "{sent}");
        }
        let mut silent = call("application/grpc");
        silent.headers_mut().clear();
        assert_eq!(media_type(&silent), None);
    }

    #[test]
    fn a_request_that_is_no_call_is_not_answered_with_200_whatever_its_media_type_says() {
        for (method, version, path, grpc, web) in [
            ("POST", Version::HTTP_2, "/a.B/C", true, true),
            ("POST", Version::HTTP_11, "/a.B/C", false, true),
            ("POST", Version::HTTP_10, "/a.B/C", false, true),
            ("GET", Version::HTTP_2, "/a.B/C", false, false),
            ("PUT", Version::HTTP_2, "/a.B/C", false, false),
            ("POST", Version::HTTP_2, "/users", false, false),
            ("POST", Version::HTTP_2, "/", false, false),
            ("POST", Version::HTTP_2, "/a/", false, false),
            ("POST", Version::HTTP_2, "//a", false, false),
            ("POST", Version::HTTP_2, "/a/b/c", false, false),
            ("POST", Version::HTTP_2, "*", false, false),
        ] {
            for (sent, expected) in [("application/grpc", grpc), ("application/grpc-web", web)] {
                let request = Request::builder().method(method).version(version).uri(path);
                let request = request.header(header::CONTENT_TYPE, sent).body(()).unwrap();
                assert_eq!(media_type(&request).is_some(), expected, "{method} {version:?} {path} {sent}");
            }
        }
    }

    #[test]
    fn a_message_is_percent_encoded_byte_by_byte() {
        assert_eq!(percent_encoded("100% of\n\u{e9}\u{7f}~"), "100%25 of%0A%C3%A9%7F~");
    }
}
