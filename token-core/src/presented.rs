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
