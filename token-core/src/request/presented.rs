//! A request as the gate sees it: borrowed bytes and text, so that frameworks with different HTTP types look the same.

use std::fmt;

/// A borrowed view of one request, implemented by each adapter over its framework's own types.
///
/// The gate reads credentials through it and nothing else ever does. Implementations convert, they do not decide.
pub trait RequestView {
    /// The request method, as sent: `GET`.
    fn method(&self) -> &str;

    /// Path and query of the request target, as sent: `/users?page=2`.
    fn path_and_query(&self) -> &str;

    /// Calls `each` with every value of the header field `name` (lower case), in the order received.
    fn header<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8]));

    /// The authority of the request target, where it has one: HTTP/2 and HTTP/3 requests, and those in absolute form.
    fn authority(&self) -> Option<&str> {
        None
    }

    /// Host and port that the request is for, as sent: `shop.example.com:8443` (RFC 9110 section 7.2). `None` when that is not said, or said
    /// twice and differently. It is the client's word, and behind a proxy what the proxy made of it.
    fn host(&self) -> Option<&str> {
        let (mut field, mut fields) = (None, 0_usize);
        self.header("host", &mut |value| {
            fields += 1;
            field = Some(value);
        });
        let field = field.map(std::str::from_utf8);
        match (self.authority(), field, fields) {
            (Some(authority), None, _) => Some(authority),
            (None, Some(Ok(field)), 1) => Some(field),
            (Some(authority), Some(Ok(field)), 1) if authority.eq_ignore_ascii_case(field) => Some(field),
            _ => None,
        }
        .filter(|host| !host.contains('@'))
    }

    /// The client's certificate in DER, when the TLS layer under the framework hands one up.
    fn client_certificate(&self) -> Option<&[u8]> {
        None
    }
}

/// What was presented to the gate: a request to look through, or a bare token from somewhere else.
#[derive(Clone, Copy)]
pub struct Presented<'a>(pub(crate) Source<'a>);

#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    Request(&'a dyn RequestView),
    Token(&'a str),
}

impl<'a> Presented<'a> {
    /// A request; the gate finds the credentials in it by the resource server's rules.
    #[must_use]
    pub fn request(view: &'a dyn RequestView) -> Self {
        Self(Source::Request(view))
    }

    /// A bearer token that was taken from somewhere else: a message queue, a command line, a test.
    ///
    /// ```
    /// # use token_core::Presented;
    /// let presented = Presented::token("eyJhbGciOi…");
    /// assert_eq!(format!("{presented:?}"), "Presented(token)");
    /// ```
    #[must_use]
    pub fn token(token: &'a str) -> Self {
        Self(Source::Token(token))
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Request(_) => "Presented(request)",
            Source::Token(_) => "Presented(token)",
        })
    }
}
