//! A refusal as a gRPC client reads it: trailers only, inside a 200 (gRPC over HTTP/2, "Responses").

use http::{HeaderMap, HeaderValue, Response, header};
use token_core::Error;

const STATUS: &str = "grpc-status";
const MESSAGE: &str = "grpc-message";

/// The media type to answer a gRPC request with; `None` when the request is not gRPC.
pub(crate) fn media_type(request: &HeaderMap) -> Option<&'static str> {
    let sent = request.get(header::CONTENT_TYPE)?.as_bytes();
    let essence = sent.split(|byte| matches!(byte, b'+' | b';' | b' ')).next()?;
    // What is answered is ours and never an echo.
    [
        ("application/grpc", "application/grpc"),
        ("application/grpc-web", "application/grpc-web+proto"),
        ("application/grpc-web-text", "application/grpc-web-text+proto"),
    ]
    .into_iter()
    .find_map(|(asked, answered)| essence.eq_ignore_ascii_case(asked.as_bytes()).then_some(answered))
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

    #[test]
    fn grpc_is_told_by_its_media_type_alone() {
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
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_str(sent).unwrap())]);
            assert_eq!(media_type(&headers), expected, "{sent}");
        }
        assert_eq!(media_type(&HeaderMap::new()), None);
    }

    #[test]
    fn a_message_is_percent_encoded_byte_by_byte() {
        assert_eq!(percent_encoded("100% of\n\u{e9}\u{7f}~"), "100%25 of%0A%C3%A9%7F~");
    }
}
