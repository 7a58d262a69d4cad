//! A request of the `http` crate in, the gate's borrowed view of it out.

use std::net::IpAddr;

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Extensions, HeaderMap, Method, Request, Uri};
use token_core::adapter::{ClientCertificate, PeerAddress, ProofMark, RequestView};

/// A request of the `http` crate as the gate sees it, for those who ask the gate by hand.
///
/// ```
/// use token_core::adapter::RequestView;
/// use tower_token::View;
///
/// let request = http::Request::get("/users?page=2").body(())?;
/// assert_eq!(View::from(&request).path_and_query(), "/users?page=2");
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct View<'r> {
    method: &'r Method,
    uri: &'r Uri,
    headers: &'r HeaderMap,
    extensions: &'r Extensions,
}

impl<'r, B> From<&'r Request<B>> for View<'r> {
    fn from(request: &'r Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }
}

impl<'r> From<&'r Parts> for View<'r> {
    fn from(parts: &'r Parts) -> Self {
        Self { method: &parts.method, uri: &parts.uri, headers: &parts.headers, extensions: &parts.extensions }
    }
}

/// What `axum::serve` and tonic say of the other end of the connection, or a [`PeerAddress`] that somebody else has noted.
pub(crate) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    if let Some(PeerAddress(address)) = extensions.get() {
        return Some(*address);
    }
    #[cfg(feature = "axum")]
    if let Some(axum::extract::ConnectInfo(address)) =
        extensions.get::<axum::extract::ConnectInfo<std::net::SocketAddr>>()
    {
        return Some(address.ip());
    }
    None
}

impl RequestView for View<'_> {
    fn method(&self) -> &str {
        self.method.as_str()
    }

    fn path_and_query(&self) -> &str {
        self.uri.path_and_query().map_or("", |target| target.as_str())
    }

    #[cfg(feature = "axum")]
    fn target(&self) -> &str {
        let original = self.extensions.get::<axum::extract::OriginalUri>().map_or(self.uri, |original| &original.0);
        original.path_and_query().map_or("", |target| target.as_str())
    }

    fn scheme(&self) -> Option<&str> {
        self.uri.scheme_str()
    }

    fn peer(&self) -> Option<IpAddr> {
        peer(self.extensions)
    }

    fn client_certificate(&self) -> Option<&[u8]> {
        self.extensions.get::<ClientCertificate>().map(ClientCertificate::der)
    }

    fn proof_mark(&self) -> Option<&ProofMark> {
        self.extensions.get()
    }

    fn authority(&self) -> Option<&str> {
        self.uri.authority().map(|authority| authority.as_str())
    }

    fn header<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8])) {
        // What every request is asked for is found without a look at the letters of the name.
        let values =
            if name == "authorization" { self.headers.get_all(AUTHORIZATION) } else { self.headers.get_all(name) };
        values.iter().for_each(|value| each(value.as_bytes()));
    }
}

// Header fields hold credentials; the view shows none of them.
impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("method", self.method).field("path", &self.uri.path()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_a_field_is_seen_in_its_order_and_as_bytes() {
        let request =
            Request::get("/").header("Authorization", "one").header("authorization", &b"\xff"[..]).body(()).unwrap();
        let view = View::from(&request);
        let mut seen = Vec::new();
        view.header("authorization", &mut |value| seen.push(value));
        assert_eq!(seen, [&b"one"[..], b"\xff"]);
        assert_eq!(view.method(), "GET");
        view.header("cookie", &mut |value| panic!("no such field was sent: {value:?}"));
    }

    #[test]
    fn the_host_is_said_once_or_twice_alike_or_not_at_all() {
        let host = |uri: &str, fields: &[&str]| {
            let request = fields.iter().fold(Request::get(uri), |request, field| request.header("host", *field));
            View::from(&request.body(()).unwrap()).host().map(str::to_owned)
        };
        for (uri, fields, expected) in [
            ("/", &["a.example:8443"][..], Some("a.example:8443")),
            ("/", &[], None),
            ("/", &["a.example", "b.example"], None),
            ("https://a.example/", &[], Some("a.example")),
            ("https://a.example/", &["A.example"], Some("A.example")),
            ("https://a.example/", &["b.example"], None),
            ("https://a.example@b.example/", &[], None),
            ("/", &["a.example@b.example"], None),
        ] {
            assert_eq!(host(uri, fields).as_deref(), expected, "{uri} {fields:?}");
        }
    }

    #[test]
    fn debug_shows_no_field() {
        let request = Request::get("/a?b=c").header("authorization", "Bearer canary").body(()).unwrap();
        assert_eq!(format!("{:?}", View::from(&request)), "View { method: GET, path: \"/a\", .. }");
    }
}
