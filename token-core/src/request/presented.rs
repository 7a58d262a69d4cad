//! A request as the gate sees it: borrowed bytes and text, so that frameworks with different HTTP types look the same.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use crate::answer::challenge::DpopPolicy;
use crate::request::address::ExternalUrl;

/// A borrowed view of one request, implemented by each adapter over its framework's own types.
///
/// The gate reads credentials through it and nothing else ever does. Implementations convert, they do not decide.
pub trait RequestView {
    /// The request method, as sent: `GET`.
    fn method(&self) -> &str;

    /// Path and query of the request target, as sent: `/users?page=2`.
    fn path_and_query(&self) -> &str;

    /// The same before a router took the path of a mount point away: what the client has sent.
    fn target(&self) -> &str {
        self.path_and_query()
    }

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

    /// `http` or `https`, where the connection or the request target says it. Never what a header field says.
    fn scheme(&self) -> Option<&str> {
        None
    }

    /// The address of the other end of the connection: the client's, or that of the proxy in front.
    fn peer(&self) -> Option<IpAddr> {
        None
    }

    /// Where it is noted that the proof of this very request has been accepted, so that a second layer around the same route does not take
    /// it for a replay. An adapter keeps one with each request that has a `DPoP` field.
    fn proof_mark(&self) -> Option<&ProofMark> {
        None
    }

    /// The client's certificate in DER, when the TLS layer under the framework hands one up.
    fn client_certificate(&self) -> Option<&[u8]> {
        None
    }
}

/// The certificate that a client has shown in the TLS handshake, in DER: what an application that ends TLS itself keeps with each request or
/// connection, for the adapter to find.
#[derive(Clone)]
pub struct ClientCertificate(Arc<[u8]>);

impl ClientCertificate {
    /// The end-entity certificate, in DER: the first that rustls's `peer_certificates` names. That its chain was verified is the TLS layer's business.
    #[must_use]
    pub fn from_der(der: &[u8]) -> Self {
        Self(der.into())
    }

    /// The certificate in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientCertificate({} bytes)", self.0.len())
    }
}

/// The address of the other end of a request's connection, for adapters whose framework does not tell it by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub IpAddr);

/// Which proof was accepted with a request. A clone is the same mark.
#[derive(Clone, Debug, Default)]
pub struct ProofMark(Arc<OnceLock<[u8; 32]>>);

impl ProofMark {
    pub(crate) fn is(&self, proof: &[u8; 32]) -> bool {
        self.0.get() == Some(proof)
    }

    pub(crate) fn set(&self, proof: [u8; 32]) {
        // A request has one proof: whoever was first has noted the same.
        let _ = self.0.set(proof);
    }
}

/// What was presented to the gate: a request to look through, or a bare token from somewhere else.
#[derive(Clone, Copy)]
pub struct Presented<'a>(pub(crate) Source<'a>, pub(crate) Route<'a>);

/// What the route says that the server does not.
#[derive(Clone, Copy, Default)]
pub(crate) struct Route<'a> {
    pub(crate) policy: Option<DpopPolicy>,
    pub(crate) external_url: Option<&'a ExternalUrl>,
}

#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    Request(&'a dyn RequestView),
    Token(&'a str),
}

impl<'a> Presented<'a> {
    /// A request; the gate finds the credentials in it by the resource server's rules.
    #[must_use]
    pub fn request(view: &'a dyn RequestView) -> Self {
        Self(Source::Request(view), Route::default())
    }

    /// The same where this route takes other schemes of credentials than the server, which has to be told of
    /// [DPoP](crate::ResourceServerBuilder::dpop) for that.
    #[must_use]
    pub fn dpop(mut self, policy: DpopPolicy) -> Self {
        self.1.policy = Some(policy);
        self
    }

    /// The same where this route lies elsewhere for clients than the server: under a mount point with a proxy of its own, say.
    #[must_use]
    pub fn external_url(mut self, url: &'a ExternalUrl) -> Self {
        self.1.external_url = Some(url);
        self
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
        Self(Source::Token(token), Route::default())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::sent::Sent;

    #[test]
    fn the_host_is_what_authority_and_field_agree_on_and_never_a_user_at_a_host() {
        for (authority, hosts, expected) in [
            (None, &["a.example"][..], Some("a.example")),
            (None, &["a.example:8443"], Some("a.example:8443")),
            (Some("a.example"), &[], Some("a.example")),
            (Some("a.example"), &["A.example"], Some("A.example")),
            (Some("a.example"), &["b.example"], None),
            (None, &[], None),
            (None, &["a.example", "a.example"], None),
            (Some("a.example"), &["a.example", "a.example"], None),
            (None, &["a.example@b.example"], None),
            (Some("a.example@b.example"), &[], None),
            (Some("a.example@b.example"), &["a.example@b.example"], None),
        ] {
            let sent = Sent::each("host", hosts);
            let sent = authority.into_iter().fold(sent, Sent::authority);
            assert_eq!(sent.host(), expected, "{authority:?} {hosts:?}");
        }
    }

    #[test]
    fn nothing_prints_what_was_presented() {
        let request = Sent::get("/canary").authority("canary.example").field("host", "Bearer canary");
        for (presented, expected) in
            [(Presented::request(&request), "Presented(request)"), (Presented::token("canary"), "Presented(token)")]
        {
            assert_eq!(format!("{presented:?}"), expected);
            assert_eq!(format!("{presented:#?}"), expected);
        }
    }
}
