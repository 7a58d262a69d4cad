//! The URLs at which a document may be in, the first document found out. Limited in size; redirects are not followed
//! (RFC 9728 section 3.2, RFC 8414 section 3.2).

use std::sync::Arc;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderValue, Request};
use serde::de::DeserializeOwned;
use token_core::http::{HttpClient, Limits};
use url::{Host, Url};

use crate::error::{TokenError, TokenErrorKind};
use crate::response::parse;

/// Checks a URL from the network to which a request or a user is about to be sent: https, or http to this machine; no
/// credentials, no fragment. A URL `named_by` another machine must not be on this one: a remote server must not make
/// us, or the user's browser, call local services.
pub(super) fn address(text: &str, what: &'static str, named_by: Option<&Url>) -> Result<Url, TokenError> {
    let refused = || {
        let detail = format!("{what} is expected to be an https URL without credentials and fragment");
        TokenError::new(TokenErrorKind::UntrustedMetadata, detail)
    };
    let url = Url::parse(text).map_err(|_| refused())?;
    let loopback = is_loopback(&url);
    if url.host().is_none() || loopback && named_by.is_some_and(|by| !is_loopback(by)) {
        return Err(refused());
    }
    let scheme = url.scheme() == "https" || url.scheme() == "http" && loopback;
    if !scheme || !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(refused());
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.is_unspecified(),
        Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback() || ip.is_unspecified(),
        None => false,
    }
}

/// Passes the first document found to `judge`. A 4xx response or a redirect means that there is no document at that
/// URL. After a 5xx response or no response the document may exist, so the search ends with an error.
pub(super) async fn first<T>(
    http: &Arc<dyn HttpClient>,
    limits: Limits,
    places: &[Url],
    judge: impl Fn(&Url, &[u8]) -> Result<T, TokenError>,
) -> Result<Option<T>, TokenError> {
    for place in places {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = place.as_str().parse().map_err(|_| {
            TokenError::new(TokenErrorKind::UntrustedMetadata, "the place of a metadata document is no URI")
        })?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let answer = http.send(request, limits).await?;
        let status = answer.status();
        match status.as_u16() {
            200 => return judge(place, answer.body()).map(Some),
            429 => {
                return Err(TokenError::new(
                    TokenErrorKind::RateLimited,
                    "a metadata document was answered with status 429",
                ));
            }
            500..=599 => {
                let detail = format!("a metadata document was answered with status {status}");
                return Err(TokenError::new(TokenErrorKind::ServerError, detail));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Reads a JSON object as `T`. Unknown members are ignored; one of the wrong type is an error.
pub(super) fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, TokenError> {
    // A derived struct reads the array of its members, too.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(TokenError::new(
            TokenErrorKind::Malformed,
            "expected a JSON object as metadata, found something else",
        ));
    }
    parse(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_this_machine_by_another_one() {
        let by = |url: &str| Url::parse(url).unwrap();
        let (remote, here) = (by("https://api.example.com/mcp"), by("http://127.0.0.1:3000/mcp"));
        for local in [
            "http://127.0.0.1:9000/x",
            "https://localhost/x",
            "https://a.localhost./x",
            "http://[::1]/x",
            "https://[::ffff:127.0.0.1]/",
            "https://0.0.0.0/",
        ] {
            assert!(address(local, "it", Some(&remote)).is_err(), "{local}");
            let typed = address(local, "it", None).is_ok();
            assert_eq!(typed, address(local, "it", Some(&here)).is_ok(), "{local}");
            assert!(typed, "{local}");
        }
        for (elsewhere, good) in [
            ("https://id.example.com/x", true),
            ("http://id.example.com/x", false),
            ("https://a:b@id.example.com/", false),
            ("https://id.example.com/#x", false),
            ("data:text/plain,x", false),
        ] {
            assert_eq!(address(elsewhere, "it", Some(&remote)).is_ok(), good, "{elsewhere}");
        }
    }
}
