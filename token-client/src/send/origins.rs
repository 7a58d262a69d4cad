//! The origins that a token may be sent to (RFC 6454 section 4): a closed list, compared by scheme, host and port.

use std::fmt;

use url::{Host, Url};

use crate::error::TokenError;
use crate::error::misconfigured;

/// A list of origins.
///
/// ```
/// use token_client::Origins;
///
/// let billing = Origins::of(["https://billing.example.com"])?;
/// assert!(billing.allow("https://BILLING.example.com:443/invoices?page=2"));
/// assert!(!billing.allow("https://billing.example.com.evil.example/"));
/// assert!(!billing.allow("http://billing.example.com/"));
/// # Ok::<(), token_client::TokenError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Origins(Vec<Origin>);

#[derive(Clone, PartialEq, Eq)]
struct Origin {
    https: bool,
    host: Box<str>,
    port: u16,
}

impl Origins {
    /// Reads origins, each as `https://host` or `https://host:port`.
    ///
    /// # Errors
    /// [`Misconfigured`](crate::TokenErrorKind::Misconfigured): an empty list; an origin with a path, a query or
    /// credentials; plain http to anything but a loopback address.
    pub fn of<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Self, TokenError> {
        let list = origins.into_iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        if list.is_empty() {
            return Err(misconfigured("name at least one origin that the token may be sent to"));
        }
        Ok(Self(list))
    }

    /// Whether a token may be sent to this absolute URL.
    #[must_use]
    pub fn allow(&self, url: &str) -> bool {
        url.parse().is_ok_and(|uri| self.allow_uri(&uri))
    }

    /// The same for a request's URI. One without scheme and host is never allowed.
    pub(crate) fn allow_uri(&self, uri: &http::Uri) -> bool {
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return false };
        let https = match scheme {
            "https" => true,
            "http" => false,
            _ => return false,
        };
        // What stands before an @ is no host, and has no business in a request.
        if authority.as_str().contains('@') {
            return false;
        }
        let port = authority.port_u16().unwrap_or(if https { 443 } else { 80 });
        self.0.iter().any(|origin| {
            origin.https == https && origin.port == port && origin.host.eq_ignore_ascii_case(authority.host())
        })
    }
}

fn parse(text: &str) -> Result<Origin, TokenError> {
    let refuse = |why: &str| Err(misconfigured(format!("an origin of the list {why}")));
    let Ok(url) = Url::parse(text) else { return refuse("is not a URL") };
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if !bare || !url.username().is_empty() || url.password().is_some() {
        return refuse("has more than scheme, host and port");
    }
    let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else { return refuse("names no host") };
    let https = match url.scheme() {
        "https" => true,
        "http" if is_loopback(&host) => false,
        _ => return refuse("is neither https nor http to a loopback address"),
    };
    Ok(Origin { https, host: host.to_string().into(), port })
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    }
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = |https| if https { "https" } else { "http" };
        f.debug_list()
            .entries(self.0.iter().map(|origin| format!("{}://{}:{}", scheme(origin.https), origin.host, origin.port)))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_origin_is_allowed() {
        let origins =
            Origins::of(["https://api.example.com", "http://127.0.0.1:8080", "https://[2001:db8::1]:8443"]).unwrap();
        for (url, allowed) in [
            ("https://api.example.com", true),
            ("https://api.example.com/", true),
            ("https://api.example.com:443/a?b", true),
            ("HTTPS://API.EXAMPLE.COM/a", true),
            ("http://127.0.0.1:8080/a", true),
            ("https://[2001:db8::1]:8443/", true),
            ("http://api.example.com/", false),
            ("https://api.example.com:444/", false),
            ("https://api.example.com./", false),
            ("https://api.example.com.evil.example/", false),
            ("https://evil.example/api.example.com", false),
            ("https://api.example.com@evil.example/", false),
            ("https://user@api.example.com/", false),
            ("https://sub.api.example.com/", false),
            ("http://127.0.0.1/", false),
            ("/a", false),
            ("", false),
        ] {
            assert_eq!(origins.allow(url), allowed, "{url}");
        }
    }

    #[test]
    fn a_list_of_something_else_is_refused() {
        for list in [
            &[][..],
            &["api.example.com"],
            &["https://api.example.com/v1"],
            &["https://api.example.com?x"],
            &["https://u:p@api.example.com"],
            &["http://api.example.com"],
            &["http://localhost.example"],
            &["ftp://127.0.0.1"],
            &["https://ok.example", ""],
        ] {
            assert!(Origins::of(list.iter().copied()).is_err(), "{list:?}");
        }
    }
}
