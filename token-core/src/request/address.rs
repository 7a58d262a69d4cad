//! The `htu` of a proof and the address that a request came to in, whether they are the same out (RFC 9449 section 4.3 step 9, RFC 3986 section 6.2).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use url::Url;

use crate::base::config_error::ConfigError;

/// Where a server, or a part of it, lies for its clients: `https://api.example.com`, or with a path in front of its own routes,
/// `https://example.com/api`, where a proxy or a router takes that away.
///
/// ```
/// use token_core::possession::ExternalUrl;
///
/// let url: ExternalUrl = "https://API.example.com:443/v1/".parse()?;
/// assert_eq!(url.as_str(), "https://api.example.com/v1");
/// assert!("https://api.example.com/?a=b".parse::<ExternalUrl>().is_err());
/// # Ok::<(), token_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalUrl(Box<str>);

impl ExternalUrl {
    /// The URL, normalised, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ExternalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ExternalUrl {
    type Err = ConfigError;

    /// # Errors
    /// [`ConfigError`] for anything but an `http` or `https` URL without credentials, query and fragment.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let flaw = || {
            ConfigError::new(
                "external_url: expected where clients reach this server, as https://api.example.com or with a path, \
                 without credentials, query or fragment",
            )
        };
        let url = Normal::parse(text).filter(|_| !text.contains(['?', '#'])).ok_or_else(flaw)?;
        let text = url.to_string();
        Ok(Self(text.trim_end_matches('/').into()))
    }
}

/// The address of one request, as a client has to write it.
#[derive(Clone, Debug)]
pub(crate) struct Address<'a> {
    pub(crate) base: Base<'a>,
    /// Path and query, as sent.
    pub(crate) target: Cow<'a, str>,
}

/// What stands before the path.
#[derive(Clone, Debug)]
pub(crate) enum Base<'a> {
    /// As the operator says.
    External(Cow<'a, ExternalUrl>),
    /// As the request says; the scheme only where the connection tells it.
    Requested { scheme: Option<Cow<'a, str>>, host: Cow<'a, str> },
    /// Nobody says it who is believed, or it is said twice.
    Unknown,
}

/// What is different. Says what was expected, never what was seen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// `htu` is no address at all.
    NoAddress,
    /// This server does not know its own address.
    Unknown,
    /// Which part, and the whole as it should be.
    Part(&'static str, String),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress => f.write_str("htu is not an absolute http or https URL"),
            Self::Unknown => {
                f.write_str("neither the request nor a proxy that is named says where it went: set external_url")
            }
            Self::Part(part, expected) => write!(
                f,
                "htu: the {part} differs, expected {expected}; behind a proxy set external_url to what clients see"
            ),
        }
    }
}

impl<'a> Base<'a> {
    /// What the request says. Whatever is more than host and port says nothing.
    pub(crate) fn requested(scheme: Option<&'a str>, host: Option<&'a str>) -> Self {
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        match host.filter(|host| !host.is_empty() && host.bytes().all(is_host)) {
            Some(host) => Self::Requested { scheme: scheme.map(Into::into), host: host.into() },
            None => Self::Unknown,
        }
    }
}

impl Address<'_> {
    pub(crate) fn into_owned(self) -> Address<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        let base = match self.base {
            Base::External(url) => Base::External(Cow::Owned(url.into_owned())),
            Base::Requested { scheme, host } => Base::Requested { scheme: scheme.map(owned), host: owned(host) },
            Base::Unknown => Base::Unknown,
        };
        Address { base, target: owned(self.target) }
    }

    /// Whether a proof for `htu` is one for this address. Query and fragment do not count on either side.
    ///
    /// # Errors
    /// [`Mismatch`] with the part that differs.
    pub(crate) fn is(&self, htu: &str) -> Result<(), Mismatch> {
        let cut = |text: &str| text.find(['?', '#']).unwrap_or(text.len());
        let htu = &htu[..cut(htu)];
        let path = &self.target[..cut(&self.target)];
        // Nearly every client writes the address as the server does: then nothing has to be taken apart.
        let rest = match &self.base {
            Base::External(url) => htu.strip_prefix(url.as_str()),
            Base::Requested { scheme, host } => {
                let (sent, rest) = htu.split_once("://").unwrap_or_default();
                let same = scheme.as_deref().map_or(matches!(sent, "https" | "http"), |scheme| scheme == sent);
                rest.strip_prefix(&**host).filter(|_| same)
            }
            Base::Unknown => return Err(Mismatch::Unknown),
        };
        if rest == Some(path) && path.starts_with('/') {
            return Ok(());
        }
        self.compare(htu, path)
    }

    #[cold]
    fn compare(&self, htu: &str, path: &str) -> Result<(), Mismatch> {
        let seen = Normal::parse(htu).ok_or(Mismatch::NoAddress)?;
        // `OPTIONS *` has no address of its own.
        let (path, is_path) = if path.is_empty() { ("/", true) } else { (path, path.starts_with('/')) };
        let path = if is_path { path } else { "/" };
        let expected = match &self.base {
            Base::External(url) => format!("{url}{path}"),
            Base::Requested { scheme, host } => {
                format!("{}://{host}{path}", scheme.as_deref().unwrap_or(seen.url.scheme()))
            }
            Base::Unknown => return Err(Mismatch::Unknown),
        };
        let expected = Normal::parse(&expected).ok_or(Mismatch::Unknown)?;
        let differs = |part| Err(Mismatch::Part(part, expected.to_string()));
        if seen.url.scheme() != expected.url.scheme() {
            differs("scheme")
        } else if seen.url.host() != expected.url.host() {
            differs("host")
        } else if seen.url.port_or_known_default() != expected.url.port_or_known_default() {
            differs("port")
        } else if seen.path != expected.path || !is_path || has_dot_segments(path) {
            // A path with dot segments is one thing to a router that takes it as it is, and another to a client that resolves them:
            // it is the address of nothing, unless the proof has it to the letter.
            differs("path")
        } else {
            Ok(())
        }
    }
}

/// A URL by the rules of RFC 3986 section 6.2: case, default port, dot segments, and escapes that need not be.
struct Normal {
    url: Url,
    path: String,
}

impl Normal {
    fn parse(text: &str) -> Option<Self> {
        // What `Url` would mend in silence is refused: another reader would read it differently.
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f || byte == b'\\') {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let is_web = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        if !is_web || rest.is_empty() || rest.starts_with('/') {
            return None;
        }
        let url = Url::parse(text).ok()?;
        let plain = url.username().is_empty() && url.password().is_none() && !rest.split('/').next()?.contains('@');
        let path = unescaped(url.path());
        plain.then_some(Self { url, path })
    }
}

impl fmt::Display for Normal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.url.origin().ascii_serialization(), self.path)
    }
}

/// Escapes of unreserved characters resolved, all others in upper case (RFC 3986 sections 6.2.2.1 and 6.2.2.2).
fn unescaped(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let code = after.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        match code.filter(|_| after.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit)) {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => out.push(char::from(byte)),
            Some(byte) => out.push_str(&format!("%{byte:02X}")),
            None => {
                out.push('%');
                rest = after;
                continue;
            }
        }
        rest = &after[2..];
    }
    out.push_str(rest);
    out
}

fn has_dot_segments(path: &str) -> bool {
    path.contains('.') && path.split('/').any(|segment| matches!(segment, "." | ".."))
        || path.contains('%') && unescaped(path).split('/').any(|segment| matches!(segment, "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<'a>(base: &str, target: &'a str) -> Address<'a> {
        Address { base: Base::External(Cow::Owned(base.parse().unwrap())), target: target.into() }
    }

    #[test]
    fn an_address_is_compared_by_rfc_3986_and_without_query_and_fragment() {
        const HOST: &str = "https://api.example.com";
        for (base, target, htu, expected) in [
            (HOST, "/users", "https://api.example.com/users", None),
            (HOST, "/users?page=2", "https://api.example.com/users", None),
            (HOST, "/users", "https://api.example.com/users?page=2#top", None),
            (HOST, "/users", "HTTPS://API.example.COM:443/users", None),
            (HOST, "/", "https://api.example.com", None),
            (HOST, "", "https://api.example.com/", None),
            (HOST, "/a/b", "https://api.example.com/x/../a/./b", None),
            (HOST, "/~ada", "https://api.example.com/%7Eada", None),
            (HOST, "/%7eada", "https://api.example.com/~ada", None),
            (HOST, "/a%2fb", "https://api.example.com/a%2Fb", None),
            (HOST, "/caf%C3%A9", "https://api.example.com/caf\u{e9}", None),
            ("https://api.example.com/v1/", "/users", "https://api.example.com/v1/users", None),
            ("http://127.0.0.1:3000", "/users", "http://127.0.0.1:3000/users", None),
            (HOST, "/users", "http://api.example.com/users", Some("scheme")),
            (HOST, "/users", "https://api.example.org/users", Some("host")),
            (HOST, "/users", "https://api.example.com.evil.example/users", Some("host")),
            (HOST, "/users", "https://api.example.com:8443/users", Some("port")),
            (HOST, "/users", "https://api.example.com/users/", Some("path")),
            (HOST, "/users", "https://api.example.com/Users", Some("path")),
            (HOST, "/users", "https://api.example.com//users", Some("path")),
            (HOST, "/a%2Fb", "https://api.example.com/a/b", Some("path")),
            (HOST, "/v1/users", "https://api.example.com/users", Some("path")),
            (HOST, "/a/../users", "https://api.example.com/users", Some("path")),
            (HOST, "/a/%2e%2e/users", "https://api.example.com/users", Some("path")),
            (HOST, "*", "https://api.example.com/", Some("path")),
        ] {
            let seen = match at(base, target).is(htu) {
                Ok(()) => None,
                Err(Mismatch::Part(part, whole)) => {
                    assert!(whole.starts_with(base.trim_end_matches('/')), "{whole}");
                    Some(part)
                }
                Err(other) => panic!("{target} {htu}: {other}"),
            };
            assert_eq!(seen, expected, "{base} {target} {htu}");
        }
    }

    #[test]
    fn what_readers_read_differently_is_no_address() {
        for htu in [
            "",
            "/users",
            "api.example.com/users",
            "ftp://api.example.com/users",
            "https:/api.example.com/users",
            "https:///api.example.com/users",
            "https://",
            "https://user@api.example.com/users",
            "https://api.example.com\\users",
            "https://api.example.com/ users",
            "https://api.example.com/users\n",
            "https://api.example.com:99999/users",
            "https://@api.example.com/users",
        ] {
            assert_eq!(at("https://api.example.com", "/users").is(htu), Err(Mismatch::NoAddress), "{htu:?}");
        }
    }

    #[test]
    fn without_configuration_the_request_says_its_host_and_the_connection_its_scheme() {
        let asked = |scheme: Option<&'static str>, host: &'static str| Address {
            base: Base::requested(scheme, Some(host)),
            target: "/users".into(),
        };
        for (scheme, host, htu, good) in [
            (None, "api.example.com", "https://api.example.com/users", true),
            (None, "api.example.com", "http://api.example.com/users", true),
            (None, "API.example.com:443", "https://api.example.com/users", true),
            (None, "api.example.com:443", "http://api.example.com/users", false),
            (Some("https"), "api.example.com", "http://api.example.com/users", false),
            (Some("https"), "api.example.com", "https://api.example.com/users", true),
            (None, "other.example", "https://api.example.com/users", false),
            (None, "api.example.com/x", "https://api.example.com/x/users", false),
            (None, "a@api.example.com", "https://api.example.com/users", false),
        ] {
            assert_eq!(asked(scheme, host).is(htu).is_ok(), good, "{scheme:?} {host} {htu}");
        }
        let unknown = Address { base: Base::Unknown, target: "/users".into() };
        assert_eq!(unknown.is("https://api.example.com/users"), Err(Mismatch::Unknown));
    }

    #[test]
    fn an_external_url_is_a_place_and_nothing_more() {
        for (text, expected) in [
            ("https://api.example.com", Some("https://api.example.com")),
            ("https://api.example.com/", Some("https://api.example.com")),
            ("https://Api.Example.com:443/v1/", Some("https://api.example.com/v1")),
            ("http://[::1]:3000", Some("http://[::1]:3000")),
            ("api.example.com", None),
            ("https://user:secret@api.example.com", None),
            ("https://api.example.com?x", None),
            ("https://api.example.com/#x", None),
            ("unix:///run/api", None),
        ] {
            let read = text.parse::<ExternalUrl>();
            assert_eq!(read.as_ref().ok().map(ExternalUrl::as_str), expected, "{text}");
            assert!(read.is_ok() || !read.unwrap_err().to_string().contains("secret"));
        }
    }
}
