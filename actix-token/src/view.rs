//! An actix-web request in, the gate's borrowed view of it out. actix-web has HTTP types of its own.

use std::fmt;
use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use token_core::adapter::{ClientCertificate, ProofMark, RequestView};

/// An actix-web request as the gate sees it, for those who ask the gate by hand.
///
/// ```
/// use actix_token::View;
/// use actix_token::token_core::adapter::RequestView;
///
/// let request = actix_web::test::TestRequest::with_uri("/users?page=2").to_http_request();
/// assert_eq!(View::from(&request).path_and_query(), "/users?page=2");
/// ```
#[derive(Clone, Copy)]
pub struct View<'r>(&'r HttpRequest, Option<&'r ProofMark>);

impl<'r> From<&'r HttpRequest> for View<'r> {
    fn from(request: &'r HttpRequest) -> Self {
        Self(request, None)
    }
}

impl<'r> View<'r> {
    /// The request's extensions can be lent to nobody, so the mark comes beside it.
    pub(crate) fn with_mark(request: &'r HttpRequest, mark: Option<&'r ProofMark>) -> Self {
        Self(request, mark)
    }
}

impl RequestView for View<'_> {
    fn method(&self) -> &str {
        self.0.method().as_str()
    }

    fn path_and_query(&self) -> &str {
        self.0.uri().path_and_query().map_or("", |target| target.as_str())
    }

    fn scheme(&self) -> Option<&str> {
        // Not that of `connection_info`, which believes header fields of whoever sends them.
        Some(if self.0.app_config().secure() { "https" } else { self.0.uri().scheme_str()? })
    }

    fn peer(&self) -> Option<IpAddr> {
        self.0.peer_addr().map(|address| address.ip())
    }

    fn client_certificate(&self) -> Option<&[u8]> {
        self.0.conn_data::<ClientCertificate>().map(ClientCertificate::der)
    }

    fn proof_mark(&self) -> Option<&ProofMark> {
        self.1
    }

    fn authority(&self) -> Option<&str> {
        self.0.uri().authority().map(|authority| authority.as_str())
    }

    fn header<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8])) {
        let headers = self.0.headers();
        // What every request is asked for is found without a look at the letters of the name.
        let values = if name == "authorization" { headers.get_all(AUTHORIZATION) } else { headers.get_all(name) };
        values.for_each(|value| each(value.as_bytes()));
    }
}

// Header fields hold credentials; the view shows none of them.
impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("method", self.0.method()).field("path", &self.0.path()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;
    use actix_web::test::TestRequest;

    #[test]
    fn every_value_of_a_field_is_seen_in_its_order_and_as_bytes() {
        let request = TestRequest::with_uri("/a?b=c")
            .append_header(("Authorization", "one"))
            .append_header(("authorization", HeaderValue::from_bytes(b"\xff").unwrap()))
            .to_http_request();
        let view = View::from(&request);
        let mut seen = Vec::new();
        view.header("authorization", &mut |value| seen.push(value));
        assert_eq!(seen, [&b"one"[..], b"\xff"]);
        assert_eq!((view.method(), view.path_and_query()), ("GET", "/a?b=c"));
        view.header("cookie", &mut |value| panic!("no such field was sent: {value:?}"));
        assert_eq!(format!("{view:?}"), "View { method: GET, path: \"/a\", .. }");
    }
}
